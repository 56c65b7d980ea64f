//! Any RpcMeta that is complete, as prost has it.

use mcrpc_peers::baidu::proto::{ChunkInfo, RpcMeta, RpcRequestMeta, RpcResponseMeta, StreamSettings};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// Numbers of every length on the wire, the largest and smallest among them.
fn any_i64() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
}

fn any_i32() -> impl Strategy<Value = i32> {
    (any::<i32>(), 0u32..32).prop_map(|(value, shift)| value >> shift)
}

/// Short strings, some with letters that take several bytes.
fn any_text() -> impl Strategy<Value = String> {
    "[a-zA-Z.\\PC]{0,20}"
}

fn any_request() -> impl Strategy<Value = RpcRequestMeta> {
    let ids = (option::of(any_i64()), option::of(any_i64()), option::of(any_i64()), option::of(any_i64()));
    let texts = (any_text(), any_text(), option::of(any_text()), option::of(any_text()));
    (texts, ids, option::of(any_i32())).prop_map(|(texts, ids, timeout_ms)| RpcRequestMeta {
        service_name: Some(texts.0),
        method_name: Some(texts.1),
        log_id: ids.0,
        trace_id: ids.1,
        span_id: ids.2,
        parent_span_id: ids.3,
        request_id: texts.2.map(Into::into),
        timeout_ms,
        from_svr_name: texts.3,
    })
}

fn any_response() -> impl Strategy<Value = RpcResponseMeta> {
    (option::of(any_i32()), option::of(any_text()))
        .prop_map(|(error_code, error_text)| RpcResponseMeta { error_code, error_text: error_text.map(Into::into) })
}

fn any_chunk_info() -> impl Strategy<Value = ChunkInfo> {
    (any_i64(), any_i64())
        .prop_map(|(stream_id, chunk_id)| ChunkInfo { stream_id: Some(stream_id), chunk_id: Some(chunk_id) })
}

fn any_stream_settings() -> impl Strategy<Value = StreamSettings> {
    (any_i64(), any::<Option<bool>>(), any::<Option<bool>>(), vec(any_i64(), 0..4)).prop_map(
        |(stream_id, need_feedback, writable, extra_stream_ids)| StreamSettings {
            stream_id: Some(stream_id),
            need_feedback,
            writable,
            extra_stream_ids,
        },
    )
}

/// Any complete message.
pub fn any_meta() -> impl Strategy<Value = RpcMeta> {
    let messages = (
        option::of(any_request()),
        option::of(any_response()),
        option::of(any_chunk_info()),
        option::of(any_stream_settings()),
    );
    let numbers = (option::of(any_i32()), option::of(any_i64()), option::of(any_i32()), option::of(any_i32()));
    let bytes = || option::of(vec(any::<u8>(), 0..12));
    (messages, numbers, option::of(any_i32()), bytes(), bytes(), btree_map(any_text(), any_text(), 0..4)).prop_map(
        |(messages, numbers, attachment_size, authentication_data, checksum_value, user_fields)| RpcMeta {
            request: messages.0,
            response: messages.1,
            compress_type: numbers.0,
            correlation_id: numbers.1,
            attachment_size,
            chunk_info: messages.2,
            authentication_data,
            stream_settings: messages.3,
            user_fields,
            content_type: numbers.2,
            checksum_type: numbers.3,
            checksum_value,
        },
    )
}
