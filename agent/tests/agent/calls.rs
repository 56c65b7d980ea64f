//! The whole way round: a process calls through its set of endpoints, the agent sees what the calls meet, and the set sends
//! the endpoint what the agent has published.

use std::sync::atomic::AtomicU64;

use mcrpc_agent::directory::Directory;
use mcrpc_core::admission::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::Uin;
use mcrpc_core::select::call::{Attempt, Call};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{Settings, Spec};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::table::Table;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use super::{Host, endpoint};

const ENDPOINTS: usize = 4;
/// Users, who each call once in a second.
const CALLS: u64 = 4_000;

/// A second of calls; of those to the first endpoint one in `fails_each` fails. How many it was sent.
fn call(host: &Host, set: &EndpointSet<'_>, cells: &FailBuckets<'_>, second: u64, fails_each: u64) -> u64 {
    let mapping = Directory::open(&host.path(), None).unwrap().map(Segment::Strategy).unwrap();
    let table = Table::attach(mapping.view(), mapping.len()).unwrap();
    let view = HostView { strategy: Some(&table), fail: Some(cells), control: None };
    let mut sent = 0;
    for uin in 1..=CALLS {
        let target = Target { service_id: 7, method_id: 0 };
        let mut call = Call::new(Uin(uin), second * CALLS + uin, Key(0), target, Nanos::NEVER);
        let choice = set.select(&mut call, Attempt::Next, &view, host.now).unwrap();
        sent += u64::from(choice.index == 0);
        let has_failed = choice.index == 0 && sent.is_multiple_of(fails_each);
        let outcome = if has_failed { Outcome::Failed } else { Outcome::Ok };
        set.report(&choice, outcome, NANOS_PER_MILLI, &view, host.now);
    }
    set.hand_over(&view);
    sent
}

#[test]
fn an_endpoint_that_fails_some_calls_is_sent_fewer_and_all_of_them_when_it_is_well() {
    let mut host = Host::generating("default");
    let segment = Directory::open(&host.path(), None).unwrap().map_writable(Segment::Fail).unwrap();
    let cells = FailBuckets::attach(segment.shared(), segment.len()).unwrap();
    let memory: Vec<AtomicU64> =
        (0..EndpointSet::memory_len(&Settings::DEFAULT).unwrap()).map(|_| AtomicU64::new(0)).collect();
    let set = EndpointSet::create(Shared::new(&memory), &Settings::DEFAULT).unwrap();
    let spec = |index: usize| Spec {
        endpoint: endpoint(index as u8),
        weight: 100,
        region: 0,
        zone: 0,
        group: 0,
        user_data: 0,
    };
    set.replace(ENDPOINTS, &spec, &[], &HostView { fail: Some(&cells), ..HostView::default() }).unwrap();

    // A twelfth is too little for the breaker, and 8.33 % for the generator.
    let mut sent = Vec::new();
    for (second, fails_each) in (0..).zip([12, 12, 12, 12, u64::MAX, u64::MAX]) {
        sent.push(call(&host, &set, &cells, second, fails_each));
        host.second();
    }
    assert!(sent[0] > CALLS / 8 && sent[1] == sent[0], "{sent:?}: the first totals say nothing yet");
    for sent_of_fewer in &sent[2..=4] {
        let share = *sent_of_fewer as f64 / sent[0] as f64;
        assert!((0.87..0.96).contains(&share), "{sent:?}");
    }
    assert_eq!(sent[5], sent[0]);
    assert_eq!(host.with(endpoint(0), |health| health.reading().shields), 0);
}
