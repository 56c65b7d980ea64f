//! Metadata, for C: one struct for reading and for writing, and single tags for what has no field in it.

use mcrpc_core::admission::Key;
use mcrpc_core::status::Status;
use mcrpc_core::wire::metadata::{
    Compression, PeerLimits, RejectState, Tags, Withheld, u32_from_value, u64_from_value, withheld_from_value,
};
use mcrpc_core::wire::{Limits, Metadata, Tag, Trace, Writer, writer};

use crate::bytes::mcrpc_bytes_t;
use crate::header::mcrpc_header_t;
use crate::limits::{self, mcrpc_limits_t};
use crate::pointer::{self, code};
use crate::sized::{self, Sized32};

/// The metadata of a frame. Start from MCRPC_METADATA_INIT. What is absent is 0 or empty, and what is 0 or empty is not
/// written.
///
/// What is read may be written again, changed or not: a proxy passes on what this version does not know.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_metadata_t {
    /// sizeof(mcrpc_metadata_t)
    pub struct_size: u32,
    /// Hello: MCRPC_FEATURE_..., what the sender can do.
    pub features: u32,
    /// Names the call graph that the call is part of.
    pub call_graph_id: u64,
    /// W3C Trace Context: the trace. All zero is none, and then the other two are not written.
    pub trace_id: [u8; 16],
    /// The caller's span.
    pub span_id: [u8; 8],
    /// The budget in ms that the task began with.
    pub origin_budget_ms: u32,
    /// Requests that the caller did not send since the last one, as mcrpc_choice_t has it: for mcrpc_admission_withheld().
    pub withheld_count: u32,
    /// The key of one of them.
    pub withheld_key: u32,
    /// Hello: the longest body that the sender accepts.
    pub max_body_len: u32,
    /// Hello: how many unanswered requests the sender accepts.
    pub max_open_calls: u32,
    /// Bytes of the payload when it is decompressed.
    pub raw_len: u32,
    /// Response: how long the header's cursor holds; 0 is not said, and means 300 ms: pass that on to mcrpc_heard().
    pub reject_hold_ms: u16,
    /// Response: the share of requests that the server refuses now, in 1/10000. Not written without reject_hold_ms.
    pub reject_share_per_10k: u16,
    /// The trace's flags without bit 0, which is MCRPC_FLAG_SAMPLED.
    pub trace_flags: u8,
    /// MCRPC_COMPRESSION_..., together with MCRPC_FLAG_COMPRESSED.
    pub compression: u8,
    /// Must be 0.
    pub reserved: u16,
    /// The name of the caller's service. Names are visible ASCII.
    pub caller: mcrpc_bytes_t,
    /// The name of the service that is called, "pkg.Service".
    pub service: mcrpc_bytes_t,
    /// The full name of the method, "pkg.Service.Method"; the first one if a hello has several. Writing: comes before those in
    /// `tags`, unless it is the first of them.
    pub method: mcrpc_bytes_t,
    /// The name of the sender's zone.
    pub zone: mcrpc_bytes_t,
    /// Response: why the call failed, for a person. UTF-8.
    pub error_text: mcrpc_bytes_t,
    /// The user's ticket.
    pub ticket: mcrpc_bytes_t,
    /// The user's cookie.
    pub cookie: mcrpc_bytes_t,
    /// Reading: all tags as they lie on the wire, see mcrpc_tag_next(). Writing: further tags, see mcrpc_tag_write(); of one
    /// that has a field of its own, the field's value is written.
    pub tags: mcrpc_bytes_t,
    /// Reading: empty. Writing: the tags of the request that this call is made on behalf of. What travels onward and has no
    /// field here is written too.
    pub onward_tags: mcrpc_bytes_t,
}

// SAFETY: repr(C), the first field is the size; without padding by the assertions below; any bits are valid.
unsafe impl Sized32 for mcrpc_metadata_t {
    const FIRST_VERSION_SIZE: usize = size_of::<mcrpc_metadata_t>();
}
const _: () = {
    assert!(core::mem::offset_of!(mcrpc_metadata_t, trace_id) == 16);
    assert!(core::mem::offset_of!(mcrpc_metadata_t, origin_budget_ms) == 40);
    assert!(core::mem::offset_of!(mcrpc_metadata_t, reject_hold_ms) == 64);
    assert!(core::mem::offset_of!(mcrpc_metadata_t, caller) == 72);
    assert!(size_of::<mcrpc_metadata_t>() == 72 + 9 * size_of::<mcrpc_bytes_t>());
};

