//! A host with a proxy, callers that know nothing but the wire, and servers that say what the test wants.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mcrpc::{Address, Host, Status};
use mcrpc_agent::names::{self, ServiceList};
use mcrpc_agent::publisher::{Publisher, Settings as Agent};
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Frame, Header, Kind, Limits, Writer};
use mcrpc_proxy::schema::Schemas;
use mcrpc_proxy::{Proxy, Settings};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

pub const ECHO: &str = "mcrpc.example.Echo.Echo";
pub const FAIL: &str = "mcrpc.example.Echo.Fail";

/// A host with the files of its agent, and a proxy.
pub struct World {
    pub proxy: Option<Proxy>,
    _agent: Publisher,
    root: TempDir,
}

impl World {
    /// A host on which these services are known.
    pub fn new(services: &[(&str, &[SocketAddr])]) -> World {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("run");
        let settings = Agent { capacity: 1_000, seats: 4, counters: 64, ..Agent::DEFAULT };
        let (agent, _) = Publisher::open(&dir, settings).unwrap();
        let mut world = World { proxy: None, _agent: agent, root };
        services.iter().for_each(|(name, servers)| world.name(name, servers));
        let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/proto");
        let settings = Settings {
            host: Arc::new(Host::new(&dir)),
            socket: dir.join("proxy.sock"),
            http: Address::Unix(dir.join("proxy-http.sock")),
            socket_mode: 0o600,
            schemas: Schemas::open(Some(&protos)).unwrap(),
        };
        world.proxy = Some(Proxy::start(settings, |_| ()).unwrap());
        world
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// Says where the servers of a service are, as the agent does.
    pub fn name(&self, service: &str, servers: &[SocketAddr]) {
        let lists = names::directory_of(&self.dir());
        std::fs::create_dir_all(&lists).unwrap();
        let empty = String::new;
        let server = |&address| names::Server { address, weight: 100, region: empty(), zone: empty(), group: empty() };
        let list = ServiceList {
            service: service.to_owned(),
            id: ServiceList::id_of(service),
            version: 1,
            source: names::Source::Local,
            here: names::Place::default(),
            rules: Vec::new(),
            servers: servers.iter().map(server).collect(),
        };
        names::replace(&lists, &list).unwrap();
    }

    pub fn http(&self) -> UnixStream {
        connect(&self.dir().join("proxy-http.sock"))
    }

    pub fn native(&self) -> UnixStream {
        connect(&self.dir().join("proxy.sock"))
    }

    /// The code of HTTP and the answer to a message in JSON.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> (u16, Value) {
        let (code, body) = exchange(&mut self.http(), path, headers, body.as_ref());
        (code, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request, and does not wait.
pub fn send(stream: &mut UnixStream, path: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: proxy\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).unwrap();
}

pub fn exchange(stream: &mut UnixStream, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
    send(stream, path, headers, body);
    receive(stream)
}

/// The code and the body of an answer.
pub fn receive(stream: &mut UnixStream) -> (u16, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let (mut code, mut len) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            code = rest[..3].parse().unwrap();
        } else if let Some(value) = line.strip_prefix("content-length: ") {
            len = value.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    (code, body)
}

/// A frame, whole and owned.
#[derive(Clone, Debug)]
pub struct Received {
    pub header: Header,
    pub metadata: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Received {
    pub fn metadata(&self) -> mcrpc_core::wire::Metadata<'_> {
        mcrpc_core::wire::Metadata::new_checked(&self.metadata, &Limits::WIDEST).unwrap()
    }
}

/// The next frame; `None` when the peer has gone.
pub fn read_frame(stream: &mut impl std::io::Read) -> Option<Received> {
    let mut bytes = vec![0; 32];
    stream.read_exact(&mut bytes).ok()?;
    bytes.resize(Frame::wanted(&bytes, &Limits::WIDEST).unwrap(), 0);
    stream.read_exact(&mut bytes[32..]).ok()?;
    let frame = Frame::new_checked(&bytes, &Limits::WIDEST).unwrap();
    let metadata = frame.metadata.bytes().to_vec();
    Some(Received { header: frame.header, metadata, payload: frame.payload.to_vec() })
}

pub fn frame(header: &Header, write: impl Fn(&mut Writer<'_>), payload: &[u8]) -> Vec<u8> {
    let mut head = [0; 1_024];
    let mut writer = Writer::new(&mut head);
    write(&mut writer);
    let len = writer.finish(header, payload.len() as u32).unwrap();
    [&head[..len], payload].concat()
}

/// A request for a method, of a caller who waits for five seconds.
pub fn request(method: &str, call_id: u32) -> Header {
    Header { method_id: method_id(method.as_bytes()), budget_ms: 5_000, ..Header::new(Kind::Request, call_id) }
}

/// Calls a method of the service `Echo` over a connection.
pub fn call(stream: &mut UnixStream, header: &Header, payload: &[u8]) -> Received {
    stream.write_all(&frame(header, |writer| _ = writer.service("Echo"), payload)).unwrap();
    read_frame(stream).expect("the proxy answers")
}

/// What a server that the test plays does with a request.
pub enum Answer {
    Frame(Vec<u8>),
    /// It goes away.
    Close,
    Nothing,
}

/// A server that the test plays: it remembers all frames, and answers requests as it is told.
#[derive(Clone)]
pub struct Played {
    pub address: SocketAddr,
    frames: Arc<Mutex<Vec<Received>>>,
}

impl Played {
    pub fn new(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Played {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let played = Played { address: listener.local_addr().unwrap(), frames: Arc::default() };
        let (frames, answer) = (played.frames.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (frames, answer) = (frames.clone(), answer.clone());
                thread::spawn(move || serve(stream.unwrap(), &frames, &*answer));
            }
        });
        played
    }

    /// The frames of a kind that it has received.
    pub fn received(&self, kind: Kind) -> Vec<Received> {
        let frames = self.frames.lock().unwrap();
        frames.iter().filter(|frame| frame.header.kind == kind).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, frames: &Mutex<Vec<Received>>, answer: &dyn Fn(&Received) -> Answer) {
    while let Some(frame) = read_frame(&mut stream) {
        frames.lock().unwrap().push(frame.clone());
        if frame.header.kind != Kind::Request {
            continue;
        }
        match answer(&frame) {
            Answer::Frame(bytes) => stream.write_all(&bytes).unwrap(),
            Answer::Close => return,
            Answer::Nothing => {}
        }
    }
}

/// The answer to a request.
pub fn answer(to: &Received, status: Status, write: impl Fn(&mut Writer<'_>), payload: &[u8]) -> Answer {
    let header = Header { status, cursor: 0x2000_0000, ..Header::new(Kind::Response, to.header.call_id) };
    Answer::Frame(frame(&header, write, payload))
}

pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}
