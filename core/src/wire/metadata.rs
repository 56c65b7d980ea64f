//! Tagged values at the start of a frame's body: what does not fit the header, and what a newer version made up.
//!
//! One of them is a [`Tag`], a length of one byte (255: a little-endian u16 of at least 255 follows), and the value.
//!
//! A value may be longer than its meaning wants, never shorter: newer versions append to it. All numbers are little-endian.

use super::limits::Limits;
pub use super::tag::Tag;
use crate::admission::Key;
pub use crate::select::call::Withheld;
use crate::status::Status;

/// Which trace a call belongs to, as W3C Trace Context has it. On the wire: trace id, span id, and the flags if they are not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trace {
    /// The whole trace; all zero is none.
    pub trace_id: [u8; 16],
    /// The caller's span: the parent of what the callee does.
    pub span_id: [u8; 8],
    /// `trace-flags` without bit 0, which is the frame's flag [`super::Flags::SAMPLED`].
    pub flags: u8,
}

impl Trace {
    /// The bit of `trace-flags` that travels in the header.
    pub(super) const SAMPLED: u8 = 1;

    /// Reads a value of [`Tag::TRACE`].
    #[inline]
    pub fn from_value(value: &[u8]) -> Trace {
        let Some((trace_id, behind)) = value.split_first_chunk() else {
            return Trace::default();
        };
        let Some((span_id, behind)) = behind.split_first_chunk() else {
            return Trace::default();
        };
        Trace {
            trace_id: *trace_id,
            span_id: *span_id,
            flags: behind.first().map_or(0, |flags| flags & !Trace::SAMPLED),
        }
    }
}

/// What a server says of its own overload beside the cursor in the header. On the wire: two u16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RejectState {
    /// How long the cursor holds, in ms; 0 is none.
    pub hold_ms: u16,
    /// The share of requests that it refuses now, in ten-thousandths.
    pub share_per_10k: u16,
}

impl RejectState {
    /// Reads a value of [`Tag::REJECT_STATE`].
    #[inline]
    pub fn from_value(value: &[u8]) -> RejectState {
        let [h0, h1, s0, s1] = fixed(value);
        RejectState { hold_ms: u16::from_le_bytes([h0, h1]), share_per_10k: u16::from_le_bytes([s0, s1]) }
    }
}

/// How the payload is compressed. On the wire: algorithm, u32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Compression {
    /// [`Compression::GZIP`] or another; 0 is none.
    pub algorithm: u8,
    /// Bytes of the payload when it is decompressed.
    pub raw_len: u32,
}

impl Compression {
    /// RFC 1952.
    pub const GZIP: u8 = 1;
    /// RFC 8878.
    pub const ZSTD: u8 = 2;
    /// LZ4's frame format.
    pub const LZ4: u8 = 3;
    /// Snappy's raw format.
    pub const SNAPPY: u8 = 4;

    /// Reads a value of [`Tag::COMPRESSION`].
    #[inline]
    pub fn from_value(value: &[u8]) -> Compression {
        let [algorithm, l0, l1, l2, l3] = fixed(value);
        Compression { algorithm, raw_len: u32::from_le_bytes([l0, l1, l2, l3]) }
    }
}

/// What the sender of a hello accepts. On the wire: two u32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerLimits {
    /// See [`Limits::max_body_len`]; 0 is not said.
    pub max_body_len: u32,
    /// See [`Limits::max_open_calls`]; 0 is not said.
    pub max_open_calls: u32,
}

impl PeerLimits {
    /// Reads a value of [`Tag::PEER_LIMITS`].
    #[inline]
    pub fn from_value(value: &[u8]) -> PeerLimits {
        let (max_body_len, max_open_calls) = two_words(value);
        PeerLimits { max_body_len, max_open_calls }
    }
}

/// Reads a value of [`Tag::WITHHELD`].
#[inline]
pub fn withheld_from_value(value: &[u8]) -> Withheld {
    let (count, key) = two_words(value);
    Withheld { count, key: Key(key) }
}

/// Reads a value that is a u32.
#[inline]
pub fn u32_from_value(value: &[u8]) -> u32 {
    u32::from_le_bytes(fixed(value))
}

/// Reads a value that is a u64.
#[inline]
pub fn u64_from_value(value: &[u8]) -> u64 {
    u64::from_le_bytes(fixed(value))
}

#[inline]
fn two_words(value: &[u8]) -> (u32, u32) {
    let [a0, a1, a2, a3, b0, b1, b2, b3] = fixed(value);
    (u32::from_le_bytes([a0, a1, a2, a3]), u32::from_le_bytes([b0, b1, b2, b3]))
}

