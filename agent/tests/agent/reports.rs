//! Processes that cannot use the shared memory send what their calls met, over a real socket, and hear what is in force.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as Name, UnixDatagram};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use mcrpc_agent::agent::Sources;
use mcrpc_agent::directory::Directory;
use mcrpc_agent::file::StrategiesFile;
use mcrpc_agent::reports::socket::{MAX_LEN, Reports, socket_of};
use mcrpc_core::admission::Cursor;
use mcrpc_core::host::control::{Author, Operator};
use mcrpc_core::host::files::Segment;
use mcrpc_core::shield::breaker::State;
use mcrpc_core::shield::outcome::Outcome;
use tokio::runtime::{Builder, Runtime};

use super::{Host, RULES, endpoint, generating};

/// A host whose agent takes reports.
struct Taking {
    host: Host,
    reports: Reports,
    runtime: Runtime,
}

impl Taking {
    fn new(sources: Sources) -> Taking {
        let host = Host::new(sources);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let reports = {
            let _entered = runtime.enter();
            Reports::open(&host.path(), 0o660).unwrap()
        };
        Taking { host, reports, runtime }
    }

    fn process(&self) -> Process {
        let socket = UnixDatagram::bind_addr(&Name::from_abstract_name(new_name()).unwrap()).unwrap();
        socket.connect(socket_of(&self.host.path())).unwrap();
        Process(socket)
    }

    /// The agent takes what was sent.
    fn take(&mut self) {
        let now = self.host.now;
        let (datagram, sender) = self.runtime.block_on(self.reports.next()).unwrap();
        let datagram = datagram.to_vec();
        let answer = self.host.agent().reported(&datagram, sender.as_ref(), now);
        sender.iter().for_each(|sender| self.reports.answer(&answer, sender));
    }

    /// A process reports; the answer.
    fn report(&mut self, process: &Process, text: &str) -> String {
        process.0.send(text.as_bytes()).unwrap();
        self.take();
        process.answer()
    }

    fn calls(&self, last: u8) -> [u64; 4] {
        self.host.with(endpoint(last), |health| health.reading().totals.calls)
    }
}

struct Process(UnixDatagram);

impl Process {
    fn answer(&self) -> String {
        let mut bytes = vec![0; 1 << 16];
        let len = self.0.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }
}

