//! Given the C++ client and two servers, when it calls them for a second, then users are shared out, and when one of the servers
//! is gone the other one answers for it.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use mcrpc_core::admission::Cursor;
use mcrpc_core::status::Status;
use mcrpc_core::wire::metadata::{RejectState, Withheld};
use mcrpc_core::wire::{Flags, Header, Kind, Writer};
use support::frames::{Received, frame, read_frame};

const CLIENTS: [&str; 2] = [env!("MCRPC_RESILIENT_CLIENT_STATIC"), env!("MCRPC_RESILIENT_CLIENT_SHARED")];

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Server {
        Server::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Server {
        let mut child = Command::new(env!("MCRPC_OVERLOAD_SERVER_STATIC"))
            .args(["--port", "0", "--service-ms", "1", "--die-with-parent"])
            .args(options)
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
fn what_was_not_sent_for_want_of_time_is_no_failure_of_a_server() {
    let (first, second) = (Server::start(), Server::start());
    // Less than a millisecond of it is left when a request would go, and none is sent with a budget of 0.
    let sums = run_client(CLIENTS[0], [&first, &second], &["--protection", "process", "--timeout-ms", "1"]);
    assert_eq!((sums.ok, sums.attempts), (0, [0, 0]), "{sums:?}");
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
fn a_client_and_servers_that_need_checksums_send_them() {
    let (first, second) = (Server::start_with(&["--checksums"]), Server::start_with(&["--checksums"]));
    let sums = run_client(CLIENTS[0], [&first, &second], &["--protection", "process", "--checksums"]);
    assert_eq!(sums.ok, sums.calls, "{sums:?}");
}

/// A server in this process, which passes on what it receives, connection by connection, and answers as it is told.
fn listen(
    answer: impl Fn(usize, &Received) -> Vec<u8> + Clone + Send + 'static,
) -> (String, mpsc::Receiver<(usize, Received)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard, received) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (mut stream, answer, heard): (TcpStream, _, _) = (stream.unwrap(), answer.clone(), heard.clone());
            std::thread::spawn(move || {
                while let Ok(frame) = read_frame(&mut stream) {
                    // The test may have what it wanted, or the client be gone.
                    let _ = stream.write_all(&answer(number, &frame));
                    let _ = heard.send((number, frame));
                }
            });
        }
    });
    (address, received)
}

fn response_to(request: &Received, status: Status, cursor: u32) -> Header {
    Header { status, cursor, ..Header::new(Kind::Response, request.header.call_id) }
}

fn call_for(address: &str, seconds: &str, options: &[&str]) {
    let mut command = Command::new(CLIENTS[0]);
    command.args(["--endpoints", address, "--duration", seconds, "--timeout-ms", "500"]).args(options);
    assert!(command.output().unwrap().status.success());
}

#[test]
fn a_connection_begins_with_a_hello_and_a_request_carries_its_trace_and_its_time() {
    let (address, received) = listen(|_, frame_in| match frame_in.header.kind {
        Kind::Request => frame(response_to(frame_in, Status::OK, Cursor::OPEN.0), |_| {}, b""),
        _ => Vec::new(),
    });
    call_for(&address, "0.5", &["--rate", "100", "--zone", "3", "--protection", "process"]);
    let frames: Vec<_> = received.try_iter().collect();
    let mut traces = Vec::new();
    for (at, (connection, frame)) in frames.iter().enumerate() {
        let is_first = !frames[..at].iter().any(|(earlier, _)| earlier == connection);
        assert_eq!(frame.header.kind, if is_first { Kind::Hello } else { Kind::Request });
        let metadata = frame.metadata();
        if is_first {
            assert_eq!((metadata.caller(), metadata.zone()), ("mcrpc.example.ResilientClient", "zone-3"));
            continue;
        }
        assert_eq!(metadata.origin_budget_ms(), 2_000);
        assert!((1..=500).contains(&frame.header.budget_ms));
        assert_ne!(metadata.trace().span_id, [0; 8]);
        assert!(!traces.contains(&metadata.trace().trace_id), "each call has a trace of its own");
        traces.push(metadata.trace().trace_id);
    }
    assert!(traces.len() > 10);
}

#[test]
fn a_cursor_holds_as_long_as_its_server_says_and_what_it_withheld_is_told() {
    // The first answer refuses every key for 700 ms.
    let (address, received) = listen(|_, frame_in| match frame_in.header.kind {
        Kind::Request if frame_in.header.call_id == 1 => {
            let state = RejectState { hold_ms: 700, share_per_10k: 10_000 };
            frame(
                response_to(frame_in, Status::BELOW_CURSOR, 0),
                |writer| {
                    writer.reject_state(state);
                },
                b"",
            )
        }
        Kind::Request => frame(response_to(frame_in, Status::OK, Cursor::OPEN.0), |_| {}, b""),
        _ => Vec::new(),
    });
    call_for(&address, "1.5", &["--rate", "100", "--threads", "1", "--protection", "process"]);
    let requests: Vec<_> = received.try_iter().filter(|(_, frame)| frame.header.kind == Kind::Request).collect();
    let withheld: Vec<Withheld> = requests.iter().map(|(_, frame)| frame.metadata().withheld()).collect();
    let count = withheld.iter().map(|withheld| withheld.count).sum::<u32>();
    // 70 calls arrive meanwhile; with the usual 300 ms it would be 30.
    assert!((50..90).contains(&count), "{withheld:?}");
    assert!(requests.iter().any(|(_, frame)| frame.header.flags == Flags(0)));
}

#[test]
fn a_server_that_says_goodbye_is_called_over_another_connection_and_that_is_no_failure() {
    let (address, received) = listen(|connection, frame_in| match frame_in.header.kind {
        Kind::Request => {
            let answer = frame(response_to(frame_in, Status::OK, Cursor::OPEN.0), |_| {}, b"");
            let goodbye = frame(
                Header::new(Kind::GoAway, 0),
                |writer: &mut Writer<'_>| {
                    writer.error_text("bye");
                },
                b"",
            );
            if connection == 0 { [answer, goodbye].concat() } else { answer }
        }
        _ => Vec::new(),
    });
    let mut command = Command::new(CLIENTS[0]);
    command.args(["--endpoints", &address, "--duration", "0.5", "--rate", "100", "--threads", "1"]);
    let output = command.args(["--protection", "none"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.lines().all(|line| line.contains(" failed 0 ")), "{printed}");
    let all: Vec<_> = received.try_iter().map(|(number, frame)| (number, frame.header.kind)).collect();
    assert_eq!(all.iter().filter(|&&heard| heard == (0, Kind::Request)).count(), 1, "{all:?}");
    assert!(all.iter().filter(|&&heard| heard == (1, Kind::Request)).count() > 10, "{all:?}");
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
