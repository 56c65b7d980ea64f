//! The data of the segments as tables, one function for each.

use mcrpc_core::id::Per10k;
use mcrpc_core::shield::breaker;

use super::control::{AuthorOf, Orders};
use super::endpoints::{BreakerState, EndpointHealth, Endpoints};
use super::listing::{Listing, number, text};
use super::rates::Rates;
use super::stat::{Process, Stat};
use super::strategy::{Keys, Strategies, Strategy};
use super::text::{percent, span_ms};
use super::trace::Traces;

const NOTHING: &str = "–";

fn or_nothing<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

fn rate(per_s: Option<f64>) -> String {
    or_nothing(per_s.map(|per_s| if per_s < 10.0 { format!("{per_s:.1}") } else { format!("{per_s:.0}") }))
}

/// 0 is left out: it says that the service does not matter.
fn service(service_id: Option<u32>) -> String {
    or_nothing(service_id.filter(|service_id| *service_id != 0))
}

/// Who has a seat.
pub(crate) fn processes(stat: &Stat, rates: Option<&Rates>) -> Listing {
    let columns = [
        number("seat"),
        number("pid"),
        text("name"),
        text("state"),
        number("age"),
        number("beat ago"),
        number("cpu"),
        text("mode"),
        number("queued"),
        number("running"),
        number("admitted/s"),
        number("refused/s"),
        text("why"),
    ];
    Listing {
        title: "Processes",
        columns: columns.to_vec(),
        rows: stat.processes.iter().map(|process| process_row(process, rates)).collect(),
        empty: "no process has a seat.".to_owned(),
        notes: Vec::new(),
    }
}

fn process_row(process: &Process, rates: Option<&Rates>) -> Vec<String> {
    let queue = process.queue.as_ref();
    let rates = rates.and_then(|rates| rates.process(process.seat));
    let mode = queue.map(|queue| if queue.shedding { format!("{}, sheds", queue.mode) } else { queue.mode.to_owned() });
    let why = rates.map(|rates| {
        let reasons = rates.refused_per_s.iter().filter(|(_, per_s)| *per_s > 0.0);
        reasons.map(|(name, per_s)| format!("{name} {}", rate(Some(per_s)))).collect::<Vec<_>>().join(", ")
    });
    vec![
        process.seat.to_string(),
        process.pid.to_string(),
        if process.name.is_empty() { NOTHING.to_owned() } else { process.name.clone() },
        process.state.name().to_owned(),
        span_ms(process.age_ms / 1_000 * 1_000),
        span_ms(process.beat_age_ms / 100 * 100),
        or_nothing(process.cpu_per10k.map(|cpu| format!("{}%", cpu / 100))),
        or_nothing(mode),
        or_nothing(queue.map(|queue| queue.queued)),
        or_nothing(queue.map(|queue| queue.running)),
        rate(rates.map(|rates| rates.admitted_per_s)),
        rate(rates.map(|rates| rates.refused_per_s.0.iter().fold(0.0, |sum, per_s| sum + per_s))),
        why.unwrap_or_default(),
    ]
}

/// Why requests were refused, over all processes.
pub(crate) fn reasons(stat: &Stat, rates: Option<&Rates>) -> Listing {
    let (refused, would_refuse) = stat.refused();
    let rates = rates.filter(|rates| !rates.processes.is_empty());
    let mut rows = Vec::new();
    for (index, (name, total)) in refused.iter().enumerate() {
        let would = would_refuse.0[index];
        if total > 0 || would > 0 {
            let per_s = rates.map(|rates| rates.refused_per_s.0[index]);
            rows.push(vec![name, rate(per_s), total.to_string(), would.to_string()]);
        }
    }
    Listing {
        title: "Refused",
        columns: vec![text("reason"), number("per second"), number("so far"), number("would have been")],
        rows,
        empty: "no process has reported a refusal.".to_owned(),
        notes: Vec::new(),
    }
}

