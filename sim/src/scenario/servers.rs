//! What servers are like: times of calls, cost of refusing, queues and processes, one that is slow, two services.

use super::loads::step;
use super::{Case, Extent, Scenario, steady};
use crate::record::Span;
use crate::world::{Change, Duration, Service, TaskKind, World};

const OVERLOADS: [f64; 3] = [1.2, 2.0, 4.0];
const NANOS_PER_HOUR: u64 = 3_600_000_000_000;

pub(super) fn scenarios(extent: Extent) -> Vec<Scenario> {
    let span = extent.steady();
    let fast_span = Span { from_s: extent.s(20.0, 3.0), to_s: extent.s(35.0, 8.0) };
    let with = |name, about, calls: &[usize], loads: &[f64], shape: fn(&mut Service)| {
        steady(name, about, span, calls, loads, |case| shape(&mut case.world.services[0]))
    };
    let mut fast_step = Scenario {
        name: "fast-servers-step",
        about: "servers of 4000 calls a second; 0.5x, 3x, 0.5x",
        cases: vec![step(extent, 2)],
    };
    fast_step.cases.iter_mut().for_each(fast);
    vec![
        with("exponential", "exponential times of calls", &[1, 4], &[0.9, 1.2, 2.0, 4.0], |service| {
            service.duration = Duration::Exponential;
        }),
        with("fixed-times", "all calls take equally long", &[1, 4], &[0.9, 1.2, 2.0, 4.0], |service| {
            service.duration = Duration::Fixed;
        }),
        with("heavy-tailed", "heavy-tailed times of calls", &[1, 4], &[0.9, 1.2, 2.0, 4.0], |service| {
            service.duration = Duration::HeavyTailed;
        }),
        compared(
            "slow-1-percent",
            "one call in a hundred takes ten times as long",
            span,
            &[0.9, 2.0, 4.0],
            |service| {
                service.duration = Duration::SlowOneInHundred;
            },
        ),
        with("refusal-cost-10", "refusing costs 10 % of a call", &[1, 2, 4], &[2.0, 4.0], |service| {
            service.refusal_cost = 0.1;
        }),
        with("refusal-cost-30", "refusing costs 30 % of a call", &[1, 2, 4], &[2.0, 4.0], |service| {
            service.refusal_cost = 0.3;
        }),
        with("shared-queue", "eight processes share a queue and its workers", &[1, 4], &OVERLOADS, |service| {
            service.processes_per_queue = 8;
        }),
        with("queue-each", "eight processes, each with a queue and a worker", &[1, 4], &OVERLOADS, queue_each),
        wrong_clock(span),
        slow_server(span),
        growing_capacity(span),
        two_services(span),
        steady(
            "fast-servers",
            "servers of 4000 calls a second",
            fast_span,
            &[1, 2, 3, 4],
            &[1.0, 1.2, 2.0, 3.0, 4.0],
            fast,
        ),
        fast_step,
    ]
}

fn fast(case: &mut Case) {
    let service = &mut case.world.services[0];
    (service.workers_per_queue, service.service_ms) = (16, 4.0);
}

fn queue_each(service: &mut Service) {
    (service.queues, service.workers_per_queue) = (8, 1);
}

/// Servers that are not as they should be, beside ones that are.
fn compared(
    name: &'static str,
    about: &'static str,
    span: Span,
    loads: &[f64],
    shape: impl Fn(&mut Service),
) -> Scenario {
    steady(name, about, span, &[1, 4], loads, |case| {
        case.compare();
        shape(&mut case.world.services[0]);
    })
}

fn wrong_clock(span: Span) -> Scenario {
    let about = "eight processes with a queue each, one of them an hour ahead";
    steady("wrong-clock", about, span, &[1, 4], &[0.9, 2.0, 4.0], |case| {
        queue_each(&mut case.world.services[0]);
        case.compare();
        case.world.services[0].wrong_clock_ns = NANOS_PER_HOUR;
    })
}

fn slow_server(span: Span) -> Scenario {
    let about = "one of three servers has half the speed";
    steady("slow-server", about, span, &[1, 4], &[0.7, 1.2, 2.0, 4.0], |case| {
        case.world.services[0].capacity = vec![Change { from_s: 0.0, to_s: span.to_s, factor: 0.5, server: Some(0) }];
    })
}

/// From the usual capacity to twice that, in steps of a twentieth.
fn growing_capacity(span: Span) -> Scenario {
    const STEPS: usize = 20;
    let about = "the capacity grows to twice the usual one";
    let step_s = span.to_s / STEPS as f64;
    let at_step = |n: usize| Change {
        from_s: n as f64 * step_s,
        to_s: (n + 1) as f64 * step_s,
        factor: 1.0 + n as f64 / (STEPS - 1) as f64,
        server: None,
    };
    steady("growing-capacity", about, span, &[1, 4], &[2.0], |case| {
        // What fits changes all the time, so that the tenths that do cannot be named.
        case.metrics = super::CHANGING.to_vec();
        // The first half of the growth is as interesting as the second.
        case.measured.from_s = span.from_s / 4.5;
        case.world.services[0].capacity = (0..STEPS).map(at_step).collect();
    })
}

fn two_services(span: Span) -> Scenario {
    let about = "each task calls two services, both overloaded alike";
    steady("two-services", about, span, &[2], &OVERLOADS, |case| {
        let kinds = vec![TaskKind { calls: vec![0, 1], weight: 1.0 }];
        let services = vec![Service::usual(), Service::usual()];
        case.world = World { services, kinds, ..case.world.clone() };
    })
}
