//! A connection that speaks the native protocol.

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::{Decoder, Event, Flags, HEADER_LEN, Header, Hello, Kind, Limits, Metadata};

use super::intake::{Intake, Turn};
use super::memory::Lease;
use super::reply::ReplyTo;
use super::shared::Shared;
use crate::request::Inline;

/// The reading side of a connection.
pub(crate) struct Native {
    decoder: Decoder,
    intake: Intake,
    /// The frame that arrives in pieces.
    unfinished: Option<Unfinished>,
}

struct Unfinished {
    header: Header,
    arrival: Nanos,
    /// Its metadata, and behind it its payload, as far as they have arrived. None if it was answered already.
    body: Option<(Vec<u8>, Lease)>,
}

impl Native {
    pub(crate) fn new(intake: Intake, shared: &Shared) -> Native {
        // Open calls are counted where they are taken.
        let limits = Limits { max_open_calls: 0, ..shared.config.limits };
        Native { decoder: Decoder::new(limits), intake, unfinished: None }
    }

    /// Since when the rest of a frame is waited for.
    pub(crate) fn waits_since(&self) -> Option<Nanos> {
        self.unfinished.as_ref().map(|unfinished| unfinished.arrival)
    }

    /// Takes no new requests, and says so.
    pub(crate) fn go_away(&mut self, out: &mut Vec<u8>) {
        if self.intake.close() {
            out.extend_from_slice(&Header::new(Kind::GoAway, 0).emit());
        }
    }

    /// Takes what was read; says how many bytes of it.
    ///
    /// # Errors
    ///
    /// The peer broke the rules, so that nobody knows where the next frame begins: the connection has to be closed.
    pub(crate) fn read(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Result<usize, Status> {
        let mut rest = input;
        loop {
            if self.decoder.is_between_frames() {
                while let Some((request, len)) = whole_request(rest, turn) {
                    self.take_request(&request, turn);
                    rest = &rest[len..];
                    if turn.is_full() {
                        return Ok(input.len() - rest.len());
                    }
                }
            }
            match self.step(rest, turn)? {
                Some(used) if !turn.is_full() => rest = &rest[used..],
                Some(used) => return Ok(input.len() - rest.len() + used),
                None => return Ok(input.len()),
            }
        }
    }

    /// Takes the next piece of a frame; says how many bytes it has. `None`: there is none.
    #[inline(never)]
    fn step(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Result<Option<usize>, Status> {
        let step = self.decoder.next(input)?;
        match step.event {
            None => return Ok(None),
            Some(Event::Header(header)) => self.unfinished = Some(self.begin(header, turn)),
            Some(Event::Refused(header, status)) => self.refuse(&header, status, turn)?,
            Some(Event::Metadata(piece) | Event::Payload(piece)) => self.collect(piece, turn),
            Some(Event::Checked | Event::Skipped) => {}
        }
        if step.ends_frame
            && let Some(Unfinished { header, arrival, body: Some((body, _lease)) }) = self.unfinished.take()
        {
            let (metadata, payload) = body.split_at(usize::from(header.metadata_len).min(body.len()));
            self.take(&Inline { metadata, payload, ..Inline::new(ReplyTo::native(header), arrival) }, turn)?;
        }
        Ok(Some(step.used))
    }

    /// Waits for the rest of a frame, unless it is a request that is refused now.
    fn begin(&mut self, header: Header, turn: &mut Turn<'_>) -> Unfinished {
        let verdict = if header.kind == Kind::Request { self.intake.judge_early(&header, turn) } else { Ok(()) };
        if let Err(status) = verdict {
            self.intake.refuse(&ReplyTo::native(header), status, turn);
        }
        let body = verdict.is_ok().then(|| (Vec::new(), turn.shared.memory.lease()));
        Unfinished { header, arrival: turn.now(), body }
    }

    /// Keeps a piece of a frame, if there is memory for it.
    fn collect(&mut self, piece: &[u8], turn: &mut Turn<'_>) {
        let Some(unfinished) = &mut self.unfinished else { return };
        let Some((body, lease)) = &mut unfinished.body else { return };
        if lease.extend(piece.len()) {
            body.extend_from_slice(piece);
        } else {
            unfinished.body = None;
            self.intake.refuse(&ReplyTo::native(unfinished.header), Status::QUEUE_FULL, turn);
        }
    }

    /// Takes a frame that is whole, and whose metadata nobody has looked at.
    fn take(&mut self, frame: &Inline<'_>, turn: &mut Turn<'_>) -> Result<(), Status> {
        let header = &frame.to.header;
        if let Kind::Request | Kind::OneWay = header.kind {
            self.take_request(frame, turn);
            return Ok(());
        }
        let metadata = match Metadata::new_checked(frame.metadata, &turn.shared.config.limits) {
            Ok(metadata) => metadata,
            Err(status) => return self.refuse(header, status, turn),
        };
        match header.kind {
            Kind::Ping => {
                let pong = Header { uin: header.uin, ..Header::new(Kind::Pong, header.call_id) };
                turn.out.extend_from_slice(&pong.emit());
            }
            Kind::Cancel => {
                // It may mean one that was read just now.
                turn.settle();
                self.intake.connection.cancel(header.call_id);
            }
            Kind::Hello => self.intake.set_caller(Hello::read(metadata).caller, turn),
            Kind::Request | Kind::OneWay | Kind::Pong | Kind::GoAway | Kind::Response => {}
        }
        Ok(())
    }

    /// The same, of a request.
    #[inline]
    fn take_request(&mut self, request: &Inline<'_>, turn: &mut Turn<'_>) {
        if request.metadata.is_empty() || self.look_at_metadata(request, turn) {
            self.intake.take(request, turn);
        }
    }

    /// Whether the metadata of a request are valid; it is refused if they are not.
    #[inline(never)]
    fn look_at_metadata(&mut self, request: &Inline<'_>, turn: &mut Turn<'_>) -> bool {
        let checked = Metadata::new_checked(request.metadata, &turn.shared.config.limits);
        match checked {
            Ok(metadata) => self.intake.note_withheld(&request.to.header, metadata.withheld(), turn),
            Err(status) if request.to.header.kind == Kind::Request => self.intake.refuse(&request.to, status, turn),
            Err(_) => {}
        }
        checked.is_ok()
    }

    /// A frame that must not be acted on.
    fn refuse(&self, header: &Header, status: Status, turn: &mut Turn<'_>) -> Result<(), Status> {
        match header.kind {
            Kind::Request => {
                self.intake.refuse(&ReplyTo::native(*header), status, turn);
                Ok(())
            }
            Kind::Response | Kind::OneWay | Kind::Cancel => Ok(()),
            Kind::Hello | Kind::Ping | Kind::Pong | Kind::GoAway => Err(status),
        }
    }
}

/// The request that lies at the front of the input as a whole, and its length: the usual case, for which the decoder's state is
/// not needed. What is anything else, the decoder says.
#[inline]
fn whole_request<'i>(input: &'i [u8], turn: &Turn<'_>) -> Option<(Inline<'i>, usize)> {
    let header = Header::parse(input.first_chunk()?, &turn.shared.config.limits).ok()?;
    if header.kind != Kind::Request || header.flags.contains(Flags::CRC_TRAILER) {
        return None;
    }
    let len = HEADER_LEN + header.body_len as usize;
    let (metadata, payload) = input.get(HEADER_LEN..len)?.split_at_checked(header.metadata_len.into())?;
    Some((Inline { metadata, payload, ..Inline::new(ReplyTo::native(header), turn.now()) }, len))
}
