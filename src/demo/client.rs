//! The client: many connections to one server, calls over them, attempts of a call.
//!
//! It must not be the bottleneck, so it runs on one thread with nothing to lock. A request is written by the task
//! that sends it; one driver per connection reads the answers and writes what the socket did not take at once. One
//! table, keyed by call id, finds who waits for an answer. An attempt that is given up stays in the table: its late
//! answer is still read and counted.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mcrpc_core::status::{Class, Status};
use mcrpc_core::wire::{Decoder, Event, Flags, HEADER_LEN, Header, Kind, Limits};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout_at};

use super::plan::{ATTEMPT_BUDGET, ATTEMPTS, SEED};
use super::record::Recorder;

/// Answers have no body; one that announces more than this breaks its connection.
const MAX_BODY_LEN: u32 = 1 << 16;
const READ_BUFFER_LEN: usize = 2048;
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// What a call needs to know of its task.
#[derive(Clone, Copy)]
pub(crate) struct TaskContext {
    /// The user.
    pub(crate) uin: u64,
    /// When the task is worth nothing any more.
    pub(crate) deadline: Instant,
    /// Whether the server has already served a call of this task.
    pub(crate) continues_task: bool,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The last attempt was refused.
    Refused(Status),
    /// The last attempt was not answered in its time.
    TimedOut,
    /// The last attempt's connection failed.
    ConnectionLost,
}

/// All connections to one server; dropping it closes them.
pub(crate) struct Client {
    shared: Rc<Shared>,
    drivers: JoinSet<()>,
}

struct Shared {
    address: SocketAddr,
    recorder: Rc<Recorder>,
    connections: Vec<Connection>,
    pending: RefCell<HashMap<u32, Pending>>,
    next_call_id: Cell<u32>,
    rng: RefCell<StdRng>,
}

/// A connection, as those who send see it.
struct Connection {
    stream: RefCell<Option<Rc<TcpStream>>>,
    backlog: RefCell<Vec<u8>>,
    has_backlog: Notify,
}

struct Pending {
    connection: usize,
    answer: oneshot::Sender<Status>,
}

impl Client {
    /// Opens `count` connections.
    pub(crate) async fn connect(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            streams.push(open(address).await.with_context(|| format!("cannot connect to {address}"))?);
        }
        Ok(streams)
    }

    /// A client over these connections.
    pub(crate) fn new(address: SocketAddr, streams: Vec<TcpStream>, recorder: Rc<Recorder>) -> Client {
        let idle =
            || Connection { stream: RefCell::new(None), backlog: RefCell::new(Vec::new()), has_backlog: Notify::new() };
        let shared = Rc::new(Shared {
            address,
            recorder,
            connections: streams.iter().map(|_| idle()).collect(),
            pending: RefCell::new(HashMap::new()),
            next_call_id: Cell::new(1),
            rng: RefCell::new(StdRng::seed_from_u64(SEED + 1)),
        });
        let mut drivers = JoinSet::new();
        for (index, stream) in streams.into_iter().enumerate() {
            drivers.spawn_local(Rc::clone(&shared).drive(index, stream));
        }
        Client { shared, drivers }
    }

    /// What a task uses to call.
    pub(crate) fn caller(&self) -> Caller {
        Caller(Rc::clone(&self.shared))
    }

    /// Closes all connections. Panics if one of their drivers has.
    pub(crate) fn close(mut self) {
        while let Some(ended) = self.drivers.try_join_next() {
            pass_on_panic(ended);
        }
    }
}

/// Lets a panic of a task continue in its owner, so that none goes unnoticed.
pub(crate) fn pass_on_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Makes calls over a client's connections.
#[derive(Clone)]
pub(crate) struct Caller(Rc<Shared>);

impl Caller {
    /// A random user, who is never 0.
    pub(crate) fn random_uin(&self) -> u64 {
        self.0.rng.borrow_mut().random_range(1..=u64::MAX)
    }

    /// One call: up to three attempts, each over another connection, while there is time.
    pub(crate) async fn call(&self, task: &TaskContext) -> Result<(), CallError> {
        let mut result = Err(CallError::TimedOut);
        let mut connection = self.random_connection();
        for attempt in 0..ATTEMPTS {
            let budget = ATTEMPT_BUDGET.min(task.deadline.saturating_duration_since(Instant::now()));
            if budget.as_millis() == 0 {
                break;
            }
            result = self.attempt(connection, task, attempt, budget).await;
            match result {
                Ok(()) => break,
                Err(CallError::Refused(status)) if status.class() == Class::Deadline => break,
                Err(_) => connection = self.other_connection(connection),
            }
        }
        result
    }

