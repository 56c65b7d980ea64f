//! Given a host with a proxy, when processes call through it by frames or by HTTP, then it calls for them as a client would.

mod support;

use std::io::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Failure, Server, Status};
use mcrpc_core::wire::metadata::{RejectState, Tag, Trace};
use mcrpc_core::wire::{Flags, Header, Kind};
use serde_json::json;
use support::{
    Answer, ECHO, FAIL, Played, World, answer, call, exchange, frame, read_frame, receive, request, send, until,
};

const PATH: &str = "/Echo/mcrpc.example.Echo/Echo";
const FAIL_PATH: &str = "/Echo/mcrpc.example.Echo/Fail";

/// A server that answers with what it is asked, or fails.
fn server() -> (Server, SocketAddr) {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .method(ECHO, |request| async move { Ok(request.into_payload()) })
        .method(FAIL, |_| async { Err::<Bytes, _>(Failure::of_service(7_001, "no such page")) })
        .start()
        .unwrap();
    let address = server.addresses()[0].to_string().parse().unwrap();
    (server, address)
}

/// A server that the test plays, and that answers with what it is asked.
fn echo() -> Played {
    Played::new(|request| answer(request, Status::OK, |_| (), &request.payload))
}

#[test]
fn a_call_is_answered_by_the_service_that_it_names_in_json_in_protobuf_and_in_frames() {
    let ((_server, address), other) = (server(), echo());
    let world = World::new(&[("Echo", &[address]), ("VOA.Other", &[other.address])]);
    let message = json!({ "text": "hello", "number": "-7", "more": [{ "text": "again" }] });
    assert_eq!(world.post(PATH, &[("content-type", "application/json")], message.to_string()), (200, message));
    assert_eq!(world.post(PATH, &[], ""), (200, json!({})));
    assert!(other.received(Kind::Request).is_empty());

    let protobuf = [("content-type", "application/x-protobuf")];
    let reply = exchange(&mut world.http(), "/VOA.Other/mcrpc.example.Echo/Echo", &protobuf, b"\x0a\x02hi");
    assert_eq!(reply, (200, b"\x0a\x02hi".to_vec()));
    assert_eq!(other.received(Kind::Request).len(), 1);

    let reply = call(&mut world.native(), &request(ECHO, 5), b"as it is");
    assert_eq!((reply.header.call_id, reply.header.status, &reply.payload[..]), (5, Status::OK, &b"as it is"[..]));
    let reply = call(&mut world.native(), &request(FAIL, 6), b"");
    assert_eq!((reply.header.status, reply.metadata().error_text()), (Status(7_001), "no such page"));
}

#[test]
fn a_failure_says_its_status_its_name_and_why() {
    let (_server, address) = server();
    let world = World::new(&[("Echo", &[address]), ("Gone", &[])]);
    let (code, body) = world.post(FAIL_PATH, &[], "{}");
    assert_eq!(code, 500);
    assert_eq!(body, json!({ "status": 7_001, "name": "own", "text": "no such page", "retry_after_ms": null }));
    for (path, code, name, part) in [
        ("/Nobody/mcrpc.example.Echo/Echo", 404, "no_service", "knows no service \"Nobody\""),
        ("/Gone/mcrpc.example.Echo/Echo", 503, "no_endpoint", "no call to Gone"),
        ("/Echo/mcrpc.example.Echo/Shout", 404, "no_method", "no mcrpc.example.Echo.Shout in the .proto files"),
        ("/Echo/mcrpc.example.Echo.Echo", 404, "no_method", "/SERVICE/pkg.Service/Method"),
    ] {
        let (found, body) = world.post(path, &[], "{}");
        assert_eq!((found, body["name"].as_str()), (code, Some(name)), "{body}");
        assert!(body["text"].as_str().unwrap().contains(part), "{body}");
    }
    let protobuf = [("content-type", "application/x-protobuf")];
    let (code, body) = world.post("/Echo/mcrpc.example.Echo/Shout", &protobuf, "");
    assert_eq!((code, body["name"].as_str()), (404, Some("no_method")));
    let (code, body) = world.post(PATH, &[("content-type", "text/plain")], "{}");
    assert!(code == 415 && body["text"].as_str().unwrap().contains("application/json"), "{body}");
    let (code, body) = world.post(PATH, &[("mcrpc-priority", "high")], "{}");
    assert!(code == 400 && body["text"].as_str().unwrap().contains("mcrpc-priority is \"high\""), "{body}");

    let mut native = world.native();
    native.write_all(&frame(&request(ECHO, 1), |_| (), b"")).unwrap();
    let reply = read_frame(&mut native).unwrap();
    assert_eq!(reply.header.status, Status::INVALID_ARGUMENT);
    assert!(reply.metadata().error_text().contains("tag 0x02"));
}

