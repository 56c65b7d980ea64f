//! Events of a program in Rust, in the files of its host's agent.

use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mcrpc::{Context, Host, LogLayer};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings as Sizes};
use mcrpc_core::host::log::Level;
use mcrpc_logs::line::Line;
use mcrpc_logs::{Logs, Settings, archive};
use tracing::subscriber;
use tracing_subscriber::prelude::*;

const SIZES: Sizes = Sizes { capacity: 64, seats: 8, counters: 64, log_cells: Some(1_024), ..Sizes::DEFAULT };

/// The lines of the files, taken apart: level, program, user, whether there is a thread, text.
fn lines(logs: &Path) -> Vec<(Level, String, u64, bool, String)> {
    let files = archive::list(logs).unwrap();
    let texts: Vec<_> = files.iter().map(|file| std::fs::read_to_string(&file.path).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines()).map(|line| Line::parse(line).unwrap());
    lines.map(|it| (it.level, it.name.to_owned(), it.origin.uin.0, it.origin.thread != 0, it.text.to_owned())).collect()
}

#[test]
fn events_get_into_the_agents_files_with_what_is_known_of_their_request() {
    let root = tempfile::tempdir().unwrap();
    let (directory, files) = (root.path().join("host"), root.path().join("logs"));
    let (_publisher, _) = Publisher::open(&directory, SIZES).unwrap();
    let settings = Settings { directory: files.clone(), keep_days: 1 };
    let opened = Directory::open(&directory, None).unwrap();
    let logs = Logs::start(opened, &settings, |event| panic!("{event}")).unwrap();

    let host = Arc::new(Host::new(&directory));
    let _default = subscriber::set_default(tracing_subscriber::registry().with(LogLayer::new(host.clone())));
    tracing::info!(port = 8080, peer = "10.0.0.1", "listening\nsoon");
    tracing::error!("no index");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let context = Context::new().with_uin(42);
        context.scope(async { tracing::warn!(attempts = 3, "for a user") }).await;
    });
    drop(logs);

    // What the process is called in its seat: its file, of which 32 bytes are kept.
    let program = std::env::current_exe().unwrap();
    let program: String = program.file_name().unwrap().to_string_lossy().chars().take(32).collect();
    let expected = [
        (Level::Info, 0, "logs: listening\\nsoon port=8080 peer=\"10.0.0.1\""),
        (Level::Error, 0, "logs: no index"),
        (Level::Warn, 42, "logs: for a user attempts=3"),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(level, uin, text)| (level, program.clone(), uin, true, text.to_owned())).collect();
    assert_eq!(lines(&files), expected);
}

/// Without an agent that keeps logs nothing is lost: it goes to standard error. An agent that begins to keep them is found.
#[test]
fn a_host_that_keeps_no_logs_says_so_until_it_does() {
    let root = tempfile::tempdir().unwrap();
    let (directory, files) = (root.path().join("host"), root.path().join("logs"));
    let host = Arc::new(Host::new(&directory));
    let _default = subscriber::set_default(tracing_subscriber::registry().with(LogLayer::new(host.clone())));
    tracing::info!("to standard error");
    let (_publisher, _) = Publisher::open(&directory, SIZES).unwrap();
    let settings = Settings { directory: files.clone(), keep_days: 1 };
    let _logs = Logs::start(Directory::open(&directory, None).unwrap(), &settings, |event| panic!("{event}")).unwrap();
    let begin = Instant::now();
    while lines(&files).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(30), "the host is looked at by whoever logs");
        tracing::info!("here");
        sleep(Duration::from_millis(20));
    }
    assert!(lines(&files).iter().all(|(.., text)| text == "logs: here"));
}
