//! The first 128 bytes of every segment, and the one place where a segment is believed or refused.
//!
//! | word | field | |
//! |---|---|---|
//! | 0 | magic | eight letters that name the kind |
//! | 1 | abi | major << 32 \| minor: another major is refused, a later minor is read |
//! | 2 | layout hash | over every offset and constant of this major |
//! | 3 | total length | bytes; the file has exactly as many |
//! | 4 | geometry | what the length follows from, by kind |
//! | 5 | seed | of the keyed hashes in this segment |
//! | 6 | instance | random: a new one for every segment |
//! | 7 | crc | CRC-32 (ISO-HDLC) of words 0 to 6; its high half is 0 |
//! | 8 | state | [`State`] |
//! | 9 to 15 | | by kind: the one line of the header that is read per call |
//!
//! Words 0 to 7 never change once the state is *ready*. A reader copies them once, checks all of them, and keeps its own
//! copy: nothing that is written later can lead it out of bounds.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

use super::region::{Shared, View};
use crate::status::Status;

/// Words of the header that all kinds share.
pub const LEN: usize = 16;
/// Segments are a whole number of pages long.
pub const PAGE: usize = 4096;

const MAGIC: usize = 0;
const ABI: usize = 1;
const LAYOUT_HASH: usize = 2;
const TOTAL_LEN: usize = 3;
const GEOMETRY: usize = 4;
const SEED: usize = 5;
const INSTANCE: usize = 6;
const CRC: usize = 7;
const STATE: usize = 8;

/// What a kind of segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Eight ASCII letters, the first in the lowest byte.
    pub magic: [u8; 8],
    /// Raised when an existing field moves or changes its meaning.
    pub major: u32,
    /// Raised when a field is added in space that was reserved.
    pub minor: u32,
    /// From [`layout_hash`].
    pub layout_hash: u64,
}

/// What a segment says of itself, beyond its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the segment.
    pub total_len: u64,
    /// What its length follows from; the meaning belongs to the kind.
    pub geometry: u64,
    /// The seed of its hashes.
    pub seed: u64,
    /// Random, new for every segment.
    pub instance: u64,
}

impl Header {
    /// Checks that there is room for what the geometry says, which needs `needed_len` bytes; `None` for a geometry that
    /// no writer chooses. A segment may be longer: a later minor version may have put something behind.
    ///
    /// # Errors
    ///
    /// [`Status::SEGMENT_BAD_GEOMETRY`] with both lengths, or with the geometry.
    pub fn check_room(&self, words: View<'_>, needed_len: Option<usize>) -> Result<(), Mismatch> {
        let (found, expected) = match needed_len {
            None => (self.geometry, 0),
            Some(needed) if self.total_len < needed as u64 || words.len() < needed / 8 => {
                (self.total_len, needed as u64)
            }
            Some(_) => return Ok(()),
        };
        Err(Mismatch { status: Status::SEGMENT_BAD_GEOMETRY, found, expected })
    }
}

/// The life of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// It is being filled.
    Init = 0,
    /// In use.
    Ready = 1,
    /// Another one has taken its place under the same name: attach that.
    Superseded = 2,
    /// Its owner has shut down on purpose.
    Closed = 3,
}

impl State {
    /// The state with this number.
    pub const fn from_number(number: u64) -> Option<State> {
        Some(match number {
            0 => State::Init,
            1 => State::Ready,
            2 => State::Superseded,
            3 => State::Closed,
            _ => return None,
        })
    }
}

/// Why a segment is not used: what was found, and what would have been right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which check failed.
    pub status: Status,
    /// The value found.
    pub found: u64,
    /// The value expected.
    pub expected: u64,
}

impl Mismatch {
    /// Fails with `status` unless both are equal.
    pub fn check(status: Status, found: u64, expected: u64) -> Result<(), Mismatch> {
        if found == expected { Ok(()) } else { Err(Mismatch { status, found, expected }) }
    }
}

impl core::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.status)?;
        if self.found != self.expected {
            write!(f, " Found {0:#x} ({0}), expected {1:#x} ({1}).", self.found, self.expected)?;
        }
        Ok(())
    }
}

impl core::error::Error for Mismatch {}

