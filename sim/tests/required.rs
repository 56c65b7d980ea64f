//! What ours has to reach, in the short variants of all scenarios; what it does not reach yet is listed here.

use mcrpc_sim::campaign::campaign;
use mcrpc_sim::policy::{Mcrpc, Policy};
use mcrpc_sim::required::judge;
use mcrpc_sim::scenario::{self, Extent};

/// Not reached yet, as [`mcrpc_sim::required::Required`] is shown. Whoever reaches one takes its line out.
const NOT_YET: [&str; 6] = [
    "square-1s: low_phase_refused <= 0.02",
    "user-retries: recovery_s <= 5",
    "businesses at 2x: top_half_served >= 0.995",
    "exponential M^4 at 1.2x..4x: optimum_share >= 0.97",
    "businesses at 2x: inversion <= 0.005",
    "old-clients-3-in-10: others_loss <= 0.05",
];
const SEEDS: u64 = 2;

#[test]
fn given_short_runs_then_ours_reaches_what_is_required() {
    let ours: [Box<dyn Policy>; 1] = [Box::new(Mcrpc::whole())];
    let results = campaign(&scenario::all(Extent::Quick), &ours, SEEDS, &|| {});
    let mut wrong = Vec::new();
    for verdict in judge(&results.cells) {
        // Some are about rivals, who do not run here.
        let Some(worst) = verdict.worst else { continue };
        let name = verdict.required.to_string();
        match (worst.is_met(), NOT_YET.contains(&&*name)) {
            (false, false) => {
                let (value, calls, load) = (worst.value, worst.cell.calls_per_task, worst.cell.load);
                wrong.push(format!("missed: {name}; measured: {value:.4}, calls per task: {calls:?}, load: {load}x"));
            }
            (true, true) => println!("reached now, take it out of NOT_YET: {name} ({:.4})", worst.value),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
