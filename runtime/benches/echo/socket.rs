//! A socket with what was read of it and what is to be written to it, for whoever works with epoll itself.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::framing::Framing;

const BUFFER_LEN: usize = 64 << 10;

pub struct Socket {
    stream: TcpStream,
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    pub out: Vec<u8>,
    written: usize,
    /// Under which its events are known.
    key: u64,
    waits_to_write: bool,
}

impl Socket {
    /// Watched from now on.
    pub fn new(stream: TcpStream, epoll: &Epoll, key: u64) -> Socket {
        stream.set_nonblocking(true).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, key)).expect("a socket");
        let buffer = vec![0; BUFFER_LEN].into();
        Socket { stream, buffer, begin: 0, end: 0, out: Vec::new(), written: 0, key, waits_to_write: false }
    }

    /// Reads once. False when the peer has gone.
    pub fn read(&mut self) -> bool {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        } else if self.end > BUFFER_LEN / 2 {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => false,
            Ok(len) => {
                self.end += len;
                true
            }
            Err(error) => is_transient(&error),
        }
    }

    /// Takes the frames out that have been read as a whole.
    #[inline]
    pub fn frames(&mut self, framing: &Framing, mut each: impl FnMut(&[u8], &mut Vec<u8>)) {
        while let Some(len) = framing.whole(&self.buffer[self.begin..self.end]) {
            each(&self.buffer[self.begin..][..len], &mut self.out);
            self.begin += len;
        }
    }

    /// Writes what is to be written, as far as the peer takes it, and waits with the rest. False when the peer has gone.
    pub fn flush(&mut self, epoll: &Epoll) -> bool {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(len) => self.written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if is_transient(&error) => {}
                Err(_) => return false,
            }
        }
        let is_done = self.written == self.out.len();
        if is_done {
            self.out.clear();
            self.written = 0;
        }
        if self.waits_to_write == is_done {
            self.waits_to_write = !is_done;
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, self.waits_to_write);
            epoll.modify(&self.stream, &mut EpollEvent::new(flags, self.key)).expect("a watched socket");
        }
        true
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
