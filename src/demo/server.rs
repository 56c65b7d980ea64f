//! The server under test: a child process that does not outlive this one.
//!
//! Three nets: [`Server::stop`] is the ordinary end, `Drop` the one after an error, a panic or Ctrl-C, and
//! `--die-with-parent` lets the kernel end the server when this process is killed. The kernel looks at the *thread*
//! that started it, so a server is started on the main thread. It has a process group of its own: Ctrl-C in the
//! terminal reaches this process only, which then ends the server.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::plan::{Mode, SERVER_QUEUE, SERVICE_MS, WORKERS};

const PROGRAM: &str = env!("MCRPC_OVERLOAD_SERVER_STATIC");
/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take from SIGTERM to its end.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How much of its last words is kept.
const STDERR_LINES: usize = 20;

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    stderr: Lines,
    // Dropped with the server: the pipes are read as long as it runs.
    _readers: JoinSet<()>,
}

/// The last lines of a stream, shared with the task that reads it.
#[derive(Clone, Default)]
struct Lines(Rc<RefCell<Vec<String>>>);

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) async fn start(mode: Mode, admission: bool) -> Result<Server> {
        Server::start_program(PROGRAM, mode, admission).await.with_context(|| format!("the server {PROGRAM}"))
    }

    async fn start_program(program: &str, mode: Mode, admission: bool) -> Result<Server> {
        let mut child = Command::new(program)
            .args([format!("--{}", mode.name()), WORKERS.to_string()])
            .args(["--port", "0", "--service-ms", &SERVICE_MS.to_string(), "--queue", &SERVER_QUEUE.to_string()])
            .args(["--admission", if admission { "enforce" } else { "off" }, "--die-with-parent"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot be started")?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            bail!("has no pipes");
        };
        let lines = Lines::default();
        let (listening, address) = oneshot::channel();
        let mut readers = JoinSet::new();
        readers.spawn_local(keep_lines(stderr, lines.clone()));
        readers.spawn_local(find_address(stdout, listening));
        // From here on its guard ends the process, whatever happens.
        let mut server = Server { child, address: ([0, 0, 0, 0], 0).into(), stderr: lines, _readers: readers };
        server.address = match timeout(START_LIMIT, address).await {
            Ok(Ok(address)) => address,
            Ok(Err(_)) => {
                let status = timeout(STOP_LIMIT, server.child.wait()).await.context("closed its output")??;
                return Err(server.ended(status).context("ended before it listened"));
            }
            Err(_) => bail!("did not listen within {START_LIMIT:?}"),
        };
        Ok(server)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does `work`; an error as soon as the server ends meanwhile.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            status = self.child.wait() => Err(self.ended(status?).context("the server ended in the middle of a run")),
        }
    }

    /// Ends the server and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM);
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(status) => Err(self.ended(status?).context("the server did not end well")),
            Err(_) => {
                self.child.kill().await?;
                bail!("the server had to be killed: it was still there {STOP_LIMIT:?} after SIGTERM");
            }
        }
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        match self.stderr.0.borrow().as_slice() {
            [] => anyhow!("{status}, nothing on its stderr"),
            lines => anyhow!("{status}, on its stderr:\n  {}", lines.join("\n  ")),
        }
    }

    fn signal(&self, signal: Signal) {
        // No id: it has been waited for, and the number may already be another process's.
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It fails if the process has just ended, which is what is wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let limit = Instant::now() + STOP_LIMIT;
        while self.child.id().is_some() && matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > limit {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

async fn keep_lines(stream: impl AsyncRead + Unpin, kept: Lines) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut kept = kept.0.borrow_mut();
        if kept.len() == STDERR_LINES {
            kept.remove(0);
        }
        kept.push(line);
    }
}

/// Reads to the end, so that the server can always write; reports the address when it comes.
async fn find_address(stream: impl AsyncRead + Unpin, listening: oneshot::Sender<SocketAddr>) {
    let mut listening = Some(listening);
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(Ok(address)) = line.strip_prefix("listening ").map(str::parse)
            && let Some(listening) = listening.take()
        {
            // The receiver is gone only if the start was given up.
            let _ = listening.send(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, LocalOptions};

    fn error_of(script: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("server");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        let error = runtime.block_on(async {
            let program = program.to_str().unwrap();
            let mut server = Server::start_program(program, Mode::Threads, true).await?;
            server.during(std::future::pending::<Result<()>>()).await
        });
        format!("{:#}", error.unwrap_err())
    }

    #[test]
    fn a_server_that_never_listens_is_reported_with_its_stderr() {
        let error = error_of("echo no such port >&2; exit 3");
        assert!(error.contains("before it listened") && error.contains("no such port"), "{error}");
    }

    #[test]
    fn a_server_that_dies_in_the_middle_is_reported_with_its_stderr() {
        let error = error_of("echo worker 0 pid 7; echo listening 127.0.0.1:1; echo out of luck >&2; exit 4");
        assert!(error.contains("middle") && error.contains("out of luck") && error.contains('4'), "{error}");
    }
}
