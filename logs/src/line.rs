//! What a line looks like in a file:
//!
//! ```text
//! 2026-11-23T10:15:02.123456Z INFO crawl[4711/4713] co=7 uin=42 graph=5 trace=4bf92f3577b34da6a3ce929d0e0e4736: the text
//! ```
//!
//! Time (UTC), level, program, process and thread; then coroutine, user, call graph and trace, as far as they are known; then the text.
//! A line is one line whatever was in its text: control characters are written as `\n`, `\t`, `\x1b`, a backslash as `\\`, and bytes
//! that are no UTF-8 as `\xff`.

use std::io::Write as _;

use mcrpc_core::host::log::{Level, Origin};
use mcrpc_core::id::Uin;
use mcrpc_core::time::Nanos;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const TIME: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
/// What stands behind a text that was cut off.
const CUT: &str = " …";
/// What a program without a name is called.
const NAMELESS: &str = "?";

/// Appends a line to a file's bytes. `unix_ns` is its time since 1970.
pub fn write(out: &mut Vec<u8>, unix_ns: i128, level: Level, name: &str, origin: &Origin, text: &[u8], is_cut: bool) {
    let time = OffsetDateTime::from_unix_timestamp_nanos(unix_ns).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // A Vec takes everything; and the year has four digits until 9999, or the time is left out.
    let _ = time.format_into(out, TIME);
    let name = if name.is_empty() { NAMELESS } else { name };
    let _ = write!(out, " {} {name}[{}", level.name(), origin.pid);
    if origin.thread != 0 {
        let _ = write!(out, "/{}", origin.thread);
    }
    out.push(b']');
    for (key, value) in [("co", origin.coroutine), ("uin", origin.uin.0), ("graph", origin.call_graph_id)] {
        if value != 0 {
            let _ = write!(out, " {key}={value}");
        }
    }
    if origin.trace_id != [0; 16] {
        out.extend_from_slice(b" trace=");
        origin.trace_id.iter().for_each(|byte| drop(write!(out, "{byte:02x}")));
    }
    out.extend_from_slice(b": ");
    escape(out, text);
    if is_cut {
        out.extend_from_slice(CUT.as_bytes());
    }
    out.push(b'\n');
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\r' => out.extend_from_slice(b"\\r"),
                c if c.is_ascii_control() => drop(write!(out, "\\x{:02x}", c as u32)),
                // C1, and the line ends of Unicode.
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    drop(write!(out, "\\u{{{:x}}}", c as u32))
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|byte| drop(write!(out, "\\x{byte:02x}")));
    }
}

/// A program's name as it stands in lines: without what would look like another part of one.
pub fn name(bytes: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    let name = bytes.iter().take_while(|byte| **byte != 0);
    name.map(|&byte| if is_plain(byte) { char::from(byte) } else { '_' }).collect()
}

/// A line of a file, taken apart. The text is as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'l> {
    /// Since 1970.
    pub unix_ns: i128,
    /// How much it matters.
    pub level: Level,
    /// The program.
    pub name: &'l str,
    /// Process, thread, coroutine, user, call graph and trace. Its time is 0.
    pub origin: Origin,
    /// The text.
    pub text: &'l str,
}

impl<'l> Line<'l> {
    /// `None`: it is no line that [`write()`] wrote.
    pub fn parse(line: &'l str) -> Option<Line<'l>> {
        let (head, text) = line.trim_end_matches('\n').split_once(": ")?;
        let mut words = head.split(' ');
        let time = PrimitiveDateTime::parse(words.next()?, TIME).ok()?;
        let level = words.next()?;
        let level = (1..=5).filter_map(Level::from_number).find(|it| it.name() == level)?;
        let (name, process) = words.next()?.strip_suffix(']')?.split_once('[')?;
        let (pid, thread) = process.split_once('/').unwrap_or((process, "0"));
        let mut origin =
            Origin { time: Nanos(0), pid: pid.parse().ok()?, thread: thread.parse().ok()?, ..Origin::default() };
        for word in words {
            let (key, value) = word.split_once('=')?;
            match key {
                "co" => origin.coroutine = value.parse().ok()?,
                "uin" => origin.uin = Uin(value.parse().ok()?),
                "graph" => origin.call_graph_id = value.parse().ok()?,
                "trace" => origin.trace_id = trace_id(value)?,
                // A later version may say more.
                _ => {}
            }
        }
        Some(Line { unix_ns: time.assume_utc().unix_timestamp_nanos(), level, name, origin, text })
    }
}

/// A trace id of 32 hexadecimal digits.
pub fn trace_id(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}
