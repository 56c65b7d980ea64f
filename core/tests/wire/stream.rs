//! Frames out of a stream: the same whatever the pieces it arrives in, and nothing of what was changed on its way.

use mcrpc_core::status::Status;
use mcrpc_core::wire::{Checksum, Decoder, Event, Flags, Frame, HEADER_LEN, Header, Kind, Limits, Metadata};
use proptest::prelude::*;

use crate::read::{Item, cut_into_frames, read, read_in_pieces};
use crate::{any_header, ping, vectors};

#[test]
fn every_vector_is_the_same_in_two_pieces_and_byte_by_byte() {
    for vector in vectors::all() {
        let whole = read(&vector.bytes, vector.limits);
        for at in 1..vector.bytes.len() {
            let pieces = [at, vector.bytes.len()];
            assert_eq!(read_in_pieces(&vector.bytes, vector.limits, &pieces), whole, "{}: cut at {at}", vector.name);
        }
        assert_eq!(read_in_pieces(&vector.bytes, vector.limits, &[1]), whole, "{}: byte by byte", vector.name);
        assert_eq!(read_in_pieces(&vector.bytes, vector.limits, &[0, 1]), whole, "{}: with nothing", vector.name);
    }
}

/// What can be acted on, or why it cannot.
type Told = Result<(Header, Vec<u8>, Vec<u8>), Status>;

/// Frame by frame, as the decoder hands them out.
fn told_by_the_decoder(bytes: &[u8], limits: Limits) -> Vec<Told> {
    let told = |item| match item {
        Item::Frame { is_whole: false, .. } => None,
        Item::Frame { header, metadata, payload, .. } => {
            Some(Metadata::new_checked(&metadata, &limits).map(|_| ()).map(|()| (header, metadata, payload)))
        }
        Item::Refused { left: 1.., .. } | Item::Skipped { left: 1.., .. } => None,
        Item::Refused { status, .. } => Some(Err(status)),
        Item::Skipped { .. } => Some(Err(Status::BAD_KIND)),
        Item::Broken(status) => Some(Err(status)),
    };
    read(bytes, limits).into_iter().filter_map(told).collect()
}

/// Frame by frame, as they lie.
fn told_by_the_view(mut bytes: &[u8], limits: Limits) -> Vec<Told> {
    let mut told = Vec::new();
    loop {
        let frame = Frame::new_checked(bytes, &limits);
        if frame == Err(Status::INCOMPLETE) {
            return told;
        }
        let next = Frame::wanted(bytes, &limits);
        told.push(frame.map(|frame| {
            assert_eq!(next, Ok(frame.len));
            (frame.header, frame.metadata.bytes().to_vec(), frame.payload.to_vec())
        }));
        match next {
            Ok(next) if frame != Err(Status::BAD_CHECKSUM) => bytes = &bytes[next..],
            _ => return told,
        }
    }
}

#[test]
fn the_decoder_and_the_view_of_a_frame_agree() {
    // The view does not count calls.
    for vector in vectors::all().iter().filter(|vector| vector.limits.max_open_calls == 0) {
        let (bytes, limits) = (&vector.bytes, vector.limits);
        assert_eq!(told_by_the_view(bytes, limits), told_by_the_decoder(bytes, limits), "{}", vector.name);
    }
}

/// Given a frame that was changed on its way, then nothing else is told of it, whatever the change made of it.
#[test]
fn the_view_looks_at_the_checksum_first() {
    let changes: [(usize, u8); 4] = [(1, 0x19), (2, 0x81), (3, 1), (30, 1)];
    for (at, byte) in changes {
        let mut bytes = checked(b"payload");
        bytes[at] = byte;
        let limits = Limits { max_metadata_len: 0, ..Limits::DEFAULT };
        assert_eq!(Frame::new_checked(&bytes, &limits), Err(Status::BAD_CHECKSUM), "byte {at} = {byte:#x}");
    }
}

