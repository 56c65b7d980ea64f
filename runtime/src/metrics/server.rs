//! What a server has counted.

use std::sync::atomic::Ordering::Relaxed;

use mcrpc_core::status::Refusal;

use super::definitions as metric;
use super::families::{Families, Value};
use crate::server::pool::Pool;
use crate::server::shared::Shared;
use crate::stats::codes::name_of;

/// The metrics of a server, and of the clients that it shows.
pub(crate) fn gather(shared: &Shared) -> Families {
    let mut all = Families::default();
    add_methods(&mut all, shared);
    let observed = &shared.observed;
    all.whole(&metric::UNKNOWN_METHODS, [], observed.unknown_methods.load(Relaxed));
    all.whole(&metric::CONNECTIONS, [], shared.connections.load(Relaxed) as u64);
    all.whole(&metric::REQUEST_MEMORY, [], shared.memory.used() as u64);
    let unsent: usize = observed.connections.lock().iter().map(|(_, connection)| connection.unsent()).sum();
    all.whole(&metric::UNSENT, [], unsent as u64);
    for (name, pool) in shared.named_pools() {
        add_pool(&mut all, name, pool);
    }
    observed.clients.iter().for_each(|client| super::add_client(&mut all, client));
    all
}

fn add_methods(all: &mut Families, shared: &Shared) {
    let callers = shared.observed.callers.names();
    for definition in [&metric::SERVER_DURATION, &metric::SERVER_REQUESTS] {
        all.declare(definition);
    }
    for method in shared.methods.iter() {
        let (service, name) = method.names();
        let (labels, stats) = ([service, name], &method.stats);
        all.durations(&metric::SERVER_DURATION, labels, &stats.service_time);
        all.durations(&metric::QUEUE_WAIT, labels, &stats.queue_wait);
        all.durations(&metric::REPLY_WRITE, labels, &stats.reply_time);
        all.add(&metric::HANDLER_BUSY, labels, Value::Real(stats.busy_time().as_secs_f64()));
        all.whole(&metric::HANDLERS_RUNNING, labels, stats.running());
        for (caller, codes) in stats.by_caller() {
            let caller = callers.get(caller).map_or("", |caller| &**caller);
            for (code, _, count) in codes.iter() {
                all.whole(&metric::SERVER_REQUESTS, [service, name, caller, code], count);
            }
        }
    }
}

fn add_pool(all: &mut Families, name: &str, pool: &Pool) {
    let controller = pool.admission.snapshot();
    let Ok(queue) = pool.admission.queue_snapshot(pool.number) else { return };
    all.whole(&metric::QUEUED, [name], queue.queued.into());
    all.whole(&metric::RUNNING, [name], queue.running.into());
    all.whole(&metric::ADMITTED, [name], queue.admitted);
    all.whole(&metric::COMPLETED, [name], queue.completed);
    for ((reason, refused), would_refuse) in Refusal::ALL.iter().zip(queue.refused).zip(queue.would_refuse) {
        let labels = [name, name_of(reason.status())];
        all.whole(&metric::REFUSED, labels, refused);
        all.whole(&metric::WOULD_REFUSE, labels, would_refuse);
    }
    let per_second = |mrps: u64| Value::Real(mrps as f64 / 1e3);
    all.add(&metric::DEMAND, [name], per_second(controller.demand_mrps));
    all.add(&metric::CAPACITY, [name], per_second(controller.capacity_mrps));
    all.whole(&metric::SHEDDING, [name], controller.shedding.into());
}
