//! The runtime's spans in OpenTelemetry's traces: what is exported, and what goes over the wire.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Client, Context, Failure, Request, Server};
use mcrpc_core::wire::{Flags, Frame, Header, Kind, Limits, Trace, Writer};
use opentelemetry::trace::{SpanId, SpanKind, Status as OtelStatus, TraceId, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use support::{Caller, request};
use tracing_subscriber::layer::SubscriberExt as _;

fn exporter() -> &'static InMemorySpanExporter {
    static EXPORTER: OnceLock<InMemorySpanExporter> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        exporter
    })
}

/// The exported spans of a trace.
fn spans_of(trace_id: [u8; 16]) -> Vec<SpanData> {
    let all = exporter().get_finished_spans().unwrap();
    all.into_iter().filter(|span| span.span_context.trace_id() == TraceId::from_bytes(trace_id)).collect()
}

/// The one that has this name and kind.
fn span<'s>(spans: &'s [SpanData], name: &str, kind: &SpanKind) -> &'s SpanData {
    let mut found = spans.iter().filter(|span| span.name == name && span.span_kind == *kind);
    let span = found.next().unwrap_or_else(|| panic!("no {kind:?} {name} in {spans:#?}"));
    assert!(found.next().is_none(), "{name} is there twice");
    span
}

fn server() -> mcrpc::server::Builder {
    Server::builder().listen("127.0.0.1:0").config(Config { workers: 1, blocking_workers: 1, ..Config::default() })
}

/// A server that calls another one: asynchronously, on a blocking thread, and from a task of its own.
fn two_servers() -> [Server; 2] {
    let back = server()
        .method("otel.Back.Do", |_| async { Ok(Bytes::new()) })
        .inline_method("otel.Back.Fail", |_, _| Err(Failure::of_service(77, "as it was told")))
        .start()
        .unwrap();
    let client = Client::builder("front").service("Back", [back.addresses()[0].to_string()]).build().unwrap();
    let [one, two, three] = [0; 3].map(|_| client.clone());
    let front = server()
        .method("otel.Front.Async", move |_: Request| {
            let client = one.clone();
            async move { client.call("Back", "otel.Back.Do", "").await }
        })
        .blocking_method("otel.Front.Block", move |_| two.call("Back", "otel.Back.Do", "").wait())
        .method("otel.Front.Spawn", move |_: Request| {
            let client = three.clone();
            let call = Context::current().unwrap().scope(async move { client.call("Back", "otel.Back.Do", "").await });
            async move { tokio::spawn(call).await.unwrap() }
        })
        .method("otel.Front.Fail", move |_: Request| {
            let client = client.clone();
            async move { client.call("Back", "otel.Back.Fail", "").await }
        })
        .start()
        .unwrap();
    [front, back]
}

/// A request of a trace.
fn send(caller: &mut Caller, method: &str, flags: u8, trace: Option<Trace>) {
    let mut header = request(method, 1);
    header.flags = Flags(flags);
    let mut head = [0; 256];
    let mut writer = Writer::new(&mut head);
    trace.iter().for_each(|trace| _ = writer.trace(trace));
    let len = writer.finish(&header, 0).unwrap();
    caller.send(&head[..len]);
}

#[test]
fn two_hops_are_one_trace_in_which_each_span_has_its_caller_as_parent() {
    exporter();
    for (n, method) in (1..).zip(["otel.Front.Async", "otel.Front.Block", "otel.Front.Spawn"]) {
        let servers = two_servers();
        let trace = Trace { trace_id: [n; 16], span_id: [0xC0 + n; 8], flags: 0 };
        let mut caller = Caller::of(&servers[0]);
        send(&mut caller, method, Flags::SAMPLED, Some(trace));
        assert!(caller.answer().status().is_ok());
        servers.into_iter().for_each(Server::drain);
        let spans = spans_of(trace.trace_id);
        assert_eq!(spans.len(), 3, "{spans:#?}");
        let first = span(&spans, method, &SpanKind::Server);
        let call = span(&spans, "otel.Back.Do", &SpanKind::Client);
        let second = span(&spans, "otel.Back.Do", &SpanKind::Server);
        assert_eq!(first.parent_span_id, SpanId::from_bytes(trace.span_id));
        // A task of the handler's own that takes no span along is a sibling of its handler's.
        let within = if method == "otel.Front.Spawn" { first.parent_span_id } else { first.span_context.span_id() };
        assert_eq!(call.parent_span_id, within, "{method}");
        assert_eq!(second.parent_span_id, call.span_context.span_id());
        assert!(first.parent_span_is_remote && second.parent_span_is_remote);
        assert_eq!(first.status, OtelStatus::Ok);
    }
}

