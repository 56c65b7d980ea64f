//! Metadata: each tag written and read back, each way to be refused, and a naive reader beside the real one.

use std::collections::BTreeSet;

use mcrpc_core::admission::Key;
use mcrpc_core::status::Status;
use mcrpc_core::wire::metadata::{Compression, PeerLimits, RejectState, Tags, Withheld};
use mcrpc_core::wire::{HEADER_LEN, Header, Kind, Limits, Metadata, Tag, Trace, Writer};
use proptest::prelude::*;

use crate::vectors::written;
use crate::{LONGEST_NAME, TRACE, WIDEST};

/// Tag and value as the specification has them, whatever the value.
pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    match u8::try_from(value.len()) {
        Ok(len) if len < 255 => [&[tag, len], value].concat(),
        _ => [&[tag, 255], &(value.len() as u16).to_le_bytes()[..], value].concat(),
    }
}

/// The metadata of a ping.
pub fn metadata_of(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    written(&Header::new(Kind::Ping, 0), write, b"").split_off(HEADER_LEN)
}

fn checked(bytes: &[u8]) -> Metadata<'_> {
    Metadata::new_checked(bytes, &WIDEST).unwrap()
}

fn refusal(bytes: &[u8], limits: &Limits) -> Status {
    Metadata::new_checked(bytes, limits).err().unwrap_or(Status::OK)
}

/// What was written by the function for a tag lies on the wire as the table says, and is read back by its sibling.
macro_rules! round_trips {
    ($($test:ident: $function:ident, $tag:literal, $default:expr, [$($value:expr => $bytes:expr),+ $(,)?];)*) => {$(
        #[test]
        fn $test() {
            assert_eq!(Metadata::EMPTY.$function(), $default);
            $(
                let bytes = metadata_of(|writer| { writer.$function($value); });
                let expected: &[u8] = $bytes;
                assert_eq!(bytes, tlv($tag, expected));
                assert_eq!(checked(&bytes).$function(), $value);
                let critical = tlv($tag | 0x80, expected);
                assert_eq!(checked(&critical).$function(), $value, "must be understood");
                let among_others = [tlv(0x40, b"before"), bytes, tlv(0x60, b"behind")].concat();
                assert_eq!(checked(&among_others).$function(), $value, "among others");
            )+
            let nothing = metadata_of(|writer| { writer.$function($default); });
            assert_eq!(nothing, [], "what reads as absent is not written");
        }
    )*};
}

