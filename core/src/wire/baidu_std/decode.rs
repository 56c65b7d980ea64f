//! Reading a meta, into one that is there.

use core::ops::Range;

use super::number;
use super::packed::{PackedMeta, field, put};
use super::protobuf::{Malformed, Reader, Value};
use super::repeated;
use crate::status::Status;

impl<'a> PackedMeta<'a> {
    /// Reads and validates a meta. This one must be empty.
    ///
    /// # Errors
    ///
    /// As [`super::Meta::parse`]; then this one is empty again.
    pub fn parse(&mut self, bytes: &'a [u8]) -> Result<(), Status> {
        match self.merge(bytes) {
            Ok(()) => Ok(()),
            Err(Malformed) => {
                *self = PackedMeta::default();
                Err(Status::BAD_META)
            }
        }
    }

    fn merge(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        let mut seen = 0;
        let (mut user_fields, mut streams) = (0..0, 0..0);
        loop {
            let start = bytes.len() - reader.rest().len();
            let Some(found) = reader.next()? else { break };
            let end = bytes.len() - reader.rest().len();
            let present = &mut self.present;
            match found {
                (number::REQUEST, Value::Bytes(bytes)) => self.merge_request(bytes, &mut seen)?,
                (number::RESPONSE, Value::Bytes(bytes)) => self.merge_response(bytes)?,
                (number::COMPRESS_TYPE, Value::Varint(value)) => {
                    put(present, field::COMPRESS_TYPE, &mut self.compress_type, Some(int32(value)));
                }
                (number::CORRELATION_ID, Value::Varint(value)) => {
                    put(present, field::CORRELATION_ID, &mut self.correlation_id, Some(value.cast_signed()));
                }
                (number::ATTACHMENT_SIZE, Value::Varint(value)) => {
                    put(present, field::ATTACHMENT_SIZE, &mut self.attachment_size, Some(int32(value)));
                }
                (number::CHUNK_INFO, Value::Bytes(bytes)) => self.merge_chunk_info(bytes, &mut seen)?,
                (number::AUTHENTICATION_DATA, Value::Bytes(bytes)) => {
                    put(present, field::AUTHENTICATION_DATA, &mut self.authentication_data, Some(bytes));
                }
                (number::STREAM_SETTINGS, Value::Bytes(bytes)) => {
                    self.merge_stream_settings(bytes, &mut seen)?;
                    cover(&mut streams, start, end);
                }
                (number::USER_FIELDS, Value::Bytes(bytes)) => {
                    repeated::user_field(bytes)?;
                    cover(&mut user_fields, start, end);
                }
                (number::CONTENT_TYPE, Value::Varint(value)) => {
                    put(present, field::CONTENT_TYPE, &mut self.content_type, Some(int32(value)));
                }
                (number::CHECKSUM_TYPE, Value::Varint(value)) => {
                    put(present, field::CHECKSUM_TYPE, &mut self.checksum_type, Some(int32(value)));
                }
                (number::CHECKSUM_VALUE, Value::Bytes(bytes)) => {
                    put(present, field::CHECKSUM_VALUE, &mut self.checksum_value, Some(bytes));
                }
                (number::REQUEST..=number::CHECKSUM_VALUE, _) => return Err(Malformed),
                _ => {}
            }
        }
        self.user_fields = bytes.get(user_fields).unwrap_or_default().into();
        self.streams = bytes.get(streams).unwrap_or_default().into();
        if self.required() & !seen == 0 { Ok(()) } else { Err(Malformed) }
    }

