//! Given a fleet of two tiers, when users send it tasks, then each is answered once: well while the servers can, under every
//! policy and with one of the servers gone.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mcrpc_core::admission::Cursor;
use mcrpc_core::status::Status;
use mcrpc_core::wire::metadata::{RejectState, Tag};
use mcrpc_core::wire::{Flags, Header, Kind, Trace, Writer};
use rustix::process::{Pid, Signal, kill_process};
use support::frames::{frame, read_frame};

const FRONTS: [&str; 2] = [env!("MCRPC_FLEET_FRONT_STATIC"), env!("MCRPC_FLEET_FRONT_SHARED")];
const BACKS: [&str; 2] = [env!("MCRPC_FLEET_BACK_STATIC"), env!("MCRPC_FLEET_BACK_SHARED")];

struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(program: &str, options: &[&str]) -> Program {
        let mut command = Command::new(program);
        let mut child = command.args(options).arg("--die-with-parent").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        // What it counts is read to the end, so that it can always write.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let address = line.trim().strip_prefix("listening ").expect("it says where it listens").to_owned();
        Program { child, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two servers and their front.
fn start_fleet(linkage: usize, policy: &str, service_ms: &str) -> (Program, [Program; 2]) {
    let options = ["--policy", policy, "--workers", "2", "--service-ms", service_ms, "--slowed-ms", "1"];
    let backs = [(); 2].map(|()| Program::start(BACKS[linkage], &options));
    let servers = backs.each_ref().map(|back| back.address.as_str()).join(",");
    let caller = if policy == "mcrpc" { "mcrpc" } else { "blind" };
    (Program::start(FRONTS[linkage], &["--servers", &servers, "--caller", caller]), backs)
}

/// Sends tasks at a pace, and returns what became of each, in no particular order.
fn send_tasks(front: &Program, count: u32, gap: Duration, budget_ms: u32) -> Vec<Status> {
    let mut stream = TcpStream::connect(&front.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answers = std::thread::spawn(move || {
        let mut is_answered = vec![false; count as usize];
        let mut statuses = Vec::new();
        while statuses.len() < count as usize {
            let answer = read_frame(&mut reader).expect("every task is answered").header;
            assert!(!std::mem::replace(&mut is_answered[answer.call_id as usize], true), "answered twice");
            statuses.push(answer.status);
        }
        statuses
    });
    for call_id in 0..count {
        let uin = u64::from(call_id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let request = Header { uin, budget_ms, ..Header::new(Kind::Request, call_id) };
        stream.write_all(&request.emit()).unwrap();
        std::thread::sleep(gap);
    }
    answers.join().unwrap()
}

fn good(statuses: &[Status]) -> usize {
    statuses.iter().filter(|status| status.is_ok()).count()
}

#[test]
fn a_fleet_that_has_time_answers_every_task_well() {
    for linkage in [0, 1] {
        let (front, _backs) = start_fleet(linkage, "mcrpc", "1");
        let statuses = send_tasks(&front, 200, Duration::from_millis(5), 10_000);
        assert_eq!(good(&statuses), 200, "{statuses:?}");
    }
}

#[test]
fn an_overloaded_fleet_answers_every_task_and_some_well() {
    for policy in ["none", "drop-tail", "pass-rate", "gradient2", "mcrpc"] {
        let (front, _backs) = start_fleet(0, policy, "40");
        // It can do 50 tasks per second, and gets 200.
        let statuses = send_tasks(&front, 200, Duration::from_millis(5), 1_000);
        assert!((1..200).contains(&good(&statuses)), "{policy}: {statuses:?}");
    }
}

#[test]
fn when_a_server_is_gone_the_other_one_does_its_tasks() {
    let (front, mut backs) = start_fleet(0, "mcrpc", "1");
    assert_eq!(good(&send_tasks(&front, 20, Duration::from_millis(5), 10_000)), 20);
    backs[0].child.kill().unwrap();
    backs[0].child.wait().unwrap();
    let statuses = send_tasks(&front, 200, Duration::from_millis(5), 10_000);
    assert!(good(&statuses) >= 195, "{statuses:?}");
}

#[test]
fn what_a_task_carries_reaches_the_servers_and_what_they_refuse_is_withheld_and_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let front = Program::start(FRONTS[0], &["--servers", &address, "--calls", "2", "--attempts", "1"]);
    let (mut back, _) = listener.accept().unwrap();
    back.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hello = read_frame(&mut back).unwrap();
    assert_eq!((hello.header.kind, hello.metadata().caller()), (Kind::Hello, "mcrpc.example.FleetFront"));

    let mut user = TcpStream::connect(&front.address).unwrap();
    user.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let carried = |writer: &mut Writer<'_>| {
        let trace = Trace { trace_id: [1; 16], span_id: [2; 8], flags: 0 };
        writer
            .trace(&trace)
            .origin_budget_ms(9_000)
            .cookie(b"cookie")
            .tag(Tag(0x65), b"goes on")
            .tag(Tag(0x45), b"stays");
    };
    let task = |call_id| Header { uin: 7, budget_ms: 5_000, ..Header::new(Kind::Request, call_id) };
    user.write_all(&frame(task(1), carried, b"")).unwrap();
    let mut spans = vec![[2; 8]];
    for call in 0..2 {
        let request = read_frame(&mut back).unwrap();
        let metadata = request.metadata();
        assert_eq!((metadata.trace().trace_id, metadata.origin_budget_ms()), ([1; 16], 9_000));
        assert!(!spans.contains(&metadata.trace().span_id), "each call is a span of its own");
        spans.push(metadata.trace().span_id);
        assert_eq!(metadata.cookie(), b"cookie");
        let further: Vec<_> = metadata.iter().filter(|(tag, _)| tag.is_application()).collect();
        assert_eq!(further, [(Tag(0x65), &b"goes on"[..])]);
        assert_eq!((request.header.uin, request.header.flags.contains(Flags::CONTINUES_TASK)), (7, call == 1));
        assert!((3_000..5_000).contains(&request.header.budget_ms));
        let answer = Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, request.header.call_id) };
        back.write_all(&answer.emit()).unwrap();
    }
    assert_eq!(read_frame(&mut user).unwrap().header.status, Status::OK);

    // From here on the server refuses every key, for longer than the test takes.
    user.write_all(&task(2).emit()).unwrap();
    let request = read_frame(&mut back).unwrap();
    assert_ne!(request.metadata().trace().trace_id, [0; 16], "a task without a trace is given one");
    assert_eq!(request.metadata().origin_budget_ms(), 5_000);
    let refusal = Header { status: Status::BELOW_CURSOR, ..Header::new(Kind::Response, request.header.call_id) };
    let state = RejectState { hold_ms: 1_000, share_per_10k: 10_000 };
    back.write_all(&frame(
        refusal,
        |writer| {
            writer.reject_state(state);
        },
        b"",
    ))
    .unwrap();
    assert_eq!(read_frame(&mut user).unwrap().header.status, Status::BELOW_CURSOR);
    for call_id in 3..6 {
        user.write_all(&task(call_id).emit()).unwrap();
        assert_eq!(read_frame(&mut user).unwrap().header.status, Status::WITHHELD);
    }
    std::thread::sleep(Duration::from_millis(1_100));
    user.write_all(&task(6).emit()).unwrap();
    assert_eq!(read_frame(&mut back).unwrap().metadata().withheld().count, 3);
}

