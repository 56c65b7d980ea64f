//! A connection of a brpc client: baidu_std, turned into native requests (`docs/baidu-std.md`).

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::baidu_std::{Frame, HEADER_LEN, Limits, Meta, wanted};
use mcrpc_core::wire::{HEADER_LEN as NATIVE_HEADER_LEN, Header, Kind, Metadata, Writer};

use super::intake::{Intake, Turn};
use super::memory::Lease;
use super::reply::ReplyTo;
use crate::request::Inline;

/// Room for the native metadata of a request: its trace and its caller's name.
const MAX_HEAD: usize = 512;

/// The reading side of a connection.
pub(crate) struct Brpc {
    intake: Intake,
    /// The front of a frame whose rest has not arrived, and since when it is waited for.
    unfinished: Option<(Vec<u8>, Lease, Nanos)>,
    /// Its first request with a name says who calls, as a hello does natively.
    knows_caller: bool,
}

impl Brpc {
    pub(crate) fn new(intake: Intake) -> Brpc {
        Brpc { intake, unfinished: None, knows_caller: false }
    }

    /// Since when the rest of a frame is waited for.
    pub(crate) fn waits_since(&self) -> Option<Nanos> {
        self.unfinished.as_ref().map(|(_, _, since)| *since)
    }

    /// Takes no new requests. A brpc client hears of it when it sends one.
    pub(crate) fn go_away(&mut self) {
        self.intake.close();
    }

    /// Takes what was read; says how many bytes of it.
    ///
    /// # Errors
    ///
    /// The peer broke the rules, or there is no memory for its frame: the connection has to be closed.
    pub(crate) fn read(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Result<usize, Status> {
        let Some((mut bytes, mut lease, since)) = self.unfinished.take() else {
            let used = self.take_frames(input, turn.now(), turn)?;
            return self.keep(&input[used..], input, turn);
        };
        if !lease.extend(input.len()) {
            return Err(Status::QUEUE_FULL);
        }
        bytes.extend_from_slice(input);
        if bytes.len() < HEADER_LEN || wanted(&bytes, &limits(turn))? > bytes.len() {
            self.unfinished = Some((bytes, lease, since));
            return Ok(input.len());
        }
        let used = self.take_frames(&bytes, since, turn)?;
        self.keep(&bytes[used..], input, turn)
    }

    /// Keeps the rest of the input, of which the front of a frame is there; says how many bytes were taken.
    fn keep(&mut self, rest: &[u8], input: &[u8], turn: &mut Turn<'_>) -> Result<usize, Status> {
        if rest.is_empty() || turn.is_full() {
            return Ok(input.len() - rest.len());
        }
        let mut lease = turn.shared.memory.lease();
        if !lease.extend(rest.len()) {
            return Err(Status::QUEUE_FULL);
        }
        self.unfinished = Some((rest.to_vec(), lease, turn.now()));
        Ok(input.len())
    }

    /// Takes the frames at the front, of which the first arrived at `first_arrival`; says how many bytes they had.
    fn take_frames(&mut self, bytes: &[u8], first_arrival: Nanos, turn: &mut Turn<'_>) -> Result<usize, Status> {
        let (mut used, mut arrival) = (0, first_arrival);
        while !turn.is_full() {
            let rest = &bytes[used..];
            let len = match wanted(rest, &limits(turn)) {
                Ok(len) if len <= rest.len() => len,
                Ok(_) | Err(Status::INCOMPLETE) => return Ok(used),
                Err(status) => return Err(status),
            };
            let frame = Frame::new_checked(rest, &limits(turn))?;
            self.take(&frame, arrival, turn)?;
            used += len;
            arrival = turn.now();
        }
        Ok(used)
    }

    fn take(&mut self, frame: &Frame<'_>, arrival: Nanos, turn: &mut Turn<'_>) -> Result<(), Status> {
        let meta = &frame.meta;
        let payload_len = u32::try_from(frame.payload.len()).map_err(|_| Status::BODY_TOO_LONG)?;
        let header = meta.to_header(payload_len)?;
        let to = ReplyTo { header, correlation_id: Some(meta.correlation_id.unwrap_or(0)) };
        // Whoever misunderstands these answers something else than what was asked.
        let asks_for_more = meta.compress_type.unwrap_or(0) != 0
            || meta.content_type.unwrap_or(0) != 0
            || meta.stream_settings.is_some()
            || meta.chunk_info.is_some()
            || !frame.attachment.is_empty();
        if asks_for_more {
            self.intake.refuse(&to, Status::UNSUPPORTED_FLAG, turn);
            return Ok(());
        }
        let mut head = [0; MAX_HEAD];
        let metadata = native_metadata(meta, &header, arrival, &mut head).unwrap_or(&[]);
        // A name that is none, or anything else that is not valid, is nothing.
        let metadata = Metadata::new_checked(metadata, &turn.shared.config.limits).unwrap_or_default();
        if !self.knows_caller && !metadata.caller().is_empty() {
            self.intake.set_caller(metadata.caller(), turn);
            self.knows_caller = true;
        }
        self.intake.take(&Inline { to, metadata: metadata.bytes(), payload: frame.payload, arrival }, turn);
        Ok(())
    }
}

/// What brpc says of a request beyond the native header: its trace, and who calls. `None` if that cannot be said natively.
fn native_metadata<'h>(meta: &Meta<'_>, header: &Header, arrival: Nanos, head: &'h mut [u8]) -> Option<&'h [u8]> {
    let carried = meta.to_context(arrival).ok()?;
    let mut writer = Writer::new(head);
    writer.trace(&carried.trace);
    if let Some(name) = meta.request.as_ref().and_then(|request| request.from_svr_name) {
        writer.caller(name);
    }
    let len = writer.finish(&Header { kind: Kind::Request, ..*header }, 0).ok()?;
    head.get(NATIVE_HEADER_LEN..len)
}

fn limits(turn: &Turn<'_>) -> Limits {
    Limits { max_body_len: turn.shared.config.limits.max_body_len, ..Limits::DEFAULT }
}
