//! RpcMeta, case by case: what is accepted, what is refused, and what prost would have done.

use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::Meta;
use mcrpc_core::wire::baidu_std::protobuf::MAX_GROUP_DEPTH;
use mcrpc_peers::baidu::compare;
use mcrpc_peers::baidu::exception::{Exception, exception};
use mcrpc_peers::baidu::proto::RpcMeta;
use prost::Message as _;

/// A request of service "s", method "m".
const REQUEST: &[u8] = &[0x0A, 6, 0x0A, 1, b's', 0x12, 1, b'm'];

fn with_request(more: &[u8]) -> Vec<u8> {
    [REQUEST, more].concat()
}

/// A varint field with number 100, `depth` groups deep.
fn groups(depth: usize) -> Vec<u8> {
    [[0xA3, 0x06].repeat(depth), vec![0xA0, 0x06, 1], [0xA4, 0x06].repeat(depth)].concat()
}

#[test]
fn a_message_that_is_none_is_refused() {
    let table: [(&str, &[u8]); 22] = [
        ("a key of number 0", &[0x00, 1]),
        ("a key above 32 bits", &[0xF8, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 1]),
        ("wire type 6", &[0x7E, 1]),
        ("wire type 7", &[0x7F, 1]),
        ("a key without a value", &[0x20]),
        ("a varint cut short", &[0x20, 0x80]),
        ("a varint of eleven bytes", &[0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("a varint above 64 bits", &[0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02]),
        ("bytes cut short", &[0x3A, 2, 1]),
        ("bytes of a length above all", &[0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
        ("an unknown fixed64 cut short", &[0x79, 1, 2, 3, 4, 5, 6, 7]),
        ("an unknown fixed32 cut short", &[0x7D, 1, 2, 3]),
        ("the end of no group", &[0x7C]),
        ("a group without end", &[0x7B, 0x08, 1]),
        ("a group with the end of another", &[0x7B, 0x84, 0x01]),
        ("a service name that is not UTF-8", &[0x0A, 6, 0x0A, 1, 0xFF, 0x12, 1, b'm']),
        ("a caller's name that is not UTF-8", &[0x0A, 9, 0x0A, 1, b's', 0x12, 1, b'm', 0x4A, 1, 0xFF]),
        ("a user field's key that is not UTF-8", &[0x4A, 3, 0x0A, 1, 0x80]),
        ("a correlation id that is a string", &[0x22, 1, b'1']),
        ("a user field that is a number", &[0x48, 0]),
        ("a user field that is a fixed32", &[0x4D, 0, 0, 0, 0]),
        ("a timeout that is a fixed32", &[0x0A, 11, 0x0A, 1, b's', 0x12, 1, b'm', 0x45, 1, 2, 3, 4]),
    ];
    for (what, bytes) in table {
        assert_eq!(Meta::parse(bytes), Err(Status::BAD_META), "{what}");
        assert!(!compare::decode(bytes), "{what}");
    }
}

/// brpc passes on what a service says, in whatever encoding, and cuts it where a buffer ends.
#[test]
fn a_text_for_people_is_read_as_far_as_it_is_utf8() {
    let response = |text: &[u8]| [&[0x12, text.len() as u8 + 2, 0x12, text.len() as u8], text].concat();
    let table: [(&[u8], &str); 4] =
        [(b"too busy", "too busy"), (b"\xE8\xAF\xB7\xE6\xB1", "\u{8bf7}"), (b"\xC7\xEB\xC7\xF3", ""), (b"a\xFFb", "a")];
    for (sent, read) in table {
        let bytes = response(sent);
        assert_eq!(Meta::parse(&bytes).unwrap().response.unwrap().error_text, Some(read), "{sent:?}");
        assert!(compare::decode(&bytes));
    }
    let request = [&[0x0A, 9, 0x0A, 1, b's', 0x12, 1, b'm', 0x3A, 1, 0xFF][..]].concat();
    assert_eq!(Meta::parse(&request).unwrap().request.unwrap().request_id, Some(""));
}

#[test]
fn what_newer_peers_send_is_skipped() {
    let table: [(&str, &[u8]); 6] = [
        ("a varint", &[0xA0, 0x06, 0x96, 0x01]),
        ("a fixed64", &[0xA1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("bytes", &[0xA2, 0x06, 2, 0xFF, 0xFF]),
        ("a fixed32", &[0xA5, 0x06, 1, 2, 3, 4]),
        (
            "a group with fields and groups",
            &[0xA3, 0x06, 0x0A, 1, 0, 0x7B, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x7C, 0xA4, 0x06],
        ),
        ("the highest number", &[0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 1]),
    ];
    let plain = Meta::parse(REQUEST).unwrap();
    for (what, bytes) in table {
        assert_eq!(Meta::parse(&with_request(bytes)), Ok(plain), "{what}");
        assert!(compare::decode(&with_request(bytes)), "{what}");
        let inner = [&[0x0A, (6 + bytes.len()) as u8], &REQUEST[2..], bytes].concat();
        assert_eq!(Meta::parse(&inner), Ok(plain), "{what}, in the request");
        assert!(compare::decode(&inner), "{what}, in the request");
    }
}

#[test]
fn numbers_in_more_bytes_than_they_need_are_read() {
    let meta = [0x20, 0x87, 0x80, 0x80, 0x00];
    assert_eq!(Meta::parse(&meta).unwrap().correlation_id, Some(7));
    // A length in two bytes.
    let meta = [0x0A, 0x86, 0x00, 0x0A, 1, b's', 0x12, 1, b'm'];
    assert_eq!(Meta::parse(&meta).unwrap().request.unwrap().method_name, "m");
    // An int32 whose upper half is not the sign's.
    let meta = [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
    assert_eq!(Meta::parse(&meta).unwrap().compress_type, Some(-1));
    assert!(compare::decode(&meta));
}

#[test]
fn a_message_may_come_in_parts_and_in_any_order() {
    // The method's name first, then a correlation id twice, then the service's name with another method's.
    let bytes = [0x0A, 3, 0x12, 1, b'm', 0x20, 1, 0x20, 2, 0x0A, 6, 0x12, 1, b'n', 0x0A, 1, b's'];
    let meta = Meta::parse(&bytes).unwrap();
    assert_eq!(meta.correlation_id, Some(2));
    assert_eq!(meta.request.map(|request| (request.service_name, request.method_name)), Some(("s", "n")));
    assert!(compare::decode(&bytes));
}

#[test]
fn further_streams_come_one_by_one_or_packed() {
    let bytes = [
        &[0x42, 4, 0x08, 9, 0x20, 1][..],            // a stream 9, and 1
        &[0x20, 5],                                  // a correlation id between the parts
        &[0x42, 7, 0x22, 3, 2, 0xAC, 0x02, 0x20, 3], // packed: 2 and 300; then 3
    ]
    .concat();
    let settings = Meta::parse(&bytes).unwrap().stream_settings.unwrap();
    assert_eq!(settings.stream_id, 9);
    assert_eq!(settings.extra_stream_ids.iter().collect::<Vec<_>>(), [1, 2, 300, 3]);
    assert_eq!(format!("{:?}", settings.extra_stream_ids), "[1, 2, 300, 3]");
    let theirs = RpcMeta::decode(&bytes[..]).unwrap().stream_settings.unwrap();
    assert_eq!(theirs.extra_stream_ids, [1, 2, 300, 3]);
}

#[test]
fn a_user_field_may_lack_its_key_or_value() {
    let meta = [0x4A, 0, 0x4A, 3, 0x0A, 1, b'k', 0x4A, 3, 0x12, 1, b'v', 0x4A, 5, 0x0A, 1, b'k', 0x78, 1];
    let fields: Vec<_> = Meta::parse(&meta).unwrap().user_fields.iter().collect();
    assert_eq!(fields, [("", ""), ("k", ""), ("", "v"), ("k", "")]);
    let user_fields = Meta::parse(&meta).unwrap().user_fields;
    assert!(user_fields.into_iter().eq(fields));
    assert_eq!(format!("{user_fields:?}"), r#"{"": "", "k": "", "": "v", "k": ""}"#);
    assert!(compare::decode(&meta));
}

#[test]
fn nothing_at_all_is_an_empty_message() {
    assert_eq!(Meta::parse(&[]), Ok(Meta::default()));
}

/// The whole list: whatever else prost accepts is accepted.
#[test]
fn what_is_refused_although_prost_accepts_it() {
    use Exception::*;
    let table = [
        ("a request without service", vec![0x0A, 3, 0x12, 1, b'm'], MissingRequiredField),
        ("a request without method", vec![0x0A, 3, 0x0A, 1, b's'], MissingRequiredField),
        ("a chunk without stream", vec![0x32, 2, 0x10, 1], MissingRequiredField),
        ("a chunk without number", vec![0x32, 2, 0x08, 1], MissingRequiredField),
        ("a stream without id", vec![0x42, 0], MissingRequiredField),
        ("deep groups", with_request(&groups(MAX_GROUP_DEPTH + 1)), DeepGroups),
    ];
    for (what, bytes, expected) in table {
        assert_eq!(Meta::parse(&bytes), Err(Status::BAD_META), "{what}");
        let theirs = RpcMeta::decode(&bytes[..]).unwrap();
        assert_eq!(exception(&bytes, &theirs), Some(expected), "{what}");
    }
    assert!(compare::decode(&with_request(&groups(MAX_GROUP_DEPTH))));
}
