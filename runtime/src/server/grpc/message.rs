//! The one message of a call, as it arrives in pieces: a flag, its length, and so many bytes.

use bytes::Bytes;
use mcrpc_core::status::Status;

use crate::failure::Failure;

/// What stands in front of a message: a byte that says whether it is compressed, and its length, big-endian.
pub(super) const PREFIX_LEN: usize = 5;

/// See the module.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Takes another piece.
    ///
    /// # Errors
    ///
    /// It is compressed, longer than `max_len`, or more than one message.
    pub(super) fn extend(&mut self, piece: &[u8], max_len: u32) -> Result<(), Failure> {
        self.0.extend_from_slice(piece);
        let Some((&[flag, ref len @ ..], payload)) = self.0.split_first_chunk::<PREFIX_LEN>() else { return Ok(()) };
        let len = u32::from_be_bytes(*len);
        if flag != 0 {
            return Err(compressed());
        }
        if len > max_len {
            let text = format!("the message has {len} bytes, and the server takes {max_len} at most");
            return Err(Failure::of_system(Status::BODY_TOO_LONG).with_text(text));
        }
        if payload.len() > len as usize { Err(not_one()) } else { Ok(()) }
    }

    /// The message, when all has arrived.
    ///
    /// # Errors
    ///
    /// It is not whole.
    pub(super) fn finish(self) -> Result<Bytes, Failure> {
        let bytes = Bytes::from(self.0);
        let len = bytes.get(1..PREFIX_LEN).and_then(|len| len.try_into().ok()).map(u32::from_be_bytes);
        match len {
            Some(len) if bytes.len() - PREFIX_LEN == len as usize => Ok(bytes.slice(PREFIX_LEN..)),
            _ => Err(not_one()),
        }
    }
}

/// What a caller is told that compresses.
pub(super) fn compressed() -> Failure {
    Failure::of_system(Status::UNSUPPORTED_FLAG).with_text("the server takes no compressed messages: send identity")
}

fn not_one() -> Failure {
    Failure::of_system(Status::UNSUPPORTED_FLAG).with_text("a method takes one whole message: there are no streams")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Bytes, Status> {
        let mut message = Message::default();
        for piece in pieces {
            message.extend(piece, 4).map_err(|failure| failure.status())?;
        }
        message.finish().map_err(|failure| failure.status())
    }

    #[test]
    fn a_message_may_arrive_in_any_pieces_and_only_one() {
        type Case = (&'static [&'static [u8]], Result<&'static [u8], Status>);
        let cases: [Case; 9] = [
            (&[b"\0\0\0\0\x02hi"], Ok(b"hi")),
            (&[b"\0\0\0", b"\0", b"\x02h", b"", b"i"], Ok(b"hi")),
            (&[b"\0\0\0\0\0"], Ok(b"")),
            (&[], Err(Status::UNSUPPORTED_FLAG)),
            (&[b"\0\0\0\0"], Err(Status::UNSUPPORTED_FLAG)),
            (&[b"\0\0\0\0\x02h"], Err(Status::UNSUPPORTED_FLAG)),
            (&[b"\0\0\0\0\x02hi\0"], Err(Status::UNSUPPORTED_FLAG)),
            (&[b"\x01\0\0\0\x02hi"], Err(Status::UNSUPPORTED_FLAG)),
            (&[b"\0\0\0\0\x05"], Err(Status::BODY_TOO_LONG)),
        ];
        for (pieces, wanted) in cases {
            assert_eq!(read(pieces).as_deref(), wanted.as_deref(), "{pieces:?}");
        }
    }
}
