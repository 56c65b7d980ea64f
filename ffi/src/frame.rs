//! Frames out of a byte stream or a buffer, their checksums, and which protocol it is at all, for C.

use mcrpc_core::status::Status;
use mcrpc_core::wire::frame::Parts;
use mcrpc_core::wire::{Checksum, Decoder, Event, Frame, Metadata, Protocol, sniff};

use crate::bytes::mcrpc_bytes_t;
use crate::header::mcrpc_header_t;
use crate::limits::{self, mcrpc_limits_t};
use crate::metadata::mcrpc_metadata_t;
use crate::pointer::{self, code};
use crate::sized;

/// Nothing yet: all bytes were used, feed more when they arrive.
pub const MCRPC_EVENT_NONE: u32 = 0;
/// A frame begins: `header` is set.
pub const MCRPC_EVENT_HEADER: u32 = 1;
/// A frame begins that must not be acted on: `header` and `status` are set. Answer a request with this status, fail the
/// call of a response with it, drop a one-way or a cancel, and close the connection for any other kind. What else belongs to
/// it is skipped.
pub const MCRPC_EVENT_REFUSED: u32 = 2;
/// The next piece of the frame's metadata: `bytes` is set. mcrpc_metadata_parse() wants all of them together.
pub const MCRPC_EVENT_METADATA: u32 = 3;
/// The next piece of the frame's payload: `bytes` is set.
pub const MCRPC_EVENT_PAYLOAD: u32 = 4;
/// The frame's checksum fits its bytes. Until then they may have been changed on their way.
pub const MCRPC_EVENT_CHECKED: u32 = 5;
/// Bytes that are not for this version, belong to a refused frame, or that the frame's kind has no use for.
pub const MCRPC_EVENT_SKIPPED: u32 = 6;

/// What mcrpc_frame_next() found.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct mcrpc_frame_event_t {
    /// MCRPC_EVENT_...
    pub kind: u32,
    /// 1 if a frame whose header was handed out is whole now.
    pub last: u32,
    /// Why the frame is refused.
    pub status: i32,
    /// 0.
    pub reserved: u32,
    /// The frame's header.
    pub header: mcrpc_header_t,
    /// The piece, inside the bytes that were passed in; never empty.
    pub bytes: mcrpc_bytes_t,
    /// 0.
    pub reserved_too: u64,
}

/// The state of one connection's incoming stream. Set it up with mcrpc_frame_init(); it needs no clean-up.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mcrpc_frame_decoder_t {
    /// Private.
    pub opaque: [u64; 16],
}

#[derive(Clone, Copy)]
struct Tagged {
    tag: u64,
    decoder: Decoder,
}

/// "mcframe" and a version.
const TAG: u64 = 0x02_65_6d_61_72_66_63_6d;

const _: () = assert!(size_of::<Tagged>() <= size_of::<mcrpc_frame_decoder_t>());
const _: () = assert!(align_of::<Tagged>() <= align_of::<mcrpc_frame_decoder_t>());

/// The decoder behind a pointer from C.
///
/// # Safety
///
/// Unless null or misaligned, `decoder` is readable and writable during `'a`, by the caller alone, and not written to but
/// by these functions since mcrpc_frame_init().
unsafe fn checked<'a>(decoder: *mut mcrpc_frame_decoder_t) -> Result<&'a mut Decoder, Status> {
    pointer::check(decoder.cast_const())?;
    // SAFETY: checked for null and alignment; one thread at a time uses it, by the caller's promise. The tag is
    // read first: any bytes are a valid u64.
    if unsafe { (&raw const (*decoder.cast::<Tagged>()).tag).read() } != TAG {
        return Err(Status::NOT_INITIALISED);
    }
    // SAFETY: the tag says that mcrpc_frame_init() wrote a `Tagged` here.
    Ok(unsafe { &mut (*decoder.cast::<Tagged>()).decoder })
}

