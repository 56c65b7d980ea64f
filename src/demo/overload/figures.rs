//! From counts to figures; the structures are those of the JSON file.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use super::super::figures::rounded;
use super::plan::{BUCKET, CALLS_PER_TASK, CAPACITY_PER_S, Policy, Run, Scenario, Timing};
use super::record::{Bucket, Counts};
use super::series::Calls;

/// The service is back when so many of those who ask are answered.
const NORMAL_SUCCESS: f64 = 0.95;
/// In less than a second chance has too much to say.
const WINDOW: usize = Duration::from_secs(1).as_millis() as usize / BUCKET.as_millis() as usize;

/// Everything the demo found out.
#[derive(Serialize)]
pub(crate) struct Results {
    /// Calls per second that the servers can do together.
    pub(crate) capacity_per_s: f64,
    pub(crate) cells: Vec<Cell>,
}

/// A policy in a scenario: the median of each figure over the repetitions.
#[derive(Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) scenario: Scenario,
    pub(crate) policy: Policy,
    pub(crate) repetitions: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// Of the repetition whose share of the optimum is the median.
    pub(crate) curves: Curves,
}

/// What is measured of a run; where nothing else is said, during the overload.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Figures {
    /// Good tasks over those that an ideal service would do well.
    pub(crate) optimum_share: f64,
    /// The same in the worst second.
    pub(crate) worst_1s: f64,
    /// From the end of the overload to the first second in which 95 % of those who ask are answered. `None`: never.
    pub(crate) recovery_s: Option<f64>,
    /// Of good tasks. `None`: there are none.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Of the calls that the servers executed, those of tasks that failed.
    pub(crate) wasted_share: f64,
    /// Requests that reach the servers over what they can do.
    pub(crate) requests_per_capacity: f64,
}

/// Tasks per second over time, one value per bucket.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Curves {
    pub(crate) bucket_ms: u64,
    /// When the overload began and ended, in seconds.
    pub(crate) overload_s: [f64; 2],
    pub(crate) tries_per_s: Vec<f64>,
    pub(crate) good_per_s: Vec<f64>,
    /// Tasks that the servers can do.
    pub(crate) capacity_per_s: Vec<f64>,
}

/// The figures of one run.
pub(crate) struct RunFigures {
    pub(crate) run: Run,
    pub(crate) figures: Figures,
    pub(crate) curves: Curves,
}

impl RunFigures {
    /// Those of a run in whose overload the processes counted `calls`.
    pub(crate) fn new(run: Run, timing: Timing, counts: &Counts, calls: Calls) -> RunFigures {
        let overload = bucket_at(timing.before)..bucket_at(timing.before + timing.overload);
        let during = part(&counts.buckets, overload.clone());
        let after = part(&counts.buckets, overload.end..counts.buckets.len());
        let optimum_per_s = run.scenario.optimum_per_s();
        let share = |buckets: &[Bucket]| rate(buckets, |bucket| bucket.good) / optimum_per_s;
        let capacity = CAPACITY_PER_S * run.scenario.capacity_left() * timing.overload.as_secs_f64();
        let latency_ms = |quantile| {
            let has_any = !counts.latency_us.is_empty();
            has_any.then(|| rounded(counts.latency_us.value_at_quantile(quantile) as f64 / 1_000.0))
        };
        let figures = Figures {
            optimum_share: rounded(share(during)),
            worst_1s: rounded(during.windows(WINDOW).map(share).fold(f64::INFINITY, f64::min)),
            recovery_s: recovery_s(after),
            p50_ms: latency_ms(0.5),
            p99_ms: latency_ms(0.99),
            wasted_share: rounded(calls.wasted_share()),
            requests_per_capacity: rounded(calls.received as f64 / capacity),
        };
        RunFigures { run, figures, curves: Curves::new(run.scenario, timing, &counts.buckets) }
    }
}

impl Curves {
    fn new(scenario: Scenario, timing: Timing, buckets: &[Bucket]) -> Curves {
        let overload = timing.before..timing.before + timing.overload;
        let all = CAPACITY_PER_S / f64::from(CALLS_PER_TASK);
        let capacity_at = |index: usize| {
            let is_overload = overload.contains(&(BUCKET * index as u32));
            if is_overload { all * scenario.capacity_left() } else { all }
        };
        let rates = |count: fn(&Bucket) -> u32| {
            buckets.iter().map(|bucket| f64::from(count(bucket)) / BUCKET.as_secs_f64()).collect()
        };
        Curves {
            bucket_ms: BUCKET.as_millis() as u64,
            overload_s: [overload.start.as_secs_f64(), overload.end.as_secs_f64()],
            tries_per_s: rates(|bucket| bucket.tries),
            good_per_s: rates(|bucket| bucket.good),
            capacity_per_s: (0..buckets.len()).map(capacity_at).collect(),
        }
    }
}

