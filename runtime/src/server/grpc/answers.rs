//! Native answers, as workers and inline handlers write them, and the gRPC messages in them.
//!
//! A message of gRPC begins with a flag and its length: they are written over the end of what stood in front of the payload, so
//! that payloads are not copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use mcrpc_core::status::Status;
use mcrpc_core::wire::{Frame, HEADER_LEN, Limits};

use super::message::PREFIX_LEN;

/// How a call ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) text: String,
    /// For how long the server wants no other call like this one; 0 if it does not say.
    pub(super) hold_ms: u16,
    /// The reply with gRPC's prefix.
    pub(super) message: Bytes,
}

impl Answer {
    /// One that no server's part has written.
    pub(super) fn of_status(status: Status, text: &str) -> Answer {
        Answer { status, text: text.to_owned(), hold_ms: 0, message: Bytes::new() }
    }
}

/// An answer that no worker has written: a reply.
pub(super) fn of_reply(payload: Vec<u8>) -> Answer {
    let prefix = [&[0][..], &(payload.len() as u32).to_be_bytes()].concat();
    Answer { message: [prefix, payload].concat().into(), ..Answer::of_status(Status::OK, "") }
}

/// Bytes that are counted as long as anything refers to them.
struct Counted {
    bytes: Vec<u8>,
    count: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(self.bytes.len(), Relaxed);
    }
}

const _: () = assert!(HEADER_LEN >= PREFIX_LEN);

/// The answers in these frames, with the ids of their calls. `unsent` counts their bytes until they are dropped.
pub(super) fn read(mut frames: Vec<u8>, unsent: &Arc<AtomicUsize>) -> Vec<(u32, Answer)> {
    let (mut found, mut at) = (Vec::new(), 0);
    // They are this server's own, and whole.
    while let Ok(frame) = Frame::new_checked(&frames[at..], &Limits::WIDEST) {
        let answer = Answer {
            status: frame.header.status,
            text: frame.metadata.error_text().to_owned(),
            hold_ms: frame.metadata.reject_state().hold_ms,
            message: Bytes::new(),
        };
        let (call_id, payload_len, len) = (frame.header.call_id, frame.payload.len(), frame.len);
        let end = at + len;
        let begin = end - payload_len - PREFIX_LEN;
        frames[begin] = 0;
        frames[begin + 1..begin + PREFIX_LEN].copy_from_slice(&(payload_len as u32).to_be_bytes());
        found.push((call_id, answer, begin..end));
        at = end;
    }
    unsent.fetch_add(frames.len(), Relaxed);
    let all = Bytes::from_owner(Counted { bytes: frames, count: unsent.clone() });
    let with_message = |(call_id, answer, range): (u32, Answer, std::ops::Range<usize>)| {
        let message = if answer.status.is_ok() { all.slice(range) } else { Bytes::new() };
        (call_id, Answer { message, ..answer })
    };
    found.into_iter().map(with_message).collect()
}

#[cfg(test)]
mod tests {
    use mcrpc_core::wire::{Header, Kind, Writer};

    use super::*;

    fn frame(call_id: u32, status: Status, text: &str, payload: &[u8]) -> Vec<u8> {
        let mut head = [0; 128];
        let header = Header { status, ..Header::new(Kind::Response, call_id) };
        let len = Writer::new(&mut head).error_text(text).finish(&header, payload.len() as u32).unwrap();
        [&head[..len], payload].concat()
    }

    #[test]
    fn answers_that_were_written_together_are_told_apart_and_counted_until_they_are_sent() {
        let unsent = Arc::default();
        let frames = [
            frame(1, Status::OK, "", b"one"),
            frame(3, Status::QUEUE_FULL, "full", b""),
            frame(5, Status::OK, "", b""),
        ];
        let len: usize = frames.iter().map(Vec::len).sum();
        let mut answers = read(frames.concat(), &unsent);
        let seen: Vec<_> = answers.iter().map(|(id, answer)| (*id, answer.status, &*answer.message)).collect();
        let wanted: [(u32, Status, &[u8]); 3] =
            [(1, Status::OK, b"\0\0\0\0\x03one"), (3, Status::QUEUE_FULL, b""), (5, Status::OK, b"\0\0\0\0\0")];
        assert_eq!(seen, wanted);
        assert_eq!(answers[1].1.text, "full");
        answers.truncate(1);
        assert_eq!(unsent.load(Relaxed), len);
        answers.clear();
        assert_eq!(unsent.load(Relaxed), 0);
    }
}
