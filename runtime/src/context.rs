//! Who asks, how important it is, until when, and in which trace: what a request brings and every call made for it takes along.
//!
//! While a handler runs, [`Context::current`] is its request's, and calls use it without being told. A task that a handler
//! spawns has none, unless it is wrapped: [`Context::scope`].

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::task::{self, Poll};
use std::time::Duration;

use mcrpc_core::context::{Carried, Context as Concern};
use mcrpc_core::time::{Millis, Nanos};
use mcrpc_core::wire::{Flags, HEADER_LEN, Header, Kind, Limits, Metadata, Trace, Writer};
use smallvec::SmallVec;

use crate::clock;

/// Metadata up to this length is kept without an allocation: trace, origin and call graph need 44 bytes.
const INLINE_METADATA: usize = 48;

/// Tells the traces of this process from those of others.
static TRACE_SEED: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));

thread_local! {
    /// That of the request whose handler runs on this thread.
    static CURRENT: Cell<Option<Context>> = const { Cell::new(None) };
}

/// The context of a request. Clones share it, so that neither a request on its way through a server nor a coroutine that is woken has
/// to copy it.
#[derive(Clone, Debug)]
pub struct Context(Arc<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    header: Header,
    /// As it lay in the frame, and valid.
    metadata: SmallVec<[u8; INLINE_METADATA]>,
    arrival: Nanos,
    deadline: Nanos,
    served: Served,
}

/// The services that have served a call of the task already. It knows so many; what the others served begins anew each time.
#[derive(Debug, Default)]
struct Served([AtomicU32; 4]);

impl Context {
    /// The context of a task that begins here: nobody's, of the highest priority, without a deadline.
    pub fn new() -> Context {
        Context::from_parts(
            Header { budget_ms: Millis::UNLIMITED.0, ..Header::new(Kind::Request, 0) },
            &[],
            clock::now(),
        )
    }

    /// The context that a request brought. Its metadata are valid.
    pub(crate) fn from_parts(header: Header, metadata: &[u8], arrival: Nanos) -> Context {
        Context::until(arrival.deadline_after(Millis(header.budget_ms)), header, metadata, arrival)
    }

    /// The same, with a deadline of the server's.
    pub(crate) fn until(deadline: Nanos, header: Header, metadata: &[u8], arrival: Nanos) -> Context {
        let (metadata, served) = (SmallVec::from_slice(metadata), Served::default());
        Context(Arc::new(Parts { header, metadata, arrival, deadline, served }))
    }

    /// Becomes the context of another request, in the same memory if nobody else has this one any more.
    pub(crate) fn renew(&mut self, deadline: Nanos, header: &Header, metadata: &[u8], arrival: Nanos) {
        match Arc::get_mut(&mut self.0) {
            Some(parts) if !parts.metadata.spilled() => {
                parts.metadata.clear();
                if !metadata.is_empty() {
                    parts.metadata.extend_from_slice(metadata);
                }
                (parts.header, parts.arrival, parts.deadline, parts.served) =
                    (*header, arrival, deadline, Served::default());
            }
            _ => *self = Context::until(deadline, *header, metadata, arrival),
        }
        self.begin_trace_if_sampled();
    }

