//! All of the answer, and how it is shown.

use std::collections::BTreeMap;
use std::fmt;

use mcrpc_core::select::decision::Decision;
use mcrpc_core::status::Status;
use serde::Serialize;

use super::client::{CALLS_ASKED, Client};
use super::host::{Known, Source};
use super::question::Asked;
use super::remedy::{self, StatusName};
use super::server::{self, ServerAnswer};
use super::steps::{self, Candidate, Step};
use crate::host::listing::{Listing, number, text};
use crate::host::place::Moment;
use crate::host::text::span_ms;

const NOTHING: &str = "–";
/// Endpoints that are shown to people.
const SHOWN: usize = 20;

/// The answer.
#[derive(Serialize)]
pub(super) struct Answer {
    call: CallSaid,
    directory: String,
    sources: Vec<Source>,
    endpoints_from: String,
    steps: Vec<Step>,
    /// Whether the user's call graph is recorded.
    dyed: bool,
    candidates: Vec<Candidate>,
    servers: Vec<ServerAnswer>,
    verdict: Verdict,
}

/// The call as it was understood.
#[derive(Serialize)]
struct CallSaid {
    uin: u64,
    service: String,
    service_id: u32,
    method: Option<String>,
    method_id: u32,
    business: u16,
    priority: u8,
    key: u32,
    attempt: u8,
    continues_task: bool,
    timeout_ms: Option<u32>,
}

/// What becomes of it.
#[derive(Serialize)]
struct Verdict {
    #[serde(flatten)]
    status: StatusName,
    /// Where it goes.
    endpoint: Option<String>,
    is_probe: bool,
    /// What mechanisms that are only observed would have refused it for.
    would_refuse: Vec<&'static str>,
    /// What becomes of so many calls of this user, where each draws for itself: the endpoint, or the status.
    of_calls: Option<BTreeMap<String, u32>>,
    /// What an operator can do.
    remedy: Vec<String>,
}

