//! The native header of a request, and what the user fields add to RpcMeta.

use std::collections::HashSet;

use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{Frame, Limits, Meta, Origin};
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Header, Kind};

fn header_of(meta: &Meta<'_>, origin: &Origin, user_fields: &[(&str, &str)]) -> Header {
    let mut out = [0; 512];
    let len = meta.write(origin, user_fields.iter().copied(), 0, &mut out).unwrap();
    Frame::new_checked(&out[..len], &Limits::DEFAULT).unwrap().meta.to_header(99).unwrap()
}

#[test]
fn a_request_becomes_a_native_header() {
    let mut meta = Meta::request("pkg.Service", "Method", 0x8506_0708);
    meta.request.as_mut().unwrap().timeout_ms = Some(800);
    let origin = Origin { uin: u64::MAX, business_id: u16::MAX, priority: u8::MAX };
    let expected = Header {
        priority: 255,
        body_len: 99,
        method_id: method_id(b"pkg.Service.Method"),
        uin: u64::MAX,
        budget_ms: 800,
        business_id: 65_535,
        ..Header::new(Kind::Request, 0x8506_0708)
    };
    assert_eq!(header_of(&meta, &origin, &[]), expected);
}

#[test]
fn a_timeout_that_is_missing_or_not_positive_is_no_limit() {
    for (timeout_ms, budget_ms) in [
        (None, u32::MAX),
        (Some(0), u32::MAX),
        (Some(-1), u32::MAX),
        (Some(i32::MIN), u32::MAX),
        (Some(1), 1),
        (Some(i32::MAX), i32::MAX as u32),
    ] {
        let mut meta = Meta::request("s", "m", 1);
        meta.request.as_mut().unwrap().timeout_ms = timeout_ms;
        assert_eq!(header_of(&meta, &Origin::default(), &[]).budget_ms, budget_ms, "{timeout_ms:?}");
    }
}

/// A brpc client puts the place of a call among those under way into the upper half of its correlation id, and how often that place has
/// been used into the lower: many at once are alike in the lower half, many one after the other in the upper.
#[test]
fn calls_of_a_brpc_client_are_told_apart_whichever_half_of_the_correlation_id_they_share() {
    let call_ids = |correlation_ids: &mut dyn Iterator<Item = i64>| -> HashSet<u32> {
        correlation_ids.map(|id| Meta::request("s", "m", id).to_header(0).unwrap().call_id).collect()
    };
    assert_eq!(call_ids(&mut (0..1_000).map(|place| place << 32 | 2)).len(), 1_000, "at once");
    assert_eq!(call_ids(&mut (0..1_000).map(|use_| 5 << 32 | (2 + 8 * use_))).len(), 1_000, "one after the other");
    let both = (0..1_000).flat_map(|place| (0..100).map(move |use_| place << 32 | (2 + 8 * use_)));
    assert!(call_ids(&mut { both }).len() > 99_900);
    assert_eq!(call_ids(&mut [-1, i64::MIN, i64::MAX].into_iter()).len(), 3);
    assert_eq!(call_ids(&mut [0xFFFF_FFFF].into_iter()), [u32::MAX].into(), "one of 32 bits is itself");
}

#[test]
fn a_user_field_that_is_no_number_of_its_type_is_0() {
    let meta = Meta::request("s", "m", 1);
    let table = [
        (&[("mc-uin", "18446744073709551615")][..], (u64::MAX, 0, 0)),
        (&[("mc-uin", "18446744073709551616")], (0, 0, 0)),
        (&[("mc-uin", "12x"), ("mc-business-id", ""), ("mc-priority", " 1")], (0, 0, 255)),
        (&[("mc-uin", "007"), ("mc-business-id", "+1"), ("mc-priority", "１")], (7, 0, 255)),
        (&[("mc-uin", "-1"), ("mc-business-id", "65536"), ("mc-priority", "256")], (0, 0, 255)),
        (&[("mc-uin", "1"), ("mc-business-id", "2"), ("mc-priority", "3")], (1, 2, 3)),
        (&[("mc-uin", "1"), ("other", "x"), ("mc-uin", "7")], (7, 0, 0)),
        (&[("mc-uin", "7"), ("mc-uin", "none")], (0, 0, 0)),
        (&[("MC-UIN", "7"), ("mc-uinn", "8")], (0, 0, 0)),
    ];
    for (fields, expected) in table {
        let header = header_of(&meta, &Origin::default(), fields);
        assert_eq!((header.uin, header.business_id, header.priority), expected, "{fields:?}");
    }
}

#[test]
fn only_a_request_has_a_header_and_only_a_response_a_status() {
    let (request, response) = (Meta::request("s", "m", 1), Meta::response(1, Status::BELOW_CURSOR, ""));
    assert_eq!(response.to_header(0), Err(Status::BAD_KIND));
    assert_eq!(Meta::default().to_header(0), Err(Status::BAD_KIND));
    assert_eq!(request.status(), Err(Status::BAD_KIND));
    assert_eq!(response.status(), Ok(Status::QUEUE_FULL));
    assert_eq!(Meta::response(1, Status::OK, "").status(), Ok(Status::OK));
}