    async fn attempt(
        &self,
        connection: usize,
        task: &TaskContext,
        attempt: u8,
        budget: Duration,
    ) -> Result<(), CallError> {
        let continues = if task.continues_task { Flags::CONTINUES_TASK } else { 0 };
        let request = Header {
            flags: Flags(continues).with_attempt(attempt),
            uin: task.uin,
            budget_ms: budget.as_millis() as u32,
            ..self.0.request()
        };
        let give_up = Instant::now() + budget;
        let answer = self.0.send(connection, &request).ok_or(CallError::ConnectionLost)?;
        match timeout_at(give_up.into(), answer).await {
            Ok(Ok(status)) if status.is_ok() => Ok(()),
            Ok(Ok(status)) => Err(CallError::Refused(status)),
            Ok(Err(_)) => Err(CallError::ConnectionLost),
            Err(_) => Err(CallError::TimedOut),
        }
    }

    /// One attempt over a random connection, with all the time that the task has.
    pub(crate) async fn call_once(&self, task: &TaskContext) -> Result<(), CallError> {
        let budget = task.deadline.saturating_duration_since(Instant::now());
        self.attempt(self.random_connection(), task, 0, budget).await
    }

    /// One request without a time limit over the connection with this index.
    pub(crate) async fn patient_call(&self, connection: usize) -> Result<(), CallError> {
        let request = Header { uin: self.random_uin(), budget_ms: u32::MAX, ..self.0.request() };
        let answer = self.0.send(connection, &request).ok_or(CallError::ConnectionLost)?;
        match answer.await {
            Ok(status) if status.is_ok() => Ok(()),
            Ok(status) => Err(CallError::Refused(status)),
            Err(_) => Err(CallError::ConnectionLost),
        }
    }

    fn random_connection(&self) -> usize {
        self.0.rng.borrow_mut().random_range(0..self.0.connections.len())
    }

    fn other_connection(&self, last: usize) -> usize {
        let count = self.0.connections.len();
        if count == 1 {
            return last;
        }
        (last + self.0.rng.borrow_mut().random_range(1..count)) % count
    }
}

impl Shared {
    fn request(&self) -> Header {
        let call_id = self.next_call_id.get();
        self.next_call_id.set(call_id.wrapping_add(1));
        Header::new(Kind::Request, call_id)
    }

    /// Sends a request; `None` if the connection is down.
    fn send(&self, connection: usize, request: &Header) -> Option<oneshot::Receiver<Status>> {
        let (answer, receiver) = oneshot::channel();
        self.connections[connection].write(&request.emit())?;
        self.pending.borrow_mut().insert(request.call_id, Pending { connection, answer });
        Some(receiver)
    }

    /// Runs one connection for ever: reads, writes, and opens it again when it breaks.
    async fn drive(self: Rc<Shared>, index: usize, mut stream: TcpStream) {
        let connection = &self.connections[index];
        loop {
            let current = Rc::new(stream);
            connection.stream.replace(Some(Rc::clone(&current)));
            // Either ends only when the connection breaks.
            tokio::select! {
                _ = self.read(&current) => {}
                _ = connection.flush(&current) => {}
            }
            connection.stream.replace(None);
            connection.backlog.borrow_mut().clear();
            // Dropping the senders tells the waiting attempts.
            self.pending.borrow_mut().retain(|_, pending| pending.connection != index);
            drop(current);
            stream = loop {
                match open(self.address).await {
                    Ok(stream) => break stream,
                    Err(_) => sleep(RECONNECT_PAUSE).await,
                }
            };
        }
    }

    async fn read(&self, stream: &TcpStream) -> io::Result<()> {
        let mut decoder = Decoder::new(Limits::of_body(MAX_BODY_LEN));
        let mut buffer = [0; READ_BUFFER_LEN];
        loop {
            stream.readable().await?;
            let len = match stream.try_read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let mut input = &buffer[..len];
            while !input.is_empty() {
                let step = decoder.next(input).map_err(io::Error::other)?;
                input = &input[step.used..];
                if let Some(Event::Header(header)) = step.event
                    && header.kind == Kind::Response
                {
                    self.answered(&header);
                }
            }
        }
    }

    fn answered(&self, response: &Header) {
        if let Some(pending) = self.pending.borrow_mut().remove(&response.call_id) {
            self.recorder.answer(response.status);
            // Nobody waits for a late answer.
            let _ = pending.answer.send(response.status);
        }
    }
}

impl Connection {
    /// Writes as much as the socket takes and leaves the rest to the driver; `None` if the connection is down.
    fn write(&self, frame: &[u8; HEADER_LEN]) -> Option<()> {
        let stream = self.stream.borrow();
        let stream = stream.as_ref()?;
        let mut backlog = self.backlog.borrow_mut();
        let mut written = 0;
        if backlog.is_empty() {
            match stream.try_write(frame) {
                Ok(len) => written = len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
        if written < frame.len() {
            backlog.extend_from_slice(&frame[written..]);
            self.has_backlog.notify_one();
        }
        Some(())
    }

    async fn flush(&self, stream: &TcpStream) -> io::Result<()> {
        loop {
            while self.backlog.borrow().is_empty() {
                self.has_backlog.notified().await;
            }
            stream.writable().await?;
            let mut backlog = self.backlog.borrow_mut();
            match stream.try_write(&backlog) {
                Ok(len) => drop(backlog.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Closed with a reset: thousands of connections would otherwise stay behind in TIME_WAIT.
    stream.set_zero_linger()?;
    Ok(stream)
}
