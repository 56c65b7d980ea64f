//! A file as words, copied: it may be damaged, cut short, no segment, or no file at all.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result, bail};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header;
use mcrpc_core::host::region::{Shared, View};
use nix::libc;

/// No segment is longer: the largest table has 2^24 entries.
const MAX_LEN: u64 = 4 << 30;

/// A copy of a file.
pub(crate) struct Copy {
    words: Vec<AtomicU64>,
    /// Bytes of the file: a rest of less than a word is not in the copy.
    pub len: u64,
}

impl Copy {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Copy> {
        // A pipe or device must not make this wait.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = opened.context("the file cannot be opened")?;
        let facts = file.metadata().context("the file cannot be looked at")?;
        if !facts.is_file() {
            bail!("this is no regular file: name a segment or a directory of segments");
        }
        if facts.len() > MAX_LEN {
            bail!("the file has {} bytes; no segment has more than {MAX_LEN}", facts.len());
        }
        let mut bytes = Vec::with_capacity(facts.len() as usize);
        file.take(MAX_LEN).read_to_end(&mut bytes).context("the file cannot be read")?;
        let words = bytes.as_chunks::<8>().0.iter().map(|word| AtomicU64::new(u64::from_ne_bytes(*word))).collect();
        Ok(Copy { words, len: bytes.len() as u64 })
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.words)
    }

    /// Gives the copy the header that it would have if it were whole and in use, so that its contents can be read all
    /// the same. Without a usable geometry they still cannot.
    pub(crate) fn mend_header(&self, segment: Segment) {
        let words = Shared::new(&self.words);
        let raw = header::raw(words.view());
        header::write(words, &segment.format(), &header::Header { total_len: self.len, ..raw.header });
        header::set_state(words, header::State::Ready);
    }
}

/// Which kind a copy claims to be.
pub(crate) fn kind_by_magic(view: View<'_>) -> Option<Segment> {
    Segment::ALL.into_iter().find(|segment| segment.format().magic == header::magic(view))
}

/// Which kind a file of this name should be.
pub(crate) fn kind_by_name(path: &Path) -> Option<Segment> {
    let name = path.file_name()?.as_bytes();
    Segment::ALL.into_iter().find(|segment| segment.file_name().to_bytes() == name)
}

/// The path of a segment in a directory.
pub(crate) fn in_dir(dir: &Path, segment: Segment) -> PathBuf {
    dir.join(std::ffi::OsStr::from_bytes(segment.file_name().to_bytes()))
}
