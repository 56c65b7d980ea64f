//! What a call costs on the wire: the bytes beside its payload, of this format and of two others.
//!
//! The call is always the same: service and method, call id, user, business, priority, deadline, trace and span, the caller's name,
//! and 64 bytes of payload. The first one on a connection tells the names; a warm one is a later call of another user. Counted is
//! what the client sends for the call, without what a connection begins with anyhow (the preface and settings of HTTP/2).
//!
//! `cargo test -p mcrpc-core --test wire bytes -- --nocapture` prints the table.

use httlib_hpack::{Decoder as HpackDecoder, Encoder as HpackEncoder};
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Flags, Frame, Header, Hello, Kind, Limits, Trace, Writer};
use mcrpc_peers::baidu::proto::{RpcMeta, RpcRequestMeta};
use prost::Message;

use crate::vectors::{all, written};

const CALLER: &str = "mmproxy";
const SERVICE: &str = "mmuser.UserService";
const METHOD: &str = "GetProfile";
const FULL_NAME: &str = "mmuser.UserService.GetProfile";
const PAYLOAD_LEN: usize = 64;

/// What is different from call to call.
struct Call {
    call_id: u32,
    uin: u64,
    budget_ms: u32,
    trace: Trace,
}

const WARM: Call = Call {
    call_id: 77,
    uin: 2_709_160_720,
    budget_ms: 800,
    // The example of W3C Trace Context.
    trace: Trace {
        trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes(),
        span_id: 0xb7ad_6b71_6920_3331_u64.to_be_bytes(),
        flags: 0,
    },
};

const FIRST: Call = Call {
    call_id: 1,
    uin: 2_709_160_719,
    budget_ms: 500,
    trace: Trace {
        trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes(),
        span_id: 0x90f0_67aa_0ba9_02b7_u64.to_be_bytes(),
        flags: 0,
    },
};

/// Bytes that the call takes beside its payload.
fn native(call: &Call, has_checksum: bool) -> Vec<u8> {
    let header = Header {
        flags: Flags(if has_checksum { Flags::CRC_TRAILER } else { 0 }),
        priority: 2,
        method_id: method_id(FULL_NAME.as_bytes()),
        uin: call.uin,
        budget_ms: call.budget_ms,
        business_id: 138,
        ..Header::new(Kind::Request, call.call_id)
    };
    let payload: Vec<u8> = (0..PAYLOAD_LEN as u8).collect();
    written(&header, |writer| _ = writer.trace(&call.trace), &payload)
}

fn hello(has_checksum: bool) -> Vec<u8> {
    let flags = Flags(if has_checksum { Flags::CRC_TRAILER } else { 0 });
    let mut hello = Hello::from_caller(CALLER);
    hello.service = SERVICE;
    let write = |writer: &mut Writer<'_>| {
        hello.write(writer);
        writer.method(FULL_NAME);
    };
    written(&Header { flags, ..Header::new(Kind::Hello, 0) }, write, b"")
}

/// The length of a frame of brpc's protocol without its payload: 12 bytes and the meta. Ids of 64 bits are all that it has room
/// for, so it carries half of the trace id. Whether a connection is warm makes no difference.
fn baidu_std(call: &Call) -> usize {
    let half_of = |bytes: &[u8]| i64::from_be_bytes(*bytes.last_chunk().unwrap());
    let request = RpcRequestMeta {
        service_name: Some(SERVICE.into()),
        method_name: Some(METHOD.into()),
        trace_id: Some(half_of(&call.trace.trace_id)),
        span_id: Some(half_of(&call.trace.span_id)),
        timeout_ms: Some(call.budget_ms.cast_signed()),
        from_svr_name: Some(CALLER.into()),
        ..RpcRequestMeta::default()
    };
    let user_fields = [("mc-uin", call.uin.to_string()), ("mc-business-id", "138".into()), ("mc-priority", "2".into())];
    let meta = RpcMeta {
        request: Some(request),
        correlation_id: Some(call.call_id.into()),
        user_fields: user_fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        ..RpcMeta::default()
    };
    12 + meta.encoded_len()
}

