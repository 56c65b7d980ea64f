//! The frame header, for C.

use mcrpc_core::status::Status;
use mcrpc_core::wire::{Flags, HEADER_LEN, Header, Kind, header};

use crate::limits::{self, mcrpc_limits_t};
use crate::pointer::{self, code};

/// A frame header in the host's terms. Of method_id and status, and of budget_ms and cursor, each kind of frame
/// carries one; the other is 0. It mirrors the header on the wire, and does not grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct mcrpc_header_t {
    /// The user, or 0.
    pub uin: u64,
    /// Bytes of metadata and payload behind the header.
    pub body_len: u32,
    /// Chosen by the caller, unique among the open calls of a connection.
    pub call_id: u32,
    /// Not in responses: mcrpc_method_id() of the method's full name.
    pub method_id: u32,
    /// Responses: how the call ended, an MCRPC_ status or the service's own code.
    pub status: i32,
    /// Requests and one-ways: how long the caller still waits; UINT32_MAX: for ever. Go-aways: how long the sender still answers.
    /// In other kinds it is not written.
    pub budget_ms: u32,
    /// Responses: the server's admission cursor.
    pub cursor: u32,
    /// The business the request belongs to.
    pub business_id: u16,
    /// Bytes of metadata at the start of the body.
    pub metadata_len: u16,
    /// MCRPC_KIND_...
    pub kind: u8,
    /// MCRPC_FLAG_... and the attempt number, see MCRPC_FLAGS_ATTEMPT.
    pub flags: u8,
    /// Business priority, 0 first.
    pub priority: u8,
    /// Must be 0.
    pub reserved: u8,
}

impl From<Header> for mcrpc_header_t {
    fn from(header: Header) -> mcrpc_header_t {
        mcrpc_header_t {
            uin: header.uin,
            body_len: header.body_len,
            call_id: header.call_id,
            method_id: header.method_id,
            status: header.status.0,
            budget_ms: header.budget_ms,
            cursor: header.cursor,
            business_id: header.business_id,
            metadata_len: header.metadata_len,
            kind: header.kind as u8,
            flags: header.flags.0,
            priority: header.priority,
            reserved: 0,
        }
    }
}

impl mcrpc_header_t {
    /// The header that C filled in.
    pub(crate) fn to_core(self) -> Result<Header, Status> {
        let kind = Kind::from_wire(self.kind).ok_or(Status::BAD_KIND)?;
        if u32::from(self.metadata_len) > self.body_len {
            return Err(Status::BAD_METADATA_LENGTH);
        }
        if self.reserved != 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        if self.flags & Flags::MUST_UNDERSTAND != 0 {
            return Err(Status::UNSUPPORTED_FLAG);
        }
        let has_budget = matches!(kind, Kind::Request | Kind::OneWay | Kind::GoAway);
        Ok(Header {
            kind,
            flags: Flags(self.flags),
            priority: self.priority,
            body_len: self.body_len,
            call_id: self.call_id,
            method_id: self.method_id,
            status: Status(self.status),
            uin: self.uin,
            // A new header in C++ has no time limit, whatever it will be.
            budget_ms: if has_budget { self.budget_ms } else { 0 },
            cursor: self.cursor,
            business_id: self.business_id,
            metadata_len: self.metadata_len,
        })
    }
}

/// Reads the header at the start of `bytes`, of which `len` are there, under `limits` (NULL: the defaults).
///
/// Returns MCRPC_INCOMPLETE below MCRPC_HEADER_LEN bytes; MCRPC_BAD_MAGIC, _BAD_VERSION, _CHECKSUM_MISSING, _BODY_TOO_LONG or
/// _BAD_METADATA_LENGTH for bytes that no frame can follow; _UNSUPPORTED_FLAG, _METADATA_TOO_LONG or _BAD_KIND for a frame that
/// must not be acted on: mcrpc_frame_wanted() says where the next one begins, if anybody can.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `bytes` is readable for `len` bytes, `limits` is NULL or readable for its struct_size, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_header_parse(
    bytes: *const u8,
    len: usize,
    limits: *const mcrpc_limits_t,
    out: *mut mcrpc_header_t,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let bytes = unsafe { pointer::bytes(bytes, len) }?;
        // SAFETY: the caller promises that they are readable.
        let limits = unsafe { limits::read(limits) }?;
        let header = Header::parse(bytes.first_chunk::<HEADER_LEN>().ok_or(Status::INCOMPLETE)?, &limits)?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(header.into()) };
        Ok(())
    })())
}

/// Writes `header` as MCRPC_HEADER_LEN bytes to `out`, which has room for `len`.
///
/// A whole head, with metadata, is written by mcrpc_head_write().
///
/// Returns MCRPC_TOO_SMALL, _BAD_KIND, _BAD_METADATA_LENGTH, _UNSUPPORTED_FLAG (this version could not read it back) or
/// _INVALID_ARGUMENT (reserved is not 0); then nothing was written.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `header` is readable, `out` is writable for `len` bytes.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_header_emit(header: *const mcrpc_header_t, out: *mut u8, len: usize) -> i32 {
    code((|| {
        pointer::check(header)?;
        pointer::check(out.cast_const())?;
        if len < HEADER_LEN {
            return Err(Status::TOO_SMALL);
        }
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let bytes = unsafe { header.read() }.to_core()?.emit();
        // SAFETY: `len`, and so the room at `out`, is at least HEADER_LEN.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), out, HEADER_LEN) };
        Ok(())
    })())
}

/// The id of a method: FNV-1a 32 of its full name "pkg.Service.Method", which has `len` bytes. 0 if there is no name.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `name` is readable for `len` bytes.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_method_id(name: *const u8, len: usize) -> u32 {
    // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
    match unsafe { pointer::bytes(name, len) } {
        Ok(name) if !name.is_empty() => header::method_id(name),
        _ => 0,
    }
}
