//! Given `mcrpc agent` and a program in Python without the library, when that reports what its calls met, then all processes
//! heed it, and it heeds what they found out.

mod support;

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mcrpc::{Client, Host, Server};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::reports::socket::socket_of;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::table::Table;
use mcrpc_core::wire::header::method_id;
use support::{need, root};
use tempfile::TempDir;

/// Nothing here takes longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ECHO: &str = "echo.Echo.Say";

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    _agent: Killed,
    root: TempDir,
}

impl World {
    fn new() -> World {
        let root = tempfile::tempdir().unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        agent.args(["agent", "--capacity", "1000", "--seats", "8", "--counters", "16"]);
        agent.env("MCRPC_DIR", root.path().join("run")).stdout(Stdio::null()).stderr(Stdio::null());
        let world = World { _agent: Killed(agent.spawn().unwrap()), root };
        until("it takes reports", || {
            UnixDatagram::unbound().unwrap().connect(socket_of(&world.dir())).is_ok() && world.beat() > 0
        });
        world
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// Seconds of the agent so far.
    fn beat(&self) -> u64 {
        let Ok(mapping) = Directory::open(&self.dir(), None).and_then(|it| it.map(Segment::Strategy)) else { return 0 };
        Table::attach(mapping.view(), mapping.len()).map_or(0, |table| table.refresh_seq())
    }

    /// What a process that attaches now may send there, in ten-thousandths.
    fn pass_rate(&self, endpoint: &Endpoint) -> u16 {
        let mapping = Directory::open(&self.dir(), None).unwrap().map(Segment::Strategy).unwrap();
        let table = Table::attach(mapping.view(), mapping.len()).unwrap();
        table.lookup(endpoint).map_or(10_000, |entry| entry.pass_rate.get())
    }

    fn is_shielded(&self, endpoint: &Endpoint) -> bool {
        let mapping = Directory::open(&self.dir(), None).unwrap().map_writable(Segment::Fail).unwrap();
        let cells = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
        cells.health(cells.bucket(endpoint).unwrap()).unwrap().breaker().is_shielded()
    }

    /// Runs a program in Python that has the class of the example.
    fn python(&self, program: &str) -> Command {
        need("python3", "python3");
        let mut python = Command::new("python3");
        python.arg("-c").arg(format!("import sys, time\nfrom reports import Reports\n{program}"));
        python.arg(socket_of(&self.dir())).current_dir(root().join("examples/python")).stdin(Stdio::null());
        python.env("PYTHONDONTWRITEBYTECODE", "1").stdout(Stdio::piped());
        python
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lines(mut command: Command) -> (Killed, Lines<BufReader<ChildStdout>>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (Killed(child), lines)
}

fn server() -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let echo = move |request: mcrpc::Request| {
        count.fetch_add(1, SeqCst);
        async move { Ok(request.into_payload()) }
    };
    (Server::builder().listen("127.0.0.1:0").method(ECHO, echo).start().unwrap(), asked)
}

/// One call in ten fails: for two reports, the second of which is a second of the agent later.
const FAILING_A_LITTLE: &str = "
reports = Reports(sys.argv[1])
while True:
    for _ in range(9):
        reports.add(sys.argv[2], 'ok', 0.001)
    reports.add(sys.argv[2], 'failed', 0.001)
    time.sleep(0.02)
    print(*reports.in_force.get(sys.argv[2], ()), flush=True)
";

#[test]
fn what_a_program_in_python_reports_lowers_the_pass_rate_of_an_endpoint() {
    let world = World::new();
    let mut python = world.python(FAILING_A_LITTLE);
    python.arg("10.0.0.1:80 service=7");
    let (_python, mut said) = lines(python);
    let endpoint = Endpoint::new("10.0.0.1:80".parse().unwrap(), 7);
    let calls = || {
        let mapping = Directory::open(&world.dir(), None).unwrap().map_writable(Segment::Fail).unwrap();
        let cells = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
        cells.health(cells.bucket(&endpoint).unwrap()).unwrap().reading().totals.requests()
    };
    until("it has reported", || calls() > 0);
    let reported_at = world.beat();
    until("the pass rate sinks", || world.pass_rate(&endpoint) < 10_000);
    println!("after {} seconds of the agent", world.beat() - reported_at);
    assert!((8_500..9_500).contains(&world.pass_rate(&endpoint)), "{}", world.pass_rate(&endpoint));
    let heard = said.by_ref().map(Result::unwrap).find(|line| !line.is_empty() && !line.starts_with("1.0"));
    assert!(heard.unwrap().starts_with("0.9"), "it is told so");
}

/// Every call to one server fails, until that is shielded.
const FAILING: &str = "
reports, server = Reports(sys.argv[1]), sys.argv[2]
while True:
    if reports.may_call(server):
        reports.add(server, 'failed', 0.001)
        print('failed', flush=True)
    time.sleep(0.02)
";

#[test]
fn what_a_program_in_python_finds_out_about_a_server_a_program_in_rust_knows() {
    let world = World::new();
    let ((bad, bad_asked), (good, good_asked)) = (server(), server());
    let addresses = [bad.addresses()[0].to_string(), good.addresses()[0].to_string()];
    let host = Arc::new(Host::new(world.dir()));
    let client = Client::builder("test").host(host).service("Echo", addresses.clone()).build().unwrap();
    let call_all = || {
        let before = bad_asked.load(SeqCst);
        (1..=100).for_each(|uin| drop(client.call("Echo", ECHO, "").uin(uin).wait().unwrap()));
        bad_asked.load(SeqCst) - before
    };
    assert!(call_all() > 0, "both are called");

    let mut python = world.python(FAILING);
    python.arg(format!("{} service=Echo", addresses[0]));
    let (_python, mut said) = lines(python);
    assert_eq!(said.next().unwrap().unwrap(), "failed");
    let endpoint = Endpoint::new(addresses[0].parse().unwrap(), method_id(b"Echo"));
    until("it is shielded", || world.is_shielded(&endpoint));
    // Shields become longer while Python's probes fail; between two of them nobody calls.
    until("nobody calls it", || call_all() == 0);
    assert!(good_asked.load(SeqCst) > 100);
}

/// A flood from several processes, none of which reads an answer.
#[test]
fn no_flood_of_reports_keeps_the_agent_from_its_work_or_other_reports_from_it() {
    let world = World::new();
    for number in 0..4 {
        let (path, name) = (socket_of(&world.dir()), world.root.path().join(format!("deaf{number}")));
        // It ends with the agent.
        std::thread::spawn(move || {
            let socket = UnixDatagram::bind(name).unwrap();
            let report = "10.0.0.9:80 ok=1\nnonsense\n".repeat(100);
            while socket.send_to(report.as_bytes(), &path).is_ok() {}
        });
    }
    let first = world.beat();
    let socket = UnixDatagram::bind(world.root.path().join("polite")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for number in 1..=20 {
        socket.send_to(format!("10.0.0.8:80 ok={number}").as_bytes(), socket_of(&world.dir())).unwrap();
        let mut answer = [0; 200];
        let len = socket.recv(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..len]);
        assert_eq!(answer, "10.0.0.8:80 service=0 pass=100% level=0 kind=normal\n");
    }
    until("it goes on publishing", || world.beat() >= first + 3);
}

#[test]
fn the_example_shields_a_server_that_is_away_and_finds_it_again() {
    let world = World::new();
    let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = bound.local_addr().unwrap();
    drop(bound);
    need("python3", "python3");
    let mut python = Command::new("python3");
    python.arg(root().join("examples/python/reports.py")).arg(socket_of(&world.dir())).arg(address.to_string());
    let (_python, said) = lines(python);
    let mut said = said.map(Result::unwrap);
    for expected in ["failed", "not called"] {
        assert!(said.by_ref().take(600).any(|line| line == expected), "{expected}");
    }
    let _server = std::net::TcpListener::bind(address).unwrap();
    assert!(said.by_ref().take(600).any(|line| line == "ok"), "a probe finds it");
}
