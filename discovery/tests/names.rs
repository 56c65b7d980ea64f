//! What the agent tells the programs of its host, from which source, and how soon.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mcrpc::{Client, Status};
use mcrpc_agent::names::{ListFile, Place, ServiceList, Source, directory_of, services_in, socket_of};
use mcrpc_core::select::settings::ZoneStrategy;
use mcrpc_discovery::Settings;
use support::{ECHO, Etcd, OneHost, address, key, until};

const AGENT: &str = "mcrpc.Names";

fn agent_of(host: &OneHost) -> Client {
    let socket = format!("unix:{}", socket_of(&host.dir()).display());
    Client::builder("test").service(AGENT, [socket]).build().unwrap()
}

fn ask(agent: &Client, method: &str, text: &str) -> Result<String, mcrpc::Failure> {
    let reply = agent.call(AGENT, &format!("mcrpc.Names.{method}"), text.to_owned()).timeout(Duration::from_secs(20));
    reply.wait().map(|reply| String::from_utf8(reply.to_vec()).unwrap())
}

fn servers(text: &str) -> Vec<u16> {
    ServiceList::parse(text).unwrap().servers.iter().map(|server| server.address.port()).collect()
}

#[test]
fn given_a_host_without_etcd_then_its_own_servers_are_found_while_they_serve() {
    let host = OneHost::new(None);
    let server = host.server("Echo");
    until("it is known", || host.servers("Echo") == [address(&server)]);
    let client = host.client();
    assert_eq!(client.call("Echo", ECHO, "hello").wait().unwrap(), "hello");
    let failure = client.call("Nobody", ECHO, "hello").wait().unwrap_err();
    assert_eq!(failure.status(), Status::NO_SERVICE);
    assert!(failure.text().contains("knows no service \"Nobody\""), "{failure}");
    drop(server);
    until("it has left", || host.servers("Echo").is_empty());
}

#[test]
fn given_a_program_that_says_no_more_that_it_is_there_then_it_leaves() {
    let host = OneHost::new(None);
    let agent = agent_of(&host);
    assert_eq!(ask(&agent, "Register", "a 127.0.0.1:80 for_ms=1500").unwrap(), "127.0.0.1:80");
    until("it is known", || host.servers("a").len() == 1);
    until("it has left", || host.servers("a").is_empty());
    let failure = ask(&agent, "Register", "a 0.0.0.0:80").unwrap_err();
    assert!(failure.text().contains("--advertise"), "{failure}");
}

#[test]
fn given_a_caller_that_knows_a_version_then_it_is_answered_when_there_is_another() {
    let host = OneHost::new(None);
    let agent = agent_of(&host);
    ask(&agent, "Register", "a 127.0.0.1:1 for_ms=60000").unwrap();
    until("it is known", || host.servers("a").len() == 1);
    let first = ServiceList::parse(&ask(&agent, "Resolve", "a").unwrap()).unwrap();
    let waiting = {
        let (agent, version) = (agent.clone(), first.version);
        std::thread::spawn(move || ask(&agent, "Resolve", &format!("a known={version}")).unwrap())
    };
    ask(&agent, "Register", "a 127.0.0.1:2 for_ms=60000").unwrap();
    let second = waiting.join().unwrap();
    assert_eq!(servers(&second), [1, 2]);
    assert!(ServiceList::parse(&second).unwrap().version > first.version);
}

