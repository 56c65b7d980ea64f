//! The bytes of a frame in hexadecimal, field by field.

use mcrpc_core::wire::baidu_std::HEADER_LEN;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::hex;

/// A message: its name, and of its fields the numbers, the names and the messages that they are.
struct Message(&'static str, &'static [(u32, &'static str, Option<&'static Message>)]);

const META: Message = Message(
    "",
    &[
        (1, "request", Some(&REQUEST)),
        (2, "response", Some(&RESPONSE)),
        (3, "compress_type", None),
        (4, "correlation_id", None),
        (5, "attachment_size", None),
        (6, "chunk_info", Some(&CHUNK_INFO)),
        (7, "authentication_data", None),
        (8, "stream_settings", Some(&STREAM_SETTINGS)),
        (9, "user_fields", Some(&USER_FIELD)),
        (10, "content_type", None),
        (11, "checksum_type", None),
        (12, "checksum_value", None),
    ],
);
const REQUEST: Message = Message(
    "request.",
    &[
        (1, "service_name", None),
        (2, "method_name", None),
        (3, "log_id", None),
        (4, "trace_id", None),
        (5, "span_id", None),
        (6, "parent_span_id", None),
        (7, "request_id", None),
        (8, "timeout_ms", None),
        (9, "from_svr_name", None),
    ],
);
const RESPONSE: Message = Message("response.", &[(1, "error_code", None), (2, "error_text", None)]);
const CHUNK_INFO: Message = Message("chunk_info.", &[(1, "stream_id", None), (2, "chunk_id", None)]);
const STREAM_SETTINGS: Message = Message(
    "stream_settings.",
    &[(1, "stream_id", None), (2, "need_feedback", None), (3, "writable", None), (4, "extra_stream_ids", None)],
);
const USER_FIELD: Message = Message("user_fields.", &[(1, "key", None), (2, "value", None)]);

/// A frame, or what is there of it.
pub fn frame(bytes: &[u8], meta_len: usize) -> String {
    let mut text = String::new();
    let mut line = |bytes: &[u8], what: &str| {
        if !bytes.is_empty() {
            text += &format!("{} ; {what}\n", hex(bytes));
        }
    };
    let (header, rest) = bytes.split_at(HEADER_LEN.min(bytes.len()));
    for (part, what) in header.chunks(4).zip(["magic", "body length", "meta length"]) {
        line(part, what);
    }
    let (meta, body) = rest.split_at(meta_len.min(rest.len()));
    message(meta, &META, &mut line);
    line(body, "payload and attachment");
    text
}

/// A line for each field, and for what comes after the last one that can be read.
fn message(mut bytes: &[u8], message_type: &Message, line: &mut impl FnMut(&[u8], &str)) {
    while !bytes.is_empty() {
        let Some((field, value, number)) = next_field(bytes) else {
            return line(bytes, "no field");
        };
        bytes = &bytes[field.len()..];
        match message_type.1.iter().find(|known| known.0 == number) {
            Some((_, name, Some(inner))) => {
                line(&field[..field.len() - value.len()], &format!("{}{name}: {} bytes", message_type.0, value.len()));
                message(value, inner, line);
            }
            Some((_, name, None)) => line(field, &format!("{}{name}", message_type.0)),
            None => line(field, "unknown"),
        }
    }
}

/// The first field of a message: the whole of it, its value if that is bytes, and its number.
fn next_field(bytes: &[u8]) -> Option<(&[u8], &[u8], u32)> {
    let mut rest = bytes;
    let (number, wire_type) = decode_key(&mut rest).ok()?;
    let mut value = rest;
    if wire_type == WireType::LengthDelimited {
        decode_varint(&mut value).ok()?;
    }
    skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
    let field = &bytes[..bytes.len() - rest.len()];
    Some((field, value.get(..value.len() - rest.len())?, number))
}
