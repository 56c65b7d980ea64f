use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use mcrpc_core::host::bucket::{Buckets, Fingerprint, TOMBSTONE};
use mcrpc_core::host::header::State;
use mcrpc_core::host::region::{LINE, Shared, View};
use mcrpc_core::id::Per10k;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::{self, Counts, Records};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::strategy::table::{self, Diagnostics, Table};
use mcrpc_core::strategy::writer::{Adopted, Change, EXPIRE_MS, FILTER_WORDS, Identity, Memory, Writer, slot_count};
use proptest::prelude::*;

use super::{endpoint, len_of, memory};

const IDENTITY: Identity = Identity { seed: 0x5eed, instance: 77, pid: 1 };
const COUNTS: Counts = Counts { requests: 100, failures: 3 };

/// Both segments of a table.
struct Segments {
    table: Vec<AtomicU64>,
    cold: Vec<AtomicU64>,
    capacity: u32,
}

impl Segments {
    fn new(capacity: u32) -> Segments {
        Segments { table: memory(table::segment_len(capacity)), cold: memory(cold::segment_len(capacity)), capacity }
    }

    fn create<'a>(&'a self, private: &'a mut Private) -> Writer<'a> {
        let (table, cold) = (Shared::new(&self.table), Shared::new(&self.cold));
        let writer = Writer::create(table, cold, private.memory(), self.capacity, IDENTITY).unwrap();
        writer.open();
        writer
    }

    fn adopt<'a>(&'a self, private: &'a mut Private) -> (Writer<'a>, Adopted) {
        Writer::adopt(Shared::new(&self.table), Shared::new(&self.cold), private.memory(), 2).unwrap()
    }

    fn table(&self) -> Table<'_> {
        Table::attach(View::new(&self.table), len_of(&self.table)).unwrap()
    }

    fn records(&self) -> Records<'_> {
        Records::attach(View::new(&self.cold), len_of(&self.cold)).unwrap()
    }
}

/// The private memory of a writer, full of what another one left in it.
struct Private {
    slots: Vec<u32>,
    records: Vec<u32>,
    filter: Vec<u64>,
}

impl Private {
    fn new(capacity: u32) -> Private {
        Private {
            slots: vec![u32::MAX; slot_count(capacity)],
            records: vec![u32::MAX; capacity as usize],
            filter: vec![u64::MAX; FILTER_WORDS],
        }
    }

    fn memory(&mut self) -> Memory<'_> {
        Memory { slots: &mut self.slots, records: &mut self.records, filter: &mut self.filter }
    }
}

fn entry(rate: u16) -> Entry {
    Entry { pass_rate: Per10k::new(rate).unwrap(), kind: Kind::Normal, reject_level: RejectLevel::OPEN }
}

fn buckets_of(endpoint: &Endpoint, capacity: u32) -> [u64; 2] {
    let buckets = Buckets { count: table::bucket_count(capacity), base: 0 };
    let hash = endpoint.hash(IDENTITY.seed);
    let first = buckets.first(hash);
    [first, buckets.second(Fingerprint::of(hash), first)]
}

/// Whether an endpoint could stand in a slot of its buckets without anything being moved.
fn has_room(table: &Table<'_>, endpoint: &Endpoint, capacity: u32) -> bool {
    let slots: Vec<u64> = table.slots().collect();
    let is_free = |bucket: &u64| slots[*bucket as usize * LINE..][..LINE].iter().any(|&word| word <= TOMBSTONE);
    buckets_of(endpoint, capacity).iter().any(is_free)
}

/// Endpoints that crowd into the first three buckets, so that entries are moved and refused.
fn crowd(capacity: u32) -> Vec<Endpoint> {
    let belongs = |endpoint: &Endpoint| buckets_of(endpoint, capacity).iter().filter(|&&bucket| bucket < 3).count();
    let (mut inside, mut across) = (Vec::new(), Vec::new());
    for endpoint in (0..).map(endpoint) {
        match belongs(&endpoint) {
            2 if inside.len() < 24 => inside.push(endpoint),
            1 if across.len() < 24 => across.push(endpoint),
            _ if inside.len() == 24 && (across.len() == 24 || capacity < 17) => break,
            _ => {}
        }
    }
    [inside, across].concat()
}

