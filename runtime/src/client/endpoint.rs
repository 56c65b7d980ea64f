//! A server that is called: its connection, made when it is needed, and not again at once when it cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
    connection: ArcSwapOption<Connection>,
    /// Whoever makes the connection has it.
    attempts: Mutex<Attempts>,
    /// Somebody looks whether it is back.
    is_looked_for: AtomicBool,
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
    pub(crate) fn new(address: Address) -> Endpoint {
        Endpoint {
            address,
            connection: ArcSwapOption::empty(),
            attempts: Mutex::default(),
            is_looked_for: AtomicBool::new(false),
        }
    }

    /// A connection that takes calls.
    ///
    /// # Errors
    ///
    /// [`Status::CONNECT_FAILED`], [`Status::GOING_AWAY`], [`Status::TIMED_OUT`] if `deadline` came first.
    pub(crate) async fn connection(&self, dialer: &Dialer, deadline: Nanos) -> Result<Arc<Connection>, Status> {
        if let Some(connection) = self.usable()? {
            return Ok(connection);
        }
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
        matches!(self.usable(), Ok(Some(_)))
    }

    /// The connection that there is, if it takes calls.
    fn usable(&self) -> Result<Option<Arc<Connection>>, Status> {
        match self.connection.load_full() {
            Some(connection) if connection.is_usable() => Ok(Some(connection)),
            Some(connection) if connection.was_sent_away(clock::now()) => Err(Status::GOING_AWAY),
            _ => Ok(None),
        }
    }

    async fn dial(&self, dialer: &Dialer) -> Result<Arc<Connection>, Status> {
        let mut attempts = self.attempts.lock().await;
        // Somebody else may have made it meanwhile, or found out that it cannot be made.
        if let Some(connection) = self.usable()? {
            return Ok(connection);
        }
        if clock::now() < attempts.not_before {
            return Err(Status::CONNECT_FAILED);
        }
        self.dial_now(dialer, &mut attempts).await
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
            if matches!(self.usable(), Ok(Some(_))) || self.dial_now(dialer, &mut attempts).await.is_ok() {
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

    async fn dial_now(&self, dialer: &Dialer, attempts: &mut Attempts) -> Result<Arc<Connection>, Status> {
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
                self.connection.store(Some(connection.clone()));
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
        if let Some(connection) = self.connection.load_full() {
            connection.leave();
        }
    }
}
