//! Numbers of the fields of RpcMeta, RpcRequestMeta, RpcResponseMeta, ChunkInfo and StreamSettings.

pub(super) const REQUEST: u32 = 1;
pub(super) const RESPONSE: u32 = 2;
pub(super) const COMPRESS_TYPE: u32 = 3;
pub(super) const CORRELATION_ID: u32 = 4;
pub(super) const ATTACHMENT_SIZE: u32 = 5;
pub(super) const CHUNK_INFO: u32 = 6;
pub(super) const AUTHENTICATION_DATA: u32 = 7;
pub(super) const STREAM_SETTINGS: u32 = 8;
pub(super) const USER_FIELDS: u32 = 9;
pub(super) const CONTENT_TYPE: u32 = 10;
pub(super) const CHECKSUM_TYPE: u32 = 11;
pub(super) const CHECKSUM_VALUE: u32 = 12;

pub(super) const SERVICE_NAME: u32 = 1;
pub(super) const METHOD_NAME: u32 = 2;
pub(super) const LOG_ID: u32 = 3;
pub(super) const TRACE_ID: u32 = 4;
pub(super) const SPAN_ID: u32 = 5;
pub(super) const PARENT_SPAN_ID: u32 = 6;
pub(super) const REQUEST_ID: u32 = 7;
pub(super) const TIMEOUT_MS: u32 = 8;
pub(super) const FROM_SVR_NAME: u32 = 9;

pub(super) const ERROR_CODE: u32 = 1;
pub(super) const ERROR_TEXT: u32 = 2;

pub(super) const CHUNK_STREAM_ID: u32 = 1;
pub(super) const CHUNK_ID: u32 = 2;

pub(super) const STREAM_ID: u32 = 1;
pub(super) const NEED_FEEDBACK: u32 = 2;
pub(super) const WRITABLE: u32 = 3;
pub(super) const EXTRA_STREAM_IDS: u32 = 4;
