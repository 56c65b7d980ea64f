//! Given C and C++ programs, when the system's compilers build them against either library, then they run and hold.

mod support;

use std::process::Command;

use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use support::{command, compile, hot_path_rules, linkages, root, run};

#[test]
fn the_hot_path_rules_hold_in_a_c_program() {
    for linkage in linkages() {
        for source in ["tests/c/hot_path.c", "tests/c/wire_hot_path.c"] {
            let directory = tempfile::tempdir().unwrap();
            let program = compile(directory.path(), &[source], &["-std=c11"], linkage);
            for rule in hot_path_rules() {
                run(command(&program).arg(rule));
            }
        }
    }
}

#[test]
fn the_hot_path_rules_hold_for_baidu_std() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["tests/c/baidu_std_hot_path.c"], &["-std=c11"], linkage);
        for rule in hot_path_rules() {
            run(command(&program).arg(rule));
        }
    }
}

/// The same, over segments that a publisher has made.
#[test]
fn the_hot_path_rules_hold_for_a_host() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("mcrpc");
    let settings = Settings { capacity: 1_000, seats: 8, counters: 64, ..Settings::default() };
    let (mut publisher, _) = Publisher::open(&path, settings).unwrap();
    let entry = Entry { pass_rate: Per10k::NONE, kind: Kind::Normal, reject_level: RejectLevel::OPEN };
    for last in 1..=50 {
        let endpoint = Endpoint::new(format!("10.0.0.{last}:1").parse().unwrap(), 7);
        publisher.set(&endpoint, &entry, Counts::default()).unwrap();
    }
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["tests/c/host_hot_path.c"], &["-std=c11"], linkage);
        for rule in hot_path_rules() {
            // Strategies that nobody has refreshed for 5 s are not believed.
            publisher.refresh().unwrap();
            run(command(&program).arg(rule).arg(&path));
        }
    }
}

/// The same, for choosing endpoints: some have strategies, an operator shields one and skips a service.
#[test]
fn the_hot_path_rules_hold_for_a_client() {
    let entries = [
        Entry { pass_rate: Per10k::NONE, kind: Kind::Normal, reject_level: RejectLevel::OPEN },
        Entry { pass_rate: Per10k::ALL, kind: Kind::Probe, reject_level: RejectLevel::new(2_000).unwrap() },
        Entry { pass_rate: Per10k::ALL, kind: Kind::Shielded, reject_level: RejectLevel::OPEN },
    ];
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mcrpc");
        let settings = Settings { capacity: 1_000, seats: 8, counters: 64, ..Settings::default() };
        let (mut publisher, _) = Publisher::open(&path, settings).unwrap();
        for (last, entry) in (1..).zip(&entries) {
            let endpoint = Endpoint::new(format!("10.0.1.{last}:1").parse().unwrap(), 7);
            publisher.set(&endpoint, entry, Counts::default()).unwrap();
        }
        let operate = |arguments: &[&str]| {
            run(Command::new(env!("CARGO_BIN_EXE_mcrpc")).args(arguments).arg("--dir").arg(&path));
        };
        operate(&["shield", "10.0.3.1:1", "--service", "7"]);
        operate(&["skip", "9", "100%"]);
        let program = compile(directory.path(), &["tests/c/select_hot_path.c"], &["-std=c11"], linkage);
        for rule in hot_path_rules() {
            // Strategies that nobody has refreshed for 5 s are not believed.
            publisher.refresh().unwrap();
            run(command(&program).arg(rule).arg(&path));
        }
    }
}

#[test]
fn wrong_arguments_give_a_status_and_never_a_fault() {
    for linkage in linkages() {
        for standard in ["-std=c11", "-std=c17"] {
            for source in [
                "tests/c/arguments.c",
                "tests/c/select_arguments.c",
                "tests/c/wire_arguments.c",
                "tests/c/baidu_std_arguments.c",
            ] {
                let directory = tempfile::tempdir().unwrap();
                run(&mut command(&compile(directory.path(), &[source], &[standard], linkage)));
            }
        }
    }
}

#[test]
fn structs_of_any_version_are_read_and_written_as_far_as_they_go() {
    for linkage in linkages() {
        for source in ["tests/c/growing.c", "tests/c/reserved.c", "tests/c/layout.c"] {
            let directory = tempfile::tempdir().unwrap();
            run(&mut command(&compile(directory.path(), &[source], &["-std=c11"], linkage)));
        }
    }
}

#[test]
fn processes_that_share_memory_have_a_seat_each_while_there_is_one() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        run(&mut command(&compile(directory.path(), &["tests/c/host_seats.c"], &["-std=c11"], linkage)));
    }
}

#[test]
fn a_set_of_endpoints_does_what_the_header_says() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        run(&mut command(&compile(directory.path(), &["tests/c/select.c"], &["-std=c11"], linkage)));
    }
}

#[test]
fn frames_and_contexts_travel_between_c_programs() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        run(&mut command(&compile(directory.path(), &["tests/c/wire.c"], &["-std=c11"], linkage)));
    }
}

#[test]
fn a_c_program_reads_the_golden_vectors_as_they_say() {
    let folder = std::fs::read_dir(root().join("tests/vectors")).unwrap();
    let paths: Vec<_> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["tests/c/vectors.c"], &["-std=c11"], linkage);
        let output = run(command(&program).args(&paths));
        assert_eq!(output, format!("{} vectors\n", paths.len()));
    }
}

#[test]
fn the_cpp_layer_needs_neither_exceptions_nor_rtti_and_works_in_two_units() {
    for linkage in linkages() {
        for standard in ["-std=c++17", "-std=c++20"] {
            let flags = [standard, "-fno-exceptions", "-fno-rtti", "-Wconversion"];
            for sources in [
                &["tests/cpp/wrapper.cpp", "tests/cpp/second_unit.cpp"][..],
                &["tests/cpp/endpoints.cpp"],
                &["tests/cpp/wire.cpp"],
                &["tests/cpp/baidu_std.cpp"],
            ] {
                let directory = tempfile::tempdir().unwrap();
                run(&mut command(&compile(directory.path(), sources, &flags, linkage)));
            }
        }
    }
}

#[test]
fn an_exception_says_nothing_of_an_endpoint() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let flags = ["-std=c++17", "-Wconversion"];
        run(&mut command(&compile(directory.path(), &["tests/cpp/exceptions.cpp"], &flags, linkage)));
    }
}

#[test]
fn the_host_example_learns_from_another_process() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["c-examples/host.c"], &["-std=c11"], linkage);
        let output = run(&mut command(&program));
        assert!(output.contains("child, call 10: ok\nchild, call 11: bucket_full"), "{output}");
        assert!(output.contains("parent, its first call: bucket_full"), "{output}");
    }
}

#[test]
fn the_c_example_serves_what_it_can() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["c-examples/admit.c"], &["-std=c11"], linkage);
        let output = run(&mut command(&program));
        assert!(output.contains("below_cursor"), "{output}");
    }
}

#[test]
fn the_client_example_loses_no_call_to_a_broken_machine() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["c-examples/select.c"], &["-std=c11"], linkage);
        let output = run(&mut command(&program));
        assert!(output.contains("24000 calls, 0 without an answer"), "{output}");
        assert!(output.contains("shielded") && output.contains("recovering"), "{output}");
    }
}
