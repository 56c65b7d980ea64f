//! Callers that know the cursor of each server from its last reply, and pass over a server that would refuse as if it had refused.

use mcrpc_core::admission::Key;
use mcrpc_core::select::call::Withheld;
use mcrpc_core::time::Nanos;

use super::{ATTEMPTS, Answer, CallView, ClientPolicy, Sending};
use crate::random::Stream;
use crate::world::Service;

/// A cursor, and when it came.
type Heard = Option<(u32, Nanos)>;

/// Processes that call.
pub(super) struct CursorClients {
    order: fn(Key) -> u32,
    ttl_ns: u64,
    /// By process, service and server.
    heard: Vec<Vec<Vec<Heard>>>,
}

impl CursorClients {
    /// What is before a server's cursor in this order may be sent; a cursor is forgotten after a time.
    pub(super) fn new(
        services: &[Service],
        processes_of_hosts: &[usize],
        order: fn(Key) -> u32,
        ttl_ns: u64,
    ) -> CursorClients {
        let heard = || services.iter().map(|service| vec![None; service.servers]).collect();
        let processes: usize = processes_of_hosts.iter().sum();
        CursorClients { order, ttl_ns, heard: (0..processes).map(|_| heard()).collect() }
    }
}

impl ClientPolicy for CursorClients {
    fn send(&mut self, call: &mut CallView<'_>, random: &mut Stream, now: Nanos) -> Option<Sending> {
        let heard = &self.heard[call.process][call.service];
        let first = call.last_server.map_or_else(|| random.below(call.servers), |last| last + 1);
        let place = (self.order)(call.call.key);
        let would_admit = |server: &usize| match heard[*server] {
            Some((cursor, at)) => place < cursor || now.since(at) >= self.ttl_ns,
            None => true,
        };
        let left = ATTEMPTS.saturating_sub(call.attempts) as usize;
        let server = (first..first + left).map(|server| server % call.servers).find(would_admit)?;
        Some(Sending { server, withheld: Withheld::default(), choice: None })
    }

    fn answered(&mut self, call: &CallView<'_>, sent: &Sending, answer: &Answer, now: Nanos) {
        if let Some(cursor) = answer.level {
            self.heard[call.process][call.service][sent.server] = Some((cursor, now));
        }
    }
}
