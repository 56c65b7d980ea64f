//! A controller of admission and the memory that it lies in.

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;

use mcrpc_core::admission::{Admission, Config};
use mcrpc_core::status::Status;
use memmap2::{MmapOptions, MmapRaw};

use crate::clock;

/// A controller. Its memory lies in a shared mapping, as children of a fork and other processes of the server need it.
pub(crate) struct Controller {
    /// Borrows from the mapping, which does not move and is dropped behind it.
    admission: Admission<'static>,
    _memory: MmapRaw,
}

impl Controller {
    /// A new controller.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for settings out of range, as [`io::ErrorKind::InvalidInput`]; what the operating system says.
    pub(crate) fn new(config: &Config) -> io::Result<Controller> {
        let len = Admission::memory_size(config).map_err(invalid)?;
        let memory = MmapRaw::from(MmapOptions::new().len(len).map_anon()?);
        let base = NonNull::new(memory.as_mut_ptr()).expect("a mapping is somewhere");
        // SAFETY: the mapping is page-aligned, readable and writable for `len` bytes until `_memory` is dropped, which is after
        // `admission`; only the controller uses it, and only through this struct, of which no copy of `admission` gets out.
        let admission = unsafe { Admission::init(base, len, config, clock::now()) }.map_err(invalid)?;
        Ok(Controller { admission, _memory: memory })
    }
}

impl Deref for Controller {
    type Target = Admission<'static>;

    fn deref(&self) -> &Admission<'static> {
        &self.admission
    }
}

fn invalid(status: Status) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("admission: {status}"))
}
