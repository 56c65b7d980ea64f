//! All that a stream says, put together again from the decoder's events.

use mcrpc_core::status::Status;
use mcrpc_core::wire::checksum::TRAILER_LEN;
use mcrpc_core::wire::{Decoder, Event, Flags, Frame, Header, Kind, Limits, Metadata};

/// What a receiver makes of a part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame that is handed out.
    Frame { header: Header, metadata: Vec<u8>, payload: Vec<u8>, checksum: Option<Vec<u8>>, is_whole: bool },
    /// A frame that is refused, and how many bytes of it have not been passed over.
    Refused { header: Header, status: Status, left: usize },
    /// A frame of a kind that nobody knows: bytes of it that have been passed over, with its header, and those that have not.
    Skipped { len: usize, left: usize },
    /// The stream ended for this reason.
    Broken(Status),
}

/// Reads `bytes` as they are.
pub fn read(bytes: &[u8], limits: Limits) -> Vec<Item> {
    read_in_pieces(bytes, limits, &[bytes.len()])
}

/// Reads `bytes` in pieces of these lengths, over and over. A request whose metadata is refused is answered at once, others
/// never.
pub fn read_in_pieces(bytes: &[u8], limits: Limits, lengths: &[usize]) -> Vec<Item> {
    let (mut decoder, mut items) = (Decoder::new(limits), Vec::new());
    let (mut at, mut end, mut lengths) = (0, 0, lengths.iter().cycle());
    let mut reported_at = 0;
    while end < bytes.len() {
        end = (end + lengths.next().unwrap()).min(bytes.len());
        loop {
            let step = match decoder.next(&bytes[at..end]) {
                Ok(step) => step,
                Err(status) => {
                    assert_eq!(decoder.next(bytes), Err(status), "a broken stream stays broken");
                    items.push(Item::Broken(status));
                    return items;
                }
            };
            assert!(step.used <= end - at, "it was given {} bytes and used {}", end - at, step.used);
            at += step.used;
            let Some(event) = step.event else {
                assert!(at == end && !step.ends_frame, "without an event all is used, and nothing ends");
                break;
            };
            note(&mut items, event, &bytes[reported_at..at]);
            reported_at = at;
            if step.ends_frame {
                let Some(Item::Frame { header, metadata, is_whole, .. }) = items.last_mut() else {
                    panic!("nothing to end: {items:?}")
                };
                assert!(!*is_whole, "a frame ends once");
                *is_whole = true;
                if header.kind == Kind::Request && Metadata::new_checked(metadata, &limits).is_err() {
                    decoder.answered();
                }
            }
        }
    }
    items
}

/// Adds an event, and all bytes since the one before it.
fn note(items: &mut Vec<Item>, event: Event<'_>, used: &[u8]) {
    match (event, items.last_mut()) {
        (Event::Header(header), _) => {
            let (metadata, payload) = (Vec::new(), Vec::new());
            items.push(Item::Frame { header, metadata, payload, checksum: None, is_whole: false });
        }
        (Event::Metadata(piece), Some(Item::Frame { metadata, payload, is_whole: false, .. })) => {
            assert!(!piece.is_empty() && piece == used && payload.is_empty());
            metadata.extend_from_slice(piece);
        }
        (Event::Payload(piece), Some(Item::Frame { payload, is_whole: false, .. })) => {
            assert!(!piece.is_empty() && piece == used);
            payload.extend_from_slice(piece);
        }
        (Event::Checked, Some(Item::Frame { checksum: checksum @ None, is_whole: false, .. })) => {
            *checksum = Some(used.to_vec());
        }
        (Event::Refused(header, status), _) => {
            let trailer_len = if header.flags.contains(Flags::CRC_TRAILER) { TRAILER_LEN } else { 0 };
            items.push(Item::Refused { header, status, left: header.body_len as usize + trailer_len });
        }
        (Event::Skipped, Some(Item::Frame { header, is_whole: false, .. })) => {
            assert!(!header.kind.has_payload(), "its kind has no use for these bytes");
        }
        (Event::Skipped, Some(Item::Refused { left, .. })) if *left != 0 => {
            *left = left.checked_sub(used.len()).expect("no more is passed over than belongs to it");
        }
        (Event::Skipped, Some(Item::Skipped { len, left })) if *left != 0 => {
            *left = left.checked_sub(used.len()).expect("no more is passed over than belongs to it");
            *len += used.len();
        }
        (Event::Skipped, _) => {
            let frame_len = Frame::wanted(used, &Limits::WIDEST).expect("it begins with its header");
            items.push(Item::Skipped { len: used.len(), left: frame_len - used.len() });
        }
        (event, last) => panic!("{event:?} behind {last:?}"),
    }
}

/// The frames of a stream one behind the other, and what is left when no further one is whole.
pub fn cut_into_frames<'a>(mut bytes: &'a [u8], limits: &Limits) -> (Vec<&'a [u8]>, &'a [u8]) {
    let mut frames = Vec::new();
    while let Ok(wanted) = Frame::wanted(bytes, limits)
        && let Some((frame, rest)) = bytes.split_at_checked(wanted)
    {
        frames.push(frame);
        bytes = rest;
    }
    (frames, bytes)
}