/// Given the bytes of a frame but the last, then it is incomplete, at every length.
#[test]
fn a_frame_without_its_end_is_incomplete() {
    for vector in vectors::all() {
        let (frames, _) = cut_into_frames(&vector.bytes, &vector.limits);
        for frame in frames.into_iter().filter(|frame| Frame::new_checked(frame, &vector.limits).is_ok()) {
            for len in 0..frame.len() {
                let told = Frame::new_checked(&frame[..len], &vector.limits);
                assert_eq!(told, Err(Status::INCOMPLETE), "{}: {len} bytes", vector.name);
                let wanted = if len < HEADER_LEN { Err(Status::INCOMPLETE) } else { Ok(frame.len()) };
                assert_eq!(Frame::wanted(&frame[..len], &vector.limits), wanted, "{}: {len} bytes", vector.name);
            }
        }
    }
}

/// Headers that follow each other, with what the decoder makes of each: handed out or refused.
fn taken(decoder: &mut Decoder, headers: &[Header]) -> Vec<Status> {
    let take = |header: &Header| match decoder.next(&header.emit()).unwrap().event.unwrap() {
        Event::Header(read) if read == *header => Status::OK,
        Event::Refused(read, status) if read == *header => status,
        other => panic!("{other:?}"),
    };
    headers.iter().map(take).collect()
}

#[test]
fn a_connection_has_so_many_open_calls_and_no_more() {
    const FULL: Status = Status::TOO_MANY_OPEN_CALLS;
    let mut decoder = Decoder::new(Limits { max_open_calls: 2, ..Limits::DEFAULT });
    let request = |call_id| Header::new(Kind::Request, call_id);

    assert_eq!(taken(&mut decoder, &[request(1), request(2), request(3)]), [Status::OK, Status::OK, FULL]);
    assert_eq!(decoder.open_calls(), 2, "what is refused does not count");
    decoder.answered();
    assert_eq!(taken(&mut decoder, &[request(3), request(4)]), [Status::OK, FULL]);
    decoder.answered();
    decoder.answered();
    decoder.answered();
    assert_eq!(decoder.open_calls(), 0, "one answer too many is no credit");
    assert_eq!(taken(&mut decoder, &[request(5), request(6), request(7)]), [Status::OK, Status::OK, FULL]);
}

#[test]
fn only_requests_are_open_calls() {
    let mut decoder = Decoder::new(Limits { max_open_calls: 1, ..Limits::DEFAULT });
    assert_eq!(taken(&mut decoder, &[Header::new(Kind::Request, 1)]), [Status::OK]);
    for number in 2..=8 {
        let header = Header::new(Kind::from_wire(number).unwrap(), 2);
        assert_eq!(taken(&mut decoder, &[header]), [Status::OK], "{:?}", header.kind);
    }
    let must_understand = Header { flags: Flags(Flags::MUST_UNDERSTAND), ..Header::new(Kind::Request, 3) };
    decoder.answered();
    assert_eq!(taken(&mut decoder, &[must_understand]), [Status::UNSUPPORTED_FLAG]);
    assert_eq!(decoder.open_calls(), 0, "what is refused does not count");
}

#[test]
fn open_calls_without_a_limit_are_not_counted() {
    let mut decoder = Decoder::new(Limits::DEFAULT);
    for call_id in 0..1_000 {
        assert_eq!(taken(&mut decoder, &[Header::new(Kind::Request, call_id)]), [Status::OK]);
    }
    assert_eq!(decoder.open_calls(), 0);
}

