//! Old and new versions talk to each other: three of them, of which two are made up.
//!
//! 1.0 is this library. 1.1 knows two tags more, one of them travelling onward, and a trace of four bytes more. 1.2 knows a
//! third and a fourth tag, the third of which some calls cannot do without, and a kind of frame.

use mcrpc_core::context::Carried;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::metadata::Tags;
use mcrpc_core::wire::{Decoder, Event, Frame, Header, Kind, Limits, Metadata, Tag, Writer};

use crate::read::cut_into_frames;
use crate::vectors::written;
use crate::{TRACE, ping};

/// What a version knows beyond 1.0.
#[derive(Debug)]
struct Version {
    name: &'static str,
    tags: &'static [Tag],
    /// What it appends to a trace.
    of_trace: &'static [u8],
    kind: Option<u8>,
}

const LOCALE: Tag = Tag(0x0B);
const TENANT: Tag = Tag(0x25);
const FENCE: Tag = Tag(0x0C);
const REGION: Tag = Tag(0x26);
const APPLICATIONS: [Tag; 2] = [Tag(0x41), Tag(0x61)];

const VERSIONS: [Version; 3] = [
    Version { name: "1.0", tags: &[], of_trace: b"", kind: None },
    Version { name: "1.1", tags: &[LOCALE, TENANT], of_trace: b"\x02more", kind: None },
    Version { name: "1.2", tags: &[LOCALE, TENANT, FENCE, REGION], of_trace: b"\x02more", kind: Some(9) },
];

/// What a receiver has of one frame.
#[derive(Debug, PartialEq)]
enum Got {
    Call {
        call_id: u32,
        caller: String,
        trace_id: [u8; 16],
        span_id: [u8; 8],
        of_trace: Vec<u8>,
        tags: Vec<(Tag, Vec<u8>)>,
    },
    Refused(Status),
    NewKind,
    PassedOver,
    Ping,
}

impl Version {
    fn knows(&self, tag: Tag) -> bool {
        tag.is_known() || tag.is_application() || self.tags.contains(&tag.plain())
    }

