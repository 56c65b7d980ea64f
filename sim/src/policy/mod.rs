//! Policies: what servers do with requests, and clients with calls. Ours, and its rivals.
//!
//! A policy has a half in each process of a server and one in each process that calls. They know no more than such a process
//! would: what passes through it, and what replies carry.

mod bbr;
mod breakwater;
mod brpc_auto;
mod codel;
mod cursor_clients;
mod dagor;
mod google;
mod gradient2;
mod mcrpc;
mod no_control;
mod per_process;
mod rajomon;
mod random_share;
mod recording;
mod seda;
mod svrkit;
mod tail_drop;
mod waiting_window;

use bumpalo::Bump;
use mcrpc_core::admission::Key;
use mcrpc_core::select::call::{Call, Choice, Withheld};
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use crate::random::Stream;
use crate::world::Service;

pub use bbr::Bbr;
pub use breakwater::Breakwater;
pub use brpc_auto::BrpcAuto;
pub use codel::Codel;
pub use dagor::Dagor;
pub use google::Google;
pub use gradient2::Gradient2;
pub use mcrpc::{Mcrpc, Part};
pub use no_control::NoControl;
pub use rajomon::Rajomon;
pub use random_share::RandomShare;
pub use recording::{Recorded, Recording};
pub use seda::Seda;
pub use svrkit::SvrkitPassRate;
pub use tail_drop::TailDrop;

/// A policy, from which the halves are made.
pub trait Policy: Sync {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// The half in a server: one object for all its processes, which are told apart by the request's `process`.
    fn server<'m>(&self, service: &Service, memory: &'m Bump) -> Box<dyn ServerPolicy + 'm>;

    /// The half in the calling processes: one object for all of them, told apart by the call's `process`.
    fn clients<'m>(
        &self,
        services: &[Service],
        processes_of_hosts: &[usize],
        memory: &'m Bump,
    ) -> Box<dyn ClientPolicy + 'm>;
}

/// A request, as a server sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Its importance.
    pub key: Key,
    /// When its caller stops waiting.
    pub deadline: Nanos,
    /// It has been sent before.
    pub is_retry: bool,
    /// This service has served an earlier call of the task.
    pub continues_task: bool,
    /// The process that made the call.
    pub caller: usize,
    /// What its caller held back.
    pub withheld: Withheld,
    /// The queue that it came to.
    pub queue: usize,
    /// The process of that queue that received it.
    pub process: usize,
    /// When it was received.
    pub received: Nanos,
}

/// A queue, as all policies may see it.
#[derive(Clone, Copy, Debug)]
pub struct QueueView {
    /// Requests that wait.
    pub queued: usize,
    /// Requests that run.
    pub running: usize,
    /// Workers behind it.
    pub workers: usize,
}

/// What a server does with requests.
pub trait ServerPolicy {
    /// May this request enter its queue?
    fn admit(&mut self, request: &Request, queue: QueueView, random: &mut Stream, now: Nanos) -> Result<(), Status>;

    /// A worker takes a request out of its queue. Shall it run it? With all policies but none at all it does not when the caller
    /// has gone, so that what is compared is admission.
    fn dequeue(&mut self, request: &Request, _queue: QueueView, now: Nanos) -> Result<(), Status> {
        if now < request.deadline { Ok(()) } else { Err(Status::DEADLINE_IN_QUEUE) }
    }

    /// A request that was run is finished.
    fn done(&mut self, _request: &Request, _started: Nanos, _queue: QueueView, _now: Nanos) {}

    /// Whether the youngest request of a queue is taken next.
    fn takes_youngest(&self, _queue: usize) -> bool {
        false
    }

    /// What goes with each reply of a queue; policies without such a thing send what means *all is well*.
    fn level(&mut self, _request: &Request, _queue: QueueView, _now: Nanos) -> u32 {
        u32::MAX
    }
}

/// A call, as the process that makes it sees it.
pub struct CallView<'c> {
    /// The process.
    pub process: usize,
    /// The service called.
    pub service: usize,
    /// The core's account of the call: its key, deadline and attempts.
    pub call: &'c mut Call,
    /// Attempts so far, and why the last one failed.
    pub attempts: u32,
    /// See [`Request::continues_task`].
    pub continues_task: bool,
    /// Where the last attempt went.
    pub last_server: Option<usize>,
    /// How many servers there are.
    pub servers: usize,
}

/// Where an attempt goes, and what goes with it.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// The server.
    pub server: usize,
    /// What was held back before.
    pub withheld: Withheld,
    /// The core's choice, if it made one.
    pub choice: Option<Choice>,
}

/// What an attempt met.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Ok, why it was refused, or [`Status::TIMED_OUT`].
    pub status: Status,
    /// What the server sent along; `None` if it did not answer.
    pub level: Option<u32>,
    /// How long it took.
    pub elapsed_ns: u64,
}

/// What a client does with calls.
pub trait ClientPolicy {
    /// Where the next attempt goes; `None`: there is none.
    fn send(&mut self, call: &mut CallView<'_>, random: &mut Stream, now: Nanos) -> Option<Sending>;

    /// What an attempt met.
    fn answered(&mut self, _call: &CallView<'_>, _sent: &Sending, _answer: &Answer, _now: Nanos) {}
}

/// The client of most policies, and of old programs: any server, and up to three more attempts at the others in turn.
pub struct BlindRetries;

/// Attempts of [`BlindRetries`].
pub const ATTEMPTS: u32 = 4;

impl ClientPolicy for BlindRetries {
    fn send(&mut self, call: &mut CallView<'_>, random: &mut Stream, _now: Nanos) -> Option<Sending> {
        (call.attempts < ATTEMPTS).then(|| any_server(call, random))
    }
}

/// Any server at first, then the others in turn.
pub fn any_server(call: &CallView<'_>, random: &mut Stream) -> Sending {
    let server = match call.last_server {
        None => random.below(call.servers),
        Some(last) => (last + 1) % call.servers,
    };
    Sending { server, withheld: Withheld::default(), choice: None }
}

/// All policies that are compared, ours last.
pub fn all() -> Vec<Box<dyn Policy>> {
    vec![
        Box::new(NoControl),
        Box::new(TailDrop),
        Box::new(RandomShare),
        Box::new(SvrkitPassRate),
        Box::new(Codel::fifo()),
        Box::new(Codel::adaptive_lifo()),
        Box::new(Seda),
        Box::new(Google::ten_seconds()),
        Box::new(Bbr),
        Box::new(Gradient2),
        Box::new(BrpcAuto),
        Box::new(Dagor::alone()),
        Box::new(Dagor::collaborative()),
        Box::new(Dagor::collaborative_plus()),
        Box::new(Breakwater),
        Box::new(Rajomon),
        Box::new(Mcrpc::whole()),
    ]
}
