//! The threads of a process that serves: those of IO, and the workers.

use std::future::Future;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::hooks::{Hooks, Place};
use super::io::IoThread;
use super::listener::Listener;
use super::shared::Shared;
use super::{blocking, worker};

/// So long threads may take to end when all is answered, or given up.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether they have.
const LOOK_EACH: Duration = Duration::from_millis(1);

/// The threads, and what they know.
pub(super) struct Threads {
    pub(super) shared: Arc<Shared>,
    io: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts all threads of the process with this number.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub(super) fn start(
        shared: Arc<Shared>,
        listeners: Vec<Listener>,
        hooks: &Arc<Hooks>,
        process: usize,
    ) -> std::io::Result<Threads> {
        let config = &shared.config;
        let mut workers = Vec::new();
        for number in 0..config.workers {
            let (shared, coroutines, hooks) = (shared.clone(), config.coroutines_per_worker, hooks.clone());
            workers.push(spawn_runtime(format!("worker-{number}"), move || async move {
                hooks.before_routine_run(Place { process, thread: number });
                worker::run(number, coroutines, shared).await;
            })?);
        }
        for number in 0..config.blocking_workers {
            let (shared, hooks, thread) = (shared.clone(), hooks.clone(), config.workers + number);
            workers.push(thread::Builder::new().name(format!("blocking-{number}")).spawn(move || {
                hooks.before_routine_run(Place { process, thread });
                blocking::run(number, &shared);
            })?);
        }
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..config.io_threads).map(|_| mpsc::unbounded_channel()).unzip();
        let mut listeners = Some(listeners);
        let mut io = Vec::new();
        for (number, accepted) in receivers.into_iter().enumerate() {
            let (shared, senders, listeners) = (shared.clone(), senders.clone(), listeners.take().unwrap_or_default());
            let hooks = hooks.clone();
            io.push(spawn_runtime(format!("io-{number}"), move || async move {
                hooks.before_epoll_io_run(Place { process, thread: number });
                for listener in listeners {
                    tokio::task::spawn_local(listener.run(shared.clone(), senders.clone()));
                }
                IoThread::new(shared, number).run(accepted).await;
            })?);
        }
        Ok(Threads { shared, io, workers })
    }

    /// Takes no new requests, and waits until what was taken is answered.
    pub(super) fn end(&mut self) {
        self.shared.tell_to_end();
        let io_left = join_until(&mut self.io, self.shared.config.drain_timeout + PATIENCE);
        self.shared.workers.queue.close();
        self.shared.blocking.queue.close();
        // Their callers are gone: what they still do is of no use to anybody.
        let left = io_left + join_until(&mut self.workers, PATIENCE);
        if left > 0 {
            let methods = self.shared.methods.iter().filter(|method| method.stats.running() > 0);
            let methods = methods.map(|method| method.name.as_str()).collect::<Vec<_>>().join(", ");
            tracing::error!(threads = left, methods, "handlers do not end: the server ends without them");
        }
        self.shared.report_nothing();
    }
}

/// Waits until threads have ended, but no longer than this. How many have not: they are left to themselves.
fn join_until(threads: &mut Vec<JoinHandle<()>>, limit: Duration) -> usize {
    let until = Instant::now() + limit;
    while !threads.iter().all(JoinHandle::is_finished) && Instant::now() < until {
        thread::sleep(LOOK_EACH);
    }
    let (ended, left): (Vec<_>, Vec<_>) = threads.drain(..).partition(JoinHandle::is_finished);
    // A thread that panicked has said so.
    ended.into_iter().for_each(|thread| _ = thread.join());
    left.len()
}

/// A thread with a runtime of its own, whose tasks stay there.
fn spawn_runtime<F, Fut>(name: String, main: F) -> std::io::Result<JoinHandle<()>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(name).spawn(move || {
        // As a task of its own it is polled when it is woken, and not whenever any of the others is. One that panics has said so.
        LocalSet::new().block_on(&runtime, async move { _ = tokio::task::spawn_local(main()).await });
    })
}