#[derive(Clone, Debug)]
enum Step {
    Set(usize, Entry),
    Remove(usize),
    /// Time goes on by so many ms.
    Wait(u64),
    Expire,
    FinishRefresh,
    /// The writer dies between two calls, and another takes over.
    Die,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rate = prop_oneof![Just(0), Just(10_000), 0u16..=10_000];
    let kind = prop_oneof![Just(Kind::Normal), Just(Kind::Probe), Just(Kind::Shielded)];
    let level = prop_oneof![Just(0), 0u16..=4_095];
    let entry = (rate, kind, level).prop_map(|(rate, kind, level)| Entry {
        pass_rate: Per10k::new(rate).unwrap(),
        kind,
        reject_level: RejectLevel::new(level).unwrap(),
    });
    let step = prop_oneof![
        12 => (0usize..48, entry).prop_map(|(which, entry)| Step::Set(which, entry)),
        3 => (0usize..48).prop_map(Step::Remove),
        1 => (0u64..EXPIRE_MS).prop_map(Step::Wait),
        1 => Just(Step::Expire),
        1 => Just(Step::FinishRefresh),
        1 => Just(Step::Die),
    ];
    prop::collection::vec(step, 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Given any calls of the writer, then after each of them every reader finds for every endpoint exactly what was
    /// set last and not taken out since. An endpoint is refused only if there is no room, and then its calls pass.
    #[test]
    fn readers_find_what_the_writer_set(
        capacity in prop::sample::select(vec![5u32, 16, 22, 40]),
        steps in steps(),
    ) {
        let pool = crowd(capacity);
        let segments = Segments::new(capacity);
        let mut expected = BTreeMap::<Endpoint, (Entry, u64)>::new();
        let (mut now_ms, mut refused, mut epoch) = (0, 0, 1);
        let mut beats = 0;
        segments.create(&mut Private::new(capacity));
        let table = segments.table();
        for life in steps.split(|step| matches!(step, Step::Die)) {
            let mut private = Private::new(capacity);
            let (mut writer, adopted) = segments.adopt(&mut private);
            epoch += 1;
            prop_assert_eq!(adopted, Adopted { entries: expected.len() as u32, ..Adopted::default() });
            prop_assert_eq!(table.active(), expected.len() as u64);
            for step in life {
                match step {
                    Step::Set(which, entry) => {
                        let endpoint = pool[which % pool.len()];
                        let had = expected.contains_key(&endpoint);
                        let could = expected.len() < capacity as usize && has_room(&table, &endpoint, capacity);
                        let change = writer.set(&endpoint, entry, COUNTS, now_ms);
                        let wanted = match (entry.passes_all(), had) {
                            (true, true) => Ok(Change::Removed),
                            (true, false) => Ok(Change::Nothing),
                            (false, true) => Ok(Change::Refreshed),
                            (false, false) => Ok(Change::Inserted),
                        };
                        if change != wanted {
                            prop_assert_eq!(change, Err(Status::TABLE_FULL));
                            prop_assert!(wanted == Ok(Change::Inserted) && !could, "refused without need");
                            refused += 1;
                        } else if entry.passes_all() {
                            expected.remove(&endpoint);
                        } else {
                            expected.insert(endpoint, (*entry, now_ms));
                        }
                    }
                    Step::Remove(which) => {
                        let endpoint = pool[which % pool.len()];
                        prop_assert_eq!(writer.remove(&endpoint), expected.remove(&endpoint).is_some());
                    }
                    Step::Wait(ms) => now_ms += ms,
                    Step::Expire => {
                        let before_ms = now_ms.saturating_sub(EXPIRE_MS);
                        let count = expected.len();
                        expected.retain(|_, (_, refreshed_ms)| *refreshed_ms >= before_ms);
                        prop_assert_eq!(writer.expire(before_ms) as usize, count - expected.len());
                    }
                    Step::FinishRefresh => {
                        writer.finish_refresh(now_ms);
                        beats += 1;
                        prop_assert_eq!(table.active(), expected.len() as u64);
                        prop_assert_eq!((table.refresh_seq(), table.refreshed_ms()), (beats, now_ms));
                    }
                    Step::Die => unreachable!("the steps are split there"),
                }
                for endpoint in &pool {
                    let wanted = expected.get(endpoint).map(|(entry, _)| *entry);
                    prop_assert_eq!(table.lookup(endpoint), wanted, "{:?}", step);
                }
                prop_assert_eq!((writer.len() as usize, writer.is_empty()), (expected.len(), expected.is_empty()));
                let entries: BTreeMap<_, _> = writer
                    .entries()
                    .map(|(record, entry)| (record.endpoint, (entry, record.refreshed_ms)))
                    .collect();
                prop_assert_eq!(&entries, &expected);
            }
        }
        let expected_diagnostics = Diagnostics {
            writer_epoch: epoch,
            writer_pid: 2,
            full_refusals: refused,
            moves: table.diagnostics().moves,
            ..Diagnostics::default()
        };
        prop_assert_eq!(table.diagnostics(), expected_diagnostics);
        prop_assert!(segments.records().iter().all(|record| record.counts == COUNTS));
    }
}

/// Given two full buckets, when an endpoint comes that belongs into both, then an entry of them is moved rather than
/// the endpoint refused; and a new writer finds the entries where they are.
#[test]
fn entries_make_room_for_others() {
    let capacity = 40;
    let segments = Segments::new(capacity);
    let belongs = |pair: [u64; 2]| (0..).map(endpoint).filter(move |endpoint| buckets_of(endpoint, capacity) == pair);
    let pool: Vec<Endpoint> =
        belongs([0, 1]).take(8).chain(belongs([2, 3]).take(8)).chain(belongs([0, 2]).take(3)).collect();
    let mut private = Private::new(capacity);
    let mut writer = segments.create(&mut private);
    for endpoint in &pool {
        assert_eq!(writer.set(endpoint, &entry(1), COUNTS, 0), Ok(Change::Inserted));
    }
    assert_eq!(segments.table().diagnostics().moves, 3);
    let mut private = Private::new(capacity);
    let (mut writer, adopted) = segments.adopt(&mut private);
    assert_eq!(adopted, Adopted { entries: 19, ..Adopted::default() });
    for endpoint in &pool {
        assert_eq!(segments.table().lookup(endpoint), Some(entry(1)));
        assert_eq!(writer.set(endpoint, &entry(2), COUNTS, 0), Ok(Change::Refreshed));
        assert_eq!(segments.table().lookup(endpoint), Some(entry(2)));
        assert!(writer.remove(endpoint));
        assert_eq!(segments.table().lookup(endpoint), None);
    }
}

/// Given a table for 250 000 endpoints, when so many differ from *pass all*, then none is refused, each is found, and a
/// new writer takes them all over.
#[test]
fn a_table_holds_as_many_entries_as_it_was_made_for() {
    let capacity = 250_000;
    let segments = Segments::new(capacity);
    let rate = |n: u64| entry((n % 10_000) as u16);
    let mut private = Private::new(capacity);
    let mut writer = segments.create(&mut private);
    for n in 0..u64::from(capacity) {
        assert_eq!(writer.set(&endpoint(n), &rate(n), COUNTS, 0), Ok(Change::Inserted), "entry {n}");
    }
    assert_eq!(writer.set(&endpoint(250_000), &rate(0), COUNTS, 0), Err(Status::TABLE_FULL));
    writer.finish_refresh(1);
    let mut private = Private::new(capacity);
    assert_eq!(segments.adopt(&mut private).1, Adopted { entries: capacity, ..Adopted::default() });
    let table = segments.table();
    assert_eq!(table.active(), u64::from(capacity));
    for n in 0..u64::from(capacity) {
        assert_eq!(table.lookup(&endpoint(n)), Some(rate(n)), "entry {n}");
    }
    let strangers = (300_000..400_000).filter(|&n| table.lookup(&endpoint(n)).is_some()).count();
    assert_eq!(strangers, 0, "one in ten thousand million is expected");
}

/// Endpoints that a reader cannot tell apart, in pairs.
fn twins() -> Vec<[Endpoint; 2]> {
    let fingerprint = |n: u64| Fingerprint::of(endpoint(n).hash(IDENTITY.seed)).with(0);
    let mut fingerprints: Vec<_> = (0..1_500_000).map(|n| (fingerprint(n), n)).collect();
    fingerprints.sort_unstable();
    let pairs = fingerprints.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    pairs.map(|pair| [pair[0].1, pair[1].1].map(endpoint)).collect()
}

/// Given two endpoints that a reader cannot tell apart, when one has an entry, then the other gets none, and the first
/// keeps what it has; when the first is taken out, the other may have one.
#[test]
fn an_endpoint_that_looks_like_another_gets_no_entry() {
    let [one, other] = *twins().first().expect("16 pairs are expected");
    // With two buckets all keys share both.
    let segments = Segments::new(4);
    let mut private = Private::new(4);
    let mut writer = segments.create(&mut private);
    assert_eq!(writer.set(&one, &entry(1), COUNTS, 0), Ok(Change::Inserted));
    assert_eq!(writer.set(&other, &entry(2), COUNTS, 0), Err(Status::KEY_COLLISION));
    assert!(!writer.remove(&other));
    assert_eq!(segments.table().lookup(&one), Some(entry(1)));
    assert_eq!((writer.len(), segments.table().diagnostics().collisions), (1, 1));
    assert!(writer.remove(&one));
    assert_eq!(writer.set(&other, &entry(2), COUNTS, 0), Ok(Change::Inserted));
    assert_eq!(segments.table().lookup(&other), Some(entry(2)));
}

/// Given two such endpoints, when the second bucket of one is the first of the other, then they are not let into the table both: an
/// entry that is moved later would stand where readers take it for the other's.
#[test]
fn an_endpoint_that_may_come_to_stand_beside_its_like_gets_no_entry() {
    let is_beside = |capacity: u32, one: &Endpoint, other: &Endpoint| {
        let (ones, others) = (buckets_of(one, capacity), buckets_of(other, capacity));
        ones[1] == others[0] && !others.contains(&ones[0])
    };
    let pairs = twins().into_iter().flat_map(|[one, other]| [[one, other], [other, one]]);
    let (capacity, [one, other]) = pairs
        .flat_map(|pair| (4..200).map(move |capacity| (capacity, pair)))
        .find(|(capacity, [one, other])| is_beside(*capacity, one, other))
        .expect("a third of the pairs are, in three buckets");
    for [one, other] in [[one, other], [other, one]] {
        let segments = Segments::new(capacity);
        let mut private = Private::new(capacity);
        let mut writer = segments.create(&mut private);
        assert_eq!(writer.set(&one, &entry(1), COUNTS, 0), Ok(Change::Inserted));
        assert_eq!(writer.set(&other, &entry(2), COUNTS, 0), Err(Status::KEY_COLLISION));
        let table = segments.table();
        assert_eq!((table.lookup(&one), table.diagnostics().collisions), (Some(entry(1)), 1));
        let slots = table.slots().filter(|&word| word > TOMBSTONE);
        assert_eq!(slots.map(|word| Fingerprint::of(one.hash(IDENTITY.seed)).owns(word)).collect::<Vec<_>>(), [true]);
    }
}

#[test]
fn a_table_is_made_only_of_enough_memory() {
    let create = |capacity: u32, table_len: usize, cold_len: usize, private: u32| {
        let (table, cold) = (memory(table_len), memory(cold_len));
        let mut private = Private::new(private);
        Writer::create(Shared::new(&table), Shared::new(&cold), private.memory(), capacity, IDENTITY).err()
    };
    let (table_len, cold_len) = (table::segment_len(100), cold::segment_len(100));
    let cases = [
        (100, table_len, cold_len, 100, None),
        (100, table_len + 4096, cold_len + 4096, 200, None),
        (0, table_len, cold_len, 100, Some(Status::INVALID_ARGUMENT)),
        (table::MAX_CAPACITY + 1, table_len, cold_len, 100, Some(Status::INVALID_ARGUMENT)),
        (100, table_len - 8, cold_len, 100, Some(Status::TOO_SMALL)),
        (100, table_len, cold_len - 8, 100, Some(Status::TOO_SMALL)),
        (100, table_len, cold_len, 90, Some(Status::TOO_SMALL)),
    ];
    for (capacity, table_len, cold_len, private, expected) in cases {
        assert_eq!(
            create(capacity, table_len, cold_len, private),
            expected,
            "{capacity} {table_len} {cold_len} {private}"
        );
    }
}

/// Given segments of two tables, or too little private memory, then a writer does not take them over.
#[test]
fn a_writer_adopts_only_what_belongs_together() {
    let (one, other, larger) = (Segments::new(8), Segments::new(8), Segments::new(80));
    one.create(&mut Private::new(8));
    let foreign = Identity { instance: 78, ..IDENTITY };
    let mut private = Private::new(8);
    let (table, cold) = (Shared::new(&other.table), Shared::new(&other.cold));
    Writer::create(table, cold, private.memory(), 8, foreign).unwrap();
    larger.create(&mut Private::new(80));
    let adopt = |table: &Segments, cold: &Segments, private: u32| {
        let mut private = Private::new(private);
        let (table, cold) = (Shared::new(&table.table), Shared::new(&cold.cold));
        Writer::adopt(table, cold, private.memory(), 2).err().map(|mismatch| mismatch.status)
    };
    assert_eq!(adopt(&one, &one, 8), None);
    assert_eq!(adopt(&one, &other, 8), Some(Status::SEGMENT_OTHER_LAYOUT));
    assert_eq!(adopt(&one, &larger, 80), Some(Status::SEGMENT_OTHER_LAYOUT));
    assert_eq!(adopt(&larger, &larger, 8), Some(Status::TOO_SMALL));
}

/// Given a table that its writer has superseded or closed, then readers who are attached see it, and no other attaches.
#[test]
fn a_table_says_when_it_should_no_longer_be_used() {
    let segments = Segments::new(4);
    let mut private = Private::new(4);
    let writer = segments.create(&mut private);
    let table = segments.table();
    for state in [State::Superseded, State::Closed, State::Ready] {
        writer.set_state(state);
        assert_eq!(table.state(), Some(state));
        let again = Table::attach(View::new(&segments.table), len_of(&segments.table)).err();
        let expected = if state == State::Ready { None } else { Some(Status::SEGMENT_NOT_READY) };
        assert_eq!(again.map(|mismatch| mismatch.status), expected);
    }
}
