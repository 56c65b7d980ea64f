//! Given stackful coroutines on small stacks, their own and shared ones, when they ask for admission and call each other on many
//! threads in turn, then each finds its own context and frames, and a broken backend costs no answer.

use std::process::Command;
use std::sync::PoisonError;

use crate::ONE_AT_A_TIME;
use crate::program::Built;
use crate::support::{linkages, run};

/// The numbers of a line of the program's output, in their order.
fn numbers(output: &str, line: &str) -> Vec<u64> {
    let line = output.lines().find_map(|text| text.strip_prefix(line)).unwrap_or_else(|| panic!("no {line}: {output}"));
    line.split(|character: char| !character.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn coroutines_move_between_threads_and_stacks_and_nothing_is_mixed_up() {
    let _machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for linkage in linkages() {
        for optimisation in ["-O0", "-O2"] {
            let program = Built::new("c-examples/adopt/coroutines.c", &["-std=c11", optimisation], linkage);
            let output = run(&mut Command::new(&program.path));
            println!("{output}");
            let [answered, refused, _, left] = numbers(&output, "requests: ")[..] else { panic!("{output}") };
            assert!(answered > 500 && refused > 100 && left == 0, "{output}");
            let [unanswered, retries, to_broken] = numbers(&output, "calls: ")[..] else { panic!("{output}") };
            assert!(retries > 0 && unanswered < answered / 100 && to_broken < answered / 20, "{output}");
            let [moves, copies] = numbers(&output, "switches: ")[..] else { panic!("{output}") };
            assert!(moves > 100 && copies > 100, "{output}");
            assert_eq!(numbers(&output, "wrong contexts: "), [0, 0], "{output}");
        }
    }
}
