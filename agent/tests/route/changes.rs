//! What is in force while files are written, broken, replaced and removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcrpc_agent::route::{Follower, News, Routes, SETTLE_MS};
use mcrpc_core::time::Nanos;

use super::{CLIENT, GLOBAL_ROUTE, GOOD_CLIENT, GOOD_ROUTE, ROUTE, Root};

/// A follower, and a clock that is moved by hand.
struct World {
    root: Root,
    follower: Follower,
    now: Nanos,
}

impl World {
    fn of(files: &[(&str, &str)]) -> World {
        let root = Root::of(files);
        let follower = Follower::new(root.files(), UNIX_EPOCH);
        World { root, follower, now: Nanos::from_millis(1_000) }
    }

    fn started() -> World {
        let mut world = World::of(&[(CLIENT, GOOD_CLIENT), (ROUTE, GOOD_ROUTE)]);
        assert_eq!(world.settled(), "7 servers=1");
        world
    }

    fn poll_after(&mut self, ms: u32) -> String {
        self.now = self.now.plus(u64::from(ms) * 1_000_000);
        match self.follower.poll(self.now) {
            News::None => "nothing".to_owned(),
            News::Settling => "settling".to_owned(),
            News::Loaded(route) => format!("{} servers={}", route.service.id, route.servers.len()),
            News::Refused(faults) => self.root.relative(&faults.to_string()),
        }
    }

    /// What comes of a change, once it has been seen and has settled.
    fn settled(&mut self) -> String {
        assert_eq!(self.poll_after(1), "settling");
        self.poll_after(SETTLE_MS)
    }

    fn servers_in_force(&self) -> usize {
        self.follower.current().unwrap().servers.len()
    }
}

fn with_servers(count: u32) -> String {
    let servers: String = (0..count).map(|n| format!("[Server{n}]\nIP = 10.0.0.{}\nPort = 80\n", n + 1)).collect();
    format!("[Service]\nId = 7\nName = demo\n{servers}")
}

#[test]
fn a_change_takes_effect_when_it_has_settled_and_a_kept_configuration_stays_as_it_was() {
    let mut world = World::started();
    let kept = Arc::clone(world.follower.current().unwrap());
    assert_eq!(world.poll_after(5_000), "nothing");
    world.root.write(ROUTE, with_servers(3));
    assert_eq!(world.poll_after(1_000), "settling");
    assert_eq!(world.poll_after(SETTLE_MS - 1), "settling");
    assert_eq!(world.servers_in_force(), 1);
    assert_eq!(world.poll_after(1), "7 servers=3");
    assert_eq!(world.poll_after(5_000), "nothing");
    assert_eq!((kept.servers.len(), world.servers_in_force()), (1, 3));
}

#[test]
fn a_file_that_is_written_bit_by_bit_never_takes_effect_half() {
    let mut world = World::started();
    let text = with_servers(5);
    // Many of these beginnings are good files with fewer servers.
    for end in (0..text.len()).step_by(7) {
        world.root.write(ROUTE, &text[..end]);
        assert_eq!(world.poll_after(SETTLE_MS - 1), "settling", "{end}");
        assert_eq!(world.servers_in_force(), 1);
    }
    world.root.write(ROUTE, &text);
    assert_eq!(world.settled(), "7 servers=5");
}

#[test]
fn a_writer_that_stands_still_in_the_middle_is_found_out_by_the_count() {
    let mut world = World::started();
    let text = with_servers(3).replace("[Server0]", "[Server]\nServerCount = 3\n[Server0]");
    let half = text.find("[Server2]").unwrap();
    world.root.write(ROUTE, &text[..half]);
    assert_eq!(
        world.settled(),
        "route/sz/demo_route.conf:5: [Server] ServerCount: 3 announced, 2 found: is the file complete?"
    );
    assert_eq!(world.servers_in_force(), 1);
    world.root.write(ROUTE, &text);
    assert_eq!(world.settled(), "7 servers=3");
}

#[test]
fn a_file_that_is_renamed_into_place_takes_effect_whole() {
    let mut world = World::started();
    world.root.replace(ROUTE, with_servers(2));
    assert_eq!(world.settled(), "7 servers=2");
}

#[test]
fn a_directory_of_links_that_is_swapped_in_one_step_takes_effect_whole() {
    // As container platforms mount configuration: the files are links through a link to the directory in force.
    let mut world = World::of(&[("1/route.conf", GOOD_ROUTE), ("2/route.conf", &with_servers(2))]);
    world.root.write("1/client.conf", GOOD_CLIENT);
    world.root.write("2/client.conf", "[Timeouts]\nCallMs = 77\n");
    let path = world.root.path().to_owned();
    symlink("1", path.join("data")).unwrap();
    for (link, file) in [(CLIENT, "client.conf"), (ROUTE, "route.conf")] {
        fs::create_dir_all(path.join(link).parent().unwrap()).unwrap();
        symlink(path.join("data").join(file), path.join(link)).unwrap();
    }
    assert_eq!(world.settled(), "7 servers=1");
    symlink("2", path.join("new")).unwrap();
    fs::rename(path.join("new"), path.join("data")).unwrap();
    assert_eq!(world.settled(), "7 servers=2");
    assert_eq!(world.follower.current().unwrap().client.timeouts.call.0, 77);
}

