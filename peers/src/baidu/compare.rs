//! This library and prost over the same bytes.

use mcrpc_core::wire::baidu_std::{HEADER_LEN, Meta, Origin, WriteError};
use prost::Message as _;

use super::convert::to_prost;
use super::exception::exception;
use super::proto::RpcMeta;

/// Decodes `bytes` as an RpcMeta with both. Returns whether this library accepted them.
///
/// # Panics
///
/// If one accepts what the other refuses, but for the exceptions in [`super::exception`]; if they read different things; or if what
/// this library writes is not what prost writes.
pub fn decode(bytes: &[u8]) -> bool {
    let (ours, theirs) = (Meta::parse(bytes), RpcMeta::decode(bytes).map(legible));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(exception(bytes, &theirs), None, "accepted: {ours:?}");
            assert_eq!(to_prost(&ours), theirs);
            encode(&ours, &theirs);
            true
        }
        (Err(_), Err(_)) => false,
        (Err(status), Ok(theirs)) => {
            assert!(exception(bytes, &theirs).is_some(), "{status:?}, and prost reads {theirs:?}");
            false
        }
        (Ok(ours), Err(error)) => panic!("{error}, and this library reads {ours:?}"),
    }
}

/// The same, with the texts of which nothing depends as far as they are UTF-8.
pub fn legible(mut meta: RpcMeta) -> RpcMeta {
    let request_id = meta.request.as_mut().and_then(|request| request.request_id.as_mut());
    let error_text = meta.response.as_mut().and_then(|response| response.error_text.as_mut());
    for text in request_id.into_iter().chain(error_text) {
        let legible_len = std::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len);
        text.truncate(legible_len);
    }
    meta
}

/// What this library writes is what prost writes, byte by byte: fields by their numbers, user fields by their keys. But prost
/// leaves an empty key or value of a user field out, where protobuf for C++ and this library write it.
fn encode(ours: &Meta<'_>, theirs: &RpcMeta) {
    // The payload is as long as the announced attachment; a length below 0 is not written.
    let Ok(payload_len) = u32::try_from(ours.attachment_size.unwrap_or(0)) else { return };
    let user_fields = theirs.user_fields.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let write = |out: &mut [u8]| ours.write(&Origin::default(), user_fields.clone(), payload_len, out);
    let Err(WriteError::TooSmall { wanted }) = write(&mut []) else { panic!("there was no room") };
    let mut out = vec![0; wanted];
    assert_eq!(write(&mut out), Ok(wanted));
    let written = &out[HEADER_LEN..];
    assert_eq!(RpcMeta::decode(written).as_ref(), Ok(theirs));
    if theirs.user_fields.iter().all(|(key, value)| !key.is_empty() && !value.is_empty()) {
        assert_eq!(written, theirs.encode_to_vec());
    }
}
