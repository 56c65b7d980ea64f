//! A child process that does not outlive this one.
//!
//! Three nets: [`Process::stop`] is the ordinary end, `Drop` the one after an error, a panic or Ctrl-C, and the kernel ends
//! the child when this process is killed. The kernel looks at the *thread* that started it, so children are started on the
//! main thread. Each has a process group of its own: Ctrl-C in the terminal reaches this process only, which then ends them.

use std::cell::RefCell;
use std::future::Future;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a child may take until it says that it is ready.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take from SIGTERM to its end.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How long its output is waited for when it has ended: a child of its own may hold the pipe open.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(200);
/// How much of its last words is kept.
const STDERR_LINES: usize = 20;

/// A running child.
pub(crate) struct Process {
    child: Child,
    stderr: Rc<RefCell<Vec<String>>>,
    // Dropped with the child: the pipes are read as long as it runs.
    readers: JoinSet<()>,
}

impl Process {
    /// Starts a child, each line of whose output is passed on.
    pub(crate) fn start(mut command: Command, on_line: impl FnMut(&str) + 'static) -> Result<Process> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        // SAFETY: what runs between fork() and exec() is one system call: no allocation, no lock.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?)) };
        let mut child = command.spawn().context("cannot be started")?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            bail!("has no pipes");
        };
        let last_words = Rc::new(RefCell::new(Vec::new()));
        let mut readers = JoinSet::new();
        readers.spawn_local(each_line(stdout, on_line));
        readers.spawn_local(each_line(stderr, {
            let kept = Rc::clone(&last_words);
            move |line| keep(&mut kept.borrow_mut(), line)
        }));
        Ok(Process { child, stderr: last_words, readers })
    }

    /// Starts a child and waits for a line that `parse` understands: it is ready.
    pub(crate) async fn start_until<T: 'static>(
        command: Command,
        parse: impl Fn(&str) -> Option<T> + 'static,
    ) -> Result<(Process, T)> {
        let (sender, ready) = oneshot::channel();
        let mut sender = Some(sender);
        // From here on its guard ends the process, whatever happens.
        let mut process = Process::start(command, move |line| {
            if let Some(found) = parse(line)
                && let Some(sender) = sender.take()
            {
                // The receiver is gone only if the start was given up.
                let _ = sender.send(found);
            }
        })?;
        match timeout(START_LIMIT, ready).await {
            Ok(Ok(found)) => Ok((process, found)),
            Ok(Err(_)) => {
                let status = timeout(STOP_LIMIT, process.child.wait()).await.context("closed its output")??;
                Err(process.ended(status).await.context("ended before it was ready"))
            }
            Err(_) => bail!("was not ready within {START_LIMIT:?}"),
        }
    }

    /// Does `work`; an error as soon as the child ends meanwhile.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            status = self.child.wait() => Err(self.ended(status?).await.context("ended in the middle of a run")),
        }
    }

    /// Waits until the child has ended by itself and all its output was passed on.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let status = self.child.wait().await?;
        while self.readers.join_next().await.is_some() {}
        if status.success() { Ok(()) } else { Err(self.ended(status).await.context("did not end well")) }
    }

    /// Ends the child and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM);
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(status) => Err(self.ended(status?).await.context("did not end well")),
            Err(_) => {
                self.child.kill().await?;
                bail!("had to be killed: it was still there {STOP_LIMIT:?} after SIGTERM");
            }
        }
    }

    /// Kills the child at once, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("cannot be killed")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // No id: it has been waited for, and the number may already be another process's.
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It fails if the process has just ended, which is what is wanted.
            let _ = kill_process(pid, signal);
        }
    }

    /// What its end looked like, with all that it said before.
    async fn ended(&mut self, status: ExitStatus) -> anyhow::Error {
        let readers = &mut self.readers;
        let _ = timeout(LAST_WORDS_LIMIT, async { while readers.join_next().await.is_some() {} }).await;
        match self.stderr.borrow().as_slice() {
            [] => anyhow!("{status}, nothing on its stderr"),
            lines => anyhow!("{status}, on its stderr:\n  {}", lines.join("\n  ")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        // One that was stopped takes it as well.
        self.signal(Signal::CONT);
        let limit = Instant::now() + STOP_LIMIT;
        while self.child.id().is_some() && matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > limit {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Reads to the end, so that the child can always write.
async fn each_line(stream: impl AsyncRead + Unpin, mut on_line: impl FnMut(&str)) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        on_line(&line);
    }
}

fn keep(kept: &mut Vec<String>, line: &str) {
    if kept.len() == STDERR_LINES {
        kept.remove(0);
    }
    kept.push(line.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, LocalOptions};

    fn error_of(script: &str) -> String {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        let error = runtime.block_on(async {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let (mut process, ()) = Process::start_until(command, |line| (line == "ready").then_some(())).await?;
            process.during(std::future::pending::<Result<()>>()).await
        });
        format!("{:#}", error.unwrap_err())
    }

    #[test]
    fn a_child_that_is_never_ready_is_reported_with_its_stderr() {
        let error = error_of("echo no such port >&2; exit 3");
        assert!(error.contains("before it was ready") && error.contains("no such port"), "{error}");
    }

    #[test]
    fn a_child_that_dies_in_the_middle_is_reported_with_its_stderr() {
        let error = error_of("echo worker 0 pid 7; echo ready; echo out of luck >&2; exit 4");
        assert!(error.contains("middle") && error.contains("out of luck") && error.contains('4'), "{error}");
    }
}
