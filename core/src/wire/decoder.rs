//! Frames out of a byte stream, whatever the pieces it arrives in.
//!
//! The decoder keeps at most one header's worth of bytes; metadata and payload are handed on as slices of the caller's
//! own buffer as they arrive, so a peer's announced length reserves nothing. The header is reported before its body: a
//! server can refuse the request and let the body pass by.

use super::checksum::{Checksum, TRAILER_LEN};
use super::header::{Flags, Front, HEADER_LEN, Header, Kind};
use super::limits::Limits;
use crate::status::Status;

/// What [`Decoder::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A frame begins.
    Header(Header),
    /// A frame begins that must not be acted on: answer a request with this status, fail the call of a response with it,
    /// drop a one-way or a cancel, and close the connection for any other kind. What else belongs to it is skipped.
    Refused(Header, Status),
    /// The next piece of the frame's metadata, never empty.
    Metadata(&'a [u8]),
    /// The next piece of the frame's payload, never empty.
    Payload(&'a [u8]),
    /// The frame's checksum fits.
    Checked,
    /// Bytes of a frame that is not for this version or was refused, or that its kind has no use for.
    Skipped,
}

/// One step through the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Bytes of the input that this step used.
    pub used: usize,
    /// What they were; `None` if they were all, and more are needed.
    pub event: Option<Event<'a>>,
    /// Whether a frame that was handed out is whole now.
    pub ends_frame: bool,
}

/// What comes next in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Header,
    Metadata,
    Payload,
    Skipped,
    Trailer,
}

