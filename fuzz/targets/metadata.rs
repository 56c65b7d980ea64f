//! Any bytes as metadata, beside a parser that is as plain as the document: both accept and read the same, and what was
//! accepted can be written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcrpc_core::status::Status;
use mcrpc_core::wire::{HEADER_LEN, Header, Kind, Limits, Metadata, Writer};

const ROOM: usize = 1 << 10;

/// `docs/wire-format.md`, section "Metadata", in the order of its refusals.
fn plain<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Vec<(u8, &'a [u8])>, Status> {
    let mut tags: Vec<(u8, &[u8])> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let tag = bytes[at];
        let short_len = *bytes.get(at + 1).ok_or(Status::BAD_TAG)?;
        let (begin, len) = match (short_len, bytes.get(at + 2), bytes.get(at + 3)) {
            (255, Some(&low), Some(&high)) => (at + 4, usize::from(low) | usize::from(high) << 8),
            (255, ..) => return Err(Status::BAD_TAG),
            (len, ..) => (at + 2, usize::from(len)),
        };
        let number = tag & 0x7F;
        if number == 0 || (short_len == 255 && len < 255) || begin + len > bytes.len() {
            return Err(Status::BAD_TAG);
        }
        if tags.len() == usize::from(limits.max_tags) {
            return Err(Status::TOO_MANY_TAGS);
        }
        let is_known = matches!(number, 1..=10 | 0x20..=0x24);
        if !is_known && number < 0x40 && tag >= 0x80 {
            return Err(Status::UNSUPPORTED_TAG);
        }
        if is_known && number != 3 && tags.iter().any(|(other, _)| other & 0x7F == number) {
            return Err(Status::REPEATED_TAG);
        }
        let value = &bytes[begin..begin + len];
        let least_len = match number {
            1..=4 => {
                if len > usize::from(limits.max_name_len) {
                    return Err(Status::NAME_TOO_LONG);
                }
                if len == 0 || !value.iter().all(|byte| (0x21..=0x7E).contains(byte)) {
                    return Err(Status::BAD_NAME);
                }
                0
            }
            5 | 7 | 0x21 => 4,
            6 if std::str::from_utf8(value).is_err() => return Err(Status::BAD_TEXT),
            8 | 10 | 0x22 => 8,
            9 => 5,
            0x20 => 24,
            _ => 0,
        };
        if len < least_len {
            return Err(Status::BAD_TAG);
        }
        tags.push((tag, value));
        at = begin + len;
    }
    Ok(tags)
}

fuzz_target!(|input: &[u8]| {
    let Some((&[max_tags, max_name_len, room], bytes)) = input.split_first_chunk() else { return };
    let limits = Limits { max_tags: max_tags.into(), max_name_len: max_name_len.into(), ..Limits::DEFAULT };
    if bytes.len() > ROOM - HEADER_LEN {
        return;
    }
    let metadata = match (Metadata::new_checked(bytes, &limits), plain(bytes, &limits)) {
        (Ok(metadata), Ok(tags)) => {
            assert!(metadata.iter().map(|(tag, value)| (tag.0, value)).eq(tags.iter().copied()));
            let value = |number: u8| tags.iter().find(|(tag, _)| tag & 0x7F == number).map(|(_, value)| *value);
            let text = |number| value(number).map_or("", |value| std::str::from_utf8(value).unwrap());
            assert_eq!((metadata.caller(), metadata.service(), metadata.method()), (text(1), text(2), text(3)));
            assert_eq!((metadata.zone(), metadata.error_text()), (text(4), text(6)));
            let bytes = |number| value(number).unwrap_or_default();
            assert_eq!((metadata.ticket(), metadata.cookie()), (bytes(0x23), bytes(0x24)));
            let number = |number, at: usize, len: usize| {
                value(number)
                    .map_or(0, |value| value[at..at + len].iter().rfold(0u64, |sum, &byte| sum << 8 | u64::from(byte)))
            };
            assert_eq!(u64::from(metadata.features()), number(5, 0, 4));
            assert_eq!(u64::from(metadata.reject_state().hold_ms), number(7, 0, 2));
            assert_eq!(u64::from(metadata.reject_state().share_per_10k), number(7, 2, 2));
            assert_eq!(u64::from(metadata.withheld().count), number(8, 0, 4));
            assert_eq!(u64::from(metadata.withheld().key.0), number(8, 4, 4));
            assert_eq!(u64::from(metadata.compression().algorithm), number(9, 0, 1));
            assert_eq!(u64::from(metadata.compression().raw_len), number(9, 1, 4));
            assert_eq!(u64::from(metadata.peer_limits().max_body_len), number(10, 0, 4));
            assert_eq!(u64::from(metadata.peer_limits().max_open_calls), number(10, 4, 4));
            assert_eq!(u64::from(metadata.origin_budget_ms()), number(0x21, 0, 4));
            assert_eq!(metadata.call_graph_id(), number(0x22, 0, 8));
            let trace = bytes(0x20);
            assert_eq!(metadata.trace().trace_id[..], trace.get(..16).unwrap_or(&[0; 16])[..]);
            assert_eq!(metadata.trace().span_id[..], trace.get(16..24).unwrap_or(&[0; 8])[..]);
            assert_eq!(metadata.trace().flags, trace.get(24).copied().unwrap_or(0) & !1);
            metadata
        }
        (ours, plain) => {
            assert_eq!(ours.err(), plain.err());
            return;
        }
    };

    let mut out = [0; ROOM];
    let header = Header::new(Kind::Request, 1);
    let len = Writer::new(&mut out).copy(&metadata).finish(&header, 0).unwrap();
    assert_eq!(&out[HEADER_LEN..len], bytes);

    let mut anew = [0; ROOM];
    let mut writer = Writer::new(&mut anew);
    for (tag, value) in metadata.iter() {
        writer.tag(tag, value);
    }
    assert_eq!(writer.finish(&header, 0), Ok(len));
    assert_eq!(anew, out);

    let mut short = [0xEE; 256];
    let (given, canary) = short.split_at_mut(usize::from(room));
    let mut writer = Writer::new(given);
    writer.copy(&metadata);
    assert_eq!(writer.wanted(), len);
    assert_eq!(writer.finish(&header, 0), if len <= usize::from(room) { Ok(len) } else { Err(Status::TOO_SMALL) });
    assert!(canary.iter().all(|&byte| byte == 0xEE));
});
