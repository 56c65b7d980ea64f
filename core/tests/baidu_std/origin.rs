//! The native header of a request, and what the user fields add to RpcMeta.

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
    let mut meta = Meta::request("pkg.Service", "Method", 0x0102_0304_8506_0708);
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

#[test]
fn a_user_field_that_is_no_number_of_its_type_is_0() {
    let meta = Meta::request("s", "m", 1);
    let table = [
        (&[("mc-uin", "18446744073709551615")][..], (u64::MAX, 0, 0)),
        (&[("mc-uin", "18446744073709551616")], (0, 0, 0)),
        (&[("mc-uin", "12x"), ("mc-business-id", ""), ("mc-priority", " 1")], (0, 0, 0)),
        (&[("mc-uin", "007"), ("mc-business-id", "+1"), ("mc-priority", "１")], (7, 0, 0)),
        (&[("mc-uin", "-1"), ("mc-business-id", "65536"), ("mc-priority", "256")], (0, 0, 0)),
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
