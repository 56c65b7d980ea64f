//! Decisions and sampled calls: a ring of records for each seat, which a tool can read also when the process
//! hangs or is dead.
//!
//! A record is one cell of 64 bytes or several in turn. The first word of a cell says what is in it, and is written last:
//!
//! ```text
//! bits 16-63 position in the stream plus one | 8-15 kind, 0 = goes on | 7 more follows | 6 being written | 0-5 bytes
//! ```
//!
//! Any number of threads write: each takes positions by one addition, then each cell by a compare-and-swap that fails
//! while another thread, a whole lap behind, still writes there; then the record is dropped rather than mixed. Old records
//! are overwritten; a reader sees from the positions what it missed. Commit word and fences are those of a sequence
//! lock (Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012), in which every word is atomic.

use super::header::{self, Format, Mismatch, layout_hash};
use super::region::{LINE, Shared, View};
use super::rings::{self, Geometry, Shape};
use crate::status::Status;
use crate::time::Nanos;

const RINGS: usize = header::PAGE / 8;
/// Words before the cells of a ring: its head and its dropped records, on lines of their own.
const HEAD_LEN: usize = 2 * LINE;
const HEAD: usize = 0;
const DROPPED: usize = LINE;
const LEN_MASK: u64 = 0x3F;
const BUSY: u64 = 1 << 6;
const MORE: u64 = 1 << 7;
const KIND_SHIFT: u32 = 8;
const POSITION_SHIFT: u32 = 16;
/// A ring ends there: a commit word has no more bits.
const MAX_POSITION: u64 = (1 << (64 - POSITION_SHIFT)) - 1;
/// Bytes in the first cell, behind the time, and in each further one.
const FIRST_BYTES: usize = 48;
const NEXT_BYTES: usize = 56;
/// The most cells of a record.
const MAX_CELLS: usize = 16;
/// The most bytes of a record; what is longer is cut off.
pub const MAX_RECORD_LEN: usize = FIRST_BYTES + (MAX_CELLS - 1) * NEXT_BYTES;
/// The most cells of a ring.
pub const MAX_RING_CELLS: u32 = rings::MAX_CELLS;

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.TR",
    major: 1,
    minor: 0,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        RINGS as u64,
        HEAD_LEN as u64,
        DROPPED as u64,
        LINE as u64,
        BUSY,
        MORE,
        POSITION_SHIFT as u64,
        FIRST_BYTES as u64,
    ]),
};

const SHAPE: Shape = Shape { format: FORMAT, rings_at: RINGS, head_len: HEAD_LEN, min_cells: MAX_CELLS as u32 };

/// Bytes of the segment for this many processes, with so many cells each.
pub const fn segment_len(seats: u32, cells: u32) -> usize {
    SHAPE.segment_len(Geometry { seats, cells })
}

/// Lays out a new segment in zeroed memory, ready.
///
/// # Errors
///
/// [`Status::INVALID_ARGUMENT`] unless `cells` is a power of two from 16 to [`MAX_RING_CELLS`] and there is a seat;
/// [`Status::TOO_SMALL`].
#[cold]
pub fn create(words: Shared<'_>, seats: u32, cells: u32, seed: u64, instance: u64) -> Result<(), Status> {
    SHAPE.create(words, Geometry { seats, cells }, seed, instance)
}

/// The rings, as the processes that write see them.
#[derive(Clone, Copy)]
pub struct Trace<'a> {
    words: Shared<'a>,
    geometry: Geometry,
}

impl<'a> Trace<'a> {
    /// Attaches a segment of `len` bytes, in use.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    #[cold]
    pub fn attach(words: Shared<'a>, len: u64) -> Result<Trace<'a>, Mismatch> {
        let header = header::read_ready(words.view(), len, &FORMAT)?;
        Ok(Trace { words, geometry: SHAPE.geometry(words.view(), &header)? })
    }

    /// How many seats have a ring, besides the common one.
    #[inline]
    pub const fn seat_count(&self) -> u32 {
        self.geometry.seats
    }

    /// The ring of a seat; one that takes nothing if there is no such seat.
    #[inline]
    pub fn ring(&self, seat: u32) -> Ring<'a> {
        Ring::over(self.words.part(SHAPE.ring_at(self.geometry, seat), SHAPE.ring_len(self.geometry)))
    }
}

/// The rings, as a tool sees them.
#[derive(Clone, Copy)]
pub struct Traces<'a> {
    words: View<'a>,
    geometry: Geometry,
}

