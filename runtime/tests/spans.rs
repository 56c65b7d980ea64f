//! The spans and the log of requests, to somebody who subscribes.

mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Client, Context, Request, Server};
use mcrpc_core::wire::{Flags, Header, Trace, Writer};
use support::{Caller, request};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context as Layered, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

type Fields = BTreeMap<String, String>;

/// What was seen: name, parent's name, fields.
static SEEN: Mutex<Vec<(String, Option<String>, Fields)>> = Mutex::new(Vec::new());

struct Watch;

#[derive(Default)]
struct Collect(Fields);

impl Visit for Collect {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Watch {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, layered: Layered<'_, S>) {
        let mut fields = Collect::default();
        attributes.record(&mut fields);
        layered.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, layered: Layered<'_, S>) {
        let span = layered.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Collect>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, layered: Layered<'_, S>) {
        let target = event.metadata().target();
        if target.starts_with("mcrpc") || target == module_path!() {
            let mut fields = Collect::default();
            event.record(&mut fields);
            let within = layered.event_span(event).map(|span| span.name().to_owned());
            SEEN.lock().unwrap().push((format!("event {target}"), within, fields.0));
        }
    }

    fn on_close(&self, id: Id, layered: Layered<'_, S>) {
        let span = layered.span(&id).unwrap();
        let mut extensions = span.extensions_mut();
        let fields = std::mem::take(&mut extensions.get_mut::<Collect>().unwrap().0);
        let parent = span.parent().map(|parent| parent.name().to_owned());
        SEEN.lock().unwrap().push((span.name().to_owned(), parent, fields));
    }
}

fn subscribe() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Watch)).unwrap();
    });
}

/// What was seen of a method.
fn seen(what: &str, method: &str) -> Vec<(Option<String>, Fields)> {
    let seen = SEEN.lock().unwrap();
    let is_it = |(name, _, fields): &&(String, _, Fields)| {
        name == what && fields.get("rpc.method").is_some_and(|of| of == method)
    };
    seen.iter().filter(is_it).map(|(_, parent, fields)| (parent.clone(), fields.clone())).collect()
}

