//! RpcMeta of baidu_std as a struct for C: the core's [`PackedMeta`] behind its own size.

use core::mem::offset_of;

use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::PackedMeta;
use mcrpc_core::wire::baidu_std::packed::field;

use crate::bytes::mcrpc_bytes_t;
use crate::pointer;
use crate::sized::Sized32;

/// There is a request: service_name and method_name are set.
pub const MCRPC_BAIDU_REQUEST: u32 = 1 << 0;
/// log_id is set.
pub const MCRPC_BAIDU_LOG_ID: u32 = 1 << 1;
/// trace_id is set.
pub const MCRPC_BAIDU_TRACE_ID: u32 = 1 << 2;
/// span_id is set.
pub const MCRPC_BAIDU_SPAN_ID: u32 = 1 << 3;
/// parent_span_id is set.
pub const MCRPC_BAIDU_PARENT_SPAN_ID: u32 = 1 << 4;
/// request_id is set.
pub const MCRPC_BAIDU_REQUEST_ID: u32 = 1 << 5;
/// timeout_ms is set.
pub const MCRPC_BAIDU_TIMEOUT_MS: u32 = 1 << 6;
/// from_svr_name is set.
pub const MCRPC_BAIDU_FROM_SVR_NAME: u32 = 1 << 7;
/// There is a response.
pub const MCRPC_BAIDU_RESPONSE: u32 = 1 << 8;
/// error_code is set.
pub const MCRPC_BAIDU_ERROR_CODE: u32 = 1 << 9;
/// error_text is set.
pub const MCRPC_BAIDU_ERROR_TEXT: u32 = 1 << 10;
/// compress_type is set.
pub const MCRPC_BAIDU_COMPRESS_TYPE: u32 = 1 << 11;
/// correlation_id is set.
pub const MCRPC_BAIDU_CORRELATION_ID: u32 = 1 << 12;
/// attachment_size is set.
pub const MCRPC_BAIDU_ATTACHMENT_SIZE: u32 = 1 << 13;
/// There is a chunk: chunk_stream_id and chunk_id are set.
pub const MCRPC_BAIDU_CHUNK_INFO: u32 = 1 << 14;
/// authentication_data is set.
pub const MCRPC_BAIDU_AUTHENTICATION_DATA: u32 = 1 << 15;
/// There is a stream: stream_id is set.
pub const MCRPC_BAIDU_STREAM_SETTINGS: u32 = 1 << 16;
/// need_feedback is set.
pub const MCRPC_BAIDU_NEED_FEEDBACK: u32 = 1 << 17;
/// writable is set.
pub const MCRPC_BAIDU_WRITABLE: u32 = 1 << 18;
/// content_type is set.
pub const MCRPC_BAIDU_CONTENT_TYPE: u32 = 1 << 19;
/// checksum_type is set.
pub const MCRPC_BAIDU_CHECKSUM_TYPE: u32 = 1 << 20;
/// checksum_value is set.
pub const MCRPC_BAIDU_CHECKSUM_VALUE: u32 = 1 << 21;

const _: () = {
    assert!(MCRPC_BAIDU_REQUEST == field::REQUEST);
    assert!(MCRPC_BAIDU_LOG_ID == field::LOG_ID);
    assert!(MCRPC_BAIDU_TRACE_ID == field::TRACE_ID);
    assert!(MCRPC_BAIDU_SPAN_ID == field::SPAN_ID);
    assert!(MCRPC_BAIDU_PARENT_SPAN_ID == field::PARENT_SPAN_ID);
    assert!(MCRPC_BAIDU_REQUEST_ID == field::REQUEST_ID);
    assert!(MCRPC_BAIDU_TIMEOUT_MS == field::TIMEOUT_MS);
    assert!(MCRPC_BAIDU_FROM_SVR_NAME == field::FROM_SVR_NAME);
    assert!(MCRPC_BAIDU_RESPONSE == field::RESPONSE);
    assert!(MCRPC_BAIDU_ERROR_CODE == field::ERROR_CODE);
    assert!(MCRPC_BAIDU_ERROR_TEXT == field::ERROR_TEXT);
    assert!(MCRPC_BAIDU_COMPRESS_TYPE == field::COMPRESS_TYPE);
    assert!(MCRPC_BAIDU_CORRELATION_ID == field::CORRELATION_ID);
    assert!(MCRPC_BAIDU_ATTACHMENT_SIZE == field::ATTACHMENT_SIZE);
    assert!(MCRPC_BAIDU_CHUNK_INFO == field::CHUNK_INFO);
    assert!(MCRPC_BAIDU_AUTHENTICATION_DATA == field::AUTHENTICATION_DATA);
    assert!(MCRPC_BAIDU_STREAM_SETTINGS == field::STREAM_SETTINGS);
    assert!(MCRPC_BAIDU_NEED_FEEDBACK == field::NEED_FEEDBACK);
    assert!(MCRPC_BAIDU_WRITABLE == field::WRITABLE);
    assert!(MCRPC_BAIDU_CONTENT_TYPE == field::CONTENT_TYPE);
    assert!(MCRPC_BAIDU_CHECKSUM_TYPE == field::CHECKSUM_TYPE);
    assert!(MCRPC_BAIDU_CHECKSUM_VALUE == field::CHECKSUM_VALUE);
};

