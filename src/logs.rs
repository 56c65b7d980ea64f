//! `mcrpc logs`: the lines that the agent has put into files, by program, user, trace, level and time; and those that come.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use mcrpc_core::host::log::Level;
use mcrpc_logs::archive::{self, Archived};
use mcrpc_logs::line::{self, Line};

/// How often it looks for further lines.
const LOOKED_AT_EACH: Duration = Duration::from_millis(200);
const NS_PER_HOUR: i128 = 3_600_000_000_000;

/// The options of `mcrpc logs`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only lines with this text
    text: Option<String>,
    /// Where the agent keeps its logs: what it was told with --logs
    #[arg(long, value_name = "DIR", env = "MCRPC_LOGS", default_value = "/var/log/mcrpc")]
    logs: PathBuf,
    /// Only lines that are not older, as 10m or 2days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only lines of this level, or of a more severe one
    #[arg(long, value_name = "LEVEL", value_parser = level, default_value = "trace")]
    level: Level,
    /// Only lines of this program
    #[arg(long)]
    program: Option<String>,
    /// Only lines of this process
    #[arg(long)]
    pid: Option<u32>,
    /// Only lines about this user
    #[arg(long)]
    uin: Option<u64>,
    /// Only lines of this trace: 32 hexadecimal digits
    #[arg(long, value_name = "ID", value_parser = trace_id)]
    trace: Option<[u8; 16]>,
    /// Go on with the lines that come, until interrupted
    #[arg(long, short)]
    follow: bool,
}

fn level(text: &str) -> Result<Level, &'static str> {
    let mut levels = (1..=5).filter_map(Level::from_number);
    levels.find(|level| level.name().eq_ignore_ascii_case(text)).ok_or("error, warn, info, debug or trace")
}

fn trace_id(text: &str) -> Result<[u8; 16], &'static str> {
    line::trace_id(text).ok_or("32 hexadecimal digits")
}

/// Prints what is asked for. A reader that goes away ends it without an error.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let since_ns = options.since.map(|since| unix_ns() - since.as_nanos() as i128);
    let mut out = Printer { options, since_ns, is_closed: false };
    let mut read = None;
    for file in files(options)? {
        if since_ns.is_some_and(|since_ns| i128::from(file.hour) < since_ns.div_euclid(NS_PER_HOUR)) {
            continue;
        }
        let Some((file, opened)) = open(file)? else { continue };
        if file.is_compressed {
            let lines = BufReader::new(MultiGzDecoder::new(opened));
            out.print(lines).with_context(|| file.path.display().to_string())?;
        } else {
            let mut tail = Tail { file, reader: BufReader::new(opened), at: 0 };
            out.follow(&mut tail)?;
            read = Some(tail);
        }
    }
    while options.follow && !out.is_closed {
        sleep(LOOKED_AT_EACH);
        if let Some(tail) = &mut read {
            out.follow(tail)?;
        }
        // An hour that is over gets no further lines once the next file is there.
        let is_next = |file: &Archived| !file.is_compressed && read.as_ref().is_none_or(|it| file.hour > it.file.hour);
        if let Some(file) = files(options)?.into_iter().find(is_next) {
            // What it got before the next one was there.
            if let Some(tail) = &mut read {
                out.follow(tail)?;
            }
            let reader = BufReader::new(File::open(&file.path).with_context(|| file.path.display().to_string())?);
            read = Some(Tail { file, reader, at: 0 });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A file of the list. It may have been compressed since, or removed for its age: then there is nothing to print.
fn open(file: Archived) -> Result<Option<(Archived, File)>> {
    let compressed = Archived { hour: file.hour, path: file.path.with_extension("log.gz"), is_compressed: true };
    for file in [file, compressed] {
        match File::open(&file.path) {
            Ok(opened) => return Ok(Some((file, opened))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| file.path.display().to_string()),
        }
    }
    Ok(None)
}

fn files(options: &Options) -> Result<Vec<Archived>> {
    archive::list(&options.logs).with_context(|| {
        format!("{}: is this where mcrpc agent --logs writes? Say so with --logs or MCRPC_LOGS", options.logs.display())
    })
}

/// A file that grows.
struct Tail {
    file: Archived,
    reader: BufReader<File>,
    at: u64,
}

/// Prints the lines that are wanted.
struct Printer<'o> {
    options: &'o Options,
    since_ns: Option<i128>,
    is_closed: bool,
}

impl Printer<'_> {
    /// What there is by now. A line without its end is read again when there is more.
    fn follow(&mut self, tail: &mut Tail) -> Result<()> {
        let path = &tail.file.path;
        tail.reader.seek(SeekFrom::Start(tail.at)).with_context(|| path.display().to_string())?;
        tail.at += self.print(tail.reader.by_ref()).with_context(|| path.display().to_string())?;
        Ok(())
    }

    /// Prints whole lines; the bytes of these.
    fn print(&mut self, mut lines: impl BufRead) -> Result<u64> {
        let mut out = std::io::stdout().lock();
        let (mut line, mut read) = (Vec::new(), 0);
        while !self.is_closed {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 || !line.ends_with(b"\n") {
                break;
            }
            read += line.len() as u64;
            if self.is_wanted(&String::from_utf8_lossy(&line)) {
                self.is_closed = out.write_all(&line).is_err();
            }
        }
        Ok(read)
    }

    fn is_wanted(&self, line: &str) -> bool {
        let Options { text, level, program, pid, uin, trace, .. } = self.options;
        let Some(Line { unix_ns, level: found, name, origin, text: said }) = Line::parse(line) else { return false };
        self.since_ns.is_none_or(|since_ns| unix_ns >= since_ns)
            && found <= *level
            && program.as_ref().is_none_or(|program| program == name)
            && pid.is_none_or(|pid| pid == origin.pid)
            && uin.is_none_or(|uin| uin == origin.uin.0)
            && trace.is_none_or(|trace| trace == origin.trace_id)
            && text.as_ref().is_none_or(|text| said.contains(text))
    }
}

fn unix_ns() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128)
}
