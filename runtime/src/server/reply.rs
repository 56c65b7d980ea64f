//! A reply as it goes over the wire.

use mcrpc_core::admission::Cursor;
use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{Meta, Origin};
use mcrpc_core::wire::checksum::Checksum;
use mcrpc_core::wire::metadata::RejectState;
use mcrpc_core::wire::{Flags, HEADER_LEN, Header, Kind, Writer};

use crate::failure::Failure;

/// For how long callers keep to a cursor that they have heard (SPEC S13).
const CURSOR_HOLD_MS: u16 = 300;
/// The longest text that goes along with a failure.
const MAX_TEXT: usize = 1 << 10;
/// Room for a head without a text, and with one.
const SHORT_HEAD: usize = 64;
const LONG_HEAD: usize = HEADER_LEN + MAX_TEXT + 32;

/// What an answer refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyTo {
    /// The request's header; natively, whatever its protocol.
    pub(crate) header: Header,
    /// By which a brpc client knows its call; `None` for the native protocol.
    pub(crate) correlation_id: Option<i64>,
}

impl ReplyTo {
    pub(crate) fn native(header: Header) -> ReplyTo {
        ReplyTo { header, correlation_id: None }
    }
}

/// What the server says of itself with each reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) cursor: Cursor,
    /// The share of requests that is refused now.
    pub(crate) refused_per_10k: u16,
}

/// Appends the answer to a request: what `write` appends is the payload, unless it fails.
pub(crate) fn put_written(
    out: &mut Vec<u8>,
    to: &ReplyTo,
    load: impl FnOnce() -> Load,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>,
) -> Status {
    let begin = out.len();
    out.resize(begin + HEADER_LEN, 0);
    let written = write(out);
    let load = load();
    if let Err(failure) = written {
        out.truncate(begin);
        return put_failure(out, to, load, &failure);
    }
    let payload_len = out.len().checked_sub(begin + HEADER_LEN);
    let is_plain = load.cursor == Cursor::OPEN && to.correlation_id.is_none();
    match payload_len.and_then(|len| u32::try_from(len).ok()).filter(|_| is_plain) {
        Some(body_len) => {
            let header = Header { body_len, cursor: load.cursor.0, ..header_of(&to.header, Status::OK) };
            out[begin..begin + HEADER_LEN].copy_from_slice(&header.emit());
            put_checksum(out, begin, &header);
            Status::OK
        }
        None => {
            // What stands between the header and the payload takes room: rare.
            let payload = out.get(begin + HEADER_LEN..).unwrap_or_default().to_vec();
            out.truncate(begin);
            put_reply(out, to, load, &payload)
        }
    }
}

/// Appends the answer to a request: a reply that went well.
pub(crate) fn put_reply(out: &mut Vec<u8>, to: &ReplyTo, load: Load, payload: &[u8]) -> Status {
    match put(out, to, Status::OK, load, "", payload) {
        Ok(()) => Status::OK,
        Err(_) => put_failure(out, to, load, &too_long()),
    }
}

/// Appends the answer to a request: why there is none.
pub(crate) fn put_failure(out: &mut Vec<u8>, to: &ReplyTo, load: Load, failure: &Failure) -> Status {
    let end = (0..=MAX_TEXT.min(failure.text().len())).rfind(|&end| failure.text().is_char_boundary(end));
    let text = &failure.text()[..end.unwrap_or(0)];
    // What is written fits: its length is bounded here, and the texts are UTF-8.
    let _ = put(out, to, failure.status(), load, text, &[]);
    failure.status()
}

fn put(out: &mut Vec<u8>, to: &ReplyTo, status: Status, load: Load, text: &str, payload: &[u8]) -> Result<(), Status> {
    let payload_len = u32::try_from(payload.len()).map_err(|_| Status::BODY_TOO_LONG)?;
    // Most have no text, and a long head takes longer to clear than to write.
    if text.is_empty() {
        put_with(&mut [0; SHORT_HEAD], out, to, status, load, text, payload, payload_len)
    } else {
        put_with(&mut [0; LONG_HEAD], out, to, status, load, text, payload, payload_len)
    }
}

#[allow(clippy::too_many_arguments)]
#[inline]
fn put_with(
    head: &mut [u8],
    out: &mut Vec<u8>,
    to: &ReplyTo,
    status: Status,
    load: Load,
    text: &str,
    payload: &[u8],
    payload_len: u32,
) -> Result<(), Status> {
    let begin = out.len();
    if let Some(correlation_id) = to.correlation_id {
        let meta = Meta::response(correlation_id, status, text);
        let head_len = meta.write(&Origin::default(), std::iter::empty(), payload_len, head);
        out.extend_from_slice(&head[..head_len.map_err(|error| error.status())?]);
        out.extend_from_slice(payload);
        return Ok(());
    }
    let header = Header { cursor: load.cursor.0, ..header_of(&to.header, status) };
    let mut writer = Writer::new(head);
    if load.cursor != Cursor::OPEN {
        writer.reject_state(RejectState { hold_ms: CURSOR_HOLD_MS, share_per_10k: load.refused_per_10k });
    }
    writer.error_text(text);
    let head_len = writer.finish(&header, payload_len)?;
    out.extend_from_slice(&head[..head_len]);
    out.extend_from_slice(payload);
    put_checksum(out, begin, &header);
    Ok(())
}

/// The header of an answer. Who sends checksums gets them.
fn header_of(request: &Header, status: Status) -> Header {
    Header {
        flags: Flags(request.flags.0 & Flags::CRC_TRAILER),
        priority: request.priority,
        status,
        uin: request.uin,
        business_id: request.business_id,
        ..Header::new(Kind::Response, request.call_id)
    }
}

fn put_checksum(out: &mut Vec<u8>, begin: usize, header: &Header) {
    if header.flags.contains(Flags::CRC_TRAILER) {
        let mut checksum = Checksum::new();
        checksum.update(&out[begin..]);
        out.extend_from_slice(&checksum.trailer());
    }
}

fn too_long() -> Failure {
    Failure::of_system(Status::BODY_TOO_LONG).with_text("the reply is longer than a frame can be")
}
