//! An example program as a process, which tells by lines on its output what it does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::support::{Linkage, compile};

/// A program that was compiled for a test. It is removed with this.
pub struct Built {
    directory: TempDir,
    pub path: PathBuf,
}

impl Built {
    pub fn new(source: &str, flags: &[&str], linkage: Linkage) -> Built {
        let directory = tempfile::tempdir().unwrap();
        let path = compile(directory.path(), &[source], flags, linkage);
        Built { directory, path }
    }

    /// Where a test may keep files while it uses the program.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// A process, which ends with this.
pub struct Running {
    pub child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts it. What it writes to its standard error is not shown.
    pub fn start(command: &mut Command) -> Running {
        let started = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, output }
    }

    pub fn read_line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the program closed its output");
        line.trim().to_owned()
    }

    /// What follows `prefix` on the next line that begins so.
    pub fn wait_for(&mut self, prefix: &str) -> String {
        loop {
            if let Some(rest) = self.read_line().strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
