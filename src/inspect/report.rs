//! What can be said about one file: header, verdict, and as much of its contents as is still there.

use std::path::Path;

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Mismatch, Raw, State};
use mcrpc_core::host::region::View;
use mcrpc_core::status::Status;
use serde::Serialize;

use super::file::{Copy, in_dir, kind_by_magic};
use crate::host::control::{self, Orders};
use crate::host::endpoints::{self, Endpoints};
use crate::host::health::{Health, state_name};
use crate::host::liveness::SeatLocks;
use crate::host::logs::{self, LogRings};
use crate::host::place::Moment;
use crate::host::stat::{self, Stat};
use crate::host::strategy::{self, Keys, Strategies};
use crate::host::text::{hex, printable, span_ms};
use crate::host::trace::{self, Traces};
use crate::host::{listing::Listing, listings};

/// One file.
#[derive(Serialize)]
pub(crate) struct Report {
    path: String,
    /// `None` if neither its magic nor its name says so.
    kind: Option<&'static str>,
    health: Health,
    header: Option<HeaderFields>,
    contents: Option<Contents>,
    /// Why the contents are not, or not all, to be trusted.
    caveat: Option<String>,
}

/// The header as it stands.
#[derive(Serialize)]
struct HeaderFields {
    magic: String,
    abi: String,
    layout_hash: String,
    layout_hash_ok: bool,
    file_len: u64,
    total_len: u64,
    geometry: String,
    seed: Option<String>,
    instance: String,
    crc: String,
    crc_ok: bool,
    state: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Contents {
    Strategy(Strategies),
    Control(Orders),
    Fail(Endpoints),
    Stat(Stat),
    Trace(Traces),
    Cold(Keys),
    Log(LogRings),
}

impl Report {
    /// Looks at a file, of which its name or the command line says what it should be.
    pub(crate) fn of(path: &Path, expected: Option<Segment>, limit: usize, show_seed: bool, now: &Moment) -> Report {
        let name = path.display().to_string();
        let copy = match Copy::read(path) {
            Ok(copy) => copy,
            Err(error) => {
                let health = Health::Unreadable { text: format!("{error:#}") };
                let kind = expected.map(Segment::name);
                return Report { path: name, kind, health, header: None, contents: None, caveat: None };
            }
        };
        let by_magic = kind_by_magic(copy.view());
        let Some(segment) = expected.or(by_magic) else {
            let (found, expected) = (u64::from_le_bytes(header::magic(copy.view())), 0);
            let health = Mismatch { status: Status::SEGMENT_BAD_MAGIC, found, expected }.into();
            let header = Some(HeaderFields::of(&copy, None, show_seed));
            return Report { path: name, kind: None, health, header, contents: None, caveat: None };
        };
        let health = Health::of(segment, copy.view(), copy.len, now);
        let header = Some(HeaderFields::of(&copy, Some(segment), show_seed));
        let dir = path.parent().unwrap_or(Path::new("."));
        let read_as_is = read(segment, &copy, dir, limit, now);
        let health = match (&read_as_is, health) {
            // Whether the geometry fits the length is known only where the contents are read.
            (Err(mismatch), Health::Ok | Health::Stale { .. }) => (*mismatch).into(),
            (_, health) => health,
        };
        let (contents, caveat) = match read_as_is {
            Ok(contents) => (Some(contents), None),
            Err(mismatch) if may_be_mended(mismatch.status) => {
                copy.mend_header(segment);
                let mended = read(segment, &copy, dir, limit, now).ok();
                let caveat = mended.is_some().then(|| "Read as if the header were right: it may be wrong.".to_owned());
                (mended, caveat)
            }
            Err(_) => (None, None),
        };
        Report { path: name, kind: Some(segment.name()), health, header, contents, caveat }
    }

    /// Whether it is to be believed.
    pub(crate) fn is_ok(&self) -> bool {
        self.health == Health::Ok
    }