#[test]
fn a_bad_file_is_reported_once_and_changes_nothing() {
    let mut world = World::started();
    world.root.write(ROUTE, with_servers(2).replace("Port = 80", "Port = 80a"));
    let faults = world.settled();
    assert_eq!(faults.lines().count(), 2, "{faults}");
    assert!(faults.starts_with("route/sz/demo_route.conf:6: [Server0] Port: \"80a\" is no port"), "{faults}");
    assert_eq!(world.poll_after(60_000), "nothing");
    assert_eq!(world.servers_in_force(), 1);
    world.root.write(CLIENT, "[Timeouts]\nCallMs = 77\n");
    assert!(world.settled().contains("80a"), "the route is still bad");
    assert_eq!(world.follower.current().unwrap().client.timeouts.call.0, 500, "and the pair is one");
    world.root.write(ROUTE, with_servers(2));
    assert_eq!(world.settled(), "7 servers=2");
    assert_eq!(world.follower.current().unwrap().client.timeouts.call.0, 77);
}

#[test]
fn a_removed_file_changes_nothing_unless_another_stands_in_for_it() {
    let mut world = World::started();
    world.root.remove(ROUTE);
    assert_eq!(
        world.settled(),
        "route/sz/demo_route.conf: there is no such file, and no route/global/demo_route.conf either: expected one of them"
    );
    assert_eq!((world.servers_in_force(), world.poll_after(60_000).as_str()), (1, "nothing"));
    world.root.write(GLOBAL_ROUTE, with_servers(4));
    assert_eq!(world.settled(), "7 servers=4");
    assert!(world.follower.current().unwrap().sources.is_global);
    world.root.write(ROUTE, with_servers(2));
    assert_eq!(world.settled(), "7 servers=2");
    world.root.remove(ROUTE);
    assert_eq!(world.settled(), "7 servers=4");
    world.root.remove(CLIENT);
    let told = "client/sz/demo_cli.conf: there is no such file: make it, or correct the name";
    assert_eq!(world.settled(), told);
    assert_eq!(world.servers_in_force(), 4);
}

#[test]
fn a_file_that_comes_back_at_once_was_never_away() {
    let mut world = World::started();
    world.root.remove(ROUTE);
    assert_eq!(world.poll_after(1), "settling");
    world.root.write(ROUTE, with_servers(2));
    assert_eq!(world.poll_after(SETTLE_MS), "settling");
    assert_eq!(world.poll_after(SETTLE_MS), "7 servers=2");
}

#[test]
fn a_clock_that_goes_back_only_delays() {
    let mut world = World::started();
    world.root.write(ROUTE, with_servers(2));
    assert_eq!(world.poll_after(1), "settling");
    world.now = Nanos::from_millis(1);
    assert_eq!(world.poll_after(0), "settling");
    assert_eq!(world.poll_after(2_000), "7 servers=2");
}

#[test]
fn files_that_were_there_before_are_read_by_the_first_look() {
    let root = Root::of(&[(CLIENT, GOOD_CLIENT), (ROUTE, GOOD_ROUTE)]);
    let later = SystemTime::now() + Duration::from_secs(60);
    let mut follower = Follower::new(root.files(), later);
    assert!(matches!(follower.poll(Nanos(0)), News::Loaded(_)));
}

#[test]
fn readers_of_a_watched_root_see_each_whole_configuration_and_never_a_mixture() {
    let root = Root::of(&[(CLIENT, GOOD_CLIENT), (ROUTE, &with_servers(1))]);
    let routes = Arc::new(Routes::new(root.path(), "sz"));
    let handle = routes.service("demo").unwrap();
    assert_eq!(handle.get().servers.len(), 1);
    let (sender, changes) = channel();
    let watch = routes.watch(move |change| sender.send(change.clone()).unwrap()).unwrap();
    let limit = Duration::from_secs(60);
    for count in [2, 3] {
        root.replace(ROUTE, with_servers(count));
        let change = changes.recv_timeout(limit).unwrap();
        assert_eq!((change.service.as_str(), change.result.unwrap().servers.len()), ("demo", count as usize));
        assert_eq!(handle.get().servers.len(), count as usize);
    }
    root.replace(ROUTE, "[Service]");
    let faults = changes.recv_timeout(limit).unwrap().result.unwrap_err();
    assert!(faults.to_string().contains("there is no server"), "{faults}");
    assert_eq!(handle.get().servers.len(), 3);
    drop(watch);
    assert!(changes.recv().is_err(), "the thread has ended");
}

#[test]
fn a_service_without_good_files_is_refused_and_others_go_on() {
    let root = Root::of(&[(CLIENT, GOOD_CLIENT), (ROUTE, GOOD_ROUTE)]);
    let routes = Routes::new(root.path(), "sz");
    let handle = routes.service("demo").unwrap();
    assert!(routes.service("echo").unwrap_err().to_string().contains("echo_cli.conf: there is no such file"));
    assert!(routes.service("../echo").is_err());
    let seen = Mutex::new(Vec::new());
    assert!(!routes.poll(|change| seen.lock().unwrap().push(change.service.clone())));
    root.write(ROUTE, with_servers(2));
    assert!(routes.poll(|_| panic!("it has not settled")));
    assert_eq!(handle.get().servers.len(), 1);
    assert!(seen.lock().unwrap().is_empty());
    assert!(Arc::ptr_eq(&routes.service("demo").unwrap().get(), &handle.get()), "one configuration for all");
}
