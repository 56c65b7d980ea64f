//! A server in Rust under overload, as the tools of its host show it: the agent's page, `mcrpc why`, `mcrpc dye`, `mcrpc record`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::{Client, Host, Server};
use mcrpc_core::admission::record::{self, DecisionRecord};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const SLOW: &str = "t.T.Slow";
/// Callers at a time; the server's worker does two hundred calls a second.
const CALLERS: usize = 40;

/// A host with its agent, and a server.
struct Setup {
    root: TempDir,
    agent: Child,
    page: SocketAddr,
    server: Server,
    /// While it is read the agent can go on to write.
    _output: BufReader<ChildStdout>,
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

impl Setup {
    fn start() -> Setup {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("run");
        let mut agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        agent.args(["agent", "--probe", "off", "--seats", "8", "--counters", "64", "--listen", "127.0.0.1:0"]);
        let mut agent = agent.env("MCRPC_DIR", &dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(agent.stdout.take().unwrap());
        let page = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the agent has ended");
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split(',').next().unwrap().parse().unwrap();
            }
        };
        let settings = root.path().join("server.toml");
        std::fs::write(&settings, "[server]\nworkers = 1\ncoroutines_per_worker = 1\n").unwrap();
        let server = Server::builder()
            .listen("127.0.0.1:0")
            .config_file(settings)
            .host(Arc::new(Host::new(&dir)))
            .method(SLOW, |_| async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(Bytes::new())
            })
            .start()
            .unwrap();
        Setup { root, agent, page, server, _output: output }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    fn file(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn server_address(&self) -> SocketAddr {
        self.server.addresses()[0].to_string().parse().unwrap()
    }

    /// A client that knows nothing of the host, so that it sends what it is asked to.
    fn client(&self) -> Client {
        let client = Client::builder("load").service("T", [self.server_address().to_string()]);
        client.default_timeout(PATIENCE).build().unwrap()
    }

    fn mcrpc(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        let output =
            command.args(arguments).env("MCRPC_DIR", self.dir()).env_remove("MCRPC_OWNER_UID").output().unwrap();
        assert!(output.status.success(), "mcrpc {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.mcrpc(arguments).stdout).unwrap()
    }

    fn state(&self) -> Value {
        serde_json::from_str(&get(self.page, "/api/state")).unwrap()
    }

    /// What the server itself says of its asynchronous methods.
    fn own_page(&self) -> String {
        let mut stream = TcpStream::connect(self.server_address()).unwrap();
        stream.write_all(b"GET /admission HTTP/1.1\r\n\r\n").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split("async: ").nth(1).unwrap().split("blocking: ").next().unwrap().to_owned()
    }

    /// The queue of the only server that the page shows.
    fn shown(&self) -> Option<Value> {
        let queues = |state: &Value| -> Vec<Value> {
            let queues = state["servers"].as_array().unwrap().iter().map(|server| server["queue"].clone());
            queues.filter(|queue| !queue.is_null()).collect()
        };
        queues(&self.state()).pop()
    }

    /// Calls of many users until `work` has done.
    fn under_load<R>(&self, work: impl FnOnce() -> R) -> R {
        let is_over = AtomicBool::new(false);
        let client = self.client();
        std::thread::scope(|scope| {
            for caller in 0..CALLERS as u64 {
                let (client, is_over) = (&client, &is_over);
                scope.spawn(move || {
                    let mut uin = 1_000 * caller;
                    while !is_over.load(Relaxed) {
                        uin += 1;
                        if client.call("T", SLOW, "").uin(uin).wait().is_err() {
                            // One that is refused does not come again at once.
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    }
                });
            }
            let _end = Finally(|| is_over.store(true, Relaxed));
            work()
        })
    }
}

struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn last_record(file: &str) -> Option<DecisionRecord> {
    let bytes = std::fs::read(file).unwrap();
    DecisionRecord::from_bytes(bytes.last_chunk::<{ record::LEN }>()?)
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn given_a_server_under_overload_then_the_page_and_why_show_its_admission_as_its_own_page_does() {
    let setup = Setup::start();
    let (shown, why) = setup.under_load(|| {
        let shown = until("the page shows that it sheds load", || {
            let queue = setup.shown()?;
            let refuses = !queue["refused"].as_array()?.is_empty() && queue["queued"].as_u64()? > 0;
            (queue["shedding"] == true && refuses && queue["demand"].as_f64() > queue["capacity"].as_f64())
                .then_some(queue)
        });
        let why = until("why sees a queue", || {
            let answer = setup.json(&["why", "--uin", "7", "--service", "5", "--priority", "63", "--json"]);
            let server = answer["servers"][0].clone();
            (server["queued"].as_u64()? > 0 && server["shedding"] == true).then_some(server)
        });
        (shown, why)
    });
    assert!(shown["capacity"].as_f64().unwrap() > 50.0, "{shown}");
    assert_eq!(
        (&why["workers"], &why["mode"], &why["state"]),
        (&Value::from(1), &Value::from("enforce"), &Value::from("alive")),
        "{why}"
    );
    assert!(["admits", "refuses"].contains(&why["verdict"].as_str().unwrap()), "{why}");
    assert!(why["estimated_wait_ms"].as_f64().unwrap() > 0.0 && why["age_ms"].as_u64().unwrap() < 3_000, "{why}");

    until("the host's page and the server's say the same", || {
        let (queue, own) = (setup.shown()?, setup.own_page());
        let demand = queue["demand"].as_f64()?;
        let capacity = queue["capacity"].as_f64()?;
        let reasons = queue["refused"].as_array()?;
        let refused = reasons.iter().map(|reason| format!("refused {}: {} (", reason[0].as_str().unwrap(), reason[1]));
        let says = [format!("demand {demand:.1}/s, capacity {capacity:.1}/s"), "queued 0, running 0".to_owned()];
        let is_same =
            refused.chain(says).all(|text| own.contains(&text)) && own.matches("refused ").count() == reasons.len();
        (is_same && queue["queued"] == 0 && !reasons.is_empty()).then_some(())
    });
}

#[test]
fn given_a_dyed_user_then_the_page_shows_where_its_call_went_and_when() {
    let setup = Setup::start();
    setup.mcrpc(&["dye", "7"]);
    let client = Client::builder("shop")
        .host(Arc::new(Host::new(setup.dir())))
        .service("T", [setup.server_address().to_string()]);
    let client = client.default_timeout(PATIENCE).build().unwrap();
    let records = until("the page shows a whole call", || {
        client.call("T", SLOW, "").uin(7).wait().unwrap();
        client.call("T", SLOW, "").uin(8).wait().unwrap();
        let records = setup.state()["records"].as_array().unwrap().clone();
        let has = |step: &str| records.iter().any(|record| record["text"].as_str().unwrap().starts_with(step));
        (has("T4") && has("hears")).then_some(records)
    });
    let texts: Vec<&str> = records.iter().map(|record| record["text"].as_str().unwrap()).collect();
    assert!(texts.iter().all(|text| text.contains(" uin=7 ")), "{texts:#?}");
    let first = texts.iter().position(|text| text.starts_with("T0")).unwrap();
    let steps: Vec<&str> =
        texts[first..].iter().filter(|text| text.starts_with('T')).take(5).map(|text| &text[..2]).collect();
    assert_eq!(steps, ["T0", "T1", "T2", "T3", "T4"], "in the order of their times: {texts:#?}");
    let seats = |kind: u64| -> Vec<u64> {
        let of_kind = records.iter().filter(|record| record["kind"] == kind);
        of_kind.map(|record| record["seat"].as_u64().unwrap()).collect()
    };
    let (servers, clients) = (seats(221), seats(222));
    assert!(servers.iter().all(|seat| *seat == servers[0] && *seat != clients[0]), "a lane for each: {records:#?}");
}

#[test]
fn given_a_live_server_under_load_when_it_is_recorded_then_its_decisions_can_be_replayed() {
    let setup = Setup::start();
    let file = setup.file("calls.rec");
    std::fs::write(
        setup.file("server.toml"),
        "[server]\nworkers = 1\ncoroutines_per_worker = 1\nrecord_decisions = true\n",
    )
    .unwrap();
    setup.under_load(|| {
        until("load is shed", || (setup.shown()?["shedding"] == true).then_some(()));
        until("decisions are recorded", || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
            command.args(["record", "--for", "100ms", &file]).env("MCRPC_DIR", setup.dir());
            command.output().unwrap().status.success().then_some(())
        });
        until("why gives a user the key that the server gives it, as soon as the hour is the same", || {
            setup.mcrpc(&["record", "--for", "300ms", &file]);
            let DecisionRecord { uin, request, .. } = last_record(&file)?;
            let (uin, priority) = (uin.0.to_string(), request.key.priority().to_string());
            let why = setup.json(&["why", "--uin", &uin, "--service", "5", "--priority", &priority, "--json"]);
            (why["call"]["key"] == request.key.0).then_some(())
        });
        setup.mcrpc(&["record", "--for", "5s", &file]);
    });
    let replayed = |arguments: &[&str]| setup.json(&[&["replay", &file, "--json"], arguments].concat());
    let same = replayed(&[]);
    assert!(same["requests"].as_u64().unwrap() > 500, "{same}");
    assert!(same["recorded"]["refused"].as_u64().unwrap() > 0, "{same}");
    assert!(same["fidelity_percent"].as_f64().unwrap() > 60.0, "{same}");
    let more = replayed(&["--workers", &CALLERS.to_string()]);
    assert_eq!(more["replayed"]["refused"], 0, "with a worker for each caller: {more}");
    let off = replayed(&["--policy", "mode=off"]);
    assert!(off["replayed"]["mean_wait_ms"].as_f64() > same["replayed"]["mean_wait_ms"].as_f64());
}
