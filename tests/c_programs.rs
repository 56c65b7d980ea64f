//! Given C and C++ programs, when the system's compilers build them against either library, then they run and hold.

mod support;

use std::process::Command;

use support::{BOTH, compile, run};

#[test]
fn the_hot_path_rules_hold_in_a_c_program() {
    for linkage in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["tests/c/hot_path.c"], &["-std=c11"], linkage);
        for rule in ["alloc", "seccomp", "stack", "signal", "fork"] {
            run(Command::new(&program).arg(rule));
        }
    }
}

#[test]
fn wrong_arguments_give_a_status_and_never_a_fault() {
    for linkage in BOTH {
        for standard in ["-std=c11", "-std=c17"] {
            let directory = tempfile::tempdir().unwrap();
            run(&mut Command::new(compile(directory.path(), &["tests/c/arguments.c"], &[standard], linkage)));
        }
    }
}

#[test]
fn the_cpp_layer_needs_neither_exceptions_nor_rtti_and_works_in_two_units() {
    for linkage in BOTH {
        for standard in ["-std=c++17", "-std=c++20"] {
            let directory = tempfile::tempdir().unwrap();
            let flags = [standard, "-fno-exceptions", "-fno-rtti"];
            let sources = ["tests/cpp/wrapper.cpp", "tests/cpp/second_unit.cpp"];
            run(&mut Command::new(compile(directory.path(), &sources, &flags, linkage)));
        }
    }
}

#[test]
fn the_c_example_serves_what_it_can() {
    for program in [env!("MCRPC_ADMIT_STATIC"), env!("MCRPC_ADMIT_SHARED")] {
        let output = run(&mut Command::new(program));
        assert!(output.contains("below_cursor"), "{output}");
    }
}
