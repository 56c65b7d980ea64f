//! The vectors themselves.

use std::collections::BTreeMap;

use mcrpc_core::status::Status;
use mcrpc_peers::baidu::proto::{ChunkInfo, RpcMeta, RpcRequestMeta, RpcResponseMeta, StreamSettings};
use prost::Message as _;

/// A frame, and what a reader with the default limits must make of it.
pub struct Vector {
    pub name: &'static str,
    pub about: &'static str,
    pub bytes: Vec<u8>,
    pub meta_len: usize,
    pub expected: Result<RpcMeta, Status>,
}

fn request(service_name: &str, method_name: &str) -> RpcMeta {
    let request = RpcRequestMeta {
        service_name: Some(service_name.to_owned()),
        method_name: Some(method_name.to_owned()),
        ..RpcRequestMeta::default()
    };
    RpcMeta { request: Some(request), correlation_id: Some(1), ..RpcMeta::default() }
}

/// A request with every field that one can have.
pub fn full_request() -> RpcMeta {
    let mut meta = request("mmuser.UserService", "GetProfile");
    let request = meta.request.as_mut().unwrap();
    request.log_id = Some(12);
    request.trace_id = Some(0x0123_4567_89AB_CDEF);
    request.span_id = Some(-2);
    request.parent_span_id = Some(i64::MIN);
    request.request_id = Some("请求 7".into());
    request.timeout_ms = Some(800);
    request.from_svr_name = Some("mmproxy".to_owned());
    let user_fields = [("mc-uin", "2709160720"), ("mc-business-id", "138"), ("mc-priority", "2"), ("", "")];
    RpcMeta {
        compress_type: Some(1),
        correlation_id: Some(i64::MAX),
        attachment_size: Some(4),
        chunk_info: Some(ChunkInfo { stream_id: Some(1), chunk_id: Some(-1) }),
        authentication_data: Some(vec![0x00, 0xFF, 0x80]),
        stream_settings: Some(StreamSettings {
            stream_id: Some(77),
            need_feedback: Some(true),
            writable: Some(false),
            extra_stream_ids: vec![0, 300, -1],
        }),
        user_fields: user_fields.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        content_type: Some(0),
        checksum_type: Some(1),
        checksum_value: Some(vec![0xDE, 0xAD, 0xBE, 0xEF]),
        ..meta
    }
}

fn response(error_code: i32, error_text: Option<&str>) -> RpcMeta {
    let response = RpcResponseMeta { error_code: Some(error_code), error_text: error_text.map(Into::into) };
    RpcMeta { response: Some(response), correlation_id: Some(1), ..RpcMeta::default() }
}

fn frame(meta: &[u8], body: &[u8]) -> Vec<u8> {
    let lengths = [(meta.len() + body.len()) as u32, meta.len() as u32].map(u32::to_be_bytes).concat();
    [b"PRPC", &lengths[..], meta, body].concat()
}

fn accepted(name: &'static str, about: &'static str, meta: RpcMeta, body: &[u8]) -> Vector {
    let bytes = meta.encode_to_vec();
    Vector { name, about, bytes: frame(&bytes, body), meta_len: bytes.len(), expected: Ok(meta) }
}

/// A meta in bytes that prost reads, but would write in others.
fn unusual(name: &'static str, about: &'static str, meta: &[u8]) -> Vector {
    let expected = Ok(RpcMeta::decode(meta).unwrap());
    Vector { name, about, bytes: frame(meta, b"p"), meta_len: meta.len(), expected }
}

fn bad_meta(name: &'static str, about: &'static str, meta: &[u8]) -> Vector {
    Vector { name, about, bytes: frame(meta, b""), meta_len: meta.len(), expected: Err(Status::BAD_META) }
}

fn refused(name: &'static str, about: &'static str, bytes: &[u8], status: Status) -> Vector {
    Vector { name, about, bytes: bytes.to_vec(), meta_len: 0, expected: Err(status) }
}