/// The counters of all processes.
pub(crate) fn counters(stat: &Stat, rates: Option<&Rates>) -> Listing {
    let row = |counter: &super::stat::Counter| {
        let per_s = rates.filter(|_| counter.kind == "sum").and_then(|rates| rates.counter(counter.id, counter.key));
        vec![
            counter.id.to_string(),
            counter.key.to_string(),
            counter.kind.to_owned(),
            or_nothing(counter.value),
            rate(per_s),
        ]
    };
    Listing {
        title: "Counters",
        columns: vec![number("id"), number("key"), text("kind"), number("value"), number("per second")],
        rows: stat.counters.iter().map(row).collect(),
        empty: "nothing has been counted.".to_owned(),
        notes: Vec::new(),
    }
}

/// What the host has learnt of its endpoints.
pub(crate) fn strategies(strategies: &Strategies) -> Listing {
    let columns = [
        text("endpoint"),
        number("service"),
        number("pass"),
        text("kind"),
        number("level"),
        number("requests"),
        number("failures"),
        number("age"),
    ];
    let mut notes = Vec::new();
    if let Some(why) = &strategies.keys_missing {
        notes.push(format!("The endpoints are not known: {why}"));
    } else if strategies.without_key > 0 {
        notes.push(format!("{} entries are not shown: no record says whose they are.", strategies.without_key));
    }
    Listing {
        title: "Strategies",
        columns: columns.to_vec(),
        rows: strategies.entries.iter().map(strategy_row).collect(),
        empty: "calls to all endpoints pass.".to_owned(),
        notes,
    }
}

fn strategy_row(entry: &Strategy) -> Vec<String> {
    vec![
        or_nothing(entry.endpoint.as_ref()),
        service(entry.service_id),
        Per10k::new(entry.pass_rate_per10k).map_or_else(|| NOTHING.to_owned(), percent),
        entry.kind.to_owned(),
        or_nothing((entry.reject_level != 0).then_some(entry.reject_level)),
        or_nothing(entry.requests),
        or_nothing(entry.failures),
        or_nothing(entry.age_ms.map(|ms| span_ms(ms / 100 * 100))),
    ]
}

/// The records of a cold segment.
pub(crate) fn keys(keys: &Keys) -> Listing {
    let row = |record: &super::strategy::KeyRecord| {
        vec![
            record.endpoint.clone(),
            service(Some(record.service_id)),
            record.requests.to_string(),
            record.failures.to_string(),
            span_ms(record.age_ms / 100 * 100),
        ]
    };
    Listing {
        title: "Records",
        columns: vec![text("endpoint"), number("service"), number("requests"), number("failures"), number("age")],
        rows: keys.records.iter().map(row).collect(),
        empty: "none is used.".to_owned(),
        notes: Vec::new(),
    }
}

/// The endpoints of which calls have failed.
pub(crate) fn endpoints(endpoints: &Endpoints) -> Listing {
    let columns = [
        text("endpoint"),
        number("service"),
        text("state"),
        text("why"),
        number("bucket"),
        number("requests"),
        number("failures"),
        number("success"),
        number("probes"),
        number("shields"),
        number("leaks out in"),
        text(""),
    ];
    let mut notes = vec![format!(
        "{} of {} slots in use; no call has failed in {}.",
        endpoints.used, endpoints.slots, endpoints.well
    )];
    if endpoints.damaged > 0 {
        notes.push(format!("{} hold a level that no failure can have made: they count as empty.", endpoints.damaged));
    }
    Listing {
        title: "Endpoints",
        columns: columns.to_vec(),
        rows: endpoints.unwell.iter().map(endpoint_row).collect(),
        empty: "nothing fails.".to_owned(),
        notes,
    }
}

fn endpoint_row(health: &EndpointHealth) -> Vec<String> {
    vec![
        or_nothing(health.endpoint.as_ref()),
        service(health.service_id),
        match health.state {
            BreakerState::Normal => "normal".to_owned(),
            BreakerState::Shielded { left_ms } => format!("shielded {} left", span_ms(left_ms.into())),
            BreakerState::Due => "due".to_owned(),
            BreakerState::Probing => "probing".to_owned(),
            BreakerState::Recovering { percent_of_users } => format!("recovering {percent_of_users:.0}%"),
        },
        or_nothing(health.why),
        format!("{}/{}", health.bucket, breaker::LIMIT),
        health.requests.to_string(),
        health.failures.to_string(),
        or_nothing(health.success_percent.map(|percent| format!("{percent:.2}%"))),
        health.probes.to_string(),
        health.shields.to_string(),
        or_nothing(health.leaky.map(|leaky| span_ms(leaky.level_ms / 100 * 100))),
        if health.leaky.is_some_and(|leaky| leaky.full) { "full".to_owned() } else { String::new() },
    ]
}

