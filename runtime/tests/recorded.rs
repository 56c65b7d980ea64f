//! What a server and a client tell their host, for tools that read its shared memory: what admission does, where the calls of dyed
//! users go, and what was decided of each request.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::{Builder, Config};
use mcrpc::{Client, Failure, Host, Request, Server, Status};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::mapping::Mapping;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::admission::record::{DecisionRecord, TRACE_KIND};
use mcrpc_core::admission::{Config as Admission, Cursor, Mode};
use mcrpc_core::host::control::{Author, Operator};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::seat::{Occupant, QueueReport};
use mcrpc_core::host::stat::Counters;
use mcrpc_core::host::trace::{Read, Record, Traces};
use mcrpc_core::id::Uin;
use mcrpc_core::status::Refusal;
use support::{Caller, request};

const DYED: u64 = 7;

/// A host with its agent's files, as tools see it.
struct Seen {
    _agent: Publisher,
    dir: tempfile::TempDir,
    stat: Mapping,
    trace: Mapping,
}

impl Seen {
    fn new() -> Seen {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { capacity: 100, seats: 4, counters: 64, trace_cells: 65_536, ..Settings::DEFAULT };
        let agent = Publisher::open(&dir.path().join("host"), settings).unwrap().0;
        let directory = Directory::open(&dir.path().join("host"), None).unwrap();
        let (stat, trace) = (directory.map(Segment::Stat).unwrap(), directory.map(Segment::Trace).unwrap());
        Seen { _agent: agent, dir, stat, trace }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("host")
    }

    /// As one process of it.
    fn host(&self) -> Arc<Host> {
        Arc::new(Host::new(self.path()))
    }

    fn occupants(&self) -> Vec<Occupant> {
        let counters = Counters::attach(self.stat.view(), self.stat.len()).unwrap();
        (1..=counters.seat_count()).filter_map(|seat| counters.occupant(seat)).collect()
    }

    /// What the only server reports.
    fn report(&self) -> Option<QueueReport> {
        self.occupants().into_iter().map(|occupant| occupant.queue).find(|queue| queue.reported_ns != 0)
    }

    /// All records of all rings, in the order of their times.
    fn records(&self) -> Vec<Record> {
        let traces = Traces::attach(self.trace.view(), self.trace.len()).unwrap();
        let mut all = Vec::new();
        for seat in 0..=traces.seat_count() {
            let (ring, mut at, mut record) = (traces.ring(seat), 0, Record::default());
            loop {
                match ring.read(at, &mut record) {
                    Read::Record { next } => {
                        all.push(record.clone());
                        at = next;
                    }
                    Read::Lost { .. } => panic!("seat {seat} has lost what was at {at}"),
                    Read::Pending | Read::End => break,
                }
            }
        }
        all.sort_by_key(|record| record.time);
        all
    }

    /// The lines of dyed users' trails.
    fn lines(&self) -> Vec<String> {
        let lines = self.records().into_iter().filter(|record| record.kind != TRACE_KIND);
        lines.map(|record| String::from_utf8(record.data().to_vec()).unwrap()).collect()
    }

    /// The same, when all that was received is answered.
    fn settled_lines(&self) -> Vec<String> {
        let count = |lines: &[String], step| lines.iter().filter(|line| line.starts_with(step)).count();
        until("all is written", || Some(self.lines()).filter(|lines| count(lines, "T0") == count(lines, "T4")))
    }

    fn decisions(&self) -> Vec<DecisionRecord> {
        let records = self.records().into_iter().filter(|record| record.kind == TRACE_KIND);
        records.map(|record| DecisionRecord::from_bytes(record.data()).unwrap()).collect()
    }

    fn dye(&self, uin: u64) {
        operate(&self.path(), |operator| {
            operator.dye(Uin(uin), None, mcrpc::clock::now(), Author { uid: 0, at_s: 0 }).unwrap();
        });
    }
}

fn operate<R>(dir: &Path, say: impl FnOnce(&Operator<'_>) -> R) -> R {
    let mapping = Directory::open(dir, None).unwrap().map_writable(Segment::Control).unwrap();
    say(&Operator::attach(mapping.shared(), mapping.len()).unwrap())
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < support::PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One worker that takes 5 ms for a request.
const SLOW: &str = "t.T.Slow";

fn slow_server(config: Config) -> Builder {
    let config = Config { workers: 1, coroutines_per_worker: 1, ..config };
    Server::builder().listen("127.0.0.1:0").config(config).method(SLOW, |_| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Bytes::new())
    })
}

