//! What callers are like: many, old, forging; what their tasks call, and how important those are.

use super::{Case, Extent, Scenario, steady};
use crate::metric::Metric;
use crate::world::{Callers, Importance, TaskKind};

const OVERLOADS: [f64; 2] = [2.0, 4.0];

pub(super) fn scenarios(extent: Extent) -> Vec<Scenario> {
    let span = extent.steady();
    let important = |name, about, importance| {
        steady(name, about, span, &[1, 4], &[0.9, 1.2, 2.0, 4.0], |case| case.world.importance = importance)
    };
    let trickles = |name, about, hosts, processes_per_host| {
        steady(name, about, span, &[1, 4], &[0.9, 1.2, 2.0, 4.0], |case| {
            case.called_by(Callers { hosts, processes_per_host, ..case.world.callers.clone() });
        })
    };
    vec![
        important("businesses", "twelve businesses of different size and importance", Importance::Businesses),
        important("hot-user", "a third of all tasks are one user's", Importance::HotUser),
        important("anonymous", "tasks of neither business nor user", Importance::Anonymous),
        mixed_kinds(extent),
        trickles("60-clients-on-6-hosts", "sixty processes call, ten on each host", 6, 10),
        trickles("60-clients-on-60-hosts", "sixty processes call, each on a host of its own", 60, 1),
        steady("old-clients-3-in-10", "three in ten callers retry blindly", span, &[1, 4], &OVERLOADS, |case| {
            ten_callers(case);
            case.compare();
            case.world.callers.old_in_ten = 3;
            case.others = 3..10;
        }),
        steady("old-clients-all", "all callers retry blindly", span, &[1, 4], &OVERLOADS, |case| {
            ten_callers(case);
            case.world.callers.old_in_ten = 10;
        }),
        steady("forger", "one of ten callers calls all its tasks important", span, &[1, 4], &OVERLOADS, |case| {
            ten_callers(case);
            case.compare();
            case.world.callers.forger = true;
            case.world.services[0].fair_share = true;
            case.others = 1..10;
        }),
    ]
}

fn ten_callers(case: &mut Case) {
    case.called_by(Callers { hosts: 10, processes_per_host: 1, ..case.world.callers.clone() });
}

fn mixed_kinds(extent: Extent) -> Scenario {
    let about = "tasks of one, two, three and four calls at once";
    steady("mixed-kinds", about, extent.steady(), &[1], &[1.2, 2.0, 4.0], |case| {
        case.calls_per_task = None;
        case.metrics.push(Metric::Fairness);
        case.world.kinds = (1..=4).map(|calls| TaskKind { calls: vec![0; calls], weight: 1.0 }).collect();
    })
}
