//! What helps against each refusal.

use mcrpc_core::host::control::Target;
use mcrpc_core::select::explain::Obstacle;
use mcrpc_core::status::{Class, Status};
use serde::Serialize;

use super::steps::Candidate;
use crate::host::health::status_name;

/// A status with all its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct StatusName {
    pub(super) name: String,
    pub(super) code: i32,
    /// What happened and what a program does, from the list of statuses.
    pub(super) text: String,
    /// Whether a caller may go to another machine with it.
    pub(super) may_try_elsewhere: bool,
}

impl StatusName {
    pub(super) fn of(status: Status) -> StatusName {
        StatusName {
            name: status_name(status),
            code: status.0,
            text: status.to_string(),
            may_try_elsewhere: matches!(status.class(), Class::System | Class::Overload | Class::Shielded),
        }
    }
}

/// What an operator can do about a refusal before the call is sent.
pub(super) fn of_client(status: Status, target: Target, candidates: &[Candidate]) -> Vec<String> {
    let met = |obstacle: Obstacle| candidates.iter().filter(move |it| it.obstacle == Some(obstacle.name()));
    let service = target.service_id;
    match status {
        Status::SKIPPED => {
            let whole = format!("mcrpc skip {service} off");
            let of_method = || format!("mcrpc skip {service}:{:#010x} off", target.method_id);
            let skips = if target.method_id == 0 {
                whole
            } else {
                format!("{}   # or, if the whole service is skipped: {whole}", of_method())
            };
            vec![skips, "mcrpc mode skip observe   # lets all skipped calls pass, and counts them".to_owned()]
        }
        Status::SHIELDED => {
            let lift = met(Obstacle::OperatorShield)
                .map(|it| format!("mcrpc shield {} --service {service} --off", it.endpoint));
            let edit = met(Obstacle::StrategyShield)
                .map(|it| format!("take the shield of {} out of the agent's file of strategies", it.endpoint));
            lift.chain(edit)
                .chain(["mcrpc mode shield observe   # lets all calls pass, and counts them".to_owned()])
                .collect()
        }
        Status::BUCKET_FULL => {
            let look = met(Obstacle::Breaker).map(|it| format!("look after {}: {}", it.endpoint, it.breaker));
            look.chain(["mcrpc mode shield observe   # calls them all the same, and counts".to_owned()]).collect()
        }
        Status::WITHHELD => vec![
            "more capacity for the service, or a more important --priority: its servers would refuse this call"
                .to_owned(),
            "mcrpc mode fast-reject observe   # sends all the same, and lets the servers refuse".to_owned(),
        ],
        Status::NO_ENDPOINT => {
            vec![
                "mcrpc route show ROUTES IDC SERVICE   # is there an endpoint in the zone and group, with a weight?"
                    .to_owned(),
            ]
        }
        Status::ATTEMPTS_EXHAUSTED => {
            vec!["a larger max_attempts in the client file; or mend why the attempts failed".to_owned()]
        }
        Status::BUDGET_EXHAUSTED => vec![
            "mend what makes so many calls fail: a larger budget adds load to servers that cannot take it".to_owned(),
            "mcrpc mode retry-budget observe   # lets retries pass, and counts them".to_owned(),
        ],
        Status::OUT_OF_TIME => vec!["a longer timeout; or find out on what the time was spent".to_owned()],
        _ => Vec::new(),
    }
}

/// What an operator can do about a refusal by a server.
pub(super) fn of_server(status: Status) -> Vec<String> {
    let observe = "mcrpc mode admission observe   # admits everything, and counts: the queue will grow".to_owned();
    let cause = match status {
        Status::QUEUE_FULL => {
            "fewer requests, or more workers: so many in one process are a mistake in its settings, or in its accounting"
        }
        Status::BELOW_CURSOR => "more capacity; or a more important priority for what must pass",
        Status::WAIT_ABOVE_SOFT_LIMIT => {
            "more capacity; this request is among the least important of those that are still admitted"
        }
        Status::WAIT_ABOVE_HARD_LIMIT => {
            "more capacity, or find out why the workers hang: not even important requests would be run soon"
        }
        Status::DEADLINE_ON_ARRIVAL => "a longer timeout at the caller, or a shorter queue here",
        Status::DEADLINE_IN_QUEUE => "a longer timeout at the caller; the queue moved more slowly than was estimated",
        Status::EXPIRED_ON_ARRIVAL => "a longer timeout at the caller; the time was spent before the request came here",
        _ => return Vec::new(),
    };
    vec![cause.to_owned(), observe]
}
