//! Structs that begin with their own size, so that they can grow: read and written the way `openat2(2)` does.
//!
//! A caller compiled against an older header passes a shorter struct: the missing tail reads as zeroes. A caller
//! compiled against a newer one passes a longer struct: accepted while the unknown tail is zero.

use mcrpc_core::status::Status;

use crate::pointer;

/// A struct whose first field is `uint32_t struct_size`.
///
/// # Safety
///
/// The type is `repr(C)`, begins with a `u32`, has no padding, and every bit pattern is a valid value.
pub unsafe trait Sized32: Copy + Default {
    /// The size of the struct in the first version that had it.
    const FIRST_VERSION_SIZE: usize;
}

/// The most unknown bytes that are looked at.
const MAX_TAIL: usize = 4096;

/// Reads a struct of whatever version.
///
/// # Safety
///
/// Unless null, `source` points to a readable `u32` and to as many readable bytes as that `u32` says.
#[inline]
pub(crate) unsafe fn read<T: Sized32>(source: *const T) -> Result<T, Status> {
    pointer::check(source)?;
    // SAFETY: not null and aligned; the caller promises that the size field is readable.
    let given = unsafe { source.cast::<u32>().read() } as usize;
    if given < T::FIRST_VERSION_SIZE || given > size_of::<T>() + MAX_TAIL {
        return Err(Status::BAD_STRUCT_SIZE);
    }
    let known = given.min(size_of::<T>());
    let value = if known == size_of::<T>() {
        // SAFETY: as many bytes are readable by the caller's promise; any bytes make a valid `T` (trait).
        unsafe { source.read() }
    } else {
        let mut value = T::default();
        // SAFETY: `given` bytes are readable by the caller's promise and `known` is no more; `value` has room for
        // `size_of::<T>()`; any bytes make a valid `T` (trait).
        unsafe { core::ptr::copy_nonoverlapping(source.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
        value
    };
    // SAFETY: the tail lies within the `given` bytes that the caller promises to be readable.
    let tail = unsafe { core::slice::from_raw_parts(source.cast::<u8>().add(known), given - known) };
    if tail.iter().any(|&byte| byte != 0) {
        return Err(Status::BAD_STRUCT_SIZE);
    }
    Ok(value)
}

/// Writes as much of `value` as the caller's struct has room for, and zeroes behind it, for fields that this version does
/// not know. `struct_size` stays what it was.
///
/// # Safety
///
/// Unless null, `target` points to a readable `u32` and to as many writable bytes as that `u32` says.
#[inline]
pub(crate) unsafe fn write<T: Sized32>(target: *mut T, value: &T) -> Result<(), Status> {
    pointer::check(target.cast_const())?;
    // SAFETY: not null and aligned; the caller promises that the size field is readable.
    let given = unsafe { target.cast::<u32>().read() } as usize;
    if given < T::FIRST_VERSION_SIZE || given > size_of::<T>() + MAX_TAIL {
        return Err(Status::BAD_STRUCT_SIZE);
    }
    let known = given.min(size_of::<T>());
    // SAFETY: both sides are at least `known` long: `value` because `known` is cut to its size, `target` because `given`
    // bytes are writable by the caller's promise; what is zeroed ends at `given`. A `T` begins with its size (trait), of
    // which a u32 was read.
    unsafe {
        if known == size_of::<T>() {
            target.write(*value);
        } else {
            core::ptr::copy_nonoverlapping(core::ptr::from_ref(value).cast::<u8>(), target.cast::<u8>(), known);
        }
        target.cast::<u32>().write(given as u32);
        core::ptr::write_bytes(target.cast::<u8>().add(known), 0, given - known);
    }
    Ok(())
}