/// Given a request that does not fit among the open calls, then its body and checksum pass by.
#[test]
fn the_body_of_a_refused_request_is_passed_over() {
    let limits = Limits { max_open_calls: 1, ..Limits::DEFAULT };
    for flags in [0, Flags::CRC_TRAILER] {
        let request = |call_id| Header {
            flags: Flags(flags),
            body_len: 4,
            metadata_len: 2,
            ..Header::new(Kind::Request, call_id)
        };
        let stream = [frame(&request(1), b"\x40\0pp"), frame(&request(2), b"\x40\0pp"), frame(&ping(), b"")].concat();
        let items = read(&stream, limits);
        let [Item::Frame { is_whole: true, .. }, refused, Item::Frame { header, is_whole: true, .. }] = &items[..]
        else {
            panic!("{items:?}")
        };
        assert_eq!(*refused, Item::Refused { header: request(2), status: Status::TOO_MANY_OPEN_CALLS, left: 0 });
        assert_eq!(header.kind, Kind::Ping);
        for at in 1..stream.len() {
            assert_eq!(read_in_pieces(&stream, limits, &[at, stream.len()]), items, "cut at {at}");
        }
    }
}

/// A frame with its checksum, if the flags announce one.
fn frame(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut bytes = [&header.emit()[..], body].concat();
    if header.flags.contains(Flags::CRC_TRAILER) {
        let mut checksum = Checksum::new();
        checksum.update(&bytes);
        bytes.extend(checksum.trailer());
    }
    bytes
}

fn checked(body: &[u8]) -> Vec<u8> {
    let body_len = body.len() as u32;
    frame(&Header { flags: Flags(Flags::CRC_TRAILER), body_len, ..Header::new(Kind::Request, 1) }, body)
}

#[test]
fn a_checksum_is_that_of_zlib_over_header_and_body() {
    let mut checksum = Checksum::new();
    assert_eq!(checksum.trailer(), [0; 4]);
    checksum.update(b"1234");
    checksum.update(b"");
    checksum.update(b"56789");
    assert_eq!(checksum.trailer(), 0xCBF4_3926u32.to_le_bytes(), "the check value of CRC-32/ISO-HDLC");
}

/// Given a frame of any length whose checksum fits, then its end is told with it; one that does not fit breaks the stream.
#[test]
fn a_frame_ends_with_its_checksum() {
    for body in [&b""[..], b"x", b"payload"] {
        let good = checked(body);
        let mut decoder = Decoder::new(Limits::DEFAULT);
        let (mut at, mut ends) = (0, Vec::new());
        while let step @ mcrpc_core::wire::Step { event: Some(event), .. } = decoder.next(&good[at..]).unwrap() {
            at += step.used;
            ends.push((step.ends_frame, event == Event::Checked));
        }
        assert_eq!((at, ends.pop()), (good.len(), Some((true, true))));
        assert!(ends.iter().all(|end| *end == (false, false)), "{ends:?}");

        for at in HEADER_LEN..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let bad = [&bad[..], &good].concat();
            for piece in 1..=6 {
                let items = read_in_pieces(&bad, Limits::DEFAULT, &[piece]);
                assert!(matches!(items[..], [Item::Frame { is_whole: false, .. }, Item::Broken(Status::BAD_CHECKSUM)]));
            }
            assert_eq!(Frame::new_checked(&bad, &Limits::DEFAULT), Err(Status::BAD_CHECKSUM));
        }
    }
}

/// Given a frame that was changed to a kind that nobody knows, or to one that is refused, then the stream breaks all the same.
#[test]
fn the_checksum_of_what_is_passed_over_is_looked_at_too() {
    for (at, byte) in [(1, 0x19), (2, 0x81)] {
        let mut bytes = checked(b"payload");
        bytes[at] = byte;
        bytes.extend(checked(b"payload"));
        let items = read(&bytes, Limits::DEFAULT);
        let passed_over = match items[0] {
            Item::Skipped { len, .. } => len,
            Item::Refused { status: Status::UNSUPPORTED_FLAG, left, .. } => HEADER_LEN + 7 + 4 - left,
            _ => panic!("{items:?}"),
        };
        assert_eq!((passed_over, &items[1..]), (HEADER_LEN + 7, &[Item::Broken(Status::BAD_CHECKSUM)][..]));
    }
}