/// Sets up a decoder at the start of a stream, for frames under `limits` (NULL: the defaults).
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `limits` is NULL or readable for its struct_size, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_frame_init(limits: *const mcrpc_limits_t, out: *mut mcrpc_frame_decoder_t) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: the caller promises that they are readable.
        let limits = unsafe { limits::read(limits) }?;
        // SAFETY: checked for null and alignment, large enough by the assertion above, writable by the caller's promise.
        unsafe { out.cast::<Tagged>().write(Tagged { tag: TAG, decoder: Decoder::new(limits) }) };
        Ok(())
    })())
}

/// Takes the next event from the front of `data`, and sets `used` to the bytes it took. Call it again with what is
/// left until the event is MCRPC_EVENT_NONE. Any split of the stream gives the same frames.
///
/// Returns, for a stream that is broken, what mcrpc_header_parse() returns or MCRPC_BAD_CHECKSUM, now and at every later
/// call: close the connection. A decoder belongs to one connection and is not to be used by two threads at once.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `decoder` was set up by mcrpc_frame_init(); `data` is readable for `len` bytes; `used` and `event` are writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_frame_next(
    decoder: *mut mcrpc_frame_decoder_t,
    data: *const u8,
    len: usize,
    used: *mut usize,
    event: *mut mcrpc_frame_event_t,
) -> i32 {
    code((|| {
        pointer::check(used.cast_const())?;
        pointer::check(event.cast_const())?;
        // SAFETY: set up by mcrpc_frame_init() and used by one thread at a time, by the caller's promise.
        let decoder = unsafe { checked(decoder) }?;
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let data = unsafe { pointer::bytes(data, len) }?;
        let step = decoder.next(data)?;
        let none: &[u8] = &[];
        let (kind, header, status, bytes) = match step.event {
            None => (MCRPC_EVENT_NONE, None, Status::OK, none),
            Some(Event::Header(header)) => (MCRPC_EVENT_HEADER, Some(header), Status::OK, none),
            Some(Event::Refused(header, status)) => (MCRPC_EVENT_REFUSED, Some(header), status, none),
            Some(Event::Metadata(bytes)) => (MCRPC_EVENT_METADATA, None, Status::OK, bytes),
            Some(Event::Payload(bytes)) => (MCRPC_EVENT_PAYLOAD, None, Status::OK, bytes),
            Some(Event::Checked) => (MCRPC_EVENT_CHECKED, None, Status::OK, none),
            Some(Event::Skipped) => (MCRPC_EVENT_SKIPPED, None, Status::OK, none),
        };
        // SAFETY: both checked for null and alignment; writable by the caller's promise.
        unsafe {
            used.write(step.used);
            event.write(mcrpc_frame_event_t {
                kind,
                last: u32::from(step.ends_frame),
                status: status.0,
                reserved: 0,
                header: header.map_or_else(mcrpc_header_t::default, mcrpc_header_t::from),
                bytes: bytes.into(),
                reserved_too: 0,
            });
        }
        Ok(())
    })())
}

/// Says that a request of this stream has been answered, or will never be: once for each that came as MCRPC_EVENT_HEADER,
/// whatever became of it. One that came as MCRPC_EVENT_REFUSED was never counted: the answer to it must not be either, or
/// the peer has one more open call each time. Only for limits with max_open_calls.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `decoder` was set up by mcrpc_frame_init(), and no other thread uses it meanwhile.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_frame_answered(decoder: *mut mcrpc_frame_decoder_t) -> i32 {
    code((|| {
        // SAFETY: set up by mcrpc_frame_init() and used by one thread at a time, by the caller's promise.
        unsafe { checked(decoder) }?.answered();
        Ok(())
    })())
}