/// The front of a value; zeroes for one that is too short, as an absent one is.
#[inline]
fn fixed<const LEN: usize>(value: &[u8]) -> [u8; LEN] {
    value.first_chunk().copied().unwrap_or([0; LEN])
}

/// The metadata of a frame, valid and where it lies: no question to it can fail. A value that is absent reads as empty, 0,
/// or the default of its type.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    bytes: &'a [u8],
    /// The known tags in it, by their bits.
    present: u16,
}

impl<'a> Metadata<'a> {
    /// No metadata.
    pub const EMPTY: Metadata<'static> = Metadata { bytes: &[], present: 0 };

    /// Looks at all of `bytes`, once. O(length).
    ///
    /// # Errors
    ///
    /// [`Status::METADATA_TOO_LONG`]; then the first that applies, tag by tag: [`Status::BAD_TAG`] if it cannot be read,
    /// [`Status::TOO_MANY_TAGS`], [`Status::UNSUPPORTED_TAG`], [`Status::REPEATED_TAG`], and of its value
    /// [`Status::BAD_TAG`] if it is too short, [`Status::NAME_TOO_LONG`], [`Status::BAD_NAME`], [`Status::BAD_TEXT`].
    #[inline]
    pub fn new_checked(bytes: &'a [u8], limits: &Limits) -> Result<Metadata<'a>, Status> {
        if bytes.is_empty() { Ok(Metadata::default()) } else { Metadata::check(bytes, limits) }
    }

    fn check(bytes: &'a [u8], limits: &Limits) -> Result<Metadata<'a>, Status> {
        if bytes.len() > usize::from(limits.max_metadata_len) {
            return Err(Status::METADATA_TOO_LONG);
        }
        let (mut rest, mut count, mut present) = (bytes, 0, 0);
        while !rest.is_empty() {
            let (tag, value, behind) = split(rest).ok_or(Status::BAD_TAG)?;
            if count == limits.max_tags {
                return Err(Status::TOO_MANY_TAGS);
            }
            // Whether the application understands its own tags, it knows alone.
            if tag.must_be_understood() && !tag.is_known() && !tag.is_application() {
                return Err(Status::UNSUPPORTED_TAG);
            }
            if present & tag.bit_if_unique() != 0 {
                return Err(Status::REPEATED_TAG);
            }
            check_value(tag, value, limits.max_name_len)?;
            count += 1;
            present |= tag.bit();
            rest = behind;
        }
        Ok(Metadata { bytes, present })
    }

    /// The tags and values in their order, known or not.
    pub const fn iter(&self) -> Tags<'a> {
        Tags { rest: self.bytes }
    }

    /// All of it as it lies on the wire.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// See [`Tag::CALLER`].
    pub fn caller(&self) -> &'a str {
        self.text(Tag::CALLER)
    }

    /// See [`Tag::SERVICE`].
    pub fn service(&self) -> &'a str {
        self.text(Tag::SERVICE)
    }

    /// See [`Tag::METHOD`]: the first.
    pub fn method(&self) -> &'a str {
        self.text(Tag::METHOD)
    }

    /// See [`Tag::ZONE`].
    pub fn zone(&self) -> &'a str {
        self.text(Tag::ZONE)
    }

    /// See [`Tag::FEATURES`].
    pub fn features(&self) -> u32 {
        u32_from_value(self.value(Tag::FEATURES))
    }

    /// See [`Tag::ERROR_TEXT`].
    pub fn error_text(&self) -> &'a str {
        self.text(Tag::ERROR_TEXT)
    }

    /// See [`RejectState`].
    pub fn reject_state(&self) -> RejectState {
        RejectState::from_value(self.value(Tag::REJECT_STATE))
    }

    /// Requests that the caller did not send since the last one, because the callee's cursor would have refused them.
    pub fn withheld(&self) -> Withheld {
        withheld_from_value(self.value(Tag::WITHHELD))
    }

    /// See [`Compression`].
    pub fn compression(&self) -> Compression {
        Compression::from_value(self.value(Tag::COMPRESSION))
    }

    /// See [`PeerLimits`].
    pub fn peer_limits(&self) -> PeerLimits {
        PeerLimits::from_value(self.value(Tag::PEER_LIMITS))
    }

    /// See [`Trace`].
    #[inline]
    pub fn trace(&self) -> Trace {
        Trace::from_value(self.value(Tag::TRACE))
    }

    /// See [`Tag::ORIGIN_BUDGET`].
    pub fn origin_budget_ms(&self) -> u32 {
        u32_from_value(self.value(Tag::ORIGIN_BUDGET))
    }

    /// See [`Tag::CALL_GRAPH`].
    pub fn call_graph_id(&self) -> u64 {
        u64_from_value(self.value(Tag::CALL_GRAPH))
    }

    /// See [`Tag::TICKET`].
    pub fn ticket(&self) -> &'a [u8] {
        self.value(Tag::TICKET)
    }

    /// See [`Tag::COOKIE`].
    pub fn cookie(&self) -> &'a [u8] {
        self.value(Tag::COOKIE)
    }

    /// Empty if the tag is absent.
    #[inline]
    fn value(&self, tag: Tag) -> &'a [u8] {
        if self.present & tag.bit() == 0 { &[] } else { self.find(tag) }
    }

    /// Not inlined into each of the questions: most are asked for what is absent.
    #[inline(never)]
    fn find(&self, tag: Tag) -> &'a [u8] {
        self.iter().find(|(found, _)| found.plain() == tag).map_or(&[], |(_, value)| value)
    }

    fn text(&self, tag: Tag) -> &'a str {
        let value = self.value(tag);
        if value.is_empty() { "" } else { core::str::from_utf8(value).unwrap_or_default() }
    }
}

