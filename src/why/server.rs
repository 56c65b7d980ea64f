//! What local servers would answer: a controller of this process's own is posed in the state that each has reported, and asked.

use mcrpc_core::admission::posed::Pose;
use mcrpc_core::admission::{Admission, Config, Cursor, Key, Line, Mode, Request};
use mcrpc_core::status::{Refusal, Status};
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use serde::Serialize;

use super::host::Known;
use super::question::Asked;
use super::remedy::{self, StatusName};
use crate::host::liveness::Life;
use crate::host::place::Moment;
use crate::host::stat::Process;

/// A report that is older says little of now.
const MAX_AGE_MS: u64 = 3_000;

/// A local server, and what it would answer.
#[derive(Debug, Serialize)]
pub(super) struct ServerAnswer {
    pub(super) seat: u32,
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) state: Life,
    /// How old the report is.
    pub(super) age_ms: u64,
    /// Whether that is too old to say much.
    pub(super) is_old: bool,
    pub(super) mode: &'static str,
    pub(super) queued: u64,
    pub(super) running: u64,
    pub(super) workers: Option<u16>,
    pub(super) shedding: bool,
    /// Keys at or above it are refused while others wait.
    pub(super) cursor: u64,
    pub(super) key: u32,
    /// How long a request waits that comes now.
    pub(super) estimated_wait_ms: Option<f64>,
    pub(super) hard_wait_limit_ms: Option<f64>,
    pub(super) soft_wait_limit_ms: Option<u16>,
    pub(super) service_floor_ms: Option<f64>,
    /// `admits`, `refuses`, `would_refuse` (its mode lets it pass), or `unknown`.
    pub(super) verdict: &'static str,
    /// Why it refuses, or would.
    pub(super) reason: Option<StatusName>,
    pub(super) remedy: Vec<String>,
}

/// All local servers that report a queue.
pub(super) fn answers(asked: &Asked, known: &Known<'_>, now: &Moment) -> Vec<ServerAnswer> {
    let processes = known.stat.iter().flat_map(|stat| &stat.processes);
    processes.filter(|process| process.state != Life::Dead).filter_map(|process| answer(process, asked, now)).collect()
}

fn answer(process: &Process, asked: &Asked, now: &Moment) -> Option<ServerAnswer> {
    let queue = process.queue.as_ref()?;
    let ms = |ns: u64| ns as f64 / NANOS_PER_MILLI as f64;
    let mode = [Mode::Off, Mode::Observe, Mode::Enforce]
        .into_iter()
        .find(|mode| crate::host::control::mode_name(*mode) == queue.mode);
    let pose = queue.gate.zip(mode).map(|(gate, mode)| Pose {
        queued: queue.queued.try_into().unwrap_or(u32::MAX),
        running: queue.running.try_into().unwrap_or(u32::MAX),
        mode,
        shedding: queue.shedding,
        cursor: Cursor(queue.cursor.try_into().unwrap_or(u32::MAX)),
        gate,
    });
    let (verdict, reason) = match pose.map(|pose| ask(&pose, asked, now.monotonic())) {
        None => ("unknown", None),
        Some((None, _)) => ("admits", None),
        Some((Some(reason), true)) => ("refuses", Some(reason)),
        Some((Some(reason), false)) => ("would_refuse", Some(reason)),
    };
    let gate = queue.gate;
    Some(ServerAnswer {
        seat: process.seat,
        pid: process.pid,
        name: process.name.clone(),
        state: process.state,
        age_ms: queue.reported_age_ms,
        is_old: queue.reported_age_ms > MAX_AGE_MS,
        mode: queue.mode,
        queued: queue.queued,
        running: queue.running,
        workers: gate.map(|gate| gate.workers).filter(|workers| *workers != 0),
        shedding: queue.shedding,
        cursor: queue.cursor,
        key: asked.call.key.0,
        estimated_wait_ms: gate.map(|gate| ms((queue.queued + 1).saturating_mul(gate.ns_per_request))),
        hard_wait_limit_ms: gate.map(|gate| f64::from(gate.hard_wait_limit_us) / 1_000.0),
        soft_wait_limit_ms: gate.map(|gate| gate.soft_wait_limit_ms),
        service_floor_ms: gate.map(|gate| ms(gate.service_floor_ns)),
        verdict,
        reason: reason.map(|reason| StatusName::of(reason.status())),
        remedy: reason.map_or_else(Vec::new, |reason| remedy::of_server(reason.status())),
    })
}

/// Why the request is refused, or would be, if it is; and whether it is.
fn ask(pose: &Pose, asked: &Asked, now: Nanos) -> (Option<Refusal>, bool) {
    let len = Admission::memory_size(&Config::DEFAULT).unwrap_or(0) / size_of::<Line>();
    let mut lines: Vec<Line> = (0..len).map(|_| Line::zeroed()).collect();
    let Ok(admission) = Admission::posed(&mut lines, pose, now) else { return (None, false) };
    let deadline = if asked.call.deadline.0 == 0 { Nanos::NEVER } else { asked.call.deadline };
    let result = match asked.waited_ms {
        None => admission.admit(0, &request(asked, asked.call.key, deadline), now),
        Some(waited_ms) => {
            // It is in the queue: somebody has let it in.
            let arrived = Nanos(now.0.saturating_sub(u64::from(waited_ms) * NANOS_PER_MILLI));
            admission.dequeued(0, arrived, deadline, now)
        }
    };
    let counted = |counts: [u64; Refusal::COUNT]| Refusal::ALL.into_iter().find(|reason| counts[*reason as usize] > 0);
    let Ok(snapshot) = admission.queue_snapshot(0) else { return (None, false) };
    match result {
        Err(status) => {
            (Refusal::ALL.into_iter().find(|reason| reason.status() == status), status != Status::INVALID_ARGUMENT)
        }
        Ok(()) => (counted(snapshot.would_refuse), false),
    }
}

fn request(asked: &Asked, key: Key, deadline: Nanos) -> Request {
    let continues_task = asked.call.continues_task != 0;
    Request { key, deadline, is_retry: asked.call.attempts > 0, continues_task, tenant: 0 }
}
