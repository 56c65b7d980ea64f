//! brpc's format: this library's reader and writer of RpcMeta, and prost's.

use std::collections::BTreeMap;
use std::hint::black_box;

use mcrpc_core::wire::baidu_std::{Frame, HEADER_LEN, Limits, Meta, Origin, RequestMeta};
use mcrpc_peers::baidu::proto::{RpcMeta, RpcRequestMeta};
use prost::Message;

use crate::Contestant;
use crate::measure::Wanted;
use crate::reference::{
    BUDGET_MS, BUSINESS_ID, CALL_ID, CALLER, METHOD, PAYLOAD, PRIORITY, SERVICE, SPAN_ID, TRACE_ID, UIN,
};

/// RpcMeta has room for half of a trace id.
fn trace_id() -> i64 {
    i64::from_be_bytes(*TRACE_ID.last_chunk().unwrap())
}

fn meta() -> Meta<'static> {
    Meta {
        request: Some(RequestMeta {
            trace_id: Some(trace_id()),
            span_id: Some(i64::from_be_bytes(SPAN_ID)),
            timeout_ms: Some(BUDGET_MS as i32),
            from_svr_name: Some(CALLER),
            ..Meta::request(SERVICE, METHOD, 0).request.unwrap()
        }),
        ..Meta::request(SERVICE, METHOD, i64::from(CALL_ID))
    }
}

fn prost_meta() -> RpcMeta {
    let user_fields = [
        ("mc-uin", UIN.to_string()),
        ("mc-business-id", BUSINESS_ID.to_string()),
        ("mc-priority", PRIORITY.to_string()),
    ];
    RpcMeta {
        request: Some(RpcRequestMeta {
            service_name: Some(SERVICE.into()),
            method_name: Some(METHOD.into()),
            trace_id: Some(trace_id()),
            span_id: Some(i64::from_be_bytes(SPAN_ID)),
            timeout_ms: Some(BUDGET_MS as i32),
            from_svr_name: Some(CALLER.into()),
            ..RpcRequestMeta::default()
        }),
        correlation_id: Some(i64::from(CALL_ID)),
        user_fields: user_fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>(),
        ..RpcMeta::default()
    }
}

const ORIGIN: Origin = Origin { uin: UIN, business_id: BUSINESS_ID, priority: PRIORITY };

fn frame() -> Vec<u8> {
    let mut out = [0; 512];
    let len = meta().write(&ORIGIN, std::iter::empty(), PAYLOAD.len() as u32, &mut out).unwrap();
    [&out[..len], &PAYLOAD].concat()
}

pub fn contestants() -> Vec<Contestant<'static>> {
    let (frame, prost_meta) = (frame(), prost_meta());
    let prost_frame = [&frame[..HEADER_LEN], &prost_meta.encode_to_vec(), &PAYLOAD].concat();
    assert_eq!(frame.len(), prost_frame.len());
    let ours = meta();
    let write = move |count| {
        let mut out = [0; 512];
        for _ in 0..count {
            let wanted = black_box(&ours).write(black_box(&ORIGIN), std::iter::empty(), 64, black_box(&mut out));
            _ = black_box(wanted);
        }
    };
    let read = move |count| {
        for _ in 0..count {
            let read = Frame::new_checked(black_box(&frame), &Limits::DEFAULT).unwrap();
            black_box((read.meta.to_header(64).unwrap(), read.payload, read.meta.request));
        }
    };
    // Header and meta; the strings of a request are made anew, as a caller's are.
    let prost_write = {
        let mut out = Vec::with_capacity(512);
        move |count| {
            for _ in 0..count {
                out.clear();
                let meta = self::prost_meta();
                let meta_len = meta.encoded_len() as u32;
                out.extend_from_slice(b"PRPC");
                out.extend_from_slice(&(meta_len + PAYLOAD.len() as u32).to_be_bytes());
                out.extend_from_slice(&meta_len.to_be_bytes());
                meta.encode(&mut out).unwrap();
                black_box(&out);
            }
        }
    };
    let prost_encode = {
        let mut out = Vec::with_capacity(512);
        move |count| {
            for _ in 0..count {
                out.clear();
                black_box(&prost_meta).encode(&mut out).unwrap();
                black_box(&out);
            }
        }
    };
    let prost_read = move |count| {
        for _ in 0..count {
            let [.., m0, m1, m2, m3] = *black_box(&prost_frame).first_chunk::<HEADER_LEN>().unwrap();
            let meta_len = u32::from_be_bytes([m0, m1, m2, m3]) as usize;
            black_box(RpcMeta::decode(&prost_frame[HEADER_LEN..HEADER_LEN + meta_len]).unwrap());
        }
    };
    vec![
        Contestant::new("baidu-write", "baidu_std, ours: write", Wanted::Nothing, write),
        Contestant::new("prost-write", "baidu_std, prost: make and encode RpcMeta", Wanted::Nothing, prost_write),
        Contestant::new("prost-encode", "baidu_std, prost: encode a made RpcMeta", Wanted::Nothing, prost_encode),
        Contestant::new("baidu-read", "baidu_std, ours: read", Wanted::Nothing, read),
        Contestant::new("prost-read", "baidu_std, prost: decode RpcMeta", Wanted::Nothing, prost_read),
    ]
}
