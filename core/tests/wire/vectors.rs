//! The golden vectors of `tests/vectors`: they are read as they say, and what is read is written again to the same bytes.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use mcrpc_core::status::Status;
use mcrpc_core::wire::{Checksum, Flags, HEADER_LEN, Header, Kind, Limits, Metadata, Tag, Writer};

use crate::read::{Item, cut_into_frames, read};

/// One file.
pub struct Vector {
    pub name: String,
    pub limits: Limits,
    pub bytes: Vec<u8>,
    expected: Vec<String>,
}

/// All files, in the order of their names.
pub fn all() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let paths = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut vectors: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| parse(&path.file_stem().unwrap().to_string_lossy(), &fs::read_to_string(&path).unwrap()))
        .collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    vectors
}

fn parse(name: &str, text: &str) -> Vector {
    let mut vector = Vector { name: name.into(), limits: Limits::DEFAULT, bytes: Vec::new(), expected: Vec::new() };
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(limit) = line.strip_prefix("> limit.") {
            assert!(vector.expected.is_empty(), "{name}: limits come first");
            set_limit(&mut vector.limits, limit);
        } else if let Some(expectation) = line.strip_prefix("> ") {
            vector.expected.push(expectation.into());
        } else {
            let digits = line.split(';').next().unwrap().split_whitespace();
            vector.bytes.extend(digits.map(|byte| u8::from_str_radix(byte, 16).expect(line)));
        }
    }
    vector
}

fn set_limit(limits: &mut Limits, limit: &str) {
    let (name, value) = limit.split_once(' ').unwrap();
    let value: u32 = value.parse().unwrap();
    match name {
        "max_body_len" => limits.max_body_len = value,
        "max_metadata_len" => limits.max_metadata_len = value as u16,
        "max_tags" => limits.max_tags = value as u16,
        "max_name_len" => limits.max_name_len = value as u16,
        "max_open_calls" => limits.max_open_calls = value,
        "needs_checksum" => limits.needs_checksum = value != 0,
        _ => panic!("no limit is named {name}"),
    }
}

/// The expectations that the stream fulfils.
fn told(vector: &Vector) -> Vec<String> {
    let mut told = Told(Vec::new());
    for item in read(&vector.bytes, vector.limits) {
        match item {
            Item::Frame { is_whole: false, .. } | Item::Skipped { left: 1.., .. } => {}
            Item::Frame { header, metadata, payload, checksum, .. } => {
                match Metadata::new_checked(&metadata, &vector.limits) {
                    Ok(metadata) => told.frame(&header, &metadata, &payload, checksum.as_deref()),
                    Err(status) if is_refused_alone(header.kind) => told.refused(&header, status),
                    Err(status) => return told.broken(status),
                }
            }
            Item::Refused { header, status, .. } if !is_refused_alone(header.kind) => return told.broken(status),
            Item::Refused { left: 1.., .. } => {}
            Item::Refused { header, status, .. } => told.refused(&header, status),
            Item::Skipped { len, .. } => told.value("skipped", len),
            Item::Broken(status) => return told.broken(status),
        }
    }
    let (_, rest) = cut_into_frames(&vector.bytes, &vector.limits);
    if !rest.is_empty() {
        told.value("incomplete", rest.len());
    }
    told.0
}

/// Whether the connection goes on behind a frame of this kind that is refused.
fn is_refused_alone(kind: Kind) -> bool {
    matches!(kind, Kind::Request | Kind::Response | Kind::OneWay | Kind::Cancel)
}

struct Told(Vec<String>);

impl Told {
    fn value(&mut self, key: &str, value: impl Display) {
        self.0.push(format!("{key} {value}"));
    }

    fn number(&mut self, key: &str, value: impl Into<i128>) {
        let value = value.into();
        if value != 0 {
            self.value(key, value);
        }
    }