/// Forty requests of a user at once, of which a worker does twenty in what is the most that one may wait; their statuses.
fn burst(caller: &mut Caller, uin: u64) -> Vec<Status> {
    for call_id in 1..=40 {
        let mut header = request(SLOW, call_id);
        header.uin = uin;
        caller.call(&header, b"");
    }
    (0..40).map(|_| caller.answer().status()).collect()
}

fn refused(report: &QueueReport) -> u64 {
    report.refused.iter().sum()
}

/// What `/admission` says of asynchronous methods, if it says this of them.
fn as_the_page_says_it(report: &QueueReport) -> String {
    let mode = ["off", "observe", "enforce"][report.mode as usize];
    let state = if report.shedding != 0 { "sheds load" } else { "admits all" };
    let capacity = match report.capacity_mrps {
        0 => "not known yet".to_owned(),
        mrps => format!("{:.1}/s", mrps as f64 / 1e3),
    };
    let cursor = match report.cursor {
        cursor if cursor == u64::from(Cursor::OPEN.0) => "open".to_owned(),
        cursor => format!("{cursor:#010x}"),
    };
    let mut text = format!(
        "async: {mode}, {state}\n  demand {:.1}/s, capacity {capacity}, cursor {cursor}\n  \
         queued {}, running {}, admitted {}, completed {}\n",
        report.demand_mrps as f64 / 1e3,
        report.queued,
        report.running,
        report.admitted,
        report.completed
    );
    for reason in Refusal::ALL {
        let (refused, would_be) = (report.refused[reason as usize], report.would_refuse[reason as usize]);
        if refused + would_be > 0 {
            let name = reason.status().description().unwrap().name.get().to_str().unwrap();
            text += &format!("  refused {name}: {refused} ({would_be} more only observed)\n");
        }
    }
    text
}

#[test]
fn given_a_server_under_overload_then_its_seat_says_what_its_own_page_says() {
    let seen = Seen::new();
    let server = slow_server(Config::default()).host(seen.host()).start().unwrap();
    let mut caller = Caller::of(&server);
    let worst = until("load is shed", || {
        burst(&mut caller, 1);
        let report = seen.report().filter(|report| refused(report) > 0 && report.shedding == 1)?;
        (report.capacity_mrps > 0 && report.demand_mrps > report.capacity_mrps).then_some(report)
    });
    assert_eq!((worst.mode, worst.gate.unwrap().workers), (2, 1));
    until("it has a queue", || {
        (1..=40).for_each(|call_id| caller.call(&request(SLOW, call_id), b""));
        let queued = seen.report().unwrap().queued;
        (0..40).for_each(|_| _ = caller.answer());
        (queued > 0).then_some(())
    });
    let page = || support::get(&server, "GET /admission HTTP/1.1\r\n\r\n");
    until("both say the same", || page().contains(&as_the_page_says_it(&seen.report()?)).then_some(()));
    let report = seen.report().unwrap();
    assert_eq!((report.queued, report.running, report.admitted), (0, 0, report.completed));

    server.drain();
    assert_eq!(seen.report(), None, "a server that has ended has no admission");
}

#[test]
fn given_a_server_with_several_kinds_of_methods_then_its_seat_counts_all_and_shows_the_one_under_pressure() {
    let seen = Seen::new();
    let server = slow_server(Config { blocking_workers: 1, ..Config::default() })
        .inline_method("t.T.Inline", |_, _| Ok(()))
        .blocking_method("t.T.Blocking", |_| Ok(Bytes::new()))
        .host(seen.host())
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    for (call_id, method) in [(1, "t.T.Inline"), (2, "t.T.Inline"), (3, "t.T.Blocking"), (4, SLOW)] {
        caller.call(&request(method, call_id), b"");
        assert_eq!(caller.answer().status(), Status::OK);
    }
    until("all are counted", || seen.report().filter(|report| (report.admitted, report.completed) == (4, 4)));
    let report = until("the asynchronous methods shed load", || {
        burst(&mut caller, 1);
        seen.report().filter(|report| report.shedding == 1)
    });
    assert!(report.demand_mrps > 10_000, "{report:?}");
}