    /// A connection's bytes: a call with all that the version knows, one that it must have understood, its new kind, a ping.
    fn stream(&self) -> Vec<u8> {
        let request = |call_id| Header { budget_ms: 800, ..Header::new(Kind::Request, call_id) };
        let all = written(&request(1), |writer| self.write(writer), b"payload");
        let critical = |writer: &mut Writer<'_>| {
            self.write(writer);
            if self.tags.contains(&FENCE) {
                writer.tag(FENCE.that_must_be_understood(), b"fence");
            }
        };
        let critical = written(&request(2), critical, b"payload");
        let new_kind = self.kind.map(|number| {
            let mut bytes = written(&Header::new(Kind::OneWay, 3), |writer| _ = writer.tag(REGION, b"r"), b"whatever");
            bytes[1] = 0x10 | number;
            bytes
        });
        [all, critical, new_kind.unwrap_or_default(), ping().emit().to_vec()].concat()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let trace = [&TRACE.trace_id[..], &TRACE.span_id, self.of_trace].concat();
        writer.caller("mmproxy").tag(Tag::TRACE, &trace);
        for tag in self.tags.iter().filter(|tag| **tag != FENCE).chain(&APPLICATIONS) {
            writer.tag(*tag, &value_of(*tag));
        }
    }

    /// What it makes of a connection's bytes. What it shares with 1.0 the library does for it.
    fn read(&self, stream: &[u8]) -> Vec<Got> {
        let (frames, rest) = cut_into_frames(stream, &Limits::DEFAULT);
        assert!(rest.is_empty());
        frames.into_iter().map(|bytes| self.read_frame(bytes)).collect()
    }

    fn read_frame(&self, bytes: &[u8]) -> Got {
        if self.kind == Some(bytes[1] & 0x0F) {
            return Got::NewKind;
        }
        // The bit that asks for what this version can do is answered, so 1.0 need not see it.
        let bytes = self.understood(bytes);
        match Frame::new_checked(&bytes, &Limits::DEFAULT) {
            Ok(Frame { header: Header { kind: Kind::Ping, .. }, .. }) => Got::Ping,
            Ok(frame) => self.call(&frame),
            Err(Status::BAD_KIND) => Got::PassedOver,
            Err(status) => Got::Refused(status),
        }
    }

    fn understood(&self, frame: &[u8]) -> Vec<u8> {
        let mut bytes = frame.to_vec();
        let Ok(header) = Header::parse(frame.first_chunk().unwrap(), &Limits::DEFAULT) else { return bytes };
        let begin = frame.len() - header.body_len as usize;
        let mut tags = Tags::new(&frame[begin..begin + usize::from(header.metadata_len)]);
        let mut at = begin;
        while let Some((tag, _)) = tags.next() {
            if self.tags.contains(&tag.plain()) {
                bytes[at] = tag.plain().0;
            }
            at = begin + usize::from(header.metadata_len) - tags.rest().len();
        }
        bytes
    }

    fn call(&self, frame: &Frame<'_>) -> Got {
        let trace = frame.metadata.trace();
        let on_wire = frame.metadata.iter().find(|(tag, _)| *tag == Tag::TRACE).map_or(&b""[..], |(_, value)| value);
        let beyond_1_0 = frame.metadata.iter().filter(|(tag, _)| !tag.is_known() && self.knows(*tag));
        Got::Call {
            call_id: frame.header.call_id,
            caller: frame.metadata.caller().into(),
            trace_id: trace.trace_id,
            span_id: trace.span_id,
            of_trace: if self.of_trace.is_empty() { vec![] } else { on_wire.get(24..).unwrap_or_default().to_vec() },
            tags: beyond_1_0.map(|(tag, value)| (tag, value.to_vec())).collect(),
        }
    }
}

fn value_of(tag: Tag) -> Vec<u8> {
    format!("value of {:#x}", tag.0).into()
}

/// What a receiver should have of the first call of a sender, or of the fence in its second.
fn expected(from: &Version, to: &Version, call_id: u32) -> Got {
    let mut tags: Vec<_> = from.tags.iter().copied().filter(|tag| *tag != FENCE && to.knows(*tag)).collect();
    tags.extend(APPLICATIONS);
    let mut tags: Vec<_> = tags.into_iter().map(|tag| (tag, value_of(tag))).collect();
    if call_id == 2 && from.tags.contains(&FENCE) {
        tags.push((FENCE, b"fence".to_vec()));
    }
    Got::Call {
        call_id,
        caller: "mmproxy".into(),
        trace_id: TRACE.trace_id,
        span_id: TRACE.span_id,
        of_trace: if to.of_trace.is_empty() { vec![] } else { from.of_trace.to_vec() },
        tags,
    }
}

fn pairs() -> impl Iterator<Item = (&'static Version, &'static Version)> {
    VERSIONS.iter().flat_map(|from| VERSIONS.iter().map(move |to| (from, to)))
}

/// Given any two versions, then each call is read as far as both know it, or refused by name if that is not enough, and the
/// connection goes on.
#[test]
fn every_version_reads_every_other() {
    for (from, to) in pairs() {
        let needs_more = from.tags.contains(&FENCE) && !to.knows(FENCE);
        let mut all = vec![expected(from, to, 1)];
        all.push(if needs_more { Got::Refused(Status::UNSUPPORTED_TAG) } else { expected(from, to, 2) });
        all.extend(from.kind.map(|_| if to.kind == from.kind { Got::NewKind } else { Got::PassedOver }));
        all.push(Got::Ping);
        assert_eq!(to.read(&from.stream()), all, "{} to {}", from.name, to.name);
    }
}

