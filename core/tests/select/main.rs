//! Choosing an endpoint, as a client sees it: one module per question. The clock is stepped, and all segments are memory of
//! the test's own.

mod budget;
mod cap;
mod corners;
mod damage;
mod demand;
mod explain;
mod fast_reject;
mod fleet;
mod groups;
mod operator;
mod outage;
mod pass_rate;
mod replace;
mod ring;
mod walk;
mod zones;

use std::sync::atomic::AtomicU64;

use mcrpc_core::admission::Key;
use mcrpc_core::host::control::{self, Author, Control, Operator, Target};
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::select::call::{Attempt, Call, Choice};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{Settings, Spec};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::{self, Counts};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::Entry;
use mcrpc_core::strategy::table::{self, Table};
use mcrpc_core::strategy::writer::{FILTER_WORDS, Identity, Memory, Writer, slot_count};
use mcrpc_core::time::Nanos;

/// The host has room for so many endpoints.
const HOST_CAPACITY: u32 = 400;
const TARGET: Target = Target { service_id: 1, method_id: 1 };
const AUTHOR: Author = Author { uid: 1, at_s: 2 };
/// A call takes so long.
const TOOK_NS: u64 = 1_000_000;

type Words = Vec<AtomicU64>;

/// Zeroed words.
fn words(len: usize) -> Words {
    (0..len).map(|_| AtomicU64::new(0)).collect()
}

fn len_of(words: &[AtomicU64]) -> u64 {
    size_of_val(words) as u64
}

/// A point in time, in milliseconds.
fn at(ms: u64) -> Nanos {
    Nanos::from_millis(1_000_000 + ms)
}

fn percent(percent: u16) -> Per10k {
    Per10k::new(percent * 100).unwrap()
}

fn endpoint(n: usize) -> Endpoint {
    Endpoint { address: 0xFFFF_0A00_0000 + n as u128, port: 80, service_id: 1 }
}

/// An endpoint like any other.
fn spec(n: usize) -> Spec {
    Spec { endpoint: endpoint(n), weight: 100, region: 0, zone: 0, group: 0, user_data: n as u64 }
}

fn call(uin: u64) -> Call {
    call_with(uin, uin)
}

fn call_with(uin: u64, call_id: u64) -> Call {
    Call::new(Uin(uin), call_id, Key(5), TARGET, Nanos::NEVER)
}

fn keyed(call: Call, key: Key) -> Call {
    Call::new(call.uin, call.call_id, key, call.target, call.deadline)
}

/// Memory of a set.
fn set_words(settings: &Settings) -> Words {
    words(EndpointSet::memory_len(settings).unwrap())
}

fn create<'a>(words: &'a [AtomicU64], settings: &Settings) -> EndpointSet<'a> {
    EndpointSet::create(Shared::new(words), settings).unwrap()
}

/// The segments of a host.
struct Segments {
    fail: Words,
    control: Words,
    strategy: Words,
}

impl Segments {
    /// With these entries in the strategy's table.
    fn new(entries: &[(Endpoint, Entry)]) -> Segments {
        let fail = words(fail::segment_len(HOST_CAPACITY) / 8);
        fail::create(Shared::new(&fail), HOST_CAPACITY, 1, 2).unwrap();
        let control = words(control::SEGMENT_LEN / 8);
        control::create(Shared::new(&control), 3, 4, Salt(5)).unwrap();
        Segments { fail, control, strategy: strategy(entries) }
    }

    fn attach(&self) -> Host<'_> {
        let operator = Operator::attach(Shared::new(&self.control), len_of(&self.control)).unwrap();
        Host {
            fail: FailBuckets::attach(Shared::new(&self.fail), len_of(&self.fail)).unwrap(),
            control: operator.control(),
            operator,
            strategy: Table::attach(View::new(&self.strategy), len_of(&self.strategy)).unwrap(),
        }
    }
}

fn strategy(entries: &[(Endpoint, Entry)]) -> Words {
    const CAPACITY: u32 = 100;
    let segments = [table::segment_len(CAPACITY), cold::segment_len(CAPACITY)].map(|len| words(len / 8));
    let (mut slots, mut records) = (vec![0; slot_count(CAPACITY)], vec![0; CAPACITY as usize]);
    let mut filter = vec![0; FILTER_WORDS];
    let memory = Memory { slots: &mut slots, records: &mut records, filter: &mut filter };
    let [table, cold] = segments.each_ref().map(|words| Shared::new(words));
    let identity = Identity { seed: 5, instance: 6, pid: 7 };
    let mut writer = Writer::create(table, cold, memory, CAPACITY, identity).unwrap();
    for (endpoint, entry) in entries {
        writer.set(endpoint, entry, Counts::default(), 0).unwrap();
    }
    writer.open();
    let [table, _] = segments;
    table
}

/// The segments, as a process has attached them.
struct Host<'a> {
    fail: FailBuckets<'a>,
    control: Control<'a>,
    operator: Operator<'a>,
    strategy: Table<'a>,
}

impl<'a> Host<'a> {
    fn view(&self) -> HostView<'_, 'a> {
        HostView { fail: Some(&self.fail), control: Some(&self.control), strategy: Some(&self.strategy) }
    }
}

/// The next attempt of a call, and what it meets.
fn attempt<'a>(
    set: &EndpointSet<'a>,
    call: &mut Call,
    host: &HostView<'_, 'a>,
    now: Nanos,
    meets: impl FnOnce(&Choice) -> Outcome,
) -> Result<(Choice, Outcome), Status> {
    let choice = set.select(call, Attempt::Next, host, now)?;
    let outcome = meets(&choice);
    set.report(&choice, outcome, TOOK_NS, host, now);
    Ok((choice, outcome))
}

/// To whom the first attempts of these users go.
fn owners<'a>(set: &EndpointSet<'a>, host: &HostView<'_, 'a>, users: std::ops::Range<u64>) -> Vec<Option<u64>> {
    let owner = |uin| set.select(&mut call(uin), Attempt::Next, host, at(0)).ok().map(|choice| choice.user_data);
    users.map(owner).collect()
}
