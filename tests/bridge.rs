//! Given one port that speaks two protocols, when callers of either come, then each is answered in his own, by the same service
//! and behind the same admission; what is no frame closes its connection and nothing else.
//!
//! The native callers are made of the core; the brpc ones of Debian's protobuf alone (`tests/cpp/brpc_peer.cpp`).

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use mcrpc_core::status::{Class, Status};
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::metadata::Tag;
use mcrpc_core::wire::{Features, Flags, Header, Kind, Writer};
use rustix::process::{Pid, Signal, kill_process};
use support::frames::{Received, connect, frame, hello, read_frame};
use support::{root, run};

const SERVERS: [&str; 2] = [env!("MCRPC_BRIDGE_SERVER_STATIC"), env!("MCRPC_BRIDGE_SERVER_SHARED")];
const CLIENTS: [&str; 2] = [env!("MCRPC_BRIDGE_CLIENT_STATIC"), env!("MCRPC_BRIDGE_CLIENT_SHARED")];

/// A running program that says where it listens.
struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    complaints: mpsc::Receiver<String>,
    address: String,
}

impl Program {
    fn start(program: impl AsRef<Path>, arguments: &[&str]) -> Program {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (heard, complaints) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
        let mut address = String::new();
        while address.is_empty() {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "it says where it listens");
            address = line.trim().strip_prefix("listening ").unwrap_or_default().to_owned();
        }
        Program { child, stdout, complaints, address }
    }

    fn bridge(program: &str, arguments: &[&str]) -> Program {
        Program::start(program, &[arguments, &["--die-with-parent"]].concat())
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// The next line on its stderr.
    fn complaint(&self) -> String {
        self.complaints.recv_timeout(Duration::from_secs(5)).unwrap_or_default()
    }

    /// Tells it to end, and returns what it had printed.
    fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).unwrap();
        assert!(self.child.wait().unwrap().success());
        printed
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(call_id: u32, method: &str) -> Header {
    let method_id = method_id(format!("mcrpc.example.Echo.{method}").as_bytes());
    Header { method_id, uin: u64::from(call_id) + 1, budget_ms: 5_000, ..Header::new(Kind::Request, call_id) }
}

fn plain(header: Header, payload: &[u8]) -> Vec<u8> {
    frame(header, |_| {}, payload)
}

/// Writes, and reads as many responses as there are to be, by call id. Other frames are passed over.
fn call(stream: &mut TcpStream, bytes: &[u8], count: usize) -> BTreeMap<u32, Received> {
    stream.write_all(bytes).unwrap();
    let mut answers = BTreeMap::new();
    while answers.len() < count {
        let answer = read_frame(stream).unwrap();
        if answer.header.kind == Kind::Response {
            assert!(answers.insert(answer.header.call_id, answer).is_none(), "answered twice");
        }
    }
    answers
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(len) => len == 0,
        Err(error) => !is_timeout(&error),
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

#[test]
fn a_native_stream_is_answered_the_same_however_it_is_split() {
    let traced = |writer: &mut Writer<'_>| {
        writer.tag(Tag::TRACE, &[7; 24]).cookie(b"cookie").origin_budget_ms(9_000).method("mcrpc.example.Echo.Echo");
    };
    let checked = Header { flags: Flags(Flags::CRC_TRAILER), ..request(1, "Echo") };
    let one_way = Header { kind: Kind::OneWay, ..request(2, "Echo") };
    let ping = Header { uin: 12, ..Header::new(Kind::Ping, 3) };
    let stream = [
        hello("tests.Caller"),
        frame(checked, traced, b"a payload"),
        plain(one_way, b"not answered"),
        plain(ping, b""),
        plain(request(4, "Echo"), b"another"),
    ]
    .concat();
    let expect = |connection: &mut TcpStream, split: usize| {
        let mut frames = BTreeMap::new();
        while frames.len() < 4 {
            let frame = read_frame(connection).unwrap();
            // The server heard that its caller wants them.
            assert!(frame.header.flags.contains(Flags::CRC_TRAILER), "split at {split}");
            frames.insert((frame.header.kind as u8, frame.header.call_id), frame);
        }
        let own = &frames[&(Kind::Hello as u8, 0)];
        assert_eq!(own.metadata().caller(), "mcrpc.example.Bridge");
        assert!(Features(own.metadata().features()).contains(Features::CHECKSUMS));
        assert_eq!(own.metadata().peer_limits().max_body_len, 1 << 20);
        assert_eq!(frames[&(Kind::Pong as u8, 3)].header.uin, 12);
        for (call_id, payload) in [(1, &b"a payload"[..]), (4, b"another")] {
            let answer = &frames[&(Kind::Response as u8, call_id)];
            assert_eq!((answer.header.status, &answer.payload[..]), (Status::OK, payload), "split at {split}");
        }
    };
    for program in SERVERS {
        let server = Program::bridge(program, &[]);
        for split in 1..stream.len() {
            let mut connection = connect(&server.address);
            connection.write_all(&stream[..split]).unwrap();
            connection.write_all(&stream[split..]).unwrap();
            expect(&mut connection, split);
        }
        let mut connection = connect(&server.address);
        for byte in &stream {
            connection.write_all(std::slice::from_ref(byte)).unwrap();
        }
        expect(&mut connection, 0);
        server.stop();
    }
}

