//! The load generator: one thread that keeps so many requests in flight on each of so many connections.
//!
//! A request is sent as soon as the one before it on its place is answered; what one read brings is answered with one write. It
//! never sleeps: a server that is slower than its caller would have to wake it for each answer, and be charged for that.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use crate::framing::{Framing, Template};
use crate::shape::{Figures, Shape, Tally};
use crate::socket::Socket;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections to one server.
pub struct Load {
    framing: Framing,
    epoll: Epoll,
    connections: Vec<Connection>,
    sent: u64,
}

struct Connection {
    socket: Socket,
    /// The requests in flight; their ids are their places.
    places: Vec<Place>,
    open: usize,
}

#[derive(Clone, Copy)]
struct Place {
    sent_at: Instant,
    is_slow: bool,
}

impl Load {
    pub fn connect(address: SocketAddr, framing: Framing, connections: usize) -> Load {
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
        let connect = |key| Connection {
            socket: Socket::new(TcpStream::connect(address).expect("a server"), &epoll, key),
            places: Vec::new(),
            open: 0,
        };
        let connections = (0..connections as u64).map(connect).collect();
        Load { framing, epoll, connections, sent: 0 }
    }

    /// Runs for as long as the shape says.
    pub fn round(&mut self, shape: &Shape) -> Figures {
        let began = Instant::now();
        let (warm, end) = (began + shape.warm_up(), began + shape.duration());
        let tally = self.run(shape, warm, |now, _| now >= end);
        tally.figures(end - warm)
    }

    /// Makes so many requests, and some that are in flight by then.
    pub fn requests(&mut self, shape: &Shape, count: u64) -> Figures {
        let began = Instant::now();
        let in_flight = (shape.in_flight * self.connections.len()) as u64;
        self.run(shape, began, |_, answered| answered + in_flight > count).figures(began.elapsed())
    }

    fn run(&mut self, shape: &Shape, warm: Instant, is_over: impl Fn(Instant, u64) -> bool) -> Tally {
        let Load { framing, epoll, connections, sent } = self;
        let template = framing.template(shape.payload_len);
        let mut tally = Tally::new();
        let now = Instant::now();
        for connection in connections.iter_mut() {
            let Connection { socket, places, open } = connection;
            places.resize(shape.in_flight, Place { sent_at: now, is_slow: false });
            for (id, place) in (0..).zip(places.iter_mut()) {
                *place = send(&template, &mut socket.out, id, sent, shape.slow_every, now);
            }
            *open = shape.in_flight;
            assert!(socket.flush(epoll), "the server has hung up");
        }
        let mut open = connections.len() * shape.in_flight;
        let mut heard = now;
        let mut events = [EpollEvent::empty(); 64];
        while open > 0 {
            let count = epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            let now = Instant::now();
            heard = if count > 0 { now } else { heard };
            assert!(now - heard < PATIENCE, "{open} requests are not answered");
            for event in &events[..count] {
                let Connection { socket, places, open: open_here } = &mut connections[event.data() as usize];
                assert!(socket.read(), "the server has hung up");
                let now = Instant::now();
                let ends = is_over(now, tally.answered());
                socket.frames(framing, |frame, out| {
                    let id = framing.id(frame);
                    let place = &mut places[id as usize];
                    let took = (now >= warm && !ends).then(|| now - place.sent_at);
                    tally.answer(took, place.is_slow, !framing.is_served(frame));
                    if ends {
                        *open_here -= 1;
                        open -= 1;
                    } else {
                        *place = send(&template, out, id, sent, shape.slow_every, now);
                    }
                });
                assert!(socket.flush(epoll), "the server has hung up");
            }
        }
        tally
    }
}

#[inline]
fn send(template: &Template, out: &mut Vec<u8>, id: u32, sent: &mut u64, slow_every: u64, now: Instant) -> Place {
    *sent += 1;
    let is_slow = slow_every > 0 && sent.is_multiple_of(slow_every);
    template.put(out, id, *sent, is_slow);
    Place { sent_at: now, is_slow }
}

/// Connections that have made one call each, and make no more.
pub fn idle(address: SocketAddr, framing: &Framing, count: usize) -> Load {
    let mut load = Load::connect(address, framing.clone(), count);
    load.requests(&Shape::new(count, 1, 64), 0);
    // The server's last second of work is over.
    std::thread::sleep(Duration::from_secs(1));
    load
}
