//! How a request looks on the wire: where its length, its id and its status lie. One load generator serves all framings.

use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::metadata::Trace;
use mcrpc_core::wire::{HEADER_LEN, Header, Kind, Writer};

/// Bytes of the header of the servers that were written for this bench: length of the payload, id, method, status, user.
pub const PLAIN_HEADER_LEN: usize = 24;

/// Where things are; numbers are little-endian.
#[derive(Clone, Debug)]
pub struct Framing {
    header_len: usize,
    len_at: usize,
    id_at: usize,
    status_at: usize,
    user_at: usize,
    /// The head of a request, without a length, an id and a user.
    head: Vec<u8>,
}

/// A request that is ready but for its id and its user.
pub struct Template {
    bytes: Vec<u8>,
    payload_at: usize,
    id_at: usize,
    user_at: usize,
}

impl Framing {
    /// That of the servers that were written for this bench.
    pub fn plain() -> Framing {
        let head = vec![0; PLAIN_HEADER_LEN];
        Framing { header_len: PLAIN_HEADER_LEN, len_at: 0, id_at: 4, status_at: 12, user_at: 16, head }
    }

    /// A bare request of ours: its caller waits for ever.
    pub fn native(method: &str) -> Framing {
        Framing::native_within(method, u32::MAX)
    }

    /// A request whose caller waits for so long.
    pub fn native_within(method: &str, budget_ms: u32) -> Framing {
        let header = Header { budget_ms, ..header(method) };
        Framing { head: header.emit().to_vec(), ..Framing::of_native() }
    }

    /// A request with all that a caller sends along: a deadline, a business, a priority, a trace.
    pub fn native_with_all(method: &str) -> Framing {
        let header = Header { budget_ms: 1_000, business_id: 138, priority: 2, ..header(method) };
        let mut head = [0; 128];
        let mut writer = Writer::new(&mut head);
        writer.trace(&Trace { trace_id: [7; 16], span_id: [3; 8], ..Trace::default() });
        let len = writer.finish(&header, 0).expect("there is room");
        Framing { head: head[..len].to_vec(), ..Framing::of_native() }
    }

    fn of_native() -> Framing {
        Framing { header_len: HEADER_LEN, len_at: 4, id_at: 8, status_at: 12, user_at: 16, head: Vec::new() }
    }

    /// A request with such a payload.
    pub fn template(&self, payload_len: usize) -> Template {
        let mut bytes = self.head.clone();
        bytes.resize(self.head.len() + payload_len, 0);
        let body_len = (bytes.len() - self.header_len) as u32;
        bytes[self.len_at..][..4].copy_from_slice(&body_len.to_le_bytes());
        Template { bytes, payload_at: self.head.len(), id_at: self.id_at, user_at: self.user_at }
    }

    /// The length of the frame that `bytes` begins with, if it is there as a whole.
    #[inline]
    pub fn whole(&self, bytes: &[u8]) -> Option<usize> {
        if bytes.len() < self.header_len {
            return None;
        }
        let len = self.header_len + number(bytes, self.len_at) as usize;
        (bytes.len() >= len).then_some(len)
    }

    /// The id of an answer.
    #[inline]
    pub fn id(&self, frame: &[u8]) -> u32 {
        number(frame, self.id_at)
    }

    /// Whether an answer is one.
    #[inline]
    pub fn is_served(&self, frame: &[u8]) -> bool {
        number(frame, self.status_at) == 0
    }
}

impl Template {
    /// Appends a request.
    #[inline]
    pub fn put(&self, out: &mut Vec<u8>, id: u32, user: u64, is_slow: bool) {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        let frame = &mut out[begin..];
        frame[self.id_at..][..4].copy_from_slice(&id.to_le_bytes());
        frame[self.user_at..][..8].copy_from_slice(&user.to_le_bytes());
        frame[self.payload_at] = u8::from(is_slow);
    }
}

/// Whether the handler of a request with this payload takes its time.
#[inline]
pub fn is_slow(payload: &[u8]) -> bool {
    payload.first() == Some(&1)
}

fn header(method: &str) -> Header {
    Header { method_id: method_id(method.as_bytes()), ..Header::new(Kind::Request, 0) }
}

#[inline]
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