#[test]
fn failures_are_answered_by_name_and_the_connection_goes_on() {
    for program in SERVERS {
        let server = Program::bridge(program, &[]);
        let mut stream = connect(&server.address);
        let other_service = |writer: &mut Writer<'_>| {
            writer.service("mcrpc.example.Other");
        };
        let mut runs_out = frame(
            request(4, "Echo"),
            |writer| {
                writer.cookie(b"cookie");
            },
            b"payload",
        );
        // The length of the tag.
        runs_out[33] = 200;
        let flag_7 = {
            let mut bytes = plain(request(5, "Echo"), b"payload");
            bytes[2] |= Flags::MUST_UNDERSTAND;
            bytes
        };
        let mut dropped = plain(Header { kind: Kind::OneWay, ..request(6, "Echo") }, b"payload");
        dropped[2] |= Flags::MUST_UNDERSTAND;
        let bytes = [
            plain(request(1, "Other"), b"payload"),
            frame(request(2, "Echo"), other_service, b"payload"),
            plain(request(3, "Fail"), b"payload"),
            runs_out,
            flag_7,
            dropped,
            plain(request(7, "Echo"), b"payload"),
        ]
        .concat();
        let answers = call(&mut stream, &bytes, 6);
        for (call_id, status, word) in [
            (1, Status::NO_METHOD, "no such method"),
            (2, Status::NO_SERVICE, "mcrpc.example.Other"),
            (3, Status(42), "as was asked"),
            (4, Status::BAD_TAG, "tag"),
            (5, Status::UNSUPPORTED_FLAG, "flag"),
        ] {
            let answer = &answers[&call_id];
            assert_eq!(answer.header.status, status, "call {call_id}");
            assert!(answer.metadata().error_text().contains(word), "{:?}", answer.metadata().error_text());
            assert!(answer.payload.is_empty());
        }
        assert_eq!(answers[&7].header.status, Status::OK);
        // Without a hello nobody wants checksums.
        assert!(answers.values().all(|answer| !answer.header.flags.contains(Flags::CRC_TRAILER)));
    }
}

#[test]
fn what_finds_no_place_is_refused_and_what_is_cancelled_makes_room() {
    for program in SERVERS {
        let server = Program::bridge(program, &["--workers", "1", "--queue", "1", "--service-ms", "300"]);
        let mut stream = connect(&server.address);
        stream.write_all(&plain(request(1, "Echo"), b"")).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let bytes = [
            plain(request(2, "Echo"), b""),
            plain(request(3, "Echo"), b""),
            plain(Header::new(Kind::Cancel, 2), b""),
            plain(request(4, "Echo"), b""),
        ]
        .concat();
        let answers = call(&mut stream, &bytes, 3);
        assert_eq!(answers.keys().copied().collect::<Vec<_>>(), [1, 3, 4], "a cancelled call is not answered");
        assert_eq!(answers[&1].header.status, Status::OK);
        assert_eq!(answers[&3].header.status.class(), Class::Overload);
        assert!(!answers[&3].metadata().error_text().is_empty());
        assert_eq!(answers[&4].header.status, Status::OK);
        // A one-way has no answer that nobody could want: it stays where it is.
        stream.write_all(&plain(request(10, "Echo"), b"")).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let bytes = [
            plain(Header { kind: Kind::OneWay, ..request(11, "Echo") }, b""),
            plain(Header::new(Kind::Cancel, 11), b""),
            plain(request(12, "Echo"), b""),
        ]
        .concat();
        assert_eq!(call(&mut stream, &bytes, 2)[&12].header.status.class(), Class::Overload);
        // What is half here when its caller leaves is forgotten: nothing of it stays in the only place.
        let half = plain(request(5, "Echo"), b"payload");
        stream.write_all(&half[..half.len() - 1]).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        let mut stream = connect(&server.address);
        assert_eq!(call(&mut stream, &plain(request(6, "Echo"), b""), 1)[&6].header.status, Status::OK);
    }
}