#[test]
fn given_a_place_then_only_the_servers_are_answered_that_a_caller_there_uses() {
    let etcd = Etcd::start();
    let host = OneHost::new(Some(&etcd));
    for (port, region, zone) in [(1, "south", "sz"), (2, "south", "gz"), (3, "north", "bj")] {
        let value = format!(r#"{{"region":"{region}","zone":"{zone}"}}"#);
        etcd.put(&key("a", ([10, 0, 0, 1], port).into()), &value);
    }
    until("they are known", || host.servers("a").len() == 3);
    let agent = agent_of(&host);
    for (place, wanted) in [
        ("", &[1, 2, 3][..]),
        ("strategy=zone_first region=south zone=sz", &[1]),
        ("strategy=zone_first region=south zone=hk", &[1, 2]),
        ("strategy=zone_only region=south zone=hk", &[]),
        ("strategy=region region=north", &[3]),
        ("strategy=anywhere region=north zone=bj", &[1, 2, 3]),
    ] {
        assert_eq!(servers(&ask(&agent, "Resolve", &format!("a {place}")).unwrap()), wanted, "{place}");
    }
    let of_user = |uin: u64| {
        servers(&ask(&agent, "Resolve", &format!("a strategy=one_zone_by_hash region=south uin={uin}")).unwrap())
    };
    let first: usize = (1..=60).filter(|uin| of_user(*uin) == [1]).count();
    let second: usize = (1..=60).filter(|uin| of_user(*uin) == [2]).count();
    assert!(first > 10 && second > 10 && first + second == 60, "{first} {second}");
}

fn write_route(root: &Path, servers: &str) {
    for folder in ["client/sz", "route/global"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let client = "[Zone]\nRegion = south\nZone = sz\nStrategy = zone_first\n[Groups]\nRule0 = group=canary share=5%\n";
    fs::write(root.join("client/sz/demo_cli.conf"), client).unwrap();
    let route = format!("[Service]\nId = 7\nName = demo\n{servers}");
    fs::write(root.join("route/global/demo_route.conf.new"), route).unwrap();
    fs::rename(root.join("route/global/demo_route.conf.new"), root.join("route/global/demo_route.conf")).unwrap();
}

#[test]
fn given_route_files_then_they_have_the_last_word_and_a_bad_one_changes_nothing() {
    let files = tempfile::tempdir().unwrap();
    let server = |number: u16, group: &str| {
        format!("[Server{number}]\nIP = 10.0.0.1\nPort = {}\nRegion = south\nZone = sz\n{group}", 80 + number)
    };
    write_route(files.path(), &(server(0, "") + &server(1, "Group = canary\n")));
    let routes = Some((files.path().to_owned(), "sz".to_owned()));
    let host = OneHost::with(None, move |settings| Settings { routes: routes.clone(), ..settings });
    until("it is known", || host.servers("demo").len() == 2);
    let file = host.list("demo").unwrap();
    let ServiceList { id, source, here, rules, servers, .. } = file.list();
    assert_eq!((*id, *source, rules.len()), (7, Source::Routes, 1));
    assert_eq!(*here, Place { region: "south".into(), zone: "sz".into(), strategy: ZoneStrategy::ZoneFirst });
    assert_eq!(servers[1].group, "canary");

    ask(&agent_of(&host), "Register", "demo 127.9.9.9:80").unwrap();
    write_route(files.path(), "[Server0]\nIP = host\n");
    until("it is told", || host.has_told("demo_route.conf"));
    assert_eq!(host.servers("demo").len(), 2);
    write_route(files.path(), &(server(0, "") + &server(1, "Group = canary\n") + &server(2, "")));
    until("the good one is in force", || host.servers("demo").len() == 3);
}

#[test]
fn given_a_file_for_prometheus_then_it_has_all_servers_with_their_labels() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("mcrpc.json");
    let here = Place { region: "south".into(), zone: "sz".into(), strategy: ZoneStrategy::Anywhere };
    let file_sd = Some(path.clone());
    let change = move |settings| Settings { file_sd: file_sd.clone(), here: here.clone(), ..settings };
    let host = OneHost::with(None, change);
    until("the file is there", || path.exists());
    ask(&agent_of(&host), "Register", "a 127.0.0.1:80 for_ms=60000").unwrap();
    until("it is listed", || fs::read_to_string(&path).unwrap().contains("127.0.0.1:80"));
    let read: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let wanted = serde_json::json!([
        { "targets": ["127.0.0.1:80"], "labels": { "service": "a", "region": "south", "zone": "sz" } }
    ]);
    assert_eq!(read, wanted);
}

#[test]
fn given_ten_thousand_servers_then_all_are_listed_and_a_change_writes_one_list() {
    const SERVICES: u16 = 100;
    let etcd = Etcd::start();
    let entries: Vec<(String, String)> = (0..10_000_u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            let address = SocketAddr::from(([10, 0, high, low], 80));
            (key(&format!("service{}", number % SERVICES), address), r#"{"region":"south","zone":"sz"}"#.to_owned())
        })
        .collect();
    etcd.put_all(&entries);
    let host = OneHost::new(Some(&etcd));
    let lists = directory_of(&host.dir());
    let versions = || -> Vec<(usize, u64)> {
        let services = services_in(&lists).unwrap();
        let files = services.iter().map(|service| ListFile::open(&lists.join(service)).unwrap());
        files.map(|file| (file.list().servers.len(), file.list().version)).collect()
    };
    until("all are listed", || versions().iter().map(|(servers, _)| servers).sum::<usize>() == 10_000);
    let before = versions();

    let new = SocketAddr::from(([10, 1, 0, 0], 80));
    etcd.put(&key("service7", new), "{}");
    until("one more is known", || host.servers("service7").contains(&new));
    etcd.delete(&key("service7", new));
    until("it has left", || !host.servers("service7").contains(&new));
    let after = versions();
    let changed = before.iter().zip(&after).filter(|(before, after)| before.1 != after.1).count();
    assert_eq!((before.len(), changed), (usize::from(SERVICES), 1));
}