/// A name that no other test has.
fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("mcrpc-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}

#[test]
fn what_is_reported_counts_like_what_is_handed_over_and_lowers_the_pass_rate() {
    let mut world = Taking::new(generating("default"));
    let process = world.process();
    let healthy = "10.0.0.1:80 service=7 pass=100% level=0 kind=normal\n";
    assert_eq!(world.report(&process, "10.0.0.1:80 service=7 # a question"), healthy);
    world.host.second();
    for _ in 0..5 {
        assert_eq!(world.report(&process, "10.0.0.1:80 service=7 ok=17 logic=1 failed=2 time_us=2000"), healthy);
    }
    assert_eq!(world.calls(1), [85, 5, 10, 0]);
    world.host.with(endpoint(1), |health| assert_eq!(health.reading().totals.time_us, 10_000));
    world.host.second();
    assert_eq!(world.host.pass_rate(endpoint(1)), 9_000);
    let answer = world.report(&process, "10.0.0.1:80 service=7");
    assert_eq!(answer, "10.0.0.1:80 service=7 pass=90% level=0 kind=normal\n");
}

#[test]
fn one_report_shields_an_endpoint_for_everybody_if_a_process_of_its_calls_would() {
    for (met, is_shielded) in [
        ("ok=0 failed=6", true),
        ("ok=11 failed=11", true),
        ("ok=200 failed=100", true),
        ("ok=0 failed=5", false),
        ("ok=900 failed=100", false),
        ("ok=1000000 failed=50000", false),
        ("ok=0 logic=500 overloaded=500", false),
    ] {
        let mut world = Taking::new(Sources::default());
        let process = world.process();
        let answer = world.report(&process, &format!("10.0.0.1:80 service=7 {met}"));
        let kind = if is_shielded { "pass=0% level=0 kind=shielded" } else { "pass=100% level=0 kind=normal" };
        assert_eq!(answer, format!("10.0.0.1:80 service=7 {kind}\n"), "{met}");
        assert_eq!(matches!(world.host.state(endpoint(1)), State::Shielded { .. }), is_shielded, "{met}");
    }
}

#[test]
fn the_probe_of_a_shielded_endpoint_is_given_to_one_process_whose_report_settles_it() {
    let mut world = Taking::new(Sources::default());
    let (first, second) = (world.process(), world.process());
    let line = |met: &str| format!("10.0.0.1:80 service=7 {met}");
    assert!(world.report(&first, &line("failed=9")).ends_with("kind=shielded\n"));
    world.host.second();
    assert!(world.report(&first, &line("")).ends_with("pass=0% level=0 kind=probe\n"));
    assert!(world.report(&second, &line("")).ends_with("kind=shielded\n"), "only one is given it");
    assert!(world.report(&second, &line("failed=1")).ends_with("kind=shielded\n"));
    assert_eq!(world.host.state(endpoint(1)), State::Probing, "a call that was on its way settles nothing");
    assert!(world.report(&first, &line("failed=1")).ends_with("kind=shielded\n"));
    assert!(matches!(world.host.state(endpoint(1)), State::Shielded { .. }), "it failed");
    world.host.second();
    assert!(world.report(&second, &line("")).ends_with("kind=probe\n"));
    assert!(world.report(&second, &line("ok=1")).ends_with("pass=6.25% level=0 kind=normal\n"));
    assert!(matches!(world.host.state(endpoint(1)), State::Recovering { .. }));

    world.host.with(endpoint(2), |health| while !health.report(Outcome::Failed, false, &RULES, world.host.now) {});
    world.host.second();
    let deaf = UnixDatagram::unbound().unwrap();
    deaf.send_to(b"10.0.0.2:80 service=7", socket_of(&world.host.path())).unwrap();
    world.take();
    assert_eq!(world.host.state(endpoint(2)), State::Due, "who hears no answer is given no probe");
}

#[test]
fn a_process_that_no_answer_reaches_is_given_no_probe() {
    let mut world = Taking::new(Sources::default());
    let shielded = |health: &mcrpc_core::shield::health::Health<'_>, now| {
        while !health.report(Outcome::Failed, false, &RULES, now) {}
    };
    world.host.with(endpoint(1), |health| shielded(health, world.host.now));
    world.host.second();
    let question = b"10.0.0.1:80 service=7";
    let path = socket_of(&world.host.path());

    let gone = UnixDatagram::bind_addr(&Name::from_abstract_name(new_name()).unwrap()).unwrap();
    gone.send_to(question, &path).unwrap();
    drop(gone);
    world.take();
    assert_eq!(world.host.state(endpoint(1)), State::Due, "its socket is closed");

    let full = UnixDatagram::bind_addr(&Name::from_abstract_name(new_name()).unwrap()).unwrap();
    let name = full.local_addr().unwrap();
    let filling = UnixDatagram::unbound().unwrap();
    filling.set_nonblocking(true).unwrap();
    while filling.send_to_addr(b"", &name).is_ok() {}
    full.send_to(question, &path).unwrap();
    world.take();
    assert_eq!(world.host.state(endpoint(1)), State::Due, "it reads no answers");

    let process = world.process();
    assert!(world.report(&process, "10.0.0.1:80 service=7").ends_with("kind=probe\n"));
}

#[test]
fn a_probe_that_its_process_has_not_settled_in_time_is_given_to_the_next() {
    let mut world = Taking::new(Sources::default());
    let (first, second) = (world.process(), world.process());
    let line = |met: &str| format!("10.0.0.1:80 service=7 {met}");
    world.report(&first, &line("failed=9"));
    world.host.second();
    assert!(world.report(&first, &line("")).ends_with("kind=probe\n"));
    (0..3).for_each(|_| drop(world.host.second()));
    assert!(world.report(&first, &line("ok=1")).ends_with("kind=probe\n"), "it is late, and may try again");
    (0..3).for_each(|_| drop(world.host.second()));
    assert!(world.report(&second, &line("")).ends_with("kind=probe\n"));
    assert!(world.report(&first, &line("ok=1")).ends_with("kind=shielded\n"));
    assert_eq!(world.host.state(endpoint(1)), State::Probing, "another has it now");
    assert!(world.report(&second, &line("ok=1")).ends_with("kind=normal\n"));
}