    /// To be changed: a copy, if others have it too.
    fn parts_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }

    /// The context of the request that is being handled.
    pub fn current() -> Option<Context> {
        let look = |current: &Cell<Option<Context>>| {
            let context = current.take();
            current.set(context.clone());
            context
        };
        CURRENT.try_with(look).ok().flatten()
    }

    /// Runs a future as part of this request: what it calls takes the context along, and what it drops when it is dropped itself
    /// still sees it. To be used for tasks that a handler spawns.
    ///
    /// ```
    /// # use mcrpc::Context;
    /// # async fn handler() {
    /// if let Some(context) = Context::current() {
    ///     tokio::spawn(context.scope(async { /* calls made here are this request's */ }));
    /// }
    /// # }
    /// ```
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        let mut scoped = Scoped { context: Some(self), future: pin!(Some(future)) };
        poll_fn(|cx| scoped.poll(cx)).await
    }

    /// Runs a closure as part of this request.
    pub fn scope_blocking<R>(self, work: impl FnOnce() -> R) -> R {
        Context::lend(&mut Some(self), work)
    }

    /// The same, of a context that is given back, unless the closure panics: nobody has to count another owner.
    #[inline]
    pub(crate) fn lend<R>(context: &mut Option<Context>, work: impl FnOnce() -> R) -> R {
        let lent = Lent { outer: CURRENT.replace(context.take()) };
        let result = work();
        *context = CURRENT.take();
        drop(lent);
        result
    }

    /// The user; 0 if there is none.
    pub fn uin(&self) -> u64 {
        self.0.header.uin
    }

    /// The business that the request belongs to.
    pub fn business_id(&self) -> u16 {
        self.0.header.business_id
    }

    /// Business priority, 0 first.
    pub fn priority(&self) -> u8 {
        self.0.header.priority
    }

    /// How often the caller has sent it before.
    pub fn attempt(&self) -> u8 {
        self.0.header.flags.attempt()
    }

    /// How long the caller still waits; `None` if for ever.
    pub fn remaining(&self) -> Option<Duration> {
        (self.0.deadline != Nanos::NEVER).then(|| Duration::from_nanos(self.0.deadline.since(clock::now())))
    }

    /// The trace id of W3C Trace Context; `None` if there is no trace.
    pub fn trace_id(&self) -> Option<[u8; 16]> {
        let trace_id = self.carried().trace.trace_id;
        (trace_id != [0; 16]).then_some(trace_id)
    }

    /// The user's cookie, opaque; empty if there is none.
    pub fn cookie(&self) -> &[u8] {
        self.metadata().cookie()
    }

    /// The user's ticket, opaque; empty if there is none.
    pub fn ticket(&self) -> &[u8] {
        self.metadata().ticket()
    }

    /// The service that is called, as the request itself gave it; empty if it did not.
    pub(crate) fn service(&self) -> &str {
        self.metadata().service()
    }

    /// The caller's name as the request itself gave it; empty if it did not.
    pub(crate) fn caller(&self) -> &str {
        self.metadata().caller()
    }

    /// The same context as the beginning of a trace that is recorded, unless it is part of one already.
    #[must_use]
    pub fn traced(mut self) -> Context {
        self.parts_mut().header.flags.0 |= Flags::SAMPLED;
        if self.trace_id().is_none() {
            self.begin_trace(&Trace { trace_id: fastrand::u128(1..).to_be_bytes(), ..Trace::default() });
        }
        self
    }

    /// The same context as part of a trace that was begun elsewhere, by a caller whose span this is; unless it is part of one
    /// already.
    #[must_use]
    pub fn in_trace(mut self, trace_id: [u8; 16], span_id: [u8; 8], is_sampled: bool) -> Context {
        if is_sampled {
            self.parts_mut().header.flags.0 |= Flags::SAMPLED;
        }
        if self.trace_id().is_none() {
            self.begin_trace(&Trace { trace_id, span_id, ..Trace::default() });
        }
        self
    }

    /// Gives a context that is sampled, but belongs to no trace, a trace of its own: the same each time it is asked for.
    #[inline]
    pub(crate) fn begin_trace_if_sampled(&mut self) {
        if self.0.header.flags.contains(Flags::SAMPLED) {
            self.begin_trace_unless_there_is_one();
        }
    }

    #[cold]
    fn begin_trace_unless_there_is_one(&mut self) {
        if self.trace_id().is_none() {
            let seed = *TRACE_SEED ^ self.0.arrival.0.rotate_left(32) ^ u64::from(self.0.header.call_id);
            let trace_id = fastrand::Rng::with_seed(seed).u128(1..).to_be_bytes();
            self.begin_trace(&Trace { trace_id, ..Trace::default() });
        }
    }

    #[cold]
    fn begin_trace(&mut self, trace: &Trace) {
        let mut head = [0; HEADER_LEN + INLINE_METADATA];
        let written = Writer::new(&mut head).trace(trace).finish(&Header::new(Kind::Request, 0), 0);
        let metadata = [written.map_or(&[][..], |len| &head[HEADER_LEN..len]), &self.0.metadata].concat();
        // They would be no metadata any more if there were a trace tag that names no trace.
        if Metadata::new_checked(&metadata, &Limits::WIDEST).is_ok() {
            self.parts_mut().metadata = SmallVec::from_vec(metadata);
        }
    }

    /// The same context of another user.
    #[must_use]
    pub fn with_uin(mut self, uin: u64) -> Context {
        self.parts_mut().header.uin = uin;
        self
    }

    /// The same context of another business.
    #[must_use]
    pub fn with_business_id(mut self, business_id: u16) -> Context {
        self.parts_mut().header.business_id = business_id;
        self
    }

    /// The same context of another importance, 0 first.
    #[must_use]
    pub fn with_priority(mut self, priority: u8) -> Context {
        self.parts_mut().header.priority = priority;
        self
    }

    /// The same context, of which nobody waits longer than this from now on. A deadline only ever comes nearer.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Context {
        let until = clock::now().plus(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        self.not_after(until)
    }

    /// The same context with the nearer of two deadlines.
    pub(crate) fn not_after(mut self, deadline: Nanos) -> Context {
        if deadline < self.0.deadline {
            self.parts_mut().deadline = deadline;
        }
        self
    }

    pub(crate) fn deadline(&self) -> Nanos {
        self.0.deadline
    }

    pub(crate) fn header(&self) -> &Header {
        &self.0.header
    }

    /// The part that decisions need, with the deadline that the caller named.
    pub(crate) fn concern(&self) -> Concern {
        Concern::from_header(&self.0.header, self.0.arrival)
    }

    /// Whether a service has served a call that was made on behalf of it.
    pub(crate) fn was_served_by(&self, service_id: u32) -> bool {
        self.0.served.has(service_id)
    }

    /// A service has served a call that was made on behalf of it.
    pub(crate) fn serve(&self, service_id: u32) {
        self.0.served.add(service_id);
    }

    /// As the core sees it.
    pub(crate) fn carried(&self) -> Carried<'_> {
        let mut carried = Carried::read(&self.0.header, &self.metadata(), self.0.arrival);
        carried.context.deadline = self.0.deadline;
        carried
    }

    pub(crate) fn metadata(&self) -> Metadata<'_> {
        // Checked when it was read; what is checked again here cannot fail.
        Metadata::new_checked(&self.0.metadata, &Limits::WIDEST).unwrap_or_default()
    }
}

