//! Given the table of the hot calls, when each of them is made under each rule of the hot path, on the library as it is
//! linked into a C program, then it holds; and the table has every function that `ffi/abi.toml` calls hot.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::stat::{CounterKey, Counters, Kind as CounterKind};
use support::hot_calls::{TABLE, names, publish};
use support::{Linkage, compile, linkages, root, run};

#[test]
fn the_table_has_every_function_that_the_contract_calls_hot() {
    let table = std::fs::read_to_string(root().join(TABLE[0])).unwrap();
    let called: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("CALL("))
        .filter_map(|call| call.split(',').next().map(str::to_owned))
        .collect();
    assert_eq!(called, names(), "left: {}; right: ffi/abi.toml", TABLE[0]);
}

#[test]
fn no_hot_call_allocates() {
    holds_for_each_call("alloc");
}

#[test]
fn no_hot_call_makes_a_system_call() {
    holds_for_each_call("seccomp");
}

#[test]
fn each_hot_call_needs_at_most_512_bytes_of_stack() {
    holds_for_each_call("stack");
}

#[test]
fn each_hot_call_may_be_made_by_coroutines_that_share_a_stack() {
    holds_for_each_call("shared-stack");
}

#[test]
fn each_hot_call_may_be_made_by_a_signal_handler_before_every_instruction_of_the_same_call() {
    holds_for_each_call("signal");
}

#[test]
fn each_hot_call_may_be_made_in_the_children_of_a_process_whose_thread_makes_it() {
    holds_for_each_call("fork");
}

/// Four threads call all the time: each child of theirs works, and in the end every request was counted once.
#[test]
fn ten_thousand_forks_of_a_process_whose_threads_call_leave_nothing_hanging_and_nothing_uncounted() {
    for (linkage, forks) in [(Linkage::Static, 10_000), (Linkage::Shared, 1_000)] {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("mcrpc");
        let publisher = publish(&directory);
        let program = build(root.path(), "tests/c/fork_storm.c", linkage);
        let rounds = run(Command::new(program).arg(&directory).arg(forks.to_string()));
        let mapping = publisher.directory().map(Segment::Stat).unwrap();
        let counters = Counters::attach(mapping.view(), mapping.len()).unwrap();
        let key = CounterKey { id: 1, key: 1, kind: CounterKind::Sum };
        let (_, column) = counters.counters().find(|(counter, _)| *counter == key).unwrap();
        assert_eq!(counters.sum(column).to_string(), rounds.trim_end());
    }
}

fn holds_for_each_call(rule: &str) {
    for linkage in linkages() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("mcrpc");
        let _publisher = publish(&directory);
        let program = build(root.path(), "tests/c/hot_contract.c", linkage);
        run(Command::new(program).arg(rule).arg(&directory));
    }
}

fn build(directory: &Path, program: &str, linkage: Linkage) -> PathBuf {
    compile(directory, &[program, TABLE[0], TABLE[1]], &["-std=c11"], linkage)
}
