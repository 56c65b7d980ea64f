//! The shelf behind a middle tier: it says back what it is told, and keeps what came over the wire.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mcrpc_core::admission::Cursor;
use mcrpc_core::wire::{Header, Kind};

use super::PATIENCE;
use crate::support::frames::{Received, frame, read_frame};

pub struct Behind {
    pub port: u16,
    requests: Receiver<Received>,
}

impl Behind {
    pub fn start() -> Behind {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = told.clone();
                thread::spawn(move || answer(stream, &told));
            }
        });
        Behind { port, requests }
    }

    /// The next request that came.
    pub fn next(&self) -> Received {
        self.requests.recv_timeout(PATIENCE).expect("the middle tier has called")
    }
}

fn answer(mut stream: TcpStream, told: &Sender<Received>) {
    while let Ok(received) = read_frame(&mut stream) {
        if received.header.kind != Kind::Request {
            continue;
        }
        let header = Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, received.header.call_id) };
        let answer = frame(header, |_| {}, &received.payload);
        // Whoever is told first can be sure that it is there.
        if told.send(received).is_err() || stream.write_all(&answer).is_err() {
            return;
        }
    }
}
