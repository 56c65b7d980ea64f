//! The checksum that a frame may end with.

use crc32fast::Hasher;

/// Bytes of a checksum on the wire.
pub const TRAILER_LEN: usize = 4;

/// CRC-32 of IEEE 802.3 (reflected, as zlib and gzip use it) over the pieces of a frame: header, metadata, payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum(u32);

impl Checksum {
    /// The checksum of nothing.
    pub const fn new() -> Checksum {
        Checksum(0)
    }

    /// Goes on where another left off.
    pub const fn resumed(value: u32) -> Checksum {
        Checksum(value)
    }

    /// Its number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Goes on with the next piece.
    #[inline]
    pub fn update(&mut self, piece: &[u8]) {
        let mut hasher = Hasher::new_with_initial(self.0);
        hasher.update(piece);
        self.0 = hasher.finalize();
    }

    /// The bytes that follow the frame.
    #[inline]
    pub const fn trailer(self) -> [u8; TRAILER_LEN] {
        self.0.to_le_bytes()
    }
}
