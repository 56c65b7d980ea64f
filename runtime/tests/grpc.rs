//! Unmodified gRPC clients, and the same methods over the native protocol beside them: `docs/grpc.md`.
//!
//! `grpc/client.py` is the client, Python's grpcio. `MCRPC_TEST_PYTHON` names a Python that has it, if `python3` has not.

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use mcrpc::server::{Builder, Config, MethodLimits};
use mcrpc::{Context, Failure, Reply, Request, Server, Status};
use mcrpc_core::time::Millis;
use mcrpc_core::wire::{Kind, Limits};
use prost::Message as _;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use support::{Caller, get, request};
use tokio::sync::Semaphore;

/// A case of the client, against a server.
fn start(case: &str, server: &Server) -> Child {
    let python = std::env::var_os("MCRPC_TEST_PYTHON").unwrap_or("python3".into());
    let modules = "import grpc, grpc_health.v1.health, grpc_reflection.v1alpha, grpc_status.rpc_status";
    let has_modules = Command::new(&python).args(["-c", modules]).stderr(Stdio::null()).status();
    assert!(
        has_modules.is_ok_and(|status| status.success()),
        "{} lacks gRPC: pip install grpcio grpcio-status grpcio-health-checking grpcio-reflection, or name a Python that \
         has them in MCRPC_TEST_PYTHON",
        python.display()
    );
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc/client.py");
    let address = match server.addresses()[0].to_string() {
        address if address.starts_with('/') => format!("unix:{address}"),
        address => address,
    };
    let mut command = Command::new(python);
    command.arg(program).args([case, &address]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("GRPC_VERBOSITY", "ERROR").spawn().unwrap()
}

fn finish(case: &str, client: Child) {
    let output = client.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && out.ends_with("done\n"), "{case}: {out}\n{err}");
}

fn run(case: &str, server: &Server) {
    finish(case, start(case, server));
}

fn server() -> Builder {
    let fail = |status: &[u8]| {
        let status: i32 = str::from_utf8(status).unwrap().parse().unwrap();
        let failure = if status < 0 { Failure::of_system(Status(status)) } else { Failure::of_service(status, "") };
        failure.with_text("50 % für dich")
    };
    Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("echo.Echo.Say", |request: Request| async move { Ok(request.into_payload()) })
        .blocking_method("echo.Echo.Block", |request| Ok(request.into_payload()))
        .inline_method("echo.Echo.Inline", |request, reply| {
            reply.extend_from_slice(request.payload());
            Ok(())
        })
        .method("echo.Echo.Who", |request: Request| async move { who(&request) })
        .blocking_method("echo.Echo.WhoBlock", |request| who(&request))
        .method("echo.Echo.Fail", move |request: Request| async move { Err(fail(request.payload())) })
        .inline_method("echo.Echo.FailInline", move |request, _| Err(fail(request.payload())))
        .method("echo.Echo.Panic", |_| async { panic!("as it was told") })
}

fn config() -> Config {
    Config { workers: 2, blocking_workers: 1, ..Config::default() }
}

fn who(request: &Request) -> Reply {
    let context = Context::current().unwrap();
    let hex = |bytes: &[u8]| match bytes {
        [] => "-".to_owned(),
        bytes => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let said = [
        request.caller().to_string(),
        context.uin().to_string(),
        context.business_id().to_string(),
        context.priority().to_string(),
        hex(&context.trace_id().unwrap_or_default()).replace(&"0".repeat(32), "-"),
        hex(context.cookie()),
        context.remaining().map_or(0, |left| left.as_millis()).to_string(),
    ];
    Ok(Bytes::from(said.map(|word| if word.is_empty() { "?".to_owned() } else { word }).join(" ")))
}

/// Handlers that run until they are let go or dropped.
#[derive(Default)]
struct Held {
    running: AtomicUsize,
    dropped: AtomicUsize,
}

/// One of them.
struct Holding<'h>(&'h Held, bool);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
        self.0.dropped.fetch_add(usize::from(!self.1), SeqCst);
    }
}

async fn hold(held: &Held, gate: &Semaphore) -> Reply {
    held.running.fetch_add(1, SeqCst);
    let mut holding = Holding(held, false);
    gate.acquire().await.unwrap().forget();
    holding.1 = true;
    Ok(Bytes::from_static(b"held"))
}

