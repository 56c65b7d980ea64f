//! Random lookups: of what is there, of what is not, and on a host where little is wrong.

use std::path::Path;

use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::table;

use crate::keys::{Asked, Keys};
use crate::measure::{Series, Spread, Wanted, report};
use crate::peers::{FourLevels, LockFree, Locked, Nothing, OneLine, Sharded, Swapped};
use crate::segment::{CAPACITY, TableFiles, entry};

const ROUNDS: usize = 21;
const BATCHES: usize = 10;
const BATCH: u64 = 4_096;
const SIZES: [u64; 4] = [1_000, 10_000, 100_000, CAPACITY as u64];
/// How many of the known endpoints have an entry: none, 0.1 %, 1 %, 10 %.
const DEGRADED: [u64; 4] = [0, 250, 2_500, 25_000];

struct Contestant<'a> {
    name: &'static str,
    table: Box<dyn Asked + 'a>,
    /// By key set: latency and throughput.
    series: Vec<[Series; 2]>,
}

fn contestant<'a>(name: &'static str, table: impl Asked + 'a) -> Contestant<'a> {
    Contestant { name, table: Box::new(table), series: Vec::new() }
}

impl Contestant<'_> {
    /// One round: first all that a lookup touches is brought into the caches, where the others' rounds drove it out.
    fn run(&mut self, key_sets: &[Keys], round: u64) {
        self.series.resize_with(key_sets.len(), Default::default);
        let mut state = round;
        for (&keys, [latency, throughput]) in key_sets.iter().zip(&mut self.series) {
            self.table.each(keys);
            self.table.throughput(keys, &mut state, BATCH);
            latency.measure(BATCHES, BATCH, |count| self.table.latency(keys, &mut state, count));
            throughput.measure(BATCHES, BATCH, |count| self.table.throughput(keys, &mut state, count));
        }
    }
}

/// All contestants, with the same keys; columns are named after the key sets.
fn contest(title: &str, contestants: &mut [Contestant<'_>], key_sets: &[(&str, Keys)]) {
    let keys: Vec<Keys> = key_sets.iter().map(|(_, keys)| *keys).collect();
    for round in 0..ROUNDS {
        for contestant in &mut *contestants {
            contestant.run(&keys, round as u64);
        }
    }
    print!("\n{title:<40}");
    key_sets.iter().for_each(|(name, _)| print!(" {:>22} {:>22}", format!("{name}latency"), "throughput"));
    println!();
    for contestant in contestants {
        print!("{:<40}", contestant.name);
        contestant.series.iter().flatten().for_each(|series| print!(" {:>22}", series.spread()));
        println!();
    }
}

/// Prints everything.
pub fn all(directory: &Path) {
    println!("one random lookup in a table for {CAPACITY} endpoints, ns (10 % to 90 %)");
    for count in SIZES {
        sizes(directory, count);
    }
    let bytes = table::segment_len(CAPACITY) as f64 / f64::from(CAPACITY);
    println!();
    report("bytes per endpoint that a caller maps", Spread::exact(bytes), "", Wanted::AtMost(12.0));
    println!("\nof {CAPACITY} known endpoints few have an entry, all are looked up");
    for count in DEGRADED {
        degraded(directory, count);
    }
}

/// The bits that every contestant gives back for its keys.
fn entries(keys: Keys) -> impl Iterator<Item = (Endpoint, u32)> {
    (0..).zip(keys.all()).map(|(number, endpoint)| (endpoint, entry(number).pass_rate.get().into()))
}

fn sizes(directory: &Path, count: u64) {
    let keys = Keys::first(count);
    let mut files = TableFiles::new(directory, "strategy");
    let (_writer, ours) = files.fill(keys);
    let mut four_levels = FourLevels::new();
    let kept = entries(keys).filter(|(endpoint, value)| four_levels.insert(endpoint, *value)).count() as u64;
    let lines = ours.0.bucket_count();
    let mut contestants = [
        contestant("key, random numbers and hash alone", Nothing),
        contestant("and one cache miss at the table's size", OneLine::new(lines)),
        contestant("the table", ours),
        contestant("the four-level hash it replaces", four_levels),
        contestant("RwLock<HashMap>, SipHash", entries(keys).collect::<Locked>()),
        contestant("ArcSwap<HashMap>, the table's hash", entries(keys).collect::<Swapped>()),
        contestant("dashmap, the table's hash", entries(keys).collect::<Sharded>()),
        contestant("papaya, the table's hash", entries(keys).collect::<LockFree>()),
    ];
    for (index, Contestant { name, table, .. }) in contestants.iter().enumerate().skip(2) {
        assert_eq!(table.each(keys), if index == 3 { kept } else { count }, "{name}");
        assert_eq!(table.each(keys.absent()), 0, "{name}");
    }
    contest(&format!("{count} endpoints"), &mut contestants, &[("hit, ", keys), ("miss, ", keys.absent())]);
    let [shared, miss, ours, four_levels, ..] = contestants.each_ref().map(|contestant| &contestant.series[0][0]);
    let full = count == u64::from(CAPACITY);
    let limit = |wanted: Wanted| if full { wanted } else { Wanted::Nothing };
    report("a hit, against the cache miss", ours.ratio(miss), " x", limit(Wanted::AtMost(1.5)));
    report(
        "a hit in the four-level hash, against the table",
        four_levels.ratio(ours),
        " x",
        limit(Wanted::AtLeast(3.5)),
    );
    let without = four_levels.ratio_beyond(ours, shared);
    report("the same without the key, random numbers and hash of all", without, " x", Wanted::Nothing);
    report("for scale: the four-level hash, against the cache miss", four_levels.ratio(miss), " x", Wanted::Nothing);
    if kept < count {
        println!("the four-level hash had no room for {} of them", count - kept);
    }
}

fn degraded(directory: &Path, count: u64) {
    let known = Keys::first(CAPACITY.into());
    let keys = Keys { count, step: known.count.checked_div(count).unwrap_or(1), ..known };
    let mut files = TableFiles::new(directory, "strategy");
    let (_writer, ours) = files.fill(keys);
    let mut four_levels = FourLevels::new();
    entries(keys).for_each(|(endpoint, value)| assert!(four_levels.insert(&endpoint, value)));
    let mut contestants = [
        contestant("the table", ours),
        contestant("the four-level hash it replaces", four_levels),
        contestant("RwLock<HashMap>, SipHash", entries(keys).collect::<Locked>()),
        contestant("ArcSwap<HashMap>, the table's hash", entries(keys).collect::<Swapped>()),
        contestant("dashmap, the table's hash", entries(keys).collect::<Sharded>()),
    ];
    for Contestant { name, table, .. } in &contestants {
        assert_eq!(table.each(known), count, "{name}");
    }
    contest(&format!("{count} have an entry"), &mut contestants, &[("", known)]);
}
