//! The frame header and the decoder, through their public face.

mod read;
mod vectors;

use mcrpc_core::status::Status;
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Decoder, Event, Flags, Header, Kind, Limits};
use proptest::prelude::*;

const LIMITS: Limits = Limits { max_metadata_len: u16::MAX, ..Limits::of_body(1 << 20) };

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
    assert_eq!(Header::parse(&bytes, &LIMITS), Ok(request));

    let response = Header { status: Status::BELOW_CURSOR, cursor: 0x0102_0304, ..Header::new(Kind::Response, 1) };
    let bytes = response.emit();
    assert_eq!(bytes[1], 0x12);
    assert_eq!(bytes[12..16], (-217i32).to_le_bytes());
    assert_eq!(bytes[24..28], [4, 3, 2, 1]);
    assert_eq!(Header::parse(&bytes, &LIMITS), Ok(response));
}

#[test]
fn every_wrong_header_is_refused_by_name() {
    let good = Header { body_len: 10, metadata_len: 10, ..Header::new(Kind::Request, 1) }.emit();
    assert!(Header::parse(&good, &Limits::of_body(10)).is_ok());
    let table: [(usize, u8, Status); 7] = [
        (0, b'G', Status::BAD_MAGIC),
        (0, b'P', Status::BAD_MAGIC),
        (1, 0x21, Status::BAD_VERSION),
        (1, 0x10, Status::BAD_KIND),
        (1, 0x10, Status::BAD_KIND),
        (4, 11, Status::BODY_TOO_LONG),
        (30, 11, Status::BAD_METADATA_LENGTH),
    ];
    for (offset, byte, status) in table {
        let mut wrong = good;
        wrong[offset] = byte;
        assert_eq!(Header::parse(&wrong, &Limits::of_body(10)), Err(status), "byte {offset} = {byte:#x}");
        let mut decoder = Decoder::new(Limits::of_body(10));
        assert_eq!(decoder.next(&wrong), Err(status));
        assert_eq!(decoder.next(&good), Err(status), "a broken stream stays broken");
    }
}

/// Vectors of FNV-1a 32, from the authors' page.
#[test]
fn method_ids_are_fnv1a() {
    assert_eq!(method_id(b""), 0x811c_9dc5);
    assert_eq!(method_id(b"a"), 0xe40c_292c);
    assert_eq!(method_id(b"foobar"), 0xbf9c_f968);
}

fn any_header() -> impl Strategy<Value = Header> {
    let kinds = [Kind::Request, Kind::Response, Kind::OneWay, Kind::Hello, Kind::Ping, Kind::Pong, Kind::GoAway];
    let flags = any::<u8>().prop_map(|bits| Flags(bits & !(Flags::CRC_TRAILER | Flags::MUST_UNDERSTAND)));
    (prop::sample::select(kinds.to_vec()), flags, any::<[u8; 24]>(), 0u32..200).prop_map(
        |(kind, flags, random, body_len)| {
            let word = |at: usize| u32::from_le_bytes([random[at], random[at + 1], random[at + 2], random[at + 3]]);
            let response = kind == Kind::Response;
            Header {
                kind,
                flags,
                priority: random[0],
                body_len,
                call_id: word(1),
                method_id: if response { 0 } else { word(5) },
                status: Status(if response { word(5).cast_signed() } else { 0 }),
                uin: u64::from(word(9)) << 20,
                budget_ms: if response { 0 } else { word(13) },
                cursor: if response { word(13) } else { 0 },
                business_id: u16::from(random[17]),
                metadata_len: (body_len / 2) as u16,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(header in any_header()) {
        prop_assert_eq!(Header::parse(&header.emit(), &LIMITS), Ok(header));
    }

    /// Given frames cut into any pieces, when they are decoded, then the same headers and bodies come out.
    #[test]
    fn any_split_gives_the_same_frames(
        frames in prop::collection::vec(any_header(), 1..8),
        cuts in prop::collection::vec(1usize..70, 1..200),
    ) {
        let mut stream = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            stream.extend_from_slice(&frame.emit());
            stream.extend((0..frame.body_len).map(|at| (at as usize + index) as u8));
        }
        let mut decoder = Decoder::new(LIMITS);
        let (mut headers, mut bodies, mut ended) = (Vec::new(), Vec::<Vec<u8>>::new(), 0);
        let mut rest = &stream[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            rest = later;
            let mut input = piece;
            loop {
                let step = decoder.next(input).unwrap();
                input = &input[step.used..];
                match step.event {
                    Some(Event::Header(header)) => {
                        headers.push(header);
                        bodies.push(Vec::new());
                    }
                    Some(Event::Metadata(bytes) | Event::Payload(bytes)) => {
                        prop_assert!(!bytes.is_empty());
                        bodies.last_mut().unwrap().extend_from_slice(bytes);
                    }
                    None => break,
                    other => panic!("{other:?}"),
                }
                ended += usize::from(step.ends_frame);
            }
        }
        prop_assert_eq!(&headers, &frames);
        prop_assert_eq!(ended, frames.len());
        for (index, (body, frame)) in bodies.iter().zip(&frames).enumerate() {
            let wanted: Vec<u8> = (0..frame.body_len).map(|at| (at as usize + index) as u8).collect();
            prop_assert_eq!(body, &wanted);
        }
    }

    /// Given any bytes at all, then the decoder neither panics nor claims more than it was given.
    #[test]
    fn hostile_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic && bytes.len() > 2 {
            (bytes[0], bytes[1], bytes[2]) = (0xC7, 0x11, 0);
        }
        let mut decoder = Decoder::new(Limits::of_body(100));
        let mut input = &bytes[..];
        while let Ok(step) = decoder.next(input) {
            prop_assert!(step.used <= input.len());
            input = &input[step.used..];
            if step.event.is_none() {
                prop_assert!(input.is_empty());
                break;
            }
        }
    }
}
