//! Pointers from C, checked.

use mcrpc_core::status::Status;

/// The longest object there can be.
pub(crate) const MAX_LEN: usize = isize::MAX as usize;

/// Fails for a null or misaligned pointer.
#[inline]
pub(crate) fn check<T>(pointer: *const T) -> Result<(), Status> {
    if pointer.is_null() {
        Err(Status::NULL_ARGUMENT)
    } else if !pointer.is_aligned() {
        Err(Status::MISALIGNED)
    } else {
        Ok(())
    }
}

/// Fails for bytes that cannot be any; `(NULL, 0)` is the empty slice.
#[inline]
pub(crate) fn check_bytes(data: *const u8, len: usize) -> Result<(), Status> {
    if len == 0 {
        Ok(())
    } else if data.is_null() {
        Err(Status::NULL_ARGUMENT)
    } else if len > MAX_LEN || data.addr().checked_add(len).is_none() {
        Err(Status::INVALID_ARGUMENT)
    } else {
        Ok(())
    }
}

/// The bytes at `data`; `(NULL, 0)` is the empty slice.
///
/// # Safety
///
/// Unless `data` is null, `data..data + len` is valid for reads during `'a` and not written meanwhile.
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    check_bytes(data, len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: not null, any address is aligned for bytes, `len` is no longer than an object can be and does not wrap;
    // the caller promises that the bytes are readable and constant.
    Ok(unsafe { core::slice::from_raw_parts(data, len) })
}

/// The room for bytes at `data`; `(NULL, 0)` is none. To be written only: nobody says that it has been.
///
/// # Safety
///
/// Unless `data` is null, `data..data + len` is valid for writes during `'a`, and nothing else reads or writes it meanwhile.
pub(crate) unsafe fn room<'a>(data: *mut u8, len: usize) -> Result<&'a mut [u8], Status> {
    if len == 0 {
        return Ok(&mut []);
    }
    if data.is_null() {
        return Err(Status::NULL_ARGUMENT);
    }
    if len > MAX_LEN || data.addr().checked_add(len).is_none() {
        return Err(Status::INVALID_ARGUMENT);
    }
    // SAFETY: not null, any address is aligned for bytes, `len` is no longer than an object can be and does not wrap;
    // the caller promises that the bytes are writable and nobody else's.
    Ok(unsafe { core::slice::from_raw_parts_mut(data, len) })
}

/// The number that a C function returns.
#[inline]
pub(crate) fn code(result: Result<(), Status>) -> i32 {
    match result {
        Ok(()) => Status::OK.0,
        Err(status) => status.0,
    }
}
