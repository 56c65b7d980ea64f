//! Active probes (SPEC S7): shielded endpoints are asked over the network whether they answer again.
//!
//! A probe is a TCP connection that is closed at once. It says that somebody listens there, not that calls succeed: so it
//! never ends a shield, it only lets the next call find out sooner.

use std::collections::VecDeque;
use std::time::Duration;

use mcrpc_core::strategy::endpoint::Endpoint;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An endpoint that has not answered by then does not.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Connections that are being made at the same time.
const MAX_RUNNING: usize = 64;
/// Probes in a round of a second: so many end within it even if none is answered.
const MAX_IN_ROUND: usize = 2 * MAX_RUNNING;

/// A probe that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Who was asked.
    pub endpoint: Endpoint,
    /// Whether it answered.
    pub is_answered: bool,
}

/// The probes of an agent.
#[derive(Debug, Default)]
pub struct Prober {
    waiting: VecDeque<Endpoint>,
    running: JoinSet<Probed>,
    /// Where the next round begins.
    next: usize,
}

impl Prober {
    /// Begins a round: each of these endpoints once, or as many as a round has room for, the others in the next ones. Within a
    /// tokio runtime.
    pub fn begin_round(&mut self, mut endpoints: Vec<Endpoint>) {
        let count = endpoints.len();
        let begin = self.next.checked_rem(count).unwrap_or(0);
        endpoints.rotate_left(begin);
        endpoints.truncate(MAX_IN_ROUND);
        self.next = begin + endpoints.len();
        self.waiting = endpoints.into();
        self.start();
    }

    /// Waits for the next probe to end; `None` if none is running. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> Option<Probed> {
        let probed = self.running.join_next().await?;
        self.start();
        // A probe does not panic, and is not aborted.
        probed.ok()
    }

    fn start(&mut self) {
        while self.running.len() < MAX_RUNNING {
            let Some(endpoint) = self.waiting.pop_front() else { return };
            self.running.spawn(async move { Probed { endpoint, is_answered: is_answered(&endpoint).await } });
        }
    }
}

async fn is_answered(endpoint: &Endpoint) -> bool {
    match timeout(TIMEOUT, TcpStream::connect(endpoint.socket())).await {
        // On this machine a connection may, by chance, be made from the port that it goes to, and so to itself.
        Ok(Ok(stream)) => stream.local_addr().ok() != stream.peer_addr().ok(),
        _ => false,
    }
}
