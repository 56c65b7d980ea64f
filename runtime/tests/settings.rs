//! The settings' file: what it may say, what is said of one that is wrong, and what a running server takes over.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use mcrpc::server::Config;
use mcrpc::{Server, Status};
use mcrpc_core::admission::{Mode, Policy};
use mcrpc_core::time::Millis;
use support::{Caller, PATIENCE, request};

fn file(dir: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("server.toml");
    write(&path, text);
    path
}

/// As editors and deployments do it: at once.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[test]
fn the_example_is_the_committed_one_and_says_the_defaults_key_by_key() {
    let example = Config::example_toml();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/server.toml");
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::write(path, &example).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == example, "docs/server.toml is old: run the tests once with MCRPC_UPDATE=1");

    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Config::read_file(file(&dir, &example)).unwrap(), Config::default());
    let mut section = "";
    for line in example.lines() {
        if line.starts_with('[') {
            section = line;
        } else if !line.is_empty() && !line.starts_with('#') {
            let config = Config::read_file(file(&dir, &format!("{section}\n{line}\n"))).unwrap();
            assert_eq!(config, Config::default(), "{line}");
        }
    }
    // What is a comment there is right, too.
    let named =
        example.lines().skip_while(|line| !line.starts_with("# [methods")).filter_map(|line| line.strip_prefix("# "));
    let keys: Vec<&str> = named.filter(|line| line.contains(" = ") || line.starts_with('[')).collect();
    let config = Config::read_file(file(&dir, &keys.join("\n"))).unwrap();
    assert_eq!((config.methods.len(), config.callers.len()), (1, 1));
}

#[test]
fn a_file_says_what_it_says_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(
        &dir,
        r#"
            [server]
            listen = ["127.0.0.1:0", "unix:/run/x.sock"]
            default_timeout_ms = 0
            idle_timeout_ms = 1_500
            [limits]
            max_unsent_bytes = 1_000
            needs_checksum = true
            [admission]
            mode = "observe"
            policy = "pass_rate"
            [methods."a.B.C"]
            max_concurrency = 7
            [callers.shop]
            requests_per_second = 9
        "#,
    );
    let config = Config::read_file(path).unwrap();
    assert_eq!(config.listen, ["127.0.0.1:0", "unix:/run/x.sock"]);
    assert_eq!(config.default_timeout, Millis::UNLIMITED);
    assert_eq!((config.idle_timeout, config.max_unsent), (Duration::from_millis(1_500), 1_000));
    assert!(config.limits.needs_checksum);
    assert_eq!((config.admission.mode, config.admission.policy), (Mode::Observe, Policy::PassRate));
    assert_eq!(config.methods["a.B.C"].max_concurrency, 7);
    assert_eq!((config.callers["shop"].requests_per_second, config.callers["shop"].burst), (9, 0));
    assert_eq!(config.stall_timeout, Config::default().stall_timeout);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line_its_key_and_what_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    for (text, wanted) in [
        ("[server]\nworkers = 0\n", "server.toml:2: workers is 0: it has to be 1 at least"),
        ("\n\n[server]\nprocesses = 65\n", "server.toml:4: processes is 65: it has to be 1 to 64"),
        (
            "[server]\nworkers = 2\n[limits]\nqueue_limit = 31_900\n",
            "server.toml:4: queue_limit is 31900, and 128 handlers run at a time (workers x coroutines_per_worker, or blocking_workers): \
             together they have to be at most 32000",
        ),
        (
            "[server]\nwrkers = 1\n",
            "server.toml:2: server.wrkers: unknown field `wrkers`, expected one of `listen`, `processes`",
        ),
        ("[sever]\n", "server.toml:1: unknown field `sever`, expected one of `server`, `limits`"),
        ("[server]\nio_threads = \"two\"\n", "server.toml:2: server.io_threads: invalid type: string \"two\""),
        ("[server]\nio_threads = \"two\"\n", "; it may be 1 at least"),
        ("[server]\nidle_timeout_ms = -1\n", "server.toml:2: server.idle_timeout_ms: invalid value: integer `-1`"),
        ("[limits]\nmax_tags = 70_000\n", "server.toml:2: limits.max_tags: invalid value: integer `70000`"),
        ("[limits]\nmax_tags = 70_000\n", "; it may be 0 to 65535"),
        ("[admission]\nmode = \"on\"\n", "server.toml:2: admission.mode: unknown variant `on`"),
        ("[admission]\nmode = \"on\"\n", "; it may be \"off\" or \"observe\" or \"enforce\""),
        (
            "[admission]\n\ntarget_wait_ms = 90\n",
            "server.toml:3: admission: the waits are not in the order target, overload",
        ),
        (
            "[methods.\"a.B.C\"]\nmax = 1\n",
            "server.toml:2: methods.a.B.C.max: unknown field `max`, expected `max_concurrency`",
        ),
        ("[server\n", "server.toml:1: "),
    ] {
        let error = Config::read_file(file(&dir, text)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}{error}");
    }
    let error = Config::read_file(dir.path().join("none.toml")).unwrap_err().to_string();
    assert!(error.contains("none.toml: the settings cannot be read: "), "{error}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn of_this_program() -> &'static Log {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Log::default();
            let write = log.clone();
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || write.clone()).init();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn has(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    fn wait_for(&self, text: &str) {
        let began = Instant::now();
        while !self.has(text) {
            assert!(began.elapsed() < PATIENCE, "{text} is not in the log:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_running_server_takes_over_what_it_can_says_what_it_cannot_and_keeps_its_settings_when_the_file_is_bad() {
    let log = Log::of_this_program();
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "[limits]\ncaller_requests_per_second = 1\ncaller_burst = 2\n");
    let config = Config { workers: 1, ..Config::default() };
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config)
        .config_file(&path)
        .inline_method("t.T.Now", |_, _| Ok(()))
        .start()
        .unwrap();
    let passed = || {
        let mut caller = Caller::of(&server);
        (0..50).for_each(|call_id| caller.call(&request("t.T.Now", call_id), b""));
        (0..50).filter(|_| caller.answer().status() == Status::OK).count()
    };
    // A second may pass on a machine that has other things to do.
    assert!((2..=3).contains(&passed()));

    write(&path, "[server]\nworkers = 3\n[limits]\ncaller_requests_per_second = 1\ncaller_burst = 20\n");
    log.wait_for("these keys need a restart, the others are in force keys=\"server.workers\"");
    assert!((16..=25).contains(&passed()));

    write(&path, "[limits]\ncaller_requests_per_second = \"many\"\n");
    log.wait_for("the old ones stay in force");
    log.wait_for("server.toml:2: limits.caller_requests_per_second: invalid type: string");
    assert!(passed() < 25);

    write(&path, "[methods.\"t.T.Other\"]\nmax_concurrency = 3\n");
    log.wait_for("the server has no such method, but t.T.Now");
    assert!(passed() < 25);

    write(&path, "");
    log.wait_for("the settings have changed, and are in force");
    assert_eq!(passed(), 50);

    write(&path, "[server]\nlog_one_in = 1\n");
    let began = Instant::now();
    while !log.has("mcrpc::log: request") {
        assert!(began.elapsed() < PATIENCE, "no request is logged");
        assert_eq!(passed(), 50);
    }
}
