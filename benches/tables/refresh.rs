//! What readers notice of a refresh: every entry changes, every 100 ms, while they look up.
//!
//! Quiet and busy spells alternate. During a busy one the writer works for a part of the time only; the batches that
//! fell into that part are shown as well.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcrpc_core::strategy::writer::Writer;

use crate::keys::{Asked, Keys};
use crate::measure::{Series, Wanted, report, spread};
use crate::segment::{OurTable, TableFiles, set_all};

const PERIOD: Duration = Duration::from_millis(100);
const SPELL: Duration = Duration::from_millis(500);
const SPELLS: usize = 8;
const BATCH: u64 = 2_048;

#[derive(Default)]
struct Signals {
    busy: AtomicBool,
    refreshing: AtomicBool,
    end: AtomicBool,
}

/// Prints everything.
pub fn all(directory: &Path) {
    println!("\nreaders while every entry changes every {} ms, ns per lookup", PERIOD.as_millis());
    for count in [10_000, 250_000] {
        let keys = Keys::first(count);
        let mut files = TableFiles::new(directory, "strategy");
        let (writer, table) = files.fill(keys);
        let signals = Signals::default();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| refresh(writer, keys, &signals));
            let [quiet, busy, meanwhile] = read(&table, keys, &signals);
            signals.end.store(true, Ordering::Relaxed);
            let durations = writer.join().expect("the writer does not panic");
            println!("\n{count} endpoints, {} refreshes of {:.1} ms", durations.len(), spread(durations).median);
            report("a hit, latency, no writer", quiet.spread(), " ns", Wanted::Nothing);
            report("with the writer", busy.spread(), " ns", Wanted::Nothing);
            report("with the writer, during a refresh", meanwhile.spread(), " ns", Wanted::Nothing);
            report("with the writer, against without", busy.ratio(&quiet), " x", Wanted::AtMost(1.2));
            report("during a refresh, against without", meanwhile.ratio(&quiet), " x", Wanted::Nothing);
        });
    }
}

/// The writer: how long each refresh took, in ms.
fn refresh(mut writer: Writer<'_>, keys: Keys, signals: &Signals) -> Vec<f64> {
    let mut durations = Vec::new();
    while !signals.end.load(Ordering::Relaxed) {
        let start = Instant::now();
        if signals.busy.load(Ordering::Relaxed) {
            signals.refreshing.store(true, Ordering::Relaxed);
            set_all(&mut writer, keys, 1 + durations.len() as u64);
            signals.refreshing.store(false, Ordering::Relaxed);
            durations.push(start.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(PERIOD.saturating_sub(start.elapsed()));
        } else {
            std::thread::sleep(PERIOD / 100);
        }
    }
    durations
}

/// The reader: batches in quiet spells, in busy ones, and those of the busy ones that a refresh covered.
fn read(table: &OurTable<'_>, keys: Keys, signals: &Signals) -> [Series; 3] {
    let [mut quiet, mut busy, mut meanwhile] = <[Series; 3]>::default();
    let mut state = 0;
    let mut spell = |meanwhile: Option<&mut Series>| {
        let (mut all, mut covered) = (Vec::new(), Vec::new());
        let end = Instant::now() + SPELL;
        while Instant::now() < end {
            let refreshing = signals.refreshing.load(Ordering::Relaxed);
            let start = Instant::now();
            table.latency(keys, &mut state, BATCH);
            let ns = start.elapsed().as_nanos() as f64 / BATCH as f64;
            all.push(ns);
            if refreshing && signals.refreshing.load(Ordering::Relaxed) {
                covered.push(ns);
            }
        }
        if let Some(meanwhile) = meanwhile {
            meanwhile.push(covered);
        }
        all
    };
    for _ in 0..SPELLS {
        quiet.push(spell(None));
        signals.busy.store(true, Ordering::Relaxed);
        busy.push(spell(Some(&mut meanwhile)));
        assert_eq!(table.each(keys), keys.count, "every entry is found at any time");
        signals.busy.store(false, Ordering::Relaxed);
        std::thread::sleep(PERIOD);
    }
    [quiet, busy, meanwhile]
}
