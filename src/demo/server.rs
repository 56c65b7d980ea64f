//! The server under test: `cpp-examples/overload_server.cpp` as a child process.

use std::future::Future;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::process::Command;

use super::plan::{Mode, SERVER_QUEUE, SERVICE_MS, WORKERS};
use super::process::Process;

const PROGRAM: &str = env!("MCRPC_OVERLOAD_SERVER_STATIC");

/// A running server.
pub(crate) struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts a server for the demo of overload, and waits until it listens.
    pub(crate) async fn start(mode: Mode, admission: bool) -> Result<Server> {
        let workers = WORKERS.to_string();
        let admission = if admission { "enforce" } else { "off" };
        Server::start_with(0, SERVICE_MS, &[&format!("--{}", mode.name()), &workers, "--admission", admission]).await
    }

    /// Starts one on a port (0: any) whose requests take so long, and waits until it listens.
    pub(crate) async fn start_with(port: u16, service_ms: u32, more: &[&str]) -> Result<Server> {
        let mut command = Command::new(PROGRAM);
        command
            .args(["--port", &port.to_string(), "--service-ms", &service_ms.to_string()])
            .args(["--queue", &SERVER_QUEUE.to_string(), "--die-with-parent"])
            .args(more);
        let listening = |line: &str| line.strip_prefix("listening ")?.parse().ok();
        let (process, address) = Process::start_until(command, listening).await.with_context(named)?;
        Ok(Server { process, address })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does `work`; an error as soon as the server ends meanwhile.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.process.during(work).await.with_context(named)
    }

    /// Ends the server and waits until it is gone.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await.with_context(named)
    }

    /// Kills the server: its connections break, and its port is closed.
    pub(crate) async fn kill(self) -> Result<()> {
        self.process.kill().await.with_context(named)
    }

    /// Stops it in the middle of what it does: the kernel goes on accepting connections for it.
    pub(crate) fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }
}

fn named() -> String {
    format!("the server {PROGRAM}")
}