/// Given good frames with others between them, then the good ones are all read.
#[test]
fn what_is_refused_or_unknown_between_good_frames_costs_none_of_them() {
    let good = checked(b"payload");
    let mut unknown = Header { body_len: 3, ..Header::new(Kind::Ping, 1) }.emit().to_vec();
    unknown[1] = 0x1B;
    unknown.extend(b"abc");
    let critical = frame(
        &Header {
            flags: Flags(Flags::MUST_UNDERSTAND | Flags::CRC_TRAILER),
            body_len: 3,
            ..Header::new(Kind::OneWay, 1)
        },
        b"abc",
    );
    let fat = Header { body_len: 9_000, metadata_len: 9_000, ..Header::new(Kind::Request, 1) };
    let fat = frame(&fat, &[0x40; 9_000]);
    let stream = [&good[..], &unknown, &good, &critical, &good, &fat, &good].concat();
    for lengths in [&[usize::MAX >> 1][..], &[1], &[7, 1, 33]] {
        let items = read_in_pieces(&stream, Limits::DEFAULT, lengths);
        let good = items.iter().filter(|item| matches!(item, Item::Frame { is_whole: true, checksum: Some(_), .. }));
        let refused = items.iter().filter(|item| matches!(item, Item::Refused { left: 0, .. }));
        assert_eq!((items.len(), good.count(), refused.count()), (7, 4, 2), "{items:?}");
        assert_eq!(items[1], Item::Skipped { len: 35, left: 0 });
    }
}

proptest! {
    /// Given frames cut into any pieces, when they are decoded, then the same headers and bodies come out.
    #[test]
    fn any_split_gives_the_same_frames(
        headers in prop::collection::vec((any_header(), any::<bool>()), 1..8),
        lengths in prop::collection::vec(1usize..70, 1..200),
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (index, (mut header, has_checksum)) in headers.into_iter().enumerate() {
            header.flags.0 |= if has_checksum { Flags::CRC_TRAILER } else { 0 };
            let body: Vec<u8> = (0..header.body_len).map(|at| (at as usize + index) as u8).collect();
            let bytes = frame(&header, &body);
            let checksum = has_checksum.then(|| bytes[bytes.len() - 4..].to_vec());
            let (metadata, payload) = body.split_at(header.metadata_len.into());
            let metadata = if header.kind.has_metadata() { metadata.to_vec() } else { Vec::new() };
            let payload = if header.kind.has_payload() { payload.to_vec() } else { Vec::new() };
            expected.push(Item::Frame { header, metadata, payload, checksum, is_whole: true });
            stream.extend(bytes);
        }
        prop_assert_eq!(read_in_pieces(&stream, Limits::DEFAULT, &lengths), expected);
    }

    #[test]
    fn any_split_of_a_vector_gives_the_same(seed in any::<prop::sample::Index>(), lengths in prop::collection::vec(0usize..50, 1..50)) {
        let vectors = vectors::all();
        let vector = seed.get(&vectors);
        let lengths = [&lengths[..], &[1]].concat();
        prop_assert_eq!(read_in_pieces(&vector.bytes, vector.limits, &lengths), read(&vector.bytes, vector.limits));
    }

    /// Given any bytes at all, then neither the decoder nor the view panics, claims more than it was given, or tells
    /// something else when they come in pieces.
    #[test]
    fn hostile_bytes_are_survived(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        begins_well in any::<bool>(),
        lengths in prop::collection::vec(1usize..40, 1..20),
    ) {
        if begins_well && bytes.len() > 7 {
            bytes[0] = 0xC7;
            bytes[1] = 0x10 | bytes[1] & 0x0F;
            bytes[5..8].fill(0);
        }
        let limits = Limits { max_metadata_len: 50, max_open_calls: 1, ..Limits::of_body(100) };
        prop_assert_eq!(read_in_pieces(&bytes, limits, &lengths), read(&bytes, limits));
        if let Ok(frame) = Frame::new_checked(&bytes, &limits) {
            prop_assert!(frame.len <= bytes.len());
            prop_assert_eq!(Frame::wanted(&bytes, &limits), Ok(frame.len));
        }
    }
}
