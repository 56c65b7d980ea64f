//! The tables of scenarios and required figures, and what a campaign makes of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcrpc_sim::campaign::{Results, campaign, run_count};
use mcrpc_sim::metric::Metric;
use mcrpc_sim::policy::{Mcrpc, NoControl, Policy};
use mcrpc_sim::required;
use mcrpc_sim::scenario::{Extent, Scenario, all};

fn policies() -> [Box<dyn Policy>; 2] {
    [Box::new(NoControl), Box::new(Mcrpc::whole())]
}

fn only(name: &str) -> Vec<Scenario> {
    all(Extent::Quick).into_iter().filter(|scenario| scenario.name == name).collect()
}

fn run(name: &str, seeds: u64) -> Results {
    campaign(&only(name), &policies(), seeds, &|| {})
}

#[test]
fn cases_are_told_apart_by_name_calls_and_load_and_are_measured_while_they_run() {
    for extent in [Extent::Whole, Extent::Quick] {
        let mut known = BTreeSet::new();
        for scenario in all(extent) {
            for case in &scenario.cases {
                let name = format!("{} {:?} {}", scenario.name, case.calls_per_task, case.load);
                let world = case.world(1);
                assert!(case.measured.from_s < case.measured.to_s && case.measured.to_s <= world.length_s, "{name}");
                assert!(case.others.end <= world.callers.processes() && !case.others.is_empty(), "{name}");
                assert_eq!(case.compared.is_some(), case.metrics.contains(&Metric::OthersLoss), "{name}");
                assert!(case.compared_world(1).is_none_or(|compared| compared != world), "{name}");
                assert!(known.insert(name.clone()), "twice: {name}");
            }
        }
    }
}

#[test]
fn each_required_figure_is_measured_somewhere() {
    let scenarios = all(Extent::Whole);
    for required in required::all() {
        let scenario = scenarios.iter().find(|scenario| scenario.name == required.scenario).unwrap();
        let is_meant = |calls: Option<usize>| {
            required.calls.is_empty() || calls.is_some_and(|calls| required.calls.contains(&calls))
        };
        let meant = scenario.cases.iter().filter(|case| is_meant(case.calls_per_task));
        let mut meant = meant.filter(|case| required.loads.contains(&case.load)).peekable();
        assert!(meant.peek().is_some(), "{required}");
        assert!(meant.all(|case| case.metrics.contains(&required.metric)), "{required}");
    }
}

#[test]
fn given_the_same_seeds_then_the_results_are_the_same_in_the_same_order() {
    let [first, second] = [(); 2].map(|()| run("square-1s", 2));
    let text = |results: &Results| format!("{:?}", results.cells);
    assert_eq!(text(&first), text(&second));
    let order: Vec<_> = first.cells.iter().map(|cell| cell.policy).collect();
    assert_eq!(order, ["none", "mcrpc"]);
    assert_eq!(first.curves.len(), 2);
}

#[test]
fn every_run_is_told_of_and_every_metric_has_its_median_between_least_and_most() {
    let told = AtomicU64::new(0);
    let scenarios = only("user-retries");
    let results = campaign(&scenarios, &policies(), 3, &|| _ = told.fetch_add(1, Relaxed));
    assert_eq!(told.load(Relaxed), run_count(&scenarios, 2, 3));
    for cell in &results.cells {
        assert_eq!(cell.figures.len(), scenarios[0].cases[0].metrics.len());
        for (metric, figure) in &cell.figures {
            assert!(figure.least <= figure.median && figure.median <= figure.most, "{metric:?} {figure:?}");
        }
    }
}

#[test]
fn users_who_come_again_keep_a_server_without_control_from_ever_being_normal() {
    let results = run("user-retries", 1);
    let recovery = |place: usize| results.cells[place].median(Metric::Recovery).unwrap();
    assert!(recovery(0) > 3.0 * recovery(1), "{} {}", recovery(0), recovery(1));
}

#[test]
fn bursts_differ_by_seed_and_leave_the_end_quiet() {
    let scenario = &only("bursts")[0];
    let worlds = [1, 2].map(|seed| scenario.cases[0].world(seed));
    assert_ne!(worlds[0].phases, worlds[1].phases);
    for world in worlds {
        assert!(world.phases.is_sorted_by(|a, b| a.from_s <= b.from_s));
        assert_eq!(world.load(world.length_s - 20.0), 0.5);
        assert!(world.phases.iter().any(|phase| phase.load > 1.5));
    }
}

#[test]
fn a_rival_does_not_have_the_name_of_ours() {
    assert!(required::is_rival("none") && !required::is_rival("mcrpc") && !required::is_rival("mcrpc pass rate"));
}
