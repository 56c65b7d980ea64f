//! This library's meta as prost's, so that the two can be compared by value.

use mcrpc_core::wire::baidu_std::{ChunkInfo, Meta, RequestMeta, ResponseMeta, StreamSettings};

use super::proto;

/// The same message in prost's terms.
pub fn to_prost(meta: &Meta<'_>) -> proto::RpcMeta {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    proto::RpcMeta {
        request: meta.request.as_ref().map(request),
        response: meta.response.as_ref().map(response),
        compress_type: meta.compress_type,
        correlation_id: meta.correlation_id,
        attachment_size: meta.attachment_size,
        chunk_info: meta.chunk_info.as_ref().map(chunk_info),
        authentication_data: meta.authentication_data.map(<[u8]>::to_vec),
        stream_settings: meta.stream_settings.as_ref().map(stream_settings),
        user_fields: meta.user_fields.iter().map(owned).collect(),
        content_type: meta.content_type,
        checksum_type: meta.checksum_type,
        checksum_value: meta.checksum_value.map(<[u8]>::to_vec),
    }
}

fn request(request: &RequestMeta<'_>) -> proto::RpcRequestMeta {
    proto::RpcRequestMeta {
        service_name: Some(request.service_name.to_owned()),
        method_name: Some(request.method_name.to_owned()),
        log_id: request.log_id,
        trace_id: request.trace_id,
        span_id: request.span_id,
        parent_span_id: request.parent_span_id,
        request_id: request.request_id.map(Into::into),
        timeout_ms: request.timeout_ms,
        from_svr_name: request.from_svr_name.map(str::to_owned),
    }
}

fn response(response: &ResponseMeta<'_>) -> proto::RpcResponseMeta {
    proto::RpcResponseMeta { error_code: response.error_code, error_text: response.error_text.map(Into::into) }
}

fn chunk_info(chunk_info: &ChunkInfo) -> proto::ChunkInfo {
    proto::ChunkInfo { stream_id: Some(chunk_info.stream_id), chunk_id: Some(chunk_info.chunk_id) }
}

fn stream_settings(settings: &StreamSettings<'_>) -> proto::StreamSettings {
    proto::StreamSettings {
        stream_id: Some(settings.stream_id),
        need_feedback: settings.need_feedback,
        writable: settings.writable,
        extra_stream_ids: settings.extra_stream_ids.iter().collect(),
    }
}
