//! Files of hours that are over: compressed, and removed when they are old enough.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::Error;

const HOUR: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]");
/// With a minute, without which a text is no time for the parser.
const MINUTE: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]");
const PREFIX: &str = "mcrpc-";
const PLAIN: &str = ".log";
const COMPRESSED: &str = ".log.gz";
/// A plain file whose compressed one is whole, if not yet under its name.
const DONE: &str = ".log.done";
const SECONDS_PER_HOUR: i64 = 3_600;

/// The file of an hour since 1970.
pub fn path_of(directory: &Path, hour: u64) -> PathBuf {
    let seconds = i64::try_from(hour).unwrap_or(0).saturating_mul(SECONDS_PER_HOUR);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let name = time.format(HOUR).unwrap_or_default();
    directory.join(format!("{PREFIX}{name}{PLAIN}"))
}

/// A file of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The hour that it is of, since 1970.
    pub hour: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is compressed.
    pub is_compressed: bool,
}

/// The files of logs in a directory, oldest first; of one hour the compressed one first.
///
/// # Errors
///
/// What the operating system says.
pub fn list(directory: &Path) -> io::Result<Vec<Archived>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some((hour, is_compressed)) = hour_of(name) else { continue };
        found.push(Archived { hour, path, is_compressed });
    }
    found.sort_by_key(|file| (file.hour, !file.is_compressed));
    Ok(found)
}

fn hour_of(name: &str) -> Option<(u64, bool)> {
    let rest = name.strip_prefix(PREFIX)?;
    let (hour, is_compressed) = match rest.strip_suffix(COMPRESSED) {
        Some(hour) => (hour, true),
        None => (rest.strip_suffix(PLAIN)?, false),
    };
    let time = PrimitiveDateTime::parse(&format!("{hour}:00"), MINUTE).ok()?;
    let hour = time.assume_utc().unix_timestamp() / SECONDS_PER_HOUR;
    Some((u64::try_from(hour).ok()?, is_compressed))
}

/// Compresses all files but that of `current`, and removes those that are older than `keep_days`.
///
/// A clock that is wrong for once removes nothing: a file is as old as the newest of the others makes it, and a day more. One of an hour
/// to come is of the hour in which it was written last.
///
/// # Errors
///
/// The first that occurs; what could be done is done.
pub fn tidy(directory: &Path, current: u64, keep_days: u32) -> Result<(), Error> {
    let failed = |path: &Path, doing: &'static str| {
        let path = path.to_owned();
        move |source| Error::Io { path, doing, source }
    };
    finish_all(directory).map_err(failed(directory, "going on with what was half done"))?;
    let mut files = list(directory).map_err(failed(directory, "listing"))?;
    for file in files.iter_mut().filter(|file| file.hour > current + 1) {
        let written = fs::metadata(&file.path).and_then(|facts| facts.modified());
        let written = written.map_err(failed(&file.path, "looking at"))?.duration_since(UNIX_EPOCH).unwrap_or_default();
        file.hour = (written.as_secs() / SECONDS_PER_HOUR.unsigned_abs()).min(file.hour);
    }
    files.retain(|file| file.hour < current);
    let newest = files.iter().map(|file| file.hour).max().unwrap_or(current);
    let oldest = current.min(newest + 24).saturating_sub(u64::from(keep_days) * 24);
    let mut outcome = Ok(());
    for file in files {
        let done = if file.hour < oldest {
            fs::remove_file(&file.path).map_err(failed(&file.path, "removing"))
        } else if !file.is_compressed {
            compress(&file.path).map_err(failed(&file.path, "compressing"))
        } else {
            Ok(())
        };
        outcome = outcome.and(done);
    }
    outcome
}

fn finish_all(directory: &Path) -> io::Result<()> {
    let mut outcome = Ok(());
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(hour) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(DONE)) else { continue };
        let plain = format!("{hour}{PLAIN}");
        if hour_of(&plain).is_some() {
            outcome = outcome.and(Names::of(&path.with_file_name(plain)).finish());
        }
    }
    outcome
}

/// A kill at any moment leaves the hour's lines in one of the files, once: what is compressed is whole before the plain file loses
/// its name, and [`finish`] goes on from there. If the hour has an archive already, because the clock went back, this is added to it.
fn compress(path: &Path) -> io::Result<()> {
    let names = Names::of(path);
    let mut plain = File::open(path)?;
    let written = (|| {
        // What a kill has left; nobody else may read the new one before it has the rights of the plain file.
        if let Err(error) = fs::remove_file(&names.partial)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&names.partial)?;
        file.set_permissions(plain.metadata()?.permissions())?;
        if let Ok(mut earlier) = File::open(&names.whole) {
            io::copy(&mut earlier, &mut file)?;
        }
        let mut encoder = GzEncoder::new(file, Compression::fast());
        io::copy(&mut plain, &mut encoder)?;
        encoder.finish()?.sync_all()
    })();
    if let Err(error) = written {
        // A full disk stays full otherwise.
        let _ = fs::remove_file(&names.partial);
        return Err(error);
    }
    fs::rename(path, &names.done)?;
    names.finish()
}

/// The files of one hour.
struct Names {
    whole: PathBuf,
    partial: PathBuf,
    done: PathBuf,
}

impl Names {
    /// Of a plain file.
    fn of(path: &Path) -> Names {
        let with = |extension| path.with_extension(extension);
        Names { whole: with("log.gz"), partial: with("log.gz.part"), done: with("log.done") }
    }

    /// The plain file is done with, so the compressed one is whole.
    fn finish(&self) -> io::Result<()> {
        match fs::rename(&self.partial, &self.whole) {
            // It was renamed before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        fs::remove_file(&self.done)
    }
}
