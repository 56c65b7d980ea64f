//! Given callers and servers in Rust and in C++, of an older or a newer schema, whose frames are of this version of the format or of
//! a later one, when any of them call any, then what both know arrives, what one does not know does no harm, and what travels onward
//! arrives behind the server byte for byte.
//!
//! `cargo test --test matrix -- --nocapture` prints the cells. Every server is a middle tier: its method Pass calls a shelf behind it,
//! which keeps what came.

#[path = "matrix/behind.rs"]
mod behind;
#[path = "matrix/cpp_peers.rs"]
mod cpp_peers;
#[path = "matrix/growth.rs"]
mod growth;
#[path = "matrix/rust_peers.rs"]
mod rust_peers;
mod support;

use std::any::Any;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use behind::Behind;
use cpp_peers::Programs;
use mcrpc::{Failure, Status};
use mcrpc_build_sample::growth::new::{Item, Part};
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Header, Kind};
use prost::Message as _;
use support::frames::{Received, connect, frame, hello, read_bytes, read_frame};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Old,
    New,
}

impl Version {
    const ALL: [Version; 2] = [Version::Old, Version::New];

    fn name(self) -> &'static str {
        match self {
            Version::Old => "old",
            Version::New => "new",
        }
    }

    fn is_new(self) -> bool {
        self == Version::New
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Rust,
    Cpp,
}

/// One of two who talk.
#[derive(Clone, Copy)]
struct Peer {
    language: Language,
    schema: Version,
    frames: Version,
}

impl Peer {
    fn all() -> Vec<Peer> {
        let languages = [Language::Rust, Language::Cpp];
        let of = |language| {
            let with = move |schema| Version::ALL.map(|frames| Peer { language, schema, frames });
            Version::ALL.into_iter().flat_map(with)
        };
        languages.into_iter().flat_map(of).collect()
    }

    /// Whether fields that its schema does not have are still there when it sends a message on. prost drops them.
    fn keeps_fields(self) -> bool {
        self.schema.is_new() || self.language == Language::Cpp
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let language = match self.language {
            Language::Rust => "Rust",
            Language::Cpp => "C++",
        };
        out.pad(&format!("{language} {}/{}", self.schema.name(), self.frames.name()))
    }
}

/// A caller and a server.
#[derive(Clone, Copy)]
struct Cell {
    client: Peer,
    server: Peer,
}

impl Cell {
    /// What the caller says that it was told.
    fn lines(self) -> Vec<String> {
        let (is_new, knows_more) = (self.client.schema.is_new(), self.server.schema.is_new());
        let colour = if is_new { 3 } else { 2 };
        let own = if is_new && self.server.keeps_fields() { "the caller's" } else { "" };
        let servers = if is_new && knows_more { "the server's" } else { "" };
        let mut lines = vec![
            format!("get 0 id 8 colour {colour} name next item label {servers}"),
            format!("pass 0 id 7 colour {colour} name item label {own}"),
            format!("pass on 0 id 8 colour {colour} name next item label {servers}"),
        ];
        if is_new {
            let missing = format!("count {} ", Status::NO_METHOD.0);
            lines.push(if knows_more { "count 0 id 2 colour 0 name  label ".to_owned() } else { missing });
        }
        lines
    }

    /// What the shelf behind the server is told: what the caller has made itself, and what it was told before.
    fn behind(self) -> [Item; 2] {
        let colour = if self.client.schema.is_new() { 3 } else { 2 };
        let labelled = |item: Item, label: &str| Item {
            label: label.into(),
            sizes: vec![1, 300],
            part: Some(Part { weight: 5 }),
            ..item
        };
        let own = Item { id: 7, colour, name: "item".into(), ..Item::default() };
        let got = Item { id: 8, name: "next item".into(), ..own.clone() };
        let keeps_own = self.client.schema.is_new() && self.server.keeps_fields();
        let keeps_got = self.server.schema.is_new() && self.client.keeps_fields();
        [
            if keeps_own { labelled(own, "the caller's") } else { own },
            if keeps_got { labelled(got, "the server's") } else { got },
        ]
    }

    fn summary(self) -> String {
        let has_no_method = self.client.schema.is_new() && !self.server.schema.is_new();
        let marks = [
            (has_no_method, 'm'),
            (self.client.schema.is_new() && !self.server.keeps_fields(), 's'),
            (self.server.schema.is_new() && !self.client.keeps_fields(), 'c'),
        ];
        let marks: String = marks.into_iter().filter_map(|(is_so, mark)| is_so.then_some(mark)).collect();
        format!("ok {marks}").trim_end().to_owned()
    }
}

/// A server, and the shelf behind it.
struct Serving {
    peer: Peer,
    port: u16,
    behind: Behind,
    _running: Box<dyn Any>,
}

impl Serving {
    fn start(peer: Peer, programs: &[Programs; 2]) -> Serving {
        let behind = Behind::start();
        let (running, port): (Box<dyn Any>, u16) = match peer.language {
            Language::Rust => {
                let (server, port) = rust_peers::serve(peer.schema, behind.port);
                (Box::new(server), port)
            }
            Language::Cpp => {
                let (running, port) = programs[peer.schema as usize].serve(behind.port);
                (Box::new(running), port)
            }
        };
        Serving { peer, port, behind, _running: running }
    }
}

/// The programs in C++, built by the first test that asks.
fn programs() -> &'static [Programs; 2] {
    static PROGRAMS: OnceLock<[Programs; 2]> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix");
        Version::ALL.map(|schema| Programs::build(schema, &out))
    })
}

