//! The messages that prost accepts and this library refuses, and why.

use mcrpc_core::wire::baidu_std::protobuf::MAX_GROUP_DEPTH;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::proto::RpcMeta;

/// Why a message that prost accepts is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// A required field is missing. prost leaves it to its user to look; protobuf for C++ refuses such a message.
    MissingRequiredField,
    /// Groups are nested deeper than [`MAX_GROUP_DEPTH`]. prost and protobuf for C++ bound them by 100.
    DeepGroups,
}

/// The exception that applies to `bytes`, which prost has decoded as `meta`.
pub fn exception(bytes: &[u8], meta: &RpcMeta) -> Option<Exception> {
    if !is_initialized(meta) {
        return Some(Exception::MissingRequiredField);
    }
    (deepest_group(bytes) > MAX_GROUP_DEPTH).then_some(Exception::DeepGroups)
}

/// Whether every required field is there.
pub fn is_initialized(meta: &RpcMeta) -> bool {
    meta.request.as_ref().is_none_or(|request| request.service_name.is_some() && request.method_name.is_some())
        && meta.chunk_info.as_ref().is_none_or(|chunk| chunk.stream_id.is_some() && chunk.chunk_id.is_some())
        && meta.stream_settings.as_ref().is_none_or(|settings| settings.stream_id.is_some())
}

/// The fields of RpcMeta that are messages themselves. None of those has messages in it.
const MESSAGES: [u32; 5] = [1, 2, 6, 8, 9];

/// How deep groups are nested in a message.
fn deepest_group(mut bytes: &[u8]) -> usize {
    let mut deepest = 0;
    while !bytes.is_empty() {
        let (number, wire_type) = decode_key(&mut bytes).expect("prost has read it");
        if MESSAGES.contains(&number) {
            let len = decode_varint(&mut bytes).expect("prost has read it") as usize;
            let (mut message, rest) = bytes.split_at(len);
            bytes = rest;
            while !message.is_empty() {
                let (number, wire_type) = decode_key(&mut message).expect("prost has read it");
                deepest = deepest.max(skip(&mut message, number, wire_type));
            }
        } else {
            deepest = deepest.max(skip(&mut bytes, number, wire_type));
        }
    }
    deepest
}

/// Skips a field and says how deep groups are nested in it.
fn skip(bytes: &mut &[u8], number: u32, wire_type: WireType) -> usize {
    if wire_type != WireType::StartGroup {
        skip_field(wire_type, number, bytes, DecodeContext::default()).expect("prost has read it");
        return 0;
    }
    let mut deepest = 0;
    loop {
        let (number, wire_type) = decode_key(bytes).expect("prost has read it");
        if wire_type == WireType::EndGroup {
            return deepest + 1;
        }
        deepest = deepest.max(skip(bytes, number, wire_type));
    }
}
