//! The meta as it is parsed into and written from: one struct with the layout of C, without a copy of it anywhere.
//!
//! [`Meta`] is what a program in Rust uses. But a meta has two dozen fields, and whoever moves it about by value soon takes more stack than
//! a coroutine has: so C's functions work on this struct where the caller has it.
//!
//! The invariant: a text whose bit is set is UTF-8, and bytes whose bit is set, and both spans, can be read during `'a`.

use core::marker::PhantomData;
use core::mem::offset_of;

use super::meta::{ChunkInfo, Meta, RequestMeta, ResponseMeta, StreamSettings};
use super::repeated::{ExtraStreamIds, UserFields};
use crate::status::Status;

/// What can be there, for [`PackedMeta::has`]. The bits of a part's fields count with the part's own.
pub mod field {
    /// There is a request, with a service's and a method's name.
    pub const REQUEST: u32 = 1 << 0;
    /// Request: `log_id`.
    pub const LOG_ID: u32 = 1 << 1;
    /// Request: `trace_id`.
    pub const TRACE_ID: u32 = 1 << 2;
    /// Request: `span_id`.
    pub const SPAN_ID: u32 = 1 << 3;
    /// Request: `parent_span_id`.
    pub const PARENT_SPAN_ID: u32 = 1 << 4;
    /// Request: `request_id`.
    pub const REQUEST_ID: u32 = 1 << 5;
    /// Request: `timeout_ms`.
    pub const TIMEOUT_MS: u32 = 1 << 6;
    /// Request: `from_svr_name`.
    pub const FROM_SVR_NAME: u32 = 1 << 7;
    /// There is a response.
    pub const RESPONSE: u32 = 1 << 8;
    /// Response: `error_code`.
    pub const ERROR_CODE: u32 = 1 << 9;
    /// Response: `error_text`.
    pub const ERROR_TEXT: u32 = 1 << 10;
    /// `compress_type`.
    pub const COMPRESS_TYPE: u32 = 1 << 11;
    /// `correlation_id`.
    pub const CORRELATION_ID: u32 = 1 << 12;
    /// `attachment_size`.
    pub const ATTACHMENT_SIZE: u32 = 1 << 13;
    /// There is a chunk, with both its ids.
    pub const CHUNK_INFO: u32 = 1 << 14;
    /// `authentication_data`.
    pub const AUTHENTICATION_DATA: u32 = 1 << 15;
    /// There is a stream, with its id.
    pub const STREAM_SETTINGS: u32 = 1 << 16;
    /// Stream: `need_feedback`.
    pub const NEED_FEEDBACK: u32 = 1 << 17;
    /// Stream: `writable`.
    pub const WRITABLE: u32 = 1 << 18;
    /// `content_type`.
    pub const CONTENT_TYPE: u32 = 1 << 19;
    /// `checksum_type`.
    pub const CHECKSUM_TYPE: u32 = 1 << 20;
    /// `checksum_value`.
    pub const CHECKSUM_VALUE: u32 = 1 << 21;
    /// All of them.
    pub const ALL: u32 = (1 << 22) - 1;
}

/// A slice with the layout of a pointer and a length.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Bytes<'a> {
    data: *const u8,
    len: usize,
    lifetime: PhantomData<&'a [u8]>,
}

impl Default for Bytes<'_> {
    fn default() -> Self {
        Bytes { data: core::ptr::null(), len: 0, lifetime: PhantomData }
    }
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Bytes<'a> {
        Bytes { data: bytes.as_ptr(), len: bytes.len(), lifetime: PhantomData }
    }
}

impl<'a> From<&'a str> for Bytes<'a> {
    #[inline]
    fn from(text: &'a str) -> Bytes<'a> {
        text.as_bytes().into()
    }
}

