//! Writing frames: the header and the meta into the caller's buffer. Payload and attachment stay where they are, to be sent
//! behind it with one `writev`.

use super::errors;
use super::frame::{FrameHeader, HEADER_LEN};
use super::meta::{Meta, RequestMeta, ResponseMeta};
use super::number;
use super::origin::{BUSINESS_ID_KEY, Origin, PRIORITY_KEY, UIN_KEY};
use super::packed::{Bytes, PackedMeta, field};
use super::protobuf::{Counter, Output, Writer};
use crate::status::Status;

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The buffer is too short.
    TooSmall {
        /// The bytes that header and meta take.
        wanted: usize,
    },
    /// The body would be longer than its length can say.
    BodyTooLong,
    /// `attachment_size` is negative or above the length of payload and attachment.
    BadAttachmentSize,
}

impl WriteError {
    /// The status that says so.
    pub const fn status(self) -> Status {
        match self {
            WriteError::TooSmall { .. } => Status::TOO_SMALL,
            WriteError::BodyTooLong => Status::BODY_TOO_LONG,
            WriteError::BadAttachmentSize => Status::INVALID_ARGUMENT,
        }
    }
}

impl<'a> Meta<'a> {
    /// A request to begin with.
    pub fn request(service_name: &'a str, method_name: &'a str, correlation_id: i64) -> Meta<'a> {
        let request = RequestMeta { service_name, method_name, ..RequestMeta::default() };
        Meta { request: Some(request), correlation_id: Some(correlation_id), ..Meta::default() }
    }

    /// The response to the request with this correlation id: its error code is that of `status`, and its text is empty if all went
    /// well.
    pub fn response(correlation_id: i64, status: Status, error_text: &'a str) -> Meta<'a> {
        let response = ResponseMeta {
            error_code: Some(errors::error_of(status)),
            error_text: (!error_text.is_empty()).then_some(error_text),
        };
        Meta { response: Some(response), correlation_id: Some(correlation_id), ..Meta::default() }
    }

    /// See [`PackedMeta::write`].
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; then `out` is what it was.
    pub fn write<'f, F>(
        &self,
        origin: &Origin,
        user_fields: F,
        payload_len: u32,
        out: &mut [u8],
    ) -> Result<usize, WriteError>
    where
        F: Iterator<Item = (&'f str, &'f str)> + Clone,
    {
        PackedMeta::from(self).write(origin, user_fields, payload_len, out)
    }
}

