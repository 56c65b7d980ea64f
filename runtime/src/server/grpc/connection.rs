//! The connection: accepts calls, hands answers to them, and goes away.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::{Builder, Connection as Http2Connection};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::answers::{self, Answer};
use super::call;
use super::socket::Socket;
use crate::net::stream::ReadHalf;
use crate::server::connection::Connection;
use crate::server::intake::{Intake, Turn};
use crate::server::io::IoThread;

/// What a caller may send before it is read: of one call, and of all.
const CALL_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The headers of one call.
const MAX_HEADERS: u32 = 16 << 10;

/// What HTTP/2 has of a connection: other threads look at it.
#[derive(Debug, Default)]
pub(crate) struct Http2 {
    /// Bytes of answers that it has, and that are not written.
    unsent: Arc<AtomicUsize>,
    /// Calls that are not answered.
    calls: AtomicU32,
}

impl Http2 {
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.load(Relaxed)
    }

    /// Whether all is answered, and written.
    pub(crate) fn is_done(&self) -> bool {
        self.calls.load(SeqCst) == 0 && self.unsent() == 0
    }
}

/// A call that is not answered; it is when this is dropped.
pub(super) struct Open(Arc<Http2>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}

/// What the calls of a connection share.
pub(super) struct Carrier {
    pub(super) io: Rc<IoThread>,
    pub(super) connection: Arc<Connection>,
    http2: Arc<Http2>,
    intake: RefCell<Intake>,
    /// Calls that workers have, by their ids.
    waiting: RefCell<HashMap<u32, oneshot::Sender<Answer>>>,
}

impl Carrier {
    pub(super) fn open(&self) -> Open {
        self.http2.calls.fetch_add(1, SeqCst);
        Open(self.http2.clone())
    }

    /// Has the intake do something. What it answers at once, if it does.
    pub(super) fn turn<R>(&self, act: impl FnOnce(&mut Intake, &mut Turn<'_>) -> R) -> (R, Option<Answer>) {
        let mut done = None;
        let frames = self.io.turn(&self.connection, |turn| done = Some(act(&mut self.intake.borrow_mut(), turn)));
        let answer = answers::read(frames, &self.http2.unsent).pop().map(|(_, answer)| answer);
        (done.expect("a turn is taken at once"), answer)
    }

    /// The answer of a worker, when there is one.
    pub(super) fn wait(&self, call_id: u32) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(call_id, sender);
        receiver
    }

    /// Nobody waits any more for the answer to this call.
    pub(super) fn cancel(&self, call_id: u32) {
        self.waiting.borrow_mut().remove(&call_id);
        self.connection.cancel(call_id);
    }

    /// Hands what workers have answered to their calls.
    fn deliver(&self) {
        let frames = self.connection.outbox.take();
        if frames.is_empty() {
            return;
        }
        for (call_id, answer) in answers::read(frames, &self.http2.unsent) {
            if let Some(waiting) = self.waiting.borrow_mut().remove(&call_id) {
                // A call that was reset meanwhile wants none.
                let _ = waiting.send(answer);
            }
        }
    }

    /// Whether the caller has to read answers before anything more is taken from it.
    fn is_full(&self) -> bool {
        self.http2.unsent() > self.io.shared.live().max_unsent
    }
}

/// Serves a connection, of which `begin` was read, until it is over.
pub(crate) async fn serve(io: &Rc<IoThread>, intake: Intake, begin: Vec<u8>, read: ReadHalf) {
    let connection = intake.connection.clone();
    let http2 = connection.http2.get_or_init(Arc::default).clone();
    let socket = Socket::new(begin, read, connection.clone());
    let carrier = Rc::new(Carrier {
        io: io.clone(),
        connection,
        http2,
        intake: RefCell::new(intake),
        waiting: RefCell::default(),
    });
    let shared = &io.shared;
    let mut settings = Builder::new();
    settings.initial_window_size(CALL_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    settings.max_header_list_size(MAX_HEADERS);
    if shared.config.limits.max_open_calls > 0 {
        settings.max_concurrent_streams(shared.config.limits.max_open_calls);
    }
    let stall_timeout = shared.live().stall_timeout;
    let handshake = tokio::time::timeout(stall_timeout, settings.handshake(socket));
    let Some(Ok(Ok(http2))) = until_closed(&carrier.connection, handshake).await else { return };
    let mut serving = Serving { carrier, http2, calls: JoinSet::new(), goes_away: false };
    poll_fn(|cx| serving.poll(cx)).await;
}

/// What comes of a future, unless the connection is closed first.
async fn until_closed<F: Future>(connection: &Connection, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        connection.reader.register(cx.waker());
        if connection.is_closed() { Poll::Ready(None) } else { future.as_mut().poll(cx).map(Some) }
    })
    .await
}

/// A connection that is served.
struct Serving {
    carrier: Rc<Carrier>,
    http2: Http2Connection<Socket, Bytes>,
    /// Dropping it ends them all.
    calls: JoinSet<()>,
    goes_away: bool,
}

impl Serving {
    /// Goes on until there is nothing to do; ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Serving { carrier, http2, calls, goes_away } = self;
        carrier.connection.reader.register(cx.waker());
        if carrier.connection.is_closed() {
            http2.abrupt_shutdown(h2::Reason::NO_ERROR);
            let _ = http2.poll_closed(cx);
            return Poll::Ready(());
        }
        if carrier.io.shared.is_draining.load(Relaxed) && !std::mem::replace(goes_away, true) {
            // Calls that are under way, or were sent before the caller hears of it, are answered.
            http2.graceful_shutdown();
        }
        carrier.deliver();
        while calls.try_join_next().is_some() {}
        loop {
            if carrier.is_full() {
                // Answers are written, and no calls are accepted.
                if http2.poll_closed(cx).is_ready() {
                    return Poll::Ready(());
                }
                if carrier.is_full() {
                    return Poll::Pending;
                }
            }
            match http2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    calls.spawn_local(call::run(carrier.clone(), request, respond));
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a connection is closed: its peer broke the rules of HTTP/2");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
