//! A server of several processes: real ones, which are killed.
//!
//! The program under test is this one, begun anew with nothing to run but [`program`].

mod support;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::{Config, Role};
use mcrpc::{Client, Host, Request, Server, Status};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::stat::Counters;
use mcrpc_core::wire::Kind;
use rustix::process::{Pid, Signal, kill_process};
use support::{Caller, PATIENCE, request};

const LISTEN: &str = "MCRPC_TEST_LISTEN";
const SETTINGS: &str = "MCRPC_TEST_SETTINGS";
const FAIL: &str = "MCRPC_TEST_FAIL";
const HOST: &str = "MCRPC_TEST_HOST";
const PROCESSES: usize = 3;

/// The program: a server, whose master does what it is told on its standard input.
#[test]
fn program() {
    let Ok(listen) = std::env::var(LISTEN) else { return };
    // In the end nobody may listen.
    let say = |what: &str| _ = std::io::stdout().write_all(format!("\n@{what}\n").as_bytes());
    let hook =
        move |name: &'static str| move |place: mcrpc::server::hooks::Place| say(&format!("{name} {}", place.process));
    let pid = |_: &_| Bytes::from(std::process::id().to_string());
    let builder = match std::env::var(SETTINGS) {
        Ok(path) => Server::builder().config_file(path),
        Err(_) => Server::builder(),
    };
    let builder = match std::env::var(HOST) {
        Ok(path) => builder.host(Arc::new(Host::new(path))),
        Err(_) => builder,
    };
    let server = builder
        .listen(listen)
        .config(Config { workers: 2, blocking_workers: 1, processes: PROCESSES, ..Config::default() })
        .method("t.P.Pid", move |request: Request| async move { Ok(pid(&request)) })
        .method("t.P.Slow", move |request: Request| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(pid(&request))
        })
        .method("t.P.Hang", |_| std::future::pending())
        .before_master_run(hook("before_master_run"))
        .before_child_run(hook("before_child_run"))
        .before_child_run(|place| {
            if place.process == 1 && std::env::var(FAIL).is_ok() {
                std::process::exit(3);
            }
        })
        .before_epoll_io_run(hook("before_epoll_io_run"))
        .before_routine_run(hook("before_routine_run"))
        .after_child_run(hook("after_child_run"))
        .after_server_process_run(hook("after_server_process_run"))
        .start();
    let server = match server {
        Ok(server) => server,
        Err(error) => return say(&format!("failed {error}")),
    };
    if server.role() != Role::Master {
        server.wait().unwrap();
        // What the test harness would say, nobody may hear any more.
        std::process::exit(0);
    }
    say(&format!("serving {}", server.addresses()[0]));
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "in_flight" => say(&format!("in_flight {}", server.in_flight())),
            "wait" => {
                say("waiting");
                return server.wait().unwrap();
            }
            other => panic!("{other}?"),
        }
    }
}

/// The program, running.
struct Program {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    address: String,
}

impl Program {
    fn start(listen: &str) -> Program {
        let mut program = Program::spawn(Program::command(listen));
        program.address = program.hear("serving");
        program
    }

    fn command(listen: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "program", "--nocapture"]).env(LISTEN, listen);
        command
    }

    fn spawn(mut command: Command) -> Program {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| match line.strip_prefix('@') {
                Some(line) => send.send(line.to_owned()),
                None => Ok(()),
            })
        });
        Program { stdin: child.stdin.take().unwrap(), child, lines, address: String::new() }
    }

    /// What the program says next behind this word.
    fn hear(&self, word: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(until - Instant::now()).expect(word);
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.stdin, "{what}").unwrap();
    }

    fn in_flight(&mut self) -> usize {
        self.tell("in_flight");
        self.hear("in_flight").parse().unwrap()
    }

    fn connect(&self) -> Caller {
        Caller::connect(&self.address.parse().unwrap())
    }

    /// A connection to a process, and which one that is.
    fn connect_to_some(&self) -> (Caller, String) {
        let mut caller = self.connect();
        caller.call(&request("t.P.Pid", 1), b"");
        let pid = text(&caller.answer().payload);
        (caller, pid)
    }

    /// The processes that serve, found out by asking.
    fn pids(&self) -> HashSet<String> {
        let ask = |_| Client::builder("probe").service("P", [&self.address]).default_timeout(PATIENCE).build().unwrap();
        let clients = (0..40).map(ask);
        clients.filter_map(|client| client.call("P", "t.P.Pid", "").wait().ok()).map(|pid| text(&pid)).collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its children end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Done at the end, whatever it is.
struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn kill(pid: &str) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_some(what, || is_so().then_some(()));
}

fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn when_a_process_is_killed_under_load_only_the_calls_it_had_fail_and_another_takes_its_place() {
    const CLIENTS: usize = 12;
    const CALLERS_EACH: usize = 2;
    let mut program = Program::start("127.0.0.1:0");
    let before = program.pids();
    assert_eq!(before.len(), PROCESSES, "{before:?}");

    let (mut hanging, victim) = program.connect_to_some();
    (0..7).for_each(|call_id| hanging.call(&request("t.P.Hang", call_id), b""));
    until("they hang", || program.in_flight() >= 7);

    let clients: Vec<Client> = (0..CLIENTS)
        .map(|_| Client::builder("load").service("P", [&program.address]).default_timeout(PATIENCE).build().unwrap())
        .collect();
    let pid_of = |client: &Client| text(&client.call("P", "t.P.Pid", "").wait().unwrap());
    let at_the_victim = clients.iter().filter(|client| pid_of(client) == victim).count();
    let (is_over, served, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in &clients {
            for _ in 0..CALLERS_EACH {
                scope.spawn(|| {
                    while !is_over.load(SeqCst) {
                        match client.call("P", "t.P.Slow", "").wait() {
                            Ok(_) => served.fetch_add(1, SeqCst),
                            Err(failure) => {
                                eprintln!("a call failed: {failure}");
                                failed.fetch_add(1, SeqCst)
                            }
                        };
                    }
                });
            }
        }
        let _until_the_end = Finally(|| is_over.store(true, SeqCst));
        until("there is load", || served.load(SeqCst) > 200);
        kill(&victim);
        assert_eq!(hanging.next(), None);
        until("the process is replaced", || program.pids().difference(&before).count() == 1);
        let then = served.load(SeqCst);
        until("they are served", || served.load(SeqCst) > then + 200);
    });
    let (failed, had) = (failed.into_inner(), at_the_victim * CALLERS_EACH);
    println!("{} calls served, {failed} failed, the process had {had} at most", served.into_inner());
    assert!(failed <= had, "{failed} calls failed, but the process had {had} at most");
    until("nothing is in flight", || program.in_flight() == 0);
    assert!(!program.pids().contains(&victim));
}

#[test]
fn when_the_master_is_told_to_end_all_calls_are_answered_and_the_hooks_run_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", dir.path().join("p.sock").display());
    for listen in ["127.0.0.1:0", &unix] {
        const CALLS_EACH: u32 = 20;
        let mut program = Program::spawn(Program::command(listen));
        let mut lines = Vec::new();
        let mut hear_all_until = |program: &Program, word: &str| loop {
            let line = program.lines.recv_timeout(PATIENCE).expect(word);
            lines.push(line.clone());
            if line.starts_with(word) {
                return line;
            }
        };
        program.address = hear_all_until(&program, "serving").trim_start_matches("serving ").to_owned();
        program.tell("wait");
        hear_all_until(&program, "waiting");
        let mut callers: Vec<Caller> = (0..6).map(|_| program.connect_to_some().0).collect();
        for caller in &mut callers {
            (0..CALLS_EACH).for_each(|call_id| caller.call(&request("t.P.Slow", call_id), b""));
            // When it is answered, those before it were taken.
            caller.call(&request("t.P.Nothing", CALLS_EACH), b"");
        }
        let mut answers = vec![Vec::new(); callers.len()];
        for (caller, answers) in callers.iter_mut().zip(&mut answers) {
            while !answers.contains(&(CALLS_EACH, Status::NO_METHOD)) {
                let answer = caller.answer();
                answers.push((answer.header.call_id, answer.status()));
            }
        }
        program.signal(Signal::TERM);
        for (caller, mut answers) in callers.iter_mut().zip(answers) {
            let rest = std::iter::from_fn(|| caller.next()).filter(|answer| answer.header.kind == Kind::Response);
            answers.extend(rest.map(|answer| (answer.header.call_id, answer.status())));
            answers.sort_unstable_by_key(|(call_id, _)| *call_id);
            let wanted: Vec<_> =
                (0..CALLS_EACH).map(|id| (id, Status::OK)).chain([(CALLS_EACH, Status::NO_METHOD)]).collect();
            assert_eq!(answers, wanted, "through {listen}");
        }
        assert!(program.child.wait().unwrap().success());
        assert!(dir.path().read_dir().unwrap().next().is_none(), "the socket's file is removed");
        lines.extend(program.lines.iter());
        let count = |name: &str| lines.iter().filter(|line| line.starts_with(name)).count();
        assert_eq!(lines[0], "before_master_run 0");
        assert_eq!(lines.last().unwrap(), "after_server_process_run 0");
        let wanted =
            [("before_child_run", 1), ("before_epoll_io_run", 1), ("before_routine_run", 3), ("after_child_run", 1)];
        for (name, each) in wanted {
            assert_eq!(count(name), each * PROCESSES, "{name}: {lines:?}");
        }
    }
}