impl Answer {
    /// Asks.
    pub(super) fn of(asked: &Asked, known: &Known<'_>, now: &Moment) -> anyhow::Result<Answer> {
        let client = Client::new(asked, known, now.monotonic())?;
        let told = client.ask();
        // A question may have taken a probe: what is shown is from before.
        client.reset();
        let candidates = steps::candidates(&client, &told, now);
        let steps = steps::steps(&client, &told, &candidates);
        let draws = candidates.iter().any(|candidate| candidate.strategy.is_some());
        let status = told.outcome.as_ref().err().copied().unwrap_or(Status::OK);
        let observed = [
            (Decision::ObservedShield, "shield"),
            (Decision::ObservedPassRate, "pass-rate"),
            (Decision::ObservedSkip, "skip"),
            (Decision::ObservedFastReject, "fast-reject"),
            (Decision::ObservedBudget, "retry-budget"),
        ];
        let call = &asked.call;
        Ok(Answer {
            call: CallSaid {
                uin: call.uin.0,
                service: asked.service.clone(),
                service_id: call.target.service_id,
                method: asked.method.clone(),
                method_id: call.target.method_id,
                business: asked.business,
                priority: asked.priority,
                key: call.key.0,
                attempt: call.attempts + 1,
                continues_task: call.continues_task != 0,
                timeout_ms: asked.timeout_ms,
            },
            directory: asked.directory.clone(),
            sources: known.sources.clone(),
            endpoints_from: asked.endpoints_from.clone(),
            dyed: known.control.as_ref().is_some_and(|control| control.is_dyed(call.uin, now.monotonic())),
            servers: server::answers(asked, known, now),
            verdict: Verdict {
                endpoint: told.outcome.as_ref().ok().map(|choice| choice.endpoint.socket().to_string()),
                is_probe: told.outcome.as_ref().is_ok_and(|choice| choice.is_probe),
                would_refuse: observed
                    .into_iter()
                    .filter(|(decision, _)| told.decisions[*decision as usize] > 0)
                    .map(|(_, name)| name)
                    .collect(),
                of_calls: draws.then(|| client.ask_many()),
                remedy: remedy::of_client(status, call.target, &candidates),
                status: StatusName::of(status),
            },
            steps,
            candidates,
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallSaid { uin, service, service_id, method, method_id, priority, business, key, attempt, .. } = &self.call;
        let method = method.as_deref().unwrap_or("any method");
        writeln!(f, "Call      user {uin}, service {service} ({service_id}), {method} ({method_id:#010x})")?;
        writeln!(
            f,
            "          priority {priority}, business {business}, key {key:#x}, attempt {attempt}{}",
            self.time_left()
        )?;
        writeln!(
            f,
            "Host      {}{}",
            self.directory,
            if self.dyed { "; the user is dyed: its call graph is recorded" } else { "" }
        )?;
        let unused: Vec<&Source> = self.sources.iter().filter(|source| source.why_not.is_some()).collect();
        for of_one_reason in unused.chunk_by(|a, b| a.why_not == b.why_not) {
            let names: Vec<&str> = of_one_reason.iter().map(|source| source.segment).collect();
            let why_not = of_one_reason.first().and_then(|source| source.why_not.as_deref()).unwrap_or_default();
            writeln!(f, "          not used: {}: {why_not}", names.join(", "))?;
        }
        writeln!(f, "Endpoints {}", self.endpoints_from)?;
        self.write_steps(f)?;
        writeln!(f, "\n{}", self.candidates_listing())?;
        writeln!(f, "\n{}", self.servers_listing())?;
        self.write_verdict(f)
    }
}

impl Answer {
    fn time_left(&self) -> String {
        self.call.timeout_ms.map_or_else(String::new, |ms| format!(", {} left", span_ms(ms.into())))
    }

    fn write_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { status, endpoint, is_probe, would_refuse, of_calls, remedy } = &self.verdict;
        match endpoint {
            Some(endpoint) => {
                let probe = if *is_probe { ", as the probe of a shielded endpoint" } else { "" };
                write!(f, "\nVerdict   SENT to {endpoint}{probe}.")?;
            }
            None => write!(f, "\nVerdict   NOT SENT: {} ({}). {}", status.name, status.code, status.text)?,
        }
        if !would_refuse.is_empty() {
            write!(f, "\n          Only observed, and so not in force: {}.", would_refuse.join(", "))?;
        }
        if let Some(of_calls) = of_calls {
            let outcomes: Vec<String> = of_calls.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            write!(
                f,
                "\n          Each call draws for itself: of {CALLS_ASKED} of this user {}.",
                outcomes.join(", ")
            )?;
        }
        for server in self.servers.iter().filter(|server| server.reason.is_some()) {
            let ServerAnswer { name, pid, verdict, .. } = server;
            let reason = server.reason.as_ref().map_or(NOTHING, |reason| reason.name.as_str());
            let does = if *verdict == "refuses" { "refuses" } else { "would refuse" };
            write!(f, "\n          Local server {name} ({pid}) {does} it: {reason}.")?;
        }
        let of_servers = self.servers.iter().flat_map(|server| &server.remedy);
        let mut all: Vec<&String> = remedy.iter().chain(of_servers).collect();
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|line| seen.insert(line.as_str()));
        for (number, line) in all.into_iter().enumerate() {
            write!(f, "\n{} {line}", if number == 0 { "Remedy   " } else { "         " })?;
        }
        Ok(())
    }