/// While there is this, another context is the current one of its thread.
struct Lent {
    outer: Option<Context>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        CURRENT.set(self.outer.take());
    }
}

/// A future that is polled, and dropped, as part of a request.
struct Scoped<'f, F> {
    context: Option<Context>,
    future: Pin<&'f mut Option<F>>,
}

impl<F: Future> Scoped<'_, F> {
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let Scoped { context, future } = self;
        let future = future.as_mut().as_pin_mut().expect("it is there until it is dropped");
        Context::lend(context, || future.poll(cx))
    }
}

impl<F> Drop for Scoped<'_, F> {
    fn drop(&mut self) {
        let Scoped { context, future } = self;
        Context::lend(context, || future.set(None));
    }
}

impl Default for Context {
    fn default() -> Context {
        Context::new()
    }
}

impl Served {
    fn has(&self, service_id: u32) -> bool {
        service_id != 0 && self.0.iter().any(|known| known.load(Relaxed) == service_id)
    }

    fn add(&self, service_id: u32) {
        for place in &self.0 {
            match place.compare_exchange(0, service_id, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(known) if known == service_id => return,
                Err(_) => {}
            }
        }
    }
}

impl Clone for Served {
    fn clone(&self) -> Served {
        Served(std::array::from_fn(|index| self.0[index].load(Relaxed).into()))
    }
}