/// How long the frame at the front of `bytes` is, of any kind, and even if it must not be acted on.
///
/// Returns MCRPC_INCOMPLETE below MCRPC_HEADER_LEN bytes, or why nobody can say: see mcrpc_header_parse().
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `bytes` is readable for `len` bytes, `limits` is NULL or readable for its struct_size, `wanted` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_frame_wanted(
    bytes: *const u8,
    len: usize,
    limits: *const mcrpc_limits_t,
    wanted: *mut usize,
) -> i32 {
    code((|| {
        pointer::check(wanted.cast_const())?;
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let bytes = unsafe { pointer::bytes(bytes, len) }?;
        // SAFETY: the caller promises that they are readable.
        let frame_len = Frame::wanted(bytes, &unsafe { limits::read(limits) }?)?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { wanted.write(frame_len) };
        Ok(())
    })())
}

/// Reads one whole frame that lies at the front of a buffer: its header, metadata and payload, and where the next one begins.
/// Its checksum, if it has one, fits. Set metadata->struct_size before; what it points to lies in `bytes`.
///
/// Returns MCRPC_INCOMPLETE if the frame is longer than `len`, see mcrpc_frame_wanted(); otherwise what mcrpc_header_parse()
/// and mcrpc_metadata_parse() return, or MCRPC_BAD_CHECKSUM.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `bytes` is readable for `len` bytes, `limits` is NULL or readable for its struct_size, `metadata` is writable for its
/// struct_size; `header`, `payload` and `frame_len` are writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_frame_parse(
    bytes: *const u8,
    len: usize,
    limits: *const mcrpc_limits_t,
    header: *mut mcrpc_header_t,
    metadata: *mut mcrpc_metadata_t,
    payload: *mut mcrpc_bytes_t,
    frame_len: *mut usize,
) -> i32 {
    code((|| {
        pointer::check(header.cast_const())?;
        pointer::check(payload.cast_const())?;
        pointer::check(frame_len.cast_const())?;
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let bytes = unsafe { pointer::bytes(bytes, len) }?;
        // SAFETY: the caller promises that they are readable.
        let limits = unsafe { limits::read(limits) }?;
        let frame = Parts::new_checked(bytes, &limits)?;
        let checked = Metadata::new_checked(frame.metadata, &limits);
        // By reference: a copy would need stack.
        let checked = checked.as_ref().map_err(|status| *status)?;
        // SAFETY: all but `metadata`, which is checked first, are checked for null and alignment; writable by the caller's
        // promise.
        unsafe {
            sized::fill(metadata)?.fill(checked);
            header.write(frame.header.into());
            payload.write(frame.payload.into());
            frame_len.write(frame.len);
        }
        Ok(())
    })())
}

/// The CRC-32 (of IEEE 802.3, as zlib has it) of what `so_far` is the checksum of, 0 for nothing, followed by `bytes`.
///
/// A frame with MCRPC_FLAG_CRC_TRAILER ends with the checksum of all its bytes from the header to the payload, as four bytes,
/// the lowest first. Returns `so_far` if `bytes` is NULL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `bytes` is readable for `len` bytes.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_checksum(so_far: u32, bytes: *const u8, len: usize) -> u32 {
    let mut checksum = Checksum::resumed(so_far);
    // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
    if let Ok(bytes) = unsafe { pointer::bytes(bytes, len) } {
        checksum.update(bytes);
    }
    checksum.value()
}

/// Which protocol a connection speaks that begins with `bytes`: MCRPC_PROTOCOL_..., of which MCRPC_PROTOCOL_UNDECIDED means
/// that it takes more bytes to tell. Four always suffice. MCRPC_PROTOCOL_UNKNOWN if `bytes` is NULL and `len` is not 0.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `bytes` is readable for `len` bytes.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_sniff(bytes: *const u8, len: usize) -> u32 {
    // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
    match unsafe { pointer::bytes(bytes, len) } {
        Ok(bytes) => sniff(bytes).map_or(0, |protocol| protocol as u32),
        Err(_) => Protocol::Unknown as u32,
    }
}
