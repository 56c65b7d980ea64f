//! Generated services and clients over real connections.

#[path = "../../../runtime/tests/support/mod.rs"]
mod support;

use bytes::Bytes;
use mcrpc::{Client, Request, Server, Status};
use mcrpc_build_sample::common::Page;
use mcrpc_build_sample::crawl::get_list_reply::Entry;
use mcrpc_build_sample::crawl::{AdminClient, CrawlServiceClient, GetListReply, GetListRequest, METHODS, Score};
use mcrpc_build_sample::service::server;
use mcrpc_build_sample::{bare, odd};
use mcrpc_core::wire::header::method_id;
use prost::Message as _;
use support::{Caller, PATIENCE, request};

fn client(server: &Server) -> Client {
    let servers = [server.addresses()[0].to_string()];
    let client = Client::builder("sample").default_timeout(PATIENCE);
    client.service("VOA.Crawl", servers.clone()).service("VOA.Admin", servers).build().unwrap()
}

fn entry(url: &str, body: &'static str) -> Entry {
    Entry { url: url.into(), body: Bytes::from(body) }
}

#[test]
fn a_raw_frame_is_answered_with_protobuf() {
    let server = server();
    let mut caller = Caller::of(&server);
    let asked = GetListRequest { user: 5, page: Some(Page { first: 0, count: 2 }) };
    caller.call(&request("crawl.CrawlService.GetList", 1), &asked.encode_to_vec());
    let answer = caller.answer();
    assert_eq!(answer.status(), Status::OK);
    let reply = GetListReply::decode(&*answer.payload).unwrap();
    assert_eq!(reply.entries.len(), 2);
    assert_eq!(reply.entries[0].url, "user 5, priority 0, business 0");
}

#[test]
fn each_kind_of_method_is_called_in_each_way() {
    let server = server();
    let crawl = CrawlServiceClient::from(client(&server));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    assert_eq!(crawl.put_entry(&entry("a", "")).wait(), Ok(()));
    assert_eq!(crawl.rate(&entry("a", "four!")).uin(40).start().join(), Ok(Score { value: 42.5 }));
    let list =
        runtime.block_on(async { crawl.get_list(&GetListRequest { user: 1, page: None }).timeout(PATIENCE).await });
    assert_eq!(list, Ok(GetListReply::default()));
    assert_eq!(AdminClient::new(client(&server), "VOA.Admin").new_(&()).wait(), Ok(()));
}

#[test]
fn annotations_are_the_calls_presets_and_a_call_may_say_otherwise() {
    let server = server();
    let crawl = CrawlServiceClient::from(client(&server));
    let asked = GetListRequest { user: 1, page: Some(Page { first: 0, count: 1 }) };
    let left_ms = |entry: &Entry| str::from_utf8(&entry.body).unwrap().parse::<u128>().unwrap();

    let reply = crawl.get_list(&asked).timeout(PATIENCE).wait().unwrap();
    assert_eq!(reply.entries[0].url, "user 1, priority 2, business 7");
    assert!((200..=PATIENCE.as_millis()).contains(&left_ms(&reply.entries[0])));

    let reply = crawl.get_list(&asked).timeout(PATIENCE).priority(9).business_id(3).wait().unwrap();
    assert_eq!(reply.entries[0].url, "user 1, priority 9, business 3");

    // On a busy machine it may be too late: then the timeout was the annotation's all the more.
    match crawl.get_list(&asked).wait() {
        Ok(reply) => assert!(left_ms(&reply.entries[0]) <= 200),
        Err(failure) => assert_ne!(failure.status().class(), mcrpc_core::status::Class::Usage, "{failure}"),
    }
}

#[test]
fn a_services_own_failure_comes_through_with_code_and_text() {
    let server = server();
    let crawl = CrawlServiceClient::from(client(&server));
    let failure = crawl.put_entry(&entry("", "")).wait().unwrap_err();
    assert_eq!((failure.status().0, failure.text()), (7_001, "an entry needs a url"));
    let failure = crawl.delete(&GetListRequest::default()).wait().unwrap_err();
    assert_eq!((failure.status().0, failure.text()), (7_002, "nothing is ever deleted"));
}

#[test]
fn a_request_that_does_not_parse_is_an_invalid_argument_that_names_the_method() {
    let server = server();
    let mut caller = Caller::of(&server);
    for (call_id, method) in (1..).zip(["GetList", "PutEntry", "Rate"]) {
        let full_name = format!("crawl.CrawlService.{method}");
        caller.call(&request(&full_name, call_id), b"\xff\xff\xff");
        let answer = caller.answer();
        assert_eq!(answer.status(), Status::INVALID_ARGUMENT, "{method}");
        assert!(answer.text.starts_with(&format!("{full_name}: ")), "{}", answer.text);
    }
}

#[test]
fn a_reply_that_does_not_parse_could_not_be_read() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .method("crawl.CrawlService.Rate", |_: Request| async { Ok(Bytes::from_static(b"\xff\xff\xff")) })
        .start()
        .unwrap();
    let failure = CrawlServiceClient::from(client(&server)).rate(&entry("a", "b")).wait().unwrap_err();
    assert_eq!(failure.status(), Status::READ_FAILED);
    assert!(failure.text().starts_with("crawl.CrawlService.Rate: "), "{failure}");
}

#[test]
fn the_table_has_all_methods_of_the_package_by_the_ids_of_the_wire() {
    assert_eq!(METHODS.len(), 5);
    for (name, id) in [METHODS, odd::METHODS, bare::METHODS].concat() {
        assert_eq!(method_id(name.as_bytes()), id, "{name}");
    }
    assert_eq!(bare::METHODS[0].0, "Bare.Answer");
}
