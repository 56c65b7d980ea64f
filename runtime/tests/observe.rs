//! What a server and a client show of themselves.

#[path = "support/openmetrics.rs"]
mod openmetrics;
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::{Builder, Config};
use mcrpc::{Address, Client, Failure, Request, Server, Status};
use mcrpc_core::wire::{Header, Hello, Kind, Writer};
use openmetrics::Exposition;
use support::{Caller, request};

fn builder() -> Builder {
    Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, blocking_workers: 1, ..Config::default() })
        .method("echo.Echo.Say", |request: Request| async move { Ok(request.into_payload()) })
        .method("echo.Echo.Wait", |request: Request| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(request.into_payload())
        })
        .method("echo.Echo.Fail", |_| async { Err(Failure::of_service(77, "as told")) })
        .inline_method("echo.Echo.Inline", |request, reply| {
            reply.extend_from_slice(request.payload());
            Ok(())
        })
        .blocking_method("echo.Echo.Block", |request| Ok(request.into_payload()))
}

const METHODS: [&str; 5] = ["Say", "Wait", "Fail", "Inline", "Block"];

fn named(server: &Server, name: &str) -> Caller {
    let mut caller = Caller::of(server);
    let mut head = [0; 512];
    let mut writer = Writer::new(&mut head);
    Hello::from_caller(name).write(&mut writer);
    let len = writer.finish(&Header::new(Kind::Hello, 0), 0).unwrap();
    caller.send(&head[..len]);
    caller
}

fn call(caller: &mut Caller, method: &str, uin: u64) -> Status {
    let mut header = request(&format!("echo.Echo.{method}"), 1);
    header.uin = uin;
    caller.call(&header, b"x");
    caller.answer().status()
}