#[test]
fn given_a_dyed_user_then_its_calls_leave_a_trail_in_client_and_server_and_those_of_others_none() {
    let seen = Seen::new();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, blocking_workers: 1, ..Config::default() })
        .host(seen.host())
        .inline_method("t.T.Inline", |_, _| Ok(()))
        .blocking_method("t.T.Blocking", |_| Ok(Bytes::new()))
        .method("t.T.Async", |_: Request| async { Err(Failure::of_service(77, "no")) })
        .start()
        .unwrap();
    let address = server.addresses()[0].to_string();
    let client = Client::builder("test").host(seen.host()).service("T", [address.clone()]).build().unwrap();
    let call = |method: &str, uin| client.call("T", method, "").uin(uin).wait().map(drop);
    call("t.T.Inline", DYED).unwrap();
    assert_eq!(seen.lines(), Vec::<String>::new(), "nobody is dyed");
    seen.dye(DYED);
    until("the server knows", || {
        call("t.T.Inline", DYED).unwrap();
        seen.lines().iter().any(|line| line.starts_with("T4")).then_some(())
    });
    for (method, ended) in [("t.T.Inline", "ok"), ("t.T.Blocking", "ok"), ("t.T.Async", "own")] {
        let before = seen.settled_lines().len();
        assert_eq!(call(method, DYED).is_ok(), ended == "ok");
        call(method, DYED + 1).ok();
        let lines = seen.settled_lines().split_off(before);
        let steps: Vec<String> = lines.iter().map(|line| line.split(" t.T.").next().unwrap().to_owned()).collect();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        steps.into_iter().for_each(|step| if step.starts_with('T') { theirs.push(step) } else { ours.push(step) });
        assert_eq!(theirs, ["T0 received", "T1 admitted", "T2 taken", "T3 answered", "T4 written"], "{lines:#?}");
        assert_eq!(ours, ["calls T", "hears T"], "{lines:#?}");
        let of = |step: &str| lines.iter().find(|line| line.starts_with(step)).unwrap();
        assert!(lines.iter().all(|line| line.contains(&format!("{method} uin={DYED} "))), "{lines:#?}");
        assert!(of("T0").contains(" from=test priority=0 "), "{lines:#?}");
        assert!(of("T1").contains(" queued=") && of("T2").contains(" waited_us="), "{lines:#?}");
        assert!(of("T3").contains(&format!(" status={ended} ")), "{lines:#?}");
        assert!(of("calls").contains(&format!(" attempt=1 to={address} ")), "{lines:#?}");
        assert!(of("hears").contains(&format!(" attempt=1 status={ended} ")), "{lines:#?}");
    }
    operate(&seen.path(), |operator| assert!(operator.undye(Uin(DYED))));
    let before = seen.settled_lines().len();
    call("t.T.Inline", DYED).unwrap();
    assert_eq!(seen.lines().len(), before, "it is dyed no more");
}

#[test]
fn given_a_dyed_user_whose_call_is_refused_then_its_trail_says_why() {
    let seen = Seen::new();
    seen.dye(DYED);
    let server = slow_server(Config::default()).host(seen.host()).start().unwrap();
    let mut caller = Caller::of(&server);
    until("some are refused", || burst(&mut caller, DYED).iter().any(|status| !status.is_ok()).then_some(()));
    let refused = until("it is said why", || seen.lines().into_iter().find(|line| line.starts_with("T1 refused")));
    assert!(refused.contains("t.T.Slow uin=7 call=") && refused.contains(" status="), "{refused}");

    let client = Client::builder("test").host(seen.host()).service("T", ["127.0.0.1:1"]).build().unwrap();
    client.call("T", SLOW, "").uin(DYED).wait().unwrap_err();
    let lines = seen.lines();
    assert!(lines.iter().any(|line| line.starts_with("hears T") && line.contains("status=connect_failed")));
    assert!(lines.iter().any(|line| line.starts_with("gives up T t.T.Slow uin=7 status=")), "{lines:#?}");
}

