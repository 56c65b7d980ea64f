//! The writer of the table may be killed between any two of its stores. Its stores are noted, and each prefix of them
//! is what a SIGKILL leaves behind: readers find every entry with the value from before or after, the next writer finds
//! its way, and after it has done the same again all is as if nobody had died.

use std::collections::BTreeMap;

use crate::bucket::{Buckets, Fingerprint};
use crate::cold::{self, Counts};
use crate::endpoint::Endpoint;
use crate::entry::{Entry, Kind, RejectLevel};
use crate::header::Mismatch;
use crate::id::Per10k;
use crate::region::{Shared, View};
use crate::status::Status;
use crate::sync::{AtomicU64, note_stores};
use crate::table::{self, Table};
use crate::writer::{Adopted, FILTER_WORDS, Identity, Memory, Writer, slot_count};

/// Four buckets.
const CAPACITY: u32 = 22;
const IDENTITY: Identity = Identity { seed: 5, instance: 6, pid: 7 };
/// Stores to the filter look alike: of a run of them only every such one is replayed.
const FILTER_STEP: usize = 1_021;
const FILTER: std::ops::Range<usize> = 512..512 + FILTER_WORDS;

/// The nth endpoint that belongs into these two buckets.
fn endpoint(first: u64, second: u64, n: usize) -> Endpoint {
    let buckets = Buckets { count: table::bucket_count(CAPACITY), base: 0 };
    let belongs = |endpoint: &Endpoint| {
        let hash = endpoint.hash(IDENTITY.seed);
        buckets.first(hash) == first && buckets.second(Fingerprint::of(hash), first) == second
    };
    (0..).map(|address| Endpoint { address, port: 80, service_id: 1 }).filter(belongs).nth(n).unwrap()
}

/// What the agent does to a table. Repeating it changes nothing.
#[derive(Clone, Copy, Debug)]
enum Step {
    Set(Endpoint, u16),
    Remove(Endpoint),
    Expire,
    FinishRefresh,
}

/// Entries that were set before this are taken out by [`Step::Expire`].
const EXPIRES_BEFORE: u64 = 10;

type Entries = BTreeMap<Endpoint, Entry>;

fn entry(rate: u16) -> Entry {
    Entry { pass_rate: Per10k::new(rate).unwrap(), kind: Kind::Normal, reject_level: RejectLevel::OPEN }
}

impl Step {
    /// The time of a set is its rate, so that some expire.
    fn apply(self, writer: &mut Writer<'_>) {
        match self {
            Step::Set(endpoint, rate) => {
                let counts = Counts { requests: 10, failures: 1 };
                writer.set(&endpoint, &entry(rate), counts, rate.into()).ok();
            }
            Step::Remove(endpoint) => _ = writer.remove(&endpoint),
            Step::Expire => _ = writer.expire(EXPIRES_BEFORE),
            Step::FinishRefresh => writer.finish_refresh(99),
        }
    }
}

/// The words of both segments.
#[derive(Clone, PartialEq, Eq)]
struct Image {
    table: Vec<u64>,
    cold: Vec<u64>,
}

impl Image {
    fn zeroed() -> Image {
        Image { table: vec![0; table::segment_len(CAPACITY) / 8], cold: vec![0; cold::segment_len(CAPACITY) / 8] }
    }

    fn load(&self) -> Loaded {
        let load = |words: &[u64]| -> Vec<AtomicU64> {
            let loaded: Vec<AtomicU64> = words.iter().map(|_| AtomicU64::default()).collect();
            (0..).zip(words).for_each(|(index, &word)| Shared::new(&loaded).set(index, word));
            loaded
        };
        Loaded {
            table: load(&self.table),
            cold: load(&self.cold),
            slots: vec![0; slot_count(CAPACITY)],
            records: vec![0; CAPACITY as usize],
            filter: vec![0; FILTER_WORDS],
        }
    }
}

/// An image that is used: both segments, and the private memory of a writer.
struct Loaded {
    table: Vec<AtomicU64>,
    cold: Vec<AtomicU64>,
    slots: Vec<u32>,
    records: Vec<u32>,
    filter: Vec<u64>,
}

impl Loaded {
    fn adopt(&mut self) -> Result<(Writer<'_>, Adopted), Mismatch> {
        let memory = Memory { slots: &mut self.slots, records: &mut self.records, filter: &mut self.filter };
        Writer::adopt(Shared::new(&self.table), Shared::new(&self.cold), memory, 8)
    }