#[test]
fn a_queue_takes_no_more_bytes_than_it_has_room_for() {
    let server = Program::bridge(SERVERS[0], &["--workers", "1", "--service-ms", "10000"]);
    let mut stream = connect(&server.address);
    let long = vec![0; (1 << 20) - 1];
    for call_id in 1..=20 {
        stream.write_all(&plain(request(call_id, "Echo"), &long)).unwrap();
    }
    // The worker has one, and sixteen wait.
    for _ in 18..=20 {
        assert_eq!(read_frame(&mut stream).unwrap().header.status, Status::QUEUE_FULL);
    }
}

#[test]
fn a_broken_stream_is_closed_and_its_status_named() {
    let damaged = |offset: usize, value: u8| {
        let mut bytes = frame(
            request(1, "Echo"),
            |writer| {
                writer.cookie(b"c");
            },
            b"payload",
        );
        bytes[offset] = value;
        bytes
    };
    let mut bad_checksum = hello("tests.Caller");
    bad_checksum[2] = Flags::CRC_TRAILER;
    bad_checksum.extend([0; 4]);
    let mut bad_hello = hello("tests.Caller");
    bad_hello[34] = b' ';
    let brpc = |body_len: u32, meta_len: u32, body: &[u8]| {
        [b"PRPC", &body_len.to_be_bytes()[..], &meta_len.to_be_bytes(), body].concat()
    };
    let cases: [(Vec<u8>, &str); 11] = [
        (
            [plain(Header::new(Kind::Ping, 1), b""), b"This is no header at all, but long enough.".to_vec()].concat(),
            "bad_magic",
        ),
        (b"What is this?".to_vec(), "bad_magic"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "bad_magic"),
        (damaged(1, 0x21), "bad_version"),
        (damaged(1, 0x10), "bad_kind"),
        (damaged(7, 0xFF), "body_too_long"),
        (damaged(31, 0x7F), "bad_metadata_length"),
        (bad_checksum, "bad_checksum"),
        (bad_hello, "bad_name"),
        (brpc(0xFFFF_FFFF, 4, b"meta"), "body_too_long"),
        (brpc(4, 4, b"\xFF\xFF\xFF\xFF"), "bad_meta"),
    ];
    for program in SERVERS {
        let server = Program::bridge(program, &[]);
        let mut other = connect(&server.address);
        for (bytes, status) in &cases {
            let mut stream = connect(&server.address);
            stream.write_all(bytes).unwrap();
            let complaint = server.complaint();
            assert!(complaint.starts_with("bridge_server") && complaint.contains(status), "{status}: {complaint}");
            while read_frame_or_end(&mut stream) {}
            assert_eq!(call(&mut other, &plain(request(1, "Echo"), b""), 1)[&1].header.status, Status::OK);
        }
    }
}

/// False at the end of the stream.
fn read_frame_or_end(stream: &mut TcpStream) -> bool {
    match read_frame(stream) {
        Ok(_) => true,
        Err(error) => {
            assert!(!is_timeout(&error), "the connection is still open");
            false
        }
    }
}

#[test]
fn a_server_that_needs_checksums_sends_them_and_takes_no_frame_without() {
    let server = Program::bridge(SERVERS[0], &["--checksums"]);
    let mut stream = connect(&server.address);
    let checked = Header { flags: Flags(Flags::CRC_TRAILER), ..request(1, "Echo") };
    let answer = call(&mut stream, &plain(checked, b"payload"), 1).remove(&1).unwrap();
    assert!(answer.header.flags.contains(Flags::CRC_TRAILER));
    stream.write_all(&plain(request(2, "Echo"), b"payload")).unwrap();
    assert!(server.complaint().contains("checksum_missing"));
    assert!(is_closed(&mut stream));
}

