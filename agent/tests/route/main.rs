//! Client and route files, through the public API: what good ones say, what bad ones are told, and what is in force while
//! they change. Time is a number here; nothing waits for a clock.

mod any_file;
mod bad_files;
mod changes;
mod whole_tree;

use std::fs;
use std::path::Path;

use mcrpc_agent::route::{Files, Route, load};
use mcrpc_core::admission::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::call::{Attempt, Call};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::ZoneStrategy;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::{Millis, Nanos};
use tempfile::TempDir;

const CLIENT: &str = "client/sz/demo_cli.conf";
const ROUTE: &str = "route/sz/demo_route.conf";
const GLOBAL_ROUTE: &str = "route/global/demo_route.conf";
const GOOD_CLIENT: &str = "[Timeouts]\nCallMs = 500\n";
const GOOD_ROUTE: &str = "[Service]\nId = 7\nName = demo\n[Server0]\nIP = 10.0.0.1\nPort = 80\n";

/// A root of files that goes with the test.
struct Root(TempDir);

impl Root {
    fn new() -> Root {
        Root(tempfile::tempdir().unwrap())
    }

    fn of(files: &[(&str, &str)]) -> Root {
        let root = Root::new();
        files.iter().for_each(|(path, text)| root.write(path, text));
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// As careful programs write: under another name, then renamed.
    fn replace(&self, path: &str, text: impl AsRef<[u8]>) {
        self.write("new", text);
        fs::rename(self.path().join("new"), self.path().join(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }

    fn files(&self) -> Files {
        Files::new(self.path(), "sz", "demo").unwrap()
    }

    fn load(&self) -> Route {
        load(&self.files()).unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// The faults, with paths as seen from the root.
    fn faults(&self) -> String {
        self.relative(&load(&self.files()).unwrap_err().to_string())
    }

    fn relative(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.path().display()), "")
    }
}

/// The two files that the documentation shows.
fn documented() -> (String, String) {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/routes.md")).unwrap();
    let mut blocks = page.split("```ini\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    (blocks.next().unwrap(), blocks.next().unwrap())
}

#[test]
fn the_documented_files_say_what_the_documentation_says() {
    let (client, route) = documented();
    let root = Root::of(&[(CLIENT, &client), (GLOBAL_ROUTE, &route)]);
    let Route { service, servers, client, names, sources } = root.load();
    assert_eq!((service.id, service.name.as_str()), (7, "demo"));
    assert_eq!((client.timeouts.connect, client.timeouts.call), (Millis(100), Millis(800)));
    assert_eq!((client.retry.max_attempts, client.retry.budget.get(), client.retry.backup.get()), (4, 1_000, 500));
    let shield = client.shield;
    assert_eq!((shield.fail_count, shield.new_fail_count, shield.use_mmlb), (10, 30, true));
    assert_eq!(shield.max_shielded_percent, 50);
    assert_eq!(client.zone.strategy, ZoneStrategy::ZoneFirst);
    assert_eq!(names.regions.get(client.zone.region), Some("south"));
    assert_eq!(names.zones.get(client.zone.zone), Some("sz"));
    let [rule] = &client.groups[..] else { panic!("{:?}", client.groups) };
    assert_eq!((rule.share, &rule.users[..]), (Per10k::new(500).unwrap(), &[Uin(10_001), Uin(10_002)][..]));
    assert_eq!(names.groups.get(rule.group), Some("canary"));
    let seen = |server: &mcrpc_agent::route::Server| {
        let name = |name: Option<&str>| name.unwrap_or("-").to_owned();
        let (zone, group) = (name(names.zones.get(server.zone)), name(names.groups.get(server.group)));
        (server.endpoint, server.weight, zone, group)
    };
    let endpoint = |socket: &str| Endpoint::new(socket.parse().unwrap(), 7);
    let expected = [
        ("10.1.0.1:8080", 100, "sz", "-"),
        ("10.1.0.2:8080", 50, "sz", "canary"),
        ("[2001:db8:2::1]:8080", 100, "gz", "-"),
    ]
    .map(|(socket, weight, zone, group)| (endpoint(socket), weight, zone.to_owned(), group.to_owned()));
    assert_eq!(servers.iter().map(seen).collect::<Vec<_>>(), expected);
    assert!(sources.is_global);
    assert_eq!(sources.route, root.path().join(GLOBAL_ROUTE));
    assert_eq!(sources.client, root.path().join(CLIENT));
}

#[test]
fn what_is_left_out_has_its_default() {
    let root = Root::of(&[(CLIENT, "[Retry]\n"), (ROUTE, GOOD_ROUTE)]);
    let Route { servers, client, .. } = root.load();
    assert_eq!((client.timeouts.connect, client.timeouts.call), (Millis(200), Millis(1_000)));
    assert_eq!((client.retry.max_attempts, client.retry.budget.get(), client.retry.backup.get()), (4, 800, 400));
    let shield = client.shield;
    assert_eq!((shield.fail_count, shield.new_fail_count, shield.use_mmlb), (0, 0, false));
    assert_eq!(shield.max_shielded_percent, 50);
    assert_eq!(client.zone.strategy, ZoneStrategy::Anywhere);
    assert!(client.zone.region.is_none() && client.zone.zone.is_none() && client.groups.is_empty());
    assert_eq!(servers[0].weight, 100);
    assert!(servers[0].region.is_none() && servers[0].zone.is_none() && servers[0].group.is_none());
    root.write(CLIENT, "[Timeouts]\nCallMs = 50\n");
    assert_eq!(root.load().client.timeouts.connect, Millis(50), "a connection has no more time than the call");
}

#[test]
fn the_file_of_the_idc_wins_over_the_global_one_even_if_it_is_bad() {
    let other = GOOD_ROUTE.replace("10.0.0.1", "10.0.0.2");
    let root = Root::of(&[(CLIENT, GOOD_CLIENT), (GLOBAL_ROUTE, &other)]);
    assert!(root.load().sources.is_global);
    root.write(ROUTE, GOOD_ROUTE);
    let route = root.load();
    assert!(!route.sources.is_global && route.sources.route == root.path().join(ROUTE));
    assert_eq!(route.servers[0].endpoint.socket(), "10.0.0.1:80".parse().unwrap());
    root.write(ROUTE, "[Service]");
    assert!(root.faults().starts_with("route/sz/demo_route.conf: there is no server"));
}

#[test]
fn servers_and_rules_are_in_the_order_of_their_numbers_and_gaps_are_no_fault() {
    let servers = [10, 9, 2].map(|number| format!("[Server{number}]\nIP = ::{number}\nPort = 80\n"));
    let route = format!("[Service]\nId = 7\nName = demo\n[Server]\nServerCount = 3\n{}", servers.concat());
    let client = "[Groups]\nRule10 = group=b uin=1\nRule9 = group=a uin=1\n";
    let route = route.replace("::9\n", "::9\nGroup = a\n").replace("::2\n", "::2\nGroup = b\n");
    let root = Root::of(&[(CLIENT, client), (ROUTE, &route)]);
    let Route { servers, client, names, .. } = root.load();
    let addresses: Vec<u128> = servers.iter().map(|server| server.endpoint.address).collect();
    assert_eq!(addresses, [0x2, 0x9, 0x10]);
    let groups: Vec<_> = client.groups.iter().map(|rule| names.groups.get(rule.group).unwrap()).collect();
    assert_eq!(groups, ["a", "b"]);
}

#[test]
fn names_that_are_paths_are_refused_before_anything_is_opened() {
    for (idc, service, what) in [
        ("../sz", "demo", "\"../sz\" is no name of an IDC: expected 1 to 64 letters, digits, '_', '-' or '.'"),
        ("sz", "", "\"\" is no name of a service: expected 1 to 64 letters, digits, '_', '-' or '.'"),
        ("global", "demo", "\"global\" is no IDC: expected the one that the callers are in"),
    ] {
        assert_eq!(Files::new(Path::new("conf"), idc, service).unwrap_err().to_string(), format!("conf: {what}"));
    }
}

/// The documented route, used by a set: its canary takes those whom the rule names, its own zone the others.
#[test]
fn a_route_is_what_a_set_takes() {
    let (client, route) = documented();
    let route = Root::of(&[(CLIENT, &client), (GLOBAL_ROUTE, &route)]).load();
    let settings = route.set_settings(16);
    assert_eq!((settings.max_attempts, settings.zone_strategy), (4, ZoneStrategy::ZoneFirst));
    assert_eq!(settings.rules.leak, mcrpc_core::shield::leak::Leak::of_count(30));
    let rules = route.group_rules();
    let ranges: Vec<_> = rules.iter().map(|rule| (rule.first.0, rule.last.0, rule.share.get())).collect();
    assert_eq!(ranges, [(10_001, 10_002, 10_000), (0, u64::MAX, 500)]);

    let words: Vec<_> =
        (0..EndpointSet::memory_len(&settings).unwrap()).map(|_| std::sync::atomic::AtomicU64::new(0)).collect();
    let set = EndpointSet::create(Shared::new(&words), &settings).unwrap();
    let specs = route.specs();
    set.replace(specs.len(), &|index| specs[index], &rules, &HostView::default()).unwrap();
    let chosen = |uin| {
        let target = Target { service_id: 7, method_id: 1 };
        let mut call = Call::new(Uin(uin), 1, Key(0), target, Nanos::NEVER);
        let choice = set.select(&mut call, Attempt::Next, &HostView::default(), Nanos(1)).unwrap();
        let server = &route.servers[choice.user_data as usize];
        (route.names.groups.get(server.group), route.names.zones.get(server.zone))
    };
    assert_eq!(chosen(10_001), (Some("canary"), Some("sz")));
    let canaries =
        (1..=2_000).map(chosen).inspect(|place| assert_eq!(place.1, Some("sz"))).filter(|place| place.0.is_some());
    assert!((70..130).contains(&canaries.count()));
}