/// A hash over the offsets and constants that two sides must agree on: FNV-1a, over words.
pub const fn layout_hash(facts: &[u64]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut i = 0;
    while i < facts.len() {
        hash = (hash ^ facts[i]).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// Bytes of a segment of `head` words and then of `count` pieces of `piece` words: whole pages. On a machine of 32 bits not all
/// that a geometry may say has room: it gives the length that no segment has.
pub const fn total_len(head: usize, count: usize, piece: usize) -> usize {
    let words = head.saturating_add(count.saturating_mul(piece));
    match words.saturating_mul(size_of::<u64>()).checked_next_multiple_of(PAGE) {
        Some(len) => len,
        None => usize::MAX,
    }
}

/// Writes everything but the state, which stays [`State::Init`] until [`set_state`].
#[inline(never)]
pub fn write(segment: Shared<'_>, format: &Format, header: &Header) {
    let words = fixed_words(format, header);
    for (index, word) in words.into_iter().enumerate() {
        segment.set(index, word);
    }
    segment.set(CRC, crc(&words).into());
}

/// The words that a header with this format and these values consists of, up to the crc.
fn fixed_words(format: &Format, header: &Header) -> [u64; CRC] {
    let mut words = [0; CRC];
    words[MAGIC] = u64::from_le_bytes(format.magic);
    words[ABI] = u64::from(format.major) << 32 | u64::from(format.minor);
    words[LAYOUT_HASH] = format.layout_hash;
    words[TOTAL_LEN] = header.total_len;
    words[GEOMETRY] = header.geometry;
    words[SEED] = header.seed;
    words[INSTANCE] = header.instance;
    words
}

/// Checks the header of a segment of `len` bytes: everything but the equation between geometry and length, which the
/// kind knows, and the state.
///
/// # Errors
///
/// The first check that fails, in the order in which a person would look for the cause: whether it is such a segment at
/// all, of this major version, whole, undamaged.
#[inline(never)]
pub fn read(segment: View<'_>, len: u64, format: &Format) -> Result<Header, Mismatch> {
    if len < PAGE as u64 || segment.len() < LEN {
        return Err(Mismatch { status: Status::SEGMENT_TOO_SHORT, found: len, expected: PAGE as u64 });
    }
    let words: [u64; CRC] = core::array::from_fn(|index| segment.load(index));
    let crc_found = segment.load(CRC);
    Mismatch::check(Status::SEGMENT_BAD_MAGIC, words[MAGIC], u64::from_le_bytes(format.magic))?;
    Mismatch::check(Status::SEGMENT_OTHER_MAJOR, words[ABI] >> 32, format.major.into())?;
    Mismatch::check(Status::SEGMENT_BAD_CHECKSUM, crc_found, crc(&words).into())?;
    Mismatch::check(Status::SEGMENT_OTHER_LAYOUT, words[LAYOUT_HASH], format.layout_hash)?;
    Mismatch::check(Status::SEGMENT_BAD_LENGTH, len, words[TOTAL_LEN])?;
    Ok(Header { total_len: words[TOTAL_LEN], geometry: words[GEOMETRY], seed: words[SEED], instance: words[INSTANCE] })
}

/// As [`read`], and the segment is in use.
///
/// # Errors
///
/// As for [`read`], and [`Status::SEGMENT_NOT_READY`] in any other state.
pub fn read_ready(segment: View<'_>, len: u64, format: &Format) -> Result<Header, Mismatch> {
    let header = read(segment, len, format)?;
    check_ready(segment)?;
    Ok(header)
}

/// Fails unless the segment is in use.
///
/// # Errors
///
/// [`Status::SEGMENT_NOT_READY`] with the number of the state.
pub fn check_ready(segment: View<'_>) -> Result<(), Mismatch> {
    Mismatch::check(Status::SEGMENT_NOT_READY, segment.load(STATE), State::Ready as u64)?;
    // What was written before the state was set is seen from here on.
    segment.acquire();
    Ok(())
}

/// The state; `None` for a number that this version does not know.
#[inline]
pub fn state(segment: View<'_>) -> Option<State> {
    State::from_number(segment.load(STATE))
}

/// Publishes all that was written before, and the state.
pub fn set_state(segment: Shared<'_>, state: State) {
    segment.publish(STATE, state as u64);
}

/// Bits 32 to 63 of word 1, and bits 0 to 31: for tools that show segments which they cannot read.
pub fn version(segment: View<'_>) -> (u32, u32) {
    let abi = segment.load(ABI);
    ((abi >> 32) as u32, abi as u32)
}

/// The magic: for tools that ask what a file is.
pub fn magic(segment: View<'_>) -> [u8; 8] {
    segment.load(MAGIC).to_le_bytes()
}

/// A header as it stands, right or wrong: for tools that show damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Which kind it claims to be.
    pub magic: [u8; 8],
    /// Major and minor version.
    pub version: (u32, u32),
    /// See [`Format::layout_hash`].
    pub layout_hash: u64,
    /// What it says of itself.
    pub header: Header,
    /// The checksum that it carries.
    pub crc_found: u64,
    /// The checksum that would be right.
    pub crc_expected: u64,
    /// The number of its [`State`].
    pub state: u64,
}

/// Reads a header without judging it; what is behind the end is 0.
pub fn raw(segment: View<'_>) -> Raw {
    let words: [u64; CRC] = core::array::from_fn(|index| segment.load(index));
    Raw {
        magic: magic(segment),
        version: version(segment),
        layout_hash: words[LAYOUT_HASH],
        header: Header {
            total_len: words[TOTAL_LEN],
            geometry: words[GEOMETRY],
            seed: words[SEED],
            instance: words[INSTANCE],
        },
        crc_found: segment.load(CRC),
        crc_expected: crc(&words).into(),
        state: segment.load(STATE),
    }
}

/// Bit by bit: a header is looked at when it is mapped.
const HEADER_CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

fn crc(words: &[u64; CRC]) -> u32 {
    let mut bytes = [0; CRC * 8];
    for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    HEADER_CRC.checksum(&bytes)
}