    fn bytes(&mut self, key: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.value(key, hex(bytes));
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.value(key, text);
        }
    }

    fn header(&mut self, header: &Header) {
        let is_response = header.kind == Kind::Response;
        self.value("frame", kind_name(header.kind));
        self.number("flags", header.flags.0);
        self.number("priority", header.priority);
        self.number("body_len", header.body_len);
        self.number("call_id", header.call_id);
        if is_response {
            self.number("status", header.status.0)
        } else {
            self.number("method_id", header.method_id)
        }
        self.number("uin", header.uin);
        if is_response {
            self.number("cursor", header.cursor)
        } else {
            self.number("budget_ms", header.budget_ms)
        }
        self.number("business_id", header.business_id);
        self.number("metadata_len", header.metadata_len);
    }

    fn refused(&mut self, header: &Header, status: Status) {
        self.header(header);
        self.value("refused", name_of(status));
    }

    fn broken(mut self, status: Status) -> Vec<String> {
        self.value("broken", name_of(status));
        self.0
    }

    fn frame(&mut self, header: &Header, metadata: &Metadata<'_>, payload: &[u8], checksum: Option<&[u8]>) {
        self.header(header);
        for (tag, value) in metadata.iter() {
            self.tag(tag, value, metadata);
        }
        self.bytes("payload", payload);
        self.bytes("checksum", checksum.unwrap_or_default());
    }

    fn tag(&mut self, tag: Tag, value: &[u8], metadata: &Metadata<'_>) {
        match tag.plain() {
            Tag::CALLER => self.text("tag.caller", metadata.caller()),
            Tag::SERVICE => self.text("tag.service", metadata.service()),
            Tag::METHOD => self.text("tag.method", str::from_utf8(value).unwrap()),
            Tag::ZONE => self.text("tag.zone", metadata.zone()),
            Tag::FEATURES => self.value("tag.features", metadata.features()),
            Tag::ERROR_TEXT => self.text("tag.error_text", metadata.error_text()),
            Tag::REJECT_STATE => {
                self.value("tag.reject_hold_ms", metadata.reject_state().hold_ms);
                self.value("tag.reject_share_per_10k", metadata.reject_state().share_per_10k);
            }
            Tag::WITHHELD => {
                self.value("tag.withheld_count", metadata.withheld().count);
                self.value("tag.withheld_key", metadata.withheld().key.0);
            }
            Tag::COMPRESSION => {
                self.value("tag.compression_algorithm", metadata.compression().algorithm);
                self.value("tag.compression_raw_len", metadata.compression().raw_len);
            }
            Tag::PEER_LIMITS => {
                self.value("tag.peer_max_body_len", metadata.peer_limits().max_body_len);
                self.value("tag.peer_max_open_calls", metadata.peer_limits().max_open_calls);
            }
            Tag::TRACE => {
                self.bytes("tag.trace_id", &metadata.trace().trace_id);
                self.bytes("tag.span_id", &metadata.trace().span_id);
                self.number("tag.trace_flags", metadata.trace().flags);
            }
            Tag::ORIGIN_BUDGET => self.value("tag.origin_budget_ms", metadata.origin_budget_ms()),
            Tag::CALL_GRAPH => self.value("tag.call_graph_id", metadata.call_graph_id()),
            Tag::TICKET => self.bytes("tag.ticket", metadata.ticket()),
            Tag::COOKIE => self.bytes("tag.cookie", metadata.cookie()),
            _ => self.0.push(format!("tag.{:#04x} {}", tag.0, hex(value)).trim_end().into()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::OneWay => "one_way",
        Kind::Hello => "hello",
        Kind::Ping => "ping",
        Kind::Pong => "pong",
        Kind::GoAway => "go_away",
        Kind::Cancel => "cancel",
    }
}

fn name_of(status: Status) -> String {
    status.description().unwrap().name.to_str().unwrap().into()
}

/// Writes metadata anew, each value through the function for its tag.
fn write_anew(metadata: &Metadata<'_>, writer: &mut Writer<'_>) {
    for (tag, value) in metadata.iter() {
        match tag {
            Tag::CALLER => writer.caller(metadata.caller()),
            Tag::SERVICE => writer.service(metadata.service()),
            Tag::METHOD => writer.method(str::from_utf8(value).unwrap()),
            Tag::ZONE => writer.zone(metadata.zone()),
            Tag::FEATURES => writer.features(metadata.features()),
            Tag::ERROR_TEXT => writer.error_text(metadata.error_text()),
            Tag::REJECT_STATE => writer.reject_state(metadata.reject_state()),
            Tag::WITHHELD => writer.withheld(metadata.withheld()),
            Tag::COMPRESSION => writer.compression(metadata.compression()),
            Tag::PEER_LIMITS => writer.peer_limits(metadata.peer_limits()),
            Tag::TRACE => writer.trace(&metadata.trace()),
            Tag::ORIGIN_BUDGET => writer.origin_budget_ms(metadata.origin_budget_ms()),
            Tag::CALL_GRAPH => writer.call_graph_id(metadata.call_graph_id()),
            Tag::TICKET => writer.ticket(metadata.ticket()),
            Tag::COOKIE => writer.cookie(metadata.cookie()),
            _ => writer.tag(tag, value),
        };
    }
}

/// The bytes of one frame.
pub fn written(header: &Header, write: impl FnOnce(&mut Writer<'_>), payload: &[u8]) -> Vec<u8> {
    let mut head = vec![0; HEADER_LEN + usize::from(u16::MAX)];
    let mut writer = Writer::new(&mut head);
    write(&mut writer);
    let len = writer.finish(header, payload.len() as u32).unwrap();
    let mut bytes = [&head[..len], payload].concat();
    if header.flags.contains(Flags::CRC_TRAILER) {
        let mut checksum = Checksum::new();
        checksum.update(&bytes);
        bytes.extend(checksum.trailer());
    }
    bytes
}

#[test]
fn every_vector_is_read_as_it_says() {
    for vector in all() {
        assert_eq!(told(&vector), vector.expected, "{}.txt", vector.name);
    }
}

/// Streams that hold what only another version or a careless sender would write.
const NOT_OURS: [&str; 6] =
    ["newer_sender", "empty_values", "zero_values", "trace_flags", "ignored_bodies", "ignored_payloads"];

#[test]
fn what_is_read_is_written_again_to_the_same_bytes() {
    let mut count = 0;
    for vector in all().iter().filter(|vector| !NOT_OURS.contains(&vector.name.as_str())) {
        let (frames, _) = cut_into_frames(&vector.bytes, &vector.limits);
        let whole = read(&vector.bytes, vector.limits).into_iter().filter_map(|item| match item {
            Item::Frame { header, metadata, payload, is_whole: true, .. } => Some((header, metadata, payload)),
            _ => None,
        });
        for (header, metadata, payload) in whole {
            let Ok(metadata) = Metadata::new_checked(&metadata, &vector.limits) else { continue };
            let bytes = written(&header, |writer| write_anew(&metadata, writer), &payload);
            assert!(frames.contains(&bytes.as_slice()), "{}.txt: {header:?}", vector.name);
            count += 1;
        }
    }
    assert!(count >= 50, "{count} frames");
}

/// Given a status that a frame or a stream can be refused with, then a vector shows it.
#[test]
fn every_way_to_be_refused_has_a_vector() {
    let expected: Vec<_> = all().into_iter().flat_map(|vector| vector.expected).collect();
    let of_frames = -125..=-110;
    let mut statuses: Vec<_> = Status::ALL.iter().map(|entry| entry.status).collect();
    statuses.retain(|status| of_frames.contains(&status.0) || *status == Status::TOO_MANY_OPEN_CALLS);
    assert_eq!(statuses.len(), 17);
    for status in statuses {
        let name = name_of(status);
        let is_shown = expected.contains(&format!("refused {name}")) || expected.contains(&format!("broken {name}"));
        assert!(is_shown, "{name}");
    }
}
