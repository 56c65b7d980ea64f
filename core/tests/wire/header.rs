//! The header: its layout byte by byte, and what is refused for good, refused alone, or passed over.

use mcrpc_core::status::Status;
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Flags, Frame, HEADER_LEN, Header, Kind, Limits};
use proptest::prelude::*;

use crate::read::{Item, read};
use crate::{WIDEST, any_header, ping};

const KINDS: [Kind; 8] =
    [Kind::Request, Kind::Response, Kind::OneWay, Kind::Hello, Kind::Ping, Kind::Pong, Kind::GoAway, Kind::Cancel];

/// Byte by byte, from the table in the specification.
#[test]
fn the_layout_is_the_documented_one() {
    let request = Header {
        flags: Flags(Flags::SAMPLED | Flags::CONTINUES_TASK).with_attempt(2),
        priority: 3,
        body_len: 0x0000_0102,
        method_id: 0xA1A2_A3A4,
        uin: 0x1112_1314_1516_1718,
        budget_ms: 500,
        business_id: 0x2122,
        metadata_len: 0x0101,
        ..Header::new(Kind::Request, 0x0506_0708)
    };
    #[rustfmt::skip]
    let bytes = [
        0xC7, 0x11, 0x32, 0x03, 0x02, 0x01, 0x00, 0x00, 0x08, 0x07, 0x06, 0x05, 0xA4, 0xA3, 0xA2, 0xA1,
        0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0xF4, 0x01, 0x00, 0x00, 0x22, 0x21, 0x01, 0x01,
    ];
    assert_eq!(request.emit(), bytes);
    assert_eq!(Header::parse(&bytes, &WIDEST), Ok(request));

    let response = Header { status: Status::BELOW_CURSOR, cursor: 0x0102_0304, ..Header::new(Kind::Response, 1) };
    let bytes = response.emit();
    assert_eq!(bytes[1], 0x12);
    assert_eq!(bytes[12..16], (-217i32).to_le_bytes());
    assert_eq!(bytes[24..28], [4, 3, 2, 1]);
    assert_eq!(Header::parse(&bytes, &WIDEST), Ok(response));
}

#[test]
fn each_kind_has_its_number() {
    for (index, kind) in KINDS.into_iter().enumerate() {
        let number = index as u8 + 1;
        assert_eq!((kind as u8, Kind::from_wire(number)), (number, Some(kind)));
        let header = Header::new(kind, 7);
        assert_eq!(header.emit()[1], 0x10 | number);
        assert_eq!(Header::parse(&header.emit(), &Limits::DEFAULT), Ok(header));
    }
    for number in (9..=u8::MAX).chain([0]) {
        assert_eq!(Kind::from_wire(number), None, "{number}");
    }
}

#[test]
fn an_attempt_above_three_counts_as_three() {
    for (attempt, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (u8::MAX, 3)] {
        let flags = Flags(0xFF).with_attempt(attempt);
        assert_eq!(flags.attempt(), expected);
        assert_eq!(flags.0 | Flags::ATTEMPT_MASK, 0xFF, "the other bits stay");
    }
}

const SMALL: Limits = Limits { max_metadata_len: 8, ..Limits::of_body(10) };

/// Given a header with one byte changed, then it is refused by name, and so is all that follows.
#[test]
fn what_breaks_the_stream_does_so_by_name() {
    let good = Header { body_len: 10, metadata_len: 8, ..Header::new(Kind::Request, 1) }.emit();
    assert!(Header::parse(&good, &SMALL).is_ok());
    let table: [(usize, u8, Status); 14] = [
        (0, 0x00, Status::BAD_MAGIC),
        (0, b'G', Status::BAD_MAGIC),
        (0, b'P', Status::BAD_MAGIC),
        (1, 0x01, Status::BAD_VERSION),
        (1, 0x21, Status::BAD_VERSION),
        (1, 0xF0, Status::BAD_VERSION),
        (1, 0x10, Status::BAD_KIND),
        (4, 11, Status::BODY_TOO_LONG),
        (5, 1, Status::BODY_TOO_LONG),
        (7, 0xFF, Status::BODY_TOO_LONG),
        (4, 7, Status::BAD_METADATA_LENGTH),
        (4, 0, Status::BAD_METADATA_LENGTH),
        (30, 11, Status::BAD_METADATA_LENGTH),
        (31, 0xFF, Status::BAD_METADATA_LENGTH),
    ];
    for (offset, byte, status) in table {
        let mut wrong = good;
        wrong[offset] = byte;
        assert_eq!(Header::parse(&wrong, &SMALL), Err(status), "byte {offset} = {byte:#x}");
        assert_eq!(Frame::wanted(&wrong, &SMALL), Err(status), "byte {offset} = {byte:#x}");
        assert_eq!(read(&[&wrong[..], &good].concat(), SMALL), [Item::Broken(status)], "byte {offset} = {byte:#x}");
    }
}

#[test]
fn of_several_faults_the_first_of_the_list_is_named() {
    let limits = Limits { needs_checksum: true, ..SMALL };
    // Byte by byte mended: what is told next.
    let mut bytes = [0; HEADER_LEN];
    bytes[4..8].copy_from_slice(&[11, 0, 0, 0]);
    bytes[30] = 12;
    for (offset, byte, status) in [
        (0, 0x00, Status::BAD_MAGIC),
        (0, 0xC7, Status::BAD_VERSION),
        (1, 0x10, Status::CHECKSUM_MISSING),
        (2, Flags::CRC_TRAILER | Flags::MUST_UNDERSTAND, Status::BODY_TOO_LONG),
        (4, 10, Status::BAD_KIND),
        (1, 0x11, Status::BAD_METADATA_LENGTH),
        (30, 9, Status::UNSUPPORTED_FLAG),
        (2, Flags::CRC_TRAILER, Status::METADATA_TOO_LONG),
    ] {
        bytes[offset] = byte;
        assert_eq!(Header::parse(&bytes, &limits), Err(status), "byte {offset} = {byte:#x}");
    }
    bytes[30] = 8;
    assert!(Header::parse(&bytes, &limits).is_ok());
}