#[test]
fn given_a_server_that_records_decisions_then_there_is_one_record_for_each_request_with_what_became_of_it() {
    let seen = Seen::new();
    let settings = seen.dir.path().join("server.toml");
    std::fs::write(&settings, "[server]\nrecord_decisions = true\n").unwrap();
    let server = slow_server(Config::default()).config_file(&settings).host(seen.host()).start().unwrap();
    let mut caller = Caller::of(&server);
    let (mut answers, mut ran) = (0, 0);
    until("some are refused on arrival", || {
        let statuses = burst(&mut caller, 3);
        answers += statuses.len();
        ran += statuses.iter().filter(|status| status.is_ok()).count();
        (ran < answers).then_some(())
    });
    until("all are recorded", || (seen.decisions().len() == answers).then_some(()));
    let decisions = seen.decisions();
    assert_eq!(decisions.iter().filter(|decision| decision.decision.is_ok()).count(), ran);
    for decision in &decisions {
        assert_eq!((decision.uin, decision.queue, decision.workers), (Uin(3), 0, 1));
        assert_eq!(decision.decision.is_ok(), decision.service_us >= 5_000, "{decision:?}");
        assert!(!decision.is_observed && decision.arrived <= mcrpc::clock::now());
    }
    assert!(decisions.iter().any(|decision| decision.decision.is_ok() && decision.wait_us >= 5_000));
    until("as many are counted", || seen.report().filter(|report| report.admitted + refused(report) == answers as u64));

    std::fs::write(&settings, "[server]\n").unwrap();
    until("no more are recorded", || {
        let before = seen.decisions().len();
        caller.call(&request(SLOW, 1), b"");
        caller.answer();
        (seen.decisions().len() == before).then_some(())
    });
}

#[test]
fn given_requests_that_leave_the_queue_or_are_refused_early_then_each_has_one_record_too() {
    let seen = Seen::new();
    let admission = Admission { mode: Mode::Off, ..Admission::DEFAULT };
    let config = Config { queue_limit: 2, admission, record_decisions: true, ..Config::default() };
    let server = slow_server(config).host(seen.host()).start().unwrap();
    let mut caller = Caller::of(&server);
    let statuses = burst(&mut caller, 3);
    let full = statuses.iter().filter(|status| **status == Status::QUEUE_FULL).count();
    assert!(full > 0);
    until("all are recorded", || (seen.decisions().len() == statuses.len()).then_some(()));
    let of_full = seen.decisions().into_iter().filter(|decision| decision.decision == Status::QUEUE_FULL);
    assert_eq!(of_full.inspect(|decision| assert_eq!(decision.service_us, 0)).count(), full);

    let seen = Seen::new();
    let config = Config { record_decisions: true, ..Config::default() };
    let server = slow_server(config).host(seen.host()).start().unwrap();
    let mut caller = Caller::of(&server);
    let (mut answers, mut uin) = (0, 100);
    until("a request is refused by its header", || {
        answers += burst(&mut caller, 3).len();
        (1..=40).for_each(|call_id| caller.call(&request(SLOW, call_id), b""));
        uin += 1;
        let header = mcrpc_core::wire::Header { uin, priority: 63, ..request(SLOW, 1) };
        let whole = support::frame(&header, &[0; 100]);
        let (head, body) = whole.split_at(mcrpc_core::wire::HEADER_LEN);
        let mut other = Caller::of(&server);
        other.send(head);
        // Its thread has read it when it has answered somebody who came later.
        let mut later = Caller::of(&server);
        later.call(&request("t.T.Nothing", 1), b"");
        assert_eq!(later.answer().status(), Status::NO_METHOD);
        other.send(body);
        answers += 41;
        (0..40).for_each(|_| _ = caller.answer());
        (other.answer().status() == Status::BELOW_CURSOR).then_some(())
    });
    until("all are recorded", || (seen.decisions().len() == answers).then_some(()));
}

#[test]
fn given_a_server_that_only_observes_then_its_records_say_what_it_would_have_refused() {
    let seen = Seen::new();
    let admission = Admission { mode: Mode::Observe, ..Admission::DEFAULT };
    let config = Config { admission, record_decisions: true, ..Config::default() };
    let server = slow_server(config).host(seen.host()).start().unwrap();
    let mut caller = Caller::of(&server);
    let mut answers = 0;
    let report = until("some would be refused", || {
        answers += burst(&mut caller, 3).len();
        seen.report().filter(|report| report.would_refuse.iter().sum::<u64>() > 0)
    });
    assert_eq!(refused(&report), 0);
    until("all are recorded", || (seen.decisions().len() == answers).then_some(()));
    let would_be: u64 = until("all are told", || {
        seen.report().filter(|report| report.completed == answers as u64).map(|report| report.would_refuse)
    })
    .iter()
    .sum();
    let observed = seen.decisions().iter().filter(|decision| decision.is_observed).count();
    assert!(observed > 0 && observed as u64 <= would_be, "{observed} records of {would_be}");
    assert!(seen.decisions().iter().all(|decision| decision.is_observed != decision.decision.is_ok()));
}