fn call(peer: Peer, port: u16, programs: &[Programs; 2]) -> Vec<String> {
    match peer.language {
        Language::Rust => rust_peers::call(peer.schema, port),
        Language::Cpp => programs[peer.schema as usize].call(port),
    }
}

#[test]
fn callers_and_servers_of_any_two_versions_understand_each_other() {
    let programs = programs();
    let peers = Peer::all();
    let servers: Vec<Serving> = peers.iter().map(|peer| Serving::start(*peer, programs)).collect();
    println!("language schema/frames; callers in lines, servers in columns");
    println!(
        "m: the new method is answered with no_method, s: the server's messages drop what it does not know, c: the caller's do"
    );
    print!("{:14}", "");
    peers.iter().for_each(|peer| print!("{peer:14}"));
    println!();
    for client in &peers {
        print!("{client:14}");
        for server in &servers {
            let cell = Cell { client: *client, server: server.peer };
            let port = growth::link(server.port, client.frames, server.peer.frames);
            let told = call(*client, port, programs);
            assert_eq!(told, cell.lines(), "{client} calls {}", server.peer);
            for expected in cell.behind() {
                let received = server.behind.next();
                let item = Item::decode(&received.payload[..]).unwrap();
                assert_eq!(item, expected, "{client} calls {}", server.peer);
                expect_onward(&received, cell);
            }
            print!("{:14}", cell.summary());
        }
        println!();
    }
}

/// What came with the caller's request has to have come with the server's, and nothing that was for one hop alone.
fn expect_onward(received: &Received, cell: Cell) {
    let unknown: Vec<_> = received.metadata().iter().filter(|(tag, _)| !tag.is_known()).collect();
    let is_new = cell.client.frames.is_new();
    let added: Vec<_> = if is_new { growth::added_onward().collect() } else { Vec::new() };
    assert_eq!(unknown, added, "{} calls {}", cell.client, cell.server);
    assert_eq!(received.metadata().call_graph_id(), if is_new { growth::CALL_GRAPH_ID } else { 0 });
    let patience_ms = PATIENCE.as_millis() as u32;
    assert!((1..=patience_ms).contains(&received.header.budget_ms), "{}", received.header.budget_ms);
}

/// A frame whose header has another layout.
fn of_version_2(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[1] = bytes[1] & 0x0F | 0x20;
    bytes
}

#[test]
fn a_server_closes_the_connection_on_a_frame_of_another_major_version_and_serves_the_others() {
    let programs = programs();
    for language in [Language::Rust, Language::Cpp] {
        let server = Serving::start(Peer { language, schema: Version::New, frames: Version::New }, programs);
        let address = format!("127.0.0.1:{}", server.port);
        let request = |call_id| {
            let method_id = method_id(b"shelf.Shelf.Get");
            frame(Header { method_id, budget_ms: 20_000, ..Header::new(Kind::Request, call_id) }, |_| {}, &[])
        };
        let answer_to = |stream: &mut TcpStream, call_id| loop {
            let received = read_frame(stream).expect("it is answered");
            if received.header.kind == Kind::Response && received.header.call_id == call_id {
                return received.header.status;
            }
        };
        let mut other = connect(&address);
        other.write_all(&request(1)).unwrap();
        assert_eq!(answer_to(&mut other, 1), Status::OK);
        for newer in [of_version_2(request(2)), of_version_2(hello("tests.Caller"))] {
            let mut stream = connect(&address);
            stream.write_all(&request(1)).unwrap();
            assert_eq!(answer_to(&mut stream, 1), Status::OK);
            stream.write_all(&newer).unwrap();
            let mut rest = Vec::new();
            // A reset says the same: nothing that it sent is answered.
            let end = stream.read_to_end(&mut rest);
            let is_closed =
                end.as_ref().map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true);
            assert!(is_closed && rest.is_empty(), "{language:?}: {end:?}, {rest:?}");
        }
        other.write_all(&request(3)).unwrap();
        assert_eq!(answer_to(&mut other, 3), Status::OK);
        println!("server in {language:?}: closes the connection, serves the others");
    }
}

/// A server that answers in frames of another layout, as often as is asked; its port.
fn answering_in_version_2() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            while let Ok(bytes) = read_bytes(&mut stream) {
                let header = Header::parse(bytes.first_chunk().unwrap(), &Default::default()).unwrap();
                let answer = of_version_2(frame(Header::new(Kind::Response, header.call_id), |_| {}, &[]));
                if header.kind == Kind::Request && stream.write_all(&answer).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn a_caller_that_is_answered_in_another_major_version_says_so_and_goes_on() {
    let programs = programs();
    let newer = answering_in_version_2();
    let client = rust_peers::client(newer);
    let failed = client.call("Shelf", "shelf.Shelf.Get", "").wait();
    assert_eq!(failed.map_err(|failure| Failure::status(&failure)), Err(Status::BAD_VERSION));
    let server =
        Serving::start(Peer { language: Language::Rust, schema: Version::New, frames: Version::Old }, programs);
    client.set_servers("Shelf", [format!("127.0.0.1:{}", server.port)]).unwrap();
    assert!(client.call("Shelf", "shelf.Shelf.Get", "").wait().is_ok());
    println!("caller in Rust: {}", Status::BAD_VERSION);
    let lines = programs[0].call(newer);
    assert!(lines.iter().all(|line| line.ends_with(&format!(" {} ", Status::READ_FAILED.0))), "{lines:?}");
    println!("caller in C++: ends the connection, and says why on stderr; {}", Status::READ_FAILED);
}
