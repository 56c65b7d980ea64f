//! Frames: limits, incomplete ones, and what the writer refuses.

use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{
    Frame, FrameHeader, HEADER_LEN, Limits, Meta, Origin, RequestMeta, UserFields, WriteError, wanted,
};

const LIMITS: Limits = Limits::DEFAULT;

fn no_fields() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    [].into_iter()
}

/// A request with everything that a frame can have: a payload of 5 bytes and an attachment of 3.
pub fn request_frame() -> Vec<u8> {
    let mut meta = Meta::request("pkg.Service", "Method", 0x0102_0304_0506_0708);
    meta.attachment_size = Some(3);
    let origin = Origin { uin: 2_709_160_720, business_id: 138, priority: 2 };
    let mut frame = vec![0; 256];
    let len = meta.write(&origin, [("key", "value")].into_iter(), 8, &mut frame).unwrap();
    frame.truncate(len);
    frame.extend_from_slice(b"helloatt");
    frame
}

#[test]
fn what_is_written_is_read() {
    let bytes = request_frame();
    assert_eq!(&bytes[..4], b"PRPC");
    let frame = Frame::new_checked(&bytes, &LIMITS).unwrap();
    let request = RequestMeta { service_name: "pkg.Service", method_name: "Method", ..RequestMeta::default() };
    assert_eq!(frame.meta.request, Some(request));
    assert_eq!(frame.meta.correlation_id, Some(0x0102_0304_0506_0708));
    assert_eq!((frame.payload, frame.attachment), (&b"hello"[..], &b"att"[..]));
    let fields: Vec<_> = frame.meta.user_fields.iter().collect();
    let written = [("mc-uin", "2709160720"), ("mc-business-id", "138"), ("mc-priority", "2"), ("key", "value")];
    assert_eq!(fields, written);
    assert_eq!(frame.meta.user_fields.get("key"), Some("value"));
    assert_eq!(frame.meta.user_fields.get("kez"), None);
}

#[test]
fn every_prefix_is_incomplete_and_its_length_is_known_from_the_header_on() {
    let bytes = request_frame();
    for len in 0..bytes.len() {
        let prefix = &bytes[..len];
        let known = if len < HEADER_LEN { Err(Status::INCOMPLETE) } else { Ok(bytes.len()) };
        assert_eq!(wanted(prefix, &LIMITS), known, "{len}");
        assert_eq!(Frame::new_checked(prefix, &LIMITS), Err(Status::INCOMPLETE), "{len}");
    }
    let mut two = bytes.clone();
    two.extend_from_slice(&bytes);
    assert_eq!(wanted(&two, &LIMITS), Ok(bytes.len()));
    assert_eq!(Frame::new_checked(&two, &LIMITS), Frame::new_checked(&bytes, &LIMITS), "what follows is not looked at");
}

#[test]
fn every_wrong_header_is_refused_by_name_and_the_magic_at_once() {
    let header = |body_len, meta_len| FrameHeader { body_len, meta_len }.emit();
    let limits = Limits { max_body_len: 100, max_meta_len: 10 };
    let table = [
        (header(100, 10), Ok(HEADER_LEN + 100)),
        (header(0, 0), Ok(HEADER_LEN)),
        (header(101, 10), Err(Status::BODY_TOO_LONG)),
        (header(u32::MAX, u32::MAX), Err(Status::BODY_TOO_LONG)),
        (header(9, 10), Err(Status::BAD_METADATA_LENGTH)),
        (header(100, 101), Err(Status::BAD_METADATA_LENGTH)),
        (header(100, 11), Err(Status::METADATA_TOO_LONG)),
    ];
    for (bytes, expected) in table {
        assert_eq!(wanted(&bytes, &limits), expected, "{bytes:?}");
    }
    for (first, status) in [
        (&b"G"[..], Status::BAD_MAGIC),
        (b"PRI", Status::BAD_MAGIC),
        (b"\xC7", Status::BAD_MAGIC),
        (b"PRPD", Status::BAD_MAGIC),
        (b"", Status::INCOMPLETE),
        (b"P", Status::INCOMPLETE),
        (b"PRPC\xFF\xFF\xFF\xFF\0\0\0", Status::INCOMPLETE),
    ] {
        assert_eq!(wanted(first, &limits), Err(status), "{first:?}");
    }
}

#[test]
fn an_attachment_that_does_not_fit_is_a_bad_meta() {
    let mut out = [0; 64];
    for (attachment_size, payload_len, announced, status) in
        [(3, 3, 3, None), (3, 3, 4, Some(Status::BAD_META)), (0, 3, -1, Some(Status::BAD_META)), (0, 3, 0, None)]
    {
        let mut meta = Meta::request("s", "m", 1);
        meta.attachment_size = Some(attachment_size);
        let len = meta.write(&Origin::default(), no_fields(), payload_len, &mut out).unwrap();
        // The last field of the meta is the attachment's size: its key, and a varint.
        let mut bytes = out[..len].to_vec();
        bytes.pop();
        let negative = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        bytes.extend(if announced < 0 { negative.to_vec() } else { vec![announced as u8] });
        let meta_len = (bytes.len() - HEADER_LEN) as u32;
        bytes[..HEADER_LEN].copy_from_slice(&FrameHeader { body_len: meta_len + payload_len, meta_len }.emit());
        bytes.extend(vec![7; payload_len as usize]);
        assert_eq!(Frame::new_checked(&bytes, &LIMITS).err(), status, "{announced}");
    }
}

#[test]
fn a_short_buffer_is_told_what_is_wanted_and_left_alone() {
    let meta = Meta::response(5, Status::QUEUE_FULL, "busy");
    let mut out = [0x5A; 64];
    let len = meta.write(&Origin::default(), no_fields(), 7, &mut out).unwrap();
    for room in 0..len {
        let mut out = [0x5A; 64];
        let result = meta.write(&Origin::default(), no_fields(), 7, &mut out[..room]);
        assert_eq!(result, Err(WriteError::TooSmall { wanted: len }));
        assert!(out.iter().all(|&byte| byte == 0x5A));
    }
    assert_eq!(WriteError::TooSmall { wanted: len }.status(), Status::TOO_SMALL);
}

#[test]
fn a_frame_that_could_not_be_read_back_is_not_written() {
    let mut meta = Meta::request("s", "m", 1);
    let mut out = [0; 64];
    let none = Origin::default();
    assert_eq!(meta.write(&none, no_fields(), u32::MAX - 9, &mut out), Err(WriteError::BodyTooLong));
    for attachment_size in [-1, i32::MIN, 5] {
        meta.attachment_size = Some(attachment_size);
        assert_eq!(meta.write(&none, no_fields(), 4, &mut out), Err(WriteError::BadAttachmentSize));
    }
    assert_eq!(WriteError::BodyTooLong.status(), Status::BODY_TOO_LONG);
    assert_eq!(WriteError::BadAttachmentSize.status(), Status::INVALID_ARGUMENT);
}

#[test]
fn user_fields_are_passed_on_as_they_came() {
    let bytes = request_frame();
    let frame = Frame::new_checked(&bytes, &LIMITS).unwrap();
    let mut out = [0; 256];
    let len = frame.meta.write(&Origin::default(), frame.meta.user_fields.iter(), 8, &mut out).unwrap();
    assert_eq!(out[..len], bytes[..len]);
    assert_eq!(UserFields::within(b"\xFF\xFF").iter().next(), None, "bytes that are no meta have none");
}
