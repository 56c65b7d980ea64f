//! What a client has counted.

use std::sync::atomic::Ordering::Relaxed;

use mcrpc_core::select::decision::Decision;
use mcrpc_core::shield::outcome::Outcome;

use super::definitions as metric;
use super::families::Families;
use crate::client::Client;
use crate::client::overview;

/// Adds the metrics of a client.
pub(crate) fn add(all: &mut Families, client: &Client) {
    for definition in [
        &metric::CLIENT_DURATION,
        &metric::CLIENT_REQUESTS,
        &metric::CLIENT_ATTEMPTS,
        &metric::CLIENT_DECISIONS,
        &metric::CLIENT_ENDPOINTS,
    ] {
        all.declare(definition);
    }
    for service in client.services() {
        let peer = &*service.name;
        for method in service.methods.all() {
            let (service, name) = crate::methods::split(&method.name);
            all.durations(&metric::CLIENT_DURATION, [peer, service, name], &method.duration);
            for (code, _, count) in method.codes.iter() {
                all.whole(&metric::CLIENT_REQUESTS, [peer, service, name, code], count);
            }
            let outcomes = Outcome::ALL.map(overview::name_of_outcome).into_iter().zip(&method.attempts);
            for (outcome, count) in outcomes.chain([("cancelled", &method.cancelled)]) {
                all.whole(&metric::CLIENT_ATTEMPTS, [peer, service, name, outcome], count.load(Relaxed));
            }
        }
        for (decision, count) in Decision::ALL.into_iter().zip(service.decisions()) {
            all.whole(&metric::CLIENT_DECISIONS, [peer, overview::name_of_decision(decision)], count);
        }
        for state in overview::STATES {
            all.whole(&metric::CLIENT_ENDPOINTS, [peer, state], 0);
        }
        for endpoint in overview::endpoints(&service, &client.known()) {
            all.whole(&metric::CLIENT_ENDPOINTS, [peer, endpoint.state_name()], 1);
        }
    }
}
