//! A stream in two kinds of pieces: the same frames come out, no step claims more than it was given, and each frame that is
//! handed out is the one that a reader of the whole buffer finds.
//!
//! The first bytes of the input are the limits and the lengths of the pieces.

#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use mcrpc_core::status::Status;
use mcrpc_core::wire::checksum::{Checksum, TRAILER_LEN};
use mcrpc_core::wire::{Decoder, Event, Flags, Frame, Header, Kind, Limits};

const SETTINGS_LEN: usize = 8;

/// What a consumer has at the end of a frame, or learns instead.
#[derive(Debug, PartialEq)]
enum Seen<'a> {
    /// With its metadata and its payload.
    Frame(Header, &'a [u8], &'a [u8]),
    Refused(Header, Status),
    Broken(Status),
}

fn read(stream: &[u8], limits: Limits, pieces: impl Iterator<Item = usize>) -> Vec<Seen<'_>> {
    let mut decoder = Decoder::new(limits);
    let (mut seen, mut current) = (Vec::new(), None);
    // Pieces follow each other without a gap: put together, they are a part of the stream.
    let join = |part: &mut Range<usize>, piece: &[u8]| {
        let begin = piece.as_ptr() as usize - stream.as_ptr() as usize;
        assert!(!piece.is_empty() && (part.is_empty() || part.end == begin));
        *part = if part.is_empty() { begin } else { part.start }..begin + piece.len();
    };
    let mut rest = stream;
    for len in pieces {
        let (mut piece, behind) = rest.split_at(len.min(rest.len()));
        rest = behind;
        loop {
            let step = match decoder.next(piece) {
                Ok(step) => step,
                Err(status) => {
                    assert_eq!(decoder.next(piece), Err(status), "a broken stream stays broken");
                    seen.push(Seen::Broken(status));
                    return seen;
                }
            };
            piece = &piece[step.used..];
            match step.event {
                None => {
                    assert!(piece.is_empty());
                    break;
                }
                Some(Event::Header(header)) => current = Some((header, 0..0, 0..0)),
                Some(Event::Refused(header, status)) => seen.push(Seen::Refused(header, status)),
                Some(Event::Metadata(bytes)) => join(&mut current.as_mut().unwrap().1, bytes),
                Some(Event::Payload(bytes)) => join(&mut current.as_mut().unwrap().2, bytes),
                Some(Event::Checked | Event::Skipped) => {}
            }
            if step.ends_frame {
                let (header, metadata, payload) = current.take().unwrap();
                if header.kind.has_payload() {
                    assert_eq!(metadata.len() + payload.len(), header.body_len as usize);
                }
                if header.kind == Kind::Request && header.call_id % 2 == 0 {
                    decoder.answered();
                }
                seen.push(Seen::Frame(header, &stream[metadata], &stream[payload]));
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    seen
}

/// Corrects the checksums, which nobody finds by chance.
fn repair(mut stream: &mut [u8], limits: &Limits) {
    while let Ok(len) = Frame::wanted(stream, limits)
        && let Some((frame, behind)) = stream.split_at_mut_checked(len)
    {
        if frame[2] & Flags::CRC_TRAILER != 0 {
            let (checked, trailer) = frame.split_at_mut(len - TRAILER_LEN);
            let mut checksum = Checksum::new();
            checksum.update(checked);
            trailer.copy_from_slice(&checksum.trailer());
        }
        stream = behind;
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((settings, stream)) = input.split_first_chunk::<SETTINGS_LEN>() else { return };
    let limits = Limits {
        max_body_len: u32::from(u16::from_le_bytes([settings[0], settings[1]])),
        max_metadata_len: u16::from(settings[2]),
        max_open_calls: u32::from(settings[3] % 4),
        needs_checksum: settings[4] % 2 == 1,
        ..Limits::DEFAULT
    };
    let mut repaired = Vec::new();
    let stream = if settings[4] & 2 == 0 {
        stream
    } else {
        repaired.extend_from_slice(stream);
        repair(&mut repaired, &limits);
        &repaired
    };
    let whole = read(stream, limits, std::iter::once(stream.len()));
    let pieces = settings[5..].iter().cycle().map(|&len| usize::from(len % 64) + 1);
    assert_eq!(read(stream, limits, pieces), whole);

    if limits.max_open_calls != 0 {
        return;
    }
    let (mut rest, mut seen) = (stream, whole.into_iter());
    while let Ok(len) = Frame::wanted(rest, &limits) {
        let found = Frame::new_checked(rest, &limits);
        if found == Err(Status::INCOMPLETE) || found == Err(Status::BAD_CHECKSUM) || rest.len() < len {
            break;
        }
        match found {
            Ok(frame) => {
                assert_eq!(frame.len, len);
                assert_eq!(seen.next(), Some(Seen::Frame(frame.header, frame.metadata.bytes(), frame.payload)));
            }
            // A frame of an unknown kind is passed over; the stream's reader does not look into metadata.
            Err(Status::BAD_KIND) => {}
            Err(status) => match seen.next() {
                Some(Seen::Refused(_, refused)) => assert_eq!(refused, status),
                Some(Seen::Frame(..)) => {}
                other => panic!("{status:?}, but the stream's reader saw {other:?}"),
            },
        }
        rest = &rest[len..];
    }
});
