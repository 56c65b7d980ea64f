//! Writing frames: the header and the meta into the caller's buffer. Payload and attachment stay where they are, to be sent
//! behind it with one `writev`.

use super::errors;
use super::frame::{FrameHeader, HEADER_LEN};
use super::meta::{ChunkInfo, Meta, RequestMeta, ResponseMeta, StreamSettings, number};
use super::origin::{BUSINESS_ID_KEY, Origin, PRIORITY_KEY, UIN_KEY};
use super::protobuf::Writer;
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

    /// Writes the frame's header and this meta to the front of `out`, for a payload and attachment of `payload_len` bytes together.
    /// Returns the bytes written.
    ///
    /// The user fields are those of `origin` that are not 0, and then `user_fields`: those of the meta itself are views of
    /// received bytes, and given here when they are to be passed on.
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
        match u32::try_from(self.attachment_size.unwrap_or(0)) {
            Ok(attachment_len) if attachment_len <= payload_len => {}
            _ => return Err(WriteError::BadAttachmentSize),
        }
        let write_meta = |writer: &mut Writer<'_>| self.write_to(writer, origin, user_fields.clone());
        let len = Writer::count(write_meta);
        let meta_len = u32::try_from(len).map_err(|_| WriteError::BodyTooLong)?;
        let body_len = meta_len.checked_add(payload_len).ok_or(WriteError::BodyTooLong)?;
        let wanted = HEADER_LEN.saturating_add(len);
        if out.len() < wanted {
            return Err(WriteError::TooSmall { wanted });
        }
        let mut writer = Writer::new(out);
        writer.raw(&FrameHeader { body_len, meta_len }.emit());
        write_meta(&mut writer);
        Ok(wanted)
    }

    fn write_to<'f>(
        &self,
        writer: &mut Writer<'_>,
        origin: &Origin,
        user_fields: impl Iterator<Item = (&'f str, &'f str)>,
    ) {
        if let Some(request) = &self.request {
            writer.message(number::REQUEST, |writer| request.write_to(writer));
        }
        if let Some(response) = &self.response {
            writer.message(number::RESPONSE, |writer| response.write_to(writer));
        }
        int32(writer, number::COMPRESS_TYPE, self.compress_type);
        int64(writer, number::CORRELATION_ID, self.correlation_id);
        int32(writer, number::ATTACHMENT_SIZE, self.attachment_size);
        if let Some(chunk_info) = &self.chunk_info {
            writer.message(number::CHUNK_INFO, |writer| chunk_info.write_to(writer));
        }
        bytes(writer, number::AUTHENTICATION_DATA, self.authentication_data);
        if let Some(settings) = &self.stream_settings {
            writer.message(number::STREAM_SETTINGS, |writer| settings.write_to(writer));
        }
        origin.write_to(writer);
        for (key, value) in user_fields {
            write_user_field(writer, key, value.as_bytes());
        }
        int32(writer, number::CONTENT_TYPE, self.content_type);
        int32(writer, number::CHECKSUM_TYPE, self.checksum_type);
        bytes(writer, number::CHECKSUM_VALUE, self.checksum_value);
    }
}

impl RequestMeta<'_> {
    fn write_to(&self, writer: &mut Writer<'_>) {
        writer.bytes(number::SERVICE_NAME, self.service_name.as_bytes());
        writer.bytes(number::METHOD_NAME, self.method_name.as_bytes());
        int64(writer, number::LOG_ID, self.log_id);
        int64(writer, number::TRACE_ID, self.trace_id);
        int64(writer, number::SPAN_ID, self.span_id);
        int64(writer, number::PARENT_SPAN_ID, self.parent_span_id);
        bytes(writer, number::REQUEST_ID, self.request_id.map(str::as_bytes));
        int32(writer, number::TIMEOUT_MS, self.timeout_ms);
        bytes(writer, number::FROM_SVR_NAME, self.from_svr_name.map(str::as_bytes));
    }
}

impl ResponseMeta<'_> {
    fn write_to(&self, writer: &mut Writer<'_>) {
        int32(writer, number::ERROR_CODE, self.error_code);
        bytes(writer, number::ERROR_TEXT, self.error_text.map(str::as_bytes));
    }
}

impl ChunkInfo {
    fn write_to(&self, writer: &mut Writer<'_>) {
        writer.int(number::CHUNK_STREAM_ID, self.stream_id);
        writer.int(number::CHUNK_ID, self.chunk_id);
    }
}

impl StreamSettings<'_> {
    fn write_to(&self, writer: &mut Writer<'_>) {
        writer.int(number::STREAM_ID, self.stream_id);
        int64(writer, number::NEED_FEEDBACK, self.need_feedback.map(i64::from));
        int64(writer, number::WRITABLE, self.writable.map(i64::from));
        for id in self.extra_stream_ids.iter() {
            writer.int(number::EXTRA_STREAM_IDS, id);
        }
    }
}

impl Origin {
    fn write_to(&self, writer: &mut Writer<'_>) {
        let pairs = [
            (UIN_KEY, self.uin),
            (BUSINESS_ID_KEY, u64::from(self.business_id)),
            (PRIORITY_KEY, u64::from(self.priority)),
        ];
        for (key, value) in pairs {
            if value != 0 {
                let mut digits = [0; MAX_DIGITS];
                write_user_field(writer, key, decimal(value, &mut digits));
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

fn write_user_field(writer: &mut Writer<'_>, key: &str, value: &[u8]) {
    writer.message(number::USER_FIELDS, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.bytes(2, value);
    });
}

fn int32(writer: &mut Writer<'_>, number: u32, value: Option<i32>) {
    int64(writer, number, value.map(i64::from));
}

fn int64(writer: &mut Writer<'_>, number: u32, value: Option<i64>) {
    if let Some(value) = value {
        writer.int(number, value);
    }
}

fn bytes(writer: &mut Writer<'_>, number: u32, value: Option<&[u8]>) {
    if let Some(value) = value {
        writer.bytes(number, value);
    }
}