/// Equal if they lie equally on the wire.
impl PartialEq for Metadata<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Metadata<'_> {}

impl Default for Metadata<'_> {
    fn default() -> Self {
        Metadata::EMPTY
    }
}

/// The tags and values of some metadata. Ends at the first that is broken, of which a [`Metadata`] has none.
#[derive(Clone, Copy, Debug)]
pub struct Tags<'a> {
    rest: &'a [u8],
}

impl<'a> Tags<'a> {
    /// Those of bytes that nobody has checked.
    pub const fn new(bytes: &'a [u8]) -> Tags<'a> {
        Tags { rest: bytes }
    }

    /// What has not been taken.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = (Tag, &'a [u8]);

    fn next(&mut self) -> Option<(Tag, &'a [u8])> {
        let (tag, value, rest) = split(self.rest)?;
        self.rest = rest;
        Some((tag, value))
    }
}

/// The tag and the value at the front, and what follows.
#[inline]
fn split(bytes: &[u8]) -> Option<(Tag, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let tag = Tag(*tag);
    if tag.plain().0 == 0 {
        return None;
    }
    let (value, rest) = split_value(rest)?;
    Some((tag, value, rest))
}

/// The value whose length is at the front, and what follows.
#[inline]
fn split_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (short_len, rest) = bytes.split_first()?;
    if *short_len != LONG {
        return rest.split_at_checked(usize::from(*short_len));
    }
    let (len, rest) = rest.split_first_chunk()?;
    let len = u16::from_le_bytes(*len);
    if len < u16::from(LONG) {
        return None;
    }
    rest.split_at_checked(usize::from(len))
}

/// The length byte that says that a u16 follows.
pub(super) const LONG: u8 = 255;

/// Whether a receiver that accepts names of this length may read the value as what its tag means.
#[inline]
pub(super) fn check_value(tag: Tag, value: &[u8], max_name_len: u16) -> Result<(), Status> {
    let least_len = match tag.plain() {
        Tag(0) => return Err(Status::BAD_TAG),
        Tag::CALLER | Tag::SERVICE | Tag::METHOD | Tag::ZONE => return check_name(value, max_name_len),
        Tag::ERROR_TEXT => return check_text(value),
        Tag::FEATURES | Tag::REJECT_STATE | Tag::ORIGIN_BUDGET => 4,
        Tag::WITHHELD | Tag::PEER_LIMITS | Tag::CALL_GRAPH => 8,
        Tag::COMPRESSION => 5,
        Tag::TRACE => 24,
        _ => 0,
    };
    if value.len() < least_len { Err(Status::BAD_TAG) } else { Ok(()) }
}

/// A name goes into every log line: nothing in it may move a terminal or begin another line.
fn check_name(name: &[u8], max_len: u16) -> Result<(), Status> {
    if name.len() > usize::from(max_len) {
        return Err(Status::NAME_TOO_LONG);
    }
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    if is_name { Ok(()) } else { Err(Status::BAD_NAME) }
}

fn check_text(text: &[u8]) -> Result<(), Status> {
    if core::str::from_utf8(text).is_ok() { Ok(()) } else { Err(Status::BAD_TEXT) }
}
