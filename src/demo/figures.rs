//! From counts to figures: shares of the optimum, percentiles, how a step was taken.
//!
//! Nothing here measures or prints; the structures are those of the JSON file.

use std::collections::BTreeMap;
use std::time::Duration;

use mcrpc_core::status::Status;
use serde::Serialize;

use super::plan::{BUCKET, Mode, Scenario, Span, Step};
use super::record::{Bucket, Counts};

/// Everything the demo found out.
#[derive(Serialize)]
pub(crate) struct Results {
    /// Of the server with threads.
    pub(crate) capacity_per_s: f64,
    pub(crate) deadline_ms: u64,
    pub(crate) runs: Vec<RunFigures>,
    pub(crate) steps: Vec<StepFigures>,
}

/// The figures of one run; rates are tasks per second.
#[derive(Serialize)]
pub(crate) struct RunFigures {
    pub(crate) mode: Mode,
    pub(crate) admission: bool,
    pub(crate) calls_per_task: u32,
    pub(crate) load: f64,
    /// Of this mode, in requests.
    pub(crate) capacity_per_s: f64,
    pub(crate) offered_per_s: f64,
    pub(crate) good_per_s: f64,
    pub(crate) optimum_share: f64,
    /// `None` here and below: there were no good tasks.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) p999_ms: Option<f64>,
    /// Answers that refuse, by the name of their status.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) wasted_share: f64,
    #[serde(skip)]
    pub(crate) curves: Curves,
}

/// How one mode took the step from low load to overload and back.
#[derive(Serialize)]
pub(crate) struct StepFigures {
    pub(crate) mode: Mode,
    pub(crate) admission: bool,
    pub(crate) capacity_per_s: f64,
    /// When the overload began and ended.
    pub(crate) overload_s: [f64; 2],
    /// Good tasks against the capacity, from 1 s after the step up to its end.
    pub(crate) share_after_1s: f64,
    /// The first time after the step from which the next 500 ms reach nine tenths of the capacity.
    pub(crate) reached_90_percent_after_s: Option<f64>,
    /// Refusals later than 1 s after the overload ended.
    pub(crate) refused_after_1s: u64,
    /// Good tasks against those offered, from 1 s after the overload ended.
    pub(crate) good_share_after_end: f64,
    #[serde(flatten)]
    pub(crate) curves: Curves,
}

/// Tasks per second over time, one value per bucket.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Curves {
    pub(crate) bucket_ms: u64,
    pub(crate) offered_per_s: Vec<f64>,
    pub(crate) good_per_s: Vec<f64>,
    pub(crate) refused_per_s: Vec<f64>,
}

impl Curves {
    fn new(buckets: &[Bucket]) -> Curves {
        let rate = |count: fn(&Bucket) -> u32| {
            buckets.iter().map(|bucket| f64::from(count(bucket)) / BUCKET.as_secs_f64()).collect()
        };
        Curves {
            bucket_ms: BUCKET.as_millis() as u64,
            offered_per_s: rate(|bucket| bucket.offered),
            good_per_s: rate(|bucket| bucket.good),
            refused_per_s: rate(|bucket| bucket.refused),
        }
    }

    /// The highest rate at which tasks were offered.
    pub(crate) fn highest_offer(&self) -> f64 {
        self.offered_per_s.iter().copied().fold(0.0, f64::max)
    }
}

impl RunFigures {
    /// The figures of a run against a server with this capacity.
    pub(crate) fn new(scenario: &Scenario, span: Span, capacity_per_s: f64, counts: &Counts) -> RunFigures {
        let seconds = span.measured.as_secs_f64();
        let offered_per_s = counts.offered as f64 / seconds;
        let good_per_s = counts.good as f64 / seconds;
        let latency_ms = |quantile| {
            (!counts.latency_us.is_empty())
                .then(|| rounded(counts.latency_us.value_at_quantile(quantile) as f64 / 1000.0))
        };
        let calls_per_task = scenario.calls_per_task;
        let share = optimum_share(good_per_s, offered_per_s, capacity_per_s, calls_per_task);
        RunFigures {
            mode: scenario.mode,
            admission: scenario.admission,
            calls_per_task,
            load: scenario.load,
            capacity_per_s: rounded(capacity_per_s),
            offered_per_s: rounded(offered_per_s),
            good_per_s: rounded(good_per_s),
            optimum_share: rounded(share),
            p50_ms: latency_ms(0.5),
            p99_ms: latency_ms(0.99),
            p999_ms: latency_ms(0.999),
            refused: counts.refusals.iter().map(|(&number, &count)| (status_name(Status(number)), count)).collect(),
            wasted_share: rounded(wasted_share(counts.good, calls_per_task, counts.ok_answers)),
            curves: Curves::new(&counts.buckets),
        }
    }
}

impl StepFigures {
    /// The figures of a step run against a server with this capacity.
    pub(crate) fn new(mode: Mode, admission: bool, step: Step, capacity_per_s: f64, buckets: &[Bucket]) -> StepFigures {
        let overload_start = step.before.length;
        let overload_end = overload_start + step.overload.length;
        let second = Duration::from_secs(1);
        let good = mean_rate(part(buckets, overload_start + second, overload_end), |bucket| bucket.good);
        let aftermath = part(buckets, overload_end + second, step.total());
        let good_afterwards = mean_rate(aftermath, |bucket| bucket.good);
        let offered_afterwards = mean_rate(aftermath, |bucket| bucket.offered);
        StepFigures {
            mode,
            admission,
            capacity_per_s: rounded(capacity_per_s),
            overload_s: [overload_start.as_secs_f64(), overload_end.as_secs_f64()],
            share_after_1s: rounded(good / capacity_per_s),
            reached_90_percent_after_s: time_to_reach(
                part(buckets, overload_start, overload_end),
                0.9 * capacity_per_s,
            ),
            refused_after_1s: aftermath.iter().map(|bucket| u64::from(bucket.refusals)).sum(),
            good_share_after_end: rounded(good_afterwards / offered_afterwards.max(1.0)),
            curves: Curves::new(buckets),
        }
    }
}