impl<'a> Traces<'a> {
    /// Attaches a segment of `len` bytes, in whatever state it is.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: View<'a>, len: u64) -> Result<Traces<'a>, Mismatch> {
        let header = header::read(words, len, &FORMAT)?;
        Ok(Traces { words, geometry: SHAPE.geometry(words, &header)? })
    }

    /// How many seats have a ring, besides the common one.
    pub const fn seat_count(&self) -> u32 {
        self.geometry.seats
    }

    /// The records of a seat's ring.
    pub fn ring(&self, seat: u32) -> Records<'a> {
        Records::over(self.words.part(SHAPE.ring_at(self.geometry, seat), SHAPE.ring_len(self.geometry)))
    }
}

/// A ring, to write.
#[derive(Clone, Copy)]
pub struct Ring<'a> {
    words: Shared<'a>,
    cells: u64,
}

impl<'a> Ring<'a> {
    /// Over its words: the head, and a power of two of cells.
    pub fn over(words: Shared<'a>) -> Ring<'a> {
        Ring { words, cells: cell_count(words.view()) }
    }

    /// Appends a record of a `kind` from 1 on. Hot: any thread; O(cells), which is at most 16.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for kind 0 or a ring without cells; [`Status::RECORD_DROPPED`] if another thread, a
    /// whole lap behind, still writes where the record would stand.
    #[inline]
    pub fn write(&self, kind: u8, data: &[u8], now: Nanos) -> Result<(), Status> {
        if kind == 0 || self.cells == 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        let data = data.get(..MAX_RECORD_LEN).unwrap_or(data);
        let (first, further) = data.split_at_checked(FIRST_BYTES).unwrap_or((data, &[]));
        let count = 1 + further.len().div_ceil(NEXT_BYTES) as u64;
        let position = self.words.add(HEAD, count);
        let chunks = core::iter::once(first).chain(further.chunks(NEXT_BYTES));
        for (index, bytes) in (0..count).zip(chunks) {
            let more = if index + 1 < count { MORE } else { 0 };
            let meta = more | if index == 0 { u64::from(kind) << KIND_SHIFT } else { 0 };
            let time = if index == 0 { Some(now) } else { None };
            if !self.write_cell(position.wrapping_add(index), meta, time, bytes) {
                // Cells already written make no record without this one: readers see that it is missing.
                self.words.add(DROPPED, 1);
                return Err(Status::RECORD_DROPPED);
            }
        }
        Ok(())
    }

    #[inline]
    fn write_cell(&self, position: u64, meta: u64, time: Option<Nanos>, bytes: &[u8]) -> bool {
        let cell = cell_word(position, self.cells);
        let old = self.words.load(cell);
        let stamp = stamp(position);
        let newer = old >> POSITION_SHIFT >= stamp >> POSITION_SHIFT;
        if old & BUSY != 0 || newer || self.words.exchange(cell, old, stamp | BUSY).is_err() {
            return false;
        }
        // Who sees one of the words below sees that the cell is being written.
        self.words.release();
        let mut word = cell + 1;
        if let Some(time) = time {
            self.words.set(word, time.0);
            word += 1;
        }
        let (whole, rest) = bytes.as_chunks::<8>();
        for chunk in whole {
            self.words.set(word, u64::from_le_bytes(*chunk));
            word += 1;
        }
        if !rest.is_empty() {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(rest) {
                *to = *from;
            }
            self.words.set(word, u64::from_le_bytes(padded));
        }
        self.words.publish(cell, stamp | meta | bytes.len() as u64 & LEN_MASK);
        true
    }

    /// Frees the cells that a process left half-written when it died. Only while nobody writes: by the next owner of the
    /// seat, before its first record.
    pub fn recover(&self) {
        for (cell, word) in self.busy_cells() {
            self.free(cell, word);
        }
    }

    /// The cells that are being written, with their words.
    pub fn busy_cells(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let ring = *self;
        (0..ring.cells)
            .map(move |cell| (cell, ring.words.load(cell_word(cell, ring.cells))))
            .filter(|(_, word)| word & BUSY != 0)
    }

    /// Frees a cell if its word is still this one.
    pub fn free(&self, cell: u64, word: u64) {
        let _ = self.words.exchange(cell_word(cell, self.cells), word, 0);
    }
}

/// One record, copied out of its ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was written, by the writer's clock.
    pub time: Nanos,
    /// What it is: the writer's choice, from 1 on.
    pub kind: u8,
    len: usize,
    bytes: [u8; MAX_RECORD_LEN],
}

