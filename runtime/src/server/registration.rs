//! A server that tells the host's agent that it is there, once a second for as long as it serves, and at last that it ends.
//!
//! The agent passes it on to all hosts, and takes it away when it has heard nothing for a few seconds. An agent that dies, or
//! comes later, is told with the next second; nothing in the server waits for it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mcrpc_agent::names::socket_of;

use super::StartError;
use crate::client::Client;
use crate::host::Host;
use crate::net::Address;

const EACH: Duration = Duration::from_secs(1);
/// For so long it stays registered when it says nothing: some words may be lost.
const HOLDS_MS: u32 = 5_000;
const TOLD_WITHIN: Duration = Duration::from_millis(500);
const AGENT: &str = "mcrpc.Names";

/// The thread that tells the agent. Dropped, the server is registered no longer.
pub(super) struct Registration {
    /// Dropped, it ends the thread.
    until: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Registration {
    /// Tells the agent of this host from now on.
    ///
    /// # Errors
    ///
    /// No address of TCP that others could call, or no thread.
    pub(super) fn start(host: &Host, services: &[String], addresses: &[Address]) -> Result<Registration, StartError> {
        let entries: Vec<String> = addresses
            .iter()
            .filter(|address| matches!(address, Address::Tcp(_)))
            .flat_map(|address| services.iter().map(move |service| format!("{service} {address}")))
            .collect();
        if entries.is_empty() {
            return Err(StartError::Config(
                "register() needs an address that other hosts can call: listen on TCP".to_owned(),
            ));
        }
        let socket = format!("unix:{}", socket_of(host.directory()).display());
        let client = Client::builder("mcrpc").service(AGENT, [socket]).build();
        let client = client.map_err(|error| StartError::Config(format!("register(): {error}")))?;
        let (until, ended) = channel();
        let thread = thread::Builder::new().name("mcrpc-register".to_owned());
        let thread = thread.spawn(move || tell(&client, &entries, &ended))?;
        Ok(Registration { until: Some(until), thread: Some(thread) })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.until = None;
        // One that panicked has said so.
        self.thread.take().into_iter().for_each(|thread| _ = thread.join());
    }
}

fn tell(client: &Client, entries: &[String], ended: &Receiver<()>) {
    let say = |method: &str, text: String| client.call(AGENT, method, text).timeout(TOLD_WITHIN).wait();
    let mut last_said = None;
    loop {
        let said = entries.iter().try_for_each(|entry| {
            say("mcrpc.Names.Register", format!("{entry} for_ms={HOLDS_MS}"))
                .map(|_| ())
                .map_err(|failure| failure.to_string())
        });
        // Once for each change.
        if last_said.as_ref() != Some(&said) {
            match &said {
                Ok(()) => tracing::info!(?entries, "the host's agent knows this server"),
                Err(why) => tracing::warn!(?entries, why, "the host's agent does not register this server"),
            }
            last_said = Some(said);
        }
        if ended.recv_timeout(EACH) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    if last_said == Some(Ok(())) {
        entries.iter().for_each(|entry| _ = say("mcrpc.Names.Deregister", entry.clone()));
    }
}
