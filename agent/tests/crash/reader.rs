//! A reader that checks every answer, as a process that calls would ask: it attaches the table read-only, and attaches
//! anew when the table is superseded or its heartbeat stands still.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mcrpc_agent::directory::Directory;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::State;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::table::Table;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::keys::{CHANGING, Key, STABLE, Verdict};

/// Lookups between two looks at the state of the table.
const LOOKUPS: u64 = 256;
/// After this it is asked whether there is another table. Real readers are more patient.
const STANDS_STILL: Duration = Duration::from_millis(20);
/// A table that cannot be attached for so long never will be.
const STUCK: Duration = Duration::from_secs(10);

/// What all readers met.
#[derive(Default)]
pub struct Tally {
    pub lookups: AtomicU64,
    pub wrong: AtomicU64,
    pub missing: AtomicU64,
    pub stuck: AtomicU64,
    pub attached: AtomicU64,
    pub first_failure: Mutex<Option<String>>,
}

impl Tally {
    fn fail(&self, counter: &AtomicU64, failure: impl FnOnce() -> String) {
        counter.fetch_add(1, Ordering::Relaxed);
        self.first_failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(failure);
    }
}

/// Looks keys up and judges the answers, until the table is closed or `goes_on` says no.
pub fn check(dir: &Path, seed: u64, tally: &Tally, goes_on: impl Fn() -> bool) {
    let directory = Directory::open(dir, None).unwrap();
    let mut random = SmallRng::seed_from_u64(seed);
    let mut refused_since = None;
    while goes_on() {
        let mapping = directory.map(Segment::Strategy).expect("there is a table at any time");
        let (words, len) = (mapping.view(), mapping.len());
        match Table::attach(words, len) {
            Ok(table) => {
                refused_since = None;
                tally.attached.fetch_add(1, Ordering::Relaxed);
                ask(&table, &mut random, tally, &goes_on);
            }
            Err(_) if Table::inspect(words, len).is_ok_and(|table| table.state() == Some(State::Closed)) => return,
            // Opened just before it was replaced.
            Err(mismatch) if mismatch.status == Status::SEGMENT_NOT_READY => {
                if refused_since.get_or_insert_with(Instant::now).elapsed() > STUCK {
                    tally.fail(&tally.stuck, || format!("the table has not become ready for {STUCK:?}"));
                    return;
                }
            }
            Err(mismatch) => {
                tally.fail(&tally.stuck, || mismatch.to_string());
                return;
            }
        }
    }
}

/// Asks one table for as long as it is the one to ask.
fn ask(table: &Table<'_>, random: &mut SmallRng, tally: &Tally, goes_on: &impl Fn() -> bool) {
    let (mut beat, mut moved_at) = (table.refresh_seq(), Instant::now());
    while goes_on() && table.state() == Some(State::Ready) && moved_at.elapsed() < STANDS_STILL {
        for _ in 0..LOOKUPS {
            let key = match random.random_range(0..10) {
                0..6 => Key::Stable(random.random_range(0..STABLE)),
                6..9 => Key::Changing(random.random_range(0..CHANGING)),
                _ => Key::Absent(random.random_range(0..1_000)),
            };
            let answer = table.lookup(&key.endpoint());
            match key.judge(answer) {
                Verdict::Right => {}
                Verdict::Wrong => tally.fail(&tally.wrong, || format!("{key:?} was answered with {answer:?}")),
                Verdict::Missing => tally.fail(&tally.missing, || format!("{key:?} was not found")),
            }
        }
        tally.lookups.fetch_add(LOOKUPS, Ordering::Relaxed);
        let beat_now = table.refresh_seq();
        if beat_now != beat {
            (beat, moved_at) = (beat_now, Instant::now());
        }
    }
}
