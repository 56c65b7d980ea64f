//! Servers and clients as processes of their own: so that each has its core, and what it takes up can be seen from outside.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::shape::{Figures, Shape};

/// A process that talks by lines.
pub struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    fn start(command: &mut Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Process { child, lines }
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).is_ok_and(|len| len > 0), "a process of the bench has died");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{question}").expect("a process of the bench has died");
        self.hear()
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }

    /// What the threads that live have run for.
    fn cpu_ns(&self) -> u64 {
        let threads = fs::read_dir(self.file("task")).expect("a living process");
        let of_one = |thread: fs::DirEntry| -> Option<u64> {
            fs::read_to_string(thread.path().join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
        };
        threads.flatten().filter_map(of_one).sum()
    }

    /// Ends it; what it has written to the standard error stream, if that was piped.
    fn end(&mut self) -> String {
        self.child.stdin = None;
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut text).expect("text");
        }
        let status = self.child.wait().expect("a process of the bench");
        assert!(status.success(), "a process of the bench ended with {status}: {text}");
        text
    }
}

/// An echo server.
pub struct Server {
    process: Process,
    pub address: SocketAddr,
}

impl Server {
    /// One of this bench.
    pub fn start(name: &str) -> Server {
        Server::from_command(Command::new(this_program()).args(["serve", name]))
    }

    /// One of this bench, whose instructions are counted by function into a file, if valgrind is installed.
    pub fn under_callgrind(name: &str, profile: &Path) -> Option<Server> {
        Some(Server::from_command(callgrind(profile)?.args(["serve", name])))
    }

    pub fn from_command(command: &mut Command) -> Server {
        let mut process = Process::start(command);
        let address = process.hear().parse().expect("where it listens");
        Server { process, address }
    }

    /// See [`Process::cpu_ns`].
    pub fn cpu_ns(&self) -> u64 {
        self.process.cpu_ns()
    }

    /// Bytes of memory that are its own.
    pub fn memory(&self) -> u64 {
        let text = fs::read_to_string(self.process.file("status")).expect("a living process");
        let (_, kib) = text.split_once("RssAnon:").expect("proc(5)");
        kib.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
    }

    pub fn allocations(&mut self) -> u64 {
        self.process.ask("allocations").parse().expect("a number")
    }

    /// Ends it; its instructions, if they were counted.
    pub fn end(mut self) -> Option<u64> {
        counted(&self.process.end())
    }
}

/// A client of an RPC system.
pub struct Client(Process);

impl Client {
    /// One of this bench.
    pub fn start(name: &str, server: &Server) -> Client {
        Client::from_command(Command::new(this_program()).args(["load", name]), server)
    }

    /// One of this bench, whose instructions are counted by function into a file, if valgrind is installed.
    pub fn under_callgrind(name: &str, server: &Server, profile: &Path) -> Option<Client> {
        Some(Client::from_command(callgrind(profile)?.args(["load", name]), server))
    }

    pub fn from_command(command: &mut Command, server: &Server) -> Client {
        Client(Process::start(command.arg(server.address.to_string())))
    }

    /// See [`Process::cpu_ns`].
    pub fn cpu_ns(&self) -> u64 {
        self.0.cpu_ns()
    }

    pub fn round(&mut self, shape: &Shape) -> Figures {
        Figures::from_line(&self.0.ask(&shape.to_line()))
    }

    /// Ends it; its instructions, if they were counted.
    pub fn end(mut self) -> Option<u64> {
        counted(&self.0.end())
    }
}

/// This program, to be run so that its instructions are counted.
fn callgrind(profile: &Path) -> Option<Command> {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().ok()?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--fair-sched=yes"]);
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(this_program()).stderr(Stdio::piped());
    Some(command)
}

/// The instructions that callgrind speaks of at the end.
fn counted(text: &str) -> Option<u64> {
    let (_, figures) = text.lines().find_map(|line| line.split_once("Collected :"))?;
    figures.split_whitespace().next()?.replace(',', "").parse().ok()
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}
