//! A caller that knows nothing but the wire: what it says and hears is under the test's control.
#![allow(dead_code)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use mcrpc::{Address, Server, Status};
use mcrpc_core::admission::Cursor;
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Frame, Header, Kind, Limits, Writer};
use socket2::{Domain, Socket as Socket2, Type};

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub trait Socket: std::io::Read + std::io::Write {
    fn hurry(&self);
    fn end_writing(&self);
}

impl Socket for TcpStream {
    fn hurry(&self) {
        self.set_nodelay(true).unwrap();
        self.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    fn end_writing(&self) {
        self.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

impl Socket for UnixStream {
    fn hurry(&self) {
        self.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    fn end_writing(&self) {
        self.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

/// A connection to a server.
pub struct Caller {
    pub socket: Box<dyn Socket>,
    received: Vec<u8>,
    used: usize,
}

/// An answer, or another frame that a server sends.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub header: Header,
    pub text: String,
    pub hold_ms: u16,
    pub payload: Vec<u8>,
}

impl Answer {
    pub fn status(&self) -> Status {
        self.header.status
    }
}

impl Caller {
    pub fn connect(address: &Address) -> Caller {
        match address {
            Address::Tcp(address) => Caller::over(TcpStream::connect(address).unwrap()),
            Address::Unix(path) => Caller::over(UnixStream::connect(path).unwrap()),
        }
    }

    /// What is at either end of this connection.
    pub fn over(socket: impl Socket + 'static) -> Caller {
        socket.hurry();
        Caller { socket: Box::new(socket), received: Vec::new(), used: 0 }
    }

    /// The next request of the caller at the other end.
    pub fn request(&mut self) -> Header {
        loop {
            let header = self.next().expect("the connection is open").header;
            if header.kind == Kind::Request {
                return header;
            }
        }
    }

    pub fn of(server: &Server) -> Caller {
        Caller::connect(&server.addresses()[0])
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    pub fn call(&mut self, header: &Header, payload: &[u8]) {
        self.send(&frame(header, payload));
    }

    /// The next frame; `None` if the server has closed the connection.
    pub fn next(&mut self) -> Option<Answer> {
        loop {
            match Frame::new_checked(&self.received[self.used..], &Limits::WIDEST) {
                Ok(frame) => {
                    let answer = Answer {
                        header: frame.header,
                        text: frame.metadata.error_text().to_owned(),
                        hold_ms: frame.metadata.reject_state().hold_ms,
                        payload: frame.payload.to_vec(),
                    };
                    self.used += frame.len;
                    return Some(answer);
                }
                Err(Status::INCOMPLETE) => {}
                Err(status) => panic!("the server sent no frame: {status}"),
            }
            self.received.drain(..self.used);
            self.used = 0;
            let mut piece = [0; 65_536];
            match self.socket.read(&mut piece) {
                Ok(0) => return None,
                Ok(len) => self.received.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    /// The answer to this call, past those to others.
    pub fn answer(&mut self) -> Answer {
        self.next().expect("the connection is open")
    }
}

/// A server that answers every request with nothing, and says what its header was; its address.
pub fn recording(told: impl Fn(&Header) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let told = told.clone();
            thread::spawn(move || {
                let mut peer = Caller { socket: Box::new(socket), received: Vec::new(), used: 0 };
                while let Some(Answer { header, .. }) = peer.next() {
                    if header.kind == Kind::Request {
                        told(&header);
                        let open = Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, header.call_id) };
                        peer.call(&open, &[]);
                    }
                }
            });
        }
    });
    address
}

/// A request for a method, of a caller who waits for ever.
pub fn request(method: &str, call_id: u32) -> Header {
    let mut header = Header::new(Kind::Request, call_id);
    header.method_id = method_id(method.as_bytes());
    header.budget_ms = u32::MAX;
    header
}

pub fn frame(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut head = [0; 256];
    let len = Writer::new(&mut head).finish(header, payload.len() as u32).unwrap();
    [&head[..len], payload].concat()
}

/// What the server answers to an HTTP request, whose end comes late.
pub fn get(server: &Server, request: &str) -> String {
    let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (most, last) = request.split_at(request.len() - 2);
    socket.write_all(most.as_bytes()).unwrap();
    socket.write_all(last.as_bytes()).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// A port at which nobody listens, and that no other test is given as long as this is kept; a server may be told to listen there.
pub struct Reserved(Socket2);

impl Reserved {
    pub fn new() -> Reserved {
        let socket = Socket2::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Reserved(socket)
    }

    pub fn address(&self) -> String {
        self.0.local_addr().unwrap().as_socket().unwrap().to_string()
    }
}
