//! A file that is read again whenever it has changed. One that is bad is not used at all: what was read last stays in
//! force. Whoever owns it looks about once a second; a look is one `stat`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A line of it is wrong.
    #[error("{path}:{line}: {what}", path = path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1 on.
        line: usize,
        /// What is wrong, and what would be right.
        what: String,
    },
}

/// The first thing that is wrong with a text.
#[derive(Debug)]
pub(crate) struct Flaw {
    /// In which line, from 1 on.
    pub(crate) line: usize,
    /// What is wrong, and what would be right.
    pub(crate) what: String,
}

/// A file, and what it said when it was last good.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> Result<T, Flaw>,
    /// Of the content that was read last, good or bad; `None` if there was no file.
    stamp: Option<Stamp>,
    content: T,
}

/// What changes with a file's content: modification time, length and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    len: u64,
    inode: u64,
}

impl<T> Watched<T> {
    pub(crate) fn open(path: &Path, parse: fn(&str) -> Result<T, Flaw>) -> Result<Watched<T>, FileError> {
        // Looked at before it is read: what is written meanwhile is read the next time.
        let stamp = Some(look(path)?);
        Ok(Watched { path: path.to_owned(), parse, stamp, content: read(path, parse)? })
    }

    pub(crate) fn content(&self) -> &T {
        &self.content
    }

    /// Reads the file again if it has changed. Whether it has. An error is told once for each change.
    pub(crate) fn poll(&mut self) -> Result<bool, FileError> {
        let stamp = match look(&self.path) {
            Ok(stamp) => stamp,
            Err(error) => return if self.stamp.take().is_some() { Err(error) } else { Ok(false) },
        };
        if self.stamp.replace(stamp) == Some(stamp) {
            return Ok(false);
        }
        self.content = read(&self.path, self.parse)?;
        Ok(true)
    }
}

fn look(path: &Path) -> Result<Stamp, FileError> {
    let metadata = fs::metadata(path).map_err(|source| io_error(path, source))?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Ok(Stamp { modified, len: metadata.len(), inode: metadata.ino() })
}

fn read<T>(path: &Path, parse: fn(&str) -> Result<T, Flaw>) -> Result<T, FileError> {
    let text = fs::read_to_string(path).map_err(|source| io_error(path, source))?;
    parse(&text).map_err(|Flaw { line, what }| FileError::Line { path: path.to_owned(), line, what })
}

fn io_error(path: &Path, source: io::Error) -> FileError {
    FileError::Io { path: path.to_owned(), source }
}
