//! From counts to figures; the structures are those of the JSON file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::figures::rounded;
use super::plan::{BUCKET, Scene, capacity_per_s};
use super::users::{Counts, End, Record};

/// Everything the demo found out.
#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) capacity_per_s: f64,
    pub(crate) scenes: Vec<SceneFigures>,
    #[serde(skip)]
    pub(crate) curves: Curves,
}

/// A scene as it was played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Played {
    pub(crate) scene: Scene,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// Calls that the timelines did not send meanwhile.
    pub(crate) not_sent: u64,
}

/// The figures of one scene.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SceneFigures {
    #[serde(flatten)]
    pub(crate) scene: Scene,
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) offered_per_s: f64,
    pub(crate) ok_per_s: f64,
    /// Of all calls that are over, those that were answered.
    pub(crate) success: f64,
    /// Of the calls that no server had when it died, those that were answered.
    pub(crate) success_of_rest: f64,
    /// Of the calls that publish, which go before the others, those that were answered.
    pub(crate) success_of_publishing: f64,
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    /// That a server had when it died, and that could not be tried again.
    pub(crate) held: u64,
    pub(crate) failed: u64,
    /// How often each, by the names of statuses.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// That were not sent to the store, because it had said that it would refuse them.
    pub(crate) not_sent: u64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

/// Rates over time, a point per bucket.
#[derive(Clone, Default)]
pub(crate) struct Curves {
    pub(crate) offered_per_s: Vec<f64>,
    pub(crate) ok_per_s: Vec<f64>,
    pub(crate) refused_per_s: Vec<f64>,
    pub(crate) lost_per_s: Vec<f64>,
    /// Where scenes begin, in seconds, and their names.
    pub(crate) marks: Vec<(f64, String)>,
}

impl Results {
    pub(crate) fn new(played: &[Played], record: &Record) -> Results {
        let capacity_per_s = rounded(capacity_per_s());
        let scenes = played.iter().map(|played| SceneFigures::new(played, record)).collect();
        Results { capacity_per_s, scenes, curves: Curves::new(played, record) }
    }
}

impl SceneFigures {
    fn new(played: &Played, record: &Record) -> SceneFigures {
        let Played { scene, from, to, not_sent } = *played;
        let mut counts = record.sum(from, to);
        counts.latencies_us.sort_unstable();
        let seconds = (to - from).as_secs_f64();
        // While the play goes on, some are still waited for.
        let calls = counts.ends.iter().sum();
        let (ok, held) = (counts.get(End::Ok), counts.get(End::Held));
        SceneFigures {
            scene,
            name: scene.name(),
            seconds: rounded(seconds),
            offered_per_s: rounded(counts.offered as f64 / seconds),
            ok_per_s: rounded(ok as f64 / seconds),
            success: rounded(share(ok, calls)),
            success_of_rest: rounded(share(ok, calls - held)),
            success_of_publishing: rounded(share(counts.published, counts.publishing)),
            calls,
            refused: counts.get(End::Refused),
            held,
            failed: counts.get(End::Failed),
            reasons: std::mem::take(&mut counts.reasons),
            not_sent,
            p50_ms: percentile_ms(&counts, 0.5),
            p99_ms: percentile_ms(&counts, 0.99),
        }
    }
}

impl Curves {
    fn new(played: &[Played], record: &Record) -> Curves {
        let per_s = |of: fn(&Counts) -> u64| -> Vec<f64> {
            record.buckets().iter().map(|bucket| of(bucket) as f64 / BUCKET.as_secs_f64()).collect()
        };
        Curves {
            offered_per_s: per_s(|bucket| bucket.offered),
            ok_per_s: per_s(|bucket| bucket.get(End::Ok)),
            refused_per_s: per_s(|bucket| bucket.get(End::Refused)),
            lost_per_s: per_s(|bucket| bucket.get(End::Held) + bucket.get(End::Failed)),
            marks: played.iter().map(|played| (played.from.as_secs_f64(), played.scene.name())).collect(),
        }
    }
}

/// All of nothing is well.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

fn percentile_ms(sorted: &Counts, share: f64) -> Option<f64> {
    let last = sorted.latencies_us.len().checked_sub(1)?;
    let at = (last as f64 * share).round() as usize;
    Some(rounded(sorted.latencies_us[at] as f64 / 1_000.0))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::plan::Tier;
    use super::*;

    /// A scene of a thousand calls.
    pub(crate) fn figures(scene: Scene, refused: u64, held: u64, failed: u64) -> SceneFigures {
        let ok = 1_000 - refused - held - failed;
        SceneFigures {
            scene,
            name: scene.name(),
            seconds: 5.0,
            offered_per_s: 200.0,
            ok_per_s: ok as f64 / 5.0,
            success: rounded(share(ok, 1_000)),
            success_of_rest: rounded(share(ok, 1_000 - held)),
            success_of_publishing: 1.0,
            calls: 1_000,
            refused,
            held,
            failed,
            reasons: BTreeMap::new(),
            not_sent: 0,
            p50_ms: Some(35.0),
            p99_ms: None,
        }
    }

    #[test]
    fn what_a_dead_server_had_does_not_count_against_the_rest() {
        let of = figures(Scene::Kill(Tier::Store), 0, 10, 0);
        assert_eq!((of.success, of.success_of_rest), (0.99, 1.0));
        assert_eq!(share(0, 0), 1.0);
    }
}
