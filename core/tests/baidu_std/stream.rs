//! Frames out of a stream that arrives in any pieces, read the way a server would.

use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{Frame, HEADER_LEN, Limits, Meta, Origin, wanted};
use mcrpc_peers::baidu::proto::RpcMeta;
use proptest::prelude::*;
use prost::Message as _;

use crate::frame::request_frame;
use crate::messages::any_meta;

/// A frame with this meta; its attachment, if it has one, is shortened to fit the payload.
fn frame(meta: &RpcMeta, payload: &[u8]) -> Vec<u8> {
    let mut meta = meta.clone();
    meta.attachment_size = meta.attachment_size.map(|size| size.rem_euclid(payload.len() as i32 + 1));
    let bytes = meta.encode_to_vec();
    let parsed = Meta::parse(&bytes).unwrap();
    let mut out = vec![0; 4_096];
    let len = parsed.write(&Origin::default(), parsed.user_fields.iter(), payload.len() as u32, &mut out).unwrap();
    out.truncate(len);
    out.extend_from_slice(payload);
    out
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        frames in prop::collection::vec((any_meta(), prop::collection::vec(any::<u8>(), 0..50)), 1..6),
        cuts in prop::collection::vec(1usize..60, 1..100),
    ) {
        let frames: Vec<_> = frames.iter().map(|(meta, payload)| frame(meta, payload)).collect();
        let stream = frames.concat();
        let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
        let (mut buffer, mut read) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            rest = later;
            buffer.extend_from_slice(piece);
            loop {
                match wanted(&buffer, &Limits::DEFAULT) {
                    Ok(len) if len <= buffer.len() => {
                        let frame = Frame::new_checked(&buffer, &Limits::DEFAULT).unwrap();
                        prop_assert_eq!(Frame::new_checked(&buffer[..len], &Limits::DEFAULT), Ok(frame));
                        read.push(buffer.drain(..len).collect::<Vec<_>>());
                    }
                    Ok(_) | Err(Status::INCOMPLETE) => break,
                    Err(status) => prop_assert!(false, "{:?}", status),
                }
            }
        }
        prop_assert_eq!(read, frames);
        prop_assert!(buffer.is_empty());
    }

    /// Given any bytes, then nothing is read behind them, and an announced length is within the limits.
    #[test]
    fn hostile_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic {
            bytes.splice(0..0, *b"PRPC\0\0");
        }
        let limits = Limits { max_body_len: 1_000, max_meta_len: 500 };
        if let Ok(len) = wanted(&bytes, &limits) {
            prop_assert!(len <= HEADER_LEN + 1_000);
        }
        if let Ok(frame) = Frame::new_checked(&bytes, &limits) {
            prop_assert!(frame.payload.len() + frame.attachment.len() + HEADER_LEN <= bytes.len());
        }
    }
}

#[test]
fn every_flip_of_one_bit_gives_a_frame_or_a_named_refusal() {
    let bytes = request_frame();
    let limits = Limits { max_body_len: 1_000, max_meta_len: 500 };
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let may_be = match bit / 8 {
            0..4 => vec![Status::BAD_MAGIC],
            4..8 => vec![Status::BODY_TOO_LONG, Status::INCOMPLETE, Status::BAD_METADATA_LENGTH, Status::BAD_META],
            8..12 => vec![Status::METADATA_TOO_LONG, Status::BAD_METADATA_LENGTH, Status::BAD_META],
            _ => vec![Status::BAD_META],
        };
        match Frame::new_checked(&flipped, &limits) {
            Ok(frame) => {
                assert!(bit / 8 >= 8, "the body is as long as its header says");
                assert!(frame.payload.len() + frame.attachment.len() + HEADER_LEN <= bytes.len());
            }
            Err(status) => assert!(may_be.contains(&status), "bit {bit}: {status:?}"),
        }
    }
}
