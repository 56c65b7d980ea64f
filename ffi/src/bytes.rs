//! Bytes and texts that are views of somebody else's memory.

/// Bytes, or a text, in memory of the caller's: not terminated by a NUL. NULL and 0 are no bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct mcrpc_bytes_t {
    /// Where they begin.
    pub data: *const u8,
    /// How many there are.
    pub len: usize,
}

impl Default for mcrpc_bytes_t {
    fn default() -> mcrpc_bytes_t {
        mcrpc_bytes_t { data: core::ptr::null(), len: 0 }
    }
}

impl From<&[u8]> for mcrpc_bytes_t {
    fn from(bytes: &[u8]) -> mcrpc_bytes_t {
        mcrpc_bytes_t { data: bytes.as_ptr(), len: bytes.len() }
    }
}

impl From<&str> for mcrpc_bytes_t {
    fn from(text: &str) -> mcrpc_bytes_t {
        text.as_bytes().into()
    }
}
