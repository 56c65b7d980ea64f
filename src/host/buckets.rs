//! The leaky buckets of failing endpoints: how full each is, and when it is full.

use mcrpc_core::host::fail::{Level, Levels};
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::region::View;
use mcrpc_core::time::NANOS_PER_SECOND;
use serde::Serialize;

use super::place::Moment;

/// No leak is slower than this, so a level above it is damage, which counts as empty.
const HIGHEST_LEVEL_NS: u64 = 86_400 * NANOS_PER_SECOND;

/// The buckets of a host.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Buckets {
    /// Slots in use.
    pub used: u64,
    pub slots: u64,
    /// Those in use that are empty.
    pub empty: u64,
    /// Levels that no failure can have made; they count as empty.
    pub damaged: u64,
    /// The others, the fullest first.
    pub filling: Vec<Bucket>,
}

/// One bucket with something in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Bucket {
    /// `None` while its key is being written, or if that is damaged.
    pub endpoint: Option<String>,
    pub service_id: Option<u32>,
    /// How long it takes to become empty.
    pub level_ms: u64,
    /// Above this it is full.
    pub limit_ms: u64,
    pub full: bool,
}

impl Bucket {
    /// The level as a share of the limit.
    pub(crate) fn fill(&self) -> f64 {
        if self.limit_ms == 0 { 0.0 } else { self.level_ms as f64 / self.limit_ms as f64 }
    }

    fn of(level: &Level) -> Bucket {
        Bucket {
            endpoint: level.endpoint.map(|endpoint| endpoint.socket().to_string()),
            service_id: level.endpoint.map(|endpoint| endpoint.service_id),
            level_ms: level.level_ns / 1_000_000,
            limit_ms: level.limit_ns / 1_000_000,
            full: level.limit_ns != 0 && level.level_ns > level.limit_ns,
        }
    }
}

/// Reads the buckets.
pub(crate) fn read(view: View<'_>, len: u64, now: &Moment) -> Result<Buckets, Mismatch> {
    let levels = Levels::attach(view, len)?;
    let (used, slots) = levels.fill();
    let mut buckets = Buckets { used, slots, ..Buckets::default() };
    for level in levels.iter(now.monotonic()) {
        match level.level_ns {
            0 => buckets.empty += 1,
            1..=HIGHEST_LEVEL_NS => buckets.filling.push(Bucket::of(&level)),
            _ => buckets.damaged += 1,
        }
    }
    buckets.filling.sort_by(|a, b| b.fill().total_cmp(&a.fill()).then_with(|| a.endpoint.cmp(&b.endpoint)));
    Ok(buckets)
}
