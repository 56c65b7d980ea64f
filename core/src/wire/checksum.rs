//! The checksum that a frame may end with.
//!
//! By carry-less multiplication where an x86-64 processor has it, else by the tables of the `crc` crate. Where the multiplication is the
//! rule the tables are small (1 KiB): the fast ones, of 16 KiB, would be a seventh of the library. The multiplication
//! needs vector registers, without which kernels are built.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod x86_64;

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
const LANES: usize = 1;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
const LANES: usize = 16;

static TABLES: Crc<u32, Table<LANES>> = Crc::<u32, Table<LANES>>::new(&CRC_32_ISO_HDLC);

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
        #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
        if let Some(after) = x86_64::update(self.0, piece) {
            self.0 = after;
            return;
        }
        self.0 = by_tables(self.0, piece);
    }

    /// The bytes that follow the frame.
    #[inline]
    pub const fn trailer(self) -> [u8; TRAILER_LEN] {
        self.0.to_le_bytes()
    }
}

#[cold]
#[inline(never)]
fn by_tables(before: u32, piece: &[u8]) -> u32 {
    // The crate takes the register of a reflected checksum as it is before it is reflected.
    let mut digest = TABLES.digest_with_initial((!before).reverse_bits());
    digest.update(piece);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::{Checksum, by_tables};

    /// Every length to beyond several blocks, in two pieces cut everywhere.
    #[test]
    fn both_ways_agree_with_another_implementation() {
        let bytes: [u8; 300] = core::array::from_fn(|at| (at * 167 + at / 7) as u8);
        for len in 0..=bytes.len() {
            let expected = crc32fast::hash(&bytes[..len]);
            for cut in 0..=len {
                let (first, second) = bytes[..len].split_at(cut);
                let mut checksum = Checksum::new();
                checksum.update(first);
                checksum.update(second);
                assert_eq!(checksum.value(), expected, "{len} bytes cut at {cut}");
            }
            assert_eq!(by_tables(by_tables(0, &bytes[..len / 3]), &bytes[len / 3..len]), expected, "{len} bytes");
        }
    }
}