#[test]
fn a_fleet_that_needs_checksums_sends_them() {
    let back = Program::start(BACKS[0], &["--checksums", "--service-ms", "1"]);
    let front = Program::start(FRONTS[0], &["--servers", &back.address, "--checksums"]);
    let mut user = TcpStream::connect(&front.address).unwrap();
    user.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let checked =
        Header { flags: Flags(Flags::CRC_TRAILER), uin: 7, budget_ms: 10_000, ..Header::new(Kind::Request, 1) };
    user.write_all(&frame(checked, |_| {}, b"")).unwrap();
    assert_eq!(read_frame(&mut user).unwrap().header.status, Status::OK);
}

#[test]
fn a_signal_changes_how_long_requests_take() {
    // A task takes longer than it has time for until the servers change to the other service time.
    let (front, backs) = start_fleet(0, "none", "5000");
    assert_eq!(good(&send_tasks(&front, 1, Duration::ZERO, 300)), 0);
    for back in &backs {
        back.signal(Signal::USR1);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(good(&send_tasks(&front, 1, Duration::ZERO, 20_000)), 1);
}

#[test]
fn wrong_options_are_refused_with_a_reason() {
    for (program, options, reason) in [
        (FRONTS[0], &[] as &[&str], "--servers is missing"),
        (FRONTS[0], &["--servers", "localhost:1"], "IP:PORT"),
        (FRONTS[0], &["--servers", "127.0.0.1:1", "--caller", "much"], "blind or mcrpc"),
        (BACKS[0], &["--policy", "much"], "none, drop-tail, gradient2, pass-rate or mcrpc"),
        (BACKS[0], &["--workers", "0"], "--workers"),
        (BACKS[0], &["more"], "\"more\" is no option"),
    ] {
        let output = Command::new(program).args(options).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(reason), "{options:?}: {error}");
    }
}
