//! Any bytes as a baidu_std frame: it is read or refused, nothing in it fails, and what is written from it is read alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{Frame, HEADER_LEN, Limits, Origin, wanted};

const LIMITS: Limits = Limits { max_body_len: 1 << 16, max_meta_len: 1 << 12 };

fuzz_target!(|bytes: &[u8]| {
    // However many bytes have come, the answer is the same or not there yet.
    let len = wanted(bytes, &LIMITS);
    for prefix in (0..bytes.len().min(HEADER_LEN + 1)).map(|len| &bytes[..len]) {
        let early = wanted(prefix, &LIMITS);
        assert!(early == len || early == Err(Status::INCOMPLETE));
    }
    let frame = match Frame::new_checked(bytes, &LIMITS) {
        Ok(frame) => frame,
        Err(status) => return assert!(status.description().is_some()),
    };
    let len = len.expect("a frame has a length");
    let body = &bytes[..len];
    assert!(body.ends_with(frame.attachment));
    assert!(frame.payload.len() + frame.attachment.len() <= len - HEADER_LEN);
    assert_eq!(Frame::new_checked(body, &LIMITS), Ok(frame));
    assert_eq!(Frame::new_checked(&bytes[..len - 1], &LIMITS), Err(Status::INCOMPLETE));

    let meta = &frame.meta;
    let payload_len = (frame.payload.len() + frame.attachment.len()) as u32;
    for (key, _) in meta.user_fields.iter() {
        assert!(meta.user_fields.get(key).is_some());
    }
    assert_eq!(meta.to_header(payload_len).is_ok(), meta.request.is_some());
    assert_eq!(meta.status().is_ok(), meta.response.is_some());

    // Unknown fields are left out, and of a scalar that comes twice the last is kept: it does not grow by much. Numbers in fewer
    // bytes than the shortest are none, but an entry of a map is written with key and value, and packed numbers one by one.
    let mut out = vec![0; 16 * (bytes.len() + 16)];
    let written = meta.write(&Origin::default(), meta.user_fields.iter(), payload_len, &mut out);
    let written = written.expect("there is room");
    out.truncate(written);
    out.extend_from_slice(frame.payload);
    out.extend_from_slice(frame.attachment);
    assert_eq!(Frame::new_checked(&out, &Limits::DEFAULT), Ok(frame));
});
