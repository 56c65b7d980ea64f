//! Whatever happens to etcd and to the agent: clients keep their last good list, and servers are registered again by
//! themselves.

mod support;

use std::process::Command;
use std::time::Duration;

use mcrpc::Client;
use rustix::process::Signal;
use support::{ECHO, Etcd, OneHost, PREFIX, address, key, until};

const SERVICE: &str = "VOA.Crawl";

fn answers(client: &Client) -> bool {
    client.call(SERVICE, ECHO, "hello").wait().is_ok_and(|reply| reply == "hello")
}

/// Two hosts, a server on one of them, and a client on the other that has found it.
fn two_hosts(etcd: &Etcd) -> (OneHost, OneHost, mcrpc::Server, Client) {
    let (here, there) = (OneHost::new(Some(etcd)), OneHost::new(Some(etcd)));
    let server = there.server(SERVICE);
    until("the other host knows the server", || here.servers(SERVICE) == [address(&server)]);
    let client = here.client();
    assert!(answers(&client));
    (here, there, server, client)
}

#[test]
fn given_a_server_that_registers_by_one_line_then_clients_on_other_hosts_find_it_while_it_serves() {
    let etcd = Etcd::start();
    let (here, there, server, _client) = two_hosts(&etcd);
    let another = there.server(SERVICE);
    until("both are known", || here.servers(SERVICE).len() == 2);
    drop(server);
    until("only one is left", || here.servers(SERVICE) == [address(&another)]);
    assert!(etcd.has(&key(SERVICE, address(&another))));
}

#[test]
fn given_an_etcd_that_is_stopped_and_started_again_then_nothing_is_lost_and_what_is_new_is_found() {
    let mut etcd = Etcd::start();
    let (here, there, server, client) = two_hosts(&etcd);
    etcd.stop();
    until("it is noticed", || here.has_told("etcd cannot be followed"));
    assert!(answers(&client) && answers(&here.client()), "also by a client that starts now");
    let while_away = there.server(SERVICE);
    etcd.restart();
    until("the new one is found too", || here.servers(SERVICE).len() == 2);
    etcd.compact();
    etcd.stop();
    etcd.restart();
    drop(server);
    until("what has ended leaves", || here.servers(SERVICE) == [address(&while_away)]);
}

#[test]
fn given_an_etcd_that_has_lost_everything_then_lists_stay_and_servers_are_registered_again() {
    let mut etcd = Etcd::start();
    let (here, _there, server, client) = two_hosts(&etcd);
    let key = key(SERVICE, address(&server));
    etcd.delete_all(PREFIX);
    until("it is registered again", || etcd.has(&key));
    assert_eq!(here.servers(SERVICE), [address(&server)]);

    etcd.lose_everything();
    etcd.restart();
    until("it is registered again, in another etcd", || etcd.has(&key));
    assert_eq!(here.servers(SERVICE), [address(&server)]);
    assert!(answers(&client));
}

#[test]
fn given_an_etcd_that_is_emptied_for_good_then_its_lists_are_believed_after_a_while() {
    let etcd = Etcd::start();
    let hold = Duration::from_secs(3);
    let here = OneHost::with(Some(etcd.url()), move |settings| mcrpc_discovery::Settings { hold, ..settings });
    let entries = [1, 2, 3].map(|port| key("old.Service", ([10, 0, 0, 1], port).into()));
    entries.iter().for_each(|key| etcd.put(key, "{}"));
    until("they are known", || here.servers("old.Service").len() == 3);
    etcd.delete(&entries[0]);
    until("one has left, at once", || here.servers("old.Service").len() == 2);
    let since = std::time::Instant::now();
    etcd.delete_all(PREFIX);
    until("all have left", || here.servers("old.Service").is_empty());
    assert!(since.elapsed() + Duration::from_secs(1) >= hold, "not before {hold:?}: {:?}", since.elapsed());
}