#[test]
fn when_the_master_is_killed_its_children_end() {
    let program = Program::start("127.0.0.1:0");
    let (mut caller, _) = program.connect_to_some();
    program.signal(Signal::KILL);
    while caller.next().is_some() {}
    let address: std::net::SocketAddr = program.address.parse().unwrap();
    until("nobody listens", || std::net::TcpStream::connect(address).is_err());
}

#[test]
fn when_a_process_cannot_start_the_master_says_why_and_leaves_none_behind() {
    let mut command = Program::command("127.0.0.1:0");
    let program = Program::spawn({
        command.env(FAIL, "1");
        command
    });
    let error = program.hear("failed");
    assert_eq!(error, "a process of the server did not start: exit status: 3");
}

#[test]
fn processes_heed_the_settings_file_and_when_it_is_bad_a_new_one_begins_with_what_it_said_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.toml");
    std::fs::write(&path, "[server]\nprocesses = 2\n").unwrap();
    let mut command = Program::command("127.0.0.1:0");
    command.env(SETTINGS, &path);
    let mut program = Program::spawn(command);
    program.address = program.hear("serving");
    let before = program.pids();
    assert_eq!(before.len(), 2, "{before:?}");

    std::fs::write(&path, "[limits]\ncaller_requests_per_second = 1\ncaller_burst = 1\n").unwrap();
    let mut one_of_each = HashMap::new();
    while one_of_each.len() < 2 {
        let (caller, pid) = program.connect_to_some();
        one_of_each.insert(pid, caller);
    }
    for caller in one_of_each.values_mut() {
        until("its process has heard of the limit", || {
            caller.call(&request("t.P.Pid", 1), b"");
            caller.answer().status() == Status::QUEUE_FULL
        });
    }

    std::fs::write(&path, "[server]\nprocesses = \"two\"\n").unwrap();
    kill(before.iter().next().unwrap());
    until("it is replaced", || program.pids().difference(&before).count() == 1);
}

#[test]
fn each_process_reports_its_own_queue_of_the_controller_that_they_share() {
    const CALLS: u64 = 30;
    let dir = tempfile::tempdir().unwrap();
    let host = dir.path().join("host");
    let settings = Settings { capacity: 100, seats: 8, counters: 64, ..Settings::DEFAULT };
    let _agent = Publisher::open(&host, settings).unwrap();
    let mut command = Program::command("127.0.0.1:0");
    command.env(HOST, &host);
    let mut program = Program::spawn(command);
    program.address = program.hear("serving");
    let mut admitted: HashMap<String, u64> = HashMap::new();
    while admitted.len() < PROCESSES {
        let (mut caller, pid) = program.connect_to_some();
        for call_id in 0..CALLS {
            caller.call(&request("t.P.Slow", call_id as u32), b"");
        }
        (0..CALLS).for_each(|_| assert_eq!(caller.answer().status(), Status::OK));
        *admitted.entry(pid).or_default() += CALLS + 1;
    }
    let stat = Directory::open(&host, None).unwrap().map(Segment::Stat).unwrap();
    let counters = Counters::attach(stat.view(), stat.len()).unwrap();
    let reports = until_some("all have reported", || {
        let occupants: Vec<_> = (1..=counters.seat_count()).filter_map(|seat| counters.occupant(seat)).collect();
        let told: HashMap<String, u64> =
            occupants.iter().map(|occupant| (occupant.pid.to_string(), occupant.queue.completed)).collect();
        (told == admitted).then_some(occupants)
    });
    assert!(reports.iter().all(|occupant| occupant.queue.admitted == occupant.queue.completed));

    let victim = reports[0].pid.to_string();
    kill(&victim);
    until("the one in its place reports too", || {
        let occupants = (1..=counters.seat_count()).filter_map(|seat| counters.occupant(seat));
        let others = occupants.filter(|occupant| occupant.pid.to_string() != victim);
        others.filter(|occupant| occupant.queue.reported_ns > 0).count() == PROCESSES
    });
}
