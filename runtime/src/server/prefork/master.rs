//! The master: it starts children, replaces those that die, and tells them to end.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::runtime;
use tokio::sync::watch;

use super::super::StartError;
use super::super::config::Config;
use super::super::controller::Controller;
use super::super::listener::Listener;
use super::super::segment::Segment;
use super::handoff::{END_GRACE, Handoff, READY, is_first_server};
use crate::net::Address;

/// So long a child has to begin to serve.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A child that lived for so long is replaced at once.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How long the replacement of a child waits that did not; doubled each time.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(10)];
/// So long connections wait for a replacement; when it takes longer, others get them.
const HELD_AT_MOST: Duration = Duration::from_secs(1);
/// The longest reason that is heard of a child that does not start.
const MAX_SAID: u64 = 4 << 10;

/// The master of a server's processes.
pub(crate) struct Master {
    plan: Arc<Plan>,
    order: watch::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// What the master wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Serve,
    Drain,
    Kill,
}

/// What each child is started with.
struct Plan {
    handoff: Handoff,
    segment: Segment,
    /// They hold the addresses until the server ends.
    reserved: Mutex<Vec<Listener>>,
    drain_timeout: Duration,
}

/// By which a child says once that it serves, or why it does not.
type Started = mpsc::Sender<Result<(), String>>;

impl Master {
    /// Starts the children, and returns when they serve.
    ///
    /// # Errors
    ///
    /// Why one of them does not; then none is left.
    pub(crate) fn start(
        config: &Config,
        segment: Segment,
        reserved: Vec<Listener>,
        addresses: &[Address],
        settings: Option<String>,
    ) -> Result<Master, StartError> {
        if !is_first_server() {
            let reason = "processes: only one server of a program can have several, and one was started before";
            return Err(StartError::Config(reason.to_owned()));
        }
        let handoff = Handoff {
            number: 0,
            processes: config.processes,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            settings,
        };
        let plan =
            Arc::new(Plan { handoff, segment, reserved: Mutex::new(reserved), drain_timeout: config.drain_timeout });
        let (order, heard) = watch::channel(Order::Serve);
        let (started, starts) = mpsc::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("master".to_owned()).spawn({
            let plan = plan.clone();
            move || {
                let numbers = 0..plan.handoff.processes;
                let keepers: Vec<_> = numbers
                    .map(|number| runtime.spawn(keep(plan.clone(), number, heard.clone(), started.clone())))
                    .collect();
                drop(started);
                runtime.block_on(async move {
                    for keeper in keepers {
                        // One that panicked has said so.
                        let _ = keeper.await;
                    }
                });
            }
        })?;
        let mut master = Master { plan, order, thread: Some(thread) };
        let until = Instant::now() + START_TIMEOUT;
        for _ in 0..config.processes {
            let start = starts.recv_timeout(until.saturating_duration_since(Instant::now()));
            let start = start.unwrap_or_else(|_| Err(format!("no sign of it after {} s", START_TIMEOUT.as_secs())));
            if let Err(reason) = start {
                master.kill();
                master.end();
                return Err(StartError::Process(format!("a process of the server did not start: {reason}")));
            }
        }
        Ok(master)
    }

    /// The controllers that all processes share.
    pub(crate) fn controllers(&self) -> &[Controller; 3] {
        &self.plan.segment.controllers
    }

    /// Nobody is waited for.
    pub(crate) fn kill(&self) {
        self.order.send_replace(Order::Kill);
    }

    /// Drains all children, and waits for them.
    pub(crate) fn end(&mut self) {
        self.order.send_if_modified(|order| {
            let is_new = *order == Order::Serve;
            if is_new {
                *order = Order::Drain;
            }
            is_new
        });
        self.plan.reserved.lock().clear();
        // A thread that panicked has said so.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Keeps the process with this number alive, until the master wants something else.
async fn keep(plan: Arc<Plan>, number: usize, mut order: watch::Receiver<Order>, started: Started) {
    let mut started = Some(started);
    let mut pause = Duration::ZERO;
    // Held here, so that connections which a process that dies has not accepted wait for the next one.
    let mut sockets = None;
    loop {
        let began = Instant::now();
        let end =
            live(&plan, number, &mut sockets, &mut order, &mut started).await.unwrap_or_else(|error| error.to_string());
        plan.segment.process_lost(number as u32);
        if *order.borrow() != Order::Serve {
            return;
        }
        if let Some(started) = started.take() {
            // It never served. Whoever started the server may have given up.
            let _ = started.send(Err(end));
            return;
        }
        let [shortest, longest] = PAUSES;
        pause = if began.elapsed() < STABLE_AFTER { (pause * 2).clamp(shortest, longest) } else { Duration::ZERO };
        if pause > HELD_AT_MOST {
            sockets = None;
        }
        tracing::warn!(number, %end, ?pause, "a process of the server has ended: another takes its place");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = order.wait_for(|order| *order != Order::Serve) => return,
        }
    }
}

/// The life of one process, and how it ended.
async fn live(
    plan: &Plan,
    number: usize,
    sockets: &mut Option<Vec<Listener>>,
    order: &mut watch::Receiver<Order>,
    started: &mut Option<Started>,
) -> io::Result<String> {
    if sockets.is_none() {
        *sockets = Some(plan.reserved.lock().iter().map(Listener::share).collect::<io::Result<_>>()?);
    }
    let (mut child, control) = plan.spawn(number, sockets.as_deref().unwrap_or_default())?;
    let (heard, mut told) = control.into_split();
    let mut heard = heard.take(MAX_SAID);
    let (mut said, mut goes_on) = (Vec::new(), true);
    let ended = loop {
        tokio::select! {
            status = child.wait() => break Some(status?),
            // What is wanted last is looked at below; the sender lives as long as this.
            _ = order.wait_for(|order| *order != Order::Serve) => break None,
            len = heard.read_buf(&mut said), if goes_on => {
                goes_on = len.is_ok_and(|len| len > 0);
                if said.starts_with(READY) && let Some(started) = started.take() {
                    // Whoever started the server may have given up.
                    let _ = started.send(Ok(()));
                }
            }
        }
    };
    if let Some(status) = ended {
        // What it said last may still lie in the socket.
        let _ = heard.read_to_end(&mut said).await;
        let reason = String::from_utf8_lossy(said.strip_prefix(READY).unwrap_or(&said)).into_owned();
        return Ok(if reason.is_empty() { status.to_string() } else { reason });
    }
    // It accepts what waits, and nobody after that.
    *sockets = None;
    // To end is said by saying nothing more.
    let _ = told.shutdown().await;
    let has_time = *order.borrow() == Order::Drain;
    let patience = if has_time { plan.drain_timeout + END_GRACE } else { Duration::ZERO };
    match tokio::time::timeout(patience, child.wait()).await {
        Ok(status) => Ok(status?.to_string()),
        Err(_) => {
            if has_time {
                tracing::warn!(number, "a process of the server has not ended in time: it is killed");
            }
            child.kill().await?;
            Ok("killed".to_owned())
        }
    }
}

impl Plan {
    fn spawn(&self, number: usize, sockets: &[Listener]) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let handoff = Handoff { number, ..self.handoff.clone() };
        let mut command = Command::from(handoff.command(theirs.into(), self.segment.as_fd(), sockets)?);
        let child = command.kill_on_drop(true).spawn()?;
        Ok((child, UnixStream::from_std(ours)?))
    }
}