#[test]
fn given_an_etcd_that_hangs_then_it_is_noticed_and_lists_stay() {
    let etcd = Etcd::start();
    let (here, _there, server, client) = two_hosts(&etcd);
    etcd.signal(Signal::STOP);
    until("it is noticed", || here.has_told("etcd cannot be followed"));
    assert!(answers(&client));
    etcd.signal(Signal::CONT);
    until("it is registered", || etcd.has(&key(SERVICE, address(&server))));
    assert_eq!(here.servers(SERVICE), [address(&server)]);
}

#[test]
fn given_an_agent_that_ends_then_clients_go_on_and_the_next_one_answers_without_etcd() {
    let mut etcd = Etcd::start();
    let (mut here, _there, server, client) = two_hosts(&etcd);
    here.end_agent();
    assert!(answers(&client) && answers(&here.client()), "also by a client that starts now");
    etcd.stop();
    here.start_agent();
    until("it has tried", || here.has_told("etcd cannot be followed") || here.servers(SERVICE).len() == 1);
    assert_eq!(here.servers(SERVICE), [address(&server)]);
    assert!(answers(&here.client()));
}

#[test]
fn given_a_machine_that_has_lost_its_host_directory_then_names_come_from_the_other_one() {
    let cache = tempfile::tempdir().unwrap();
    let mut etcd = Etcd::start();
    etcd.put(&key(SERVICE, ([10, 0, 0, 1], 80).into()), r#"{"weight":7,"region":"south","zone":"sz"}"#);
    let started = |etcd: &Etcd| {
        let path = cache.path().to_owned();
        let settings = move |settings| mcrpc_discovery::Settings { cache: Some(path.clone()), ..settings };
        OneHost::with(Some(etcd.url()), settings)
    };
    let before = started(&etcd);
    until("it is known", || before.servers(SERVICE).len() == 1);
    let before = before.list(SERVICE).unwrap();
    etcd.stop();
    let after = started(&etcd);
    until("it is known again", || after.servers(SERVICE).len() == 1);
    assert_eq!(after.list(SERVICE).unwrap().list(), before.list());
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A network namespace that is taken away when this is dropped.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
fn given_a_network_that_loses_every_packet_to_etcd_then_lists_stay_and_leases_that_ran_out_are_taken_anew() {
    let name = format!("mcrpc-{}", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &name]).output();
    if !made.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no network namespace can be made, which takes root and ip (Debian: iproute2): {made:?}");
        return;
    }
    let _namespace = Namespace(name.clone());
    let (outside, inside) = (format!("mc{}a", std::process::id()), format!("mc{}b", std::process::id()));
    ip(&format!("link add {outside} type veth peer name {inside} netns {name}"));
    ip(&format!("addr add 198.18.77.1/30 dev {outside}"));
    ip(&format!("link set {outside} up"));
    ip(&format!("-n {name} addr add 198.18.77.2/30 dev {inside}"));
    ip(&format!("-n {name} link set {inside} up"));
    // etcd calls itself.
    ip(&format!("-n {name} link set lo up"));
    let etcd = Etcd::start_within(&["ip", "netns", "exec", &name], "198.18.77.2");
    let (here, _there, server, client) = two_hosts(&etcd);

    // Nobody is told: packets are just lost. Until that is noticed, leases have run out.
    ip(&format!("-n {name} link set {inside} down"));
    until("it is noticed", || here.has_told("etcd cannot be followed"));
    assert!(answers(&client) && answers(&here.client()));
    ip(&format!("-n {name} link set {inside} up"));
    until("it is registered again", || etcd.has(&key(SERVICE, address(&server))));
    assert_eq!(here.servers(SERVICE), [address(&server)]);
    let another = here.server(SERVICE);
    until("what is new is found", || here.servers(SERVICE).contains(&address(&another)));
    until("both are registered", || etcd.has(&key(SERVICE, address(&another))));
}