pub fn vectors() -> Vec<Vector> {
    let plain = request("s", "m").encode_to_vec();
    let with_attachment = RpcMeta { attachment_size: Some(3), ..request("pkg.Echo", "Echo") };
    let fields = BTreeMap::from([("mc-uin".to_owned(), "42".to_owned())]);
    let behind_plain = |more: &[u8]| [&plain[..], more].concat();
    vec![
        accepted("request", "A plain request.", request("pkg.Echo", "Echo"), b"\x0A\x05hello"),
        accepted("request_attachment", "The last three bytes are the attachment.", with_attachment, b"\x0A\x02hiatt"),
        accepted("request_full", "A request with every field.", full_request(), b"payload and att."),
        accepted(
            "request_user",
            "A user in the user fields.",
            RpcMeta { user_fields: fields, ..request("s", "m") },
            b"",
        ),
        accepted("response_ok", "An answer.", response(0, None), b"\x0A\x05hello"),
        accepted("response_limit", "ELIMIT: refused because of overload.", response(2004, Some("below_cursor")), b""),
        accepted("response_negative", "An error code below 0 takes ten bytes.", response(-1, None), b""),
        accepted("empty", "Neither a request nor a response.", RpcMeta::default(), b""),
        unusual(
            "unknown_fields",
            "Fields of a newer peer: a varint, a fixed64, bytes, a group with a group in it, a fixed32.",
            &behind_plain(&[
                0xA0, 0x06, 0x96, 0x01, 0xA1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xA2, 0x06, 1, 0xFF, 0xA3, 0x06, 0x7B,
                0x08, 1, 0x7C, 0xA4, 0x06, 0xA5, 0x06, 1, 2, 3, 4,
            ]),
        ),
        unusual(
            "merged",
            "The request in two parts and a correlation id twice: parts are merged, the last scalar counts.",
            &[0x0A, 3, 0x12, 1, b'm', 0x20, 1, 0x20, 2, 0x0A, 6, 0x12, 1, b'n', 0x0A, 1, b's'],
        ),
        unusual(
            "user_fields_repeated",
            "A key twice: the last value counts. Then an entry without a value.",
            &behind_plain(&[
                0x4A, 6, 0x0A, 1, b'k', 0x12, 1, b'1', 0x4A, 6, 0x0A, 1, b'k', 0x12, 1, b'2', 0x4A, 3, 0x0A, 1, b'x',
            ]),
        ),
        unusual(
            "streams_packed",
            "Further streams packed, and one that is not.",
            &behind_plain(&[0x42, 9, 0x08, 7, 0x22, 3, 2, 0xAC, 0x02, 0x20, 3]),
        ),
        unusual(
            "long_varint",
            "A correlation id in more bytes than it needs.",
            &behind_plain(&[0x20, 0x87, 0x80, 0x00]),
        ),
        bad_meta("no_method", "A required field is missing.", &[0x0A, 3, 0x0A, 1, b's']),
        bad_meta("not_utf8", "The service's name is not UTF-8.", &[0x0A, 6, 0x0A, 1, 0xFF, 0x12, 1, b'm']),
        bad_meta("cut_short", "The request ends in the middle of a name.", &[0x0A, 4, 0x0A, 9, b's', 0x12]),
        bad_meta("wrong_type", "The correlation id is a string.", &behind_plain(&[0x22, 1, b'1'])),
        bad_meta("open_group", "A group that does not end.", &behind_plain(&[0xA3, 0x06, 0x08, 1])),
        bad_meta(
            "attachment_too_long",
            "An attachment of one byte in a frame that ends with its meta.",
            &behind_plain(&[0x28, 1]),
        ),
        refused("other_magic", "Not PRPC.", b"PRPD\0\0\0\0\0\0\0\0", Status::BAD_MAGIC),
        refused("body_too_long", "64 MiB and one byte.", b"PRPC\x04\0\0\x01\0\0\0\0", Status::BODY_TOO_LONG),
        refused("meta_above_body", "More meta than body.", b"PRPC\0\0\0\x01\0\0\0\x02", Status::BAD_METADATA_LENGTH),
        refused(
            "meta_too_long",
            "64 KiB and one byte of meta.",
            b"PRPC\0\x02\0\0\0\x01\0\x01",
            Status::METADATA_TOO_LONG,
        ),
        refused("incomplete", "Ends before the meta does.", b"PRPC\0\0\0\x10\0\0\0\x08\x0A", Status::INCOMPLETE),
    ]
}