impl PackedMeta<'_> {
    /// Writes the frame's header and this meta to the front of `out`, for a payload and attachment of `payload_len` bytes together.
    /// Returns the bytes written.
    ///
    /// The user fields are those of `origin` that are not 0, and then `user_fields`: those of the meta itself are views of
    /// received bytes, and given here when they are to be passed on.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; then `out` is what it was.
    // Inlined, as every frame of stack counts.
    #[inline(always)]
    pub fn write<'f, F>(
        &self,
        origin: &Origin,
        user_fields: F,
        payload_len: u32,
        out: &mut [u8],
    ) -> Result<usize, WriteError>
    where
        F: Iterator<Item = (&'f str, &'f str)> + Clone,
    {
        match u32::try_from(self.get(field::ATTACHMENT_SIZE, self.attachment_size).unwrap_or(0)) {
            Ok(attachment_len) if attachment_len <= payload_len => {}
            _ => return Err(WriteError::BadAttachmentSize),
        }
        let len = Counter::count(|counter| self.write_to(counter, origin, user_fields.clone()));
        let meta_len = u32::try_from(len).map_err(|_| WriteError::BodyTooLong)?;
        let body_len = meta_len.checked_add(payload_len).ok_or(WriteError::BodyTooLong)?;
        let wanted = HEADER_LEN.saturating_add(len);
        if out.len() < wanted {
            return Err(WriteError::TooSmall { wanted });
        }
        let mut writer = Writer::new(out);
        writer.raw(&FrameHeader { body_len, meta_len }.emit());
        self.write_to(&mut writer, origin, user_fields);
        Ok(wanted)
    }

    fn write_to<'f>(
        &self,
        output: &mut impl Output,
        origin: &Origin,
        user_fields: impl Iterator<Item = (&'f str, &'f str)>,
    ) {
        if self.has(field::REQUEST) {
            let len = Counter::count(|counter| self.write_request(counter));
            output.message(number::REQUEST, len, |output| self.write_request(output));
        }
        if self.has(field::RESPONSE) {
            let len = Counter::count(|counter| self.write_response(counter));
            output.message(number::RESPONSE, len, |output| self.write_response(output));
        }
        self.int32(output, number::COMPRESS_TYPE, field::COMPRESS_TYPE, self.compress_type);
        self.int64(output, number::CORRELATION_ID, field::CORRELATION_ID, self.correlation_id);
        self.int32(output, number::ATTACHMENT_SIZE, field::ATTACHMENT_SIZE, self.attachment_size);
        if self.has(field::CHUNK_INFO) {
            let len = Counter::count(|counter| self.write_chunk_info(counter));
            output.message(number::CHUNK_INFO, len, |output| self.write_chunk_info(output));
        }
        self.string(output, number::AUTHENTICATION_DATA, field::AUTHENTICATION_DATA, self.authentication_data);
        if self.has(field::STREAM_SETTINGS) {
            let len = Counter::count(|counter| self.write_stream_settings(counter));
            output.message(number::STREAM_SETTINGS, len, |output| self.write_stream_settings(output));
        }
        origin.write_to(output);
        for (key, value) in user_fields {
            write_user_field(output, key, value.as_bytes());
        }
        self.int32(output, number::CONTENT_TYPE, field::CONTENT_TYPE, self.content_type);
        self.int32(output, number::CHECKSUM_TYPE, field::CHECKSUM_TYPE, self.checksum_type);
        self.string(output, number::CHECKSUM_VALUE, field::CHECKSUM_VALUE, self.checksum_value);
    }

    fn write_request(&self, output: &mut impl Output) {
        self.string(output, number::SERVICE_NAME, field::REQUEST, self.service_name);
        self.string(output, number::METHOD_NAME, field::REQUEST, self.method_name);
        self.int64(output, number::LOG_ID, field::LOG_ID, self.log_id);
        self.int64(output, number::TRACE_ID, field::TRACE_ID, self.trace_id);
        self.int64(output, number::SPAN_ID, field::SPAN_ID, self.span_id);
        self.int64(output, number::PARENT_SPAN_ID, field::PARENT_SPAN_ID, self.parent_span_id);
        self.string(output, number::REQUEST_ID, field::REQUEST_ID, self.request_id);
        self.int32(output, number::TIMEOUT_MS, field::TIMEOUT_MS, self.timeout_ms);
        self.string(output, number::FROM_SVR_NAME, field::FROM_SVR_NAME, self.from_svr_name);
    }

    fn write_response(&self, output: &mut impl Output) {
        self.int32(output, number::ERROR_CODE, field::ERROR_CODE, self.error_code);
        self.string(output, number::ERROR_TEXT, field::ERROR_TEXT, self.error_text);
    }

    fn write_chunk_info(&self, output: &mut impl Output) {
        output.int(number::CHUNK_STREAM_ID, self.chunk_stream_id);
        output.int(number::CHUNK_ID, self.chunk_id);
    }

    fn write_stream_settings(&self, output: &mut impl Output) {
        output.int(number::STREAM_ID, self.stream_id);
        self.int64(output, number::NEED_FEEDBACK, field::NEED_FEEDBACK, i64::from(self.need_feedback != 0));
        self.int64(output, number::WRITABLE, field::WRITABLE, i64::from(self.writable != 0));
        for id in self.extra_stream_ids().iter() {
            output.int(number::EXTRA_STREAM_IDS, id);
        }
    }

    fn int32(&self, output: &mut impl Output, number: u32, field: u32, value: i32) {
        self.int64(output, number, field, i64::from(value));
    }

    fn int64(&self, output: &mut impl Output, number: u32, field: u32, value: i64) {
        if self.has(field) {
            output.int(number, value);
        }
    }

    /// A text, or bytes.
    fn string(&self, output: &mut impl Output, number: u32, field: u32, bytes: Bytes<'_>) {
        if let Some(bytes) = self.bytes(field, bytes) {
            output.bytes(number, bytes);
        }
    }
}

impl Origin {
    fn write_to(&self, output: &mut impl Output) {
        let pairs = [
            (UIN_KEY, self.uin),
            (BUSINESS_ID_KEY, u64::from(self.business_id)),
            (PRIORITY_KEY, u64::from(self.priority)),
        ];
        for (key, value) in pairs {
            if value != 0 {
                let mut digits = [0; MAX_DIGITS];
                write_user_field(output, key, decimal(value, &mut digits));
            }
        }
    }
}

/// Digits of the largest u64.
const MAX_DIGITS: usize = 20;

fn decimal(value: u64, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let (mut start, mut rest) = (MAX_DIGITS, value);
    for digit in digits.iter_mut().rev() {
        start -= 1;
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

fn write_user_field(output: &mut impl Output, key: &str, value: &[u8]) {
    let len = Counter::count(|counter| write_pair(counter, key, value));
    output.message(number::USER_FIELDS, len, |output| write_pair(output, key, value));
}

fn write_pair(output: &mut impl Output, key: &str, value: &[u8]) {
    output.bytes(1, key.as_bytes());
    output.bytes(2, value);
}
