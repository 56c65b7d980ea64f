//! A real etcd, as Debian has it: started, stopped, emptied, and spoken to in JSON, which is not how discovery does it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Stops a test with the name of the Debian package when a program that it runs is not installed.
pub fn need(program: &str, package: &str) {
    let found =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|path| path.join(program).is_file());
    assert!(found, "this test runs {program}: install it (Debian: apt install {package})");
}

pub struct Etcd {
    data: TempDir,
    /// What its command begins with: it may run elsewhere.
    within: Vec<String>,
    ip: String,
    ports: [u16; 2],
    running: Option<Child>,
}

impl Etcd {
    /// One that serves.
    pub fn start() -> Etcd {
        Etcd::start_within(&[], "127.0.0.1")
    }

    /// One that is started by another command, at an address that may be none of this network namespace.
    pub fn start_within(within: &[&str], ip: &str) -> Etcd {
        need("etcd", "etcd-server");
        // Both at a time, so that they are two.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.map(|listener| listener.local_addr().unwrap().port());
        let within = within.iter().map(|&word| word.to_owned()).collect();
        let mut etcd = Etcd { data: tempfile::tempdir().unwrap(), within, ip: ip.to_owned(), ports, running: None };
        etcd.restart();
        etcd
    }

    pub fn url(&self) -> String {
        format!("http://{}:{}", self.ip, self.ports[0])
    }

    /// Starts it again, with the data that it has.
    pub fn restart(&mut self) {
        let (client, peer) = (self.url(), format!("http://{}:{}", self.ip, self.ports[1]));
        let mut command = self.within.clone();
        command.push("etcd".to_owned());
        let mut etcd = Command::new(&command[0]);
        etcd.args(&command[1..]).arg("--data-dir").arg(self.data.path().join("etcd"));
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error"]);
        self.running = Some(etcd.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until("etcd serves", || self.try_post("kv/range", r#"{"key":"AA=="}"#).is_some());
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // `ip netns exec` becomes etcd, so this is it.
            let _ = kill_process(Pid::from_raw(running.id() as i32).unwrap(), Signal::KILL);
            running.wait().unwrap();
        }
    }

    /// Ends it, and forgets its data.
    pub fn lose_everything(&mut self) {
        self.stop();
        std::fs::remove_dir_all(self.data.path().join("etcd")).unwrap();
    }

    /// Removes all keys that begin so.
    pub fn delete_all(&self, prefix: &str) {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().unwrap() += 1;
        self.post("kv/deleterange", &format!(r#"{{"key":"{}","range_end":"{}"}}"#, text(prefix), STANDARD.encode(end)));
    }

    pub fn delete(&self, key: &str) {
        self.post("kv/deleterange", &format!(r#"{{"key":"{}"}}"#, text(key)));
    }

    pub fn put(&self, key: &str, value: &str) {
        self.post("kv/put", &format!(r#"{{"key":"{}","value":"{}"}}"#, text(key), text(value)));
    }

    /// Puts many keys, a transaction for each hundred.
    pub fn put_all(&self, entries: &[(String, String)]) {
        for some in entries.chunks(100) {
            let put = |(key, value): &(String, String)| {
                format!(r#"{{"requestPut":{{"key":"{}","value":"{}"}}}}"#, text(key), text(value))
            };
            let puts: Vec<String> = some.iter().map(put).collect();
            self.post("kv/txn", &format!(r#"{{"success":[{}]}}"#, puts.join(",")));
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.try_post("kv/range", &format!(r#"{{"key":"{}"}}"#, text(key))).is_some_and(|kvs| kvs.contains(r#""kvs""#))
    }

    /// Forgets all revisions but the present one.
    pub fn compact(&self) {
        let answer = self.post("kv/range", r#"{"key":"AA=="}"#);
        let revision = answer.split(r#""revision":""#).nth(1).unwrap().split('"').next().unwrap();
        self.post("kv/compaction", &format!(r#"{{"revision":"{revision}"}}"#));
    }

    /// Lets it do nothing, or go on.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.running.as_ref().unwrap().id() as i32).unwrap(), signal).unwrap();
    }

    fn post(&self, method: &str, body: &str) -> String {
        self.try_post(method, body).unwrap_or_else(|| panic!("etcd does not answer to {method}"))
    }

    fn try_post(&self, method: &str, body: &str) -> Option<String> {
        let address: SocketAddr = format!("{}:{}", self.ip, self.ports[0]).parse().unwrap();
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!("POST /v3/{method} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        socket.write_all(format!("{head}{body}").as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let is_ok = answer.lines().next().is_some_and(|line| line.contains(" 200 "));
        is_ok.then_some(answer)
    }
}

fn text(text: &str) -> String {
    STANDARD.encode(text)
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
    }
}
