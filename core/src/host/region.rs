//! The words of a segment: the only way in which the core touches memory that other processes write.
//!
//! Everything is a 64-bit atomic word, so nothing can be read half, and every pattern of bits is a value. An index comes
//! from arithmetic on the reader's own copy of the geometry, never from the segment; one that is out of range all
//! the same reads as 0 and writes nowhere. Of a mapping that is read-only only relaxed loads are defined behaviour (the
//! documentation of `core::sync::atomic`, "atomic accesses to read-only memory"), so [`View`] has nothing else.

use core::ptr::NonNull;

use crate::sync::{AtomicU64, Ordering, fence};

/// Words in a cache line.
pub const LINE: usize = 8;
/// Alignment of a segment in bytes.
pub const ALIGN: usize = LINE * size_of::<u64>();

/// A segment that this process only reads.
#[derive(Clone, Copy)]
pub struct View<'a>(&'a [AtomicU64]);

impl<'a> View<'a> {
    /// The words of a slice.
    pub const fn new(words: &'a [AtomicU64]) -> View<'a> {
        View(words)
    }

    /// The words of a mapping; a rest of less than a word is left out.
    ///
    /// # Safety
    ///
    /// `base` is aligned to 8 bytes and `len` bytes from it are readable during `'a`. Other processes and threads write
    /// to them only by atomic operations of 8 bytes at addresses divisible by 8.
    pub unsafe fn from_raw(base: NonNull<u8>, len: usize) -> View<'a> {
        // SAFETY: readable, aligned and long enough by the caller's promise. An AtomicU64 may be changed behind a shared
        // reference, and any bits are a valid one. A View only loads, relaxed, so the memory need not be writable.
        View(unsafe { core::slice::from_raw_parts(base.as_ptr().cast(), len / size_of::<u64>()) })
    }

    /// How many words there are.
    #[inline]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The `len` words from `start` on; none if they are not all there.
    #[inline]
    pub fn part(self, start: usize, len: usize) -> View<'a> {
        View(start.checked_add(len).and_then(|end| self.0.get(start..end)).unwrap_or_default())
    }

    /// The word at `index`, relaxed; 0 behind the end.
    #[inline]
    pub fn load(self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    // Both are written out: a library that is optimised for size unrolls nothing.

    /// The eight words from `index` on, each relaxed; zeroes if they are not all there.
    #[inline]
    pub fn load_line(self, index: usize) -> [u64; LINE] {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        match self.0.get(index..).and_then(|rest| rest.first_chunk()) {
            Some([a, b, c, d, e, f, g, h]) => [load(a), load(b), load(c), load(d), load(e), load(f), load(g), load(h)],
            None => [0; LINE],
        }
    }

    /// The four words from `index` on, each relaxed; zeroes if they are not all there.
    #[inline]
    pub fn load_four(self, index: usize) -> [u64; 4] {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        match self.0.get(index..).and_then(|rest| rest.first_chunk()) {
            Some([a, b, c, d]) => [load(a), load(b), load(c), load(d)],
            None => [0; 4],
        }
    }

    /// What is loaded after this call is at least as new as what was published before anything that was loaded
    /// before it.
    #[inline]
    pub fn acquire(self) {
        fence(Ordering::Acquire);
    }
}

/// A segment that this process reads and writes.
#[derive(Clone, Copy)]
pub struct Shared<'a>(&'a [AtomicU64]);

impl<'a> Shared<'a> {
    /// The words of a slice.
    pub const fn new(words: &'a [AtomicU64]) -> Shared<'a> {
        Shared(words)
    }

    /// The words of a mapping; a rest of less than a word is left out.
    ///
    /// # Safety
    ///
    /// As for [`View::from_raw`], and the memory is writable.
    pub unsafe fn from_raw(base: NonNull<u8>, len: usize) -> Shared<'a> {
        // SAFETY: as in `View::from_raw`; writable as well by the caller's promise.
        Shared(unsafe { core::slice::from_raw_parts(base.as_ptr().cast(), len / size_of::<u64>()) })
    }

    /// The same words, to read.
    #[inline]
    pub const fn view(self) -> View<'a> {
        View(self.0)
    }

    /// The `len` words from `start` on; none if they are not all there.
    #[inline]
    pub fn part(self, start: usize, len: usize) -> Shared<'a> {
        Shared(self.view().part(start, len).0)
    }

    /// The word at `index`, relaxed; 0 behind the end.
    #[inline]
    pub fn load(self, index: usize) -> u64 {
        self.view().load(index)
    }

    /// Writes a word, relaxed: in no order with what is written before or after.
    #[inline]
    pub fn set(self, index: usize, value: u64) {
        if let Some(word) = self.0.get(index) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Writes a word (release): whoever sees it sees all that was written before.
    #[inline]
    pub fn publish(self, index: usize, value: u64) {
        if let Some(word) = self.0.get(index) {
            word.store(value, Ordering::Release);
        }
    }

    /// Adds to a word, wrapping, relaxed; returns what it was.
    #[inline]
    pub fn add(self, index: usize, value: u64) -> u64 {
        self.0.get(index).map_or(0, |word| word.fetch_add(value, Ordering::Relaxed))
    }

    /// Sets a word to 0, relaxed; returns what it was.
    #[inline]
    pub fn take(self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |word| word.swap(0, Ordering::Relaxed))
    }

    /// Sets bits of a word, relaxed.
    #[inline]
    pub fn set_bits(self, index: usize, bits: u64) {
        if let Some(word) = self.0.get(index) {
            word.fetch_or(bits, Ordering::Relaxed);
        }
    }

    /// Replaces `old` by `new` (acquire and release) if the word is `old`; what it is otherwise.
    ///
    /// # Errors
    ///
    /// The value that was found instead of `old`.
    #[inline]
    pub fn exchange(self, index: usize, old: u64, new: u64) -> Result<(), u64> {
        match self.0.get(index) {
            Some(word) => word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).map(|_| ()),
            None => Err(0),
        }
    }

    /// What is stored after this call is not seen by anybody who cannot also see what was stored before it.
    #[inline]
    pub fn release(self) {
        fence(Ordering::Release);
    }
}
