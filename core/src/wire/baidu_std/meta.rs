//! RpcMeta: what a frame says about itself, as brpc publishes it.
//!
//! One parse validates everything: the encoding, the UTF-8 of every string, the required fields. After it the fields are
//! plain values and views of the parsed bytes, and nothing can fail. As protobuf has it, the last of equal scalars wins, parts of
//! one message are merged, and fields that nobody knows are skipped.

use super::packed::PackedMeta;
use super::repeated::{ExtraStreamIds, UserFields};
use crate::status::Status;

/// What a frame says about itself. `None` is what its writer left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Meta<'a> {
    /// There in a request.
    pub request: Option<RequestMeta<'a>>,
    /// There in a response.
    pub response: Option<ResponseMeta<'a>>,
    /// How the payload is compressed: 0 not, 1 snappy, 2 gzip, 3 zlib, 4 lz4.
    pub compress_type: Option<i32>,
    /// Chosen by the caller, and returned in the response.
    pub correlation_id: Option<i64>,
    /// How many bytes at the end of the body are the attachment.
    pub attachment_size: Option<i32>,
    /// brpc defines it and does not use it.
    pub chunk_info: Option<ChunkInfo>,
    /// What proves who the caller is, in the first request of a connection.
    pub authentication_data: Option<&'a [u8]>,
    /// The caller wants a stream beside the answer.
    pub stream_settings: Option<StreamSettings<'a>>,
    /// Pairs of strings, for the program that is called and for proxies.
    pub user_fields: UserFields<'a>,
    /// How the payload is encoded: 0 protobuf, 1 JSON, and more in newer versions of brpc.
    pub content_type: Option<i32>,
    /// How the payload's checksum is computed: 0 not at all, 1 CRC-32C.
    pub checksum_type: Option<i32>,
    /// The payload's checksum.
    pub checksum_value: Option<&'a [u8]>,
}

/// What is called, and for whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestMeta<'a> {
    /// The service's full name, `pkg.Service`; callers that imitate jprotobuf leave the package out.
    pub service_name: &'a str,
    /// The method's name.
    pub method_name: &'a str,
    /// Names the request in logs.
    pub log_id: Option<i64>,
    /// Names the call tree. There if it is being traced.
    pub trace_id: Option<i64>,
    /// Names this call in the tree.
    pub span_id: Option<i64>,
    /// Names the call that caused this one.
    pub parent_span_id: Option<i64>,
    /// Names the request among people: HTTP's `x-request-id`.
    pub request_id: Option<&'a str>,
    /// How long the caller waits. brpc sends it only with `-baidu_std_protocol_deliver_timeout_ms`.
    pub timeout_ms: Option<i32>,
    /// The caller's name: an extension of mc-brpc, which brpc skips.
    pub from_svr_name: Option<&'a str>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseMeta<'a> {
    /// 0 or left out: well. Otherwise see [`super::errors`].
    pub error_code: Option<i32>,
    /// The same for people.
    pub error_text: Option<&'a str>,
}

/// A piece of a message that is sent in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkInfo {
    /// Names the stream of pieces.
    pub stream_id: i64,
    /// The piece's number.
    pub chunk_id: i64,
}

/// A stream that the caller offers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamSettings<'a> {
    /// The caller's name for it.
    pub stream_id: i64,
    /// The caller wants to be told what has been consumed.
    pub need_feedback: Option<bool>,
    /// The caller writes to it.
    pub writable: Option<bool>,
    /// Further streams that are made with it.
    pub extra_stream_ids: ExtraStreamIds<'a>,
}

impl<'a> Meta<'a> {
    /// Reads and validates a meta.
    ///
    /// # Errors
    ///
    /// [`Status::BAD_META`]: the bytes are no protobuf message, a field has another type than brpc's, a string is not UTF-8, or a
    /// required field is missing: a request's service or method name, a stream's id, a chunk's ids.
    pub fn parse(bytes: &'a [u8]) -> Result<Meta<'a>, Status> {
        let mut packed = PackedMeta::default();
        packed.parse(bytes)?;
        Ok(packed.unpack())
    }
}
