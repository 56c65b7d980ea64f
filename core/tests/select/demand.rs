//! A server that is spared what it would refuse still has to know how much is wanted of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use mcrpc_core::admission::{Admission, Config, Key, Line, Request};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::Settings;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MICRO, NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

use super::{at, call, create, keyed, set_words, spec};

/// 800 requests a second can be served, and 1600 are wanted.
const WORKERS: usize = 8;
const SERVICE_NS: u64 = 10 * NANOS_PER_MILLI;
const APART_NS: u64 = 625 * NANOS_PER_MICRO;
const SECONDS: u64 = 12;
const HOLD_MS: u32 = 1_000;

/// What a client does with calls that the last cursor refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Client {
    SendsAll,
    Withholds,
    WithholdsAndSaysSo,
}

/// Workers behind a queue.
struct Server<'a> {
    admission: Admission<'a>,
    queue: VecDeque<Nanos>,
    /// Until when, and since when.
    running: BinaryHeap<Reverse<(Nanos, Nanos)>>,
}

impl Server<'_> {
    fn start_queued(&mut self, now: Nanos) {
        while self.running.len() < WORKERS
            && let Some(admitted_at) = self.queue.pop_front()
        {
            if self.admission.dequeued(0, admitted_at, Nanos::NEVER, now).is_ok() {
                self.running.push(Reverse((now.plus(SERVICE_NS), now)));
            }
        }
    }

    fn advance(&mut self, to: Nanos) {
        while let Some(&Reverse((done_at, started_at))) = self.running.peek().filter(|next| next.0.0 <= to) {
            self.running.pop();
            self.admission.done(0, started_at, done_at).unwrap();
            self.start_queued(done_at);
        }
    }

    fn offer(&mut self, key: Key, now: Nanos) -> Result<(), Status> {
        let request = Request { key, deadline: Nanos::NEVER, is_retry: false, continues_task: false, tenant: 0 };
        self.admission.admit(0, &request, now)?;
        self.queue.push_back(now);
        self.start_queued(now);
        Ok(())
    }
}

/// What comes of it after the first seconds.
#[derive(Debug)]
struct Outcomes {
    /// The share of all users whom the server's cursor admits, on the mean.
    admitted: f64,
    /// How far that is from its mean, on the mean.
    unrest: f64,
    sent_per_s: f64,
}

fn run(client: Client) -> Outcomes {
    let config = Config { workers_per_queue: WORKERS as u32, ..Config::DEFAULT };
    let mut lines: Vec<Line> =
        (0..Admission::memory_size(&config).unwrap().div_ceil(size_of::<Line>())).map(|_| Line::zeroed()).collect();
    let admission = Admission::new(&mut lines, &config, at(0)).unwrap();
    let mut server = Server { admission, queue: VecDeque::new(), running: BinaryHeap::new() };
    let memory = set_words(&Settings::DEFAULT);
    let (set, host): (EndpointSet<'_>, _) = (create(&memory, &Settings::DEFAULT), HostView::default());
    set.replace(1, &spec, &[], &host).unwrap();
    let key = |uin| Key::new(Salt(7), 0, Uin(uin), 0);
    let sample: Vec<Key> = (1..1_000).map(key).collect();
    let (mut samples, mut sent) = (vec![], 0);
    for uin in 1..SECONDS * NANOS_PER_SECOND / APART_NS {
        let now = at(0).plus(uin * APART_NS);
        server.advance(now);
        let counts = now.since(at(0)) >= SECONDS / 3 * NANOS_PER_SECOND;
        if counts && uin % 160 == 0 {
            let cursor = server.admission.cursor(0);
            samples.push(sample.iter().filter(|&&key| cursor.admits(key)).count() as f64 / sample.len() as f64);
        }
        let mut call = keyed(call(uin), key(uin));
        let Ok(choice) = set.select(&mut call, Attempt::Next, &host, now) else { continue };
        sent += u64::from(counts);
        if client == Client::WithholdsAndSaysSo {
            server.admission.withheld(0, choice.withheld.key, choice.withheld.count).unwrap();
        }
        let outcome = if server.offer(call.key, now).is_ok() { Outcome::Ok } else { Outcome::Overloaded };
        set.report(&choice, outcome, SERVICE_NS, &host, now);
        if client != Client::SendsAll {
            set.heard(&choice, server.admission.cursor(0), HOLD_MS, &host, now);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let admitted = mean(&samples);
    let unrest = mean(&samples.iter().map(|sample| (sample - admitted).abs()).collect::<Vec<f64>>());
    Outcomes { admitted, unrest, sent_per_s: sent as f64 / (SECONDS * 2 / 3) as f64 }
}

/// Given a client that withholds and says so, then the server's cursor is where it would be if all were sent, and half as much
/// is. Without a word the cursor opens, and the load comes back.
#[test]
fn a_server_that_is_told_what_was_withheld_keeps_its_cursor() {
    let [sends_all, says_so, silent] = [Client::SendsAll, Client::WithholdsAndSaysSo, Client::Withholds].map(run);
    assert!((sends_all.admitted - 0.5).abs() < 0.05, "{sends_all:?}");
    assert!((says_so.admitted - sends_all.admitted).abs() < 0.03, "{says_so:?}, {sends_all:?}");
    assert!(says_so.unrest < 0.05, "{says_so:?}, {sends_all:?}");
    assert!(says_so.sent_per_s < 0.6 * sends_all.sent_per_s, "{says_so:?}, {sends_all:?}");
    let error = (silent.admitted - sends_all.admitted).abs() + silent.unrest;
    assert!(error > 0.1, "without the report nothing would be wrong: {silent:?}, {sends_all:?}");
}