/// Good tasks against those an ideal server would have answered well: all of them, or as many as it can.
pub(crate) fn optimum_share(good_per_s: f64, offered_per_s: f64, capacity_per_s: f64, calls_per_task: u32) -> f64 {
    let optimum_per_s = offered_per_s.min(capacity_per_s / f64::from(calls_per_task));
    if optimum_per_s > 0.0 { good_per_s / optimum_per_s } else { 0.0 }
}

/// The part of the OK answers that made no task good: too late, or for a task that failed elsewhere.
///
/// Good tasks and answers are counted where they end, so a task across the span's edge can tip it below zero.
pub(crate) fn wasted_share(good: u64, calls_per_task: u32, ok_answers: u64) -> f64 {
    if ok_answers == 0 {
        return 0.0;
    }
    (1.0 - (good * u64::from(calls_per_task)) as f64 / ok_answers as f64).max(0.0)
}

fn part(buckets: &[Bucket], from: Duration, to: Duration) -> &[Bucket] {
    let index = |at: Duration| (at.as_nanos() / BUCKET.as_nanos()) as usize;
    buckets.get(index(from)..index(to).min(buckets.len())).unwrap_or_default()
}

fn mean_rate(buckets: &[Bucket], count: impl Fn(&Bucket) -> u32) -> f64 {
    let seconds = buckets.len() as f64 * BUCKET.as_secs_f64();
    buckets.iter().map(|bucket| f64::from(count(bucket))).sum::<f64>() / seconds
}

/// Seconds until the first five buckets in a row whose mean rate of good tasks is at least `rate_per_s`.
fn time_to_reach(buckets: &[Bucket], rate_per_s: f64) -> Option<f64> {
    let window = (Duration::from_millis(500).as_nanos() / BUCKET.as_nanos()) as usize;
    buckets
        .windows(window)
        .position(|buckets| mean_rate(buckets, |bucket| bucket.good) >= rate_per_s)
        .map(|index| rounded((BUCKET * index as u32).as_secs_f64()))
}

fn status_name(status: Status) -> String {
    match status.description().and_then(|entry| entry.name.to_str().ok()) {
        Some(name) => name.to_owned(),
        None => format!("status_{}", status.0),
    }
}

/// Four decimals are more than the measurement has.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::super::plan::WHOLE;
    use super::*;

    #[test]
    fn the_optimum_is_what_is_offered_or_what_the_server_can() {
        for (good, offered, capacity, calls, share) in [
            (400.0, 400.0, 800.0, 1, 1.0),
            (400.0, 3200.0, 800.0, 1, 0.5),
            (400.0, 1600.0, 800.0, 2, 1.0),
            (100.0, 200.0, 800.0, 2, 0.5),
            (0.0, 0.0, 800.0, 1, 0.0),
        ] {
            assert_eq!(optimum_share(good, offered, capacity, calls), share);
        }
    }

    #[test]
    fn an_answer_is_wasted_unless_its_task_is_good() {
        assert_eq!(wasted_share(100, 2, 400), 0.5);
        assert_eq!(wasted_share(0, 1, 10), 1.0);
        assert_eq!(wasted_share(0, 1, 0), 0.0);
        assert_eq!(wasted_share(101, 1, 100), 0.0);
    }

    /// 80 buckets: good tasks as given from second 2 to 5, otherwise 40 per bucket.
    fn step_buckets(good_in_overload: impl Fn(usize) -> u32) -> Vec<Bucket> {
        (0..80)
            .map(|index| Bucket {
                offered: if (20..50).contains(&index) { 320 } else { 40 },
                good: if (20..50).contains(&index) { good_in_overload(index - 20) } else { 40 },
                refused: 0,
                refusals: u32::from(index == 59 || index == 60 || index == 79),
            })
            .collect()
    }

    #[test]
    fn a_step_that_recovers_is_described() {
        let buckets = step_buckets(|index| if index < 4 { 20 } else { 80 });
        let figures = StepFigures::new(Mode::Threads, true, WHOLE.step.unwrap(), 800.0, &buckets);
        assert_eq!(figures.overload_s, [2.0, 5.0]);
        assert_eq!(figures.share_after_1s, 1.0);
        // From 0.4 s on; the mean of 20, 80, 80, 80, 80 is 68, below 72.
        assert_eq!(figures.reached_90_percent_after_s, Some(0.4));
        // Bucket 60 begins exactly one second after the end.
        assert_eq!(figures.refused_after_1s, 2);
        assert_eq!(figures.good_share_after_end, 1.0);
        assert_eq!(figures.curves.offered_per_s[25], 3200.0);
    }

    #[test]
    fn a_step_that_never_recovers_says_so() {
        let figures = StepFigures::new(Mode::Threads, false, WHOLE.step.unwrap(), 800.0, &step_buckets(|_| 8));
        assert_eq!(figures.share_after_1s, 0.1);
        assert_eq!(figures.reached_90_percent_after_s, None);
    }

    #[test]
    fn unknown_statuses_have_a_name_too() {
        assert_eq!(status_name(Status::BELOW_CURSOR), "below_cursor");
        assert_eq!(status_name(Status(-9999)), "status_-9999");
    }
}