/// Given a frame with something that must not be ignored, then it alone is refused, whatever its kind.
#[test]
fn what_must_be_understood_refuses_one_frame() {
    for kind in KINDS {
        for body in [&b""[..], b"body"] {
            let header = Header {
                flags: Flags(Flags::MUST_UNDERSTAND | Flags::SAMPLED),
                body_len: body.len() as u32,
                ..Header::new(kind, 7)
            };
            let stream = [&header.emit()[..], body, &ping().emit()].concat();
            let expected = [Item::Refused { header, status: Status::UNSUPPORTED_FLAG, left: 0 }, whole(ping())];
            assert_eq!(read(&stream, Limits::DEFAULT), expected, "{kind:?}");
            assert_eq!(Frame::new_checked(&stream, &Limits::DEFAULT), Err(Status::UNSUPPORTED_FLAG), "{kind:?}");
            assert_eq!(Frame::wanted(&stream, &Limits::DEFAULT), Ok(HEADER_LEN + body.len()), "{kind:?}");
        }
    }
}

#[test]
fn more_metadata_than_the_limit_refuses_one_frame() {
    let frame = |metadata_len| Header { body_len: 10, metadata_len, ..Header::new(Kind::Request, 1) };
    assert!(Header::parse(&frame(8).emit(), &SMALL).is_ok());
    let header = frame(9);
    let stream = [&header.emit()[..], &[0; 10], &ping().emit()].concat();
    let expected = [Item::Refused { header, status: Status::METADATA_TOO_LONG, left: 0 }, whole(ping())];
    assert_eq!(read(&stream, SMALL), expected);
}

/// Given a kind that a newer version made up, then it is passed over, unless it says that it must not be.
#[test]
fn an_unknown_kind_is_passed_over_unless_it_must_be_understood() {
    for number in 9..=15 {
        // Its metadata length is not looked at: nobody knows what it means by then.
        let mut unknown = Header { body_len: 4, metadata_len: 9, ..Header::new(Kind::Request, 7) }.emit();
        unknown[1] = 0x10 | number;
        let stream = |unknown: &[u8]| [unknown, b"body", &ping().emit()].concat();
        assert_eq!(
            read(&stream(&unknown), Limits::DEFAULT),
            [Item::Skipped { len: 36, left: 0 }, whole(ping())],
            "{number}"
        );
        assert_eq!(Frame::wanted(&unknown, &Limits::DEFAULT), Ok(36), "{number}");
        assert_eq!(Header::parse(&unknown, &Limits::DEFAULT), Err(Status::BAD_KIND), "{number}");
        unknown[2] = Flags::MUST_UNDERSTAND;
        assert_eq!(read(&stream(&unknown), Limits::DEFAULT), [Item::Broken(Status::BAD_KIND)], "{number}");
        assert_eq!(Frame::wanted(&unknown, &Limits::DEFAULT), Err(Status::BAD_KIND), "{number}");
    }
}

#[test]
fn no_kind_goes_without_a_checksum_where_each_frame_needs_one() {
    let limits = Limits { needs_checksum: true, ..Limits::DEFAULT };
    for number in 0..=15 {
        let mut bytes = ping().emit();
        bytes[1] = 0x10 | number;
        assert_eq!(Header::parse(&bytes, &limits), Err(Status::CHECKSUM_MISSING), "{number}");
        assert_eq!(read(&bytes, limits), [Item::Broken(Status::CHECKSUM_MISSING)], "{number}");
    }
}

#[test]
fn a_frame_of_the_longest_body_has_a_length() {
    let limits = Limits::of_body(u32::MAX);
    let header = Header { body_len: u32::MAX, flags: Flags(Flags::CRC_TRAILER), ..Header::new(Kind::Request, 1) };
    // It is longer than the address space of a 32-bit machine.
    assert_eq!(
        Frame::wanted(&header.emit(), &limits),
        Ok(HEADER_LEN.saturating_add(u32::MAX as usize).saturating_add(4))
    );
    assert_eq!(Frame::new_checked(&header.emit(), &limits), Err(Status::INCOMPLETE));
}

/// Vectors of FNV-1a 32, from the authors' page.
#[test]
fn method_ids_are_fnv1a() {
    assert_eq!(method_id(b""), 0x811c_9dc5);
    assert_eq!(method_id(b"a"), 0xe40c_292c);
    assert_eq!(method_id(b"foobar"), 0xbf9c_f968);
}

fn whole(header: Header) -> Item {
    Item::Frame { header, metadata: vec![], payload: vec![], checksum: None, is_whole: true }
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(header in any_header()) {
        prop_assert_eq!(Header::parse(&header.emit(), &WIDEST), Ok(header));
    }

    /// Given any 32 bytes that are read, then they are written again.
    #[test]
    fn what_is_parsed_is_emitted(mut bytes in any::<[u8; HEADER_LEN]>(), kind in 1u8..=8, metadata_len in 0u8..=16) {
        (bytes[0], bytes[1], bytes[30], bytes[31]) = (0xC7, 0x10 | kind, metadata_len, 0);
        bytes[4..8].copy_from_slice(&[16, 0, 0, 0]);
        bytes[2] &= !Flags::MUST_UNDERSTAND;
        prop_assert_eq!(Header::parse(&bytes, &WIDEST).unwrap().emit(), bytes);
    }
}