/// A request of brpc without optional fields, and with an attachment.
fn brpc_request(correlation_id: u8, payload: &[u8], attachment: &[u8]) -> Vec<u8> {
    let text = |number: u8, text: &str| [&[number << 3 | 2, text.len() as u8], text.as_bytes()].concat();
    let names = [text(1, "mcrpc.example.Echo"), text(2, "Echo")].concat();
    let meta =
        [&[1 << 3 | 2, names.len() as u8], &names[..], &[4 << 3, correlation_id, 5 << 3, attachment.len() as u8]]
            .concat();
    let body_len = (meta.len() + payload.len() + attachment.len()) as u32;
    [b"PRPC", &body_len.to_be_bytes()[..], &(meta.len() as u32).to_be_bytes(), &meta, payload, attachment].concat()
}

/// The body of the next brpc frame.
fn read_brpc(stream: &mut TcpStream) -> Vec<u8> {
    let mut header = [0; 12];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header[..4], *b"PRPC");
    let mut body = vec![0; u32::from_be_bytes(header[4..8].try_into().unwrap()) as usize];
    stream.read_exact(&mut body).unwrap();
    body
}

#[test]
fn both_protocols_are_served_at_the_same_time() {
    for program in SERVERS {
        let server = Program::bridge(program, &[]);
        let (mut native, mut brpc) = (connect(&server.address), connect(&server.address));
        for round in 1..100_u8 {
            let (asked, attached) = (vec![round; 40], vec![b'a'; usize::from(round % 3)]);
            let native_bytes = plain(request(round.into(), "Echo"), &asked);
            let brpc_bytes = brpc_request(round, &asked, &attached);
            let at = usize::from(round) % native_bytes.len().min(brpc_bytes.len());
            native.write_all(&native_bytes[..at]).unwrap();
            brpc.write_all(&brpc_bytes[..at]).unwrap();
            native.write_all(&native_bytes[at..]).unwrap();
            brpc.write_all(&brpc_bytes[at..]).unwrap();
            assert!(read_brpc(&mut brpc).ends_with(&[&asked[..], &attached].concat()));
            let answer = read_frame(&mut native).unwrap();
            assert_eq!((answer.header.call_id, &answer.payload), (round.into(), &asked));
        }
    }
}