impl mcrpc_metadata_t {
    /// Takes over what some metadata says, in one pass.
    pub(crate) fn fill(&mut self, metadata: &Metadata<'_>) {
        self.tags = metadata.bytes().into();
        for (tag, value) in metadata.iter() {
            self.take(tag, value);
        }
    }

    #[inline]
    fn take(&mut self, tag: Tag, value: &[u8]) {
        match tag.plain() {
            Tag::CALLER => self.caller = value.into(),
            Tag::SERVICE => self.service = value.into(),
            Tag::METHOD if self.method.len == 0 => self.method = value.into(),
            Tag::ZONE => self.zone = value.into(),
            Tag::ERROR_TEXT => self.error_text = value.into(),
            Tag::TICKET => self.ticket = value.into(),
            Tag::COOKIE => self.cookie = value.into(),
            Tag::FEATURES => self.features = u32_from_value(value),
            Tag::ORIGIN_BUDGET => self.origin_budget_ms = u32_from_value(value),
            Tag::CALL_GRAPH => self.call_graph_id = u64_from_value(value),
            Tag::TRACE => {
                let trace = Trace::from_value(value);
                (self.trace_id, self.span_id, self.trace_flags) = (trace.trace_id, trace.span_id, trace.flags);
            }
            Tag::WITHHELD => {
                let withheld = withheld_from_value(value);
                (self.withheld_count, self.withheld_key) = (withheld.count, withheld.key.0);
            }
            Tag::PEER_LIMITS => {
                let limits = PeerLimits::from_value(value);
                (self.max_body_len, self.max_open_calls) = (limits.max_body_len, limits.max_open_calls);
            }
            Tag::REJECT_STATE => {
                let state = RejectState::from_value(value);
                (self.reject_hold_ms, self.reject_share_per_10k) = (state.hold_ms, state.share_per_10k);
            }
            Tag::COMPRESSION => {
                let compression = Compression::from_value(value);
                (self.compression, self.raw_len) = (compression.algorithm, compression.raw_len);
            }
            _ => {}
        }
    }

    /// Writes what is not in `tags` with the same value, and then `tags`.
    ///
    /// # Safety
    ///
    /// What the fields point to is readable.
    unsafe fn write_to(&self, writer: &mut Writer<'_>) -> Result<(), Status> {
        if self.reserved != 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        // SAFETY: readable by the caller's promise.
        let (tags, onward_tags) = unsafe { (self.tags.get()?, self.onward_tags.get()?) };
        let checked = Metadata::new_checked(tags, &Limits::WIDEST);
        // By reference: a copy would need stack.
        let came = checked.as_ref().map_err(|status| *status)?;
        self.write_changed_numbers(came, writer);
        // SAFETY: readable by the caller's promise.
        unsafe {
            write_changed(Tag::CALLER, self.caller, came.caller().as_bytes(), writer)?;
            write_changed(Tag::SERVICE, self.service, came.service().as_bytes(), writer)?;
            write_changed(Tag::METHOD, self.method, came.method().as_bytes(), writer)?;
            write_changed(Tag::ZONE, self.zone, came.zone().as_bytes(), writer)?;
            write_changed(Tag::ERROR_TEXT, self.error_text, came.error_text().as_bytes(), writer)?;
            write_changed(Tag::TICKET, self.ticket, came.ticket(), writer)?;
            write_changed(Tag::COOKIE, self.cookie, came.cookie(), writer)?;
        }
        writer.copy(came).copy_onward(Tags::new(onward_tags));
        Ok(())
    }

