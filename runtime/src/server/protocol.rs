//! Which protocol a connection speaks: found out from its first bytes, once.

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::{Protocol as Spoken, sniff};

use super::brpc::Brpc;
use super::http::Http;
use super::intake::{Intake, Turn};
use super::native::Native;

/// The reading side of a connection, whatever it speaks.
pub(crate) enum Protocol {
    /// Its first bytes, if they are too few to tell, and when they came.
    Unknown(Option<Intake>, Vec<u8>, Nanos),
    Native(Box<Native>),
    Brpc(Brpc),
    Http(Http),
    /// Its first bytes: whoever has the socket hands it over to an HTTP/2 server.
    #[cfg(feature = "grpc")]
    Http2(Intake, Vec<u8>),
}

impl Protocol {
    pub(crate) fn new(intake: Intake) -> Protocol {
        Protocol::Unknown(Some(intake), Vec::new(), Nanos::default())
    }

    /// Since when something is waited for that has begun.
    pub(crate) fn waits_since(&self) -> Option<Nanos> {
        match self {
            Protocol::Unknown(_, begin, since) => (!begin.is_empty()).then_some(*since),
            Protocol::Native(native) => native.waits_since(),
            Protocol::Brpc(brpc) => brpc.waits_since(),
            Protocol::Http(http) => http.waits_since(),
            #[cfg(feature = "grpc")]
            Protocol::Http2(..) => None,
        }
    }

    /// Takes no new requests, and says so where the protocol can.
    pub(crate) fn go_away(&mut self, out: &mut Vec<u8>) {
        match self {
            Protocol::Unknown(intake, ..) => _ = intake.as_mut().map(Intake::close),
            Protocol::Native(native) => native.go_away(out),
            Protocol::Brpc(brpc) => brpc.go_away(),
            Protocol::Http(http) => http.go_away(),
            #[cfg(feature = "grpc")]
            Protocol::Http2(..) => {}
        }
    }

    /// Takes what was read, and says how many bytes of it: not all if [the turn is full](Turn::is_full). The rest is to be brought
    /// again.
    ///
    /// # Errors
    ///
    /// The connection has to be closed, and why.
    #[inline]
    pub(crate) fn read(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Result<usize, Status> {
        match self {
            Protocol::Native(native) => native.read(input, turn),
            Protocol::Brpc(brpc) => brpc.read(input, turn),
            Protocol::Http(http) => http.read(input, turn),
            #[cfg(feature = "grpc")]
            Protocol::Http2(_, begin) => {
                begin.extend_from_slice(input);
                Ok(input.len())
            }
            Protocol::Unknown(intake, begin, since) => {
                if begin.is_empty() {
                    *since = turn.now();
                }
                begin.extend_from_slice(input);
                let Some(spoken) = sniff(begin) else { return Ok(input.len()) };
                let Some(intake) = intake.take() else { return Err(Status::BAD_MAGIC) };
                intake.connection.set_spoken(spoken);
                let begin = std::mem::take(begin);
                *self = match spoken {
                    Spoken::Native => Protocol::Native(Box::new(Native::new(intake, turn.shared))),
                    Spoken::BaiduStd => Protocol::Brpc(Brpc::new(intake)),
                    Spoken::Http1 => Protocol::Http(Http::default()),
                    #[cfg(feature = "grpc")]
                    Spoken::Http2 => Protocol::Http2(intake, Vec::new()),
                    #[cfg(not(feature = "grpc"))]
                    Spoken::Http2 => return Err(Status::BAD_MAGIC),
                    Spoken::Unknown => return Err(Status::BAD_MAGIC),
                };
                let unread = begin.len() - self.read(&begin, turn)?;
                Ok(input.len().saturating_sub(unread))
            }
        }
    }
}