    fn create(&mut self) -> Writer<'_> {
        let memory = Memory { slots: &mut self.slots, records: &mut self.records, filter: &mut self.filter };
        Writer::create(Shared::new(&self.table), Shared::new(&self.cold), memory, CAPACITY, IDENTITY).unwrap()
    }

    fn image(&self) -> Image {
        let image = |words: &[AtomicU64]| (0..words.len()).map(|index| View::new(words).load(index)).collect();
        Image { table: image(&self.table), cold: image(&self.cold) }
    }

    fn table(&self) -> Result<Table<'_>, Mismatch> {
        Table::attach(View::new(&self.table), self.table.len() as u64 * 8)
    }

    /// What readers find for each of these endpoints.
    fn found(&self, pool: &[Endpoint]) -> Entries {
        let table = self.table().unwrap();
        pool.iter().filter_map(|endpoint| Some((*endpoint, table.lookup(endpoint)?))).collect()
    }

    /// The image after each prefix of the stores that `work` does, beginning with none of them.
    fn prefixes(&mut self, work: impl FnOnce(&mut Loaded)) -> Vec<Image> {
        let mut image = self.image();
        let (table, cold) = (self.table.as_ptr_range(), self.cold.as_ptr_range());
        let stores = note_stores(|| work(self));
        let mut images = vec![image.clone()];
        for (number, (address, value)) in stores.into_iter().enumerate() {
            let index = |start: *const AtomicU64| (address - start.addr()) / size_of::<AtomicU64>();
            let in_table = (table.start.addr()..table.end.addr()).contains(&address);
            let word = if in_table { &mut image.table[index(table.start)] } else { &mut image.cold[index(cold.start)] };
            *word = value;
            if !(in_table && FILTER.contains(&index(table.start))) || number % FILTER_STEP == 0 {
                images.push(image.clone());
            }
        }
        assert!(image == self.image(), "every store was noted");
        images
    }
}

/// A table after these steps, open.
fn after(steps: &[Step]) -> Image {
    let mut loaded = Image::zeroed().load();
    let mut writer = loaded.create();
    steps.iter().for_each(|step| step.apply(&mut writer));
    writer.open();
    loaded.image()
}

fn sets(endpoints: impl IntoIterator<Item = Endpoint>, rate: u16) -> Vec<Step> {
    endpoints.into_iter().map(|endpoint| Step::Set(endpoint, rate)).collect()
}

fn full(first: u64, second: u64) -> impl Iterator<Item = Endpoint> {
    (0..8).map(move |n| endpoint(first, second, n))
}

/// Whatever prefix of the step's stores was done: readers before and after the adoption find what was there before the
/// step or is there after it; and when the next writer repeats it, then it is done. What the adoptions found, in the
/// order of the prefixes.
fn kill_everywhere(before: &Image, step: Step, pool: &[Endpoint]) -> Vec<Adopted> {
    let mut loaded = before.load();
    let old = loaded.found(pool);
    let images = loaded.prefixes(|loaded| {
        // The adoption's own stores come before, and leave an undamaged table as it is.
        step.apply(&mut loaded.adopt().unwrap().0);
    });
    let new = loaded.found(pool);
    let mut outcomes: Vec<Adopted> = images
        .iter()
        .map(|image| {
            let mut loaded = image.load();
            let old_or_new = |found: &Entries, when: &str| {
                for endpoint in pool {
                    let found = found.get(endpoint);
                    let valid = [old.get(endpoint), new.get(endpoint)].contains(&found);
                    assert!(valid, "{step:?}, {when}: {endpoint:?} has {found:?}");
                }
            };
            old_or_new(&loaded.found(pool), "after the kill");
            let (writer, adopted) = loaded.adopt().unwrap();
            assert_eq!((writer.len(), writer.entries().count()), (adopted.entries, adopted.entries as usize));
            let found = loaded.found(pool);
            old_or_new(&found, "after the adoption");
            assert_eq!(found.len(), adopted.entries as usize, "no entry has lost its record");
            let (mut writer, again) = loaded.adopt().unwrap();
            assert_eq!(again, Adopted { entries: adopted.entries, ..Adopted::default() }, "nothing is left to mend");
            step.apply(&mut writer);
            assert_eq!(loaded.found(pool), new, "{step:?}, repeated");
            adopted
        })
        .collect();
    outcomes.dedup();
    outcomes
}

const fn adopted(entries: u32, records_dropped: u32, words_dropped: u64) -> Adopted {
    Adopted { entries, records_dropped, words_dropped }
}