#[test]
fn a_browser_is_told_what_this_port_is() {
    let server = Program::bridge(SERVERS[0], &[]);
    for (request, status) in [("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", "200"), ("POST / HTTP/1.0\r\n\r\n", "404")] {
        let mut stream = connect(&server.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

/// Every server of the examples, with requests that take about 0.4 s.
const ALL_SERVERS: [(&str, &[&str]); 5] = [
    (env!("MCRPC_BRIDGE_SERVER_STATIC"), &["--service-ms", "400"]),
    (env!("MCRPC_OVERLOAD_SERVER_STATIC"), &["--service-ms", "400"]),
    (env!("MCRPC_OVERLOAD_SERVER_SHARED"), &["--service-ms", "400", "--processes", "1"]),
    (env!("MCRPC_IO_WORKER_SERVER_STATIC"), &["--service-ms", "400"]),
    (env!("MCRPC_FLEET_BACK_STATIC"), &["--service-ms", "400", "--policy", "none"]),
];

#[test]
fn every_server_that_is_told_to_end_says_goodbye_and_answers_what_it_has() {
    for (program, arguments) in ALL_SERVERS {
        let mut server = Program::bridge(program, arguments);
        let mut stream = connect(&server.address);
        stream.write_all(&[hello("tests.Caller"), plain(request(1, "Echo"), b"")].concat()).unwrap();
        assert_eq!(read_frame(&mut stream).unwrap().header.kind, Kind::Hello, "{program}");
        let start = Instant::now();
        server.signal(Signal::TERM);
        let goodbye = read_frame(&mut stream).unwrap();
        assert_eq!(goodbye.header.kind, Kind::GoAway, "{program}");
        assert!(!goodbye.metadata().error_text().is_empty());
        let answers = call(&mut stream, &plain(request(2, "Echo"), b""), 2);
        assert_eq!(answers[&1].header.status, Status::OK, "{program}");
        assert_eq!(answers[&2].header.status, Status::GOING_AWAY, "{program}");
        assert!(is_closed(&mut stream), "{program}");
        assert!(server.child.wait().unwrap().success());
        assert!(start.elapsed() < Duration::from_secs(2), "{program}: {:?}", start.elapsed());
    }
}

#[test]
fn no_server_keeps_a_place_for_a_request_whose_rest_does_not_come() {
    let servers = ALL_SERVERS.map(|(program, arguments)| Program::bridge(program, arguments));
    let native = plain(request(1, "Echo"), b"payload");
    let unknown = [0xC7, 0x1F, 0, 0, 7, 0, 0, 0].into_iter().chain([0; 24]).collect::<Vec<_>>();
    let start = Instant::now();
    let open = |server: &Program, bytes: &[u8]| {
        let mut stream = connect(&server.address);
        stream.set_read_timeout(Some(Duration::from_secs(9))).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let mut stuck: Vec<_> = servers.iter().map(|server| open(server, &native[..native.len() - 1])).collect();
    let brpc = brpc_request(1, b"payload", b"");
    for bytes in [&b"PR"[..], b"GET /health HTTP/1.1\r\n", &brpc[..brpc.len() - 1]] {
        stuck.push(open(&servers[0], bytes));
    }
    // Who is between two requests, or sends what is skipped, takes nobody's place.
    let mut idle = [native, brpc, unknown].map(|bytes| open(&servers[0], &bytes));
    for stream in &mut stuck {
        // Until the end, also if the test itself was stopped meanwhile, which ends a read that has a timeout.
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    assert!(start.elapsed() > Duration::from_secs(4), "{:?}", start.elapsed());
    for server in &servers {
        assert!(server.complaint().contains("timed_out"));
    }
    for stream in &mut idle {
        stream.set_nonblocking(true).unwrap();
        while let Ok(len) = stream.read(&mut [0; 1024]) {
            assert!(len > 0, "it was hung up on");
        }
    }
}

#[test]
fn a_server_without_descriptors_waits_for_one() {
    let limited = format!("ulimit -n 24; exec {} --die-with-parent", SERVERS[0]);
    let server = Program::start("/bin/sh", &["-c", &limited]);
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
        stat.split(' ').skip(13).take(2).map(|number| number.parse::<u64>().unwrap()).sum::<u64>()
    };
    let mut streams: Vec<_> = (0..40).map(|_| connect(&server.address)).collect();
    let used = ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert!(ticks() - used < 5, "it does not spin");
    let mut last = streams.pop().unwrap();
    drop(streams);
    assert_eq!(call(&mut last, &plain(request(1, "Echo"), b""), 1)[&1].header.status, Status::OK);
}

#[test]
fn every_server_hears_hellos_answers_pings_and_needs_checksums_when_told_to() {
    for (program, arguments) in ALL_SERVERS {
        let server = Program::bridge(program, &[arguments, &["--checksums", "--service-ms", "1"]].concat());
        let mut stream = connect(&server.address);
        let checked = |header: Header| Header { flags: Flags(Flags::CRC_TRAILER), ..header };
        let caller = |writer: &mut Writer<'_>| {
            writer.caller("tests.Caller");
        };
        let bytes = [
            frame(checked(Header::new(Kind::Hello, 0)), caller, b""),
            plain(checked(Header::new(Kind::Ping, 9)), b""),
            // Only the first hello is answered.
            frame(checked(Header::new(Kind::Hello, 0)), caller, b""),
            // A ping has no body: one that is there is not looked at.
            frame(checked(Header::new(Kind::Ping, 10)), caller, b"looked at by nobody"),
        ]
        .concat();
        stream.write_all(&bytes).unwrap();
        for (kind, call_id) in [(Kind::Hello, 0), (Kind::Pong, 9), (Kind::Pong, 10)] {
            let heard = read_frame(&mut stream).unwrap();
            assert_eq!((heard.header.kind, heard.header.call_id), (kind, call_id), "{program}");
            assert!(heard.header.flags.contains(Flags::CRC_TRAILER), "{program}");
            assert!(kind != Kind::Hello || heard.metadata().caller().starts_with("mcrpc.example."), "{program}");
        }
        assert_eq!(call(&mut stream, &plain(checked(request(1, "Echo")), b""), 1)[&1].header.status, Status::OK);
        stream.write_all(&plain(request(2, "Echo"), b"")).unwrap();
        assert!(server.complaint().contains("checksum_missing"), "{program}");
        assert!(is_closed(&mut stream), "{program}");
    }
}

// ---- brpc -----------------------------------------------------------------------------------------------

/// Compiles the peer that is made of Debian's protobuf alone.
fn brpc_peer() -> &'static Path {
    static PEER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = PEER.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let protoc = Command::new("protoc")
            .arg("--proto_path")
            .arg(root().join("peers/proto"))
            .arg("--cpp_out")
            .arg(directory.path())
            .arg("baidu_rpc_meta.proto")
            .output();
        let is_there = protoc.as_ref().is_ok_and(|output| output.status.success());
        assert!(
            is_there,
            "this test needs protobuf's compiler and library: apt-get install protobuf-compiler libprotobuf-dev ({protoc:?})"
        );
        let program = directory.path().join("brpc_peer");
        let mut command = Command::new(std::env::var("CXX").unwrap_or("c++".into()));
        command.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-pthread", "-I"]).arg(directory.path());
        command.arg(root().join("tests/cpp/brpc_peer.cpp")).arg(directory.path().join("baidu_rpc_meta.pb.cc"));
        run(command.arg("-lprotobuf").arg("-o").arg(&program));
        (directory, program)
    });
    program
}

