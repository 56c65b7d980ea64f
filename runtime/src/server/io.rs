//! An IO thread: connections, each a task that reads and answers, and a look at all of them once a second.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mcrpc_core::time::Nanos;
use slab::Slab;
use tokio::sync::mpsc::UnboundedReceiver;

use super::connection::Connection;
use super::intake::{Intake, MAX_ANSWERS, Turn};
use super::job::{Jobs, Parcel};
use super::listener::Accepted;
use super::pool::Pool;
use super::protocol::Protocol;
use super::shared::Shared;
use crate::clock;
use crate::net::outbox::Flushed;
use crate::net::stream::ReadHalf;
use crate::stats::handled::Batch;

/// Bytes read at once, for all connections of the thread.
const READ_BUFFER: usize = 64 << 10;
/// Reads from one connection before the others have their turn.
const MAX_READS: u32 = 4;
/// A buffer of answers that has grown beyond this is not kept.
const KEPT_ANSWERS: usize = 256 << 10;
/// How often each connection is looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// How often the operator is asked: a kill switch takes force within twice that.
const HEED: Duration = Duration::from_millis(50);
/// How often the host is told what admission does.
const REPORT: Duration = Duration::from_millis(200);
/// How often, while the server ends.
const DRAIN_TICK: Duration = Duration::from_millis(10);
/// So long callers have to notice that the server goes away, and to hang up, when all is answered.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// An IO thread.
pub(crate) struct IoThread {
    pub(super) shared: Arc<Shared>,
    number: usize,
    connections: RefCell<Slab<Rc<Watched>>>,
    buffers: RefCell<Buffers>,
    /// The task that hands requests to the workers.
    handing_over: RefCell<Waker>,
}

/// What is used for one read at a time.
struct Buffers {
    input: Box<[u8]>,
    out: Vec<u8>,
    jobs: Jobs,
    displaced: Vec<Parcel>,
    handled: Batch,
}

/// What is looked at once a second.
struct Watched {
    connection: Arc<Connection>,
    /// Since when the rest of a frame is waited for.
    unfinished: Cell<Option<Nanos>>,
    /// Since when the socket takes no answers.
    blocked: Cell<Option<Nanos>>,
}

impl IoThread {
    pub(crate) fn new(shared: Arc<Shared>, number: usize) -> Rc<IoThread> {
        let buffers = Buffers {
            input: vec![0; READ_BUFFER].into(),
            out: Vec::new(),
            jobs: Jobs::default(),
            displaced: Vec::new(),
            handled: Batch::default(),
        };
        Rc::new(IoThread {
            shared,
            number,
            connections: RefCell::default(),
            buffers: RefCell::new(buffers),
            handing_over: RefCell::new(Waker::noop().clone()),
        })
    }

    /// Serves connections until the server is told to end, and then until all is answered.
    pub(crate) async fn run(self: Rc<Self>, mut accepted: UnboundedReceiver<Accepted>) {
        tokio::task::spawn_local(self.clone().hand_over());
        let mut sweep = tokio::time::interval(SWEEP);
        let mut heed = tokio::time::interval(HEED);
        let mut report = tokio::time::interval(REPORT);
        loop {
            let told_to_end = self.shared.told_to_end.notified();
            if self.shared.is_draining.load(Relaxed) {
                break;
            }
            tokio::select! {
                biased;
                () = told_to_end => {}
                next = accepted.recv() => match next {
                    Some(stream) => self.serve(stream),
                    None => break,
                },
                _ = sweep.tick() => self.sweep(clock::now()),
                _ = heed.tick(), if self.number == 0 => self.shared.heed_operator(),
                _ = report.tick(), if self.number == 0 => self.shared.report(clock::now()),
            }
        }
        self.drain(accepted).await;
    }

    /// Hands requests to the workers whenever all connections have been read that had something to say: so many connections
    /// wake a worker once.
    async fn hand_over(self: Rc<Self>) {
        poll_fn(|cx| {
            self.handing_over.borrow_mut().clone_from(cx.waker());
            let Buffers { jobs, displaced, .. } = &mut *self.buffers.borrow_mut();
            let Jobs { by_pool, spare, .. } = jobs;
            for (jobs, pool) in by_pool.iter_mut().zip([&self.shared.workers, &self.shared.blocking]) {
                if !jobs.is_empty() {
                    pool.put(jobs, spare, displaced, &self.shared.methods);
                }
            }
            Poll::Pending
        })
        .await
    }

