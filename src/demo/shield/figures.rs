//! From counts to figures; the structures are those of the JSON file.

use serde::Serialize;

use super::super::figures::rounded;
use super::clock::Moments;
use super::plan::{BUCKET_MS, Fault, Protection, Scenario};
use super::series::{Sample, Series, ratio};

/// A share that is back is off by no more than this part of what it was.
const SHARE_TOLERANCE: f64 = 0.1;
/// Calls are back to normal when so many are answered.
const NORMAL_SUCCESS: f64 = 0.99;
/// Shares are looked at over such a time: in less of it chance has too much to say.
const WINDOW_MS: u64 = 1_000;

/// Everything the demo found out.
#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) runs: Vec<RunFigures>,
}

/// The figures of one run.
#[derive(Clone, Serialize)]
pub(crate) struct RunFigures {
    pub(crate) protection: Protection,
    pub(crate) fault: Fault,
    /// Of the calls that arrived during the fault, those that were answered.
    pub(crate) success: f64,
    /// The same without the fault's first second.
    pub(crate) success_after_1s: f64,
    /// Of the attempts during the fault without its first second, those at the faulty machines.
    pub(crate) share_to_faulty: f64,
    /// During the fault.
    pub(crate) attempts_per_call: f64,
    /// From the end of the fault to the first second in which the faulty machines have their usual shares of the attempts
    /// again, within a tenth. `None`: never, or a machine that flaps.
    pub(crate) back_to_share_s: Option<f64>,
    /// From the end of the fault to the first second in which 99 % of the calls were answered.
    pub(crate) back_to_success_s: Option<f64>,
    /// The largest share that the faulty machines had in any second after the fault, over the usual one.
    pub(crate) highest_share_after: f64,
    /// During the fault: calls, those of which no attempt was made, attempts that were probes.
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    pub(crate) probes: u64,
    /// Of the calls that were answered, during the fault.
    pub(crate) p99_ms: Option<f64>,
    #[serde(skip)]
    pub(crate) curves: Curves,
}

/// Shares over time, one point per bucket.
#[derive(Clone, Default)]
pub(crate) struct Curves {
    /// When the fault began and ended, in seconds from the first point.
    pub(crate) fault_s: [f64; 2],
    pub(crate) success: Vec<f64>,
    pub(crate) share_to_faulty: Vec<f64>,
    pub(crate) usual_share: f64,
}

impl RunFigures {
    /// The figures of a run on machines with these usual shares.
    pub(crate) fn new(scenario: Scenario, moments: &Moments, usual_shares: &[f64], series: &Series) -> RunFigures {
        let Moments { fault_from_ms, fault_to_ms, .. } = *moments;
        let faulty = scenario.fault.faulty();
        let usual_share: f64 = faulty.iter().map(|&machine| usual_shares[machine]).sum();
        let during = series.sum(fault_from_ms, fault_to_ms);
        let late = series.sum(fault_from_ms + 1_000, fault_to_ms);
        let is_back = |window: &Sample| is_back(window, usual_shares, &faulty);
        let is_normal = |window: &Sample| window.success().is_some_and(|success| success >= NORMAL_SUCCESS);
        let back_to_share_s = first_window(series, moments, is_back).filter(|_| scenario.fault != Fault::Flap);
        RunFigures {
            protection: scenario.protection,
            fault: scenario.fault,
            success: rounded(during.success().unwrap_or(0.0)),
            success_after_1s: rounded(late.success().unwrap_or(0.0)),
            share_to_faulty: rounded(share(&late, &faulty)),
            attempts_per_call: rounded(ratio(during.all_attempts(), during.calls).unwrap_or(0.0)),
            back_to_share_s,
            back_to_success_s: first_window(series, moments, is_normal),
            highest_share_after: rounded(highest_share_after(series, moments, &faulty) / usual_share),
            calls: during.calls,
            refused: during.refused,
            probes: during.probes,
            p99_ms: percentile_ms(&during.latencies_us, 0.99),
            curves: Curves::new(moments, series, &faulty, usual_share),
        }
    }
}

