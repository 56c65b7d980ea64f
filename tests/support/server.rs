//! A server of `cpp-examples/` as a process, with the names and ids of the processes that it starts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

pub struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    pub address: String,
    /// Process ids by name (`io`, `worker 0`), as the master announces them.
    pub pids: HashMap<String, i32>,
    /// Processes started so far, the replaced ones too.
    pub started: usize,
}

impl Server {
    /// Starts it, and waits until it listens. The port is the kernel's choice.
    pub fn start(program: &str, arguments: &[&str]) -> Server {
        let mut command = Command::new(program);
        let mut child = command.args(arguments).arg("--die-with-parent").stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Server { child, output, address: String::new(), pids: HashMap::new(), started: 0 };
        while server.address.is_empty() {
            server.read_line();
        }
        server
    }

    /// Reads one line, remembers what it says, and returns it.
    fn read_line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the server closed its output");
        if let Some((name, pid)) = line.trim().split_once(" pid ") {
            self.pids.insert(name.to_owned(), pid.parse().unwrap());
            self.started += 1;
        } else if let Some(address) = line.trim().strip_prefix("listening ") {
            self.address = address.to_owned();
        }
        line
    }

    /// Kills a process, unless it has died meanwhile, without waiting for what comes of it.
    pub fn kill(&self, name: &str) {
        let killed = rustix::process::kill_process(Pid::from_raw(self.pids[name]).unwrap(), Signal::KILL);
        assert!(matches!(killed, Ok(()) | Err(Errno::SRCH)), "{name}: {killed:?}");
    }

    /// Waits until so many processes have been started altogether.
    pub fn wait_until_started(&mut self, count: usize) {
        while self.started < count {
            self.read_line();
        }
    }

    /// Kills a process and waits for its replacement.
    pub fn kill_and_wait(&mut self, name: &str) {
        let killed = self.pids[name];
        self.kill(name);
        while self.pids[name] == killed {
            self.read_line();
        }
    }

    /// What its controller knows.
    pub fn report(&mut self) -> serde_json::Value {
        signal(self.child.id() as i32, Signal::USR1);
        self.read_report()
    }

    /// Ends it, and returns its last report.
    pub fn stop(mut self) -> serde_json::Value {
        signal(self.child.id() as i32, Signal::TERM);
        let report = self.read_report();
        assert!(self.child.wait().unwrap().success());
        report
    }

    fn read_report(&mut self) -> serde_json::Value {
        loop {
            let line = self.read_line();
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: i32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}
