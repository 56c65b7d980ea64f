//! The native wire format, through its public face.

mod bytes;
mod context;
mod flips;
mod header;
mod hello;
mod metadata;
mod read;
mod seeds;
mod sniff;
mod stream;
mod vectors;
mod versions;
mod writer;

use mcrpc_core::status::Status;
use mcrpc_core::wire::{Flags, Header, Kind, Limits, Trace};
use proptest::prelude::*;

/// What a receiver accepts that bounds nothing but memory.
const WIDEST: Limits = Limits {
    max_body_len: 1 << 20,
    max_metadata_len: u16::MAX,
    max_tags: u16::MAX,
    max_name_len: u16::MAX,
    max_open_calls: 0,
    needs_checksum: false,
};

/// A name so long that nothing else fits the metadata: tag, 255, and two bytes of length are before it.
const LONGEST_NAME: usize = u16::MAX as usize - 4;

/// A trace of no particular meaning.
const TRACE: Trace = Trace {
    trace_id: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    span_id: [21, 22, 23, 24, 25, 26, 27, 28],
    flags: 0,
};

/// The shortest frame.
const fn ping() -> Header {
    Header::new(Kind::Ping, 9)
}

/// A header that is read as it was written, of up to 200 bytes of body, half of them metadata.
fn any_header() -> impl Strategy<Value = Header> {
    let kind = (1u8..=8).prop_map(|number| Kind::from_wire(number).unwrap());
    let numbers = (any::<u8>(), any::<u32>(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u16>());
    (kind, any::<u8>(), numbers, 0u32..200).prop_map(|(kind, flags, numbers, body_len)| {
        let (priority, call_id, code, uin, limit, business_id) = numbers;
        let common = Header {
            flags: Flags(flags & !(Flags::CRC_TRAILER | Flags::MUST_UNDERSTAND)),
            priority,
            body_len,
            uin,
            business_id,
            metadata_len: (body_len / 2) as u16,
            ..Header::new(kind, call_id)
        };
        if kind == Kind::Response {
            Header { status: Status(code.cast_signed()), cursor: limit, ..common }
        } else {
            Header { method_id: code, budget_ms: limit, ..common }
        }
    })
}