/// What a frame of baidu_std says about itself: brpc's RpcMeta. A field counts if its bit in `present` is set, and those of a
/// request, a response or a stream if theirs is set too. Bytes are views of the frame, good as long as that is. Start from
/// MCRPC_BAIDU_META_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_baidu_meta_t {
    /// sizeof(mcrpc_baidu_meta_t).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// MCRPC_BAIDU_...: what is there.
    pub present: u32,
    /// Stream: 1 if the caller wants to be told what has been consumed.
    pub need_feedback: u8,
    /// Stream: 1 if the caller writes to it.
    pub writable: u8,
    /// Must be 0.
    pub reserved_too: u16,
    /// Request: the service's full name, "pkg.Service". UTF-8, as all names and texts are.
    pub service_name: mcrpc_bytes_t,
    /// Request: the method's name.
    pub method_name: mcrpc_bytes_t,
    /// Request: names it among people, as HTTP's x-request-id.
    pub request_id: mcrpc_bytes_t,
    /// Request: the caller's name, an extension of mc-brpc.
    pub from_svr_name: mcrpc_bytes_t,
    /// Response: how the call ended, for people.
    pub error_text: mcrpc_bytes_t,
    /// What proves who the caller is, in the first request of a connection.
    pub authentication_data: mcrpc_bytes_t,
    /// The payload's checksum.
    pub checksum_value: mcrpc_bytes_t,
    /// Set by mcrpc_baidu_parse(): what mcrpc_baidu_user_field() and mcrpc_baidu_next_user_field() read. It is not written.
    pub user_fields: mcrpc_bytes_t,
    /// Set by mcrpc_baidu_parse(): the stream settings with further streams, which are passed on when the meta is written.
    pub streams: mcrpc_bytes_t,
    /// Request: names it in logs.
    pub log_id: i64,
    /// Request: names the call tree. There if it is being traced.
    pub trace_id: i64,
    /// Request: names this call in the tree.
    pub span_id: i64,
    /// Request: names the call that caused this one.
    pub parent_span_id: i64,
    /// Chosen by the caller, and returned in the response.
    pub correlation_id: i64,
    /// Chunk: names the stream of pieces. brpc defines chunks and does not use them.
    pub chunk_stream_id: i64,
    /// Chunk: the piece's number.
    pub chunk_id: i64,
    /// Stream: the caller's name for it.
    pub stream_id: i64,
    /// Request: how long the caller waits. brpc sends it only when told to.
    pub timeout_ms: i32,
    /// Response: how the call ended: see mcrpc_baidu_error_of() and mcrpc_baidu_status_of().
    pub error_code: i32,
    /// How the payload is compressed: 0 not, 1 snappy, 2 gzip, 3 zlib, 4 lz4.
    pub compress_type: i32,
    /// How many bytes at the end of the body are the attachment.
    pub attachment_size: i32,
    /// How the payload is encoded: 0 protobuf, 1 JSON, and more in newer versions of brpc.
    pub content_type: i32,
    /// How the payload's checksum is computed: 0 not at all, 1 CRC-32C.
    pub checksum_type: i32,
}

// SAFETY: repr(C), begins with a u32, has no padding by the assertion below, and consists of numbers and pointers, which may have
// any bits as long as nobody follows them.
unsafe impl Sized32 for mcrpc_baidu_meta_t {
    const FIRST_VERSION_SIZE: usize = size_of::<mcrpc_baidu_meta_t>();
}

/// Where the core's struct begins.
const BODY: usize = offset_of!(mcrpc_baidu_meta_t, present);

