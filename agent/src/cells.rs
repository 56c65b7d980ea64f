//! The health of all endpoints, in the segment that all processes of the host write ([`mcrpc_core::host::fail`]).
//!
//! It may be replaced or damaged at any time; the header is looked at again each time.

use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;

use crate::directory::{Directory, Error, refused};
use crate::mapping::WritableMapping;

/// The segment as far as it is attached.
#[derive(Debug, Default)]
pub(crate) struct Cells(Option<WritableMapping>);

impl Cells {
    /// The cells; `None` if they are not attached, or not to be believed any more.
    pub(crate) fn get(&self) -> Option<FailBuckets<'_>> {
        let mapping = self.0.as_ref()?;
        FailBuckets::attach(mapping.shared(), mapping.len()).ok()
    }

    /// Attaches the segment unless it is, and in use. Whether it is another one than before.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub(crate) fn renew(&mut self, directory: &Directory) -> Result<bool, Error> {
        if self.get().is_some() {
            return Ok(false);
        }
        self.0 = None;
        let mapping = directory.map_writable(Segment::Fail)?;
        let path = directory.path_of(Segment::Fail.file_name());
        FailBuckets::attach(mapping.shared(), mapping.len()).map_err(|mismatch| refused(&path, mismatch))?;
        self.0 = Some(mapping);
        Ok(true)
    }
}