impl Default for Record {
    fn default() -> Record {
        Record { time: Nanos(0), kind: 0, len: 0, bytes: [0; MAX_RECORD_LEN] }
    }
}

impl Record {
    /// What was written.
    pub fn data(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What is at a position of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A record, which was copied out.
    Record {
        /// Where the next one begins.
        next: u64,
    },
    /// It is being written. If it still is a second later, its process died or dropped it: go on at the next position.
    Pending,
    /// It was overwritten, dropped, or is the middle of a record: go on at `next`.
    Lost {
        /// Where to go on.
        next: u64,
    },
    /// Nothing was written there yet.
    End,
}

/// A ring, to read. Any number of readers; none disturbs the writers or the others.
#[derive(Clone, Copy)]
pub struct Records<'a> {
    words: View<'a>,
    cells: u64,
}

impl<'a> Records<'a> {
    /// Over its words.
    pub fn over(words: View<'a>) -> Records<'a> {
        Records { words, cells: cell_count(words) }
    }

    /// The position behind the newest record.
    pub fn head(&self) -> u64 {
        self.words.load(HEAD)
    }

    /// The oldest position that may still be there.
    pub fn oldest(&self) -> u64 {
        self.head().saturating_sub(self.cells)
    }

    /// Records that were dropped because their place was still being written.
    pub fn dropped(&self) -> u64 {
        self.words.load(DROPPED)
    }

    /// What is at a position; a record is copied to `into`, which means nothing otherwise.
    pub fn read(&self, position: u64, into: &mut Record) -> Read {
        if position >= self.head().min(MAX_POSITION) {
            return Read::End;
        }
        if position < self.oldest() {
            return Read::Lost { next: self.oldest() };
        }
        into.len = 0;
        let mut at = position;
        loop {
            let (meta, line) = match self.read_cell(at) {
                Cell::Whole { meta, line } => (meta, line),
                Cell::Pending => return Read::Pending,
                Cell::Gone => return Read::Lost { next: at + 1 },
            };
            let kind = (meta >> KIND_SHIFT) as u8;
            // The middle of a record whose beginning is gone, or a beginning where the middle should be.
            if (at == position) != (kind != 0) {
                return Read::Lost { next: if at == position { at + 1 } else { at } };
            }
            let mut from = 1;
            if at == position {
                (into.kind, into.time) = (kind, Nanos(line[1]));
                from = 2;
            }
            let len = (meta & LEN_MASK) as usize;
            let bytes = line.iter().skip(from).flat_map(|word| word.to_le_bytes()).take(len);
            for byte in bytes {
                if let Some(place) = into.bytes.get_mut(into.len) {
                    *place = byte;
                    into.len += 1;
                }
            }
            at += 1;
            if meta & MORE == 0 || at - position >= MAX_CELLS as u64 {
                return Read::Record { next: at };
            }
        }
    }

    fn read_cell(&self, position: u64) -> Cell {
        let cell = cell_word(position, self.cells);
        let before = self.words.load(cell);
        let (found, wanted) = (before >> POSITION_SHIFT, stamp(position) >> POSITION_SHIFT);
        if found > wanted {
            return Cell::Gone;
        }
        if found < wanted || before & BUSY != 0 {
            return Cell::Pending;
        }
        // Not older than the commit, and not newer: the word has not changed when all others are read.
        self.words.acquire();
        let line = self.words.load_line(cell);
        self.words.acquire();
        if self.words.load(cell) == before { Cell::Whole { meta: before, line } } else { Cell::Gone }
    }
}

enum Cell {
    Whole { meta: u64, line: [u64; LINE] },
    Pending,
    Gone,
}

/// The power of two of cells for which there is room.
fn cell_count(words: View<'_>) -> u64 {
    let room = words.len().saturating_sub(HEAD_LEN) / LINE;
    if room == 0 { 0 } else { 1 << room.ilog2() }
}

#[inline]
const fn cell_word(position: u64, cells: u64) -> usize {
    HEAD_LEN + (position & cells.wrapping_sub(1)) as usize * LINE
}

#[inline]
const fn stamp(position: u64) -> u64 {
    position.wrapping_add(1) << POSITION_SHIFT
}