/// Mode of each mechanism.
pub(crate) fn modes(orders: &Orders) -> Listing {
    let row = |order: &super::control::ModeOrder| {
        vec![
            order.mechanism.to_owned(),
            if orders.killed { "off (kill switch)" } else { order.mode.unwrap_or("default") }.to_owned(),
            order.share.clone().unwrap_or_default(),
            order.author.as_ref().map_or(String::new(), |author| author.by_uid.to_string()),
            order.author.as_ref().map_or(String::new(), |author| author.set_at.clone()),
        ]
    };
    Listing {
        title: "Mechanisms",
        columns: vec![text("mechanism"), text("mode"), number("share of users"), number("by user"), text("since")],
        rows: orders.modes.iter().map(row).collect(),
        empty: String::new(),
        notes: vec!["default: each program's own setting stands.".to_owned()],
    }
}

/// The shields.
pub(crate) fn shields(orders: &Orders) -> Listing {
    let rows = orders.shields.iter().map(|order| {
        let [by, at] = author(&order.author);
        vec![order.endpoint.clone(), service(Some(order.service_id)), order.term.to_string(), by, at]
    });
    Listing {
        title: "Shields",
        columns: vec![text("endpoint"), number("service"), text("in force"), number("by user"), text("since")],
        rows: rows.collect(),
        empty: "no endpoint is shielded by an operator.".to_owned(),
        notes: Vec::new(),
    }
}

/// The skips.
pub(crate) fn skips(orders: &Orders) -> Listing {
    let rows = orders.skips.iter().map(|order| {
        let [by, at] = author(&order.author);
        let method = if order.method_id == 0 { "all".to_owned() } else { format!("{:#010x}", order.method_id) };
        vec![order.service_id.to_string(), method, order.ratio.clone(), by, at]
    });
    Listing {
        title: "Skips",
        columns: vec![number("service"), text("method"), number("of the users"), number("by user"), text("since")],
        rows: rows.collect(),
        empty: "no calls are skipped.".to_owned(),
        notes: vec![format!("Rotation {}: another one hits other users.", orders.rotation)],
    }
}

/// The users whose call graph is recorded.
pub(crate) fn dyes(orders: &Orders) -> Listing {
    let rows = orders.dyes.iter().map(|order| {
        let [by, at] = author(&order.author);
        vec![order.uin.to_string(), order.term.to_string(), by, at]
    });
    Listing {
        title: "Dyed users",
        columns: vec![number("uin"), text("in force"), number("by user"), text("since")],
        rows: rows.collect(),
        empty: "no user's call graph is recorded.".to_owned(),
        notes: Vec::new(),
    }
}

fn author(author: &AuthorOf) -> [String; 2] {
    [author.by_uid.to_string(), author.set_at.clone()]
}

/// The last records; `stat` tells the names of the processes.
pub(crate) fn traces(traces: &Traces, stat: Option<&Stat>) -> Listing {
    let row = |record: &super::trace::TraceRecord| {
        let process = stat.and_then(|stat| stat.processes.iter().find(|process| process.seat == record.seat));
        vec![
            span_ms(record.age_ms),
            record.seat.to_string(),
            or_nothing(process.map(|process| format!("{} {}", process.pid, process.name))),
            record.kind.to_string(),
            record.text.clone().or_else(|| record.hex.clone()).unwrap_or_default(),
        ]
    };
    let mut notes = Vec::new();
    if traces.dropped > 0 {
        notes.push(format!("{} records were dropped so far.", traces.dropped));
    }
    if traces.damaged > 0 {
        notes.push(format!("{} rings are damaged and not shown.", traces.damaged));
    }
    Listing {
        title: "Last records",
        columns: vec![number("ago"), number("seat"), text("process"), number("kind"), text("record")],
        rows: traces.records.iter().map(row).collect(),
        empty: "nothing was recorded.".to_owned(),
        notes,
    }
}
