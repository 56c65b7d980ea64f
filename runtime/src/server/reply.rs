//! A reply as it goes over the wire.

use mcrpc_core::admission::Cursor;
use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{Meta, Origin};
use mcrpc_core::wire::checksum::Checksum;
use mcrpc_core::wire::metadata::RejectState;
use mcrpc_core::wire::{Flags, HEADER_LEN, Header, Kind, Writer};

use crate::failure::{Failure, Reject};

/// For how long callers keep to a cursor that they have heard (SPEC S13).
pub(crate) const CURSOR_HOLD_MS: u16 = 300;
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
    /// For how long the cursor holds.
    pub(crate) hold_ms: u16,
}

impl Load {
    /// The same, if a server that this one has passed a request on to refuses no more than it does itself; else what that server said.
    #[inline]
    fn with(self, reject: Reject) -> Load {
        if !reject.is_relayed || reject.cursor >= self.cursor {
            return self;
        }
        let hold_ms = if reject.hold_ms == 0 { CURSOR_HOLD_MS } else { reject.hold_ms };
        Load { cursor: reject.cursor, hold_ms, refused_per_10k: 0 }
    }
}

/// Appends the answer to a request: what `write` appends is the payload, unless it fails.
pub(crate) fn put_written(
    out: &mut Vec<u8>,
    to: &ReplyTo,
    load: impl FnOnce() -> Load,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>,
) -> Status {
    let begin = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
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
            put_checksum(out, begin, &to.header);
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
    let load = load.with(failure.reject());
    let text = failure.text();
    let text = if text.len() <= MAX_TEXT { text } else { cut(text) };
    put_refusal(out, to, load, failure.status(), text);
    failure.status()
}

/// The same, of a status and a text for a person, which is not too long.
#[inline(always)]
pub(crate) fn put_refusal(out: &mut Vec<u8>, to: &ReplyTo, load: Load, status: Status, text: &str) {
    // What is written fits: the length of the text is bounded, and it is UTF-8.
    let _ = put(out, to, status, load, text, &[]);
}

#[cold]
fn cut(text: &str) -> &str {
    let end = (0..=MAX_TEXT).rfind(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[inline(always)]
fn put(out: &mut Vec<u8>, to: &ReplyTo, status: Status, load: Load, text: &str, payload: &[u8]) -> Result<(), Status> {
    if let Some(correlation_id) = to.correlation_id {
        return put_for_brpc(out, correlation_id, status, text, payload);
    }
    let begin = out.len();
    let body_len = u32::try_from(payload.len()).map_err(|_| Status::BODY_TOO_LONG)?;
    let header = || Header { body_len, cursor: load.cursor.0, ..header_of(&to.header, status) };
    if !text.is_empty() {
        // Most have none, and a long head takes longer to clear than to write.
        put_head::<LONG_HEAD>(out, &header(), load, text)?;
    } else if load.cursor == Cursor::OPEN {
        out.extend_from_slice(&header().emit());
    } else {
        put_head::<SHORT_HEAD>(out, &header(), load, text)?;
    }
    out.extend_from_slice(payload);
    put_checksum(out, begin, &to.header);
    Ok(())
}

/// Appends a header, and behind it why requests are refused.
#[inline]
fn put_head<const ROOM: usize>(out: &mut Vec<u8>, header: &Header, load: Load, text: &str) -> Result<(), Status> {
    let (begin, mut head) = (out.len(), [0; ROOM]);
    let mut writer = Writer::new(&mut head);
    if load.cursor != Cursor::OPEN {
        writer.reject_state(RejectState { hold_ms: load.hold_ms, share_per_10k: load.refused_per_10k });
    }
    writer.error_text(text);
    let len = writer.finish(header, header.body_len)?;
    // All of it: what has a length that is known is copied without a call.
    out.extend_from_slice(&head);
    out.truncate(begin + len);
    Ok(())
}

fn put_for_brpc(
    out: &mut Vec<u8>,
    correlation_id: i64,
    status: Status,
    text: &str,
    payload: &[u8],
) -> Result<(), Status> {
    let payload_len = u32::try_from(payload.len()).map_err(|_| Status::BODY_TOO_LONG)?;
    let mut head = [0; LONG_HEAD];
    let meta = Meta::response(correlation_id, status, text);
    let head_len = meta.write(&Origin::default(), std::iter::empty(), payload_len, &mut head);
    out.extend_from_slice(&head[..head_len.map_err(|error| error.status())?]);
    out.extend_from_slice(payload);
    Ok(())
}

/// The header of an answer. Who sends checksums gets them.
#[inline]
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

#[inline]
fn put_checksum(out: &mut Vec<u8>, begin: usize, request: &Header) {
    if request.flags.contains(Flags::CRC_TRAILER) {
        let mut checksum = Checksum::new();
        checksum.update(&out[begin..]);
        out.extend_from_slice(&checksum.trailer());
    }
}

fn too_long() -> Failure {
    Failure::of_system(Status::BODY_TOO_LONG).with_text("the reply is longer than a frame can be")
}
