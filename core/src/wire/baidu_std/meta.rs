//! RpcMeta: what a frame says about itself, as brpc publishes it.
//!
//! One parse validates everything: the encoding, the UTF-8 of every string, the required fields. After it the fields are
//! plain values and views of the parsed bytes, and nothing can fail. As protobuf has it, the last of equal scalars wins, parts of
//! one message are merged, and fields that nobody knows are skipped.

use core::ops::Range;

use super::protobuf::{Malformed, Reader, Value};
use super::repeated::{self, ExtraStreamIds, UserFields};
use crate::status::Status;

/// Numbers of the fields of RpcMeta, RpcRequestMeta, RpcResponseMeta, ChunkInfo and StreamSettings.
pub(super) mod number {
    pub(in super::super) const REQUEST: u32 = 1;
    pub(in super::super) const RESPONSE: u32 = 2;
    pub(in super::super) const COMPRESS_TYPE: u32 = 3;
    pub(in super::super) const CORRELATION_ID: u32 = 4;
    pub(in super::super) const ATTACHMENT_SIZE: u32 = 5;
    pub(in super::super) const CHUNK_INFO: u32 = 6;
    pub(in super::super) const AUTHENTICATION_DATA: u32 = 7;
    pub(in super::super) const STREAM_SETTINGS: u32 = 8;
    pub(in super::super) const USER_FIELDS: u32 = 9;
    pub(in super::super) const CONTENT_TYPE: u32 = 10;
    pub(in super::super) const CHECKSUM_TYPE: u32 = 11;
    pub(in super::super) const CHECKSUM_VALUE: u32 = 12;

    pub(in super::super) const SERVICE_NAME: u32 = 1;
    pub(in super::super) const METHOD_NAME: u32 = 2;
    pub(in super::super) const LOG_ID: u32 = 3;
    pub(in super::super) const TRACE_ID: u32 = 4;
    pub(in super::super) const SPAN_ID: u32 = 5;
    pub(in super::super) const PARENT_SPAN_ID: u32 = 6;
    pub(in super::super) const REQUEST_ID: u32 = 7;
    pub(in super::super) const TIMEOUT_MS: u32 = 8;
    pub(in super::super) const FROM_SVR_NAME: u32 = 9;

    pub(in super::super) const ERROR_CODE: u32 = 1;
    pub(in super::super) const ERROR_TEXT: u32 = 2;

    pub(in super::super) const CHUNK_STREAM_ID: u32 = 1;
    pub(in super::super) const CHUNK_ID: u32 = 2;

    pub(in super::super) const STREAM_ID: u32 = 1;
    pub(in super::super) const NEED_FEEDBACK: u32 = 2;
    pub(in super::super) const WRITABLE: u32 = 3;
    pub(in super::super) const EXTRA_STREAM_IDS: u32 = 4;
}

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
        let mut meta = Meta::default();
        match meta.fill(bytes) {
            Ok(()) => Ok(meta),
            Err(Malformed) => Err(Status::BAD_META),
        }
    }

    #[inline]
    fn fill(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        let mut seen = Seen(0);
        let (mut user_fields, mut streams) = (Span::default(), Span::default());
        loop {
            let start = bytes.len() - reader.left();
            let Some(field) = reader.next()? else { break };
            let place = start..bytes.len() - reader.left();
            match field {
                (number::REQUEST, Value::Bytes(bytes)) => {
                    self.request.get_or_insert_default().merge(bytes, &mut seen)?;
                }
                (number::RESPONSE, Value::Bytes(bytes)) => self.response.get_or_insert_default().merge(bytes)?,
                (number::COMPRESS_TYPE, Value::Varint(value)) => self.compress_type = Some(int32(value)),
                (number::CORRELATION_ID, Value::Varint(value)) => self.correlation_id = Some(value.cast_signed()),
                (number::ATTACHMENT_SIZE, Value::Varint(value)) => self.attachment_size = Some(int32(value)),
                (number::CHUNK_INFO, Value::Bytes(bytes)) => {
                    self.chunk_info.get_or_insert_default().merge(bytes, &mut seen)?;
                }
                (number::AUTHENTICATION_DATA, Value::Bytes(bytes)) => self.authentication_data = Some(bytes),
                (number::STREAM_SETTINGS, Value::Bytes(bytes)) => {
                    self.stream_settings.get_or_insert_default().merge(bytes, &mut seen)?;
                    streams.cover(place);
                }
                (number::USER_FIELDS, Value::Bytes(bytes)) => {
                    repeated::user_field(bytes)?;
                    user_fields.cover(place);
                }
                (number::CONTENT_TYPE, Value::Varint(value)) => self.content_type = Some(int32(value)),
                (number::CHECKSUM_TYPE, Value::Varint(value)) => self.checksum_type = Some(int32(value)),
                (number::CHECKSUM_VALUE, Value::Bytes(bytes)) => self.checksum_value = Some(bytes),
                (number::REQUEST..=number::CHECKSUM_VALUE, _) => return Err(Malformed),
                _ => {}
            }
        }
        self.user_fields = UserFields::within(user_fields.of(bytes));
        if let Some(settings) = &mut self.stream_settings {
            settings.extra_stream_ids = ExtraStreamIds::within(streams.of(bytes));
        }
        if seen.contains(self.required()) { Ok(()) } else { Err(Malformed) }
    }

    fn required(&self) -> Seen {
        let of = |there: bool, fields: u8| if there { fields } else { 0 };
        Seen(
            of(self.request.is_some(), Seen::SERVICE_NAME | Seen::METHOD_NAME)
                | of(self.chunk_info.is_some(), Seen::CHUNK_STREAM_ID | Seen::CHUNK_ID)
                | of(self.stream_settings.is_some(), Seen::STREAM_ID),
        )
    }

    /// Cuts what follows the meta into payload and attachment.
    ///
    /// # Errors
    ///
    /// [`Status::BAD_META`] if there are fewer bytes than the attachment has, or it has less than 0.
    #[inline]
    pub fn split_attachment<'b>(&self, body: &'b [u8]) -> Result<(&'b [u8], &'b [u8]), Status> {
        let attachment_len = usize::try_from(self.attachment_size.unwrap_or(0)).ok();
        attachment_len
            .and_then(|len| body.len().checked_sub(len))
            .and_then(|at| body.split_at_checked(at))
            .ok_or(Status::BAD_META)
    }
}

