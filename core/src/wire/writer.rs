//! Header and metadata of a frame, written into the caller's buffer; the payload stays where it is.
//!
//! What does not fit is counted all the same: a writer over too short a buffer says at the end how many bytes it wanted.
//! A frame leaves as one `writev` of its head, its payload, and the checksum if the flags announce one.

use super::header::{HEADER_LEN, Header};
use super::metadata::{Compression, LONG, Metadata, PeerLimits, RejectState, Tag, Tags, Trace, Withheld, check_value};
use crate::status::Status;

/// Writes the head of one frame: tags in any order, then [`Writer::finish`]. What reads as absent is not written.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut [u8],
    wanted: usize,
    /// The known tags that it wrote or leaves out, by their bits; of the methods, whether they are left out.
    written: u16,
    /// The first thing that cannot be written, or OK.
    failed: Status,
}

impl<'b> Writer<'b> {
    /// A head without metadata.
    #[inline]
    pub const fn new(out: &'b mut [u8]) -> Writer<'b> {
        Writer { out, wanted: HEADER_LEN, written: 0, failed: Status::OK }
    }

    /// Bytes that the head has so far, whether or not there is room for them.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Appends any tag: the application's, or one of a newer version.
    pub fn tag(&mut self, tag: Tag, value: &[u8]) -> &mut Self {
        if let Err(status) = check_value(tag, value, u16::MAX) {
            return self.fail(status);
        }
        self.once(tag).put_tag(tag, value)
    }

    /// Keeps [`Writer::copy`] from writing this tag, which is a known one: all methods, if it is [`Tag::METHOD`].
    pub fn leave_out(&mut self, tag: Tag) -> &mut Self {
        self.written |= tag.bit();
        self
    }

    /// Appends what of some metadata this head does not have yet, known or not: what a proxy does. Its methods are added to
    /// those that were written.
    pub fn copy(&mut self, metadata: &Metadata<'_>) -> &mut Self {
        let written = self.written;
        for (tag, value) in metadata.iter() {
            if tag.bit() & written == 0 {
                self.put_tag(tag, value);
            }
        }
        self
    }

    /// Appends the tags that travel onward and that this version does not know, or that are the application's. One that it had
    /// to understand fails as it does where it is read: nobody has checked them.
    pub fn copy_onward(&mut self, mut tags: Tags<'_>) -> &mut Self {
        for (tag, value) in tags.by_ref() {
            if tag.is_onward() && !tag.is_known() {
                if tag.must_be_understood() && !tag.is_application() {
                    return self.fail(Status::UNSUPPORTED_TAG);
                }
                self.put_tag(tag, value);
            }
        }
        if tags.rest().is_empty() { self } else { self.fail(Status::BAD_TAG) }
    }

    /// See [`Tag::CALLER`].
    pub fn caller(&mut self, name: &str) -> &mut Self {
        self.name(Tag::CALLER, name)
    }

    /// See [`Tag::SERVICE`].
    pub fn service(&mut self, name: &str) -> &mut Self {
        self.name(Tag::SERVICE, name)
    }

    /// See [`Tag::METHOD`].
    pub fn method(&mut self, full_name: &str) -> &mut Self {
        self.name(Tag::METHOD, full_name)
    }

    /// See [`Tag::ZONE`].
    pub fn zone(&mut self, name: &str) -> &mut Self {
        self.name(Tag::ZONE, name)
    }

    /// See [`Tag::FEATURES`].
    pub fn features(&mut self, features: u32) -> &mut Self {
        self.fixed(features == 0, Tag::FEATURES, features.to_le_bytes())
    }

    /// See [`Tag::ERROR_TEXT`].
    pub fn error_text(&mut self, text: &str) -> &mut Self {
        self.unless(text.is_empty(), Tag::ERROR_TEXT, text.as_bytes())
    }

    /// See [`RejectState`].
    #[inline]
    pub fn reject_state(&mut self, state: RejectState) -> &mut Self {
        let ([h0, h1], [s0, s1]) = (state.hold_ms.to_le_bytes(), state.share_per_10k.to_le_bytes());
        self.fixed(state.hold_ms == 0, Tag::REJECT_STATE, [h0, h1, s0, s1])
    }

    /// See [`Metadata::withheld`].
    pub fn withheld(&mut self, withheld: Withheld) -> &mut Self {
        self.two_words(withheld.count == 0, Tag::WITHHELD, withheld.count, withheld.key.0)
    }

    /// See [`Compression`].
    pub fn compression(&mut self, compression: Compression) -> &mut Self {
        let [l0, l1, l2, l3] = compression.raw_len.to_le_bytes();
        self.fixed(compression.algorithm == 0, Tag::COMPRESSION, [compression.algorithm, l0, l1, l2, l3])
    }

    /// See [`PeerLimits`].
    pub fn peer_limits(&mut self, limits: PeerLimits) -> &mut Self {
        let is_absent = limits == PeerLimits::default();
        self.two_words(is_absent, Tag::PEER_LIMITS, limits.max_body_len, limits.max_open_calls)
    }

    /// See [`Trace`].
    #[inline]
    pub fn trace(&mut self, trace: &Trace) -> &mut Self {
        // As a number: comparing arrays would call memcmp.
        if u128::from_ne_bytes(trace.trace_id) == 0 {
            return self;
        }
        let flags = trace.flags & !Trace::SAMPLED;
        let mut value = [flags; 25];
        let (ids, _) = value.split_at_mut(24);
        let (trace_id, span_id) = ids.split_at_mut(16);
        trace_id.copy_from_slice(&trace.trace_id);
        span_id.copy_from_slice(&trace.span_id);
        let value = if flags == 0 { &value[..24] } else { &value };
        self.once(Tag::TRACE);
        self.put(&[Tag::TRACE.0, value.len() as u8], value);
        self
    }

    /// See [`Tag::ORIGIN_BUDGET`].
    pub fn origin_budget_ms(&mut self, budget_ms: u32) -> &mut Self {
        self.fixed(budget_ms == 0, Tag::ORIGIN_BUDGET, budget_ms.to_le_bytes())
    }

    /// See [`Tag::CALL_GRAPH`].
    pub fn call_graph_id(&mut self, id: u64) -> &mut Self {
        self.fixed(id == 0, Tag::CALL_GRAPH, id.to_le_bytes())
    }

    /// See [`Tag::TICKET`].
    pub fn ticket(&mut self, ticket: &[u8]) -> &mut Self {
        self.unless(ticket.is_empty(), Tag::TICKET, ticket)
    }

    /// See [`Tag::COOKIE`].
    pub fn cookie(&mut self, cookie: &[u8]) -> &mut Self {
        self.unless(cookie.is_empty(), Tag::COOKIE, cookie)
    }

    /// Writes the header, with the lengths of the metadata and of `payload_len` bytes that are to follow, and says how long
    /// the head is.
    ///
    /// # Errors
    ///
    /// Then the buffer holds no frame. [`Status::TOO_SMALL`]: [`Writer::wanted`] says how many bytes it takes.
    /// [`Status::METADATA_TOO_LONG`] above 65 535 bytes, [`Status::BODY_TOO_LONG`] above `u32::MAX`;
    /// [`Status::BAD_TAG`], [`Status::UNSUPPORTED_TAG`], [`Status::REPEATED_TAG`], [`Status::NAME_TOO_LONG`],
    /// [`Status::BAD_NAME`] and [`Status::BAD_TEXT`] for what no receiver would accept: the first of them, whatever was written
    /// behind it.
    #[inline]
    pub fn finish(&mut self, header: &Header, payload_len: u32) -> Result<usize, Status> {
        if !self.failed.is_ok() {
            return Err(self.failed);
        }
        let metadata_len = u16::try_from(self.wanted - HEADER_LEN).map_err(|_| Status::METADATA_TOO_LONG)?;
        let body_len = payload_len.checked_add(u32::from(metadata_len)).ok_or(Status::BODY_TOO_LONG)?;
        let wanted = self.wanted;
        let head = self.out.get_mut(..wanted).and_then(|out| out.first_chunk_mut()).ok_or(Status::TOO_SMALL)?;
        *head = Header { body_len, metadata_len, ..*header }.emit();
        Ok(wanted)
    }

    #[inline]
    fn put(&mut self, begin: &[u8], value: &[u8]) {
        let at = self.wanted;
        // Two objects cannot be longer together than the address space.
        self.wanted = at.saturating_add(begin.len() + value.len());
        let Some((to_begin, to_value)) =
            self.out.get_mut(at..self.wanted).and_then(|room| room.split_at_mut_checked(begin.len()))
        else {
            return;
        };
        to_begin.copy_from_slice(begin);
        if to_value.len() == value.len() {
            to_value.copy_from_slice(value);
        }
    }

    /// A value whose length is that of its type: there is nothing to check.
    #[inline]
    fn fixed<const LEN: usize>(&mut self, is_absent: bool, tag: Tag, value: [u8; LEN]) -> &mut Self {
        if !is_absent {
            self.once(tag);
            self.put(&[tag.0, LEN as u8], &value);
        }
        self
    }

    fn unless(&mut self, is_absent: bool, tag: Tag, value: &[u8]) -> &mut Self {
        if is_absent { self } else { self.tag(tag, value) }
    }

    fn two_words(&mut self, is_absent: bool, tag: Tag, first: u32, second: u32) -> &mut Self {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (first.to_le_bytes(), second.to_le_bytes());
        self.fixed(is_absent, tag, [a0, a1, a2, a3, b0, b1, b2, b3])
    }

    fn name(&mut self, tag: Tag, name: &str) -> &mut Self {
        self.unless(name.is_empty(), tag, name.as_bytes())
    }

    fn put_tag(&mut self, tag: Tag, value: &[u8]) -> &mut Self {
        let Ok(len) = u16::try_from(value.len()) else {
            return self.fail(Status::METADATA_TOO_LONG);
        };
        self.written |= tag.bit_if_unique();
        if len < u16::from(LONG) {
            self.put(&[tag.0, len as u8], value);
        } else {
            let [low, high] = len.to_le_bytes();
            self.put(&[tag.0, LONG, low, high], value);
        }
        self
    }

    /// Fails if the tag may occur once and has been written.
    #[inline]
    fn once(&mut self, tag: Tag) -> &mut Self {
        if self.written & tag.bit_if_unique() != 0 {
            self.fail(Status::REPEATED_TAG);
        }
        self.written |= tag.bit_if_unique();
        self
    }

    fn fail(&mut self, status: Status) -> &mut Self {
        if self.failed.is_ok() {
            self.failed = status;
        }
        self
    }
}

/// Writes one tag to the front of `out`, if it fits, and says how many bytes it takes.
///
/// # Errors
///
/// [`Status::BAD_TAG`], [`Status::NAME_TOO_LONG`], [`Status::BAD_NAME`] and [`Status::BAD_TEXT`] for what no receiver would
/// accept, [`Status::METADATA_TOO_LONG`] for another value above 65 535 bytes.
pub fn write_tag(tag: Tag, value: &[u8], out: &mut [u8]) -> Result<usize, Status> {
    check_value(tag, value, u16::MAX)?;
    let mut writer = Writer { wanted: 0, ..Writer::new(out) };
    writer.put_tag(tag, value);
    if writer.failed.is_ok() { Ok(writer.wanted) } else { Err(writer.failed) }
}
