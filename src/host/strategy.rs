//! The table of strategies with its keys, which lie in the cold segment beside it.
//!
//! Without that segment the entries are shown as they stand, without endpoints. The state of its writer is judged from
//! the heartbeat and from whether the process exists.

use mcrpc_core::host::bucket::{TOMBSTONE, VALUE_MASK};
use mcrpc_core::host::header::{self, Mismatch, State};
use mcrpc_core::host::region::View;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::{self, Record, Records};
use mcrpc_core::strategy::entry::{Entry, Kind};
use mcrpc_core::strategy::liveness::MAX_AGE_MS;
use mcrpc_core::strategy::table::{self, Table};
use serde::Serialize;

use super::liveness::pid_exists;
use super::place::Moment;

/// What is in the table.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Strategies {
    /// Entries, as the writer counts them.
    pub active: u64,
    pub slots: u64,
    pub used: u64,
    pub tombstones: u64,
    /// Used slots of all.
    pub load_factor: f64,
    /// Refreshes so far: the heartbeat.
    pub refresh_seq: u64,
    /// How long ago the last was; `None` if there was none.
    pub refreshed_age_ms: Option<u64>,
    pub writer: Writer,
    /// The strictest first.
    pub entries: Vec<Strategy>,
    /// Entries in the table of which no record says whose they are.
    pub without_key: u64,
    /// Why there are no keys at all.
    pub keys_missing: Option<String>,
}

/// Who writes the table, and what it says of its work.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Writer {
    pub state: &'static str,
    pub pid: u64,
    /// How often a writer took the table over.
    pub epoch: u64,
    pub moves: u64,
    pub full_refusals: u64,
    pub collisions: u64,
    pub orphans_dropped: u64,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Strategy {
    /// `None` if it is not known whose it is.
    pub endpoint: Option<String>,
    pub service_id: Option<u32>,
    pub pass_rate_per10k: u16,
    pub kind: &'static str,
    /// 0: all pass.
    pub reject_level: u16,
    /// What it was computed from.
    pub requests: Option<u32>,
    pub failures: Option<u32>,
    pub age_ms: Option<u64>,
}

/// Reads a table, and the keys if there are any.
pub(crate) fn read(
    view: View<'_>,
    len: u64,
    keys: Result<(View<'_>, u64), String>,
    now: &Moment,
) -> Result<Strategies, Mismatch> {
    let table = Table::inspect(view, len)?;
    let (mut used, mut tombstones, mut values) = (0, 0, Vec::new());
    for slot in table.slots() {
        match slot {
            0 => {}
            TOMBSTONE => tombstones += 1,
            entry => {
                used += 1;
                values.push((entry & VALUE_MASK) as u32);
            }
        }
    }
    let slots = table.bucket_count() * 8;
    let records =
        keys.and_then(|(cold, cold_len)| matching(view, len, cold, cold_len).map_err(|error| error.to_string()));
    let (mut entries, keys_missing) = match records {
        Ok(records) => (known(&table, records, now), None),
        Err(why) => (values.into_iter().filter_map(Entry::from_bits).map(nameless).collect(), Some(why)),
    };
    entries.sort_by(|a, b| (a.pass_rate_per10k, &a.endpoint).cmp(&(b.pass_rate_per10k, &b.endpoint)));
    let named = entries.iter().filter(|entry| entry.endpoint.is_some()).count() as u64;
    let refreshed_ms = table.refreshed_ms();
    Ok(Strategies {
        active: table.active(),
        slots,
        used,
        tombstones,
        load_factor: used as f64 / slots as f64,
        refresh_seq: table.refresh_seq(),
        refreshed_age_ms: (refreshed_ms != 0).then(|| now.boottime_ms.saturating_sub(refreshed_ms)),
        writer: writer(&table, now),
        entries,
        without_key: used.saturating_sub(named),
        keys_missing,
    })
}

/// The records of a cold segment that belongs to this table.
fn matching<'a>(view: View<'_>, len: u64, cold: View<'a>, cold_len: u64) -> Result<Records<'a>, Mismatch> {
    let records = Records::attach(cold, cold_len)?;
    let expected = header::read(view, len, &table::FORMAT)?.instance;
    Mismatch::check(Status::SEGMENT_OTHER_LAYOUT, records.header().instance, expected)?;
    Ok(records)
}

fn known(table: &Table<'_>, records: Records<'_>, now: &Moment) -> Vec<Strategy> {
    let entries = records.iter().filter_map(|record| Some(named(&record, table.lookup(&record.endpoint)?, now)));
    entries.collect()
}

fn named(record: &Record, entry: Entry, now: &Moment) -> Strategy {
    Strategy {
        endpoint: Some(record.endpoint.socket().to_string()),
        service_id: Some(record.endpoint.service_id),
        requests: Some(record.counts.requests),
        failures: Some(record.counts.failures),
        age_ms: Some(now.boottime_ms.saturating_sub(record.refreshed_ms)),
        ..nameless(entry)
    }
}

fn nameless(entry: Entry) -> Strategy {
    Strategy {
        endpoint: None,
        service_id: None,
        pass_rate_per10k: entry.pass_rate.get(),
        kind: match entry.kind {
            Kind::Normal => "normal",
            Kind::Probe => "probe",
            Kind::Shielded => "shielded",
        },
        reject_level: entry.reject_level.get(),
        requests: None,
        failures: None,
        age_ms: None,
    }
}

fn writer(table: &Table<'_>, now: &Moment) -> Writer {
    let says = table.diagnostics();
    let fresh = now.boottime_ms.saturating_sub(table.refreshed_ms()) <= MAX_AGE_MS.into();
    let state = match (table.state(), fresh) {
        (Some(State::Closed), _) => "stopped",
        (_, true) => "alive",
        _ if pid_exists(says.writer_pid) => "hung",
        _ => "dead",
    };
    Writer {
        state,
        pid: says.writer_pid,
        epoch: says.writer_epoch,
        moves: says.moves,
        full_refusals: says.full_refusals,
        collisions: says.collisions,
        orphans_dropped: says.orphans_dropped,
    }
}

/// A cold segment on its own.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Keys {
    pub capacity: u32,
    pub used: u64,
    pub records: Vec<KeyRecord>,
}

/// One of its records.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KeyRecord {
    pub endpoint: String,
    pub service_id: u32,
    pub requests: u32,
    pub failures: u32,
    pub age_ms: u64,
}

/// Reads a cold segment.
pub(crate) fn read_keys(view: View<'_>, len: u64, now: &Moment) -> Result<Keys, Mismatch> {
    let records = cold::Records::attach(view, len)?;
    let of = |record: Record| KeyRecord {
        endpoint: record.endpoint.socket().to_string(),
        service_id: record.endpoint.service_id,
        requests: record.counts.requests,
        failures: record.counts.failures,
        age_ms: now.boottime_ms.saturating_sub(record.refreshed_ms),
    };
    let list: Vec<KeyRecord> = records.iter().map(of).collect();
    Ok(Keys { capacity: records.capacity(), used: list.len() as u64, records: list })
}
