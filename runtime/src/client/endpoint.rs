//! A server that is called: its connections, made when they are needed, and not again at once when they cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Limits;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connection::{Connection, GOING_AWAY_HOLD};
use crate::clock;
use crate::net::{Address, stream};

/// After a connection could not be made, the next attempt waits so long; twice as long after each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// While a server that goes away is waited for, it is looked for so often at least.
const LOOKED_FOR_EACH: Duration = Duration::from_millis(100);

/// A server that is called.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    connections: Box<[Place]>,
    /// The task that makes a connection has it.
    attempts: Mutex<Attempts>,
    /// Somebody looks whether it is back.
    is_looked_for: AtomicBool,
}

/// Where a connection is kept: locked while it is cloned, by those who are about to lock the connection itself for longer.
type Place = parking_lot::Mutex<Option<Arc<Connection>>>;

/// Numbers the threads that make calls.
static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = NEXT_THREAD.fetch_add(1, Relaxed);
}

#[derive(Debug, Default)]
struct Attempts {
    failed: u32,
    not_before: Nanos,
}

/// What every connection of a client is made with.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) caller: String,
    pub(crate) limits: Limits,
    pub(crate) connect_timeout: Duration,
    pub(crate) handle: Handle,
}

impl Endpoint {
    pub(crate) fn new(address: Address, connections: usize) -> Endpoint {
        let connections = (0..connections.max(1)).map(|_| Place::default()).collect();
        Endpoint { address, connections, attempts: Mutex::default(), is_looked_for: AtomicBool::new(false) }
    }

    /// Makes a connection that takes calls, or waits until somebody else has made it; for half the time until `deadline` at most, so
    /// that there is time to call another server. The connection is made all the same, by a task of its own: whoever stops waiting,
    /// or is not polled, keeps it from nobody, and what it ends with is remembered.
    ///
    /// # Errors
    ///
    /// [`Status::CONNECT_FAILED`], [`Status::GOING_AWAY`].
    pub(crate) async fn dial_until(
        self: Arc<Self>,
        dialer: Arc<Dialer>,
        deadline: Nanos,
    ) -> Result<Arc<Connection>, Status> {
        let patience = Duration::from_nanos(deadline.since(clock::now()) / 2);
        let dialed = {
            // The timer belongs to the client's runtime: the caller may have none.
            let (number, handle) = (self.place_number(), dialer.handle.clone());
            let _runtime = handle.enter();
            timeout(patience, tokio::spawn(async move { self.dial(&dialer, number).await }))
        };
        dialed.await.ok().and_then(Result::ok).unwrap_or(Err(Status::CONNECT_FAILED))
    }

    /// Whether there is a connection that takes calls.
    pub(crate) fn is_connected(&self) -> bool {
        self.connections.iter().any(|place| place.lock().as_ref().is_some_and(|known| known.is_usable()))
    }

    /// The connection that there is for this thread's calls, if it takes any.
    ///
    /// # Errors
    ///
    /// [`Status::GOING_AWAY`]: the server should be left alone for a while.
    pub(crate) fn usable(&self, now: Nanos) -> Result<Option<Arc<Connection>>, Status> {
        usable(&self.connections[self.place_number()], now)
    }

    /// Where the connection for this thread's calls is kept.
    fn place_number(&self) -> usize {
        match self.connections.len() {
            1 => 0,
            all => THREAD.with(|number| number % all),
        }
    }

    async fn dial(&self, dialer: &Dialer, place_number: usize) -> Result<Arc<Connection>, Status> {
        let place = &self.connections[place_number];
        let mut attempts = self.attempts.lock().await;
        // Somebody else may have made it meanwhile, or found out that it cannot be made.
        if let Some(connection) = usable(place, clock::now())? {
            return Ok(connection);
        }
        if clock::now() < attempts.not_before {
            return Err(Status::CONNECT_FAILED);
        }
        self.dial_now(dialer, place, &mut attempts).await
    }

    /// Waits until a server that goes away listens again, or another one in its place, as long as it is left alone. Whether it does;
    /// and whether it was this call that found out.
    pub(crate) async fn comes_back(&self, dialer: &Dialer) -> bool {
        if self.is_looked_for.swap(true, Relaxed) {
            return false;
        }
        let give_up_at = clock::now().plus(GOING_AWAY_HOLD.as_nanos() as u64);
        let mut pause = FIRST_BACKOFF;
        let is_back = loop {
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LOOKED_FOR_EACH);
            let mut attempts = self.attempts.lock().await;
            let place = &self.connections[self.place_number()];
            let is_there = matches!(usable(place, clock::now()), Ok(Some(_)));
            if is_there || self.dial_now(dialer, place, &mut attempts).await.is_ok() {
                self.forget_ended();
                break true;
            }
            // It says nothing of a server that is not back yet.
            *attempts = Attempts::default();
            if clock::now() >= give_up_at {
                break false;
            }
        };
        self.is_looked_for.store(false, Relaxed);
        is_back
    }

    /// The connections of other threads are made anew when they are needed.
    fn forget_ended(&self) {
        self.connections.iter().for_each(|place| drop(place.lock().take_if(|known| !known.is_usable())));
    }

    /// On the client's runtime, whose thread watches the socket.
    async fn dial_now(
        &self,
        dialer: &Dialer,
        place: &Place,
        attempts: &mut Attempts,
    ) -> Result<Arc<Connection>, Status> {
        match timeout(dialer.connect_timeout, stream::connect(&self.address)).await {
            Ok(Ok((read, write))) => {
                *attempts = Attempts::default();
                let connection = Connection::start(read, write, &dialer.caller, dialer.limits, &dialer.handle);
                *place.lock() = Some(connection.clone());
                Ok(connection)
            }
            _ => {
                let backoff = FIRST_BACKOFF.saturating_mul(1 << attempts.failed.min(10)).min(LONGEST_BACKOFF);
                attempts.failed += 1;
                attempts.not_before = clock::now().plus(backoff.as_nanos() as u64);
                Err(Status::CONNECT_FAILED)
            }
        }
    }
}

fn usable(place: &Place, now: Nanos) -> Result<Option<Arc<Connection>>, Status> {
    match &*place.lock() {
        Some(connection) if connection.is_usable() => Ok(Some(connection.clone())),
        Some(connection) if connection.was_sent_away(now) => Err(Status::GOING_AWAY),
        _ => Ok(None),
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        for connection in self.connections.iter_mut().filter_map(|place| place.get_mut().take()) {
            connection.leave();
        }
    }
}