impl<'a> Bytes<'a> {
    /// # Safety
    ///
    /// It is one of a meta's spans, or its bit is set.
    #[inline]
    unsafe fn get(self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the meta's invariant: what is there can be read during `'a`.
        unsafe { core::slice::from_raw_parts(self.data, self.len) }
    }
}

/// A meta. Values whose bit in `present` is not set are of no meaning.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct PackedMeta<'a> {
    pub(super) present: u32,
    /// 0 or not 0, as `writable`.
    pub(super) need_feedback: u8,
    pub(super) writable: u8,
    reserved: u16,
    pub(super) service_name: Bytes<'a>,
    pub(super) method_name: Bytes<'a>,
    pub(super) request_id: Bytes<'a>,
    pub(super) from_svr_name: Bytes<'a>,
    pub(super) error_text: Bytes<'a>,
    pub(super) authentication_data: Bytes<'a>,
    pub(super) checksum_value: Bytes<'a>,
    /// The part of a meta that has all user fields.
    pub(super) user_fields: Bytes<'a>,
    /// The part of a meta that has all stream settings.
    pub(super) streams: Bytes<'a>,
    pub(super) log_id: i64,
    pub(super) trace_id: i64,
    pub(super) span_id: i64,
    pub(super) parent_span_id: i64,
    pub(super) correlation_id: i64,
    pub(super) chunk_stream_id: i64,
    pub(super) chunk_id: i64,
    pub(super) stream_id: i64,
    pub(super) timeout_ms: i32,
    pub(super) error_code: i32,
    pub(super) compress_type: i32,
    pub(super) attachment_size: i32,
    pub(super) content_type: i32,
    pub(super) checksum_type: i32,
}

const _: () = assert!(
    size_of::<PackedMeta<'_>>() == 4 + 2 + 2 + 9 * size_of::<Bytes<'_>>() + 8 * 8 + 6 * 4,
    "a struct without padding"
);
const _: () = assert!(offset_of!(Bytes<'_>, data) == 0, "as mcrpc_bytes_t has it");

impl PackedMeta<'_> {
    /// Where each field lies but for the reserved one, so that C's declaration can be compared.
    pub const OFFSETS: [usize; 26] = [
        offset_of!(PackedMeta<'_>, present),
        offset_of!(PackedMeta<'_>, need_feedback),
        offset_of!(PackedMeta<'_>, writable),
        offset_of!(PackedMeta<'_>, service_name),
        offset_of!(PackedMeta<'_>, method_name),
        offset_of!(PackedMeta<'_>, request_id),
        offset_of!(PackedMeta<'_>, from_svr_name),
        offset_of!(PackedMeta<'_>, error_text),
        offset_of!(PackedMeta<'_>, authentication_data),
        offset_of!(PackedMeta<'_>, checksum_value),
        offset_of!(PackedMeta<'_>, user_fields),
        offset_of!(PackedMeta<'_>, streams),
        offset_of!(PackedMeta<'_>, log_id),
        offset_of!(PackedMeta<'_>, trace_id),
        offset_of!(PackedMeta<'_>, span_id),
        offset_of!(PackedMeta<'_>, parent_span_id),
        offset_of!(PackedMeta<'_>, correlation_id),
        offset_of!(PackedMeta<'_>, chunk_stream_id),
        offset_of!(PackedMeta<'_>, chunk_id),
        offset_of!(PackedMeta<'_>, stream_id),
        offset_of!(PackedMeta<'_>, timeout_ms),
        offset_of!(PackedMeta<'_>, error_code),
        offset_of!(PackedMeta<'_>, compress_type),
        offset_of!(PackedMeta<'_>, attachment_size),
        offset_of!(PackedMeta<'_>, content_type),
        offset_of!(PackedMeta<'_>, checksum_type),
    ];
}

impl<'a> PackedMeta<'a> {
    /// Cuts what follows the meta into payload and attachment.
    ///
    /// # Errors
    ///
    /// [`Status::BAD_META`] if there are fewer bytes than the attachment has, or it has less than 0.
    #[inline]
    pub fn split_attachment<'b>(&self, body: &'b [u8]) -> Result<(&'b [u8], &'b [u8]), Status> {
        let attachment_size = self.get(field::ATTACHMENT_SIZE, self.attachment_size).unwrap_or(0);
        let attachment_len = usize::try_from(attachment_size).ok();
        attachment_len
            .and_then(|len| body.len().checked_sub(len))
            .and_then(|at| body.split_at_checked(at))
            .ok_or(Status::BAD_META)
    }

    /// Whether a field is there.
    #[inline]
    pub const fn has(&self, field: u32) -> bool {
        self.present & field != 0
    }

    /// Of a request the service's and the method's name.
    #[inline]
    pub(super) fn names(&self) -> Option<(&'a [u8], &'a [u8])> {
        self.bytes(field::REQUEST, self.service_name).zip(self.bytes(field::REQUEST, self.method_name))
    }

    /// The pairs of the map `user_fields`.
    #[inline]
    pub fn user_fields(&self) -> UserFields<'a> {
        // SAFETY: a span.
        UserFields::within(unsafe { self.user_fields.get() })
    }

    pub(super) fn extra_stream_ids(&self) -> ExtraStreamIds<'a> {
        // SAFETY: a span.
        ExtraStreamIds::within(unsafe { self.streams.get() })
    }

    #[inline]
    pub(super) fn get<T>(&self, field: u32, value: T) -> Option<T> {
        self.has(field).then_some(value)
    }

    #[inline]
    pub(super) fn bytes(&self, field: u32, bytes: Bytes<'a>) -> Option<&'a [u8]> {
        // SAFETY: its bit is set.
        self.has(field).then(|| unsafe { bytes.get() })
    }

    #[inline]
    fn text(&self, field: u32, text: Bytes<'a>) -> Option<&'a str> {
        // SAFETY: its bit is set, and then a text is UTF-8.
        self.bytes(field, text).map(|bytes| unsafe { core::str::from_utf8_unchecked(bytes) })
    }

    /// The same, field by field.
    pub fn unpack(&self) -> Meta<'a> {
        Meta {
            request: self.has(field::REQUEST).then(|| RequestMeta {
                service_name: self.text(field::REQUEST, self.service_name).unwrap_or_default(),
                method_name: self.text(field::REQUEST, self.method_name).unwrap_or_default(),
                log_id: self.get(field::LOG_ID, self.log_id),
                trace_id: self.get(field::TRACE_ID, self.trace_id),
                span_id: self.get(field::SPAN_ID, self.span_id),
                parent_span_id: self.get(field::PARENT_SPAN_ID, self.parent_span_id),
                request_id: self.text(field::REQUEST_ID, self.request_id),
                timeout_ms: self.get(field::TIMEOUT_MS, self.timeout_ms),
                from_svr_name: self.text(field::FROM_SVR_NAME, self.from_svr_name),
            }),
            response: self.has(field::RESPONSE).then(|| ResponseMeta {
                error_code: self.get(field::ERROR_CODE, self.error_code),
                error_text: self.text(field::ERROR_TEXT, self.error_text),
            }),
            compress_type: self.get(field::COMPRESS_TYPE, self.compress_type),
            correlation_id: self.get(field::CORRELATION_ID, self.correlation_id),
            attachment_size: self.get(field::ATTACHMENT_SIZE, self.attachment_size),
            chunk_info: self
                .get(field::CHUNK_INFO, ChunkInfo { stream_id: self.chunk_stream_id, chunk_id: self.chunk_id }),
            authentication_data: self.bytes(field::AUTHENTICATION_DATA, self.authentication_data),
            stream_settings: self.has(field::STREAM_SETTINGS).then(|| StreamSettings {
                stream_id: self.stream_id,
                need_feedback: self.get(field::NEED_FEEDBACK, self.need_feedback != 0),
                writable: self.get(field::WRITABLE, self.writable != 0),
                extra_stream_ids: self.extra_stream_ids(),
            }),
            user_fields: self.user_fields(),
            content_type: self.get(field::CONTENT_TYPE, self.content_type),
            checksum_type: self.get(field::CHECKSUM_TYPE, self.checksum_type),
            checksum_value: self.bytes(field::CHECKSUM_VALUE, self.checksum_value),
        }
    }
}

impl<'a> From<&Meta<'a>> for PackedMeta<'a> {
    fn from(meta: &Meta<'a>) -> PackedMeta<'a> {
        let mut packed = PackedMeta::default();
        if let Some(request) = &meta.request {
            packed.present |= field::REQUEST;
            packed.service_name = request.service_name.into();
            packed.method_name = request.method_name.into();
            put(&mut packed.present, field::LOG_ID, &mut packed.log_id, request.log_id);
            put(&mut packed.present, field::TRACE_ID, &mut packed.trace_id, request.trace_id);
            put(&mut packed.present, field::SPAN_ID, &mut packed.span_id, request.span_id);
            put(&mut packed.present, field::PARENT_SPAN_ID, &mut packed.parent_span_id, request.parent_span_id);
            put(&mut packed.present, field::REQUEST_ID, &mut packed.request_id, request.request_id);
            put(&mut packed.present, field::TIMEOUT_MS, &mut packed.timeout_ms, request.timeout_ms);
            put(&mut packed.present, field::FROM_SVR_NAME, &mut packed.from_svr_name, request.from_svr_name);
        }
        if let Some(response) = &meta.response {
            packed.present |= field::RESPONSE;
            put(&mut packed.present, field::ERROR_CODE, &mut packed.error_code, response.error_code);
            put(&mut packed.present, field::ERROR_TEXT, &mut packed.error_text, response.error_text);
        }
        put(&mut packed.present, field::COMPRESS_TYPE, &mut packed.compress_type, meta.compress_type);
        put(&mut packed.present, field::CORRELATION_ID, &mut packed.correlation_id, meta.correlation_id);
        put(&mut packed.present, field::ATTACHMENT_SIZE, &mut packed.attachment_size, meta.attachment_size);
        if let Some(chunk) = &meta.chunk_info {
            packed.present |= field::CHUNK_INFO;
            (packed.chunk_stream_id, packed.chunk_id) = (chunk.stream_id, chunk.chunk_id);
        }
        put(&mut packed.present, field::AUTHENTICATION_DATA, &mut packed.authentication_data, meta.authentication_data);
        if let Some(settings) = &meta.stream_settings {
            packed.present |= field::STREAM_SETTINGS;
            packed.stream_id = settings.stream_id;
            put(&mut packed.present, field::NEED_FEEDBACK, &mut packed.need_feedback, settings.need_feedback);
            put(&mut packed.present, field::WRITABLE, &mut packed.writable, settings.writable);
            packed.streams = settings.extra_stream_ids.span().into();
        }
        packed.user_fields = meta.user_fields.span().into();
        put(&mut packed.present, field::CONTENT_TYPE, &mut packed.content_type, meta.content_type);
        put(&mut packed.present, field::CHECKSUM_TYPE, &mut packed.checksum_type, meta.checksum_type);
        put(&mut packed.present, field::CHECKSUM_VALUE, &mut packed.checksum_value, meta.checksum_value);
        packed
    }
}

/// Sets a field and its bit, if there is a value.
#[inline]
pub(super) fn put<T, P: From<T>>(present: &mut u32, field: u32, slot: &mut P, value: Option<T>) {
    if let Some(value) = value {
        *present |= field;
        *slot = value.into();
    }
}
