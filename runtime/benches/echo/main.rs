//! What the runtime costs per call: beside echo servers that do nothing else, and beside other RPC systems.
//!
//! `cargo bench -p mcrpc --bench echo` measures everything; `-- ratios slow counts calls idle pairs table` chooses. `-- profile
//! "refused, overload"` shows by function what takes the instructions of a case of `counts`, `-- profile-calls ours` those of a
//! client of `calls`, and `-- drive pooled` keeps a server busy for ten seconds, to be looked at with perf. Each server runs in
//! a process of its own on core 0, and whoever calls it on core 1: one load generator for all servers whose frames it can
//! write, or the system's own client. Figures are medians over rounds in which all take turns, with the span from the 10th to the
//! 90th percentile; ratios are medians of the rounds' ratios. On a machine that does other things, `echo -15 > /proc/self/autogroup`
//! in the shell before keeps these out of the way, as root. tonic and tarpc are in benches/rpc, which this program builds.

mod clients;
mod closed_loop;
mod contest;
mod framing;
mod heap;
mod load;
#[path = "../../../benches/common/measure.rs"]
mod measure;
mod process;
mod sections;
mod servers;
mod shape;
mod socket;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

const SERVERS_CORE: usize = 0;
const CALLERS_CORE: usize = 1;

fn main() {
    // Cargo adds an option of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", name] => {
            pin_to(SERVERS_CORE);
            serve(name);
        }
        ["load", name, address] => {
            pin_to(CALLERS_CORE);
            clients::run(name, address.parse().expect("an address"));
        }
        ["drive", case] => {
            pin_to(CALLERS_CORE);
            sections::drive(case);
        }
        ["profile", case] => sections::profile(case),
        ["profile-calls", client] => sections::profile_calls(client),
        ref wanted => {
            let names = sections::ALL.map(|(name, _)| name);
            if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
                panic!("{unknown}: there are {}", names.join(", "));
            }
            pin_to(CALLERS_CORE);
            let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
            println!("load of the machine when this began: {}", load.trim_end());
            for (name, run) in sections::ALL {
                if wanted.is_empty() || wanted.contains(&name) {
                    run();
                }
            }
        }
    }
}

/// Serves, and answers questions, until the standard input ends.
fn serve(name: &str) {
    println!("{}", servers::start(name));
    for line in std::io::stdin().lines() {
        match line.as_deref() {
            Ok("allocations") => println!("{}", heap::allocations()),
            line => panic!("no question: {line:?}"),
        }
    }
}

fn pin_to(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).expect("a core");
    sched_setaffinity(Pid::from_raw(0), &cores).expect("two cores");
}
