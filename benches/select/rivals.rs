//! What a Rust program would use instead, on one thread, with 100 endpoints that are well.
//!
//! | rival | what it does for a call | what it does not |
//! |---|---|---|
//! | hash modulo n | an endpoint that follows from the user | anything else: a new endpoint moves nearly all users |
//! | the same, and `failsafe` | asks the endpoint's breaker, and tells it of the success; each side locks a mutex | another endpoint when a breaker is open; other processes; budgets |
//! | `tower`'s p2c | the less loaded of two that are drawn, by calls pending or by latency; drives the call's future | the user's own endpoint; shields; other processes; it belongs to one task |
//!
//! Ours does for a call: an endpoint that follows from the user and hardly moves, the operator's word, the shield that all
//! processes of the host share, the agent's strategy, the endpoint's cursor, the budgets, and the tally of outcomes.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hash::Hash;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use failsafe::StateMachine;
use mcrpc_core::id::Salt;
use tower::balance::p2c::Balance;
use tower::discover::{Discover, ServiceList};
use tower::load::{CompleteOnResponse, Load, PeakEwma, PendingRequests};
use tower::{BoxError, Service};

use crate::Size;
use crate::allocations;
use crate::api::Api;
use crate::callers::{C, Users, Work as _};
use crate::measure::Series;
use crate::world::{Plan, World};

const ENDPOINTS: usize = 100;
const BATCH: u64 = 4_096;
const ALLOCATION_CALLS: u64 = 1_000;

struct Rival<'a> {
    name: &'static str,
    calls: Box<dyn FnMut(u64) + 'a>,
    series: Series,
}

fn rival<'a>(name: &'static str, calls: impl FnMut(u64) + 'a) -> Rival<'a> {
    Rival { name, calls: Box::new(calls), series: Series::default() }
}

/// Calls one endpoint for each of a number of users.
fn by_user(mut call: impl FnMut(usize)) -> impl FnMut(u64) {
    let mut user = 0;
    move |count| {
        for _ in 0..count {
            user += 1;
            call((Salt(1).hash(user) % ENDPOINTS as u64) as usize);
        }
    }
}

fn modulo() -> impl FnMut(u64) {
    by_user(|endpoint| {
        black_box(endpoint);
    })
}

fn failsafe() -> impl FnMut(u64) {
    let breakers: Vec<StateMachine<_, ()>> = (0..ENDPOINTS).map(|_| failsafe::Config::new().build()).collect();
    by_user(move |endpoint| {
        if breakers[endpoint].is_call_permitted() {
            breakers[endpoint].on_success();
        }
    })
}

/// An endpoint that is ready, and answers at once.
#[derive(Clone)]
struct Endpoint;

impl Service<()> for Endpoint {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

/// Drives calls with nobody to wake: nothing is ever pending.
fn p2c<S>(services: Vec<S>) -> impl FnMut(u64)
where
    S: Service<()> + Load,
    S::Error: Into<BoxError>,
    S::Metric: std::fmt::Debug,
    ServiceList<Vec<S>>: Discover<Service = S> + Unpin,
    <ServiceList<Vec<S>> as Discover>::Key: Hash + Clone,
    <ServiceList<Vec<S>> as Discover>::Error: Into<BoxError>,
{
    let mut balance = Balance::new(ServiceList::new::<()>(services));
    move |count| {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..count {
            assert!(balance.poll_ready(&mut context).is_ready());
            let answer = pin!(balance.call(())).poll(&mut context);
            assert!(answer.is_ready());
        }
    }
}

fn p2c_pending() -> impl FnMut(u64) {
    p2c((0..ENDPOINTS).map(|_| PendingRequests::new(Endpoint, CompleteOnResponse::default())).collect())
}

fn p2c_latency() -> impl FnMut(u64) {
    let (default_rtt, decay_ns) = (Duration::from_millis(1), 10e9);
    let service = || PeakEwma::new(Endpoint, default_rtt, decay_ns, CompleteOnResponse::default());
    p2c((0..ENDPOINTS).map(|_| service()).collect())
}

/// Prints everything.
pub fn all(api: &Api, size: Size) {
    let world = World::create(Plan::healthy(ENDPOINTS));
    let (c, mut users) = (C::new(api, &world), Users(0));
    let mut contestants = [
        rival("ours, C ABI", |count| c.calls(&mut users, count)),
        rival("hash modulo n", modulo()),
        rival("hash modulo n, and failsafe's breaker per endpoint", failsafe()),
        rival("tower p2c, calls pending", p2c_pending()),
        rival("tower p2c, peak EWMA of the latency", p2c_latency()),
    ];
    for _ in 0..size.rounds {
        for Rival { calls, series, .. } in &mut contestants {
            calls(BATCH);
            series.measure(size.batches, BATCH, &mut *calls);
        }
    }
    println!("\nfor scale, 100 endpoints, all well, one thread\n");
    println!("{:<52} {:>22} {:>18} {:>12}", "", "ns (10 % to 90 %)", "against ours", "allocations");
    let [ours, ..] = &contestants;
    let ratios = contestants.each_ref().map(|rival| rival.series.ratio(&ours.series).median);
    for (Rival { name, series, calls }, ratio) in contestants.iter_mut().zip(ratios) {
        let allocations = allocations::of(|| calls(ALLOCATION_CALLS)) as f64 / ALLOCATION_CALLS as f64;
        println!("{name:<52} {:>22} {ratio:>16.2} x {allocations:>12.1}", series.spread());
    }
}