/// The state of one connection's incoming stream.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    limits: Limits,
    expected: Expected,
    /// Whether the frame's checksum follows.
    has_checksum: bool,
    /// Whether the frame is not handed out.
    is_skipped: bool,
    /// Bytes collected of a header or trailer that arrives in pieces.
    have: u8,
    /// Bytes left of the part that is expected.
    left: u32,
    /// Bytes of the body behind the metadata, and what they are.
    behind_metadata: (u32, Expected),
    open_calls: u32,
    checksum: Checksum,
    /// The status that ended the stream, or OK.
    broken: Status,
    pieces: [u8; HEADER_LEN],
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub const fn new(limits: Limits) -> Decoder {
        Decoder {
            limits,
            expected: Expected::Header,
            has_checksum: false,
            is_skipped: false,
            have: 0,
            left: 0,
            behind_metadata: (0, Expected::Payload),
            open_calls: 0,
            checksum: Checksum::new(),
            broken: Status::OK,
            pieces: [0; HEADER_LEN],
        }
    }

    /// Takes the next event from the front of `input` and says how many bytes it used. Call it again with what is left.
    ///
    /// A frame with a checksum ends with [`Event::Checked`]: what came before it may have been changed on its way.
    ///
    /// # Errors
    ///
    /// See [`Header::parse`], and [`Status::BAD_CHECKSUM`]. A broken stream has no next frame: the same error is returned
    /// from then on.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Status> {
        if !self.broken.is_ok() {
            return Err(self.broken);
        }
        let step = match self.expected {
            Expected::Header => self.next_header(input),
            Expected::Trailer => self.next_trailer(input),
            _ => Ok(self.next_piece(input)),
        };
        if let Err(status) = step {
            self.broken = status;
        }
        step
    }

    /// Whether the next byte begins a frame: then one that lies in the input as a whole may be read without the decoder.
    #[inline]
    pub const fn is_between_frames(&self) -> bool {
        matches!(self.expected, Expected::Header) && self.have == 0 && self.broken.is_ok()
    }

    /// Says that a request has been answered, or will never be: the connection may have one more open call. Only for those of
    /// [`Event::Header`], whatever came of them: one of [`Event::Refused`] was never counted.
    #[inline]
    pub const fn answered(&mut self) {
        self.open_calls = self.open_calls.saturating_sub(1);
    }

    /// Requests that have not been answered. Counted only if the limits bound them.
    pub const fn open_calls(&self) -> u32 {
        self.open_calls
    }

    #[inline]
    fn next_header<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Status> {
        if self.have == 0
            && let Some(header) = input.first_chunk::<HEADER_LEN>()
        {
            return self.begin_frame(HEADER_LEN, header);
        }
        let (used, is_whole) = self.collect(input, HEADER_LEN);
        if is_whole { self.begin_frame(used, &self.pieces.clone()) } else { Ok(Step::more(used)) }
    }

    #[inline]
    fn begin_frame<'a>(&mut self, used: usize, bytes: &[u8; HEADER_LEN]) -> Result<Step<'a>, Status> {
        let (event, body_len) = match Front::parse(bytes, &self.limits)? {
            Front::Known(header) if self.has_room_for(&header) => (Event::Header(header), header.body_len),
            Front::Known(header) => (Event::Refused(header, Status::TOO_MANY_OPEN_CALLS), header.body_len),
            Front::Refused(header, status) => (Event::Refused(header, status), header.body_len),
            Front::Skipped { body_len, .. } => (Event::Skipped, body_len),
        };
        self.has_checksum = bytes[2] & Flags::CRC_TRAILER != 0;
        if self.has_checksum {
            self.checksum = Checksum::new();
            self.checksum.update(bytes);
        }
        self.is_skipped = true;
        (self.left, self.expected) = (body_len, Expected::Skipped);
        if let Event::Header(header) = event {
            self.is_skipped = false;
            if header.kind.has_metadata() {
                let behind = if header.kind.has_payload() { Expected::Payload } else { Expected::Skipped };
                (self.left, self.expected) = (u32::from(header.metadata_len), Expected::Metadata);
                self.behind_metadata = (body_len - self.left, behind);
            }
        }
        Ok(self.step(used, event))
    }

    /// Counts a request that is handed out.
    #[inline]
    fn has_room_for(&mut self, header: &Header) -> bool {
        if header.kind != Kind::Request || self.limits.max_open_calls == 0 {
            return true;
        }
        let has_room = self.open_calls < self.limits.max_open_calls;
        self.open_calls += u32::from(has_room);
        has_room
    }

    #[inline]
    fn next_piece<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let take = input.len().min(self.left as usize);
        let Some(bytes) = input.get(..take).filter(|bytes| !bytes.is_empty()) else {
            return Step::more(0);
        };
        if self.has_checksum {
            self.checksum.update(bytes);
        }
        // `take` is at most `left`, so it fits a u32.
        self.left -= take as u32;
        let event = match self.expected {
            Expected::Metadata => Event::Metadata(bytes),
            Expected::Payload => Event::Payload(bytes),
            _ => Event::Skipped,
        };
        self.step(take, event)
    }

    #[inline]
    fn next_trailer<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Status> {
        let (used, is_whole) = self.collect(input, TRAILER_LEN);
        if !is_whole {
            return Ok(Step::more(used));
        }
        if self.pieces.first_chunk() != Some(&self.checksum.trailer()) {
            return Err(Status::BAD_CHECKSUM);
        }
        self.expected = Expected::Header;
        let event = if self.is_skipped { Event::Skipped } else { Event::Checked };
        Ok(Step { used, event: Some(event), ends_frame: !self.is_skipped })
    }

    /// Goes on to the next part that is not empty.
    #[inline]
    fn step<'a>(&mut self, used: usize, event: Event<'a>) -> Step<'a> {
        if self.left == 0 && self.expected == Expected::Metadata {
            (self.left, self.expected) = self.behind_metadata;
        }
        let body_ends = self.left == 0;
        if body_ends {
            self.expected = if self.has_checksum { Expected::Trailer } else { Expected::Header };
        }
        Step { used, event: Some(event), ends_frame: body_ends && !self.has_checksum && !self.is_skipped }
    }

    /// Adds to the collected bytes until there are `wanted`; says how many it took, and whether they are there.
    fn collect(&mut self, input: &[u8], wanted: usize) -> (usize, bool) {
        let have = usize::from(self.have);
        let mut used = 0;
        for (slot, byte) in self.pieces.iter_mut().take(wanted).skip(have).zip(input) {
            *slot = *byte;
            used += 1;
        }
        let is_whole = have + used == wanted;
        // `have + used` is at most 32.
        self.have = if is_whole { 0 } else { (have + used) as u8 };
        (used, is_whole)
    }
}

impl Step<'_> {
    const fn more(used: usize) -> Self {
        Step { used, event: None, ends_frame: false }
    }
}