    fn serve(self: &Rc<Self>, stream: Accepted) {
        let (read, write) = match stream.split() {
            Ok(halves) => halves,
            Err(error) => {
                tracing::warn!(%error, "a connection is closed: its socket cannot be watched");
                self.shared.connections.fetch_sub(1, Relaxed);
                return;
            }
        };
        let connection = Arc::new(Connection::new(write));
        let watched =
            Rc::new(Watched { connection: connection.clone(), unfinished: Cell::new(None), blocked: Cell::new(None) });
        let key = self.connections.borrow_mut().insert(watched.clone());
        let shown = self.shared.observed.connections.lock().insert(connection.clone());
        let protocol = Protocol::new(Intake::new(connection));
        let mut task = Task { protocol, read, unread: Vec::new(), watched, has_ended: false };
        let io = self.clone();
        tokio::task::spawn_local(async move {
            poll_fn(|cx| task.poll(&io, cx)).await;
            let Task { protocol, read, watched, .. } = task;
            #[cfg(feature = "grpc")]
            if let Protocol::Http2(intake, begin) = protocol {
                super::grpc::serve(&io, intake, begin, read).await;
            }
            #[cfg(not(feature = "grpc"))]
            drop((protocol, read));
            watched.connection.close();
            // A handler that does not end has the connection too: its peer is not to wait for that.
            watched.connection.write.shut_down();
            io.connections.borrow_mut().remove(key);
            io.shared.observed.connections.lock().remove(shown);
            io.shared.connections.fetch_sub(1, Relaxed);
        });
    }

