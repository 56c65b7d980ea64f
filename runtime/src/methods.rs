//! What a server can do: methods by their ids, and where each of them runs.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use mcrpc_core::status::Status;
use mcrpc_core::wire::header::method_id;
use tokio_util::sync::ReusableBoxFuture;

use crate::failure::Failure;
use crate::request::{Inline, Reply, Request};
use crate::server::limits::Gate;
use crate::stats::MethodStats;

/// Something that adds its methods to a server: what generated code implements for each service of a `.proto`.
pub trait Service {
    /// Adds them.
    fn add_to(self, methods: &mut Methods);
}

/// The methods of a server.
#[derive(Default)]
pub struct Methods {
    by_id: HashMap<u32, Arc<Method>, BuildHasherDefault<IdHasher>>,
    /// The same, by their numbers.
    all: Vec<Arc<Method>>,
    fallback: Option<Arc<Method>>,
    /// What could not be added, for whoever starts the server.
    conflicts: Vec<Conflict>,
}

/// Two methods that cannot be told apart on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the methods {first} and {second} have the same id {id:#010x}: rename one of them")]
pub struct Conflict {
    first: String,
    second: String,
    id: u32,
}

/// A method, and where it runs.
pub(crate) struct Method {
    pub(crate) name: String,
    /// Its place among the methods of the server.
    pub(crate) number: usize,
    pub(crate) run: Run,
    pub(crate) stats: MethodStats,
    pub(crate) gate: Gate,
}

/// Where a method runs.
pub(crate) enum Run {
    /// On the IO thread that has read it.
    Inline(Box<InlineFn>),
    /// On a worker, as a coroutine.
    Async(Box<dyn AsyncHandler>),
    /// On a thread of its own for as long as it takes.
    Blocking(Box<BlockingFn>),
}

impl Method {
    /// Gives a request to the handler, whose future comes into `place`. For those that run as coroutines.
    #[inline]
    pub(crate) fn begin(&self, request: Request, place: &mut ReusableBoxFuture<'static, Reply>) {
        match &self.run {
            Run::Async(run) => run.begin(request, place),
            Run::Inline(_) | Run::Blocking(_) => {
                place.set(std::future::ready(Err(Failure::of_system(Status::NO_METHOD))))
            }
        }
    }

    /// The names of its service and of itself: `echo.Echo` and `Say`.
    pub(crate) fn names(&self) -> (&str, &str) {
        split(&self.name)
    }
}

/// The names of the service and of the method in a full name.
pub(crate) fn split(full_name: &str) -> (&str, &str) {
    full_name.rsplit_once('.').unwrap_or(("", full_name))
}

pub(crate) type InlineFn = dyn Fn(&Inline<'_>, &mut Vec<u8>) -> Result<(), Failure> + Send + Sync;
pub(crate) type BlockingFn = dyn Fn(Request) -> Reply + Send + Sync;

/// A handler whose futures are put where the one before was, so that a coroutine allocates nothing for them.
pub(crate) trait AsyncHandler: Send + Sync {
    fn begin(&self, request: Request, place: &mut ReusableBoxFuture<'static, Reply>);
}

impl<F, Fut> AsyncHandler for F
where
    F: Fn(Request) -> Fut + Send + Sync,
    Fut: Future<Output = Reply> + Send + 'static,
{
    fn begin(&self, request: Request, place: &mut ReusableBoxFuture<'static, Reply>) {
        place.set(self(request));
    }
}

impl Methods {
    /// A table without methods.
    pub fn new() -> Methods {
        Methods::default()
    }

    /// Adds a method by its full name, `pkg.Service.Method`. Its handler runs on a worker and may wait; it is dropped at its next
    /// wait once its caller has gone or waits no longer.
    pub fn add<F, Fut>(&mut self, full_name: &str, handler: F) -> &mut Methods
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        self.insert(full_name, Run::Async(Box::new(handler)))
    }

    /// Adds a method whose handler runs on the IO thread, without a hop to a worker: for what takes microseconds and never waits.
    /// It appends its reply to the buffer.
    pub fn add_inline<F>(&mut self, full_name: &str, handler: F) -> &mut Methods
    where
        F: Fn(&Inline<'_>, &mut Vec<u8>) -> Result<(), Failure> + Send + Sync + 'static,
    {
        self.insert(full_name, Run::Inline(Box::new(handler)))
    }

    /// Adds a method whose handler may block, for instance in a driver of a database: it has a thread of the blocking workers for
    /// itself.
    pub fn add_blocking<F>(&mut self, full_name: &str, handler: F) -> &mut Methods
    where
        F: Fn(Request) -> Reply + Send + Sync + 'static,
    {
        self.insert(full_name, Run::Blocking(Box::new(handler)))
    }

    /// Adds what handles every method that there is not, as a proxy does: which one is asked for, [`Request::method_id`] says. It is
    /// counted under the name `*`, and runs as those of [`Methods::add`] do.
    pub fn add_fallback<F, Fut>(&mut self, handler: F) -> &mut Methods
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        self.fallback = Some(self.push("*", Run::Async(Box::new(handler))));
        self
    }

    /// Adds all methods of a service.
    pub fn add_service(&mut self, service: impl Service) -> &mut Methods {
        service.add_to(self);
        self
    }

    /// The full names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|method| method.name.as_str())
    }

    pub(crate) fn find(&self, id: u32) -> Option<&Arc<Method>> {
        self.by_id.get(&id).or(self.fallback.as_ref())
    }

    /// All of them, by their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Method>> {
        self.all.iter()
    }

    /// The method with a number.
    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<&Arc<Method>> {
        self.all.get(number)
    }

    pub(crate) fn conflict(&self) -> Option<&Conflict> {
        self.conflicts.first()
    }

    fn insert(&mut self, full_name: &str, run: Run) -> &mut Methods {
        let id = method_id(full_name.as_bytes());
        let method = self.push(full_name, run);
        if let Some(first) = self.by_id.insert(id, method) {
            self.conflicts.push(Conflict { first: first.name.clone(), second: full_name.to_owned(), id });
        }
        self
    }

    fn push(&mut self, full_name: &str, run: Run) -> Arc<Method> {
        let name = full_name.to_owned();
        let (number, stats, gate) = (self.all.len(), MethodStats::default(), Gate::default());
        let method = Arc::new(Method { name, number, run, stats, gate });
        self.all.push(method.clone());
        method
    }
}

/// Ids are hashes already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(byte.into()));
    }

    fn write_u32(&mut self, id: u32) {
        // The table takes its place from the low bits and its tag from the high ones.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
