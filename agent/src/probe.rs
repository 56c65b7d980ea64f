//! Active probes (SPEC S7): shielded endpoints are asked over the network whether they answer again.
//!
//! A probe is a ping of the wire format, over a connection that is closed at once. A machine whose server hangs accepts
//! connections, but does not answer. Who speaks another protocol shows it by what it sends, or by hanging up: that is an answer
//! too. A probe does not say that calls succeed: so it never ends a shield, it only lets the next call find out sooner.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::wire::{Header, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An endpoint that has not answered by then does not.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Connections that are being made at the same time.
const MAX_RUNNING: usize = 64;
/// Probes in a round of a second: so many end within it even if none is answered.
const MAX_IN_ROUND: usize = 2 * MAX_RUNNING;

/// What an endpoint is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Question {
    /// Whether it answers a ping, or speaks another protocol.
    #[default]
    Ping,
    /// Whether it accepts a connection: for servers of other protocols that wait until they understand what they read.
    Tcp,
}

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
    question: Question,
    waiting: VecDeque<Endpoint>,
    running: JoinSet<Probed>,
    /// Where the next round begins.
    next: usize,
}

impl Prober {
    /// One that asks this.
    pub fn new(question: Question) -> Prober {
        Prober { question, ..Prober::default() }
    }

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
            let question = self.question;
            self.running.spawn(async move {
                let is_answered = timeout(TIMEOUT, ask(&endpoint, question)).await.is_ok_and(|answer| answer.is_ok());
                Probed { endpoint, is_answered }
            });
        }
    }
}

async fn ask(endpoint: &Endpoint, question: Question) -> io::Result<()> {
    let mut stream = TcpStream::connect(endpoint.socket()).await?;
    // On this machine a connection may, by chance, be made from the port that it goes to, and so to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    if question == Question::Ping {
        let ping = Header::new(Kind::Ping, 0).emit();
        stream.write_all(&ping).await?;
        // A pong is one byte at least. What hangs says nothing, and does not hang up.
        let _ = stream.read(&mut [0; 1]).await;
    }
    Ok(())
}
