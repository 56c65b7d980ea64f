//! What a server shows of itself, as text: `/health /status /connections /admission`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mcrpc_core::admission::{Cursor, Mode};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;

use super::shared::Shared;
use crate::methods::{Method, Run};

const TEXT: &str = "text/plain; charset=utf-8";

/// An answer to a browser.
pub(crate) struct Page {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Cow<'static, str>,
}

impl Page {
    pub(crate) fn text(code: u16, body: impl Into<Cow<'static, str>>) -> Page {
        Page { code, content_type: TEXT, body: body.into() }
    }
}

/// The page at a path.
pub(crate) fn page(path: &str, shared: &Shared, is_going_away: bool) -> Page {
    match path.split('?').next().unwrap_or_default() {
        "/" => Page::text(
            200,
            "This server speaks mcrpc and baidu_std. Its pages: /health /status /connections /admission\n",
        ),
        "/health" if is_going_away => Page::text(503, "going away\n"),
        "/health" => Page::text(200, "ok\n"),
        "/status" => Page::text(200, status(shared)),
        "/connections" => Page::text(200, connections(shared)),
        "/admission" => Page::text(200, admission(shared)),
        path => {
            Page::text(404, format!("There is no page {path}. There are /health /status /connections /admission\n"))
        }
    }
}

/// A line per method: what became of its requests, and how long they took.
fn status(shared: &Shared) -> String {
    let mut methods: Vec<&Method> = shared.methods.iter().map(AsRef::as_ref).collect();
    methods.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = format!(
        "{:<40} {:>9} {:>12} {:>9} {:>9} {:>9} | {:>23} | {:>23}\n",
        "method", "runs", "ok", "own fail", "failed", "refused", "wait p50 p99 (us)", "service p50 p99 (us)"
    );
    for Method { name, run, stats, .. } in methods {
        let place = match run {
            Run::Inline(_) => "inline",
            Run::Async(_) => "async",
            Run::Blocking(_) => "blocking",
        };
        let us = |duration: Duration| duration.as_nanos() as f64 / 1e3;
        let [wait, service] =
            [&stats.queue_wait, &stats.service_time].map(|of| (us(of.quantile(0.5)), us(of.quantile(0.99))));
        let [ok, own, failed, refused] = Outcome::ALL.map(|outcome| stats.ended(outcome));
        let _ = writeln!(
            text,
            "{name:<40} {place:>9} {ok:>12} {own:>9} {failed:>9} {refused:>9} | {:>11.1} {:>11.1} | {:>11.1} {:>11.1}",
            wait.0, wait.1, service.0, service.1
        );
    }
    text
}

fn connections(shared: &Shared) -> String {
    format!(
        "connections {}\nbytes of requests {}\nrequests that wait {}\n",
        shared.connections.load(Relaxed),
        shared.memory.used(),
        shared.workers.queue.len() + shared.blocking.queue.len()
    )
}

/// What each controller knows, and whom it refuses.
fn admission(shared: &Shared) -> String {
    let mut text = String::new();
    for (name, pool) in ["inline", "async", "blocking"].into_iter().zip(shared.pools()) {
        let all = pool.admission.snapshot();
        let Ok(queue) = pool.admission.queue_snapshot(pool.number) else { continue };
        let mode = match all.mode {
            Mode::Off => "off",
            Mode::Observe => "observe",
            Mode::Enforce => "enforce",
        };
        let state = if all.shedding { "sheds load" } else { "admits all" };
        let capacity = match all.capacity_mrps {
            0 => "not known yet".to_owned(),
            mrps => format!("{:.1}/s", mrps as f64 / 1e3),
        };
        let cursor = if all.cursor == Cursor::OPEN { "open".to_owned() } else { format!("{:#010x}", all.cursor.0) };
        let _ = writeln!(
            text,
            "{name}: {mode}, {state}\n  demand {:.1}/s, capacity {capacity}, cursor {cursor}\n  \
             queued {}, running {}, admitted {}, completed {}",
            all.demand_mrps as f64 / 1e3,
            queue.queued,
            queue.running,
            queue.admitted,
            queue.completed
        );
        let reasons = mcrpc_core::status::Refusal::ALL.iter().zip(queue.refused.iter().zip(queue.would_refuse));
        for (reason, (&refused, would_refuse)) in reasons.filter(|(_, (refused, would))| **refused + *would > 0) {
            let _ =
                writeln!(text, "  refused {}: {refused} ({would_refuse} more only observed)", name_of(reason.status()));
        }
    }
    text
}

fn name_of(status: Status) -> String {
    status.description().map_or_else(|| status.0.to_string(), |known| known.name.to_string_lossy().into_owned())
}
