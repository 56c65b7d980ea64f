//! What a noisy machine cannot disturb: instructions, cache misses, and the lines that a call touches.

use std::hint::black_box;
use std::path::Path;

use crate::Size;
use crate::api::Api;
use crate::callers::{C, Users, Work as _};
use crate::callgrind::{instructions, misses};
use crate::measure::{Spread, Wanted, report};
use crate::world::{Plan, World};

/// More lines than the first-level cache holds, in each of its sets: reading them all drives everything else out.
const SWEPT_LINES: usize = 1_024;
const LINE: usize = 64;

/// Prints everything.
pub fn all(size: Size) {
    if !size.with_valgrind {
        return;
    }
    let world = World::create(Plan::healthy(100));
    let path = world.path.to_str().expect("a temporary directory has a plain name");
    let Some([call, report_alone]) = all_of(["call", "report"].map(|what| instructions(&[what, path]))) else {
        println!("\ninstructions and cache misses: left out, valgrind is not installed");
        return;
    };
    println!("\ncounted by valgrind, 100 endpoints, through the C ABI\n");
    report("instructions of select and report", Spread::exact(call), "", Wanted::Nothing);
    report("instructions of report", Spread::exact(report_alone), "", Wanted::Nothing);
    let counted = ["call", "report", "cold-call"].map(|what| misses(&[what, path]));
    let Some([[first, last], [of_report, _], [cold, _]]) = all_of(counted) else { return };
    report("first-level misses of select and report", Spread::exact(first), "", Wanted::AtMost(2.0));
    report("second-level misses of select and report", Spread::exact(last), "", Wanted::AtMost(2.0));
    report("first-level misses of report", Spread::exact(of_report), "", Wanted::Nothing);
    let lines = cold - SWEPT_LINES as f64;
    report("lines that select and report touch, the stack included", Spread::exact(lines), "", Wanted::Nothing);
}

fn all_of<T, const N: usize>(counted: [Option<T>; N]) -> Option<[T; N]> {
    counted.into_iter().collect::<Option<Vec<T>>>()?.try_into().ok()
}

/// One piece of work over and over, to be counted, on the host in a directory.
pub fn once(what: &str, directory: &Path, count: u64) {
    let (api, world) = (Api::load(), World::open(Plan::healthy(100), directory));
    let (c, mut users) = (C::new(&api, &world), Users(0));
    match what {
        "call" => c.calls(&mut users, count),
        "report" => c.reports(&c.choices(100), count),
        "cold-call" => {
            let memory = vec![1u8; SWEPT_LINES * LINE];
            for _ in 0..count {
                black_box(memory.iter().step_by(LINE).map(|&byte| u64::from(byte)).sum::<u64>());
                c.calls(&mut users, 1);
            }
        }
        _ => panic!("unknown: {what}"),
    }
}
