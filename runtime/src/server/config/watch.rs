//! A settings' file that is looked at once a second.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Config, text};

/// A file, and what was found in it last.
pub(crate) struct Watch {
    path: PathBuf,
    /// What the program says where the file says nothing.
    base: Config,
    /// What the file said when that was last taken over, or refused.
    text: String,
    seen: Option<Stamp>,
}

/// By which a change is seen without reading the file: time, length and inode.
type Stamp = (i64, i64, u64, u64);

impl Watch {
    /// Reads the file, and watches it from now on. `text`: what it said when the server started, if that was before this process.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, and where.
    pub(in super::super) fn start(path: &Path, base: Config, text: Option<String>) -> Result<(Watch, Config), String> {
        let text = match text {
            Some(text) => text,
            None => fs::read_to_string(path).map_err(|error| cannot_read(path, &error))?,
        };
        let config = text::read(path, &text, &base)?;
        Ok((Watch { path: path.to_owned(), base, text, seen: None }, config))
    }

    /// What the file said last.
    pub(in super::super) fn text(&self) -> &str {
        &self.text
    }

    /// The settings, if the file has changed since this was last asked.
    ///
    /// # Errors
    ///
    /// Once for each change: what is wrong with the file, and where.
    pub(in super::super) fn look(&mut self) -> Result<Option<Config>, String> {
        let stamp = fs::metadata(&self.path).as_ref().ok().map(stamp_of);
        if stamp.is_some() && stamp == self.seen {
            return Ok(None);
        }
        let is_first_miss = stamp.is_none() && !self.text.is_empty();
        self.seen = stamp;
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if is_first_miss => {
                self.text.clear();
                return Err(cannot_read(&self.path, &error));
            }
            Err(_) => return Ok(None),
        };
        if text == self.text {
            return Ok(None);
        }
        self.text = text;
        text::read(&self.path, &self.text, &self.base).map(Some)
    }
}

fn stamp_of(file: &Metadata) -> Stamp {
    (file.mtime(), file.mtime_nsec(), file.len(), file.ino())
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("{}: the settings cannot be read: {error}", path.display())
}