    #[inline(never)]
    fn write_changed_numbers(&self, came: &Metadata<'_>, writer: &mut Writer<'_>) {
        let trace = Trace { trace_id: self.trace_id, span_id: self.span_id, flags: self.trace_flags };
        if trace != came.trace() {
            writer.trace(&trace).leave_out(Tag::TRACE);
        }
        if self.origin_budget_ms != came.origin_budget_ms() {
            writer.origin_budget_ms(self.origin_budget_ms).leave_out(Tag::ORIGIN_BUDGET);
        }
        if self.call_graph_id != came.call_graph_id() {
            writer.call_graph_id(self.call_graph_id).leave_out(Tag::CALL_GRAPH);
        }
        if self.features != came.features() {
            writer.features(self.features).leave_out(Tag::FEATURES);
        }
        let withheld = Withheld { count: self.withheld_count, key: Key(self.withheld_key) };
        if withheld != came.withheld() {
            writer.withheld(withheld).leave_out(Tag::WITHHELD);
        }
        let limits = PeerLimits { max_body_len: self.max_body_len, max_open_calls: self.max_open_calls };
        if limits != came.peer_limits() {
            writer.peer_limits(limits).leave_out(Tag::PEER_LIMITS);
        }
        let reject = RejectState { hold_ms: self.reject_hold_ms, share_per_10k: self.reject_share_per_10k };
        if reject != came.reject_state() {
            writer.reject_state(reject).leave_out(Tag::REJECT_STATE);
        }
        let compression = Compression { algorithm: self.compression, raw_len: self.raw_len };
        if compression != came.compression() {
            writer.compression(compression).leave_out(Tag::COMPRESSION);
        }
    }
}

/// Writes bytes that are not those that came. Most is absent, here and there: nothing is called for that.
///
/// # Safety
///
/// `own` is readable.
#[inline]
unsafe fn write_changed(tag: Tag, own: mcrpc_bytes_t, came: &[u8], writer: &mut Writer<'_>) -> Result<(), Status> {
    if own.len == 0 && came.is_empty() {
        return Ok(());
    }
    // SAFETY: readable by the caller's promise.
    write_if_other(tag, unsafe { own.get() }?, came, writer);
    Ok(())
}

#[inline(never)]
fn write_if_other(tag: Tag, own: &[u8], came: &[u8], writer: &mut Writer<'_>) {
    if own == came {
        return;
    }
    if !own.is_empty() {
        writer.tag(tag, own);
    }
    if tag != Tag::METHOD {
        writer.leave_out(tag);
    }
}

/// Reads the metadata of a frame under `limits` (NULL: the defaults), all of it. Set out->struct_size before; what it points
/// to lies in `bytes`.
///
/// Returns MCRPC_BAD_TAG, _UNSUPPORTED_TAG, _REPEATED_TAG, _TOO_MANY_TAGS, _METADATA_TOO_LONG, _NAME_TOO_LONG, _BAD_NAME or
/// _BAD_TEXT: refuse the call with it. The frames behind it are intact.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `bytes` is readable for `len` bytes, `limits` is NULL or readable for its struct_size, `out` is writable for its
/// struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_metadata_parse(
    bytes: *const u8,
    len: usize,
    limits: *const mcrpc_limits_t,
    out: *mut mcrpc_metadata_t,
) -> i32 {
    code((|| {
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let bytes = unsafe { pointer::bytes(bytes, len) }?;
        // SAFETY: the caller promises that they are readable.
        let checked = Metadata::new_checked(bytes, &unsafe { limits::read(limits) }?);
        // By reference: a copy would need stack.
        let metadata = checked.as_ref().map_err(|status| *status)?;
        // SAFETY: writable for its size by the caller's promise.
        unsafe { sized::fill(out) }?.fill(metadata);
        Ok(())
    })())
}

/// Writes the head of a frame to `out`, which has room for `len`: `header`, whose lengths are set to what follows, and
/// `metadata` (NULL: none). A payload of `payload_len` bytes is to be sent behind it, and then, with MCRPC_FLAG_CRC_TRAILER,
/// the checksum of both: see mcrpc_checksum().
///
/// Sets `wanted` to the length of the head, also with MCRPC_TOO_SMALL: ask with (NULL, 0) how long it would be. Otherwise what
/// mcrpc_header_emit() returns, MCRPC_BODY_TOO_LONG or _METADATA_TOO_LONG for lengths that the header cannot say, and, for what
/// no receiver would accept, _BAD_TAG, _UNSUPPORTED_TAG, _REPEATED_TAG, _NAME_TOO_LONG, _BAD_NAME or _BAD_TEXT. Then `out` has
/// no frame.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `header` is readable, `metadata` is NULL or readable for its struct_size, and so is what it points to; `out` is writable
/// for `len` bytes and overlaps none of these; `wanted` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_head_write(
    header: *const mcrpc_header_t,
    metadata: *const mcrpc_metadata_t,
    payload_len: u32,
    out: *mut u8,
    len: usize,
    wanted: *mut usize,
) -> i32 {
    code((|| {
        pointer::check(header)?;
        pointer::check(wanted.cast_const())?;
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let header = mcrpc_header_t { body_len: 0, metadata_len: 0, ..unsafe { header.read() } }.to_core()?;
        // SAFETY: the caller promises room for `len` bytes that nothing else uses.
        let mut writer = Writer::new(unsafe { pointer::room(out, len) }?);
        if !metadata.is_null() {
            // SAFETY: readable with all it points to, by the caller's promise.
            unsafe { sized::view(metadata)?.write_to(&mut writer) }?;
        }
        let result = writer.finish(&header, payload_len);
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { tell_wanted(result, writer.wanted(), wanted) }
    })())
}

