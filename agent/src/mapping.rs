//! A file in memory, as the words that the core works on.

use std::fs::File;
use std::io;
use std::ptr::NonNull;

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::region::{Shared, View};
use memmap2::{MmapOptions, MmapRaw};

/// A segment that this process reads.
#[derive(Debug)]
pub struct Mapping(MmapRaw);

/// A segment that this process reads and writes.
#[derive(Debug)]
pub struct WritableMapping(MmapRaw);

/// A segment that this process reads, and may write for itself alone: nobody else ever sees that.
#[derive(Debug)]
pub struct PrivateMapping(MmapRaw);

impl PrivateMapping {
    /// Maps the whole of a file, which must never become shorter. Pages are copied when they are first written.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn new(file: &File) -> io::Result<PrivateMapping> {
        // SAFETY: no reference to the bytes is made: they are only ever reached by the core's atomic operations.
        let mapping = unsafe { MmapOptions::new().map_copy(file) }?;
        Ok(PrivateMapping(mapping.into()))
    }

    /// Its bytes.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Its words.
    pub fn shared(&self) -> Shared<'_> {
        let base = NonNull::new(self.0.as_mut_ptr()).expect("a mapping is somewhere");
        // SAFETY: as in `Mapping::view`, and the mapping is writable.
        unsafe { Shared::from_raw(base, self.0.len()) }
    }
}

impl Mapping {
    /// Maps the whole of a file, which must never become shorter: see [`crate::directory`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn new(file: &File, segment: Segment) -> io::Result<Mapping> {
        options(segment).map_raw_read_only(file).map(Mapping)
    }

    /// Its bytes.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Its words.
    pub fn view(&self) -> View<'_> {
        let base = NonNull::new(self.0.as_mut_ptr()).expect("a mapping is somewhere");
        // SAFETY: a mapping is page-aligned and readable for its whole length as long as `self` lives. Whoever writes
        // to a segment does so through the core, by atomic operations on whole words.
        unsafe { View::from_raw(base, self.0.len()) }
    }
}

impl WritableMapping {
    /// Maps the whole of a file, which must never become shorter.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn new(file: &File, segment: Segment) -> io::Result<WritableMapping> {
        options(segment).map_raw(file).map(WritableMapping)
    }

    /// Its bytes.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Its words.
    pub fn shared(&self) -> Shared<'_> {
        let base = NonNull::new(self.0.as_mut_ptr()).expect("a mapping is somewhere");
        // SAFETY: as in `Mapping::view`, and the mapping is writable.
        unsafe { Shared::from_raw(base, self.0.len()) }
    }
}

fn options(segment: Segment) -> MmapOptions {
    let mut options = MmapOptions::new();
    if segment.is_read_by_calls() {
        options.populate();
    }
    options
}
