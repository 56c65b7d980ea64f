//! A server: IO threads that read and admit, workers that run handlers.
//!
//! ```text
//!            IO threads                           workers
//! socket ──► frames ──► admit ──► queue ──► take ──► still in time? ──► handler
//!    ▲                    │ no              (by priority)    │ no          │
//!    └────────── outbox ◄─┴─────────────────────────────────┴─────────────┘
//! ```
//!
//! | module | |
//! |---|---|
//! | [`config`] | the settings |
//! | [`builder`] | a server that is being put together |
//! | [`hooks`] | what a program does at the turns of its life |
//! | [`prefork`] | several processes, and their master |
//! | `registration` | a server that tells the host's agent that it is there |
//! | `signals` | a server that ends when it is told to |
//! | `segment` | the memory that all processes of a server share |
//! | `limits`, `rates` | how much a method or a caller may take |
//! | `live` | the settings that may change while it runs |
//! | `threads` | the threads of a process |
//! | `listener` | where connections come from |
//! | `io` | an IO thread and its connections |
//! | `protocol` | which protocol a connection speaks: `native`, `brpc`, `http` for the server's own `pages`, or `grpc` |
//! | `grpc` | the same methods over HTTP/2, for gRPC clients: a feature |
//! | `intake` | from a whole request to a job, an inline answer, or a refusal |
//! | `connection` | the part of a connection that workers see: its outbox, and who is no longer waited for |
//! | `pool` | workers of one kind: their queue and their controller |
//! | `queue` | what waits for a worker, the most important first |
//! | `worker`, `coroutine` | asynchronous handlers: what a thread takes and writes, and one of them as it runs and waits |
//! | `blocking` | blocking handlers, each on a thread |
//! | `served` | a request from its turn to its answer, whichever of the two runs its handler |
//! | `held` | what a worker has answered and not yet written |
//! | `reply` | an answer as it goes over the wire |
//! | `memory` | what requests may take up |
//! | `noted` | a request that is recorded |
//! | `report` | what the host is told of its admission |
//! | `observed` | what the pages and the metrics show beside the methods |
//!
//! Whoever is done with a batch writes it: no thread waits for another to answer, and no answer waits for a turn of the IO thread.

mod blocking;
mod brpc;
pub mod builder;
pub mod config;
pub(crate) mod connection;
mod controller;
mod coroutine;
#[cfg(feature = "grpc")]
mod grpc;
mod held;
pub mod hooks;
mod http;
mod intake;
mod io;
mod job;
pub(crate) mod limits;
mod listener;
mod live;
mod memory;
mod native;
pub(crate) mod noted;
mod observed;
mod pages;
pub(crate) mod pool;
pub mod prefork;
mod protocol;
mod queue;
mod rates;
mod registration;
pub(crate) mod reply;
mod report;
mod segment;
mod served;
pub(crate) mod shared;
mod signals;
mod threads;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub use builder::{Builder, StartError};
pub use config::{CallerLimits, Config, MethodLimits};

use self::hooks::{Hooks, Place};
use self::prefork::Master;
use self::registration::Registration;
use self::threads::Threads;
use crate::net::Address;
use crate::stats::MethodStats;

/// What a process of a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It serves, and there is no other.
    Whole,
    /// It starts others, which serve, and replaces those that die.
    Master,
    /// It serves, one of several: its number, from 0 on.
    Child(usize),
}

/// A server that serves. Dropping it ends it without waiting for callers, but a second for its threads: see [`Server::wait`] and
/// [`Server::drain`].
pub struct Server {
    part: Part,
    role: Role,
    addresses: Vec<Address>,
    hooks: Arc<Hooks>,
    has_ended: bool,
    registration: Option<Registration>,
}

/// What this process does for the server.
enum Part {
    Serving(Threads),
    Master(Master),
}

impl Server {
    /// A server to be put together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What this process does for the server.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where it listens, in the order in which that was asked for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What this process has counted of a method; `None` if there is none of that name. A master counts nothing.
    pub fn stats(&self, full_name: &str) -> Option<&MethodStats> {
        let Part::Serving(threads) = &self.part else { return None };
        threads.shared.methods.iter().find(|method| method.name == full_name).map(|method| &method.stats)
    }

    /// All that this process counts, as `/metrics` shows it: OpenMetrics text. A master counts nothing.
    pub fn metrics(&self) -> String {
        self.serving()
            .map_or_else(String::new, |threads| crate::metrics::text(&crate::metrics::of_server(&threads.shared)))
    }

    /// Connections that this process has.
    pub fn connections(&self) -> usize {
        self.serving().map_or(0, |threads| threads.shared.connections.load(Relaxed))
    }

    /// Requests that wait for a worker of this process.
    pub fn queued(&self) -> usize {
        self.serving().map_or(0, |threads| threads.shared.workers.queue.len() + threads.shared.blocking.queue.len())
    }

    /// Bytes that requests take up which arrive or wait in this process.
    pub fn request_memory(&self) -> usize {
        self.serving().map_or(0, |threads| threads.shared.memory.used())
    }

    /// Requests that were admitted and are not answered, in all processes.
    pub fn in_flight(&self) -> usize {
        let in_system = |admission: &mcrpc_core::admission::Admission<'_>| -> usize {
            let queues = (0..admission.snapshot().queue_count).filter_map(|queue| admission.queue_snapshot(queue).ok());
            queues.map(|queue| queue.queued as usize + queue.running as usize).sum()
        };
        match &self.part {
            Part::Serving(threads) => threads.shared.pools().iter().map(|pool| in_system(&pool.admission)).sum(),
            Part::Master(master) => master.controllers().iter().map(|controller| in_system(controller)).sum(),
        }
    }

    /// Serves until the process is told to end, by SIGTERM or SIGINT, and a child also by its master; then [drains](Server::drain).
    /// Blocks the calling thread.
    ///
    /// # Errors
    ///
    /// What the operating system says when it is asked for signals; then the server is drained at once.
    pub fn wait(self) -> std::io::Result<()> {
        let told = signals::wait(self.serving().map(|threads| threads.shared.as_ref()));
        self.drain();
        told
    }

    /// Ends: takes no new requests, tells all callers so, and waits until what was taken is answered, or the drain timeout is over. A
    /// handler that goes on even then is left to itself a second later.
    /// Blocks the calling thread.
    pub fn drain(mut self) {
        self.end();
    }

    fn serving(&self) -> Option<&Threads> {
        match &self.part {
            Part::Serving(threads) => Some(threads),
            Part::Master(_) => None,
        }
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        // Before it takes no more requests.
        self.registration = None;
        let process = if let Role::Child(number) = self.role { number } else { 0 };
        let place = Place { process, thread: 0 };
        match &mut self.part {
            Part::Serving(threads) => {
                threads.end();
                self.hooks.after_child_run(place);
            }
            Part::Master(master) => master.end(),
        }
        if !matches!(self.role, Role::Child(_)) {
            self.hooks.after_server_process_run(place);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.part {
            Part::Serving(threads) => threads.shared.is_dropped.store(true, Relaxed),
            Part::Master(master) => master.kill(),
        }
        self.end();
    }
}