/// Sets `target` for a buffer that sufficed, and for one that was too small.
///
/// # Safety
///
/// `target` is aligned and writable.
pub(crate) unsafe fn tell_wanted(
    result: Result<usize, Status>,
    wanted: usize,
    target: *mut usize,
) -> Result<(), Status> {
    if matches!(result, Ok(_) | Err(Status::TOO_SMALL)) {
        // SAFETY: the caller promises the same.
        unsafe { target.write(wanted) };
    }
    result.map(|_| ())
}

/// Takes the tag at `*offset` out of the tags of some metadata, and moves `offset`, 0 at first, behind it. `tag` is
/// MCRPC_TAG_... or another number, perhaps with MCRPC_TAG_MUST_UNDERSTAND; 0 behind the last one: call it until then.
///
/// Returns MCRPC_BAD_TAG for broken bytes, and MCRPC_INVALID_ARGUMENT for an offset behind the end.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `tags` is readable, and so is what it points to; `offset` is readable and writable, `tag` and `value` are writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_tag_next(
    tags: *const mcrpc_bytes_t,
    offset: *mut usize,
    tag: *mut u8,
    value: *mut mcrpc_bytes_t,
) -> i32 {
    code((|| {
        pointer::check(tags)?;
        pointer::check(offset.cast_const())?;
        pointer::check(tag.cast_const())?;
        pointer::check(value.cast_const())?;
        // SAFETY: checked for null and alignment; readable with what it points to, by the caller's promise.
        let (bytes, from) = unsafe { (tags.read().get()?, offset.read()) };
        let mut tags = Tags::new(bytes.get(from..).ok_or(Status::INVALID_ARGUMENT)?);
        let (found, found_value) = match tags.next() {
            Some(found) => found,
            None if tags.rest().is_empty() => (Tag(0), &[][..]),
            None => return Err(Status::BAD_TAG),
        };
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe {
            offset.write(bytes.len() - tags.rest().len());
            tag.write(found.0);
            value.write(found_value.into());
        }
        Ok(())
    })())
}

/// Writes one tag to `out`, which has room for `out_len`: the next of those that `tags` of mcrpc_metadata_t points to. For a
/// tag that has a field of its own, but MCRPC_TAG_METHOD, set the field instead.
///
/// Sets `wanted` to the length of the tag, also with MCRPC_TOO_SMALL. Otherwise MCRPC_BAD_TAG for a number that is no tag or a
/// value that is too short for its meaning, _METADATA_TOO_LONG or _NAME_TOO_LONG above 65535 bytes, _BAD_NAME or _BAD_TEXT.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `value` is readable for `len` bytes, `out` is writable for `out_len` bytes and does not overlap it; `wanted` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_tag_write(
    tag: u8,
    value: *const u8,
    len: usize,
    out: *mut u8,
    out_len: usize,
    wanted: *mut usize,
) -> i32 {
    code((|| {
        pointer::check(wanted.cast_const())?;
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let value = unsafe { pointer::bytes(value, len) }?;
        // SAFETY: the caller promises room for `out_len` bytes that nothing else uses.
        let tag_len = writer::write_tag(Tag(tag), value, unsafe { pointer::room(out, out_len) }?)?;
        let result = if tag_len > out_len { Err(Status::TOO_SMALL) } else { Ok(tag_len) };
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { tell_wanted(result, tag_len, wanted) }
    })())
}
