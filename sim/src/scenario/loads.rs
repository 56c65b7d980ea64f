//! Steady load, steps, waves, bursts, and users who come again.

use super::{CHANGING, Case, Extent, Scenario, steady};
use crate::metric::Metric;
use crate::random::Streams;
use crate::record::Span;
use crate::world::{Change, Phase, Retries, World};

pub(super) fn scenarios(extent: Extent) -> Vec<Scenario> {
    let loads = [0.5, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0];
    vec![
        steady("steady", "the same load all the time", extent.steady(), &[1, 2, 3, 4], &loads, |_| {}),
        Scenario {
            name: "step",
            about: "0.5x, then 3x, then 0.5x",
            cases: [1, 2, 4].map(|calls| step(extent, calls)).into(),
        },
        square(extent, "square-5s", "0.5x and 3x, each for 5 s", 5.0),
        square(extent, "square-1s", "0.5x and 3x, each for 1 s", 1.0),
        brownout(extent),
        user_retries(extent),
        bursts(extent, "bursts", "a hundred random bursts, then 0.5x", &[1, 2, 4], None),
        bursts(extent, "bursts-retries", "a hundred random bursts, with users who come again", &[2], Some(RETRIES)),
    ]
}

const RETRIES: Retries = Retries { probability: 0.9, times: 3, mean_s: 1.0 };

/// A world of three phases, measured in the second.
pub(super) fn hump(calls: usize, low: f64, high: f64, before_s: f64, during_s: f64, after_s: f64) -> Case {
    let span = Span { from_s: before_s, to_s: before_s + during_s };
    let mut world = World::steady(calls, low, span.to_s + after_s);
    world.phases = vec![
        Phase { from_s: 0.0, load: low },
        Phase { from_s: span.from_s, load: high },
        Phase { from_s: span.to_s, load: low },
    ];
    let mut case = Case::new(calls, high, span, &CHANGING, world).measures(&[Metric::Recovery]);
    case.has_curve = true;
    case
}

pub(super) fn step(extent: Extent, calls: usize) -> Case {
    hump(calls, 0.5, 3.0, extent.s(30.0, 10.0), extent.s(60.0, 20.0), extent.s(60.0, 10.0))
}

fn square(extent: Extent, name: &'static str, about: &'static str, half_period_s: f64) -> Scenario {
    const LOADS: [f64; 2] = [0.5, 3.0];
    let span = Span { from_s: extent.s(60.0, 10.0), to_s: extent.s(120.0, 40.0) };
    let mut world = World::steady(2, LOADS[0], span.to_s);
    let half_periods = (span.to_s / half_period_s) as usize;
    world.phases = (0..half_periods).map(|n| Phase { from_s: n as f64 * half_period_s, load: LOADS[n % 2] }).collect();
    // The work of a high phase that is completed in the low one would make single seconds look odd.
    let metrics = [Metric::OptimumShare, Metric::P50, Metric::P99, Metric::LowPhaseRefused, Metric::Wasted];
    let mut case = Case::new(2, LOADS[1], span, &metrics, world);
    case.has_curve = true;
    Scenario { name, about, cases: vec![case] }
}

fn brownout(extent: Extent) -> Scenario {
    let load = 0.8;
    let mut case = hump(2, load, load, extent.s(30.0, 10.0), extent.s(30.0, 15.0), extent.s(60.0, 10.0));
    let Span { from_s, to_s } = case.measured;
    case.world.services[0].capacity = vec![Change { from_s, to_s, factor: 0.4, server: None }];
    Scenario { name: "brownout", about: "0.8x, while the capacity falls to 0.4 for some time", cases: vec![case] }
}

fn user_retries(extent: Extent) -> Scenario {
    let mut case = hump(2, 0.7, 3.0, extent.s(30.0, 10.0), extent.s(20.0, 10.0), extent.s(100.0, 20.0));
    case.world.user_retries = Some(RETRIES);
    Scenario { name: "user-retries", about: "0.7x, 3x, 0.7x, with users who come again", cases: vec![case] }
}

/// Time in which one burst happens.
const SLOT_S: f64 = 6.0;
/// Time after the last one.
const QUIET_S: f64 = 20.0;
const QUIET_LOAD: f64 = 0.5;

fn bursts(
    extent: Extent,
    name: &'static str,
    about: &'static str,
    calls: &[usize],
    user_retries: Option<Retries>,
) -> Scenario {
    let busy_s = extent.s(100.0, 10.0) * SLOT_S;
    let case = |&calls| {
        let span = Span { from_s: 0.0, to_s: busy_s };
        let world = World { user_retries, ..World::steady(calls, QUIET_LOAD, busy_s + QUIET_S) };
        let mut case = Case::new(calls, QUIET_LOAD, span, &[Metric::OptimumShare, Metric::Latches], world);
        case.of_seed = random_bursts;
        case
    };
    Scenario { name, about, cases: calls.iter().map(case).collect() }
}

/// One in each slot: 1.5x to 8x, for 0.2 s to 5 s, anywhere in its slot.
fn random_bursts(world: &mut World) {
    let mut random = Streams::new(world.seed).world;
    let mut between = |least: f64, most: f64| least + (most - least) * random.unit();
    let slots = ((world.length_s - QUIET_S) / SLOT_S) as usize;
    for slot in 0..slots {
        let (height, length_s) = (between(1.5, 8.0), between(0.2, 5.0));
        let from_s = slot as f64 * SLOT_S + between(0.0, SLOT_S - length_s);
        world.phases.push(Phase { from_s, load: height });
        world.phases.push(Phase { from_s: from_s + length_s, load: QUIET_LOAD });
    }
}