#[test]
fn a_writer_may_be_killed_between_any_two_stores() {
    let two_full: Vec<Endpoint> = full(0, 1).chain(full(2, 1)).collect();
    let closed_pair: Vec<Endpoint> = full(0, 1).chain(full(1, 0)).collect();
    let some: Vec<Endpoint> = full(0, 1).take(3).collect();
    let mut half_old = sets(some.clone(), 1);
    half_old.extend(sets(full(2, 1).take(2), 20));
    let mut many_removed = sets(two_full.clone(), 20);
    many_removed.extend(two_full[3..].iter().map(|&endpoint| Step::Remove(endpoint)));
    let new = endpoint(0, 2, 0);
    let cases = [
        ("the first entry", vec![], Step::Set(new, 20), vec![adopted(0, 0, 0), adopted(0, 1, 0), adopted(1, 0, 0)]),
        (
            "an entry in a free slot",
            sets(some.clone(), 20),
            Step::Set(new, 20),
            vec![adopted(3, 0, 0), adopted(3, 1, 0), adopted(4, 0, 0)],
        ),
        (
            "an entry for which another is moved",
            sets(two_full.clone(), 20),
            Step::Set(new, 20),
            // First the record has no entry; then the moved one stands in two places as well.
            vec![adopted(16, 0, 0), adopted(16, 1, 0), adopted(16, 1, 1), adopted(17, 0, 0)],
        ),
        (
            "an entry for which there is no room",
            sets(closed_pair, 20),
            Step::Set(endpoint(0, 1, 8), 20),
            vec![adopted(16, 0, 0), adopted(16, 1, 0), adopted(16, 0, 0)],
        ),
        ("another value", sets(some.clone(), 20), Step::Set(some[1], 30), vec![adopted(3, 0, 0)]),
        ("nothing new", sets(some.clone(), 20), Step::Set(some[1], 20), vec![adopted(3, 0, 0)]),
        (
            "an entry that is no longer needed",
            sets(some.clone(), 20),
            Step::Set(some[1], 10_000),
            vec![adopted(3, 0, 0), adopted(2, 1, 0), adopted(2, 0, 0)],
        ),
        (
            "a removal",
            sets(two_full.clone(), 20),
            Step::Remove(two_full[0]),
            vec![adopted(16, 0, 0), adopted(15, 1, 0), adopted(15, 0, 0)],
        ),
        (
            "an expiry of three",
            half_old,
            Step::Expire,
            vec![
                adopted(5, 0, 0),
                adopted(4, 1, 0),
                adopted(4, 0, 0),
                adopted(3, 1, 0),
                adopted(3, 0, 0),
                adopted(2, 1, 0),
                adopted(2, 0, 0),
            ],
        ),
        ("the end of a refresh, with a new filter", many_removed, Step::FinishRefresh, vec![adopted(3, 0, 0)]),
    ];
    let mut pool = two_full;
    pool.extend(full(1, 0).chain([new, endpoint(0, 1, 8)]));
    for (name, steps, step, expected) in cases {
        assert_eq!(kill_everywhere(&after(&steps), step, &pool), expected, "{name}");
    }
}

/// Given a table that a killed writer left in the middle of a move, when the writer that adopts it is killed as well,
/// then the next one finds everything all the same.
#[test]
fn an_adoption_may_be_killed_between_any_two_stores() {
    let pool: Vec<Endpoint> = full(0, 1).chain(full(2, 1)).chain([endpoint(0, 2, 0)]).collect();
    let mut loaded = after(&sets(pool[..16].iter().copied(), 20)).load();
    let old = loaded.found(&pool);
    let moving = loaded.prefixes(|loaded| Step::Set(pool[16], 20).apply(&mut loaded.adopt().unwrap().0));
    let half_done = moving.iter().find(|image| image.load().adopt().unwrap().1 == adopted(16, 1, 1)).unwrap();
    for image in half_done.load().prefixes(|loaded| assert!(loaded.adopt().is_ok())) {
        let mut loaded = image.load();
        assert_eq!(loaded.found(&pool), old);
        assert_eq!(loaded.adopt().unwrap().1.entries, 16);
        assert_eq!(loaded.found(&pool), old);
    }
}

/// When a writer is killed while it lays out a table, then nobody uses it, and the next one can tell.
#[test]
fn a_table_that_was_never_opened_is_refused() {
    let images = Image::zeroed().load().prefixes(|loaded| {
        loaded.create().open();
    });
    let whole = images.len() - 1;
    for (number, image) in images.into_iter().enumerate() {
        let mut loaded = image.load();
        assert_eq!(loaded.table().is_ok(), number == whole, "after {number} stores");
        if let Err(mismatch) = loaded.adopt() {
            let half_written = [Status::SEGMENT_BAD_MAGIC, Status::SEGMENT_OTHER_MAJOR, Status::SEGMENT_BAD_CHECKSUM];
            assert!(half_written.contains(&mismatch.status), "{mismatch}");
        }
    }
}