/// The head and the body of a page.
fn get(server: &Server, path: &str, accept: &str) -> (String, String) {
    let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn scrape(server: &Server) -> Exposition {
    let (head, body) = get(server, "/metrics", "*/*");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{head}");
    Exposition::parse(&body)
}

/// The metrics once a counter stands there: the last answer is counted as written after it was.
fn scrape_when(server: &Server, series: &str, wanted: f64) -> Exposition {
    let began = Instant::now();
    loop {
        let all = scrape(server);
        if all.value(series) == wanted {
            return all;
        }
        assert!(began.elapsed() < support::PATIENCE, "{series} is {}, not {wanted}", all.value(series));
        std::thread::yield_now();
    }
}

fn address(server: &Server) -> String {
    server.addresses()[0].to_string()
}

/// A client of one server that works and one that does not.
fn client(server: &Server, nobody: &support::Reserved) -> Client {
    Client::builder("test")
        .service("Echo", [address(server)])
        .service("Gone", [nobody.address()])
        .default_timeout(support::PATIENCE)
        .build()
        .unwrap()
}

#[test]
fn each_request_is_counted_by_method_caller_and_code() {
    let server = builder().start().unwrap();
    let mut proxy = named(&server, "mmproxy");
    let mut nameless = Caller::of(&server);
    for method in METHODS {
        for n in 0..3 {
            call(&mut proxy, method, 4_000_000 + n);
        }
        call(&mut nameless, method, 0);
    }
    assert_eq!(call(&mut nameless, "Sing", 0), Status::NO_METHOD);
    let mut late = request("echo.Echo.Say", 9);
    late.budget_ms = 0;
    proxy.call(&late, b"");
    assert_eq!(proxy.answer().status(), Status::EXPIRED_ON_ARRIVAL);

    let all = scrape(&server);
    for method in METHODS {
        let labels = format!("rpc_service=\"echo.Echo\",rpc_method=\"{method}\"");
        let code = if method == "Fail" { "own" } else { "ok" };
        let counts = ["mmproxy", ""].map(|caller| {
            all.value(&format!("rpc_server_requests_total{{{labels},caller=\"{caller}\",code=\"{code}\"}}"))
        });
        assert_eq!(counts, [3.0, 1.0], "{method}");
        scrape_when(&server, &format!("mcrpc_reply_write_seconds_count{{{labels}}}"), 4.0);
        for stage in ["rpc_server_duration", "mcrpc_queue_wait"] {
            assert_eq!(all.value(&format!("{stage}_seconds_count{{{labels}}}")), 4.0, "{stage} of {method}");
        }
        let value = |name: &str| all.value(&format!("{name}{{{labels}}}"));
        assert_eq!(value("mcrpc_handlers_running"), 0.0);
        let (busy, took) = (value("mcrpc_handler_busy_seconds_total"), value("rpc_server_duration_seconds_sum"));
        assert!(
            if method == "Wait" { busy < took / 2.0 && took >= 0.08 } else { busy > 0.0 },
            "{method}: {busy} {took}"
        );
    }
    assert_eq!(all.value("mcrpc_refused_total{pool=\"async\",reason=\"expired_on_arrival\"}"), 1.0);
    assert_eq!(all.value("mcrpc_unknown_method_total"), 1.0);
    assert_eq!(all.value("mcrpc_connections"), 3.0);
    assert_eq!(all.value("mcrpc_completed_total{pool=\"async\"}"), 12.0);
}

#[test]
fn a_handler_counts_as_running_while_it_runs_and_what_came_too_late_for_a_worker_never_does() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = builder()
        .blocking_method("t.T.Hold", move |_| {
            released.lock().unwrap().recv().unwrap();
            Ok(Bytes::new())
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    let labels = "rpc_service=\"t.T\",rpc_method=\"Hold\"";
    let running = format!("mcrpc_handlers_running{{{labels}}}");
    caller.call(&request("t.T.Hold", 1), b"");
    scrape_when(&server, &running, 1.0);
    let mut impatient = request("t.T.Hold", 2);
    impatient.budget_ms = 30;
    caller.call(&impatient, b"");
    let all = scrape_when(&server, "mcrpc_queued{pool=\"blocking\"}", 1.0);
    assert_eq!((all.value(&running), all.value("mcrpc_running{pool=\"blocking\"}")), (1.0, 1.0));
    let late = Instant::now() + Duration::from_millis(40);
    while Instant::now() < late {
        assert_eq!(scrape(&server).value(&running), 1.0);
    }
    release.send(()).unwrap();
    let mut statuses = [caller.answer(), caller.answer()].map(|answer| answer.status());
    statuses.sort_by_key(|status| status.0);
    assert_eq!(statuses, [Status::DEADLINE_IN_QUEUE, Status::OK]);
    let all = scrape_when(&server, &format!("mcrpc_reply_write_seconds_count{{{labels}}}"), 2.0);
    let ended = |code: &str| all.value(&format!("rpc_server_requests_total{{{labels},caller=\"\",code=\"{code}\"}}"));
    assert_eq!((ended("ok"), ended("deadline_in_queue"), all.value(&running)), (1.0, 1.0, 0.0));
    assert_eq!(all.value("mcrpc_refused_total{pool=\"blocking\",reason=\"deadline_in_queue\"}"), 1.0);
    assert!(all.value(&format!("mcrpc_queue_wait_seconds_sum{{{labels}}}")) >= 0.03);
}

#[test]
fn a_user_is_in_no_metric_and_no_page() {
    let server = builder().start().unwrap();
    let mut caller = named(&server, "mmproxy");
    METHODS.iter().for_each(|method| _ = call(&mut caller, method, 2_709_160_720));
    for page in ["/metrics", "/status", "/vars", "/connections", "/admission", "/sizing", "/shield", "/"] {
        assert!(!get(&server, page, "*/*").1.contains("2709160720"), "{page}");
    }
}

#[test]
fn callers_cannot_make_metrics_without_end_nor_break_them_by_their_names() {
    let server = builder().start().unwrap();
    for n in 0..70 {
        call(&mut named(&server, &format!("caller{n}")), "Inline", 0);
    }
    let all = scrape(&server);
    assert_eq!(all.series("rpc_server_requests_total").len(), 65);
    let of = |caller: &str| {
        all.value(&format!(
            "rpc_server_requests_total{{rpc_service=\"echo.Echo\",rpc_method=\"Inline\",caller=\"{caller}\",code=\"ok\"}}"
        ))
    };
    assert_eq!((of("caller0"), of("caller63"), of("other")), (1.0, 1.0, 6.0));

    let server = builder().start().unwrap();
    let hostile = "a\"b\\c{}=,<script>";
    call(&mut named(&server, hostile), "Inline", 0);
    let escaped = hostile.replace('\\', "\\\\").replace('"', "\\\"");
    assert!(scrape(&server).series("rpc_server_requests_total")[0].contains(&format!("caller=\"{escaped}\"")));
    assert!(!get(&server, "/connections", "text/html").1.contains("<script>"));
}

#[test]
fn a_client_counts_calls_attempts_and_decisions_and_a_server_shows_them() {
    let server = builder().start().unwrap();
    let nobody = support::Reserved::new();
    let client = client(&server, &nobody);
    let front = builder().show_client(&client).start().unwrap();
    for _ in 0..3 {
        client.call("Echo", "echo.Echo.Say", "x").wait().unwrap();
    }
    client.call("Echo", "echo.Echo.Fail", "x").wait().unwrap_err();
    client.call("Gone", "echo.Echo.Say", "x").wait().unwrap_err();
    for all in [Exposition::parse(&mcrpc::metrics::of_clients([&client])), scrape(&front)] {
        let of = |method: &str, rest: &str| {
            format!("{{peer_service=\"Echo\",rpc_service=\"echo.Echo\",rpc_method=\"{method}\"{rest}}}")
        };
        assert_eq!(all.value(&format!("rpc_client_requests_total{}", of("Say", ",code=\"ok\""))), 3.0);
        assert_eq!(all.value(&format!("rpc_client_requests_total{}", of("Fail", ",code=\"own\""))), 1.0);
        assert_eq!(all.value(&format!("rpc_client_duration_seconds_count{}", of("Say", ""))), 3.0);
        assert_eq!(all.value(&format!("mcrpc_client_attempts_total{}", of("Fail", ",outcome=\"logic\""))), 1.0);
        assert_eq!(all.value("mcrpc_client_endpoints{peer_service=\"Echo\",state=\"normal\"}"), 1.0);
        let failed = "rpc_client_requests_total{peer_service=\"Gone\",rpc_service=\"echo.Echo\",rpc_method=\"Say\",code=\"connect_failed\"}";
        assert_eq!(all.value(failed), 1.0);
        assert!(all.value("mcrpc_client_decisions_total{peer_service=\"Gone\",decision=\"no_endpoint\"}") >= 1.0);
    }
    let page = get(&front, "/shield", "*/*").1;
    let line = page.lines().find(|line| line.contains(&address(&server))).unwrap_or_else(|| panic!("{page}"));
    assert!(line.contains("normal") && line.contains("open"), "{line}");
    assert!(page.contains("decisions: no_endpoint"), "{page}");
}

#[test]
fn pages_are_text_for_curl_and_have_links_for_a_browser() {
    let server = builder().start().unwrap();
    let mut caller = named(&server, "mmproxy");
    for method in METHODS {
        call(&mut caller, method, 0);
    }
    let cases: [(&str, &[&str]); 8] = [
        ("/", &["/status ", "/sizing "]),
        (
            "/status",
            &["T1-T2 waited", "T2-T3 was handled", "T3-T4 reply was written", "p99.9", "echo.Echo.Block", "requests/s"],
        ),
        ("/sizing", &["cores", "coroutines", "Svrkit's rule"]),
        ("/admission", &["async: enforce", "cursor open"]),
        ("/connections", &["127.0.0.1:", "mmproxy", "mcrpc", "http"]),
        ("/shield", &["show_client()"]),
        (
            "/vars",
            &[
                "mcrpc_connections : 2\n",
                "mcrpc_handlers_running{rpc_service=echo.Echo,rpc_method=Say} : 0\n",
                "p999_ms",
            ],
        ),
        ("/health", &["ok\n"]),
    ];
    for (path, wanted) in cases {
        let (head, text) = get(&server, path, "*/*");
        assert!(head.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{head}");
        wanted.iter().for_each(|part| assert!(text.contains(part), "{part:?} in {path}: {text}"));
        let (head, html) = get(&server, path, "text/html,application/xhtml+xml,*/*;q=0.8");
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.contains("Content-Type: text/html; charset=utf-8\r\n"),
            "{head}"
        );
        assert!(html.contains("<pre>") && html.contains("<a href=\"/vars\">") == (path != "/vars"), "{html}");
    }
    // A machine that reads metrics gets them even if it says that it would read HTML.
    assert!(get(&server, "/metrics", "text/html").0.contains("openmetrics"));
}

#[test]
fn sizing_finds_how_many_handlers_wait_for_each_that_runs() {
    let server = builder()
        .method("t.T.Work", |_| async {
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(5));
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            Ok(Bytes::new())
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    caller.call(&request("t.T.Work", 1), b"");
    caller.answer();
    let stats = server.stats("t.T.Work").unwrap();
    let (took, ran) = (stats.service_time.sum(), stats.busy_time());
    assert!(ran >= Duration::from_millis(15) && took >= ran + Duration::from_millis(45), "{took:?} {ran:?}");
    let page = get(&server, "/sizing", "*/*").1;
    let wanted = (took.as_secs_f64() / ran.as_secs_f64()).ceil();
    assert!(page.contains(&format!("time that they run = {wanted} coroutines per worker")), "{took:?} {ran:?} {page}");
}

#[test]
fn the_table_of_the_documentation_is_what_is_exported() {
    let server = builder().start().unwrap();
    let front = builder().show_client(&client(&server, &support::Reserved::new())).start().unwrap();
    let exported: Vec<String> = scrape(&front)
        .families
        .into_iter()
        .map(|(name, kind, help)| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            format!("| `{name}{suffix}` | {kind} | {help} |")
        })
        .collect();
    let text = include_str!("../../docs/observability.md");
    // Name, kind, labels, help.
    let without_labels = |line: &str| match line.split('|').map(str::trim).collect::<Vec<_>>()[..] {
        [_, name, kind, _, help, _] => Some(format!("| {name} | {kind} | {help} |")),
        _ => None,
    };
    let rows = |line: &&str| line.starts_with("| `rpc_") || line.starts_with("| `mcrpc_");
    let documented: Vec<String> = text.lines().filter(rows).filter_map(without_labels).collect();
    assert_eq!(documented, exported, "docs/observability.md lists other metrics than a server exports");
}