    fn merge_request(&mut self, bytes: &'a [u8], seen: &mut u8) -> Result<(), Malformed> {
        self.present |= field::REQUEST;
        let present = &mut self.present;
        let mut reader = Reader::new(bytes);
        while let Some(found) = reader.next()? {
            match found {
                (number::SERVICE_NAME, Value::Bytes(bytes)) => {
                    self.service_name = repeated::text(bytes)?.into();
                    *seen |= seen::SERVICE_NAME;
                }
                (number::METHOD_NAME, Value::Bytes(bytes)) => {
                    self.method_name = repeated::text(bytes)?.into();
                    *seen |= seen::METHOD_NAME;
                }
                (number::LOG_ID, Value::Varint(value)) => {
                    put(present, field::LOG_ID, &mut self.log_id, Some(value.cast_signed()));
                }
                (number::TRACE_ID, Value::Varint(value)) => {
                    put(present, field::TRACE_ID, &mut self.trace_id, Some(value.cast_signed()));
                }
                (number::SPAN_ID, Value::Varint(value)) => {
                    put(present, field::SPAN_ID, &mut self.span_id, Some(value.cast_signed()));
                }
                (number::PARENT_SPAN_ID, Value::Varint(value)) => {
                    put(present, field::PARENT_SPAN_ID, &mut self.parent_span_id, Some(value.cast_signed()));
                }
                (number::REQUEST_ID, Value::Bytes(bytes)) => {
                    put(present, field::REQUEST_ID, &mut self.request_id, Some(repeated::legible(bytes)));
                }
                (number::TIMEOUT_MS, Value::Varint(value)) => {
                    put(present, field::TIMEOUT_MS, &mut self.timeout_ms, Some(int32(value)));
                }
                (number::FROM_SVR_NAME, Value::Bytes(bytes)) => {
                    put(present, field::FROM_SVR_NAME, &mut self.from_svr_name, Some(repeated::text(bytes)?));
                }
                (number::SERVICE_NAME..=number::FROM_SVR_NAME, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }

    fn merge_response(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        self.present |= field::RESPONSE;
        let present = &mut self.present;
        let mut reader = Reader::new(bytes);
        while let Some(found) = reader.next()? {
            match found {
                (number::ERROR_CODE, Value::Varint(value)) => {
                    put(present, field::ERROR_CODE, &mut self.error_code, Some(int32(value)));
                }
                (number::ERROR_TEXT, Value::Bytes(bytes)) => {
                    put(present, field::ERROR_TEXT, &mut self.error_text, Some(repeated::legible(bytes)));
                }
                (number::ERROR_CODE..=number::ERROR_TEXT, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }

    fn merge_chunk_info(&mut self, bytes: &[u8], seen: &mut u8) -> Result<(), Malformed> {
        self.present |= field::CHUNK_INFO;
        let mut reader = Reader::new(bytes);
        while let Some(found) = reader.next()? {
            match found {
                (number::CHUNK_STREAM_ID, Value::Varint(value)) => {
                    self.chunk_stream_id = value.cast_signed();
                    *seen |= seen::CHUNK_STREAM_ID;
                }
                (number::CHUNK_ID, Value::Varint(value)) => {
                    self.chunk_id = value.cast_signed();
                    *seen |= seen::CHUNK_ID;
                }
                (number::CHUNK_STREAM_ID..=number::CHUNK_ID, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }

    fn merge_stream_settings(&mut self, bytes: &[u8], seen: &mut u8) -> Result<(), Malformed> {
        self.present |= field::STREAM_SETTINGS;
        let present = &mut self.present;
        let mut reader = Reader::new(bytes);
        while let Some(found) = reader.next()? {
            match found {
                (number::STREAM_ID, Value::Varint(value)) => {
                    self.stream_id = value.cast_signed();
                    *seen |= seen::STREAM_ID;
                }
                (number::NEED_FEEDBACK, Value::Varint(value)) => {
                    put(present, field::NEED_FEEDBACK, &mut self.need_feedback, Some(value != 0));
                }
                (number::WRITABLE, Value::Varint(value)) => {
                    put(present, field::WRITABLE, &mut self.writable, Some(value != 0));
                }
                (number::EXTRA_STREAM_IDS, Value::Varint(_)) => {}
                (number::EXTRA_STREAM_IDS, Value::Bytes(bytes)) => repeated::packed_numbers(bytes)?,
                (number::STREAM_ID..=number::EXTRA_STREAM_IDS, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }

    fn required(&self) -> u8 {
        let of = |part: u32, fields: u8| if self.has(part) { fields } else { 0 };
        of(field::REQUEST, seen::SERVICE_NAME | seen::METHOD_NAME)
            | of(field::CHUNK_INFO, seen::CHUNK_STREAM_ID | seen::CHUNK_ID)
            | of(field::STREAM_SETTINGS, seen::STREAM_ID)
    }
}

/// Bits of the required fields that have occurred.
mod seen {
    pub(super) const SERVICE_NAME: u8 = 1 << 0;
    pub(super) const METHOD_NAME: u8 = 1 << 1;
    pub(super) const CHUNK_STREAM_ID: u8 = 1 << 2;
    pub(super) const CHUNK_ID: u8 = 1 << 3;
    pub(super) const STREAM_ID: u8 = 1 << 4;
}

/// Lets a span reach from its first field to this one.
fn cover(span: &mut Range<usize>, start: usize, end: usize) {
    if span.start == span.end {
        span.start = start;
    }
    span.end = end;
}

/// An int32 is sent as 64 bits, of which the upper half counts for nothing.
#[inline]
fn int32(value: u64) -> i32 {
    value as i32
}
