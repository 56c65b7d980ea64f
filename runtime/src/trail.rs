//! What is told of the calls of dyed users: lines in the trace ring of this process, each with the time of what it tells
//! (`docs/observability.md`).

use std::fmt::{self, Write as _};

use mcrpc_core::host::trace::Ring;
use mcrpc_core::time::Nanos;

/// The kind of a line of a server.
pub(crate) const SERVER_KIND: u8 = 221;
/// The kind of a line of a client.
pub(crate) const CLIENT_KIND: u8 = 222;
/// What is longer is cut off: eight cells of a ring.
const MAX_LEN: usize = 440;

/// Appends a line. One that finds no room is lost, as the ring says.
pub(crate) fn write(ring: &Ring<'_>, kind: u8, at: Nanos, text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; MAX_LEN], len: 0 };
    // It never fails: what does not fit is cut off.
    let _ = line.write_fmt(text);
    let _ = ring.write(kind, line.bytes.get(..line.len).unwrap_or_default(), at);
}

struct Line {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let fits = (0..=room.len().min(text.len())).rfind(|&end| text.is_char_boundary(end)).unwrap_or(0);
        room.iter_mut().zip(text.as_bytes().iter().take(fits)).for_each(|(to, byte)| *to = *byte);
        self.len += fits;
        Ok(())
    }
}