/// The headers of a gRPC call.
fn grpc_headers(call: &Call) -> Vec<(&'static str, String)> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    vec![
        (":method", "POST".into()),
        (":scheme", "http".into()),
        (":path", format!("/{SERVICE}/{METHOD}")),
        (":authority", "mmuser.sz-1:8000".into()),
        ("te", "trailers".into()),
        ("content-type", "application/grpc".into()),
        ("user-agent", "grpc-c++/1.62.0".into()),
        ("grpc-timeout", format!("{}m", call.budget_ms)),
        ("traceparent", format!("00-{}-{}-00", hex(&call.trace.trace_id), hex(&call.trace.span_id))),
        ("x-mc-uin", call.uin.to_string()),
        ("x-mc-business-id", "138".into()),
        ("x-mc-priority", "2".into()),
        ("x-mc-caller", CALLER.into()),
    ]
}

/// The length of a call's HEADERS and DATA frames without its payload: 9 bytes each, HPACK with its table and Huffman's code, and
/// gRPC's prefix of 5 bytes.
fn grpc(call: &Call, encoder: &mut HpackEncoder<'_>, decoder: &mut HpackDecoder<'_>) -> usize {
    let flags = HpackEncoder::WITH_INDEXING
        | HpackEncoder::BEST_FORMAT
        | HpackEncoder::HUFFMAN_NAME
        | HpackEncoder::HUFFMAN_VALUE;
    let headers = grpc_headers(call);
    let mut block = Vec::new();
    for (name, value) in &headers {
        encoder.encode((name.as_bytes().to_vec(), value.clone().into_bytes(), flags), &mut block).unwrap();
    }
    let len = block.len();
    let mut decoded = Vec::new();
    decoder.decode(&mut block, &mut decoded).unwrap();
    let read = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let decoded: Vec<_> = decoded.iter().map(|(name, value, _)| (read(name), read(value))).collect();
    let sent: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    assert_eq!(decoded, sent, "the other side reads it");
    9 + len + 9 + 5
}

#[test]
fn a_call_costs_so_many_bytes_beside_its_payload() {
    let beside = |bytes: Vec<u8>| bytes.len() - PAYLOAD_LEN;
    let (mut encoder, mut decoder) = (HpackEncoder::default(), HpackDecoder::default());
    let first_grpc = grpc(&FIRST, &mut encoder, &mut decoder);
    let warm_grpc = grpc(&WARM, &mut encoder, &mut decoder);
    let rows = [
        ("native, with checksum", hello(true).len() + beside(native(&FIRST, true)), beside(native(&WARM, true))),
        ("native", hello(false).len() + beside(native(&FIRST, false)), beside(native(&WARM, false))),
        ("baidu_std", baidu_std(&FIRST), baidu_std(&WARM)),
        ("gRPC", first_grpc, warm_grpc),
    ];
    println!("| protocol | first call | warm |\n|---|---|---|");
    for (protocol, first, warm) in rows {
        println!("| {protocol} | {first} | {warm} |");
    }
    assert!(rows[0].2 <= 62, "a warm call with a checksum takes at most 62 bytes beside its payload");
    // What the documents say.
    assert_eq!(
        rows,
        [("native, with checksum", 158, 62), ("native", 150, 58), ("baidu_std", 145, 145), ("gRPC", 231, 91),]
    );
}

/// The call that was counted is the one of the golden vectors, and the other side has all of it.
#[test]
fn the_call_that_is_counted_is_whole() {
    let vector = all().into_iter().find(|vector| vector.name == "reference_call").unwrap();
    assert_eq!(native(&WARM, true), vector.bytes);
    let frame = Frame::new_checked(&vector.bytes, &Limits::DEFAULT).unwrap();
    assert_eq!((frame.header.uin, frame.header.budget_ms, frame.header.business_id), (2_709_160_720, 800, 138));
    assert_eq!((frame.header.priority, frame.header.call_id, frame.payload.len()), (2, 77, PAYLOAD_LEN));
    assert_eq!(frame.metadata.trace(), WARM.trace);

    let bytes = hello(true);
    let said = Hello::read(Frame::new_checked(&bytes, &Limits::DEFAULT).unwrap().metadata);
    assert_eq!((said.caller, said.service), (CALLER, SERVICE));
    assert!(said.methods().any(|name| method_id(name.as_bytes()) == frame.header.method_id));
}