// The core's struct lies in C's as it is, and has no padding: it is used there.
const _: () = {
    assert!(size_of::<mcrpc_baidu_meta_t>() == BODY + size_of::<PackedMeta<'_>>());
    assert!(align_of::<mcrpc_baidu_meta_t>() == align_of::<PackedMeta<'_>>());
    let body: [(usize, usize); PackedMeta::OFFSETS.len()] = [
        (offset_of!(mcrpc_baidu_meta_t, present), PackedMeta::OFFSETS[0]),
        (offset_of!(mcrpc_baidu_meta_t, need_feedback), PackedMeta::OFFSETS[1]),
        (offset_of!(mcrpc_baidu_meta_t, writable), PackedMeta::OFFSETS[2]),
        (offset_of!(mcrpc_baidu_meta_t, service_name), PackedMeta::OFFSETS[3]),
        (offset_of!(mcrpc_baidu_meta_t, method_name), PackedMeta::OFFSETS[4]),
        (offset_of!(mcrpc_baidu_meta_t, request_id), PackedMeta::OFFSETS[5]),
        (offset_of!(mcrpc_baidu_meta_t, from_svr_name), PackedMeta::OFFSETS[6]),
        (offset_of!(mcrpc_baidu_meta_t, error_text), PackedMeta::OFFSETS[7]),
        (offset_of!(mcrpc_baidu_meta_t, authentication_data), PackedMeta::OFFSETS[8]),
        (offset_of!(mcrpc_baidu_meta_t, checksum_value), PackedMeta::OFFSETS[9]),
        (offset_of!(mcrpc_baidu_meta_t, user_fields), PackedMeta::OFFSETS[10]),
        (offset_of!(mcrpc_baidu_meta_t, streams), PackedMeta::OFFSETS[11]),
        (offset_of!(mcrpc_baidu_meta_t, log_id), PackedMeta::OFFSETS[12]),
        (offset_of!(mcrpc_baidu_meta_t, trace_id), PackedMeta::OFFSETS[13]),
        (offset_of!(mcrpc_baidu_meta_t, span_id), PackedMeta::OFFSETS[14]),
        (offset_of!(mcrpc_baidu_meta_t, parent_span_id), PackedMeta::OFFSETS[15]),
        (offset_of!(mcrpc_baidu_meta_t, correlation_id), PackedMeta::OFFSETS[16]),
        (offset_of!(mcrpc_baidu_meta_t, chunk_stream_id), PackedMeta::OFFSETS[17]),
        (offset_of!(mcrpc_baidu_meta_t, chunk_id), PackedMeta::OFFSETS[18]),
        (offset_of!(mcrpc_baidu_meta_t, stream_id), PackedMeta::OFFSETS[19]),
        (offset_of!(mcrpc_baidu_meta_t, timeout_ms), PackedMeta::OFFSETS[20]),
        (offset_of!(mcrpc_baidu_meta_t, error_code), PackedMeta::OFFSETS[21]),
        (offset_of!(mcrpc_baidu_meta_t, compress_type), PackedMeta::OFFSETS[22]),
        (offset_of!(mcrpc_baidu_meta_t, attachment_size), PackedMeta::OFFSETS[23]),
        (offset_of!(mcrpc_baidu_meta_t, content_type), PackedMeta::OFFSETS[24]),
        (offset_of!(mcrpc_baidu_meta_t, checksum_type), PackedMeta::OFFSETS[25]),
    ];
    let mut n = 0;
    while n < body.len() {
        assert!(body[n].0 == BODY + body[n].1);
        n += 1;
    }
};

impl mcrpc_baidu_meta_t {
    /// The core's view of a struct that C filled in.
    ///
    /// # Safety
    ///
    /// The bytes of every field that is there, and of `user_fields` and `streams`, are readable and not written during `'a`.
    pub(crate) unsafe fn packed<'a>(&'a self) -> Result<&'a PackedMeta<'a>, Status> {
        if self.present & !field::ALL != 0 || self.reserved != 0 || self.reserved_too != 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        let texts = [
            (field::REQUEST, self.service_name),
            (field::REQUEST, self.method_name),
            (field::REQUEST_ID, self.request_id),
            (field::FROM_SVR_NAME, self.from_svr_name),
            (field::ERROR_TEXT, self.error_text),
        ];
        for (field, value) in texts {
            if self.present & field != 0 {
                // SAFETY: it is there, so readable and constant by the caller's promise.
                unsafe { text(value) }?;
            }
        }
        // A span is read whether there are bits or not.
        let bytes = [
            (field::AUTHENTICATION_DATA, self.authentication_data),
            (field::CHECKSUM_VALUE, self.checksum_value),
            (u32::MAX, self.user_fields),
            (u32::MAX, self.streams),
        ];
        for (field, value) in bytes {
            if field == u32::MAX || self.present & field != 0 {
                pointer::check_bytes(value.data, value.len)?;
            }
        }
        // SAFETY: the body is a `PackedMeta` by the assertions above; what it says is there has just been checked, and stays so
        // by the caller's promise.
        Ok(unsafe { &*(&raw const *self).byte_add(BODY).cast() })
    }

    /// The core's view of a struct that is zero, to be filled in.
    ///
    /// # Safety
    ///
    /// It is zero but for its size.
    pub(crate) unsafe fn packed_mut<'a>(&mut self) -> &mut PackedMeta<'a> {
        // SAFETY: the body is a `PackedMeta` by the assertions above, in which nothing is there: it is valid whatever `'a` is.
        unsafe { &mut *(&raw mut *self).byte_add(BODY).cast() }
    }
}

/// The text that C named.
///
/// # Safety
///
/// As [`pointer::bytes`].
pub(crate) unsafe fn text<'a>(text: mcrpc_bytes_t) -> Result<&'a str, Status> {
    // SAFETY: readable and constant during `'a`, by the caller's promise.
    core::str::from_utf8(unsafe { text.get() }?).map_err(|_| Status::BAD_TEXT)
}
