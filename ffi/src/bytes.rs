//! Bytes that lie somewhere, for C.

use mcrpc_core::status::Status;

use crate::pointer;

/// Bytes that lie somewhere else: a name, a value, a payload. No bytes are `{ NULL, 0 }`. It does not grow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct mcrpc_bytes_t {
    /// The first one.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

const _: () = assert!(core::mem::offset_of!(mcrpc_bytes_t, data) == 0, "as the core's slices in C's layout have it");

impl mcrpc_bytes_t {
    /// The bytes themselves.
    ///
    /// # Safety
    ///
    /// Unless `data` is null, `len` bytes are readable there during `'a` and not written meanwhile.
    pub(crate) unsafe fn get<'a>(self) -> Result<&'a [u8], Status> {
        // SAFETY: the caller promises the same.
        unsafe { pointer::bytes(self.data, self.len) }
    }
}

impl mcrpc_bytes_t {
    /// A value that is there, empty or not: NULL says of it that there is none.
    pub(crate) fn of_present(bytes: &[u8]) -> mcrpc_bytes_t {
        mcrpc_bytes_t { data: bytes.as_ptr(), len: bytes.len() }
    }
}

impl Default for mcrpc_bytes_t {
    fn default() -> mcrpc_bytes_t {
        mcrpc_bytes_t { data: core::ptr::null(), len: 0 }
    }
}

impl From<&[u8]> for mcrpc_bytes_t {
    #[inline]
    fn from(bytes: &[u8]) -> mcrpc_bytes_t {
        let data = if bytes.is_empty() { core::ptr::null() } else { bytes.as_ptr() };
        mcrpc_bytes_t { data, len: bytes.len() }
    }
}
