//! What waits to be written to a connection, and who writes it.
//!
//! Whoever has something to say appends it, and whoever flushes first writes for all: threads that come meanwhile leave their
//! bytes to it. So frames are never torn or mixed, nobody waits for the socket, and under load one system call writes many
//! frames.

use std::io;

use parking_lot::Mutex;

use super::stream::WriteHalf;

/// What is kept unless somebody says otherwise: ten thousand idle connections keep next to nothing.
const USUAL_KEPT_CAPACITY: usize = 4 << 10;

/// The bytes that wait.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// A buffer that has grown beyond this is not kept once it is empty.
    kept_capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes at the front of `waiting` that are written already.
    written: usize,
    /// Somebody writes, and will write what is appended meanwhile.
    is_writing: bool,
    /// The socket takes no more for now.
    is_blocked: bool,
}

/// What came of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// All is written, or somebody else is at it.
    Done,
    /// The socket takes no more: flush again when it does.
    Blocked,
    /// The peer has gone.
    Broken,
}

impl State {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let is_first = self.waiting.len() == self.written && !self.is_writing && !self.is_blocked;
        write(&mut self.waiting);
        is_first
    }
}

impl Outbox {
    /// An outbox that keeps a buffer of so many bytes while nothing waits.
    pub(crate) fn keeping(kept_capacity: usize) -> Outbox {
        Outbox { state: Mutex::default(), kept_capacity }
    }

    /// Appends what `write` writes. Whether it has to be flushed by the caller: nobody else is about to.
    pub(crate) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.state.lock().push(write)
    }

    /// The same; `None`, and nothing is appended, if so many bytes wait already. Those that are being written do not count.
    pub(crate) fn push_below(&self, limit_len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Option<bool> {
        let mut state = self.state.lock();
        (state.waiting.len() - state.written < limit_len).then(|| state.push(write))
    }

    /// Writes `bytes`, directly if nothing waits, and empties them. `begun` is called when the outbox is no longer quiet, and before the
    /// peer can see any of them.
    pub(crate) fn send(&self, bytes: &mut Vec<u8>, to: &WriteHalf, begun: impl FnOnce()) -> Flushed {
        let mut sent = 0;
        {
            let mut state = self.state.lock();
            if state.is_writing || state.is_blocked || state.waiting.len() > state.written {
                state.waiting.extend_from_slice(bytes);
                bytes.clear();
                begun();
                return Flushed::Done;
            }
            state.is_writing = true;
        }
        begun();
        let end = write_all(&bytes[..], &mut sent, to);
        let mut state = self.state.lock();
        state.is_writing = false;
        if end == Flushed::Blocked {
            // What others appended meanwhile comes behind it.
            state.waiting.splice(0..0, bytes[sent..].iter().copied());
            state.is_blocked = true;
        }
        bytes.clear();
        let has_more = end == Flushed::Done && state.waiting.len() > state.written;
        drop(state);
        if has_more { self.flush(to) } else { end }
    }

    /// Writes what waits, unless somebody is at it or the socket is full.
    pub(crate) fn flush(&self, to: &WriteHalf) -> Flushed {
        loop {
            let (mut batch, mut written) = {
                let mut state = self.state.lock();
                if state.is_writing || state.is_blocked || state.waiting.len() == state.written {
                    return Flushed::Done;
                }
                state.is_writing = true;
                (std::mem::take(&mut state.waiting), std::mem::take(&mut state.written))
            };
            let end = write_all(&batch, &mut written, to);
            let mut state = self.state.lock();
            state.is_writing = false;
            if end == Flushed::Blocked {
                state.is_blocked = true;
                if 2 * written >= batch.len() {
                    batch.drain(..std::mem::take(&mut written));
                }
                batch.extend_from_slice(&state.waiting);
                (state.waiting, state.written) = (batch, written);
                return end;
            }
            if state.waiting.is_empty() && batch.capacity() <= self.kept_capacity {
                batch.clear();
                state.waiting = batch;
            }
            if end == Flushed::Broken {
                return end;
            }
        }
    }

    /// Takes out what waits: somebody else writes it, in another form.
    #[cfg(feature = "grpc")]
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.lock().waiting)
    }

    /// The socket takes no more for now.
    #[cfg(feature = "grpc")]
    pub(crate) fn block(&self) {
        self.state.lock().is_blocked = true;
    }

    /// The socket takes more again.
    pub(crate) fn unblock(&self) {
        self.state.lock().is_blocked = false;
    }

    /// Whether the socket was full when it was last written to.
    pub(crate) fn is_blocked(&self) -> bool {
        self.state.lock().is_blocked
    }

    /// Whether nothing waits, and nobody is writing.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.state.lock();
        state.waiting.len() == state.written && !state.is_writing
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        let state = self.state.lock();
        state.waiting.len() - state.written
    }
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox::keeping(USUAL_KEPT_CAPACITY)
    }
}

fn write_all(bytes: &[u8], written: &mut usize, to: &WriteHalf) -> Flushed {
    while *written < bytes.len() {
        match to.try_write(&bytes[*written..]) {
            Ok(0) => return Flushed::Broken,
            Ok(len) => *written += len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Blocked,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Flushed::Broken,
        }
    }
    Flushed::Done
}
