//! Everything below a root, read before a program reads it.

use mcrpc_agent::route::check;

use super::{CLIENT, GLOBAL_ROUTE, GOOD_CLIENT, GOOD_ROUTE, ROUTE, Root};

fn told(root: &Root) -> Vec<String> {
    check(root.path()).faults.iter().map(|faults| root.relative(&faults.to_string())).collect()
}

#[test]
fn a_good_tree_is_counted() {
    let root = Root::of(&[(CLIENT, GOOD_CLIENT), (ROUTE, GOOD_ROUTE), (GLOBAL_ROUTE, GOOD_ROUTE)]);
    root.write("client/gz/demo_cli.conf", GOOD_CLIENT);
    root.write("client/gz/.demo_cli.conf.swp", "what an editor leaves");
    root.write("client/gz/README", "what people write");
    let checked = check(root.path());
    assert_eq!(checked.faults, []);
    assert_eq!(checked.files, 4);
    assert_eq!(checked.services.into_iter().collect::<Vec<_>>(), ["demo"]);
    assert_eq!(checked.idcs.into_iter().collect::<Vec<_>>(), ["gz", "sz"]);
}

#[test]
fn every_fault_of_every_file_is_said_and_each_once() {
    let root = Root::of(&[(GLOBAL_ROUTE, &GOOD_ROUTE.replace("Port = 80", "Port = x"))]);
    // Both use the bad global file; one has a fault of its own.
    root.write("client/gz/demo_cli.conf", GOOD_CLIENT);
    root.write(CLIENT, "[Retry]\nMaxAttempts = 0\n");
    root.write("client/sz/lost_cli.conf", GOOD_CLIENT);
    root.write("client/sz/demo_cil.conf", GOOD_CLIENT);
    root.write("route/sz/echo_route.conf", GOOD_ROUTE.replace("demo", "echo"));
    root.write("route/gz/echo_route.conf", GOOD_ROUTE.replace("demo", "echo").replace("Id = 7", "Id = 8"));
    root.write("route/gz/ping_route.conf", GOOD_ROUTE.replace("demo", "ping").replace("Id = 7", "Id = 8"));
    assert_eq!(
        told(&root),
        [
            "client/sz/demo_cil.conf: is read by nobody: expected a name as <service>_cli.conf",
            "route/global/demo_route.conf:6: [Server0] Port: \"x\" is no port: expected a number from 1 to 65535",
            "route/gz/ping_route.conf:2: [Service] Id: 8 is the Id of echo in route/gz/echo_route.conf: expected another",
            "route/sz/echo_route.conf:2: [Service] Id: is 8 in route/gz/echo_route.conf: expected the same for all callers",
            "client/sz/demo_cli.conf:2: [Retry] MaxAttempts: \"0\" is no number of attempts: expected a number from 1 to 8",
            "route/sz/lost_route.conf: there is no such file, and no route/global/lost_route.conf either: expected one of \
             them",
        ]
    );
}

#[test]
fn files_that_do_not_fit_each_other_are_found_per_idc() {
    let root =
        Root::of(&[(GLOBAL_ROUTE, GOOD_ROUTE), (CLIENT, "[Zone]\nRegion = south\nZone = sz\nStrategy = zone_only\n")]);
    root.write("client/gz/demo_cli.conf", GOOD_CLIENT);
    assert_eq!(told(&root).len(), 1);
    assert!(told(&root)[0].starts_with("client/sz/demo_cli.conf:4: [Zone] Strategy: \"zone_only\" leaves no server"));
}

#[test]
fn a_directory_that_is_no_root_is_said_to_be_none() {
    let root = Root::new();
    let faults = told(&root);
    assert!(faults[0].starts_with("client: cannot be listed: "), "{faults:?}");
    std::fs::create_dir(root.path().join("client")).unwrap();
    std::fs::create_dir(root.path().join("route")).unwrap();
    assert!(
        told(&root)[0].ends_with("there is no client and no route file: expected client/<idc>/<svc>_cli.conf below it")
    );
}
