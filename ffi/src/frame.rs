//! The incremental frame decoder, for C.

use mcrpc_core::status::Status;
use mcrpc_core::wire::{Decoder, Event, Limits};

use crate::header::mcrpc_header_t;
use crate::pointer::{self, code};

/// Nothing yet: all bytes were used, feed more when they arrive.
pub const MCRPC_EVENT_NONE: u32 = 0;
/// A frame begins: `header` is set. If its body_len is 0, the frame also ends.
pub const MCRPC_EVENT_HEADER: u32 = 1;
/// A piece of the frame's body: `bytes`, `bytes_len` and `last` are set.
pub const MCRPC_EVENT_BODY: u32 = 2;

/// What mcrpc_frame_next() found.
#[repr(C)]
pub struct mcrpc_frame_event_t {
    /// MCRPC_EVENT_...
    pub kind: u32,
    /// 1 if this piece ends the frame.
    pub last: u32,
    /// The frame's header.
    pub header: mcrpc_header_t,
    /// The piece, inside the bytes that were passed in.
    pub bytes: *const u8,
    /// Its length.
    pub bytes_len: usize,
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
const TAG: u64 = 0x01_65_6d_61_72_66_63_6d;

const _: () = assert!(size_of::<Tagged>() <= size_of::<mcrpc_frame_decoder_t>());
const _: () = assert!(align_of::<Tagged>() <= align_of::<mcrpc_frame_decoder_t>());

/// Sets up a decoder at the start of a stream. Frames with a body above `max_body_len` bytes are refused.
/// Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_frame_init(max_body_len: u32, out: *mut mcrpc_frame_decoder_t) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: checked for null and alignment, large enough by the assertion above, writable by the caller's promise.
        unsafe {
            out.cast::<Tagged>().write(Tagged { tag: TAG, decoder: Decoder::new(Limits::of_body(max_body_len)) })
        };
        Ok(())
    })())
}

/// Takes the next event from the front of `data`, and sets `used` to the bytes it took. Call it again with what is
/// left until the event is MCRPC_EVENT_NONE.
///
/// Returns, for a stream that is broken, what mcrpc_header_parse() returns, now and at every later call: close the
/// connection. A decoder belongs to one connection and is not to be used by two threads at once.
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
        pointer::check(decoder.cast_const())?;
        pointer::check(used.cast_const())?;
        pointer::check(event.cast_const())?;
        // SAFETY: checked for null and alignment; one thread at a time uses it, by the caller's promise. The tag is
        // read first: any bytes are a valid u64.
        if unsafe { (&raw const (*decoder.cast::<Tagged>()).tag).read() } != TAG {
            return Err(Status::NOT_INITIALISED);
        }
        // SAFETY: the tag says that mcrpc_frame_init() wrote a `Tagged` here.
        let tagged = unsafe { &mut *decoder.cast::<Tagged>() };
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let data = unsafe { pointer::bytes(data, len) }?;
        let step = tagged.decoder.next(data)?;
        let mut found_event = mcrpc_frame_event_t {
            kind: MCRPC_EVENT_NONE,
            last: u32::from(step.ends_frame),
            header: mcrpc_header_t::default(),
            bytes: core::ptr::null(),
            bytes_len: 0,
        };
        match step.event {
            None => {}
            Some(Event::Header(header)) => {
                found_event.kind = MCRPC_EVENT_HEADER;
                found_event.header = header.into();
            }
            Some(Event::Refused(_, status)) => return Err(status),
            Some(Event::Checked | Event::Skipped) => found_event.kind = MCRPC_EVENT_BODY,
            Some(Event::Metadata(bytes) | Event::Payload(bytes)) => {
                found_event.kind = MCRPC_EVENT_BODY;
                found_event.bytes = bytes.as_ptr();
                found_event.bytes_len = bytes.len();
            }
        }
        // SAFETY: both checked for null and alignment; writable by the caller's promise.
        unsafe {
            used.write(step.used);
            event.write(found_event);
        }
        Ok(())
    })())
}

const _: () = {
    assert!(size_of::<mcrpc_header_t>() == 40 && align_of::<mcrpc_header_t>() == 8);
    assert!(core::mem::offset_of!(mcrpc_frame_event_t, header) == 8);
};