    fn write_steps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nWhat the call meets")?;
        for Step { mechanism, says, mode, rule, measured, threshold, age_ms, set_by } in &self.steps {
            write!(f, "\n  {mechanism:<14} {:<13} {measured}; limit: {threshold}", says.text())?;
            let age = age_ms.map_or_else(String::new, |ms| format!("; {} old", span_ms(ms)));
            write!(f, "\n  {:<28} {rule}; mode: {mode}; set by: {set_by}{age}", "")?;
        }
        writeln!(f)
    }

    fn candidates_listing(&self) -> Listing {
        let columns = [
            number("look"),
            text("endpoint"),
            text("answer"),
            text("because of"),
            number("weight"),
            text("breaker"),
            text("bucket"),
            text("operator"),
            text("strategy"),
            text("cursor"),
        ];
        let mut list: Vec<&Candidate> = self.candidates.iter().collect();
        list.sort_by_key(|candidate| (candidate.looked.unwrap_or(usize::MAX), candidate.endpoint.clone()));
        Listing {
            title: "Endpoints, as they were looked at",
            columns: columns.to_vec(),
            rows: list.into_iter().map(candidate_row).collect(),
            empty: "none is known. Say --routes, or call the service from this host first.".to_owned(),
            notes: Vec::new(),
        }
        .limited(SHOWN)
    }

    fn servers_listing(&self) -> Listing {
        let columns = [
            number("pid"),
            text("name"),
            text("verdict"),
            text("because of"),
            text("mode"),
            number("queued"),
            number("running"),
            number("workers"),
            number("wait"),
            number("soft"),
            number("hard"),
            text("cursor"),
            number("report"),
        ];
        Listing {
            title: "Admission at local servers, were the call to reach them",
            columns: columns.to_vec(),
            rows: self.servers.iter().map(server_row).collect(),
            empty: "no process of this host reports a queue.".to_owned(),
            notes: Vec::new(),
        }
    }
}

fn candidate_row(candidate: &Candidate) -> Vec<String> {
    let shield = candidate.operator_shield.as_ref().map_or_else(
        || NOTHING.to_owned(),
        |shield| {
            let term = shield.ends_in_s.map_or_else(|| "until taken back".to_owned(), |s| span_ms(s * 1_000));
            format!("shielded, {term}; {}", shield.set_by)
        },
    );
    let strategy = candidate.strategy.as_ref().map_or_else(
        || NOTHING.to_owned(),
        |of| format!("{}, pass rate {}, {} old", of.kind, of.pass_rate, span_ms(of.age_ms)),
    );
    let cursor = candidate
        .cursor
        .as_ref()
        .map_or_else(|| NOTHING.to_owned(), |of| format!("{:#x} for {}", of.cursor, span_ms(of.holds_for_ms.into())));
    vec![
        candidate.looked.map_or_else(|| NOTHING.to_owned(), |looked| looked.to_string()),
        candidate.endpoint.clone(),
        candidate.answer.replace('_', " "),
        candidate.obstacle.map_or_else(|| NOTHING.to_owned(), |obstacle| obstacle.replace('_', " ")),
        candidate.weight.to_string(),
        candidate.breaker.clone(),
        format!("{}/{}", candidate.bucket, candidate.bucket_limit),
        shield,
        strategy,
        cursor,
    ]
}

fn server_row(server: &ServerAnswer) -> Vec<String> {
    let or_nothing = |value: Option<String>| value.unwrap_or_else(|| NOTHING.to_owned());
    let ms = |value: Option<f64>| or_nothing(value.map(|ms| format!("{ms:.1} ms")));
    let old = if server.is_old { ", too old" } else { "" };
    vec![
        server.pid.to_string(),
        server.name.clone(),
        server.verdict.replace('_', " "),
        or_nothing(server.reason.as_ref().map(|reason| reason.name.clone())),
        server.mode.to_owned(),
        server.queued.to_string(),
        server.running.to_string(),
        or_nothing(server.workers.map(|workers| workers.to_string())),
        ms(server.estimated_wait_ms),
        or_nothing(server.soft_wait_limit_ms.map(|ms| format!("{ms} ms"))),
        ms(server.hard_wait_limit_ms),
        if server.shedding { format!("{:#x}", server.cursor) } else { "open".to_owned() },
        format!("{} ago{old}", span_ms(server.age_ms)),
    ]
}