/// Adds the methods that hold.
fn holding(builder: Builder) -> (Builder, Arc<Semaphore>) {
    let (held, gate, never) = (Arc::new(Held::default()), Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let count = |of: fn(&Held) -> &AtomicUsize| {
        let held = held.clone();
        move |_: Request| {
            let count = of(&held).load(SeqCst).to_string();
            async move { Ok(Bytes::from(count)) }
        }
    };
    let holds = |gate: &Arc<Semaphore>| {
        let (held, gate) = (held.clone(), gate.clone());
        move |_: Request| {
            let (held, gate) = (held.clone(), gate.clone());
            async move { hold(&held, &gate).await }
        }
    };
    let release = gate.clone();
    let builder = builder
        .method("hold.Hold.Running", count(|held| &held.running))
        .method("hold.Hold.Dropped", count(|held| &held.dropped))
        .method("hold.Hold.Limited", holds(&gate))
        .method("hold.Hold.Forever", holds(&never))
        .method("hold.Hold.Release", move |_| {
            release.add_permits(1);
            async { Ok(Bytes::new()) }
        });
    (builder, gate)
}

#[test]
fn a_grpc_client_calls_methods_of_all_kinds() {
    run("unary", &server().start().unwrap());
}

#[test]
fn a_message_may_be_as_large_as_the_limits_say() {
    run("large", &server().start().unwrap());
    let limits = Limits { max_body_len: 1 << 20, ..config().limits };
    run("too_large", &server().config(Config { limits, ..config() }).start().unwrap());
}

#[test]
fn a_client_that_compresses_hears_that_it_must_not() {
    run("compressed", &server().start().unwrap());
}

#[test]
fn metadata_are_the_context_of_the_request() {
    run("context", &server().start().unwrap());
}

#[test]
fn failures_have_codes_of_grpc_and_their_own() {
    let server = server().start().unwrap();
    run("failures", &server);
    let counted =
        r#"rpc_server_requests_total{rpc_service="echo.Echo",rpc_method="Fail",caller="",code="queue_full"} 1"#;
    let metrics = server.metrics();
    assert!(metrics.contains(counted), "they are counted like any other: {metrics}");
}

#[test]
fn a_refusal_because_of_overload_says_when_to_come_back() {
    let (server, _gate) = holding(server());
    let methods = [("hold.Hold.Limited".to_owned(), MethodLimits { max_concurrency: 1 })];
    run("overload", &server.config(Config { methods: methods.into(), ..config() }).start().unwrap());
}

#[test]
fn a_deadline_is_kept_whoever_has_set_it() {
    let (server, _gate) = holding(server());
    run("deadline", &server.config(Config { default_timeout: Millis(100), ..config() }).start().unwrap());
}

#[test]
fn a_call_that_nobody_waits_for_is_dropped() {
    let (server, _gate) = holding(server());
    run("cancel", &server.start().unwrap());
    let (server, _gate) = holding(self::server());
    run("disconnect", &server.start().unwrap());
}

#[test]
fn a_server_that_drains_answers_what_is_under_way() {
    let (server, gate) = holding(server());
    let server = server.start().unwrap();
    let mut native = Caller::of(&server);
    native.call(&request("echo.Echo.Say", 1), b"");
    native.answer();
    let mut client = start("drain", &server);
    let mut line = String::new();
    let mut out = BufReader::new(client.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let draining = std::thread::spawn(move || server.drain());
    assert_eq!(native.answer().header.kind, Kind::GoAway);
    gate.add_permits(1);
    draining.join().unwrap();
    out.read_to_string(&mut line).unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(line, "held\ndone\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn one_port_serves_grpc_beside_the_native_protocol_and_the_pages() {
    let (server, gate) = holding(server());
    let server = server.start().unwrap();
    let mut native = Caller::of(&server);
    native.call(&request("echo.Echo.Say", 1), b"native");
    assert_eq!(native.answer().payload, b"native");
    let mut client = start("drain", &server);
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let page = get(&server, "GET /connections HTTP/1.1\r\n\r\n");
    assert!(["mcrpc", "grpc", "http"].iter().all(|protocol| page.contains(&format!(" {protocol} "))), "{page}");
    gate.add_permits(1);
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn probes_hear_that_the_server_serves() {
    run("health", &server().start().unwrap());
}

#[test]
fn tools_find_services_and_what_the_program_has_described() {
    let message = |name: &str, nested_type| DescriptorProto {
        name: Some(name.to_owned()),
        nested_type,
        ..DescriptorProto::default()
    };
    let method = MethodDescriptorProto {
        name: Some("Say".to_owned()),
        input_type: Some(".described.Text".to_owned()),
        output_type: Some(".described.Text".to_owned()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Echo".to_owned()),
        method: vec![method],
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("described.proto".to_owned()),
        package: Some("described".to_owned()),
        message_type: vec![message("Text", vec![message("Part", vec![])])],
        service: vec![service],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    let set = FileDescriptorSet { file: vec![file] }.encode_to_vec();
    let described = server().method("described.Echo.Say", |request: Request| async move { Ok(request.into_payload()) });
    run("reflection", &described.grpc_descriptors(&set).start().unwrap());
    let error = server().grpc_descriptors(b"\xff").start().err().unwrap();
    assert!(error.to_string().starts_with("grpc_descriptors() was given no FileDescriptorSet: "), "{error}");
}
