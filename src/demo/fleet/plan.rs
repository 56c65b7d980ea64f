//! What is played, with what load, and for how long.

use std::time::Duration;

use serde::Serialize;

/// Of each tier there are so many.
pub(crate) const INSTANCES: usize = 3;
/// Workers of a store, and how long a request keeps one of them busy: this tier is the narrow one.
const STORE_WORKERS: u32 = 4;
const STORE_WORK_US: u32 = 30_000;
/// How long a user waits.
pub(crate) const DEADLINE: Duration = Duration::from_millis(1_000);
/// Of ten calls so many publish, which goes before reading.
pub(crate) const PUBLISHING_OF_TEN: u64 = 2;
/// The length of a bucket of the figures.
pub(crate) const BUCKET: Duration = Duration::from_millis(100);
/// A slow machine runs for so long at a time, and then stands still for so long.
pub(crate) const SLOW_RUNS: Duration = Duration::from_millis(10);
pub(crate) const SLOW_STANDS: Duration = Duration::from_millis(90);
/// Between two restarts.
pub(crate) const SETTLING: Duration = Duration::from_millis(300);
/// Starting everything takes about so long.
pub(crate) const OVERHEAD: Duration = Duration::from_secs(3);
/// A restart of one takes about so long, of which the settling is part.
const RESTART: Duration = Duration::from_millis(700);
pub(crate) const SEED: u64 = 1;

/// The load in ordinary times, as a share of the capacity. Two of three instances of a tier carry it.
const NORMAL: f64 = 0.4;
const OVERLOAD: f64 = 4.0;

/// Calls that the store does in a second at most.
pub(crate) fn capacity_per_s() -> f64 {
    (INSTANCES as u32 * STORE_WORKERS) as f64 * 1e6 / f64::from(STORE_WORK_US)
}

/// A tier of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tier {
    Front,
    Timeline,
    Store,
}

impl Tier {
    pub(crate) const ALL: [Tier; 3] = [Tier::Front, Tier::Timeline, Tier::Store];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Tier::Front => "front",
            Tier::Timeline => "timeline",
            Tier::Store => "store",
        }
    }

    pub(crate) const fn language(self) -> &'static str {
        match self {
            Tier::Front | Tier::Store => "Rust",
            Tier::Timeline => "C++",
        }
    }

    /// Its workers, and how long a request takes in µs.
    pub(crate) const fn size(self) -> (u32, u32) {
        match self {
            Tier::Front => (2, 500),
            Tier::Timeline => (64, 500),
            Tier::Store => (STORE_WORKERS, STORE_WORK_US),
        }
    }
}

/// A part of the play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "scene", content = "tier")]
pub(crate) enum Scene {
    Steady,
    Overload,
    Kill(Tier),
    Slow,
    Restart(Tier),
    Recovery,
}

impl Scene {
    pub(crate) fn name(self) -> String {
        match self {
            Scene::Steady => "steady".to_owned(),
            Scene::Overload => format!("{OVERLOAD:.0}x overload"),
            Scene::Kill(tier) => format!("kill -9 {}", tier.name()),
            Scene::Slow => "slow store".to_owned(),
            Scene::Restart(tier) => format!("restart {}", tier.name()),
            Scene::Recovery => "recovery".to_owned(),
        }
    }

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Scene::Steady => "all is well",
            Scene::Overload => "four times what the store can do",
            Scene::Kill(_) => "one of three dies with the calls that it has, and is started again",
            Scene::Slow => "one of three stores gets a tenth of its processor",
            Scene::Restart(_) => "all three, one after the other, under load",
            Scene::Recovery => "all is well again",
        }
    }

    /// As a share of the capacity.
    pub(crate) const fn load(self) -> f64 {
        if matches!(self, Scene::Overload) { OVERLOAD } else { NORMAL }
    }
}

/// All scenes, each with its length.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    steady: Duration,
    overload: Duration,
    kill: Duration,
    slow: Duration,
}

pub(crate) const WHOLE: Plan = Plan {
    steady: Duration::from_secs(8),
    overload: Duration::from_secs(15),
    kill: Duration::from_secs(7),
    slow: Duration::from_secs(10),
};

pub(crate) const QUICK: Plan = Plan {
    steady: Duration::from_secs(3),
    overload: Duration::from_secs(7),
    kill: Duration::from_secs(4),
    slow: Duration::from_secs(5),
};

impl Plan {
    /// In the order in which they are played. A restart takes as long as it takes.
    pub(crate) fn scenes(&self) -> Vec<(Scene, Duration)> {
        let kills = Tier::ALL.map(|tier| (Scene::Kill(tier), self.kill));
        let restarts = Tier::ALL.map(|tier| (Scene::Restart(tier), RESTART * INSTANCES as u32));
        let before = [(Scene::Steady, self.steady), (Scene::Overload, self.overload), (Scene::Recovery, self.steady)];
        let mut scenes = before.to_vec();
        scenes.extend(kills);
        scenes.push((Scene::Slow, self.slow));
        scenes.extend(restarts);
        scenes.push((Scene::Recovery, self.steady));
        scenes
    }

    /// How long all of it takes, about.
    pub(crate) fn total(&self) -> Duration {
        OVERHEAD + self.scenes().iter().map(|(_, length)| *length).sum::<Duration>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_one_takes_less_than_a_minute_and_all_tiers_have_their_turn() {
        assert!(QUICK.total() < Duration::from_secs(55), "{:?}", QUICK.total());
        let scenes: Vec<Scene> = WHOLE.scenes().into_iter().map(|(scene, _)| scene).collect();
        for tier in Tier::ALL {
            assert!(scenes.contains(&Scene::Kill(tier)) && scenes.contains(&Scene::Restart(tier)));
        }
    }
}
