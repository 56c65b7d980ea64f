//! The most that a peer may send, for C.

use mcrpc_core::status::Status;
use mcrpc_core::wire::Limits;

use crate::sized::{self, Sized32};

/// What a receiver accepts of one connection. Start from MCRPC_LIMITS_INIT, which is also what NULL stands for.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_limits_t {
    /// sizeof(mcrpc_limits_t)
    pub struct_size: u32,
    /// Bytes of metadata and payload in a frame. MCRPC_BODY_TOO_LONG breaks the stream.
    pub max_body_len: u32,
    /// Unanswered requests of the connection, 0 if nobody counts them with mcrpc_frame_answered().
    /// MCRPC_TOO_MANY_OPEN_CALLS refuses the call.
    pub max_open_calls: u32,
    /// Bytes of metadata in a frame. MCRPC_METADATA_TOO_LONG refuses the call.
    pub max_metadata_len: u16,
    /// Tags in the metadata of a frame. MCRPC_TOO_MANY_TAGS refuses the call.
    pub max_tags: u16,
    /// Bytes of a name. MCRPC_NAME_TOO_LONG refuses the call.
    pub max_name_len: u16,
    /// 1: each frame must have a checksum, as it should over TCP. MCRPC_CHECKSUM_MISSING breaks the stream.
    pub needs_checksum: u16,
}

// SAFETY: repr(C), three u32 and four u16 without padding, the first is the size; any bits are valid.
unsafe impl Sized32 for mcrpc_limits_t {
    const FIRST_VERSION_SIZE: usize = 20;
}
const _: () = assert!(size_of::<mcrpc_limits_t>() == 20);

/// The limits at `limits`; the defaults if it is null.
///
/// # Safety
///
/// Unless null, `limits` points to a readable `u32` and to as many readable bytes as that says.
#[inline]
pub(crate) unsafe fn read(limits: *const mcrpc_limits_t) -> Result<Limits, Status> {
    if limits.is_null() {
        return Ok(Limits::DEFAULT);
    }
    // SAFETY: the caller promises the same.
    let limits = unsafe { sized::view(limits) }?;
    Ok(Limits {
        max_body_len: limits.max_body_len,
        max_metadata_len: limits.max_metadata_len,
        max_tags: limits.max_tags,
        max_name_len: limits.max_name_len,
        max_open_calls: limits.max_open_calls,
        needs_checksum: match limits.needs_checksum {
            0 => false,
            1 => true,
            _ => return Err(Status::INVALID_ARGUMENT),
        },
    })
}
