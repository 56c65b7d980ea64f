//! Which protocol a connection speaks, from as few bytes as may be.

use mcrpc_core::wire::{Header, Kind, Protocol, sniff};

/// What a connection begins with, what it speaks, and how many bytes it takes to tell.
const TABLE: [(&[u8], Protocol, usize); 19] = [
    (b"\xC7\x14\0\0", Protocol::Native, 1),
    (b"\xC7\xFF\xFF\xFF", Protocol::Native, 1),
    (b"PRPC\0\0\0\x14", Protocol::BaiduStd, 4),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2, 4),
    (b"GET / HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"POST / HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"PUT / HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"HEAD / HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"DELETE / HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"OPTIONS * HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"PATCH / HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"CONNECT a:1 HTTP/1.1\r\n", Protocol::Http1, 4),
    (b"\x16\x03\x01\x02", Protocol::Unknown, 1),
    (b"\0\0\0\0", Protocol::Unknown, 1),
    (b"get / HTTP/1.1\r\n", Protocol::Unknown, 1),
    (b"GETS key\r\n", Protocol::Unknown, 4),
    (b"PRPX", Protocol::Unknown, 4),
    (b"PRIX", Protocol::Unknown, 4),
    (b"PING\r\n", Protocol::Unknown, 2),
];

#[test]
fn every_prefix_says_what_it_can() {
    for (bytes, protocol, enough) in TABLE {
        for len in 0..=bytes.len() {
            let expected = (len >= enough).then_some(protocol);
            assert_eq!(sniff(&bytes[..len]), expected, "{:?}", bytes[..len].escape_ascii().to_string());
        }
    }
}

#[test]
fn every_frame_is_native() {
    for kind in 1..=8 {
        let bytes = Header::new(Kind::from_wire(kind).unwrap(), 7).emit();
        assert_eq!(sniff(&bytes), Some(Protocol::Native));
    }
}

/// Given any four bytes, then the protocol is told; and once it is told, more bytes do not change it.
#[test]
fn four_bytes_always_suffice() {
    for first in 0..=u8::MAX {
        for second in [0, b'R', b'U', b'O', b'E', b'A', b'P', 0xFF] {
            for third in [0, b'P', b'I', b'T', b'S', 0xFF] {
                for fourth in [0, b'C', b' ', b'T', b'D', 0xFF] {
                    let bytes = [first, second, third, fourth];
                    let told: Vec<_> = (0..=4).filter_map(|len| sniff(&bytes[..len])).collect();
                    assert!(
                        !told.is_empty() && told.iter().all(|protocol| *protocol == told[0]),
                        "{bytes:?}: {told:?}"
                    );
                }
            }
        }
    }
}