fn peer_calls(server: &Program, scenario: &str) {
    let printed = run(Command::new(brpc_peer()).args(["client", server.port(), scenario]));
    assert!(printed.contains(&format!("{scenario} hold")), "{printed}");
}

#[test]
fn a_brpc_client_is_served_as_by_brpc_and_its_context_is_known() {
    for program in SERVERS {
        let server = Program::bridge(program, &["--verbose"]);
        peer_calls(&server, "calls");
        let printed = server.stop();
        let rich = printed.lines().find(|line| line.contains("correlation_id 2 ")).expect("the second request");
        for part in [
            "method mcrpc.example.Echo.Echo",
            "caller peer.Caller",
            "log_id 77",
            "trace_id 78",
            "span_id 79",
            "parent_span_id 80",
            "mc-uin=2709160720",
            "mc-priority=2",
        ] {
            assert!(rich.contains(part), "{part}: {rich}");
        }
    }
}

#[test]
fn a_brpc_client_is_told_of_overload_and_of_the_end_in_its_own_codes() {
    let busy = ["--workers", "1", "--queue", "1", "--service-ms", "300"];
    peer_calls(&Program::bridge(SERVERS[0], &busy), "busy");

    let mut server = Program::bridge(SERVERS[0], &["--workers", "1", "--service-ms", "400"]);
    let mut command = Command::new(brpc_peer());
    command.args(["client", server.port(), "logoff"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut peer = command.spawn().unwrap();
    let mut printed = BufReader::new(peer.stdout.take().unwrap()).lines();
    assert_eq!(printed.next().unwrap().unwrap(), "sent");
    server.signal(Signal::TERM);
    // The signal comes through a descriptor; when the server has read it, it listens no more.
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::yield_now();
    }
    peer.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(printed.next().unwrap().unwrap(), "logoff hold");
    assert!(peer.wait().unwrap().success() && server.child.wait().unwrap().success());
}

/// Runs a client against a server that answers all that it wrote with these bytes.
fn client_answered(arguments: &[&str], answers: Vec<u8>) -> std::process::Output {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(&answers).unwrap();
        // The client hangs up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let arguments = [&["--server", &address, "--count", "2", "--timeout-ms", "500"], arguments].concat();
    let output = Command::new(CLIENTS[0]).args(arguments).output().unwrap();
    server.join().unwrap();
    output
}

#[test]
fn a_client_takes_one_answer_for_each_call_and_a_request_for_none() {
    let answer = plain(Header::new(Kind::Response, 1), b"");
    let output = client_answered(&[], answer.repeat(3));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && printed.ends_with("message \n1 calls were not answered\n"), "{printed}");

    let output = client_answered(&["--protocol", "baidu_std"], brpc_request(1, b"", b""));
    let (printed, complaint) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!output.status.success() && printed == "2 calls were not answered\n", "{printed}");
    assert!(complaint.contains("bad_kind"), "{complaint}");
}

