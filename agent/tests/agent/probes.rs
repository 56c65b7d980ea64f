//! Shielded endpoints are asked over the network: real listeners on this machine.

use std::collections::HashSet;
use std::net::SocketAddr;

use mcrpc_agent::agent::Sources;
use mcrpc_agent::probe::{Probed, Prober, Question};
use mcrpc_core::shield::breaker::State;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::NANOS_PER_SECOND;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

use super::{Host, RULES, at, endpoint};

fn probing() -> Host {
    Host::new(Sources { probes: Some(Question::Tcp), ..Sources::default() })
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// All answers of a round.
async fn round(prober: &mut Prober, endpoints: Vec<Endpoint>) -> Vec<Probed> {
    prober.begin_round(endpoints);
    let mut probed = Vec::new();
    while let Some(next) = prober.next().await {
        probed.push(next);
    }
    probed
}

/// A socket at a port of its own that refuses connections until it listens.
fn refusing() -> (TcpSocket, SocketAddr) {
    refusing_at(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn refusing_at(address: SocketAddr) -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Shields an endpoint so often that its backoff is of seconds.
fn shield_for_long(host: &mut Host, endpoint: Endpoint) {
    host.shield(endpoint);
    (0..6).for_each(|_| shield_again(host, endpoint));
    assert!(matches!(host.state(endpoint), State::Shielded { left_ms: 3_000.. }));
}

/// Its backoff ends, and the call that is made then fails.
fn shield_again(host: &mut Host, endpoint: Endpoint) {
    host.now = host.now.plus(10 * NANOS_PER_SECOND);
    host.with(endpoint, |health| {
        assert!(health.take_probe(&RULES.breaker, host.now));
        health.report(Outcome::Failed, true, &RULES, host.now);
    });
}

/// A second, and the probes of it. How many were made.
fn second(host: &mut Host, prober: &mut Prober, runtime: &Runtime) -> usize {
    host.second();
    let endpoints = host.agent().take_to_probe();
    let probed = runtime.block_on(round(prober, endpoints));
    let now = host.now;
    probed.iter().for_each(|probed| host.agent().probed(probed, now));
    probed.len()
}

#[test]
fn who_listens_answers_and_who_does_not_does_not() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let ((accepting, accepts), (_refusing, refuses)) = (refusing(), refusing());
    let _listener = accepting.listen(16).unwrap();
    let mut probed = runtime.block_on(round(&mut Prober::new(Question::Tcp), vec![at(accepts), at(refuses)]));
    probed.sort_by_key(|probed| probed.is_answered);
    let expected = [(at(refuses), false), (at(accepts), true)];
    assert_eq!(probed.iter().map(|it| (it.endpoint, it.is_answered)).collect::<Vec<_>>(), expected);
}

/// A server that hangs up, or says something that is no pong, speaks another protocol.
#[test]
fn a_ping_is_answered_by_all_who_do_not_hang() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let [greets, hangs_up, hangs] = [(); 3].map(|()| {
        let (socket, address) = refusing();
        (socket.listen(16).unwrap(), at(address))
    });
    let (_refusing, refuses) = refusing();
    let endpoints = vec![greets.1, hangs_up.1, hangs.1, at(refuses)];
    let serve = async {
        let (mut stream, _) = greets.0.accept().await.unwrap();
        stream.write_all(b"220 hello\r\n").await.unwrap();
        drop(hangs_up.0.accept().await.unwrap());
        std::future::pending::<()>().await;
    };
    let mut prober = Prober::new(Question::Ping);
    let mut probed = runtime.block_on(async {
        tokio::select! {
            probed = round(&mut prober, endpoints.clone()) => probed,
            () = serve => unreachable!("it serves for ever"),
        }
    });
    probed.sort_by_key(|probed| endpoints.iter().position(|endpoint| *endpoint == probed.endpoint));
    assert_eq!(probed.iter().map(|probed| probed.is_answered).collect::<Vec<_>>(), [true, true, false, false]);
}

#[test]
fn a_round_is_bounded_and_the_others_have_their_turn() {
    let (_refusing, address) = refusing();
    let endpoints: Vec<_> = (0..300).map(|service_id| Endpoint::new(address, service_id)).collect();
    let (runtime, mut prober) = (runtime(), Prober::default());
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let probed = runtime.block_on(round(&mut prober, endpoints.clone()));
        assert_eq!(probed.len(), 128);
        seen.extend(probed.iter().map(|probed| probed.endpoint));
    }
    assert_eq!(seen.len(), 300);
    assert!(runtime.block_on(round(&mut prober, Vec::new())).is_empty());
}

#[test]
fn a_shielded_endpoint_that_listens_again_is_due_and_a_call_settles_it() {
    let (mut host, runtime, mut prober) = (probing(), runtime(), Prober::new(Question::Tcp));
    let _entered = runtime.enter();
    let (socket, address) = refusing();
    shield_for_long(&mut host, at(address));
    assert_eq!(second(&mut host, &mut prober, &runtime), 1);
    assert!(matches!(host.state(at(address)), State::Shielded { .. }), "who does not answer changes nothing");
    let _listener = socket.listen(16).unwrap();
    assert_eq!(second(&mut host, &mut prober, &runtime), 1);
    assert_eq!(host.state(at(address)), State::Due);
    assert_eq!(second(&mut host, &mut prober, &runtime), 0, "the backoff is over");
    assert!(host.with(at(address), |health| health.take_probe(&RULES.breaker, host.now)));
}

/// A machine that hangs accepts connections, and fails the call that is made for it.
#[test]
fn an_answer_counts_once_until_a_probe_fails() {
    let (mut host, runtime, mut prober) = (probing(), runtime(), Prober::new(Question::Tcp));
    let _entered = runtime.enter();
    let (socket, address) = refusing();
    let endpoint = at(address);
    let listener = socket.listen(16).unwrap();
    shield_for_long(&mut host, endpoint);
    second(&mut host, &mut prober, &runtime);
    assert_eq!(host.state(endpoint), State::Due);
    shield_again(&mut host, endpoint);
    assert_eq!(second(&mut host, &mut prober, &runtime), 1);
    assert!(matches!(host.state(endpoint), State::Shielded { .. }), "it has answered before, and failed");
    drop(listener);
    let (socket, _) = refusing_at(address);
    second(&mut host, &mut prober, &runtime);
    let _listener = socket.listen(16).unwrap();
    second(&mut host, &mut prober, &runtime);
    assert_eq!(host.state(endpoint), State::Due, "it was away, and is back");
}

#[test]
fn only_shielded_endpoints_that_somebody_wants_are_probed() {
    let mut host = probing();
    let to_probe = |host: &mut Host| {
        host.second();
        host.agent().take_to_probe()
    };
    let wanted = endpoint(1);
    host.hand_over(endpoint(2), 100, 0);
    shield_for_long(&mut host, wanted);
    assert_eq!(to_probe(&mut host), [wanted]);
    for _ in 0..60 {
        shield_again(&mut host, wanted);
        host.second();
    }
    shield_again(&mut host, wanted);
    assert_eq!(to_probe(&mut host), [], "nobody has called it for ten minutes");
    host.hand_over(wanted, 0, 1);
    assert_eq!(to_probe(&mut host), [wanted]);
    shield_again(&mut host, wanted);
    let sources = |probes| Sources { probes, ..Sources::default() };
    host.restart(sources(Some(Question::Tcp)));
    assert_eq!(to_probe(&mut host), [wanted], "an agent knows of no ten minutes before it");
    host.restart(sources(None));
    shield_again(&mut host, wanted);
    assert_eq!(to_probe(&mut host), [], "probes are off");
}
