//! Every single bit of every vector, changed on its way.

use mcrpc_core::status::Status;
use mcrpc_core::wire::{Checksum, Flags, Frame, HEADER_LEN, Header, Limits, Tag};

use crate::read::{Item, cut_into_frames, read};
use crate::{WIDEST, vectors};

/// The good frames of all vectors, each alone and without a checksum.
fn good_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for vector in vectors::all() {
        let (whole, _) = cut_into_frames(&vector.bytes, &vector.limits);
        for bytes in whole {
            let Ok(frame) = Frame::new_checked(bytes, &vector.limits) else { continue };
            let header = Header { flags: Flags(frame.header.flags.0 & !Flags::CRC_TRAILER), ..frame.header };
            let body = &bytes[HEADER_LEN..][..frame.header.body_len as usize];
            frames.push([&header.emit()[..], body].concat());
        }
    }
    assert!(frames.len() >= 50);
    frames
}

fn with_checksum(frame: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    bytes[2] |= Flags::CRC_TRAILER;
    let mut checksum = Checksum::new();
    checksum.update(&bytes);
    bytes.extend(checksum.trailer());
    bytes
}

fn flipped(frame: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..frame.len() * 8).map(|bit| {
        let mut bytes = frame.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        (bit, bytes)
    })
}

/// Given a frame with a checksum, when any bit of it is changed, then nothing of it is ever acted on, even if more follows
/// than a longer body could want.
#[test]
fn a_changed_bit_is_always_found_where_each_frame_has_a_checksum() {
    let limits = Limits { needs_checksum: true, max_body_len: 1 << 16, ..WIDEST };
    for frame in good_frames().iter().map(|frame| with_checksum(frame)) {
        assert!(Frame::new_checked(&frame, &limits).is_ok());
        for (bit, bytes) in flipped(&frame) {
            let refused = Frame::new_checked(&bytes, &limits).expect_err("a changed bit");
            let followed = [bytes, vec![0xC7; 1 << 17]].concat();
            let refused_with_more = Frame::new_checked(&followed, &limits).expect_err("a changed bit, and more");
            assert!(refused == refused_with_more || refused == Status::INCOMPLETE, "bit {bit} of {frame:?}");
            assert_ne!(refused_with_more, Status::INCOMPLETE, "bit {bit} of {frame:?}");
            assert!(stream_breaks_at_once(&followed, limits), "bit {bit} of {frame:?}");
        }
    }
}

fn stream_breaks_at_once(bytes: &[u8], limits: Limits) -> bool {
    matches!(
        read(bytes, limits)[..],
        [Item::Broken(_)]
            | [Item::Frame { is_whole: false, .. } | Item::Refused { .. } | Item::Skipped { .. }, Item::Broken(_)]
    )
}

/// The fields of a header whose bits lie at a place of it.
fn fields_at(byte: usize, header: &Header) -> [u64; 9] {
    let mut fields = [
        u64::from(header.flags.0),
        header.priority.into(),
        header.body_len.into(),
        header.call_id.into(),
        u64::from(header.method_id) | u64::from(header.status.0.cast_unsigned()),
        header.uin,
        u64::from(header.budget_ms) | u64::from(header.cursor),
        header.business_id.into(),
        header.metadata_len.into(),
    ];
    let changed = match byte {
        0 | 1 => return fields,
        2 => 0,
        3 => 1,
        4..8 => 2,
        8..12 => 3,
        12..16 => 4,
        16..24 => 5,
        24..28 => 6,
        28..30 => 7,
        _ => 8,
    };
    fields[changed] = 0;
    fields
}

/// Given a frame without a checksum, when any bit of its header is changed, then it is refused, or only the field that the bit
/// belongs to is another.
#[test]
fn without_a_checksum_a_changed_bit_of_the_header_changes_its_field_alone() {
    for frame in good_frames() {
        let good = Frame::new_checked(&frame, &WIDEST).unwrap();
        for (bit, bytes) in flipped(&frame).take(HEADER_LEN * 8) {
            let followed = [&bytes[..], &[0; 256]].concat();
            let Ok(bad) = Frame::new_checked(&followed, &WIDEST) else { continue };
            let byte = bit / 8;
            assert_eq!(fields_at(byte, &bad.header), fields_at(byte, &good.header), "bit {bit} of {frame:?}");
            assert_ne!(bad.header, good.header, "bit {bit} of {frame:?}");
            assert!(byte == 1 || bad.header.kind == good.header.kind, "bit {bit} of {frame:?}");
            // Another kind may have no metadata or no payload.
            if byte != 1 && !(4..8).contains(&byte) && byte < 30 {
                assert_eq!((bad.metadata, bad.payload, bad.len), (good.metadata, good.payload, good.len), "bit {bit}");
            }
        }
    }
}

/// Given a frame without a checksum, when any bit of its metadata is changed, then it is refused, or its tags still lie within the
/// metadata and what lay before the bit is as it was.
#[test]
fn without_a_checksum_a_changed_bit_of_the_metadata_stays_in_it() {
    for frame in good_frames() {
        let good = Frame::new_checked(&frame, &WIDEST).unwrap();
        for (bit, bytes) in flipped(&frame).skip(HEADER_LEN * 8) {
            let bad = match Frame::new_checked(&bytes, &WIDEST) {
                Ok(bad) => bad,
                Err(status) => {
                    assert!((Status::BAD_TEXT.0..=Status::BAD_TAG.0).contains(&status.0), "{status:?}: bit {bit}");
                    continue;
                }
            };
            assert_eq!((bad.header, bad.len), (good.header, good.len), "bit {bit} of {frame:?}");
            let place = bit / 8 - HEADER_LEN;
            if place >= good.metadata.bytes().len() {
                assert_eq!(bad.metadata, good.metadata);
                continue;
            }
            assert_eq!(bad.payload, good.payload);
            assert!(tags_before(place, &bad) == tags_before(place, &good), "bit {bit} of {frame:?}");
        }
    }
}

/// The tags that end before a place in the metadata.
fn tags_before<'a>(place: usize, frame: &Frame<'a>) -> Vec<(Tag, &'a [u8])> {
    let begin = frame.metadata.bytes().as_ptr() as usize;
    frame.metadata.iter().take_while(|(_, value)| value.as_ptr() as usize + value.len() - begin <= place).collect()
}
