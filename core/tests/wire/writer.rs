//! Writing: what was written reads back equally, nothing is written that a receiver refuses, and nothing outside the buffer.

use mcrpc_core::admission::Key;
use mcrpc_core::status::Status;
use mcrpc_core::wire::metadata::{Compression, PeerLimits, RejectState, Tags, Withheld};
use mcrpc_core::wire::{Frame, HEADER_LEN, Header, Kind, Metadata, Tag, Trace, Writer};
use proptest::prelude::*;

use crate::metadata::{metadata_of, tlv};
use crate::{LONGEST_NAME, TRACE, WIDEST, ping};

/// One value, as a program has it in its hands.
#[derive(Clone, Debug)]
enum Value {
    Caller(String),
    Service(String),
    Method(String),
    Zone(String),
    Features(u32),
    ErrorText(String),
    RejectState(RejectState),
    Withheld(Withheld),
    Compression(Compression),
    PeerLimits(PeerLimits),
    Trace(Trace),
    OriginBudget(u32),
    CallGraph(u64),
    Ticket(Vec<u8>),
    Cookie(Vec<u8>),
    Any(u8, Vec<u8>),
}

impl Value {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Value::Caller(name) => writer.caller(name),
            Value::Service(name) => writer.service(name),
            Value::Method(name) => writer.method(name),
            Value::Zone(name) => writer.zone(name),
            Value::Features(features) => writer.features(*features),
            Value::ErrorText(text) => writer.error_text(text),
            Value::RejectState(state) => writer.reject_state(*state),
            Value::Withheld(withheld) => writer.withheld(*withheld),
            Value::Compression(compression) => writer.compression(*compression),
            Value::PeerLimits(limits) => writer.peer_limits(*limits),
            Value::Trace(trace) => writer.trace(trace),
            Value::OriginBudget(ms) => writer.origin_budget_ms(*ms),
            Value::CallGraph(id) => writer.call_graph_id(*id),
            Value::Ticket(ticket) => writer.ticket(ticket),
            Value::Cookie(cookie) => writer.cookie(cookie),
            Value::Any(tag, value) => writer.tag(Tag(*tag), value),
        };
    }

    /// Whether metadata that it was written into tells it.
    fn is_told_by(&self, metadata: &Metadata<'_>) -> bool {
        match self {
            Value::Caller(name) => metadata.caller() == name,
            Value::Service(name) => metadata.service() == name,
            Value::Method(name) => metadata.iter().any(|(tag, value)| tag == Tag::METHOD && value == name.as_bytes()),
            Value::Zone(name) => metadata.zone() == name,
            Value::Features(features) => metadata.features() == *features,
            Value::ErrorText(text) => metadata.error_text() == text,
            Value::RejectState(state) => metadata.reject_state() == *state,
            Value::Withheld(withheld) => metadata.withheld() == *withheld,
            Value::Compression(compression) => metadata.compression() == *compression,
            Value::PeerLimits(limits) => metadata.peer_limits() == *limits,
            Value::Trace(trace) => metadata.trace() == *trace,
            Value::OriginBudget(ms) => metadata.origin_budget_ms() == *ms,
            Value::CallGraph(id) => metadata.call_graph_id() == *id,
            Value::Ticket(ticket) => metadata.ticket() == ticket,
            Value::Cookie(cookie) => metadata.cookie() == cookie,
            Value::Any(tag, value) => metadata.iter().any(|(told, bytes)| told.0 == *tag && bytes == value),
        }
    }
}