    /// For people.
    pub(crate) fn to_text(&self, limit: usize) -> String {
        let mut lines = vec![format!("{}: {}", self.path, self.kind.unwrap_or("no known segment"))];
        lines.push(format!("  health    {}", self.health));
        if let Some(header) = &self.header {
            lines.extend(header.lines().map(|(name, value)| format!("  {name:<9} {value}")));
        }
        if let Some(contents) = &self.contents {
            lines.extend(contents.facts().into_iter().map(|fact| format!("  {fact}")));
        }
        lines.extend(self.caveat.clone());
        let listings = self.contents.iter().flat_map(Contents::listings);
        lines.extend(listings.map(|listing| listing.limited(limit).to_string()));
        lines.join("\n")
    }
}

/// With these the geometry may still be right. With another magic or version no word means what it seems to.
fn may_be_mended(status: Status) -> bool {
    [Status::SEGMENT_BAD_CHECKSUM, Status::SEGMENT_BAD_LENGTH, Status::SEGMENT_NOT_READY].contains(&status)
}

fn read(segment: Segment, copy: &Copy, dir: &Path, limit: usize, now: &Moment) -> Result<Contents, Mismatch> {
    let (view, len): (View<'_>, u64) = (copy.view(), copy.len);
    Ok(match segment {
        Segment::Strategy => {
            let path = in_dir(dir, Segment::Cold);
            let keys = Copy::read(&path).map_err(|error| format!("{}: {error:#}", path.display()));
            let keys = keys.as_ref().map(|keys| (keys.view(), keys.len)).map_err(Clone::clone);
            Contents::Strategy(strategy::read(view, len, keys, now)?)
        }
        Segment::Control => Contents::Control(control::read(view, len, now)?),
        Segment::Fail => Contents::Fail(endpoints::read(view, len, now)?),
        Segment::Stat => Contents::Stat(stat::read(view, len, &SeatLocks::open(dir), now)?),
        Segment::Trace => Contents::Trace(trace::read(view, len, limit, now)?),
        Segment::Cold => Contents::Cold(strategy::read_keys(view, len, now)?),
        Segment::Log => Contents::Log(logs::read(view, len)?),
    })
}

impl HeaderFields {
    fn of(copy: &Copy, segment: Option<Segment>, show_seed: bool) -> HeaderFields {
        let raw: Raw = header::raw(copy.view());
        let expected = segment.map(|segment| segment.format().layout_hash);
        let word = |number: u64| format!("{number:#018x}");
        let layout_ok = expected == Some(raw.layout_hash);
        let crc_ok = raw.crc_found == raw.crc_expected;
        let magic = printable(&raw.magic);
        HeaderFields {
            magic: if magic.contains(['·', '\u{FFFD}']) { hex(&raw.magic) } else { magic },
            abi: format!("{}.{}", raw.version.0, raw.version.1),
            layout_hash: match expected {
                Some(expected) if !layout_ok => format!("{}, expected {}", word(raw.layout_hash), word(expected)),
                _ => word(raw.layout_hash),
            },
            layout_hash_ok: layout_ok,
            file_len: copy.len,
            total_len: raw.header.total_len,
            geometry: geometry(segment, raw.header.geometry),
            seed: show_seed.then(|| word(raw.header.seed)),
            instance: word(raw.header.instance),
            crc: match crc_ok {
                true => format!("{:#010x}", raw.crc_found),
                false => format!("{:#010x}, expected {:#010x}", raw.crc_found, raw.crc_expected),
            },
            crc_ok,
            state: state_name(State::from_number(raw.state)),
        }
    }

    fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let verdict = |ok: bool| if ok { "ok" } else { "WRONG" };
        let len = match self.file_len == self.total_len {
            true => format!("{} bytes", self.file_len),
            false => format!("{} bytes, but the header says {}", self.file_len, self.total_len),
        };
        [
            ("magic", self.magic.clone()),
            ("abi", self.abi.clone()),
            ("layout", format!("{} ({})", self.layout_hash, verdict(self.layout_hash_ok))),
            ("length", len),
            ("geometry", self.geometry.clone()),
            ("seed", self.seed.clone().unwrap_or_else(|| "hidden (--show-seed)".to_owned())),
            ("instance", self.instance.clone()),
            ("crc", format!("{} ({})", self.crc, verdict(self.crc_ok))),
            ("state", self.state.to_owned()),
        ]
        .into_iter()
    }
}

/// The meaning of the geometry belongs to the kind.
fn geometry(segment: Option<Segment>, word: u64) -> String {
    let (high, low) = (word >> 32, word & u64::from(u32::MAX));
    match segment {
        Some(Segment::Strategy | Segment::Control) => format!("{word} buckets"),
        Some(Segment::Fail) => format!("{word} slots"),
        Some(Segment::Stat) => format!("{high} seats, {low} columns"),
        Some(Segment::Trace | Segment::Log) => format!("{high} seats, {low} cells each"),
        Some(Segment::Cold) => format!("{word} records"),
        None => format!("{word:#x}"),
    }
}

impl Contents {
    /// What does not fit into a table.
    fn facts(&self) -> Vec<String> {
        match self {
            Contents::Strategy(table) => vec![
                format!(
                    "entries   {}; {} of {} slots used ({:.1} %), {} tombstones",
                    table.active,
                    table.used,
                    table.slots,
                    100.0 * table.load_factor,
                    table.tombstones
                ),
                match table.refreshed_age_ms {
                    Some(age_ms) => format!("refresh   number {}, {} ago", table.refresh_seq, span_ms(age_ms)),
                    None => "refresh   never".to_owned(),
                },
                format!(
                    "writer    pid {} ({}), takeover {}; {} moves, {} refused as full, {} collisions, {} orphans",
                    table.writer.pid,
                    table.writer.state,
                    table.writer.epoch,
                    table.writer.moves,
                    table.writer.full_refusals,
                    table.writer.collisions,
                    table.writer.orphans_dropped
                ),
            ],
            Contents::Control(orders) => vec![
                format!("kill      {}", if orders.killed { "ON: every mechanism is off" } else { "off" }),
                format!("changes   {}", orders.changes),
            ],
            Contents::Fail(_) => Vec::new(),
            Contents::Stat(stat) => vec![
                format!("seats     {} of {} taken", stat.processes.len(), stat.seats),
                format!("columns   {} of {} taken", stat.counters.len(), stat.columns),
            ],
            Contents::Trace(traces) => {
                vec![format!("written   {} cells; {} records dropped", traces.written, traces.dropped)]
            }
            Contents::Cold(keys) => vec![format!("records   {} of {} used", keys.used, keys.capacity)],
            Contents::Log(rings) => vec![
                format!("written   {} cells; {} wait for the agent", rings.written, rings.waiting),
                format!("dropped   {} lines", rings.dropped),
            ],
        }
    }

    fn listings(&self) -> Vec<Listing> {
        match self {
            Contents::Strategy(table) => vec![listings::strategies(table)],
            Contents::Control(orders) => vec![
                listings::modes(orders),
                listings::shields(orders),
                listings::skips(orders),
                listings::dyes(orders),
            ],
            Contents::Fail(endpoints) => vec![listings::endpoints(endpoints)],
            Contents::Stat(stat) => vec![listings::processes(stat, None), listings::counters(stat, None)],
            Contents::Trace(traces) => vec![listings::traces(traces, None)],
            Contents::Cold(keys) => vec![listings::keys(keys)],
            Contents::Log(_) => Vec::new(),
        }
    }
}
