//! What callgrind says of the hot calls: instructions, and lines of data that were not in the first-level cache.
//!
//! The driver makes each call from a function of its own, `call_NAME`, with a cold cache. So what that function spends on the
//! call of `NAME` is what one call costs, wherever else `NAME` is called to prepare something.

use std::collections::HashMap;

/// One call of a function, on average.
#[derive(Clone, Debug)]
pub struct Cost {
    pub name: String,
    /// Those of the function and of what it calls.
    pub instructions: f64,
    /// Lines of 64 bytes that it touches: arguments, results, stack and shared state.
    pub data_lines: f64,
    /// Instructions with those that pass the arguments and look at the result.
    pub with_caller: f64,
}

/// What the driver's function of a call has spent: in all, and on the call itself.
#[derive(Default)]
struct Sums {
    times: u64,
    whole: Events,
    call: Events,
}

/// Instructions and misses of the first-level data cache.
#[derive(Clone, Copy, Default)]
struct Events {
    instructions: u64,
    misses: u64,
}

/// The costs in a file of callgrind's, in the order of `names`; `times` is how often each call was made.
pub fn costs(text: &str, names: &[String], times: u64) -> Vec<Cost> {
    let sums = sums(text);
    let cost = |name: &String| {
        let sums = sums.get(name).unwrap_or_else(|| panic!("callgrind saw no call of {name}"));
        // A call that was inlined has no sum of its own.
        assert!(sums.times == times || sums.times == 0, "{name} was called {} times, not {times}", sums.times);
        let each = |sum: u64| sum as f64 / times as f64;
        Cost {
            name: name.clone(),
            instructions: each(sums.call.instructions),
            data_lines: each(sums.call.misses),
            with_caller: each(sums.whole.instructions),
        }
    };
    names.iter().map(cost).collect()
}

/// Reads the format that callgrind's manual defines: functions named once and then by number; each line of costs begins with a
/// position; the line behind `calls=` is what the call has cost.
fn sums(text: &str) -> HashMap<String, Sums> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut found: HashMap<String, Sums> = HashMap::new();
    let (mut caller, mut callee, mut in_call) = (None, "", false);
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            caller = resolve(&mut names, function).strip_prefix("call_").map(str::to_owned);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            callee = resolve(&mut names, function);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            in_call = true;
            if let Some(name) = caller.as_ref().filter(|name| *name == callee) {
                let times: u64 =
                    calls.split(' ').next().and_then(|times| times.parse().ok()).expect("a number of calls");
                found.entry(name.clone()).or_default().times += times;
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if let Some(name) = &caller {
                let (events, sums) = (events(line), found.entry(name.clone()).or_default());
                sums.whole.add(events);
                if in_call && name == callee {
                    sums.call.add(events);
                }
            }
            in_call = false;
        }
    }
    found
}

/// The name of `(7) name`, or of `(7)` if it was given before, without what the linker appends to a local one.
fn resolve<'a>(names: &mut HashMap<&'a str, &'a str>, function: &'a str) -> &'a str {
    let (number, name) = function.split_once(' ').unwrap_or((function, ""));
    if !name.is_empty() {
        names.insert(number, name.split(".llvm.").next().unwrap_or(name));
    }
    names.get(number).copied().unwrap_or("")
}

/// Ir, Dr, Dw, I1mr, D1mr, D1mw behind the position; zeroes at the end are left out.
fn events(line: &str) -> Events {
    let counts: Vec<u64> = line.split(' ').skip(1).filter_map(|count| count.parse().ok()).collect();
    let at = |n: usize| counts.get(n).copied().unwrap_or(0);
    Events { instructions: at(0), misses: at(4) + at(5) }
}

impl Events {
    fn add(&mut self, other: Events) {
        self.instructions += other.instructions;
        self.misses += other.misses;
    }
}
