//! gRPC's framing on a warm connection: the HPACK block of a call whose unchanging headers the tables know, the two frame
//! headers, and the five bytes before the message. Without what an HTTP/2 implementation does besides.

use std::hint::black_box;

use httlib_hpack::{Decoder, Encoder};

use crate::Contestant;
use crate::measure::Wanted;
use crate::reference::{BUDGET_MS, BUSINESS_ID, CALLER, METHOD, PAYLOAD, PRIORITY, SERVICE, SPAN_ID, TRACE_ID, UIN};

const FLAGS: u8 = Encoder::BEST_FORMAT | Encoder::WITH_INDEXING | Encoder::HUFFMAN_VALUE;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn headers() -> Vec<(Vec<u8>, Vec<u8>, u8)> {
    let traceparent = format!("00-{}-{}-01", hex(&TRACE_ID), hex(&SPAN_ID));
    let path = format!("/{SERVICE}/{METHOD}");
    let unchanging = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "10.0.0.1:8000"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-bench/1"),
        ("x-mc-caller", CALLER),
    ];
    let [budget, uin, business, priority] =
        [format!("{BUDGET_MS}m"), UIN.to_string(), BUSINESS_ID.to_string(), PRIORITY.to_string()];
    // What differs from call to call is not worth a place in the table.
    let changing = [
        ("grpc-timeout", &budget),
        ("traceparent", &traceparent),
        ("x-mc-uin", &uin),
        ("x-mc-business-id", &business),
        ("x-mc-priority", &priority),
    ];
    let field = |name: &str, value: &str, flags| (name.as_bytes().to_vec(), value.as_bytes().to_vec(), flags);
    let mut all: Vec<_> = unchanging.iter().map(|(name, value)| field(name, value, FLAGS)).collect();
    all.extend(changing.iter().map(|(name, value)| field(name, value, FLAGS & !Encoder::WITH_INDEXING)));
    all
}

fn write(encoder: &mut Encoder<'_>, headers: &[(Vec<u8>, Vec<u8>, u8)], out: &mut Vec<u8>) {
    out.clear();
    // HEADERS, END_HEADERS, stream 1; its length is known afterwards.
    out.extend_from_slice(&[0, 0, 0, 1, 4, 0, 0, 0, 1]);
    for (name, value, flags) in headers {
        encoder.encode((name.clone(), value.clone(), *flags), out).unwrap();
    }
    let [.., high, middle, low] = (out.len() - 9).to_be_bytes();
    out[..3].copy_from_slice(&[high, middle, low]);
    let message_len = PAYLOAD.len() as u8;
    // DATA, END_STREAM, stream 1; not compressed, the message's length.
    out.extend_from_slice(&[0, 0, message_len + 5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, message_len]);
}

pub fn contestants() -> Vec<Contestant<'static>> {
    let (mut encoder, headers, mut first, mut warm) = (Encoder::default(), headers(), Vec::new(), Vec::new());
    write(&mut encoder, &headers, &mut first);
    write(&mut encoder, &headers, &mut warm);
    let block = |frame: &[u8]| frame[9..frame.len() - 14].to_vec();
    let mut decoder = Decoder::default();
    decoder.decode(&mut block(&first), &mut Vec::new()).unwrap();
    let warm_block = block(&warm);
    let writing = move |count| {
        for _ in 0..count {
            write(&mut encoder, black_box(&headers), &mut warm);
            black_box(&warm);
        }
    };
    let reading = move |count| {
        for _ in 0..count {
            let mut fields = Vec::with_capacity(16);
            decoder.decode(&mut black_box(&warm_block).clone(), &mut fields).unwrap();
            black_box(fields);
        }
    };
    vec![
        Contestant::new("grpc-write", "gRPC, warm: HPACK and frame headers, write", Wanted::Nothing, writing),
        Contestant::new("grpc-read", "gRPC, warm: HPACK, read", Wanted::Nothing, reading),
    ]
}
