//! Echo servers of nothing but epoll: the least that a server can do, and the least with a worker thread.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::framing::Framing;
use crate::socket::Socket;

const LISTENER: u64 = u64::MAX;
const WORKER: u64 = u64::MAX - 1;

/// What an IO thread watches.
struct Io {
    epoll: Epoll,
    listener: TcpListener,
    sockets: HashMap<u64, Socket>,
    next_key: u64,
}

impl Io {
    fn new(listener: TcpListener) -> Io {
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)).expect("a socket");
        Io { epoll, listener, sockets: HashMap::new(), next_key: 0 }
    }

    fn wait<'e>(&self, events: &'e mut [EpollEvent]) -> &'e [EpollEvent] {
        let count = self.epoll.wait(events, EpollTimeout::NONE).unwrap_or(0);
        &events[..count]
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            self.sockets.insert(self.next_key, Socket::new(stream, &self.epoll, self.next_key));
            self.next_key += 1;
        }
    }
}

/// Answers what a read has brought with one write.
pub fn inline(listener: TcpListener) {
    let framing = Framing::plain();
    let mut io = Io::new(listener);
    let mut events = [EpollEvent::empty(); 64];
    loop {
        for event in io.wait(&mut events) {
            if event.data() == LISTENER {
                io.accept();
                continue;
            }
            let Some(socket) = io.sockets.get_mut(&event.data()) else { continue };
            let is_open = socket.read();
            socket.frames(&framing, |frame, out| out.extend_from_slice(frame));
            if !socket.flush(&io.epoll) || !is_open {
                io.sockets.remove(&event.data());
            }
        }
    }
}

/// A request on its way to the worker, or an answer on its way back: the connection, and the frame.
type Job = (u64, Vec<u8>);

/// What the two threads share.
struct Halves {
    requests: Mutex<Vec<Job>>,
    has_requests: Condvar,
    answers: Mutex<Vec<Job>>,
    has_answers: EventFd,
}

/// Hands what a turn of the loop has brought to a worker at once, and writes what the worker has answered at once.
pub fn with_worker(listener: TcpListener) {
    let framing = Framing::plain();
    let mut io = Io::new(listener);
    let halves = Arc::new(Halves {
        requests: Mutex::default(),
        has_requests: Condvar::new(),
        answers: Mutex::default(),
        has_answers: EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK).expect("an eventfd"),
    });
    io.epoll.add(&halves.has_answers, EpollEvent::new(EpollFlags::EPOLLIN, WORKER)).expect("an eventfd");
    std::thread::spawn({
        let halves = halves.clone();
        move || work(&halves)
    });
    let (mut events, mut requests, mut answers) = ([EpollEvent::empty(); 64], Vec::new(), Vec::new());
    loop {
        for event in io.wait(&mut events) {
            match event.data() {
                LISTENER => io.accept(),
                WORKER => {
                    let _ = halves.has_answers.read();
                    std::mem::swap(&mut answers, &mut *halves.answers.lock().expect("nobody panics"));
                    write(&mut io, &mut answers);
                }
                key => {
                    let Some(socket) = io.sockets.get_mut(&key) else { continue };
                    let is_open = socket.read();
                    socket.frames(&framing, |frame, _| requests.push((key, frame.to_vec())));
                    if !socket.flush(&io.epoll) || !is_open {
                        io.sockets.remove(&key);
                    }
                }
            }
        }
        if !requests.is_empty() {
            halves.requests.lock().expect("nobody panics").append(&mut requests);
            halves.has_requests.notify_one();
        }
    }
}

/// Appends all answers to their connections, and then writes each connection once.
fn write(io: &mut Io, answers: &mut Vec<Job>) {
    let mut written: Vec<u64> = Vec::new();
    for (key, frame) in answers.drain(..) {
        let Some(socket) = io.sockets.get_mut(&key) else { continue };
        socket.out.extend_from_slice(&frame);
        if !written.contains(&key) {
            written.push(key);
        }
    }
    for key in written {
        if io.sockets.get_mut(&key).is_some_and(|socket| !socket.flush(&io.epoll)) {
            io.sockets.remove(&key);
        }
    }
}

fn work(halves: &Halves) {
    let mut batch = Vec::new();
    loop {
        {
            let mut requests = halves.requests.lock().expect("nobody panics");
            while requests.is_empty() {
                requests = halves.has_requests.wait(requests).expect("nobody panics");
            }
            std::mem::swap(&mut batch, &mut requests);
        }
        halves.answers.lock().expect("nobody panics").append(&mut batch);
        halves.has_answers.write(1).expect("an eventfd");
    }
}