/// The medians of the repetitions, each policy in each scenario.
pub(crate) fn cells(runs: &[RunFigures]) -> Vec<Cell> {
    let cell = |(scenario, policy)| {
        let mut of_cell: Vec<_> =
            runs.iter().filter(|one| one.run.scenario == scenario && one.run.policy == policy).collect();
        of_cell.sort_by(|a, b| a.figures.optimum_share.total_cmp(&b.figures.optimum_share));
        let middle = of_cell.get(of_cell.len() / 2)?;
        let all: Vec<_> = of_cell.iter().map(|one| one.figures).collect();
        let curves = middle.curves.clone();
        Some(Cell { scenario, policy, repetitions: all.len(), figures: medians(&all), curves })
    };
    let pairs = Scenario::ALL.into_iter().flat_map(|scenario| Policy::ALL.map(|policy| (scenario, policy)));
    pairs.filter_map(cell).collect()
}

fn medians(all: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| median(all.iter().map(|one| Some(figure(one)))).unwrap_or_default();
    let of_optional = |figure: fn(&Figures) -> Option<f64>| median(all.iter().map(figure));
    Figures {
        optimum_share: of(|one| one.optimum_share),
        worst_1s: of(|one| one.worst_1s),
        recovery_s: of_optional(|one| one.recovery_s),
        p50_ms: of_optional(|one| one.p50_ms),
        p99_ms: of_optional(|one| one.p99_ms),
        wasted_share: of(|one| one.wasted_share),
        requests_per_capacity: of(|one| one.requests_per_capacity),
    }
}

/// The one in the middle, or the worse of the two; what never happened is worse than any number.
fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut sorted: Vec<_> = values.map(|value| value.unwrap_or(f64::INFINITY)).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().filter(|value| value.is_finite())
}

fn bucket_at(at: Duration) -> usize {
    (at.as_nanos() / BUCKET.as_nanos()) as usize
}

fn part(buckets: &[Bucket], range: Range<usize>) -> &[Bucket] {
    buckets.get(range).unwrap_or_default()
}

fn rate(buckets: &[Bucket], count: impl Fn(&Bucket) -> u32) -> f64 {
    let seconds = buckets.len() as f64 * BUCKET.as_secs_f64();
    buckets.iter().map(|bucket| f64::from(count(bucket))).sum::<f64>() / seconds
}

/// From the start of the buckets to that of the first window in which the service is back.
fn recovery_s(after: &[Bucket]) -> Option<f64> {
    let is_back = |window: &[Bucket]| {
        let sum = |count: fn(&Bucket) -> u32| f64::from(window.iter().map(count).sum::<u32>());
        sum(|bucket| bucket.tries_good) >= NORMAL_SUCCESS * sum(|bucket| bucket.tries)
    };
    let index = after.windows(WINDOW).position(is_back)?;
    Some(rounded((BUCKET * index as u32).as_secs_f64()))
}

#[cfg(test)]
pub(super) mod tests {
    use hdrhistogram::Histogram;

    use super::super::plan::QUICK;
    use super::*;

    /// 60 tasks per bucket; as many as an ideal service would do are good, but in one second of the overload and for
    /// `back_after` buckets only a third of them.
    pub(crate) fn run(policy: Policy, back_after: usize) -> RunFigures {
        let timing = QUICK.timing(Scenario::Steady2);
        let mut latency_us = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        latency_us.record(120_000).unwrap();
        let (start, end) = (bucket_at(timing.before), bucket_at(timing.before + timing.overload));
        let buckets = (0..bucket_at(timing.total()))
            .map(|index| {
                let is_low = (start + 10..start + 20).contains(&index) || (end..end + back_after).contains(&index);
                let good = if is_low { 12 } else { 36 };
                let tries = if (start..end).contains(&index) { 75 } else { 36 };
                Bucket { offered: tries, tries, tries_good: good, good }
            })
            .collect();
        let run = Run { scenario: Scenario::Steady2, policy, number: 0 };
        RunFigures::new(
            run,
            timing,
            &Counts { buckets, latency_us },
            Calls { received: 6_000, useful: 2_400, wasted: 600 },
        )
    }

    #[test]
    fn an_overload_and_its_end_are_described() {
        let figures = run(Policy::Mcrpc, 7).figures;
        // 30 buckets of 36 and ten of 12, of an optimum of 37.5.
        assert_eq!((figures.optimum_share, figures.worst_1s), (0.8, 0.32));
        assert_eq!((figures.wasted_share, figures.requests_per_capacity), (0.2, 2.0));
        // One bucket of ten with a third of its tasks is enough for a window not to be good.
        assert_eq!((figures.recovery_s, figures.p99_ms.map(f64::round)), (Some(0.7), Some(120.0)));
    }

    #[test]
    fn who_never_recovers_says_so() {
        assert_eq!(run(Policy::None, 100).figures.recovery_s, None);
    }

    #[test]
    fn a_cell_has_the_medians() {
        let cells = cells(&[run(Policy::Mcrpc, 100), run(Policy::Mcrpc, 3), run(Policy::Mcrpc, 7)]);
        assert_eq!(cells.len(), 1);
        assert_eq!((cells[0].repetitions, cells[0].figures.recovery_s), (3, Some(0.7)));
    }
}
