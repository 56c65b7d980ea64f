//! Given the C++ client and two servers, when it calls them for a second, then users are shared out, and when one of the servers
//! is gone the other one answers for it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const CLIENTS: [&str; 2] = [env!("MCRPC_RESILIENT_CLIENT_STATIC"), env!("MCRPC_RESILIENT_CLIENT_SHARED")];

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Server {
        let mut child = Command::new(env!("MCRPC_OVERLOAD_SERVER_STATIC"))
            .args(["--port", "0", "--service-ms", "1", "--die-with-parent"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening ").expect("it says where it listens").to_owned();
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sums of what a client printed: calls, those that were answered, attempts at each server.
#[derive(Debug, Default)]
struct Sums {
    calls: u64,
    ok: u64,
    attempts: [u64; 2],
}

/// On a machine that stalls an attempt may take long: it has half a second.
fn run_client(program: &str, servers: [&Server; 2], options: &[&str]) -> Sums {
    let output = Command::new(program)
        .args(["--endpoints", &format!("{},{}/1/50", servers[0].address, servers[1].address)])
        .args(["--duration", "1", "--rate", "300", "--timeout-ms", "500"])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut sums = Sums::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let words: Vec<_> = line.split(' ').collect();
        let value = |name: &str| {
            let place = words.iter().position(|&word| word == name);
            place.and_then(|place| words.get(place + 1)).unwrap_or_else(|| panic!("no {name} in {line}"))
        };
        sums.calls += value("calls").parse::<u64>().unwrap();
        sums.ok += value("ok").parse::<u64>().unwrap();
        for (sum, attempts) in sums.attempts.iter_mut().zip(value("attempts").split(',')) {
            *sum += attempts.parse::<u64>().unwrap();
        }
    }
    assert!(sums.calls > 200, "{sums:?}");
    sums
}

#[test]
fn two_servers_share_the_users_by_their_weights() {
    let (first, second) = (Server::start(), Server::start());
    for program in CLIENTS {
        let sums = run_client(program, [&first, &second], &["--protection", "process"]);
        assert_eq!(sums.ok, sums.calls, "{sums:?}");
        let share = sums.attempts[0] as f64 / sums.calls as f64;
        assert!((0.5..0.85).contains(&share), "{sums:?}");
    }
}

#[test]
fn when_a_server_is_gone_the_other_one_answers_except_without_protection() {
    let (mut first, second) = (Server::start(), Server::start());
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let unprotected = run_client(CLIENTS[0], [&first, &second], &["--protection", "none"]);
    assert!(unprotected.ok < unprotected.calls * 7 / 10, "{unprotected:?}");
    for protection in ["retries", "process", "host"] {
        let sums = run_client(CLIENTS[0], [&first, &second], &["--protection", protection]);
        assert_eq!(sums.ok, sums.calls, "{protection} {sums:?}");
        // Blind retries go on finding out what the others know.
        assert_eq!(sums.attempts[0] > sums.calls / 2, protection == "retries", "{protection} {sums:?}");
    }
}

#[test]
fn wrong_options_are_refused_with_a_reason() {
    for (options, reason) in [
        (&["--protection", "none"] as &[&str], "--endpoints is missing"),
        (&["--endpoints", "localhost:1"], "IP:PORT"),
        (&["--endpoints", "127.0.0.1:1/2/3/4"], "IP:PORT"),
        (&["--endpoints", "127.0.0.1:1", "--protection", "much"], "none, retries, process or host"),
        (&["--endpoints", "127.0.0.1:1", "--rate", "0"], "--rate"),
    ] {
        let output = Command::new(CLIENTS[0]).args(options).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(reason), "{options:?}: {error}");
    }
}