#[test]
fn a_failure_is_an_error_of_each_span_that_it_passes() {
    exporter();
    let servers = two_servers();
    let trace = Trace { trace_id: [0xF1; 16], span_id: [1; 8], flags: 0 };
    let mut caller = Caller::of(&servers[0]);
    send(&mut caller, "otel.Front.Fail", Flags::SAMPLED, Some(trace));
    assert_eq!(caller.answer().status(), mcrpc::Status(77));
    servers.into_iter().for_each(Server::drain);
    let spans = spans_of(trace.trace_id);
    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert!(spans.iter().all(|span| span.status == OtelStatus::error("own")), "{spans:#?}");
}

#[test]
fn a_trace_that_is_not_recorded_goes_on_and_nothing_of_it_is_exported() {
    exporter();
    let trace = Trace { trace_id: [0xD1; 16], span_id: [1; 8], flags: 0 };
    let (heard, address) = listen();
    let client = Client::builder("front").service("Heard", [address]).build().unwrap();
    let front = server()
        .method("otel.Front.Unsampled", move |_: Request| {
            let client = client.clone();
            async move { client.call("Heard", "otel.Heard.Do", "").await }
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&front);
    send(&mut caller, "otel.Front.Unsampled", 0, Some(trace));
    let (header, told) = heard.join().unwrap();
    assert!(caller.answer().status().is_ok());
    front.drain();
    assert_eq!(told.trace_id, trace.trace_id);
    assert!(!header.flags.contains(Flags::SAMPLED));
    assert!(spans_of(trace.trace_id).is_empty());
}

#[test]
fn a_request_that_begins_a_trace_is_exported_under_the_id_that_its_handler_sees() {
    exporter();
    let server = server()
        .method("otel.Begin.Do", |request: Request| async move {
            Ok(Bytes::copy_from_slice(&request.context().trace_id().unwrap()))
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    send(&mut caller, "otel.Begin.Do", Flags::SAMPLED, None);
    let trace_id = <[u8; 16]>::try_from(caller.answer().payload).unwrap();
    server.drain();
    span(&spans_of(trace_id), "otel.Begin.Do", &SpanKind::Server);
}

#[test]
fn what_a_call_says_on_the_wire_are_the_ids_that_are_exported() {
    exporter();
    let (heard, address) = listen();
    let client = Client::builder("job").service("Heard", [address]).build().unwrap();
    let job = tracing::info_span!("a job of the program's own");
    job.in_scope(|| client.call("Heard", "otel.Heard.Do", "").wait()).unwrap();
    drop(job);
    let (header, told) = heard.join().unwrap();
    assert!(header.flags.contains(Flags::SAMPLED));
    let spans = spans_of(told.trace_id);
    let call = span(&spans, "otel.Heard.Do", &SpanKind::Client);
    assert_eq!(SpanId::from_bytes(told.span_id), call.span_context.span_id());
    let job = span(&spans, "a job of the program's own", &SpanKind::Internal);
    assert_eq!(call.parent_span_id, job.span_context.span_id());
}

/// A server that answers one request, and says what its frame said.
fn listen() -> (std::thread::JoinHandle<(Header, Trace)>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut received = Vec::new();
        loop {
            while let Ok(frame) = Frame::new_checked(&received, &Limits::DEFAULT) {
                if frame.header.kind == Kind::Request {
                    socket.write_all(&Header::new(Kind::Response, frame.header.call_id).emit()).unwrap();
                    return (frame.header, frame.metadata.trace());
                }
                let len = frame.len;
                received.drain(..len);
            }
            let mut piece = [0; 1_024];
            let len = socket.read(&mut piece).unwrap();
            assert!(len > 0, "the client has gone");
            received.extend_from_slice(&piece[..len]);
        }
    });
    (thread, address)
}