/// A request with metadata.
fn send(caller: &mut Caller, header: &Header, write: impl FnOnce(&mut Writer<'_>)) {
    let mut head = [0; 256];
    let mut writer = Writer::new(&mut head);
    write(&mut writer);
    let len = writer.finish(header, 0).unwrap();
    caller.send(&head[..len]);
}

fn text(context: &Context) -> String {
    context.trace_id().map_or_else(|| "-".to_owned(), |id| format!("{:032x}", u128::from_be_bytes(id)))
}

#[test]
fn a_request_and_its_calls_are_spans_of_one_trace_across_processes() {
    subscribe();
    let back = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .method("trace.Back.Do", |request: Request| async move { Ok(Bytes::from(text(request.context()))) })
        .start()
        .unwrap();
    let client = Client::builder("front").service("Back", [back.addresses()[0].to_string()]).build().unwrap();
    let front = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .method("trace.Front.Do", move |_: Request| {
            let client = client.clone();
            async move {
                tracing::info!(answer = 42, "in the handler");
                client.call("Back", "trace.Back.Do", "").await
            }
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&front);
    let trace = Trace { trace_id: [0xAB; 16], span_id: [1; 8], flags: 0 };
    let mut header = request("trace.Front.Do", 1);
    header.uin = 2_709_160_720;
    send(&mut caller, &header, |writer| _ = writer.trace(&trace).caller("mmproxy"));
    let id = "ab".repeat(16);
    assert_eq!(caller.answer().payload, id.as_bytes());
    let ended = ["trace.Front.Do", "trace.Back.Do"].map(|method| seen("request", method).len());
    assert_eq!(ended, [1, 1], "a span ends with its request, and not with the next one or with the server");
    front.drain();
    back.drain();

    let of = |what, method| seen(what, method).pop().unwrap_or_else(|| panic!("no {what} of {method}"));
    let (parent, fields) = of("request", "trace.Front.Do");
    assert_eq!((parent, fields["caller"].as_str(), fields["status"].as_str()), (None, "mmproxy", "ok"));
    assert_eq!(fields["trace_id"], id);
    let (parent, fields) = of("call", "trace.Back.Do");
    assert_eq!((parent.as_deref(), fields["peer.service"].as_str()), (Some("request"), "Back"));
    assert_eq!((fields["attempts"].as_str(), fields["status"].as_str()), ("1", "ok"));
    let (_, fields) = of("request", "trace.Back.Do");
    assert_eq!((fields["caller"].as_str(), fields["trace_id"].as_str()), ("front", id.as_str()));
    let seen = SEEN.lock().unwrap();
    let event = seen.iter().find(|(_, _, fields)| fields.get("answer").is_some_and(|answer| answer == "42")).unwrap();
    assert_eq!(event.1.as_deref(), Some("request"), "what a handler logs stands in its span");
    assert!(!seen.iter().any(|(_, _, fields)| fields.values().any(|value| value.contains("2709160720"))));
}

#[test]
fn a_request_that_is_to_be_recorded_and_has_no_trace_begins_one() {
    subscribe();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .method("begin.T.Async", |request: Request| async move { Ok(Bytes::from(text(request.context()))) })
        .inline_method("begin.T.Inline", |request, reply| {
            assert_eq!(request.context().trace_id(), request.context().trace_id());
            reply.extend_from_slice(text(&request.context()).as_bytes());
            Ok(())
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    let mut ids = Vec::new();
    for (call_id, method) in (1..).zip(["begin.T.Async", "begin.T.Inline", "begin.T.Inline"]) {
        let mut header = request(method, call_id);
        header.flags = Flags(Flags::SAMPLED);
        send(&mut caller, &header, |writer| _ = writer.cookie(b"kept"));
        ids.push(String::from_utf8(caller.answer().payload).unwrap());
        header.flags = Flags(0);
        send(&mut caller, &header, |_| ());
        assert_eq!(caller.answer().payload, b"-", "{method}: a request that is not to be recorded has none");
    }
    server.drain();
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    let spans = ["begin.T.Async", "begin.T.Inline"].map(|method| seen("request", method));
    let recorded: Vec<&String> = spans.iter().flatten().map(|(_, fields)| &fields["trace_id"]).collect();
    assert!(ids.iter().all(|id| recorded.contains(&id)), "{ids:?} {recorded:?}");
    let traced = Context::new().traced();
    assert_eq!(traced.trace_id(), traced.clone().traced().trace_id());
    assert!(traced.trace_id().is_some());
}

#[test]
fn some_requests_are_logged_with_who_called_and_how_long_it_took() {
    subscribe();
    let server = |one_in| {
        Server::builder()
            .listen("127.0.0.1:0")
            .config(Config { workers: 1, blocking_workers: 1, ..Config::default() })
            .method(if one_in == 0 { "none.T.Async" } else { "log.T.Async" }, |request: Request| async move {
                Ok(request.into_payload())
            })
            .inline_method("log.T.Inline", |_, _| Err(mcrpc::Failure::of_service(77, "as told")))
            .blocking_method("log.T.Block", |_| Ok(Bytes::new()))
            .log_one_in(one_in)
            .start()
            .unwrap()
    };
    let (all, none) = (server(1), server(0));
    let mut caller = Caller::of(&all);
    let trace = Trace { trace_id: [7; 16], span_id: [1; 8], flags: 0 };
    for (call_id, method) in (1..).zip(["log.T.Async", "log.T.Inline", "log.T.Block"]) {
        send(&mut caller, &request(method, call_id), |writer| _ = writer.trace(&trace).caller("mmproxy"));
        caller.answer();
    }
    let mut late = request("log.T.Block", 9);
    late.budget_ms = 0;
    caller.call(&late, b"");
    caller.answer();
    let mut caller = Caller::of(&none);
    caller.call(&request("none.T.Async", 1), b"");
    caller.answer();
    all.drain();
    none.drain();
    let line =
        |method: &str| seen("event mcrpc::log", method).into_iter().map(|(_, fields)| fields).collect::<Vec<_>>();
    for (method, statuses) in
        [("log.T.Async", &["ok"][..]), ("log.T.Inline", &["own"]), ("log.T.Block", &["ok", "expired_on_arrival"])]
    {
        let lines = line(method);
        assert!(lines.iter().map(|fields| &fields["status"]).eq(statuses), "{method}: {lines:?}");
        assert_eq!((lines[0]["caller"].as_str(), lines[0]["trace_id"].as_str()), ("mmproxy", &*"07".repeat(16)));
        assert!(
            lines[0]["wait_ms"].parse::<f64>().unwrap() >= 0.0 && lines[0]["service_ms"].parse::<f64>().unwrap() > 0.0
        );
    }
    assert_eq!(line("log.T.Inline")[0]["code"], "77");
    assert_eq!(line("none.T.Async"), []);
}
