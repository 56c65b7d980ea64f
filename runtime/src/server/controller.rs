//! A controller of admission and the memory that it lies in.

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;

use mcrpc_core::admission::{Admission, Config};
use memmap2::MmapRaw;

use super::segment::invalid;
use crate::clock;

/// A controller, in a mapping that the processes of a server share.
pub(crate) struct Controller {
    /// Borrows from the mapping, which does not move and is dropped behind it.
    admission: Admission<'static>,
    _memory: MmapRaw,
}

impl Controller {
    /// Lays a new controller out.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for settings out of range, or too little memory.
    pub(crate) fn lay_out(memory: MmapRaw, config: &Config) -> io::Result<Controller> {
        // SAFETY: the mapping is page-aligned, readable and writable for its whole length until `memory` is dropped, which is after
        // `admission`, of which no copy gets out of this struct. Only controllers access these pages, here and in other processes:
        // the segment gives each part to one of them.
        let admission = unsafe { Admission::init(base(&memory), memory.len(), config, clock::now()) };
        Ok(Controller { admission: admission.map_err(invalid)?, _memory: memory })
    }

    /// Joins the controller that was laid out there, by this process or by another.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if there is none, or one of another version.
    pub(crate) fn attach(memory: MmapRaw) -> io::Result<Controller> {
        // SAFETY: as above.
        let admission = unsafe { Admission::attach(base(&memory), memory.len()) };
        Ok(Controller { admission: admission.map_err(invalid)?, _memory: memory })
    }
}

impl Deref for Controller {
    type Target = Admission<'static>;

    fn deref(&self) -> &Admission<'static> {
        &self.admission
    }
}

fn base(memory: &MmapRaw) -> NonNull<u8> {
    NonNull::new(memory.as_mut_ptr()).expect("a mapping is somewhere")
}
