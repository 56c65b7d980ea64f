//! What a bad file is told, word by word.

use super::{CLIENT, GLOBAL_ROUTE, GOOD_CLIENT, GOOD_ROUTE, ROUTE, Root};

/// A pair of files of which one is bad, and all that is said about it.
fn assert_told(client: &str, route: &str, faults: &[&str]) {
    let root = Root::of(&[(CLIENT, client), (ROUTE, route)]);
    assert_eq!(root.faults(), faults.join("\n"));
}

#[test]
fn a_route_file_with_one_fault_is_told_what_was_found_and_what_was_expected() {
    const ADDRESS: &str = "an IPv4 or IPv6 address that can be called, as 10.1.2.3 or 2001:db8::1";
    const NAME: &str = "1 to 64 letters, digits, '_', '-' or '.'";
    const KNOWN: &str = "IP, Port, Weight, Region, Zone, Group";
    let head = "[Service]\nId = 7\nName = demo\n";
    let good = "[Server0]\nIP = 10.0.0.1\nPort = 80\n";
    for (text, fault) in [
        ("[Server0]\nIP = 10.0.0.1\nPort = 80a\n", ":6: [Server0] Port: \"80a\" is no port: expected a number from 1 to 65535".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\nPort = 0\n", ":6: [Server0] Port: \"0\" is no port: expected a number from 1 to 65535".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\nPort = +80\n", ":6: [Server0] Port: \"+80\" is no port: expected a number from 1 to 65535".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\nPort = 65536\n", ":6: [Server0] Port: \"65536\" is no port: expected a number from 1 to 65535".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\nPort =\n", ":6: [Server0] Port: \"\" is no port: expected a number from 1 to 65535".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\nPort = 80 ; http\n", ":6: [Server0] Port: \"80 ; http\" is no port: expected a number from 1 to 65535; a comment stands in a line of its own".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\n", ":4: [Server0] Port: is missing: expected a number from 1 to 65535".to_owned()),
        ("[Server0]\nPort = 80\n", format!(":4: [Server0] IP: is missing: expected {ADDRESS}")),
        ("[Server0]\nIP = localhost\nPort = 80\n", format!(":5: [Server0] IP: \"localhost\" is no address: expected {ADDRESS}")),
        ("[Server0]\nIP = 0.0.0.0\nPort = 80\n", format!(":5: [Server0] IP: \"0.0.0.0\" is no address: expected {ADDRESS}")),
        ("[Server0]\nIP = ff02::1\nPort = 80\n", format!(":5: [Server0] IP: \"ff02::1\" is no address: expected {ADDRESS}")),
        ("[Server0]\nIP = 10.0.0.1\nPrt = 80\n", format!(":6: [Server0] Prt: is no known key: the nearest is Port, and known are {KNOWN}")),
        ("[Server0]\nip = 10.0.0.1\nPort = 80\n", format!(":5: [Server0] ip: is no known key: the nearest is IP, and known are {KNOWN}")),
        ("[Server0]\nIP = 10.0.0.1\nPort = 80\nPort = 81\n", ":7: [Server0] Port: stands in line 6 before: remove one of them".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\nPort = 80\nWeight = 1001\n", ":7: [Server0] Weight: \"1001\" is no weight: expected a number from 0 to 1000".to_owned()),
        ("[Server0]\nIP = 10.0.0.1\nPort = 80\nZone = a b\n", format!(":7: [Server0] Zone: \"a b\" is no zone: expected {NAME}")),
        ("[Server0]\nIP = 10.0.0.1\nPort = 80\nWeight = 0\n", ": no server would be called: expected one with a Weight above 0".to_owned()),
        ("", ": there is no server: expected [Server0] with IP and Port".to_owned()),
        ("[Server]\nServerCount = 2\n[Server0]\nIP = 10.0.0.1\nPort = 80\n", ":5: [Server] ServerCount: 2 announced, 1 found: is the file complete?".to_owned()),
        ("[Server]\nServerCount = two\n[Server0]\nIP = 10.0.0.1\nPort = 80\n", ":5: [Server] ServerCount: \"two\" is no number of servers: expected a number from 0 to 4294967295".to_owned()),
    ] {
        assert_told(GOOD_CLIENT, &format!("{head}{text}"), &[&format!("{ROUTE}{fault}")]);
    }
    for (text, fault) in [
        (
            "[Server0]\nIP = 10.0.0.2\nPort = 80\n",
            ":7: [Server0]: stands in line 4 before: remove or rename one of them",
        ),
        (
            "[Server1]\nIP = 10.0.0.1\nPort = 80\n",
            ":8: [Server1] IP: 10.0.0.1:80 is also [Server0]: remove one of them",
        ),
        (
            "[Server1]\nIP = ::ffff:10.0.0.1\nPort = 80\n",
            ":8: [Server1] IP: 10.0.0.1:80 is also [Server0]: remove one of them",
        ),
        (
            "[Sever1]\nIP = 10.0.0.2\n",
            ":7: [Sever1]: is no known section: the nearest is Server, and known are Service, Server, Server<N>",
        ),
        (
            "[Server01]\nIP = 10.0.0.2\n",
            ":7: [Server01]: is no known section: the nearest is Server, and known are Service, Server, Server<N>",
        ),
        ("[Server1\nIP = 10.0.0.2\n", ":7: \"[Server1\" is no section: expected [Name], and nothing behind it"),
        ("IP\n", ":7: [Server0]: \"IP\" is no setting: expected Key = value"),
    ] {
        assert_told(GOOD_CLIENT, &format!("{head}{good}{text}"), &[&format!("{ROUTE}{fault}")]);
    }
    for (head, fault) in [
        ("[Service]\nName = demo\n", ":1: [Service] Id: is missing: expected a number from 1 to 4294967295"),
        (
            "[Service]\nId = 0\nName = demo\n",
            ":2: [Service] Id: \"0\" is no service id: expected a number from 1 to 4294967295",
        ),
        ("[Service]\nId = 7\n", ":1: [Service] Name: is missing: expected demo, as the file is called"),
        (
            "[Service]\nId = 7\nName = echo\n",
            ":3: [Service] Name: \"echo\" is no name of this service: expected demo, as the file is called",
        ),
        ("", ": there is no [Service]: expected it with Id and Name"),
    ] {
        assert_told(GOOD_CLIENT, &format!("{head}{good}"), &[&format!("{ROUTE}{fault}")]);
    }
}

#[test]
fn a_client_file_with_one_fault_is_told_what_was_found_and_what_was_expected() {
    for (text, fault) in [
        ("", ": is empty: expected sections, as [Name], with keys below"),
        ("CallMs = 5\n[Timeouts]\n", ":1: \"CallMs\" stands in no section: expected [Name] before it"),
        (
            "[Timeouts]\nCallMs = 0\n",
            ":2: [Timeouts] CallMs: \"0\" is no time in ms: expected a number from 1 to 3600000",
        ),
        (
            "[Timeouts]\nCallMs = 50\nConnectMs = 51\n",
            ":3: [Timeouts] ConnectMs: is longer than CallMs, 50: expected at most that",
        ),
        (
            "[Timeouts]\nCallMS = 50\n",
            ":2: [Timeouts] CallMS: is no known key: the nearest is CallMs, and known are ConnectMs, CallMs",
        ),
        (
            "[Timeout]\nCallMs = 50\n",
            ":1: [Timeout]: is no known section: the nearest is Timeouts, and known are Timeouts, Retry, Shield, Zone, Groups",
        ),
        (
            "[Retry]\nMaxAttempts = 9\n",
            ":2: [Retry] MaxAttempts: \"9\" is no number of attempts: expected a number from 1 to 8",
        ),
        (
            "[Retry]\nBudgetPer10k = 10%\n",
            ":2: [Retry] BudgetPer10k: \"10%\" is no ratio in ten-thousandths: expected a number from 0 to 10000",
        ),
        (
            "[Retry]\nBackupPer10k = 10001\n",
            ":2: [Retry] BackupPer10k: \"10001\" is no ratio in ten-thousandths: expected a number from 0 to 10000",
        ),
        (
            "[Shield]\nFailCount = -1\n",
            ":2: [Shield] FailCount: \"-1\" is no number of failures: expected a number from 0 to 10000",
        ),
        ("[Shield]\nUseMMLB = yes\n", ":2: [Shield] UseMMLB: \"yes\" is no switch: expected a number from 0 to 1"),
        (
            "[Shield]\nMaxShieldedPercent = 101\n",
            ":2: [Shield] MaxShieldedPercent: \"101\" is no percentage: expected a number from 0 to 100",
        ),
        (
            "[Zone]\nStrategy = nearest\n",
            ":2: [Zone] Strategy: \"nearest\" is no strategy: expected one of anywhere, zone_first, region, zone_only, one_zone_by_hash",
        ),
        (
            "[Groups]\nRule0 = group=a\n",
            ":2: [Groups] Rule0: \"group=a\" covers nobody: expected share=5%, uin=123,456 or both",
        ),
        (
            "[Groups]\nRules = group=a\n",
            ":2: [Groups] Rules: is no known key: the nearest is Rule<N>, and known are Rule<N>",
        ),
    ] {
        assert_told(text, GOOD_ROUTE, &[&format!("{CLIENT}{fault}")]);
    }
    assert_told(
        "[Zone]\nRegion = south\nStrategy = zone_first\n",
        GOOD_ROUTE,
        &["client/sz/demo_cli.conf:3: [Zone] Strategy: \"zone_first\" needs Zone: expected the zone of the callers"],
    );
}

#[test]
fn all_faults_of_both_files_are_said_at_once() {
    assert_told(
        "[Timeouts]\nCallMs = soon\n[Retry]\nMaxAttempts = 0\n",
        "[Service]\nId = x\nName = demo\n[Server0]\nIP = 10.0.0\nPort = 80a\nWieght = 5\n[Server1]\nPort = 80\n",
        &[
            "client/sz/demo_cli.conf:2: [Timeouts] CallMs: \"soon\" is no time in ms: expected a number from 1 to 3600000",
            "client/sz/demo_cli.conf:4: [Retry] MaxAttempts: \"0\" is no number of attempts: expected a number from 1 to 8",
            "route/sz/demo_route.conf:2: [Service] Id: \"x\" is no service id: expected a number from 1 to 4294967295",
            "route/sz/demo_route.conf:5: [Server0] IP: \"10.0.0\" is no address: expected an IPv4 or IPv6 address that can be \
             called, as 10.1.2.3 or 2001:db8::1",
            "route/sz/demo_route.conf:6: [Server0] Port: \"80a\" is no port: expected a number from 1 to 65535",
            "route/sz/demo_route.conf:7: [Server0] Wieght: is no known key: the nearest is Weight, and known are IP, Port, \
             Weight, Region, Zone, Group",
            "route/sz/demo_route.conf:8: [Server1] IP: is missing: expected an IPv4 or IPv6 address that can be called, as \
             10.1.2.3 or 2001:db8::1",
        ],
    );
}

#[test]
fn what_is_no_file_of_text_is_refused() {
    let root = Root::new();
    assert_eq!(
        root.faults(),
        "client/sz/demo_cli.conf: there is no such file: make it, or correct the name\n\
         route/sz/demo_route.conf: there is no such file, and no route/global/demo_route.conf either: expected one of them"
    );
    root.write(CLIENT, GOOD_CLIENT);
    root.write(GLOBAL_ROUTE, b"[Service]\nName = \xff\n");
    assert_eq!(root.faults(), "route/global/demo_route.conf:2: is no text: expected UTF-8");
    root.write(GLOBAL_ROUTE, vec![b';'; (4 << 20) + 1]);
    assert_eq!(root.faults(), "route/global/demo_route.conf: cannot be read: it is longer than 4194304 bytes");
    std::fs::create_dir_all(root.path().join(ROUTE)).unwrap();
    assert_eq!(root.faults(), "route/sz/demo_route.conf: cannot be read: it is no regular file");
    // As after a crash on some file systems.
    root.write(GLOBAL_ROUTE, [0; 20]);
    std::fs::remove_dir(root.path().join(ROUTE)).unwrap();
    assert!(root.faults().contains("\"\\0\\0"), "{}", root.faults());
}

#[test]
fn files_that_do_not_fit_each_other_are_refused() {
    let placed = GOOD_ROUTE.replace("Port = 80\n", "Port = 80\nRegion = south\nZone = sz\n");
    for (strategy, place, is_served) in [
        ("anywhere", "", true),
        ("zone_first", "Region = south\nZone = bj\n", true),
        ("zone_first", "Region = north\nZone = bj\n", false),
        ("zone_only", "Region = south\nZone = sz\n", true),
        ("zone_only", "Region = south\nZone = bj\n", false),
        ("region", "Region = south\n", true),
        ("region", "Region = north\n", false),
        ("one_zone_by_hash", "Region = south\n", true),
        ("one_zone_by_hash", "Region = north\n", false),
    ] {
        let client = format!("[Zone]\nStrategy = {strategy}\n{place}");
        if is_served {
            Root::of(&[(CLIENT, &client), (ROUTE, &placed)]).load();
            continue;
        }
        let fault = "leaves no server with a weight of those in route/sz/demo_route.conf: expected one in that place";
        assert_told(&client, &placed, &[&format!("{CLIENT}:2: [Zone] Strategy: \"{strategy}\" {fault}")]);
    }
    assert_told(
        "[Groups]\nRule0 = group=canary share=0%\n",
        GOOD_ROUTE,
        &[
            "client/sz/demo_cli.conf:2: [Groups] Rule0: no server with a weight in route/sz/demo_route.conf is in the group \
         \"canary\": expected one",
        ],
    );
    let grouped = GOOD_ROUTE.replace("Port = 80\n", "Port = 80\nGroup = canary\n");
    assert_told(
        GOOD_CLIENT,
        &grouped,
        &[
            "client/sz/demo_cli.conf: all servers in route/sz/demo_route.conf are in groups: expected one in none, or a rule \
         with share=100%",
        ],
    );
    Root::of(&[(CLIENT, "[Groups]\nRule0 = group=canary share=100%\n"), (ROUTE, &grouped)]).load();
}

#[test]
fn a_zone_in_two_regions_and_two_names_with_one_number_are_refused() {
    let two =
        |first: &str, second: &str| format!("{GOOD_ROUTE}{first}\n[Server1]\nIP = 10.0.0.2\nPort = 80\n{second}\n");
    assert_told(
        GOOD_CLIENT,
        &two("Region = south\nZone = a", "Region = north\nZone = a"),
        &[
            "route/sz/demo_route.conf:13: [Server1] Zone: the zone is in another region in [Server0]: expected one region per zone",
        ],
    );
    let placed = two("Region = south\nZone = a", "");
    assert_told(
        "[Zone]\nRegion = north\nZone = a\n",
        &placed,
        &[
            "client/sz/demo_cli.conf:3: [Zone] Zone: the zone is in another region in route/sz/demo_route.conf: expected one \
         region per zone",
        ],
    );
    let name = |number: u32| format!("zone{number}");
    let number_of = |name: &str| mcrpc_agent::route::NameId::of(name);
    let other = (1..).map(name).find(|other| number_of(other) == number_of("zone0")).unwrap();
    let told =
        format!("\"{other}\" and \"zone0\" have the same number, {}: rename one of them", number_of("zone0").get());
    for key in ["Region", "Zone", "Group"] {
        let route = two(&format!("{key} = zone0"), &format!("{key} = {other}\n[Server2]\nIP = ::1\nPort = 1"));
        assert_told(GOOD_CLIENT, &route, &[&format!("{ROUTE}:11: [Server1] {key}: {told}")]);
    }
    let route = two("Zone = zone0", "");
    let client = format!("[Zone]\nZone = {other}\n");
    assert_told(&client, &route, &[&format!("{CLIENT}:2: [Zone] Zone: {told}")]);
}