impl Curves {
    fn new(moments: &Moments, series: &Series, faulty: &[usize], usual_share: f64) -> Curves {
        let seconds = |at_ms: u64| (at_ms - moments.measured_from_ms) as f64 / 1_000.0;
        let mut curves = Curves {
            fault_s: [seconds(moments.fault_from_ms), seconds(moments.fault_to_ms)],
            usual_share,
            ..Curves::default()
        };
        for from_ms in (moments.measured_from_ms..moments.end_ms).step_by(BUCKET_MS as usize) {
            let bucket = series.sum(from_ms, from_ms + BUCKET_MS);
            curves.success.push(bucket.success().unwrap_or(0.0));
            curves.share_to_faulty.push(share(&bucket, faulty));
        }
        curves
    }
}

/// Of all attempts, those at these machines.
fn share(sample: &Sample, machines: &[usize]) -> f64 {
    machines.iter().filter_map(|&machine| sample.share_of(machine)).sum()
}

/// Whether the machines' shares are the usual ones, within the tolerance; what one has too much does not make up for what
/// another lacks.
fn is_back(window: &Sample, usual: &[f64], machines: &[usize]) -> bool {
    let difference = |&machine: &usize| Some((window.share_of(machine)? - usual[machine]).abs());
    let differences: Option<f64> = machines.iter().map(difference).sum();
    let whole: f64 = machines.iter().map(|&machine| usual[machine]).sum();
    differences.is_some_and(|sum| sum <= SHARE_TOLERANCE * whole)
}

/// From the end of the fault to the first window for which something holds.
fn first_window(series: &Series, moments: &Moments, holds: impl Fn(&Sample) -> bool) -> Option<f64> {
    let from_ms = windows_after(moments).find(|&from_ms| holds(&series.sum(from_ms, from_ms + WINDOW_MS)))?;
    Some((from_ms - moments.fault_to_ms) as f64 / 1_000.0)
}

fn highest_share_after(series: &Series, moments: &Moments, machines: &[usize]) -> f64 {
    windows_after(moments).map(|from_ms| share(&series.sum(from_ms, from_ms + WINDOW_MS), machines)).fold(0.0, f64::max)
}

/// Where the windows after the fault begin.
fn windows_after(moments: &Moments) -> impl Iterator<Item = u64> + use<> {
    (moments.fault_to_ms..=moments.end_ms - WINDOW_MS).step_by(BUCKET_MS as usize)
}

fn percentile_ms(values_us: &[u64], share: f64) -> Option<f64> {
    let mut sorted = values_us.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).map(|&us| rounded(us as f64 / 1_000.0))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::QUICK;
    use super::*;

    const DOWN: Scenario = Scenario { protection: Protection::Host, fault: Fault::Down };

    /// Ten calls per bucket: before the fault and from `back_after_ms` after it, four of ten go to machine 0. In its first
    /// second they fail.
    pub(crate) fn run(back_after_ms: u64) -> RunFigures {
        let moments = Moments::after(1_000, QUICK.timing(DOWN));
        let mut series = Series::default();
        for at_ms in (1_000..moments.end_ms).step_by(BUCKET_MS as usize) {
            let during_1s = (moments.fault_from_ms..moments.fault_from_ms + 1_000).contains(&at_ms);
            let usual = at_ms < moments.fault_from_ms || at_ms >= moments.fault_to_ms + back_after_ms;
            let (ok, attempts, failed) = match (during_1s, usual) {
                (true, _) => (6, "4,3,3", "4,0,0"),
                (false, true) => (10, "4,3,3", "0,0,0"),
                (false, false) => (10, "0,5,5", "0,0,0"),
            };
            let line = format!(
                "bucket {at_ms} calls 10 ok {ok} refused 0 probes 0 attempts {attempts} failed {failed} latency_us 2000,"
            );
            series.add_line(&line).unwrap();
        }
        RunFigures::new(DOWN, &moments, &[0.4, 0.3, 0.3], &series)
    }

    #[test]
    fn a_fault_and_its_end_are_described() {
        let figures = run(3_000);
        assert_eq!((figures.success, figures.success_after_1s, figures.share_to_faulty), (0.9, 1.0, 0.0));
        assert_eq!((figures.attempts_per_call, figures.calls), (1.0, 400));
        assert_eq!((figures.back_to_share_s, figures.back_to_success_s), (Some(3.0), Some(0.0)));
        assert_eq!((figures.highest_share_after, figures.p99_ms), (1.0, Some(2.0)));
        assert_eq!((figures.curves.fault_s, figures.curves.success.len()), ([1.5, 5.5], 155));
    }

    #[test]
    fn a_machine_that_never_gets_its_share_back_is_not_back() {
        assert_eq!(run(60_000).back_to_share_s, None);
    }
}