round_trips! {
    a_caller_is_a_name: caller, 0x01, "", ["mmproxy" => b"mmproxy", "!~" => b"!~"];
    a_service_is_a_name: service, 0x02, "", ["mmuser.UserService" => b"mmuser.UserService"];
    a_method_is_a_name: method, 0x03, "", ["mmuser.UserService.GetProfile" => b"mmuser.UserService.GetProfile"];
    a_zone_is_a_name: zone, 0x04, "", ["sz-1" => b"sz-1"];
    features_are_a_u32: features, 0x05, 0, [0x0102_0304 => &[4, 3, 2, 1], u32::MAX => &[0xFF; 4]];
    an_error_text_is_utf_8: error_text, 0x06, "", ["太多\n" => "太多\n".as_bytes(), "\0" => b"\0"];
    a_reject_state_is_two_u16: reject_state, 0x07, RejectState::default(), [
        RejectState { hold_ms: 300, share_per_10k: 4_250 } => &[0x2C, 0x01, 0x9A, 0x10],
        RejectState { hold_ms: 1, share_per_10k: 0 } => &[1, 0, 0, 0],
    ];
    what_was_withheld_is_two_u32: withheld, 0x08, Withheld::default(), [
        Withheld { count: 3, key: Key(0x0102_0304) } => &[3, 0, 0, 0, 4, 3, 2, 1],
        Withheld { count: u32::MAX, key: Key(0) } => &[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
    ];
    compression_is_a_byte_and_a_u32: compression, 0x09, Compression::default(), [
        Compression { algorithm: 2, raw_len: 4_096 } => &[2, 0, 16, 0, 0],
        Compression { algorithm: 255, raw_len: 0 } => &[255, 0, 0, 0, 0],
    ];
    peer_limits_are_two_u32: peer_limits, 0x0A, PeerLimits::default(), [
        PeerLimits { max_body_len: 1 << 20, max_open_calls: 7 } => &[0, 0, 16, 0, 7, 0, 0, 0],
        PeerLimits { max_body_len: 0, max_open_calls: 7 } => &[0, 0, 0, 0, 7, 0, 0, 0],
        PeerLimits { max_body_len: 7, max_open_calls: 0 } => &[7, 0, 0, 0, 0, 0, 0, 0],
    ];
    an_origin_budget_is_a_u32: origin_budget_ms, 0x21, 0, [1_500 => &[0xDC, 5, 0, 0], u32::MAX => &[0xFF; 4]];
    a_call_graph_is_a_u64: call_graph_id, 0x22, 0, [0x0102_0304_0506_0708 => &[8, 7, 6, 5, 4, 3, 2, 1]];
    a_ticket_is_bytes: ticket, 0x23, b"", [b"\0\xFF" => b"\0\xFF"];
    a_cookie_is_bytes: cookie, 0x24, b"", [b"\0" => b"\0"];
}

#[test]
fn a_trace_is_two_ids_and_perhaps_flags() {
    let ids = [&TRACE.trace_id[..], &TRACE.span_id].concat();
    let table = [
        (TRACE, tlv(0x20, &ids)),
        (Trace { flags: 2, ..TRACE }, tlv(0x20, &[&ids[..], &[2]].concat())),
        (Trace { span_id: [0; 8], ..TRACE }, tlv(0x20, &[&ids[..16], &[0; 8]].concat())),
        (Trace::default(), vec![]),
    ];
    for (trace, expected) in table {
        let bytes = metadata_of(|writer| _ = writer.trace(&trace));
        assert_eq!(bytes, expected);
        assert_eq!(checked(&bytes).trace(), trace);
    }
}

#[test]
fn a_tag_says_in_its_bits_what_it_is() {
    for byte in 0..=u8::MAX {
        let tag = Tag(byte);
        let plain = byte & 0x7F;
        assert_eq!(tag.plain(), Tag(plain));
        assert_eq!(tag.must_be_understood(), byte >= 0x80);
        assert_eq!(tag.that_must_be_understood(), Tag(plain | 0x80));
        assert_eq!(tag.is_application(), plain >= 0x40, "{byte:#x}");
        assert_eq!(tag.is_onward(), matches!(plain, 0x20..=0x3F | 0x60..=0x7F), "{byte:#x}");
        assert_eq!(tag.is_known(), matches!(plain, 0x01..=0x0A | 0x20..=0x24), "{byte:#x}");
    }
}

/// Each tag byte with an empty value, and what a reader of this version makes of it.
#[test]
fn a_tag_without_a_value_is_refused_where_it_means_something() {
    for byte in 0..=u8::MAX {
        let expected = match byte & 0x7F {
            0x00 => Status::BAD_TAG,
            0x01..=0x04 => Status::BAD_NAME,
            0x06 | 0x23 | 0x24 => Status::OK,
            0x01..=0x0A | 0x20..=0x24 => Status::BAD_TAG,
            0x40.. => Status::OK,
            _ if byte >= 0x80 => Status::UNSUPPORTED_TAG,
            _ => Status::OK,
        };
        assert_eq!(refusal(&[byte, 0], &WIDEST), expected, "{byte:#x}");
        // What the limits do not allow is told first.
        let none = Limits { max_tags: 0, ..WIDEST };
        let expected = if byte & 0x7F == 0 { Status::BAD_TAG } else { Status::TOO_MANY_TAGS };
        assert_eq!(refusal(&[byte, 0], &none), expected, "{byte:#x}");
    }
}

/// Known tags whose values have a length that their meaning wants.
const FIXED: [(u8, usize); 8] =
    [(0x05, 4), (0x07, 4), (0x08, 8), (0x09, 5), (0x0A, 8), (0x20, 24), (0x21, 4), (0x22, 8)];

#[test]
fn a_value_may_be_longer_than_its_meaning_wants_but_not_shorter() {
    for (tag, wanted) in FIXED {
        let value: Vec<u8> = (1..=100).collect();
        for len in 0..=value.len() {
            let expected = if len < wanted { Status::BAD_TAG } else { Status::OK };
            assert_eq!(refusal(&tlv(tag, &value[..len]), &WIDEST), expected, "tag {tag:#x}, {len} bytes");
        }
    }
    for len in 0..24 {
        assert_eq!(Trace::from_value(&[1; 24][..len]), Trace::default(), "{len} bytes of a value that nobody checked");
    }
    let longer =
        [FIXED.map(|(tag, wanted)| tlv(tag, &[&[7; 25][..wanted.max(4)], &[9; 300]].concat()))].concat().concat();
    let metadata = checked(&longer);
    assert_eq!((metadata.features(), metadata.origin_budget_ms()), (0x0707_0707, 0x0707_0707));
    assert_eq!(metadata.reject_state(), RejectState { hold_ms: 0x0707, share_per_10k: 0x0707 });
    assert_eq!(metadata.compression(), Compression { algorithm: 7, raw_len: 0x0707_0707 });
    assert_eq!(metadata.withheld(), Withheld { count: 0x0707_0707, key: Key(0x0707_0707) });
    assert_eq!(metadata.trace(), Trace { trace_id: [7; 16], span_id: [7; 8], flags: 8 });
    assert_eq!(metadata.call_graph_id(), 0x0707_0707_0707_0707);
}

#[test]
fn metadata_cut_anywhere_inside_a_tag_is_refused() {
    for value in [&b""[..], b"x", &[7; 254], &[7; 255], &[7; 256]] {
        let whole = tlv(0x40, value);
        for len in 0..whole.len() {
            let expected = if len == 0 { Status::OK } else { Status::BAD_TAG };
            assert_eq!(refusal(&whole[..len], &WIDEST), expected, "{len} of {} bytes", whole.len());
            let behind_another = [&tlv(0x24, b"c"), &whole[..len]].concat();
            assert_eq!(refusal(&behind_another, &WIDEST), expected, "{len} of {} bytes", whole.len());
        }
        assert_eq!(refusal(&whole, &WIDEST), Status::OK);
    }
}

/// A length has one form: two frames that say the same are the same bytes.
#[test]
fn a_length_below_255_in_the_long_form_is_refused() {
    for len in [0u16, 1, 7, 254] {
        let value = vec![7; len.into()];
        let long = [&[0x40, 255][..], &len.to_le_bytes(), &value].concat();
        assert_eq!(refusal(&long, &WIDEST), Status::BAD_TAG, "{len}");
        assert_eq!(refusal(&tlv(0x40, &value), &WIDEST), Status::OK, "{len}");
    }
}

#[test]
fn tag_zero_is_none_even_behind_others() {
    for zero in [0x00, 0x80] {
        assert_eq!(refusal(&[tlv(0x40, b"x"), tlv(zero, b"x")].concat(), &WIDEST), Status::BAD_TAG);
    }
    for number_zero in [0x40, 0x60, 0xC0, 0xE0] {
        assert_eq!(refusal(&tlv(number_zero, b"x"), &WIDEST), Status::OK, "{number_zero:#x} is the application's");
    }
}

/// A value that each known tag accepts.
fn value_for(tag: u8) -> Vec<u8> {
    match FIXED.iter().find(|(number, _)| *number == tag & 0x7F) {
        Some((_, len)) => vec![7; *len],
        None => b"name".to_vec(),
    }
}

#[test]
fn a_known_tag_occurs_once_but_for_the_method() {
    for tag in (0x01..=0x0A).chain(0x20..=0x24) {
        let value = value_for(tag);
        let expected = if tag == 0x03 { Status::OK } else { Status::REPEATED_TAG };
        for (first, second) in [(tag, tag), (tag, tag | 0x80), (tag | 0x80, tag), (tag | 0x80, tag | 0x80)] {
            let twice = [tlv(first, &value), tlv(0x40, b""), tlv(second, &value)].concat();
            assert_eq!(refusal(&twice, &WIDEST), expected, "{first:#x} and {second:#x}");
        }
    }
    for tag in [0x0B, 0x1F, 0x25, 0x3F, 0x40, 0x7F, 0xC0, 0xFF] {
        assert_eq!(refusal(&[tlv(tag, b"a"), tlv(tag, b"a")].concat(), &WIDEST), Status::OK, "{tag:#x}");
    }
}

#[test]
fn of_several_methods_the_first_is_the_method() {
    let bytes = [tlv(0x03, b"a.B.C"), tlv(0x83, b"a.B.D")].concat();
    assert_eq!(checked(&bytes).method(), "a.B.C");
}

#[test]
fn limits_hold_at_their_edges() {
    let tags = |count: usize| tlv(0x40, b"").repeat(count);
    let name = |len: usize| tlv(0x02, &b"n".repeat(len));
    let limits = Limits { max_metadata_len: 20, max_tags: 3, max_name_len: 10, ..WIDEST };
    let table: [(Vec<u8>, Status); 12] = [
        (vec![], Status::OK),
        (tags(3), Status::OK),
        (tags(4), Status::TOO_MANY_TAGS),
        (name(10), Status::OK),
        (name(11), Status::NAME_TOO_LONG),
        (tlv(0x40, &[0; 18]), Status::OK),
        (tlv(0x40, &[0; 19]), Status::METADATA_TOO_LONG),
        ([tags(3), b"\0".to_vec()].concat(), Status::BAD_TAG),
        ([tags(3), name(11)].concat(), Status::TOO_MANY_TAGS),
        ([name(1), tlv(0x82, &[b'n'; 11])].concat(), Status::REPEATED_TAG),
        (tlv(0x02, b"a name too long"), Status::NAME_TOO_LONG),
        (tlv(0x06, &[b't'; 18]), Status::OK),
    ];
    for (bytes, status) in table {
        assert_eq!(refusal(&bytes, &limits), status, "{bytes:?}");
    }
}

#[test]
fn the_widest_limits_bound_nothing_but_the_length() {
    let longest = tlv(0x02, &b"n".repeat(LONGEST_NAME));
    assert_eq!(longest.len(), usize::from(u16::MAX));
    assert_eq!(checked(&longest).service().len(), LONGEST_NAME);
    let most = [tlv(0x40, b"").repeat(32_766), tlv(0x40, b"x")].concat();
    assert_eq!((most.len(), checked(&most).iter().count()), (usize::from(u16::MAX), 32_767));
    assert_eq!(refusal(&[&most[..], b"x"].concat(), &WIDEST), Status::METADATA_TOO_LONG);
    // Known tags at the very end, where offsets are largest.
    let last = [&tlv(0x40, &[0; 65_500])[..], &tlv(0x20, &[7; 24]), &tlv(0x24, b"abc")].concat();
    assert_eq!(last.len(), usize::from(u16::MAX));
    assert_eq!((checked(&last).trace().span_id, checked(&last).cookie()), ([7; 8], &b"abc"[..]));
}

#[test]
fn a_name_is_visible_ascii() {
    for byte in 0..=u8::MAX {
        let expected = if (0x21..=0x7E).contains(&byte) { Status::OK } else { Status::BAD_NAME };
        for name in [&[byte][..], &[b'a', byte], &[byte, b'z']] {
            for tag in 0x01..=0x04 {
                assert_eq!(refusal(&tlv(tag, name), &WIDEST), expected, "tag {tag:#x}, byte {byte:#x}");
            }
        }
    }
}

#[test]
fn an_error_text_is_refused_unless_it_is_utf_8() {
    for text in [&b"\xFF"[..], b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"ab\xE5\xA4"] {
        assert_eq!(refusal(&tlv(0x06, text), &WIDEST), Status::BAD_TEXT, "{text:?}");
    }
    assert_eq!(refusal(&tlv(0x06, "\u{10FFFF}\u{0}".as_bytes()), &WIDEST), Status::OK);
}

/// What a reader of this version makes of metadata, in as many words as the specification.
fn naive(mut bytes: &[u8], limits: &Limits) -> Result<Vec<(u8, Vec<u8>)>, Status> {
    let (mut tags, mut seen) = (Vec::new(), BTreeSet::new());
    if bytes.len() > limits.max_metadata_len.into() {
        return Err(Status::METADATA_TOO_LONG);
    }
    while !bytes.is_empty() {
        let tag = bytes[0];
        let number = tag & 0x7F;
        if number == 0 || bytes.len() < 2 {
            return Err(Status::BAD_TAG);
        }
        let (len, at) = if bytes[1] < 255 {
            (usize::from(bytes[1]), 2)
        } else if bytes.len() < 4 {
            return Err(Status::BAD_TAG);
        } else {
            (usize::from(bytes[2]) + 256 * usize::from(bytes[3]), 4)
        };
        if at == 4 && len < 255 || bytes.len() < at + len {
            return Err(Status::BAD_TAG);
        }
        let value = bytes[at..at + len].to_vec();
        bytes = &bytes[at + len..];
        if tags.len() == usize::from(limits.max_tags) {
            return Err(Status::TOO_MANY_TAGS);
        }
        let is_known = (1..=0x0A).contains(&number) || (0x20..=0x24).contains(&number);
        if !is_known && tag >= 0x80 && number < 0x40 {
            return Err(Status::UNSUPPORTED_TAG);
        }
        if is_known && !seen.insert(number) && number != 3 {
            return Err(Status::REPEATED_TAG);
        }
        let wanted = FIXED.iter().find(|(tag, _)| *tag == number).map_or(0, |(_, wanted)| *wanted);
        if value.len() < wanted {
            return Err(Status::BAD_TAG);
        }
        if (1..=4).contains(&number) {
            if value.len() > limits.max_name_len.into() {
                return Err(Status::NAME_TOO_LONG);
            }
            if value.is_empty() || value.iter().any(|byte| !(33..=126).contains(byte)) {
                return Err(Status::BAD_NAME);
            }
        }
        if number == 6 && String::from_utf8(value.clone()).is_err() {
            return Err(Status::BAD_TEXT);
        }
        tags.push((tag, value));
    }
    Ok(tags)
}

/// Tags that are mostly good, with some that are not, and now and then a byte changed or the end cut off.
fn near_metadata() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![4 => 1u8..=0x0B, 4 => 0x20u8..=0x26, 2 => any::<u8>()];
    let value = prop_oneof![
        6 => prop::collection::vec(b'a'..=b'z', 0..30),
        2 => prop::collection::vec(any::<u8>(), 0..30),
        1 => prop::collection::vec(Just(b'n'), 250..260),
    ];
    let is_critical = prop::bool::weighted(0.2);
    let tags = prop::collection::vec((tag, is_critical, value), 0..6);
    let change = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>(), any::<bool>()));
    (tags, change).prop_map(|(tags, change)| {
        let tags = tags.iter().map(|(tag, is_critical, value)| tlv(tag | if *is_critical { 0x80 } else { 0 }, value));
        let mut bytes = tags.collect::<Vec<_>>().concat();
        if let (Some((at, byte, cuts)), false) = (change, bytes.is_empty()) {
            let at = at.index(bytes.len());
            if cuts { bytes.truncate(at) } else { bytes[at] = byte }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_naive_reader_agrees(
        bytes in prop_oneof![5 => near_metadata(), 1 => prop::collection::vec(any::<u8>(), 0..40)],
        max_tags in 3u16..8,
        max_name_len in 10u16..300,
        max_metadata_len in prop_oneof![1 => 0u16..60, 9 => Just(u16::MAX)],
    ) {
        let limits = Limits { max_metadata_len, max_tags, max_name_len, ..Limits::DEFAULT };
        let expected = naive(&bytes, &limits);
        match Metadata::new_checked(&bytes, &limits) {
            Err(status) => prop_assert_eq!(Err(status), expected),
            Ok(metadata) => {
                let tags: Vec<_> = metadata.iter().map(|(tag, value)| (tag.0, value.to_vec())).collect();
                let first = |number: u8| tags.iter().find(|(tag, _)| tag & 0x7F == number).map(|(_, value)| &value[..]);
                prop_assert_eq!(metadata.caller().as_bytes(), first(1).unwrap_or_default());
                prop_assert_eq!(metadata.method().as_bytes(), first(3).unwrap_or_default());
                prop_assert_eq!(metadata.error_text().as_bytes(), first(6).unwrap_or_default());
                prop_assert_eq!(metadata.cookie(), first(0x24).unwrap_or_default());
                let number = |number| first(number).map_or(0, |value| u32::from_le_bytes(*value.first_chunk().unwrap()));
                prop_assert_eq!(metadata.features(), number(5));
                prop_assert_eq!(metadata.withheld().count, number(8));
                prop_assert_eq!(metadata.origin_budget_ms(), number(0x21));
                let trace_id = first(0x20).map_or([0; 16], |value| *value.first_chunk().unwrap());
                prop_assert_eq!(metadata.trace().trace_id, trace_id);
                prop_assert_eq!(Ok(tags), expected);
            }
        }
    }

    /// Given bytes that nobody has checked, then their tags end at the first that is broken, and nothing is lost.
    #[test]
    fn unchecked_tags_end_where_they_break(bytes in near_metadata()) {
        let mut tags = Tags::new(&bytes);
        let read: Vec<_> = tags.by_ref().map(|(tag, value)| tlv(tag.0, value)).collect();
        prop_assert_eq!([&read.concat()[..], tags.rest()].concat(), &bytes[..]);
        prop_assert_eq!(tags.next(), None);
    }
}

#[test]
fn what_is_not_said_is_the_default() {
    assert_eq!(Metadata::default(), Metadata::EMPTY);
    assert_eq!(Limits::default(), Limits::DEFAULT);
    assert_eq!(mcrpc_core::wire::baidu_std::Limits::default(), mcrpc_core::wire::baidu_std::Limits::DEFAULT);
}
