//! Two processes of one host that call the same machines: some fail, some are overloaded, and come back.

use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use mcrpc_core::admission::{Cursor, Key};
use mcrpc_core::host::control::Target;
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::call::{Attempt, Call, Choice};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{Settings, Spec, ZoneStrategy};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::{NANOS_PER_MICRO, NANOS_PER_MILLI, Nanos};

use crate::trace::{Random, Trace};

const MACHINES: usize = 20;
const PROCESSES: usize = 2;
const CALLS: u64 = 40_000;
const MEAN_GAP_NS: u64 = 500 * NANOS_PER_MICRO;
/// Calls between two hand-overs of what was counted.
const HAND_OVER_EACH: u64 = 400;
const HOLD_MS: u32 = 200;
const HOST_CAPACITY: u32 = 64;

fn words(len: usize) -> Vec<AtomicU64> {
    (0..len).map(|_| AtomicU64::new(0)).collect()
}

fn spec(n: usize) -> Spec {
    let endpoint = Endpoint { address: 0xffff_0a00_0000 + n as u128, port: 80, service_id: 1 };
    let (weight, zone) = (50 + 10 * n as u16, (n % 4) as u16 + 1);
    Spec { endpoint, weight, region: 1, zone, group: 0, user_data: n as u64 }
}

/// What a machine does with a request: number 4 is dead from the third second to the ninth, then the network loses a part of
/// everything for a second, and from the twelfth on number 8 serves half of its users. Number 12 fails now and then.
fn meets(machine: u32, now_ms: u64, key: Key, random: &mut Random) -> Outcome {
    match (machine, now_ms / 1_000) {
        (4, 3..=8) => Outcome::Failed,
        (_, 10) if random.percent(40) => Outcome::Failed,
        (8, 12..) if !overloaded_cursor().admits(key) => Outcome::Overloaded,
        (12, _) if random.percent(10) => Outcome::Failed,
        _ if random.percent(1) => Outcome::Logic,
        _ => Outcome::Ok,
    }
}

fn overloaded_cursor() -> Cursor {
    Cursor::within(0, 64, 0)
}

struct Client<'w, 'a> {
    set: EndpointSet<'a>,
    host: HostView<'w, 'a>,
}

impl Client<'_, '_> {
    /// A call and its further attempts, answered at once.
    fn call(&self, mut call: Call, now: Nanos, random: &mut Random, trace: &mut Trace) {
        loop {
            let choice = self.set.select(&mut call, Attempt::Next, &self.host, now);
            trace.decision(&choice, chosen);
            let Ok(choice) = choice else { return };
            let outcome = meets(choice.index, now.0 / NANOS_PER_MILLI, call.key, random);
            self.set.report(&choice, outcome, NANOS_PER_MILLI, &self.host, now);
            if outcome == Outcome::Overloaded {
                self.set.heard(&choice, overloaded_cursor(), HOLD_MS, &self.host, now);
            }
            if !outcome.is_retriable() {
                return;
            }
        }
    }
}

fn chosen(choice: &Choice) -> u64 {
    u64::from(choice.index) | u64::from(choice.is_probe) << 32 | u64::from(choice.withheld.count) << 33
}

/// Every choice, and at the end why calls were not sent.
pub fn run() -> Trace {
    let settings = Settings { zone_strategy: ZoneStrategy::ZoneFirst, region: 1, zone: 1, ..Settings::DEFAULT };
    let segment = words(fail::segment_len(HOST_CAPACITY) / 8);
    fail::create(Shared::new(&segment), HOST_CAPACITY, 1, 2).unwrap();
    let buckets = FailBuckets::attach(Shared::new(&segment), size_of_val(segment.as_slice()) as u64).unwrap();
    let host = HostView { fail: Some(&buckets), ..HostView::default() };
    let memories = [(); PROCESSES].map(|()| words(EndpointSet::memory_len(&settings).unwrap()));
    let clients = memories.each_ref().map(|memory| {
        let set = EndpointSet::create(Shared::new(memory), &settings).unwrap();
        set.replace(MACHINES, &spec, &[], &host).unwrap();
        Client { set, host }
    });
    let (mut random, mut trace, mut now) = (Random(1), Trace::new(), Nanos(0));
    let target = Target { service_id: 1, method_id: 1 };
    for call_id in 1..=CALLS {
        now = now.plus(random.exponential(MEAN_GAP_NS));
        let uin = Uin(random.below(5_000) + 1);
        let call = Call::new(uin, call_id, Key::new(Salt(3), 0, uin, 0), target, now.plus(500 * NANOS_PER_MILLI));
        clients[random.below(PROCESSES as u64) as usize].call(call, now, &mut random, &mut trace);
        if call_id % HAND_OVER_EACH == 0 {
            clients.iter().for_each(|client| client.set.hand_over(&host));
        }
    }
    for client in &clients {
        for decision in Decision::ALL {
            trace.word(client.set.decisions(decision));
        }
    }
    trace
}
