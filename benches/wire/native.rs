//! This library's own format: from Rust, and through the shared library as C calls it.

use std::hint::black_box;

use libloading::Library;
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Checksum, Flags, Frame, HEADER_LEN, Header, Kind, Limits, Trace, Writer};
use mcrpc_ffi::bytes::mcrpc_bytes_t;
use mcrpc_ffi::header::mcrpc_header_t;
use mcrpc_ffi::limits::mcrpc_limits_t;
use mcrpc_ffi::metadata::mcrpc_metadata_t;

use crate::Contestant;
use crate::library::find;
use crate::measure::Wanted;
use crate::reference::{BUDGET_MS, BUSINESS_ID, CALL_ID, FULL_NAME, PAYLOAD, PRIORITY, SPAN_ID, TRACE_ID, UIN};

const TRACE: Trace = Trace { trace_id: TRACE_ID, span_id: SPAN_ID, flags: 0 };
/// Room for the head, the payload and the checksum.
const ROOM: usize = 256;

fn header(flags: u8) -> Header {
    Header {
        flags: Flags(flags),
        priority: PRIORITY,
        method_id: method_id(FULL_NAME.as_bytes()),
        uin: UIN,
        budget_ms: BUDGET_MS,
        business_id: BUSINESS_ID,
        ..Header::new(Kind::Request, CALL_ID)
    }
}

/// The head, and the checksum of the whole frame if the flags announce it. What a caller hands to `writev`.
#[inline]
fn write(out: &mut [u8; ROOM], header: &Header, trace: &Trace, payload: &[u8]) -> (usize, [u8; 4]) {
    let mut writer = Writer::new(out);
    writer.trace(trace);
    let len = writer.finish(header, payload.len() as u32).unwrap();
    let mut checksum = Checksum::new();
    if header.flags.contains(Flags::CRC_TRAILER) {
        checksum.update(&out[..len]);
        checksum.update(payload);
    }
    (len, checksum.trailer())
}

fn frame(flags: u8) -> Vec<u8> {
    let mut out = [0; ROOM];
    let (len, trailer) = write(&mut out, &header(flags), &TRACE, &PAYLOAD);
    let trailer = if flags & Flags::CRC_TRAILER == 0 { &[][..] } else { &trailer };
    [&out[..len], &PAYLOAD, trailer].concat()
}

fn writing(flags: u8) -> impl FnMut(u64) {
    let (header, mut out) = (header(flags), [0; ROOM]);
    move |count| {
        for _ in 0..count {
            black_box(write(black_box(&mut out), black_box(&header), black_box(&TRACE), black_box(&PAYLOAD)));
        }
    }
}

/// All that a server asks for: method, user, business, priority, deadline, trace and span, payload.
fn reading(flags: u8) -> impl FnMut(u64) {
    let frame = frame(flags);
    move |count| {
        for _ in 0..count {
            let read = Frame::new_checked(black_box(&frame), black_box(&Limits::DEFAULT)).unwrap();
            let Header { method_id, uin, business_id, priority, budget_ms, call_id, .. } = read.header;
            black_box((method_id, uin, business_id, priority, budget_ms, call_id));
            black_box((read.metadata.trace(), read.payload));
        }
    }
}

type HeadWrite =
    unsafe extern "C" fn(*const mcrpc_header_t, *const mcrpc_metadata_t, u32, *mut u8, usize, *mut usize) -> i32;
type FrameParse = unsafe extern "C" fn(
    *const u8,
    usize,
    *const mcrpc_limits_t,
    *mut mcrpc_header_t,
    *mut mcrpc_metadata_t,
    *mut mcrpc_bytes_t,
    *mut usize,
) -> i32;

pub fn contestants(library: &Library) -> Vec<Contestant<'_>> {
    assert_eq!(frame(0).len(), HEADER_LEN + 26 + PAYLOAD.len());
    // SAFETY: the functions of these names have these signatures, and the library stays open.
    let (head_write, frame_parse) = unsafe {
        (
            std::mem::transmute::<*const (), HeadWrite>(find(library, "mcrpc_head_write")),
            std::mem::transmute::<*const (), FrameParse>(find(library, "mcrpc_frame_parse")),
        )
    };
    let (c_header, frame) = (mcrpc_header_t::from(header(0)), frame(0));
    let sized = mcrpc_metadata_t { struct_size: size_of::<mcrpc_metadata_t>() as u32, ..Default::default() };
    let c_metadata = mcrpc_metadata_t { trace_id: TRACE_ID, span_id: SPAN_ID, ..sized };
    let c_writing = move |count| {
        let (mut out, mut len) = ([0; ROOM], 0);
        for _ in 0..count {
            // SAFETY: all of them are what the function's comment asks for.
            let status = unsafe {
                head_write(&c_header, black_box(&c_metadata), PAYLOAD.len() as u32, out.as_mut_ptr(), ROOM, &mut len)
            };
            assert_eq!((status, len), (0, HEADER_LEN + 26));
            black_box(&out);
        }
    };
    let c_reading = move |count| {
        let (mut header, mut metadata) = (mcrpc_header_t::default(), sized);
        let (mut payload, mut len) = (mcrpc_bytes_t::default(), 0);
        for _ in 0..count {
            let (header, metadata) = (&raw mut header, &raw mut metadata);
            // SAFETY: all of them are what the function's comment asks for.
            let status = unsafe {
                let frame = black_box(&frame);
                frame_parse(frame.as_ptr(), frame.len(), std::ptr::null(), header, metadata, &mut payload, &mut len)
            };
            assert_eq!((status, len), (0, frame.len()));
            black_box((header, metadata));
        }
    };
    vec![
        Contestant::new("native-write", "native: write", Wanted::AtMost(20.0), writing(0)),
        Contestant::new(
            "native-write-crc",
            "native: write, with checksum",
            Wanted::Nothing,
            writing(Flags::CRC_TRAILER),
        ),
        Contestant::new("native-write-c", "native: write, through C", Wanted::Nothing, c_writing),
        Contestant::new("native-read", "native: read", Wanted::AtMost(20.0), reading(0)),
        Contestant::new("native-read-crc", "native: read, with checksum", Wanted::Nothing, reading(Flags::CRC_TRAILER)),
        Contestant::new("native-read-c", "native: read, through C", Wanted::Nothing, c_reading),
    ]
}
