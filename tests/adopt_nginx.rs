//! The module of `c-examples/adopt/nginx` in Debian's nginx, in front of an upstream that can do less than it is asked for.

mod support;

#[path = "adopt_nginx/nginx.rs"]
mod nginx;
#[path = "adopt_nginx/upstream.rs"]
mod upstream;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nginx::{Client, Nginx, check_configuration};
use upstream::Upstream;

const SERVICE: Duration = Duration::from_millis(20);
const UPSTREAM_WORKERS: usize = 4;
const REASONS: [&str; 3] = ["below_cursor", "wait_above_soft_limit", "wait_above_hard_limit"];
const LOAD_S: u64 = 5;
/// What the upstream can answer in that time.
const CAPACITY: u32 = UPSTREAM_WORKERS as u32 * 50 * LOAD_S as u32;

/// Everything passes through admission, but the levels.
fn configuration(zone: &str) -> String {
    format!(
        "mcrpc_zone api 4m workers={UPSTREAM_WORKERS} hard_wait_limit_ms=200 {zone};
         server {{
             listen SOCKET;
             mcrpc api;
             mcrpc_priority $http_x_priority;
             mcrpc_user $http_x_user;
             mcrpc_refusal_code 429;
             location / {{ proxy_pass UPSTREAM/; add_header Mcrpc-Seen $mcrpc_status always; }}
             location /off/ {{ mcrpc off; proxy_pass UPSTREAM/; add_header Mcrpc-Seen $mcrpc_status always; }}
             location /levels {{ access_log off; return 200 \"$mcrpc_running $mcrpc_queued\\n\"; }}
             location /redirected/ {{ try_files /no/such/file @elsewhere; }}
             location @elsewhere {{ proxy_pass UPSTREAM; }}
             location /asked/ {{ auth_request /auth; proxy_pass UPSTREAM/; }}
             location /auth {{ internal; proxy_pass UPSTREAM/; }}
             location /explained/ {{ error_page 429 = @busy; proxy_pass UPSTREAM/; }}
             location @busy {{ return 200 \"busy\\n\"; }}
         }}"
    )
}

fn start(processes: usize, zone: &str) -> (Nginx, Upstream) {
    let directory = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&Nginx::upstream_socket(&directory), UPSTREAM_WORKERS, SERVICE);
    (Nginx::start(directory, processes, &configuration(zone)), upstream)
}

#[derive(Debug, Default)]
struct Counts {
    good: AtomicU32,
    refused: AtomicU32,
}

impl Counts {
    fn read(&self) -> (u32, u32) {
        (self.good.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}

/// Two clients of the first priority, which ask for about a quarter of the capacity, and many of another, which ask for several
/// times as much. The counts of the important ones, then of the others.
fn offer_too_much(nginx: &Nginx, path: &str) -> [Counts; 2] {
    let counts = <[Counts; 2]>::default();
    let end = Instant::now() + Duration::from_secs(LOAD_S);
    thread::scope(|scope| {
        for number in 0..32 {
            let (is_important, counts) = (number < 2, &counts[usize::from(number >= 2)]);
            let headers = format!("X-Priority: {}\r\nX-User: {number}\r\n", if is_important { 0 } else { 40 });
            scope.spawn(move || {
                let mut client = Client::new(nginx);
                while Instant::now() < end {
                    let answer = client.get(path, &headers).expect("nginx keeps the connection");
                    match answer.status {
                        200 => counts.good.fetch_add(1, Ordering::Relaxed),
                        429 => {
                            let reason = answer.header("Mcrpc-Status").expect("a refusal says why");
                            assert!(REASONS.contains(&reason), "{reason}");
                            assert_eq!(answer.header("Mcrpc-Seen"), Some(reason));
                            assert!(answer.header("Mcrpc-Cursor").unwrap().parse::<u32>().unwrap() <= 1 << 29);
                            counts.refused.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other}: {answer:?}"),
                    };
                    thread::sleep(SERVICE);
                }
            });
        }
    });
    nginx.wait_until("nothing runs any more", || nginx.levels() == (0, 0));
    counts
}

#[test]
fn given_too_much_when_it_enforces_then_the_less_important_are_refused_by_name() {
    for processes in [1, 2] {
        let (nginx, _upstream) = start(processes, "mode=enforce");
        let [important, others] = offer_too_much(&nginx, "/").map(|counts| counts.read());
        println!("{processes} processes: important {important:?}, others {others:?} (good, refused)");
        assert!(others.1 > CAPACITY / 4, "others {others:?}");
        assert!(important.1 * 5 <= important.0, "important {important:?}");
        assert!(important.0 + others.0 > CAPACITY / 3, "the upstream is kept busy");
        assert!(nginx.log("access.log").contains("/ 429 below_cursor"));
    }
}

#[test]
fn given_too_much_when_it_observes_or_is_off_then_nobody_is_refused() {
    let (nginx, _upstream) = start(1, "mode=observe");
    let [important, others] = offer_too_much(&nginx, "/").map(|counts| counts.read());
    assert_eq!((important.1, others.1), (0, 0), "observe");
    assert!(nginx.log("access.log").contains("/ 200 observed_"), "it says what it would do");

    assert_eq!(nginx.get("/off/", "").header("Mcrpc-Seen"), None);
    nginx.wait_until("a line in the log", || nginx.log("access.log").contains("/off/ 200 -"));

    let old = nginx.workers();
    nginx.reload(1, &configuration("mode=enforce"));
    nginx.wait_until("a new process", || nginx.workers().iter().all(|pid| !old.contains(pid)));
    offer_too_much(&nginx, "/explained/");
    let log = nginx.log("access.log");
    let is_refused = |reason: &&str| log.contains(&format!("/explained/ 200 {reason}"));
    assert!(REASONS.iter().any(is_refused), "a reload changes the mode, and an error page is no new request");
}

/// Sends requests that the upstream holds, and says what the zone counts of them.
fn held(nginx: &Nginx, upstream: &Upstream, paths: &[&str], meanwhile: impl FnOnce() + Send) -> Vec<Option<u16>> {
    upstream.hold(true);
    thread::scope(|scope| {
        let clients: Vec<_> = paths
            .iter()
            .map(|path| scope.spawn(move || Client::new(nginx).get(path, "").map(|answer| answer.status)))
            .collect();
        upstream.wait_for_arrivals(paths.len());
        meanwhile();
        upstream.hold(false);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn given_more_than_the_upstream_works_on_then_the_rest_counts_as_queued() {
    let (nginx, upstream) = start(1, "mode=enforce");
    let answers = held(&nginx, &upstream, &["/"; UPSTREAM_WORKERS + 3], || {
        assert_eq!(nginx.levels(), (UPSTREAM_WORKERS as u32, 3));
    });
    assert_eq!(answers, [Some(200); UPSTREAM_WORKERS + 3]);
    nginx.wait_until("all is done", || nginx.levels() == (0, 0));
}

#[test]
fn given_internal_redirects_and_subrequests_then_a_request_counts_once() {
    for path in ["/redirected/", "/asked/"] {
        let (nginx, upstream) = start(1, "mode=enforce");
        let answers = held(&nginx, &upstream, &[path], || assert_eq!(nginx.levels(), (1, 0), "{path}"));
        assert_eq!(answers, [Some(200)], "{path}");
        nginx.wait_until(path, || nginx.levels() == (0, 0));
    }
}

#[test]
fn given_requests_in_flight_when_it_reloads_then_they_are_answered_and_none_is_left_over() {
    let (nginx, upstream) = start(2, "mode=enforce");
    let old = nginx.workers();
    let answers = held(&nginx, &upstream, &["/"; 3], || {
        nginx.reload(2, &configuration("mode=enforce"));
        nginx.wait_until("new processes beside the old ones", || {
            nginx.workers().iter().filter(|pid| !old.contains(pid)).count() == 2
        });
        nginx.wait_until("old and new count in one zone", || {
            let (running, queued) = nginx.levels();
            running + queued == 3
        });
    });
    assert_eq!(answers, [Some(200); 3]);
    nginx.wait_until("old processes have ended", || nginx.workers().iter().all(|pid| !old.contains(pid)));
    nginx.wait_until("nothing is left over", || nginx.levels() == (0, 0));
}

#[test]
fn given_requests_in_flight_when_a_process_is_killed_then_they_are_forgotten() {
    let (nginx, upstream) = start(1, "mode=enforce");
    for round in 1..4 {
        let before = nginx.workers();
        upstream.hold(true);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert!(Client::new(&nginx).get("/", "").is_none(), "its process was killed"));
            }
            upstream.wait_for_arrivals(3 * round - 1);
            assert_eq!(nginx.levels(), (2, 0));
            nginx.signal(before[0], "KILL");
        });
        nginx.wait_until("nginx has started another process", || {
            nginx.workers().iter().any(|pid| !before.contains(pid))
        });
        nginx.wait_until("what ran is forgotten", || nginx.levels() == (0, 0));
        upstream.hold(false);
        assert_eq!(nginx.get("/", "").status, 200, "round {round}");
        upstream.wait_for_arrivals(3 * round);
    }
}

#[test]
fn given_a_wrong_configuration_then_nginx_says_what_is_wrong() {
    for (http, said) in [
        ("mcrpc_zone api 4m;", "needs a name, a size, workers="),
        ("mcrpc_zone api 4m workers=0;", "workers is a number above 0"),
        ("mcrpc_zone api 4m workers=4 mode=maybe;", "mode=off|observe|enforce"),
        ("mcrpc_zone api 4m workers=4 target_wait_ms=99999;", "a time is 1 to 60000"),
        ("mcrpc_zone api 4m workers=4 target_wait_ms=90;", "in the order"),
        ("mcrpc_zone api 64k workers=4;", "too small"),
        ("mcrpc_zone api 4m workers=4; mcrpc_zone api 4m workers=4;", "taken"),
        ("mcrpc api;", "no mcrpc_zone has made"),
        ("mcrpc_zone api 4m workers=4; mcrpc api; mcrpc off;", "duplicate"),
        ("mcrpc_refusal_code 200;", "must be"),
    ] {
        let text = check_configuration(http);
        assert!(text.contains(said), "{http}: {text}");
    }
}

#[test]
fn given_the_configuration_of_the_page_then_nginx_takes_it() {
    let page = std::fs::read_to_string(support::root().join("docs/adopt/nginx.md")).unwrap();
    let block = page.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    let text = check_configuration(&format!("mcrpc_host /run/mcrpc;\n{block}"));
    assert!(text.contains("test is successful"), "{text}");
}
