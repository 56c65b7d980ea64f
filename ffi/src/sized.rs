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
pub(crate) unsafe fn read<T: Sized32>(source: *const T) -> Result<T, Status> {
    pointer::check(source)?;
    // SAFETY: not null and aligned; the caller promises that the size field is readable.
    let given = unsafe { source.cast::<u32>().read() } as usize;
    if given < T::FIRST_VERSION_SIZE || given > size_of::<T>() + MAX_TAIL {
        return Err(Status::BAD_STRUCT_SIZE);
    }
    let mut value = T::default();
    let known = given.min(size_of::<T>());
    // SAFETY: `given` bytes are readable by the caller's promise and `known` is no more; `value` has room for
    // `size_of::<T>()`; any bytes make a valid `T` (trait).
    unsafe { core::ptr::copy_nonoverlapping(source.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
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
pub(crate) unsafe fn write<T: Sized32>(target: *mut T, value: &T) -> Result<(), Status> {
    pointer::check(target.cast_const())?;
    const { assert!(T::FIRST_VERSION_SIZE >= size_of::<u32>() && T::FIRST_VERSION_SIZE <= size_of::<T>()) };
    // SAFETY: not null and aligned; writable for its size by the caller's promise, so that it does not lie in `value`, which is
    // as long as a `T`. The first version had the size field, as asserted.
    unsafe { copy_out(core::ptr::from_ref(value).cast(), target.cast(), T::FIRST_VERSION_SIZE, size_of::<T>()) }
}

/// Copies a struct of `known_size` bytes, but for its size, over the one that the caller gives: the same code for all structs.
///
/// # Safety
///
/// `target` points to an aligned, readable `u32`, and to as many writable bytes as that says; `value` is readable for
/// `known_size` bytes, which lie elsewhere. `size_of::<u32>() <= first_size <= known_size`.
#[inline(never)]
unsafe fn copy_out(value: *const u8, target: *mut u8, first_size: usize, known_size: usize) -> Result<(), Status> {
    // SAFETY: the caller promises that the size field is readable, and that it is aligned.
    let given = unsafe { target.cast::<u32>().read() } as usize;
    if given < first_size || given > known_size + MAX_TAIL {
        return Err(Status::BAD_STRUCT_SIZE);
    }
    let (from, known) = (size_of::<u32>(), given.min(known_size));
    // SAFETY: `known` bytes are no more than either side has, and no fewer than `from`, since neither `given` nor `known_size` is
    // less than `first_size`; what is zeroed ends at `given`. The sides do not overlap, by the caller's promise.
    unsafe {
        core::ptr::copy_nonoverlapping(value.add(from), target.add(from), known - from);
        core::ptr::write_bytes(target.add(known), 0, given - known);
    }
    Ok(())
}

/// The size that the caller gives for a struct which is used where it lies: a copy would be too large for a coroutine's stack.
/// Such a struct has not grown since its first version.
///
/// # Safety
///
/// Unless null, `pointer` points to a readable `u32`.
#[inline]
pub(crate) unsafe fn whole<T: Sized32>(pointer: *const T) -> Result<usize, Status> {
    const { assert!(T::FIRST_VERSION_SIZE == size_of::<T>(), "a shorter one has to be read and written") };
    pointer::check(pointer)?;
    // SAFETY: not null and aligned; the caller promises that the size field is readable.
    let given = unsafe { pointer.cast::<u32>().read() } as usize;
    if given < size_of::<T>() || given > size_of::<T>() + MAX_TAIL { Err(Status::BAD_STRUCT_SIZE) } else { Ok(given) }
}

/// A struct of this version or a newer one, where it lies.
///
/// # Safety
///
/// Unless null, `source` points to a readable `u32` and to as many readable bytes as that `u32` says, which nobody writes to
/// during `'a`.
#[inline]
pub(crate) unsafe fn view<'a, T: Sized32>(source: *const T) -> Result<&'a T, Status> {
    // SAFETY: the caller promises that the size field is readable.
    let given = unsafe { whole(source) }?;
    // SAFETY: the tail lies within the `given` bytes that the caller promises to be readable.
    let tail = unsafe { core::slice::from_raw_parts(source.add(1).cast::<u8>(), given - size_of::<T>()) };
    if tail.iter().any(|&byte| byte != 0) {
        return Err(Status::BAD_STRUCT_SIZE);
    }
    // SAFETY: not null, aligned, and as long as a `T` by the caller's promise; any bytes make a valid `T` (trait).
    Ok(unsafe { &*source })
}

/// The same, to be changed where it lies.
///
/// # Safety
///
/// As for [`view`], and the bytes are writable, and nobody else reads or writes them during `'a`.
#[inline]
pub(crate) unsafe fn view_mut<'a, T: Sized32>(target: *mut T) -> Result<&'a mut T, Status> {
    // SAFETY: the caller promises the same.
    unsafe { view(target.cast_const()) }?;
    // SAFETY: the view has shown that it is not null, aligned, and a `T`; writable and nobody else's by the caller's promise.
    Ok(unsafe { &mut *target })
}

/// A struct of this version or a newer one, zeroed but for its size, to be filled in where it lies.
///
/// # Safety
///
/// Unless null, `target` points to a readable `u32` and to as many writable bytes as that `u32` says, which nobody else reads
/// or writes during `'a`.
#[inline]
pub(crate) unsafe fn fill<'a, T: Sized32>(target: *mut T) -> Result<&'a mut T, Status> {
    // SAFETY: the caller promises that the size field is readable.
    let given = unsafe { whole(target.cast_const()) }?;
    // SAFETY: `given` bytes are writable by the caller's promise, and no fewer than a `T` has. All zero but for its size it is
    // a valid `T` (trait).
    unsafe {
        core::ptr::write_bytes(target.cast::<u8>().add(size_of::<u32>()), 0, given - size_of::<u32>());
        Ok(&mut *target)
    }
}

#[cfg(test)]
mod tests {
    //! With a struct that has grown by one field twice: none of the library's has, so far.

    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    struct Grown {
        struct_size: u32,
        first: u32,
        second: u32,
        third: u32,
    }

    // SAFETY: repr(C), four u32, the first is the size; any bits are valid.
    unsafe impl Sized32 for Grown {
        const FIRST_VERSION_SIZE: usize = 8;
    }

    /// The struct of a program that knows `fields` of them, all with one value.
    fn of_program(fields: usize, value: u32) -> Vec<u32> {
        let mut words = std::vec![value; 1 + fields];
        words[0] = size_of_val(&words[..]) as u32;
        words
    }

    #[test]
    fn given_a_program_of_any_version_when_its_struct_is_read_then_what_it_does_not_know_is_zero() {
        for (fields, wanted) in [
            (0, Err(Status::BAD_STRUCT_SIZE)),
            (1, Ok([7, 0, 0])),
            (2, Ok([7, 7, 0])),
            (3, Ok([7, 7, 7])),
            (4, Err(Status::BAD_STRUCT_SIZE)),
        ] {
            let words = of_program(fields, 7);
            // SAFETY: as many bytes are readable as the first word says.
            let got = unsafe { read(words.as_ptr().cast::<Grown>()) };
            assert_eq!(got.map(|it| [it.first, it.second, it.third]), wanted, "{fields} fields");
        }
        let mut newer = of_program(4, 7);
        newer[4] = 0;
        // SAFETY: as many bytes are readable as the first word says.
        assert!(unsafe { read(newer.as_ptr().cast::<Grown>()) }.is_ok(), "a field that it does not use");
    }

    #[test]
    fn given_a_program_of_any_version_when_its_struct_is_written_then_it_gets_as_much_as_it_has_room_for() {
        let value = Grown { struct_size: 0, first: 1, second: 2, third: 3 };
        for (fields, wanted) in [(1, &[1][..]), (2, &[1, 2]), (3, &[1, 2, 3]), (5, &[1, 2, 3, 0, 0])] {
            let mut words = of_program(fields, 9);
            let len = words[0];
            // SAFETY: as many bytes are writable as the first word says.
            assert_eq!(unsafe { write(words.as_mut_ptr().cast::<Grown>(), &value) }, Ok(()));
            assert_eq!((words[0], &words[1..]), (len, wanted), "{fields} fields");
        }
        let mut none = of_program(0, 9);
        // SAFETY: its size is readable.
        assert_eq!(unsafe { write(none.as_mut_ptr().cast::<Grown>(), &value) }, Err(Status::BAD_STRUCT_SIZE));
    }
}