#[test]
fn a_cursor_that_a_process_heard_is_heeded_by_all() {
    let mut world = Taking::new(Sources::default());
    let process = world.process();
    let answer = world.report(&process, "10.0.0.1:80 service=7 overloaded=1 cursor=131072 hold_ms=500");
    assert_eq!(answer, "10.0.0.1:80 service=7 pass=100% level=1 kind=normal\n");
    let now = world.host.now;
    world.host.with(endpoint(1), |health| assert_eq!(health.cursor_in_force(now), Some((Cursor(131_072), 500))));
}

#[test]
fn a_bad_line_is_refused_by_name_and_told_and_the_others_count() {
    let mut world = Taking::new(Sources::default());
    let process = world.process();
    let text = "10.0.0.1:80 service=7 ok=1\n\n10.0.0.2:80 ok=many\n# nothing\n10.0.0.3:80 service=7 ok=3\n";
    let answer = world.report(&process, text);
    let lines: Vec<_> = answer.lines().collect();
    assert!(lines[0].starts_with("10.0.0.1:80 ") && lines[2].starts_with("10.0.0.3:80 "), "{answer}");
    assert_eq!(lines[1], "line 3: ok=many: expected a whole number from 0 to 10000000");
    assert_eq!((world.calls(1), world.calls(3)), ([1, 0, 0, 0], [3, 0, 0, 0]));

    let long = "10.0.0.1:80 service=7 ok=1\n".repeat(MAX_LEN / 20);
    assert!(world.report(&process, &long).contains("longer than 32768 bytes: nothing of it was counted"));
    let many = "10.0.0.1:80 service=7 ok=1\n".repeat(257);
    let answer = world.report(&process, &many);
    assert_eq!(answer.lines().count(), 257);
    assert!(answer.contains("\nline 257: more than 256 lines in a report"), "{answer}");
    assert_eq!(world.calls(1), [257, 0, 0, 0]);
    process.0.send(b"\xff\xfe").unwrap();
    world.take();
    assert_eq!(process.answer(), "line 1: not text: expected UTF-8\n");

    let told = "refused 4 lines of reports, the first for this: ok=many: expected a whole number from 0 to 10000000";
    assert_eq!(world.host.second(), [told]);
    assert!(world.host.second().is_empty(), "it is told once");
}

#[test]
fn a_segment_without_room_refuses_new_endpoints_and_counts_for_the_others() {
    let mut world = Taking::new(Sources::default());
    let process = world.process();
    let mut refused = 0;
    for number in 0..200 {
        let answer = world.report(&process, &format!("10.0.1.{number}:80 service=7 ok=1"));
        refused += usize::from(answer.starts_with("line 1: there is no room for another endpoint"));
    }
    assert!((1..=100).contains(&refused), "{refused}");
    assert!(world.report(&process, "10.0.1.0:80 service=7 ok=1").starts_with("10.0.1.0:80 "));
}

#[test]
fn the_operators_word_and_the_files_are_in_the_answer() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "10.0.0.1:80 service=7 pass=35%\n").unwrap();
    let mut world =
        Taking::new(Sources { file: Some(StrategiesFile::open(file.path()).unwrap()), ..Sources::default() });
    let process = world.process();
    let ask = |world: &mut Taking| world.report(&process, "10.0.0.1:80 service=7");
    assert!(ask(&mut world).contains(" pass=35% "));
    let mapping = Directory::open(&world.host.path(), None).unwrap().map_writable(Segment::Control).unwrap();
    let operator = Operator::attach(mapping.shared(), mapping.len()).unwrap();
    let author = Author { uid: 0, at_s: 1 };
    operator.shield(&endpoint(1), None, world.host.now, author).unwrap();
    assert!(ask(&mut world).ends_with(" pass=0% level=0 kind=shielded\n"));
    operator.set_killed(true, author);
    assert!(ask(&mut world).ends_with(" pass=100% level=0 kind=normal\n"), "every mechanism is off");
}