/// Values that are not absent, and that a receiver accepts.
fn good_value() -> impl Strategy<Value = Value> {
    let name = || "[!-~]{1,300}";
    let bytes = || prop::collection::vec(any::<u8>(), 1..300);
    let unknown = prop_oneof![0x0Bu8..=0x1F, 0x25u8..=0x3F, 0x40u8..=0x7F, 0xC0u8..=0xFF];
    prop_oneof![
        name().prop_map(Value::Caller),
        name().prop_map(Value::Service),
        name().prop_map(Value::Method),
        name().prop_map(Value::Zone),
        (1u32..).prop_map(Value::Features),
        "\\PC{1,100}".prop_map(Value::ErrorText),
        (1u16.., any::<u16>())
            .prop_map(|(hold_ms, share_per_10k)| Value::RejectState(RejectState { hold_ms, share_per_10k })),
        (1u32.., any::<u32>()).prop_map(|(count, key)| Value::Withheld(Withheld { count, key: Key(key) })),
        (1u8.., any::<u32>()).prop_map(|(algorithm, raw_len)| Value::Compression(Compression { algorithm, raw_len })),
        (1u32.., any::<u32>()).prop_map(|(max_body_len, max_open_calls)| {
            Value::PeerLimits(PeerLimits { max_body_len, max_open_calls })
        }),
        (any::<[u8; 15]>(), any::<[u8; 8]>(), any::<u8>()).prop_map(|(random, span_id, flags)| {
            let mut trace_id = [1; 16];
            trace_id[1..].copy_from_slice(&random);
            Value::Trace(Trace { trace_id, span_id, flags: flags & !1 })
        }),
        (1u32..).prop_map(Value::OriginBudget),
        (1u64..).prop_map(Value::CallGraph),
        bytes().prop_map(Value::Ticket),
        bytes().prop_map(Value::Cookie),
        (unknown, prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(tag, value)| Value::Any(tag, value)),
    ]
}

/// Good values of which each kind occurs once, but for those that may occur again.
fn good_values() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(good_value(), 0..20).prop_map(|mut values| {
        let mut seen = Vec::new();
        values.retain(|value| {
            let kind = std::mem::discriminant(value);
            let is_new = !seen.contains(&kind);
            seen.push(kind);
            is_new || matches!(value, Value::Method(_) | Value::Any(..))
        });
        values
    })
}

/// Calls of a careless program.
fn any_value() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let text = || prop::string::string_regex("(?s).{0,12}").unwrap();
    prop_oneof![
        4 => good_value(),
        1 => text().prop_map(Value::Caller),
        1 => text().prop_map(Value::Method),
        1 => text().prop_map(Value::ErrorText),
        1 => (any::<u16>(), any::<[u8; 24]>()).prop_map(|(bits, ids)| {
            let (trace_id, span_id) = ids.split_first_chunk().unwrap();
            let keep = |id: u8| if bits & 1 == 0 { id } else { 0 };
            Value::Trace(Trace { trace_id: trace_id.map(keep), span_id: span_id.try_into().unwrap(), flags: 0 })
        }),
        3 => (any::<u8>(), bytes()).prop_map(|(tag, value)| Value::Any(tag, value)),
    ]
}

fn write_all(writer: &mut Writer<'_>, values: &[Value]) {
    for value in values {
        value.write(writer);
    }
}

#[test]
fn a_head_has_no_metadata_unless_it_is_written() {
    let mut out = [0xEE; HEADER_LEN + 1];
    let mut writer = Writer::new(&mut out);
    assert_eq!(writer.wanted(), HEADER_LEN);
    assert_eq!(writer.finish(&ping(), 0), Ok(HEADER_LEN));
    assert_eq!(out, *[&ping().emit()[..], &[0xEE]].concat());
}

/// The lengths in the header that the program gives count for nothing: they are what was written.
#[test]
fn the_lengths_are_those_of_what_is_there() {
    let mut out = [0; 64];
    let header = Header { body_len: 7, metadata_len: 9, ..Header::new(Kind::Request, 1) };
    let len = Writer::new(&mut out).ticket(b"abc").finish(&header, 1_000).unwrap();
    assert_eq!(len, HEADER_LEN + 5);
    let read = Header::parse(out.first_chunk().unwrap(), &WIDEST).unwrap();
    assert_eq!((read.body_len, read.metadata_len), (1_005, 5));
}