impl<'a> RequestMeta<'a> {
    fn merge(&mut self, bytes: &'a [u8], seen: &mut Seen) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next()? {
            match field {
                (number::SERVICE_NAME, Value::Bytes(bytes)) => {
                    self.service_name = text(bytes)?;
                    seen.0 |= Seen::SERVICE_NAME;
                }
                (number::METHOD_NAME, Value::Bytes(bytes)) => {
                    self.method_name = text(bytes)?;
                    seen.0 |= Seen::METHOD_NAME;
                }
                (number::LOG_ID, Value::Varint(value)) => self.log_id = Some(value.cast_signed()),
                (number::TRACE_ID, Value::Varint(value)) => self.trace_id = Some(value.cast_signed()),
                (number::SPAN_ID, Value::Varint(value)) => self.span_id = Some(value.cast_signed()),
                (number::PARENT_SPAN_ID, Value::Varint(value)) => self.parent_span_id = Some(value.cast_signed()),
                (number::REQUEST_ID, Value::Bytes(bytes)) => self.request_id = Some(text(bytes)?),
                (number::TIMEOUT_MS, Value::Varint(value)) => self.timeout_ms = Some(int32(value)),
                (number::FROM_SVR_NAME, Value::Bytes(bytes)) => self.from_svr_name = Some(text(bytes)?),
                (number::SERVICE_NAME..=number::FROM_SVR_NAME, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> ResponseMeta<'a> {
    fn merge(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next()? {
            match field {
                (number::ERROR_CODE, Value::Varint(value)) => self.error_code = Some(int32(value)),
                (number::ERROR_TEXT, Value::Bytes(bytes)) => self.error_text = Some(text(bytes)?),
                (number::ERROR_CODE..=number::ERROR_TEXT, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }
}

impl ChunkInfo {
    fn merge(&mut self, bytes: &[u8], seen: &mut Seen) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next()? {
            match field {
                (number::CHUNK_STREAM_ID, Value::Varint(value)) => {
                    self.stream_id = value.cast_signed();
                    seen.0 |= Seen::CHUNK_STREAM_ID;
                }
                (number::CHUNK_ID, Value::Varint(value)) => {
                    self.chunk_id = value.cast_signed();
                    seen.0 |= Seen::CHUNK_ID;
                }
                (number::CHUNK_STREAM_ID..=number::CHUNK_ID, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }
}

impl StreamSettings<'_> {
    fn merge(&mut self, bytes: &[u8], seen: &mut Seen) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next()? {
            match field {
                (number::STREAM_ID, Value::Varint(value)) => {
                    self.stream_id = value.cast_signed();
                    seen.0 |= Seen::STREAM_ID;
                }
                (number::NEED_FEEDBACK, Value::Varint(value)) => self.need_feedback = Some(value != 0),
                (number::WRITABLE, Value::Varint(value)) => self.writable = Some(value != 0),
                (number::EXTRA_STREAM_IDS, Value::Varint(_)) => {}
                (number::EXTRA_STREAM_IDS, Value::Bytes(bytes)) => repeated::packed(bytes)?,
                (number::STREAM_ID..=number::EXTRA_STREAM_IDS, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Which required fields have occurred.
struct Seen(u8);

impl Seen {
    const SERVICE_NAME: u8 = 1 << 0;
    const METHOD_NAME: u8 = 1 << 1;
    const CHUNK_STREAM_ID: u8 = 1 << 2;
    const CHUNK_ID: u8 = 1 << 3;
    const STREAM_ID: u8 = 1 << 4;

    fn contains(&self, required: Seen) -> bool {
        self.0 & required.0 == required.0
    }
}

/// The part of the meta from the first to the last occurrence of a field.
#[derive(Default)]
struct Span {
    place: Option<Range<usize>>,
}

impl Span {
    fn cover(&mut self, place: Range<usize>) {
        let start = self.place.as_ref().map_or(place.start, |covered| covered.start);
        self.place = Some(start..place.end);
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        self.place.and_then(|place| bytes.get(place)).unwrap_or_default()
    }
}

/// An int32 is sent as 64 bits, of which the upper half counts for nothing.
#[inline]
fn int32(value: u64) -> i32 {
    value as i32
}

#[inline]
pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    core::str::from_utf8(bytes).map_err(|_| Malformed)
}