    /// Takes a request that was not read here. What was answered at once is given back.
    #[cfg(feature = "grpc")]
    pub(super) fn turn(&self, connection: &Connection, take: impl FnOnce(&mut Turn<'_>)) -> Vec<u8> {
        let Buffers { out, jobs, handled, .. } = &mut *self.buffers.borrow_mut();
        take(&mut Turn::new(&self.shared, connection, out, jobs, handled));
        if !handled.is_empty() {
            handled.count_ended(&self.shared.methods);
            handled.count_written(&self.shared.methods, clock::now());
        }
        if !jobs.is_empty() {
            self.handing_over.borrow().wake_by_ref();
        }
        std::mem::take(out)
    }

    /// Closes connections on which nothing happens, or on which the caller keeps the server waiting.
    fn sweep(&self, now: Nanos) {
        if self.number == 0 {
            self.shared.follow_settings();
        }
        self.shared.follow_host();
        self.shared.pools().into_iter().for_each(Pool::observe);
        self.shared.observed.window.observe(now, self.shared.methods.iter().map(|method| &method.stats));
        let live = self.shared.live();
        for (_, watched) in self.connections.borrow().iter() {
            let is_blocked = watched.connection.outbox.is_blocked();
            watched.blocked.set(is_blocked.then(|| watched.blocked.get().unwrap_or(now)));
            let is_over = |since: Nanos, limit: Duration| u128::from(now.since(since)) >= limit.as_nanos();
            let stalls = [watched.unfinished.get(), watched.blocked.get()];
            let is_stalled = stalls.iter().flatten().any(|&since| is_over(since, live.stall_timeout));
            let is_idle =
                watched.connection.open_calls() == 0 && is_over(watched.connection.active(), live.idle_timeout);
            if is_stalled || is_idle {
                watched.connection.close();
            }
        }
    }

    /// Says to all callers that nothing more is taken, and waits until what was taken is answered.
    async fn drain(self: Rc<Self>, mut accepted: UnboundedReceiver<Accepted>) {
        let began = clock::now();
        let limit_ns = self.shared.config.drain_timeout.as_nanos();
        while !self.shared.is_dropped.load(Relaxed) {
            // The listeners hand over what has connected before they close.
            while let Ok(stream) = accepted.try_recv() {
                self.serve(stream);
            }
            let mut all_answered = true;
            for (_, watched) in self.connections.borrow().iter() {
                watched.connection.reader.wake();
                all_answered &= watched.connection.is_done();
            }
            tokio::time::sleep(DRAIN_TICK).await;
            let elapsed_ns = u128::from(clock::now().since(began));
            let is_alone = self.connections.borrow().is_empty();
            if is_alone || (all_answered && elapsed_ns >= DRAIN_GRACE.as_nanos()) || elapsed_ns >= limit_ns {
                break;
            }
        }
        self.connections.borrow().iter().for_each(|(_, watched)| watched.connection.close());
        while !self.connections.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// What a connection had to say.
enum Read {
    Some,
    /// Nothing for now.
    Nothing,
    /// Nothing any more.
    End,
    /// It is of no use any more, at least not here.
    Broken,
}

/// The task of one connection.
struct Task {
    protocol: Protocol,
    read: ReadHalf,
    /// What was read and not looked at: there were too many answers to write.
    unread: Vec<u8>,
    watched: Rc<Watched>,
    /// The caller sends nothing more, but may wait for answers.
    has_ended: bool,
}

impl Task {
    /// Goes on until there is nothing to do; ready when the connection is over.
    fn poll(&mut self, io: &IoThread, cx: &mut Context<'_>) -> Poll<()> {
        let connection = self.watched.connection.clone();
        connection.reader.register(cx.waker());
        let buffers = &mut *io.buffers.borrow_mut();
        if io.shared.is_draining.load(Relaxed) {
            self.protocol.go_away(&mut buffers.out);
            self.send(&mut buffers.out);
        }
        let mut reads = 0;
        loop {
            if connection.is_closed() {
                return Poll::Ready(());
            }
            if connection.outbox.is_blocked() {
                match connection.write.poll_writable(cx) {
                    Poll::Ready(Ok(())) => {
                        connection.outbox.unblock();
                        connection.flush();
                        self.watched.blocked.set(None);
                        continue;
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending if connection.outbox.len() > io.shared.live().max_unsent => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            if self.has_ended {
                if connection.open_calls() > 0 {
                    return Poll::Pending;
                }
                // The worker that answered last may be busy already.
                match connection.outbox.flush(&connection.write) {
                    Flushed::Done if connection.outbox.is_quiet() => return Poll::Ready(()),
                    // Whoever writes wakes this task when it is done.
                    Flushed::Done => return Poll::Pending,
                    Flushed::Blocked => continue,
                    Flushed::Broken => return Poll::Ready(()),
                }
            }
            if reads >= MAX_READS {
                // The others have something to say too.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let read = self.read(io, cx, buffers, &mut reads);
            buffers.handled.count_ended(&io.shared.methods);
            let is_blocked = self.send(&mut buffers.out);
            if !buffers.handled.is_empty() {
                buffers.handled.count_written(&io.shared.methods, clock::now());
            }
            if !buffers.jobs.is_empty() {
                io.handing_over.borrow().wake_by_ref();
            }
            match read {
                Read::Some => {}
                // Around once more: it is to be woken when the socket takes more.
                Read::Nothing if is_blocked => {}
                Read::Nothing => return Poll::Pending,
                Read::End => {
                    self.has_ended = true;
                    connection.peer_ended();
                }
                Read::Broken => return Poll::Ready(()),
            }
        }
    }

    /// Takes what was read: of a peer that sends more than a buffer holds several of them, so that the answers are written together.
    fn read(&mut self, io: &IoThread, cx: &mut Context<'_>, buffers: &mut Buffers, reads: &mut u32) -> Read {
        let Buffers { input, out, jobs, handled, .. } = buffers;
        loop {
            *reads += 1;
            let unread = std::mem::take(&mut self.unread);
            let got = if unread.is_empty() {
                let len = match self.read.poll_read(cx, input) {
                    Poll::Pending => return Read::Nothing,
                    Poll::Ready(Ok(0)) => return Read::End,
                    Poll::Ready(Ok(len)) => len,
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => return Read::Some,
                    Poll::Ready(Err(_)) => return Read::Broken,
                };
                &input[..len]
            } else {
                &unread[..]
            };
            let mut turn = Turn::new(&io.shared, &self.watched.connection, out, jobs, handled);
            self.watched.connection.read_at(turn.now());
            let end = self.protocol.read(got, &mut turn);
            drop(turn);
            #[cfg(feature = "grpc")]
            if let Protocol::Http2(..) = self.protocol {
                return Read::Broken;
            }
            self.watched.unfinished.set(self.protocol.waits_since());
            match end {
                Ok(used) if used < got.len() => {
                    self.unread = got[used..].to_vec();
                    return Read::Some;
                }
                Ok(_) => {}
                Err(status) => {
                    tracing::debug!(%status, "a connection is closed: its peer broke the rules");
                    return Read::Broken;
                }
            }
            if got.len() < READ_BUFFER || *reads >= MAX_READS || out.len() >= MAX_ANSWERS {
                return Read::Some;
            }
        }
    }

    /// Writes answers. Whether the socket takes no more for now.
    fn send(&self, out: &mut Vec<u8>) -> bool {
        if out.is_empty() {
            return false;
        }
        let connection = &self.watched.connection;
        let flushed = connection.outbox.send(out, &connection.write, || {});
        if flushed == Flushed::Broken {
            connection.close();
        }
        if out.capacity() > KEPT_ANSWERS {
            *out = Vec::new();
        }
        flushed == Flushed::Blocked
    }
}