#[test]
fn what_no_receiver_would_accept_is_refused_by_name() {
    type Write = fn(&mut Writer<'_>);
    let table: [(&str, Status, Write); 18] = [
        ("tag 0", Status::BAD_TAG, |writer| _ = writer.tag(Tag(0), b"x")),
        ("tag 0x80", Status::BAD_TAG, |writer| _ = writer.tag(Tag(0x80), b"x")),
        ("a short trace", Status::BAD_TAG, |writer| _ = writer.tag(Tag::TRACE, &[7; 23])),
        ("a short u32", Status::BAD_TAG, |writer| _ = writer.tag(Tag::ORIGIN_BUDGET, &[7; 3])),
        ("an empty name", Status::BAD_NAME, |writer| _ = writer.tag(Tag::CALLER, b"")),
        ("a space", Status::BAD_NAME, |writer| _ = writer.caller("a b")),
        ("a new line", Status::BAD_NAME, |writer| _ = writer.service("a\n")),
        ("not ASCII", Status::BAD_NAME, |writer| _ = writer.zone("深圳")),
        ("an escape", Status::BAD_NAME, |writer| _ = writer.method("\x1b[2J")),
        ("half a character", Status::BAD_TEXT, |writer| _ = writer.tag(Tag::ERROR_TEXT, b"\xE5")),
        ("two callers", Status::REPEATED_TAG, |writer| _ = writer.caller("a").caller("a")),
        ("two callers, one critical", Status::REPEATED_TAG, |writer| {
            _ = writer.caller("a").tag(Tag::CALLER.that_must_be_understood(), b"a");
        }),
        ("a ticket twice", Status::REPEATED_TAG, |writer| _ = writer.tag(Tag::TICKET, b"").ticket(b"a")),
        ("a name of 65 536", Status::NAME_TOO_LONG, |writer| _ = writer.caller(&"n".repeat(65_536))),
        ("a value of 65 536", Status::METADATA_TOO_LONG, |writer| _ = writer.cookie(&[0; 65_536])),
        ("a value of 65 535", Status::METADATA_TOO_LONG, |writer| _ = writer.cookie(&[0; 65_535])),
        ("the longest name and a byte", Status::METADATA_TOO_LONG, |writer| {
            _ = writer.caller(&"n".repeat(LONGEST_NAME + 1));
        }),
        ("of two faults the first", Status::BAD_NAME, |writer| _ = writer.caller("a b").tag(Tag(0), b"")),
    ];
    for (case, status, write) in table {
        let mut out = vec![0; 100_000];
        let mut writer = Writer::new(&mut out);
        write(&mut writer);
        assert_eq!(writer.finish(&ping(), 0), Err(status), "{case}");
    }
}

#[test]
fn a_body_is_at_most_a_u32_long() {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    writer.ticket(b"abc");
    assert_eq!(writer.finish(&ping(), u32::MAX - 4), Err(Status::BODY_TOO_LONG));
    assert_eq!(writer.finish(&ping(), u32::MAX - 5), Ok(HEADER_LEN + 5));
}

#[test]
fn the_longest_name_fits_metadata_just_so() {
    let bytes = metadata_of(|writer| _ = writer.caller(&"n".repeat(LONGEST_NAME)));
    assert_eq!(bytes.len(), usize::from(u16::MAX));
    assert_eq!(Metadata::new_checked(&bytes, &WIDEST).unwrap().caller().len(), LONGEST_NAME);
}

/// Given metadata, when it is copied, then it is the same; what the head says itself takes the place of what it copies.
#[test]
fn a_copy_leaves_out_what_the_head_says_itself() {
    let from = [
        tlv(0x81, b"them"),
        tlv(0x03, b"a.B.C"),
        tlv(0x0B, b"new"),
        tlv(0x20, &[7; 30]),
        tlv(0x41, b"1"),
        tlv(0x41, b"2"),
    ];
    let bytes = from.concat();
    let metadata = Metadata::new_checked(&bytes, &WIDEST).unwrap();
    assert_eq!(metadata_of(|writer| _ = writer.copy(&metadata)), bytes);
    let own = metadata_of(|writer| {
        _ = writer.caller("me").method("a.B.D").trace(&TRACE).tag(Tag(0x41), b"3").copy(&metadata)
    });
    let expected = [
        tlv(0x01, b"me"),
        tlv(0x03, b"a.B.D"),
        tlv(0x20, &[&TRACE.trace_id[..], &TRACE.span_id].concat()),
        tlv(0x41, b"3"),
        tlv(0x03, b"a.B.C"),
        tlv(0x0B, b"new"),
        tlv(0x41, b"1"),
        tlv(0x41, b"2"),
    ];
    assert_eq!(own, expected.concat());
}

/// Given metadata with each known tag, when one is to be left out, then all of it is gone from the copy, and nothing else.
#[test]
fn a_copy_leaves_out_what_it_is_told_to() {
    let known: Vec<Tag> = (0..0x80).map(Tag).filter(|tag| tag.is_known()).collect();
    let each = |tags: &[Tag]| tags.iter().flat_map(|tag| tlv(tag.0, &[b'x'; 24])).collect::<Vec<_>>();
    let bytes = [each(&known), each(&[Tag::METHOD, Tag(0x41)])].concat();
    let metadata = Metadata::new_checked(&bytes, &WIDEST).unwrap();
    for gone in &known {
        let copy = metadata_of(|writer| _ = writer.leave_out(*gone).copy(&metadata));
        let kept: Vec<Tag> = metadata.iter().map(|(tag, _)| tag).filter(|tag| tag != gone).collect();
        assert_eq!(copy, each(&kept), "{gone:?}");
    }
    let renamed = metadata_of(|writer| _ = writer.method("a.B.C").leave_out(Tag::METHOD).copy(&metadata));
    assert_eq!(
        Metadata::new_checked(&renamed, &WIDEST).unwrap().iter().filter(|(tag, _)| *tag == Tag::METHOD).count(),
        1
    );
}

#[test]
fn what_a_head_has_copied_it_does_not_say_again() {
    let bytes = tlv(0x01, b"them");
    let metadata = Metadata::new_checked(&bytes, &WIDEST).unwrap();
    let mut out = [0; 64];
    assert_eq!(Writer::new(&mut out).copy(&metadata).caller("me").finish(&ping(), 0), Err(Status::REPEATED_TAG));
    assert_eq!(metadata_of(|writer| _ = writer.copy(&metadata).copy(&metadata)), bytes);
}

#[test]
fn what_travels_onward_and_is_nobodys_business_here_is_copied() {
    let (onward, stays) = ([0x25, 0x3F, 0x60, 0x7F, 0xE0], [0x01, 0x0B, 0x1F, 0x23, 0x24, 0x40, 0x5F, 0xC1]);
    let tags = |numbers: &[u8]| numbers.iter().flat_map(|tag| tlv(*tag, b"value")).collect::<Vec<_>>();
    let bytes = [tags(&stays), tags(&onward), tags(&onward)].concat();
    let copied = metadata_of(|writer| _ = writer.copy_onward(Tags::new(&bytes)));
    assert_eq!(copied, tags(&onward).repeat(2));
}

/// Given tags that nobody has checked, when the last one is cut off, then there is no frame.
#[test]
fn broken_tags_are_not_passed_on() {
    let bytes = [tlv(0x60, b"whole"), vec![0x60, 9, b'c', b'u', b't']].concat();
    let mut out = [0; 100];
    let mut writer = Writer::new(&mut out);
    writer.copy_onward(Tags::new(&bytes));
    assert_eq!(writer.finish(&Header::new(Kind::Request, 1), 0), Err(Status::BAD_TAG));
}

/// Given a tag of a newer version that has to be understood, then nobody who does not passes it on.
#[test]
fn what_had_to_be_understood_is_not_passed_on_unread() {
    let bytes = [tlv(0x60, b"whole"), tlv(0xA5, b"newer"), tlv(0x61, b"behind")].concat();
    let mut out = [0; 100];
    let mut writer = Writer::new(&mut out);
    writer.copy_onward(Tags::new(&bytes));
    assert_eq!(writer.finish(&Header::new(Kind::Request, 1), 0), Err(Status::UNSUPPORTED_TAG));
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equally(values in good_values(), payload in prop::collection::vec(any::<u8>(), 0..50)) {
        let header = Header { uin: 7, ..Header::new(Kind::Request, 1) };
        let bytes = crate::vectors::written(&header, |writer| write_all(writer, &values), &payload);
        let frame = Frame::new_checked(&bytes, &WIDEST).unwrap();
        prop_assert_eq!((frame.payload, frame.len, frame.header.uin), (&payload[..], bytes.len(), 7));
        prop_assert_eq!(frame.metadata.iter().count(), values.len());
        for value in &values {
            prop_assert!(value.is_told_by(&frame.metadata), "{:?} in {:?}", value, frame.metadata);
        }
    }

    /// Given any calls, then there is no frame, or one that a receiver of the widest limits reads. A tag of a newer version
    /// may say that it must be understood: then an older receiver refuses it by that name, as it was asked to.
    #[test]
    fn nothing_is_written_that_a_receiver_refuses(values in prop::collection::vec(any_value(), 0..6)) {
        let mut out = vec![0; 4_000];
        let mut writer = Writer::new(&mut out);
        write_all(&mut writer, &values);
        if let Ok(len) = writer.finish(&Header::new(Kind::Request, 1), 0) {
            let is_newer = |value: &Value| matches!(value, Value::Any(0x8B..=0x9F | 0xA5..=0xBF, _));
            match Frame::new_checked(&out[..len], &WIDEST) {
                Ok(_) => prop_assert!(!values.iter().any(is_newer)),
                Err(status) => {
                    prop_assert_eq!(status, Status::UNSUPPORTED_TAG);
                    prop_assert!(values.iter().any(is_newer));
                }
            }
        }
    }

    /// Given a buffer of any length, then the writer says the same of what it wants, and writes nothing behind it.
    #[test]
    fn a_short_buffer_changes_nothing_but_the_outcome(values in good_values()) {
        let mut whole = vec![0; 10_000];
        let mut writer = Writer::new(&mut whole);
        write_all(&mut writer, &values);
        let wanted = writer.wanted();
        prop_assert_eq!(writer.finish(&ping(), 5), Ok(wanted));
        for len in (0..wanted).rev().take(70).chain(0..wanted.min(70)).chain([wanted, wanted + 1]) {
            let mut out = vec![0xEE; len + 8];
            let (buffer, behind) = out.split_at_mut(len);
            let mut writer = Writer::new(buffer);
            write_all(&mut writer, &values);
            prop_assert_eq!(writer.wanted(), wanted);
            let told = writer.finish(&ping(), 5);
            prop_assert_eq!(told, if len < wanted { Err(Status::TOO_SMALL) } else { Ok(wanted) });
            prop_assert_eq!(&*behind, &[0xEE; 8]);
            if len >= wanted {
                prop_assert_eq!(&buffer[..wanted], &whole[..wanted]);
            }
        }
    }

    /// Given metadata that is valid, then what is copied of it is valid too.
    #[test]
    fn a_copy_is_valid(values in good_values(), own in good_values()) {
        let bytes = metadata_of(|writer| write_all(writer, &values));
        let metadata = Metadata::new_checked(&bytes, &WIDEST).unwrap();
        let copy = metadata_of(|writer| {
            write_all(writer, &own);
            writer.copy(&metadata);
        });
        let copy = Metadata::new_checked(&copy, &WIDEST).unwrap();
        prop_assert!(own.iter().all(|value| value.is_told_by(&copy)));
        let onward = metadata_of(|writer| _ = writer.copy_onward(metadata.iter()));
        prop_assert!(Metadata::new_checked(&onward, &WIDEST).is_ok());
    }
}
