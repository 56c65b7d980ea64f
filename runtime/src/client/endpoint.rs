//! A server that is called: its connections, made when they are needed, and not again at once when they cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
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
    connections: Box<[ArcSwapOption<Connection>]>,
    /// Whoever makes a connection has it.
    attempts: Mutex<Attempts>,
    /// Somebody looks whether it is back.
    is_looked_for: AtomicBool,
}

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
        let connections = (0..connections.max(1)).map(|_| ArcSwapOption::empty()).collect();
        Endpoint { address, connections, attempts: Mutex::default(), is_looked_for: AtomicBool::new(false) }
    }

    /// Makes a connection that takes calls, or waits until somebody else has made it.
    ///
    /// # Errors
    ///
    /// [`Status::CONNECT_FAILED`], [`Status::GOING_AWAY`], [`Status::TIMED_OUT`] if `deadline` came first.
    pub(crate) async fn dial_until(&self, dialer: &Dialer, deadline: Nanos) -> Result<Arc<Connection>, Status> {
        let left = Duration::from_nanos(deadline.since(clock::now()));
        // The timer belongs to the client's runtime: the caller may have none.
        let sooner = {
            let _runtime = dialer.handle.enter();
            timeout(left, self.dial(dialer))
        };
        sooner.await.unwrap_or(Err(Status::TIMED_OUT))
    }

    /// Whether there is a connection that takes calls.
    pub(crate) fn is_connected(&self) -> bool {
        let usable = |place: &ArcSwapOption<Connection>| place.load().as_ref().is_some_and(|known| known.is_usable());
        self.connections.iter().any(usable)
    }

    /// The connection that there is for this thread's calls, if it takes any.
    ///
    /// # Errors
    ///
    /// [`Status::GOING_AWAY`]: the server should be left alone for a while.
    pub(crate) fn usable(&self, now: Nanos) -> Result<Option<Arc<Connection>>, Status> {
        match &*self.place().load() {
            Some(connection) if connection.is_usable() => Ok(Some(connection.clone())),
            Some(connection) if connection.was_sent_away(now) => Err(Status::GOING_AWAY),
            _ => Ok(None),
        }
    }

    /// Where the connection for this thread's calls is kept.
    fn place(&self) -> &ArcSwapOption<Connection> {
        match &*self.connections {
            [only] => only,
            all => &all[THREAD.with(|number| number % all.len())],
        }
    }

    async fn dial(&self, dialer: &Dialer) -> Result<Arc<Connection>, Status> {
        let place = self.place();
        let mut attempts = self.attempts.lock().await;
        // Somebody else may have made it meanwhile, or found out that it cannot be made.
        if let Some(connection) = self.usable(clock::now())? {
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
            let is_there = matches!(self.usable(clock::now()), Ok(Some(_)));
            if is_there || self.dial_now(dialer, self.place(), &mut attempts).await.is_ok() {
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
        let is_ended =
            |place: &&ArcSwapOption<Connection>| place.load().as_ref().is_some_and(|known| !known.is_usable());
        self.connections.iter().filter(is_ended).for_each(|place| place.store(None));
    }

    async fn dial_now(
        &self,
        dialer: &Dialer,
        place: &ArcSwapOption<Connection>,
        attempts: &mut Attempts,
    ) -> Result<Arc<Connection>, Status> {
        let dialed = {
            // On the client's runtime, whose thread watches the socket.
            let address = self.address.clone();
            let dialing = timeout(dialer.connect_timeout, async move { stream::connect(&address).await });
            dialer.handle.spawn(dialing).await
        };
        match dialed {
            Ok(Ok(Ok((read, write)))) => {
                *attempts = Attempts::default();
                let connection = Connection::start(read, write, &dialer.caller, dialer.limits, &dialer.handle);
                place.store(Some(connection.clone()));
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

impl Drop for Endpoint {
    fn drop(&mut self) {
        for connection in self.connections.iter().filter_map(ArcSwapOption::load_full) {
            connection.leave();
        }
    }
}
