//! Frames out of a byte stream, whatever the pieces it arrives in.
//!
//! The decoder keeps at most one header's worth of bytes; bodies are handed on as slices of the caller's own
//! buffer as they arrive, so a peer's announced length reserves nothing. The header is reported before its body:
//! a server can refuse the request and let the body pass by.

use super::header::{HEADER_LEN, Header};
use crate::status::Status;

/// What [`Decoder::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A frame begins. If its `body_len` is 0 it also ends.
    Header(Header),
    /// The next piece of the current frame's body: first its metadata, then its payload.
    Body {
        /// The piece, never empty.
        bytes: &'a [u8],
        /// Whether the frame ends with it.
        last: bool,
    },
}

/// The state of one connection's incoming stream.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    max_body_len: u32,
    body_left: u32,
    /// The status that ended the stream, or OK.
    broken: Status,
    header_have: u8,
    header: [u8; HEADER_LEN],
}

impl Decoder {
    /// A decoder at the start of a stream, which accepts bodies up to `max_body_len` bytes.
    pub const fn new(max_body_len: u32) -> Decoder {
        Decoder { max_body_len, body_left: 0, broken: Status::OK, header_have: 0, header: [0; HEADER_LEN] }
    }

    /// Takes the next event from the front of `input` and says how many bytes it used.
    ///
    /// `Ok((used, None))` has used everything and needs more. After an event, call again with what is left.
    ///
    /// # Errors
    ///
    /// See [`Header::parse`]. A broken stream has no next frame: the same error is returned from then on.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Status> {
        if !self.broken.is_ok() {
            return Err(self.broken);
        }
        if self.body_left > 0 {
            return Ok(self.next_body(input));
        }
        if self.header_have == 0
            && let Some(header) = input.first_chunk::<HEADER_LEN>()
        {
            return self.begin_frame(HEADER_LEN, *header);
        }
        self.collect_header(input)
    }

    fn next_body<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Event<'a>>) {
        let take = input.len().min(self.body_left as usize);
        let Some(bytes) = input.get(..take).filter(|bytes| !bytes.is_empty()) else {
            return (0, None);
        };
        // `take` is at most `body_left`, so it fits a u32.
        self.body_left -= take as u32;
        (take, Some(Event::Body { bytes, last: self.body_left == 0 }))
    }

    fn collect_header<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Status> {
        let have = usize::from(self.header_have);
        let mut used = 0;
        for (slot, byte) in self.header.iter_mut().skip(have).zip(input) {
            *slot = *byte;
            used += 1;
        }
        if have + used < HEADER_LEN {
            // `have + used` is below 32.
            self.header_have = (have + used) as u8;
            return Ok((used, None));
        }
        self.header_have = 0;
        self.begin_frame(used, self.header)
    }

    fn begin_frame<'a>(&mut self, used: usize, bytes: [u8; HEADER_LEN]) -> Result<(usize, Option<Event<'a>>), Status> {
        match Header::parse(&bytes, self.max_body_len) {
            Ok(header) => {
                self.body_left = header.body_len;
                Ok((used, Some(Event::Header(header))))
            }
            Err(status) => {
                self.broken = status;
                Err(status)
            }
        }
    }
}