/// The connection of an old server, whose decoder sees the frames as they come.
#[test]
fn the_decoder_of_1_0_comes_through_the_stream_of_1_2() {
    let stream = VERSIONS[2].stream();
    let (mut decoder, mut at, mut events) = (Decoder::new(Limits::DEFAULT), 0, Vec::new());
    while let Ok(step) = decoder.next(&stream[at..])
        && let Some(event) = step.event
    {
        at += step.used;
        match event {
            Event::Header(header) => events.push(Ok(header.kind)),
            Event::Metadata(bytes) => events.extend(Metadata::new_checked(bytes, &Limits::DEFAULT).err().map(Err)),
            _ => {}
        }
    }
    let refused = Err(Status::UNSUPPORTED_TAG);
    assert_eq!(events, [Ok(Kind::Request), Ok(Kind::Request), refused, Ok(Kind::Ping)]);
    assert_eq!(at, stream.len());
}

/// Given a proxy between any two versions, then the receiver has all that it would have without it, but for what the proxy says
/// itself.
#[test]
fn a_proxy_loses_nothing_that_it_does_not_know() {
    for (from, to) in pairs() {
        let stream = from.stream();
        let (frames, _) = cut_into_frames(&stream, &Limits::DEFAULT);
        let frame = Frame::new_checked(frames[0], &Limits::DEFAULT).unwrap();
        let passed_on = written(&frame.header, |writer| _ = writer.copy(&frame.metadata), frame.payload);
        assert_eq!(passed_on, frames[0], "{} to {}", from.name, to.name);

        let replaced =
            written(&frame.header, |writer| _ = writer.caller("mmgate").copy(&frame.metadata), frame.payload);
        let mut wanted = expected(from, to, 1);
        if let Got::Call { caller, .. } = &mut wanted {
            "mmgate".clone_into(caller);
        }
        assert_eq!(to.read_frame(&replaced), wanted, "{} to {}", from.name, to.name);
    }
}

/// Given a proxy that does not know what must be understood, then the call ends there by name: it does not pass on what might
/// change the meaning of what it passes on.
#[test]
fn a_proxy_does_not_pass_on_what_must_be_understood_and_is_not() {
    let stream = VERSIONS[2].stream();
    let (frames, _) = cut_into_frames(&stream, &Limits::DEFAULT);
    for proxy in &VERSIONS {
        let is_refused = proxy.read_frame(frames[1]) == Got::Refused(Status::UNSUPPORTED_TAG);
        assert_eq!(is_refused, !proxy.knows(FENCE), "{}", proxy.name);
    }
}

/// Given a server of 1.0 between any two versions, when it makes a call on behalf of the one it got, then what travels onward is
/// there, known to it or not, and what concerned its own call is not. What a newer version appended to the trace is not its to
/// send: the trace is told anew from another span.
#[test]
fn an_onward_call_of_1_0_carries_what_travels_onward() {
    const SPAN: [u8; 8] = [0xB; 8];
    for (from, to) in pairs() {
        let stream = from.stream();
        let (frames, _) = cut_into_frames(&stream, &Limits::DEFAULT);
        let frame = Frame::new_checked(frames[0], &Limits::DEFAULT).unwrap();
        let (carried, now) = (Carried::read(&frame.header, &frame.metadata, Nanos(0)).onward(SPAN), Nanos(0));
        let write = |writer: &mut Writer<'_>| carried.write(now, writer.caller("mmuser"));
        let onward = written(&carried.header(Kind::Request, 1, 0, now), write, b"");
        let mut wanted = expected(from, to, 1);
        if let Got::Call { caller, span_id, of_trace, tags, .. } = &mut wanted {
            "mmuser".clone_into(caller);
            *span_id = SPAN;
            // The one byte that 1.0 knows of it too.
            of_trace.truncate(1);
            tags.retain(|(tag, _)| tag.is_onward());
        }
        assert_eq!(to.read_frame(&onward), wanted, "{} to {}", from.name, to.name);
    }
}
