//! The file that lines go to: one for each hour, by the clock of the machine, in UTC.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use mcrpc_core::host::log::Written;

use crate::Error;
use crate::archive;
use crate::collect::MAX_BATCH;

const HOUR_NS: i128 = 3_600_000_000_000;

/// The directory of the files, and the one that is open.
pub(crate) struct Store {
    directory: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: File,
    path: PathBuf,
    written: Written,
}

impl Store {
    pub(crate) fn new(directory: PathBuf) -> Store {
        Store { directory, open: None }
    }

    /// Goes on where the journal says that another one stopped: what that has written behind it is cut off. A file that is not
    /// the one that the journal knows is left alone, and so is one that has more than was ever written at once: other processes can
    /// write to the journal.
    pub(crate) fn adopt(&mut self, written: &Written) -> Result<(), Error> {
        let path = archive::path_of(&self.directory, written.hour);
        let Ok(facts) = fs::metadata(&path) else { return Ok(()) };
        let more = facts.len().saturating_sub(written.len);
        if [facts.dev(), facts.ino()] == written.file && (1..=MAX_BATCH).contains(&more) {
            let cut = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(written.len));
            cut.map_err(|source| Error::Io { path, doing: "cutting off what is not in the journal", source })?;
        }
        Ok(())
    }

    /// The file for this time, which is opened if another one was open. A clock that goes back a little does not open an older one.
    /// `true`: it is another one than before, and the journal has to know that before anything is written to it.
    pub(crate) fn turn(&mut self, unix_ns: i128) -> Result<bool, Error> {
        let hour = u64::try_from(unix_ns / HOUR_NS).unwrap_or(0);
        if self.open.as_ref().is_some_and(|open| (hour..=hour + 1).contains(&open.written.hour)) {
            return Ok(false);
        }
        let path = archive::path_of(&self.directory, hour);
        let failed = |doing| {
            let path = path.clone();
            move |source: io::Error| Error::Io { path, doing, source }
        };
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(&path).map_err(failed("opening"))?;
        let facts = file.metadata().map_err(failed("looking at the file"))?;
        let written = Written { file: [facts.dev(), facts.ino()], len: facts.len(), hour };
        self.open = Some(Open { file, path, written });
        Ok(true)
    }

    /// The file that is open, as far as it is written.
    pub(crate) fn written(&self) -> Written {
        self.open.as_ref().map_or(Written::default(), |open| open.written)
    }

    /// Appends all of it, or nothing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Err(source) = open.file.write_all(bytes) {
            let _ = open.file.set_len(open.written.len);
            return Err(Error::Io { path: open.path.clone(), doing: "writing", source });
        }
        open.written.len += bytes.len() as u64;
        Ok(())
    }
}
