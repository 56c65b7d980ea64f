//! Frames as a later version of the format may write them: by its rules of growth (`docs/wire-format.md`), and no others.

use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use mcrpc_core::wire::metadata::Tags;
use mcrpc_core::wire::writer::write_tag;
use mcrpc_core::wire::{Checksum, Flags, HEADER_LEN, Header, Kind, Limits, Tag};

use super::Version;
use crate::support::frames::read_bytes;

/// Tags that nobody knows yet, or that are the application's.
const ADDED: [(Tag, &[u8]); 7] = [
    (Tag(0x1B), b"for one hop"),
    (Tag(0x3B), b"for all hops"),
    (Tag(0x41), b"the application's, for one hop"),
    (Tag(0x3C), &[0xA5; 300]),
    (Tag(0x61), b"the application's, for all hops"),
    (Tag(0x3B), b"the same again"),
    (Tag(0x3D), b""),
];
/// What known values are longer by.
const APPENDED: [u8; 3] = [0xEE; 3];
/// The call graph that a request without one is part of.
pub const CALL_GRAPH_ID: u64 = 0x1234_5678_9ABC_DEF0;
/// Bit 7 of the features: nobody knows it yet.
const NEW_FEATURE: u8 = 0x80;

/// What has to arrive behind a middle tier, in this order.
pub fn added_onward() -> impl Iterator<Item = (Tag, &'static [u8])> {
    ADDED.into_iter().filter(|(tag, _)| tag.is_onward())
}

/// A frame of this version as a later one writes it, and before it one of a kind that this version does not know.
fn grown(bytes: &[u8]) -> Vec<u8> {
    let header = bytes.first_chunk().and_then(|head| Header::parse(head, &Limits::default()).ok());
    let header = header.expect("what is read is a frame");
    let body = &bytes[HEADER_LEN..][..header.body_len as usize];
    let (metadata, payload) = body.split_at(usize::from(header.metadata_len));
    let metadata = if header.kind.has_metadata() { grown_metadata(header.kind, metadata) } else { metadata.to_vec() };
    let lengths = Header {
        body_len: (metadata.len() + payload.len()) as u32,
        metadata_len: metadata.len().try_into().expect("the test's metadata are short"),
        ..header
    };
    let mut grown = [&lengths.emit()[..], &metadata, payload].concat();
    if header.flags.contains(Flags::CRC_TRAILER) {
        let mut checksum = Checksum::new();
        checksum.update(&grown);
        grown.extend(checksum.trailer());
    }
    [frame_of_unknown_kind(), grown].concat()
}

/// In it only the body length means the same.
fn frame_of_unknown_kind() -> Vec<u8> {
    let mut bytes = Header { body_len: 7, ..Header::new(Kind::Ping, 0) }.emit();
    bytes[1] = bytes[1] & 0xF0 | 12;
    bytes[2] = !(Flags::CRC_TRAILER | Flags::MUST_UNDERSTAND);
    bytes[8..].fill(0xEE);
    [&bytes[..], b"\xC7unread"].concat()
}

fn grown_metadata(kind: Kind, metadata: &[u8]) -> Vec<u8> {
    let mut tags: Vec<(Tag, Vec<u8>)> = Tags::new(metadata).map(|(tag, value)| (tag, value.to_vec())).collect();
    let wanted: &[(Tag, Vec<u8>)] = match kind {
        Kind::Request => &[(Tag::CALL_GRAPH, CALL_GRAPH_ID.to_le_bytes().to_vec())],
        Kind::Response => &[(Tag::REJECT_STATE, vec![1, 0, 0, 0])],
        Kind::Hello => &[(Tag::FEATURES, vec![0; 4])],
        _ => &[],
    };
    for (tag, value) in wanted {
        if tags.iter().all(|(other, _)| other != tag) {
            tags.push((*tag, value.clone()));
        }
    }
    for (tag, value) in &mut tags {
        if *tag == Tag::FEATURES {
            value[0] |= NEW_FEATURE;
        }
        if has_numbers(*tag) {
            value.extend(APPENDED);
        }
    }
    tags.extend(ADDED.map(|(tag, value)| (tag, value.to_vec())));
    let mut grown = Vec::new();
    for (tag, value) in tags {
        let mut bytes = [0; 1024];
        let len = write_tag(tag, &value, &mut bytes).expect("the test's tags are short and valid");
        grown.extend(&bytes[..len]);
    }
    grown
}

/// Names and opaque bytes are all that there is: a longer one is another one.
fn has_numbers(tag: Tag) -> bool {
    let numbers =
        [Tag::FEATURES, Tag::REJECT_STATE, Tag::WITHHELD, Tag::PEER_LIMITS, Tag::ORIGIN_BUDGET, Tag::CALL_GRAPH];
    numbers.contains(&tag)
}

/// Passes frames on to a server of this machine; returns the port of the way there. What the client sends, or the server, is then as
/// its version writes it.
pub fn link(to: u16, from_client: Version, from_server: Version) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { return };
            let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass_on(client, to_server, from_client));
            thread::spawn(move || pass_on(server, to_client, from_server));
        }
    });
    port
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, version: Version) {
    while let Ok(bytes) = read_bytes(&mut from) {
        let bytes = if version == Version::New { grown(&bytes) } else { bytes };
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // Either may have left already.
    let _ = to.shutdown(Shutdown::Write);
}