#[test]
fn json_that_is_no_message_is_refused_with_the_field_and_the_place() {
    let server = echo();
    let world = World::new(&[("Echo", &[server.address])]);
    for (json, parts) in [
        (r#"{"text": 5}"#, &["mcrpc.example.Text", "field text", "line 1"][..]),
        (r#"{"more": [{"text": "a"}, {"number": "x"}]}"#, &["field more[1].number"]),
        (r#"{"txt": "a"}"#, &["unrecognized field name 'txt'", "line 1"]),
        (r#"{"more": [{"txt": "a"}]}"#, &["field more[0]", "unrecognized field name 'txt'"]),
        ("{\"text\": \"a\",\n", &["line 2"]),
        (r#"{"text": "a"} {}"#, &["more than one mcrpc.example.Text"]),
        ("[]", &["mcrpc.example.Text"]),
        ("hello", &["line 1"]),
    ] {
        let (code, body) = world.post(PATH, &[], json);
        assert_eq!((code, body["name"].as_str()), (400, Some("invalid_argument")), "{json}: {body}");
        let text = body["text"].as_str().unwrap();
        assert!(parts.iter().all(|part| text.contains(part)), "{json}: {text}");
    }
    assert!(server.received(Kind::Request).is_empty());
}

#[test]
fn what_a_request_brings_goes_onward_and_its_deadline_comes_nearer() {
    let server = echo();
    let world = World::new(&[("Echo", &[server.address])]);
    let (onward, own) = (Tag(Tag::APPLICATION_ONWARD.0 + 3), Tag(Tag::APPLICATION.0 + 3));
    let (unknown, trace) = (Tag(0x3E), Trace { trace_id: [7; 16], span_id: [8; 8], flags: 0 });
    let header = Header {
        uin: 42,
        priority: 3,
        business_id: 9,
        flags: Flags(Flags::SAMPLED | Flags::CONTINUES_TASK).with_attempt(2),
        ..request(ECHO, 1)
    };
    let mut caller = world.native();
    let bytes = frame(
        &header,
        |writer| {
            writer.service("Echo").caller("feed").trace(&trace).ticket(b"ticket").cookie(b"cookie");
            writer.call_graph_id(5).tag(onward, b"on").tag(own, b"own").tag(unknown, b"new");
        },
        b"x",
    );
    caller.write_all(&bytes).unwrap();
    assert_eq!(read_frame(&mut caller).unwrap().header.status, Status::OK);
    let seen = &server.received(Kind::Request)[0];
    let (head, said) = (&seen.header, seen.metadata());
    assert_eq!((head.uin, head.priority, head.business_id, head.method_id), (42, 3, 9, header.method_id));
    assert!(head.flags.contains(Flags::SAMPLED | Flags::CONTINUES_TASK) && head.flags.attempt() == 2);
    assert!((4_000..=5_000).contains(&head.budget_ms), "{}", head.budget_ms);
    assert_eq!((said.caller(), said.service(), said.call_graph_id()), ("feed", "", 5));
    assert_eq!((said.ticket(), said.cookie(), said.origin_budget_ms()), (&b"ticket"[..], &b"cookie"[..], 5_000));
    assert_eq!(said.trace().trace_id, trace.trace_id);
    assert!(said.trace().span_id != trace.span_id, "the proxy has a span of its own");
    for (tag, value) in [(onward, &b"on"[..]), (own, b"own"), (unknown, b"new")] {
        assert_eq!(said.iter().filter(|&found| found == (tag, value)).count(), 1, "{tag:?}");
    }

    let headers = [
        ("mcrpc-uin", "42"),
        ("mcrpc-priority", "3"),
        ("mc-business-id", "9"),
        ("mcrpc-caller", "feed"),
        ("mcrpc-timeout-ms", "3000"),
        ("traceparent", "00-07070707070707070707070707070707-0808080808080808-01"),
    ];
    assert_eq!(world.post(PATH, &headers, "{}").0, 200);
    let seen = &server.received(Kind::Request)[1];
    let (head, said) = (&seen.header, seen.metadata());
    assert_eq!((head.uin, head.priority, head.business_id, head.method_id), (42, 3, 9, header.method_id));
    assert!(head.flags.contains(Flags::SAMPLED) && (2_000..=3_000).contains(&head.budget_ms), "{}", head.budget_ms);
    assert_eq!((said.caller(), said.trace().trace_id), ("feed", trace.trace_id));
}

#[test]
fn a_call_ends_when_its_time_is_over() {
    let server = Played::new(|_| Answer::Nothing);
    let world = World::new(&[("Echo", &[server.address])]);
    let (code, body) = world.post(FAIL_PATH, &[("mcrpc-timeout-ms", "50")], "{}");
    assert_eq!((code, body["name"].as_str()), (504, Some("timed_out")), "{body}");
    let reply = call(&mut world.native(), &Header { budget_ms: 50, ..request(FAIL, 1) }, b"");
    assert_eq!(reply.header.status, Status::TIMED_OUT);
    assert_eq!(server.received(Kind::Request).len(), 2, "nobody tries again who does not wait any more");
}

#[test]
fn what_may_have_been_run_is_tried_elsewhere_only_if_it_may_run_twice() {
    let (dying, well) = (Played::new(|_| Answer::Close), echo());
    let world = World::new(&[("Echo", &[dying.address, well.address])]);
    let mut has_failed = 0;
    // Users of both.
    for uin in 1..=64 {
        let header = Header { uin, ..request(FAIL, 1) };
        let status = call(&mut world.native(), &header, b"").header.status;
        has_failed += u32::from(status == Status::READ_FAILED);
        assert!([Status::OK, Status::READ_FAILED].contains(&status), "{status}");
    }
    let asked = dying.received(Kind::Request).len();
    assert!(has_failed > 0 && asked == has_failed as usize, "{has_failed} calls failed, {asked} were asked");
    // The file says that this one may.
    for uin in 1..=8 {
        let header = Header { uin, ..request(ECHO, 1) };
        assert_eq!(call(&mut world.native(), &header, b"").header.status, Status::OK);
        let uin = uin.to_string();
        assert_eq!(world.post(PATH, &[("mcrpc-uin", uin.as_str())], "{}").0, 200);
    }
}

#[test]
fn what_a_server_refuses_the_proxy_refuses_for_all_processes_and_says_for_how_long() {
    let server = Played::new(|request| {
        let header =
            Header { status: Status::BELOW_CURSOR, cursor: 0, ..Header::new(Kind::Response, request.header.call_id) };
        let say = |writer: &mut mcrpc_core::wire::Writer<'_>| {
            writer.reject_state(RejectState { hold_ms: 60_000, share_per_10k: 10_000 }).error_text("too much");
        };
        Answer::Frame(frame(&header, say, b""))
    });
    let world = World::new(&[("Echo", &[server.address])]);
    let reply = call(&mut world.native(), &request(ECHO, 1), b"");
    assert_eq!((reply.header.status, reply.header.cursor), (Status::BELOW_CURSOR, 0));
    assert_eq!((reply.metadata().reject_state().hold_ms, reply.metadata().error_text()), (60_000, "too much"));
    // Other processes, by either way: nothing is sent.
    let reply = call(&mut world.native(), &request(ECHO, 1), b"");
    assert_eq!(reply.header.status, Status::WITHHELD);
    let (code, body) = world.post(PATH, &[], "{}");
    assert_eq!((code, body["name"].as_str(), body["retry_after_ms"].as_u64()), (429, Some("withheld"), Some(300)));
    assert_eq!(server.received(Kind::Request).len(), 1);
    // Nothing of this concerns another service.
    let (_server, address) = self::server();
    world.name("Other", &[address]);
    assert_eq!(world.post("/Other/mcrpc.example.Echo/Echo", &[], "{}").0, 200);

    let refused = World::new(&[("Echo", &[server.address])]).post(PATH, &[], "{}").1;
    assert_eq!((refused["status"].as_i64(), refused["retry_after_ms"].as_u64()), (Some(-217), Some(60_000)));
}

#[test]
fn a_service_that_goes_away_takes_no_other_along() {
    let going = Played::new(|request| answer(request, Status::GOING_AWAY, |_| (), b""));
    let (_server, address) = server();
    let world = World::new(&[("Going", &[going.address]), ("Echo", &[address])]);
    let (code, body) = world.post("/Going/mcrpc.example.Echo/Echo", &[], "{}");
    assert_eq!((code, body["name"].as_str()), (503, Some("going_away")));
    assert_eq!(world.post(PATH, &[], "{}").0, 200);
}

#[test]
fn a_caller_that_goes_takes_its_call_along() {
    let server = Played::new(|_| Answer::Nothing);
    let world = World::new(&[("Echo", &[server.address])]);
    let mut caller = world.http();
    send(&mut caller, FAIL_PATH, &[("mcrpc-timeout-ms", "60000")], b"{}");
    until("the server has it", || server.received(Kind::Request).len() == 1);
    drop(caller);
    until("the server is told", || server.received(Kind::Cancel).len() == 1);

    let mut caller = world.native();
    caller.write_all(&frame(&request(FAIL, 3), |writer| _ = writer.service("Echo"), b"")).unwrap();
    until("the server has it", || server.received(Kind::Request).len() == 2);
    caller.write_all(&Header::new(Kind::Cancel, 3).emit()).unwrap();
    until("the server is told", || server.received(Kind::Cancel).len() == 2);
}

#[test]
fn a_service_that_was_down_is_called_as_soon_as_it_is_back_however_often_it_was_asked_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let world = World::new(&[("Echo", &[address])]);
    for _ in 0..100 {
        assert_eq!(world.post(PATH, &[], "{}").0, 503);
    }
    let _server = Server::builder()
        .listen(address.to_string())
        .method(ECHO, |request| async move { Ok(request.into_payload()) })
        .start()
        .unwrap();
    until("it is called", || world.post(PATH, &[], "{}").0 == 200);
}

#[test]
fn large_messages_pass_and_larger_ones_are_refused_before_they_come() {
    let (_server, address) = server();
    let world = World::new(&[("Echo", &[address])]);
    let text = "x".repeat(8 << 20);
    let (code, body) = world.post(PATH, &[("mcrpc-timeout-ms", "20000")], json!({ "text": text }).to_string());
    assert!(code == 200 && body["text"].as_str() == Some(&text));
    let header = Header { budget_ms: 20_000, ..request(ECHO, 1) };
    assert!(call(&mut world.native(), &header, text.as_bytes()).payload == text.as_bytes());
    let mut caller = world.http();
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: proxy\r\ncontent-length: {}\r\n\r\n", 65 << 20);
    caller.write_all(head.as_bytes()).unwrap();
    assert_eq!(receive(&mut caller).0, 413);
}

#[test]
fn a_proxy_that_ends_answers_what_it_has_taken_and_leaves_no_sockets() {
    let slow = || {
        Played::new(|request| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            answer(request, Status::OK, |_| (), b"")
        })
    };
    let [first, second] = [slow(), slow()];
    let mut world = World::new(&[("Echo", &[first.address]), ("Other", &[second.address])]);
    let (mut http, mut native) = (world.http(), world.native());
    native.write_all(&frame(&request(ECHO, 1), |writer| _ = writer.service("Echo"), b"")).unwrap();
    send(&mut http, "/Other/mcrpc.example.Echo/Echo", &[], b"{}");
    until("both are called", || [&first, &second].iter().all(|server| server.received(Kind::Request).len() == 1));
    world.proxy.take().unwrap().drain();
    assert_eq!(receive(&mut http).0, 200);
    let told = std::iter::from_fn(|| read_frame(&mut native)).find(|frame| frame.header.kind == Kind::Response);
    assert_eq!(told.unwrap().header.status, Status::OK);
    assert!(!world.dir().join("proxy.sock").exists() && !world.dir().join("proxy-http.sock").exists());
}