/// What a client prints, and whether it is content.
fn client(program: &str, server: &Program, arguments: &[&str]) -> (String, bool) {
    let output = Command::new(program).args(["--server", &server.address]).args(arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn the_client_calls_a_brpc_server() {
    let mut server = Program::start(brpc_peer(), &["server"]);
    let brpc = ["--protocol", "baidu_std", "--service", "example.EchoService"];
    for program in CLIENTS {
        let origin = ["--uin", "2709160720", "--business-id", "138", "--priority", "2", "--log-id", "77"];
        let arguments = [&brpc[..], &origin, &["--message", "ping", "--attachment", "beside", "--count", "3"]].concat();
        let (printed, is_ok) = client(program, &server, &arguments);
        let mut lines: Vec<_> = printed.lines().collect();
        lines.sort_unstable();
        let expected = [1, 2, 3].map(|call| format!("call {call} status 0 ok message ping attachment beside"));
        assert!(is_ok && lines == expected, "{printed}");
        let mut line = String::new();
        server.stdout.read_line(&mut line).unwrap();
        for part in [
            "example.EchoService.Echo log_id 77 in time traced from mcrpc.example.BridgeClient",
            "mc-uin=2709160720",
            "mc-business-id=138",
            "mc-priority=2",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        for _ in 0..2 {
            server.stdout.read_line(&mut line).unwrap();
        }
        for (method, expected) in [
            ("ELIMIT", "status -206 queue_full"),
            ("EOVERCROWDED", "status -206 queue_full"),
            ("ELOGOFF", "status -224 going_away"),
            ("ERPCTIMEDOUT", "status -221 deadline_in_queue"),
            ("Own", "status 77 own text [E77]"),
            ("Nothing", "status -227 no_method text Fail to find method=Nothing"),
        ] {
            let (printed, is_ok) = client(program, &server, &[&brpc[..], &["--method", method]].concat());
            assert!(!is_ok && printed.contains(expected), "{method}: {printed}");
            server.stdout.read_line(&mut line).unwrap();
        }
        let (printed, _) = client(program, &server, &["--protocol", "baidu_std", "--service", "example.Other"]);
        assert!(printed.contains("status -226 no_service text Fail to find service=example.Other"), "{printed}");
        server.stdout.read_line(&mut line).unwrap();
    }
}

#[test]
fn the_client_and_the_server_understand_each_other_in_both_protocols() {
    for (server, program) in SERVERS.into_iter().zip(CLIENTS) {
        let server = Program::bridge(server, &[]);
        for protocol in ["native", "baidu_std"] {
            let (printed, is_ok) = client(program, &server, &["--protocol", protocol, "--count", "50"]);
            assert!(
                is_ok && printed.lines().filter(|line| line.ends_with("ok message hello")).count() == 50,
                "{printed}"
            );
            let (printed, is_ok) = client(program, &server, &["--protocol", protocol, "--method", "Fail"]);
            assert!(!is_ok && printed.contains("status 42 own text as was asked"), "{printed}");
        }
    }
    let server = Program::bridge(SERVERS[0], &["--checksums"]);
    assert!(client(CLIENTS[0], &server, &["--checksums"]).1);
    for protocol in ["native", "baidu_std"] {
        let (printed, is_ok) = client(CLIENTS[0], &server, &["--protocol", protocol, "--timeout-ms", "1"]);
        assert!(!is_ok && printed.contains("out_of_time"), "not sent: {printed}");
    }
    assert!(!client(CLIENTS[0], &server, &[]).1, "its first frame has no checksum");
}

#[test]
fn wrong_options_are_refused_with_a_reason() {
    for (program, options, reason) in [
        (SERVERS[0], &["--workers", "0"] as &[&str], "--workers"),
        (SERVERS[0], &["more"], "\"more\" is no option"),
        (CLIENTS[0], &[], "--server is missing"),
        (CLIENTS[0], &["--server", "localhost:1"], "IP:PORT"),
        (CLIENTS[0], &["--server", "127.0.0.1:1", "--protocol", "http"], "native or baidu_std"),
        (CLIENTS[0], &["--server", "127.0.0.1:1", "--attachment", "a"], "--protocol baidu_std"),
        (CLIENTS[0], &["--server", "127.0.0.1:1", "--count", "-1"], "--count"),
    ] {
        let output = Command::new(program).args(options).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(reason), "{options:?}: {error}");
    }
}
