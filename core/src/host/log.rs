//! Lines of text on their way to the agent, which puts them into files: a ring of 64-byte cells for each seat.
//!
//! Nothing in it is overwritten. A writer takes as many cells as its line needs only if the agent has emptied them, by a
//! compare-and-swap of the ring's head; else it drops the line and counts it. So each line is either handed over or counted, and no
//! writer ever waits. A line is a cell of what is known of it, and cells of 56 bytes of text. The first word of a cell says what is in
//! it; it is written last, and that of a line's first cell after all others:
//!
//! ```text
//! bits 16-63 position in the stream plus one | 8-15 kind, 0 = goes on | 7 more follows | 6 text was cut off | 0-5 bytes
//! ```
//!
//! Cells that were taken and never filled are a *hole*: their writer died, or is stopped. The agent closes a hole after a while; a
//! writer that wakes up behind that finds its place closed, or used again, and counts its line as dropped.
//!
//! The agent writes lines into a file, and then how far it has come into the *journal*: the length of the file, and the position in each
//! ring. There are two copies of it and a word that says which one is in force. An agent that is killed between the two steps
//! leaves lines in the file that the journal does not know of: the next one cuts them off, and reads them from their rings again. So every
//! line gets into the files exactly once.

use super::header::{self, Format, Mismatch, layout_hash};
use super::region::{LINE, Shared, View};
use super::rings::{self, Geometry, Shape};
use super::seat::{MAX_SEATS, NAME_LEN};
use crate::id::Uin;
use crate::status::Status;
use crate::time::Nanos;

const PAGE: usize = header::PAGE / 8;
/// The word that says which copy of the journal is in force, and the copies: words of the file, then of each ring that there can be.
const IN_FORCE: usize = PAGE;
const COPIES: usize = PAGE + LINE;
const FILE_WORDS: usize = LINE;
const RING_WORDS: usize = LINE;
const COPY_LEN: usize = FILE_WORDS + (MAX_SEATS as usize + 1) * RING_WORDS;
const RINGS: usize = (COPIES + 2 * COPY_LEN).next_multiple_of(LINE);

/// Words before the cells of a ring: what was taken, what was dropped, what the agent has emptied, each on a line of its own.
const HEAD_LEN: usize = 3 * LINE;
const HEAD: usize = 0;
const DROPPED: usize = LINE;
const TAIL: usize = 2 * LINE;

const LEN_MASK: u64 = 0x3F;
const CUT: u64 = 1 << 6;
const MORE: u64 = 1 << 7;
const KIND_SHIFT: u32 = 8;
const POSITION_SHIFT: u32 = 16;
/// Bytes of text in a cell.
const TEXT_BYTES: usize = 56;
/// The most cells of a line.
const MAX_CELLS: usize = 64;
/// The most bytes of text in a line; what is longer is cut off.
pub const MAX_TEXT_LEN: usize = (MAX_CELLS - 1) * TEXT_BYTES;
/// The most cells of a ring.
pub const MAX_RING_CELLS: u32 = rings::MAX_CELLS;
/// How often a writer tries to take cells while others take theirs.
const TRIES: usize = 64;

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.LG",
    major: 1,
    minor: 0,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        IN_FORCE as u64,
        COPIES as u64,
        FILE_WORDS as u64,
        RING_WORDS as u64,
        RINGS as u64,
        HEAD_LEN as u64,
        DROPPED as u64,
        TAIL as u64,
        CUT,
        MORE,
        POSITION_SHIFT as u64,
        TEXT_BYTES as u64,
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
/// [`Status::INVALID_ARGUMENT`] unless `cells` is a power of two from 64 to [`MAX_RING_CELLS`] and there is a seat;
/// [`Status::TOO_SMALL`].
#[cold]
pub fn create(words: Shared<'_>, seats: u32, cells: u32, seed: u64, instance: u64) -> Result<(), Status> {
    SHAPE.create(words, Geometry { seats, cells }, seed, instance)
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// Something is not as it should be.
    Warn = 2,
    /// What an operator wants to know.
    Info = 3,
    /// What a developer wants to know.
    Debug = 4,
    /// Every step.
    Trace = 5,
}

impl Level {
    /// The level with this number.
    pub const fn from_number(number: u32) -> Option<Level> {
        Some(match number {
            1 => Level::Error,
            2 => Level::Warn,
            3 => Level::Info,
            4 => Level::Debug,
            5 => Level::Trace,
            _ => return None,
        })
    }

    /// Its name, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }
}

/// What is known of a line besides its text. Zero is *not known*, but for the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// When it was written, on `CLOCK_MONOTONIC`.
    pub time: Nanos,
    /// The process, by its own number.
    pub pid: u32,
    /// The thread, as the program numbers its threads.
    pub thread: u32,
    /// The coroutine, as the program numbers them.
    pub coroutine: u64,
    /// The user for whom it worked.
    pub uin: Uin,
    /// The call graph that this was part of.
    pub call_graph_id: u64,
    /// The trace, by W3C Trace Context.
    pub trace_id: [u8; 16],
}

impl Origin {
    fn to_words(self) -> [u64; LINE - 1] {
        let trace = u128::from_le_bytes(self.trace_id);
        let process = u64::from(self.pid) << 32 | u64::from(self.thread);
        [self.time.0, process, self.coroutine, self.uin.0, self.call_graph_id, trace as u64, (trace >> 64) as u64]
    }

    fn from_words([time, process, coroutine, uin, call_graph_id, low, high]: [u64; LINE - 1]) -> Origin {
        Origin {
            time: Nanos(time),
            pid: (process >> 32) as u32,
            thread: process as u32,
            coroutine,
            uin: Uin(uin),
            call_graph_id,
            trace_id: (u128::from(high) << 64 | u128::from(low)).to_le_bytes(),
        }
    }
}

/// The rings, as the processes that write see them.
#[derive(Clone, Copy)]
pub struct Log<'a> {
    words: Shared<'a>,
    geometry: Geometry,
    instance: u64,
}

impl<'a> Log<'a> {
    /// Attaches a segment of `len` bytes, in use.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    #[cold]
    pub fn attach(words: Shared<'a>, len: u64) -> Result<Log<'a>, Mismatch> {
        let header = header::read_ready(words.view(), len, &FORMAT)?;
        Ok(Log { words, geometry: SHAPE.geometry(words.view(), &header)?, instance: header.instance })
    }

    /// How many seats have a ring, besides the common one.
    #[inline]
    pub const fn seat_count(&self) -> u32 {
        self.geometry.seats
    }

    /// The random number of this segment.
    pub const fn instance(&self) -> u64 {
        self.instance
    }

    /// The ring of a seat; one that takes nothing if there is no such seat.
    #[inline]
    pub fn ring(&self, seat: u32) -> Ring<'a> {
        Ring::over(self.words.part(SHAPE.ring_at(self.geometry, seat), SHAPE.ring_len(self.geometry)))
    }

    /// How far the agent has come.
    pub fn journal(&self) -> Journal<'a> {
        Journal { in_force: self.words.part(IN_FORCE, LINE), copies: self.words.part(COPIES, 2 * COPY_LEN) }
    }
}

/// The rings, as a tool sees them.
#[derive(Clone, Copy)]
pub struct Logs<'a> {
    words: View<'a>,
    geometry: Geometry,
}

/// What is in a ring, in cells, and what it had no room for, in lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Cells taken so far.
    pub taken: u64,
    /// Cells emptied so far.
    pub emptied: u64,
    /// Lines dropped so far.
    pub dropped: u64,
}

impl<'a> Logs<'a> {
    /// Attaches a segment of `len` bytes, in whatever state it is.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: View<'a>, len: u64) -> Result<Logs<'a>, Mismatch> {
        let header = header::read(words, len, &FORMAT)?;
        Ok(Logs { words, geometry: SHAPE.geometry(words, &header)? })
    }

    /// How many seats have a ring, besides the common one.
    pub const fn seat_count(&self) -> u32 {
        self.geometry.seats
    }

    /// The ring of a seat.
    pub fn fill(&self, seat: u32) -> Fill {
        let ring = self.words.part(SHAPE.ring_at(self.geometry, seat), SHAPE.ring_len(self.geometry));
        Fill { taken: ring.load(HEAD), emptied: ring.load(TAIL), dropped: ring.load(DROPPED) }
    }
}

/// A ring of lines.
#[derive(Clone, Copy)]
pub struct Ring<'a> {
    words: Shared<'a>,
    cells: u64,
}

/// The kind of a cell that says who writes from now on, and not a line.
const OPENED: u8 = 0xFF;

impl<'a> Ring<'a> {
    /// Over its words: the head, and a power of two of cells.
    pub fn over(words: Shared<'a>) -> Ring<'a> {
        let room = words.view().len().saturating_sub(HEAD_LEN) / LINE;
        Ring { words, cells: if room == 0 { 0 } else { 1 << room.ilog2() } }
    }

    /// Appends a line; of a text above [`MAX_TEXT_LEN`] the rest is cut off. Hot: any thread; O(cells), which is at most 64.
    ///
    /// # Errors
    ///
    /// [`Status::LINE_DROPPED`] if the agent has not emptied enough cells, or the line's place was closed while this thread was
    /// stopped. It is counted.
    pub fn write(&self, level: Level, origin: &Origin, text: &[u8]) -> Result<(), Status> {
        self.append(level as u8, origin, text)
    }

    /// Says that lines are of process `pid` from here on, which has this name. By the owner of a seat, before its first line.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    #[cold]
    pub fn open(&self, pid: u32, name: &[u8], now: Nanos) -> Result<(), Status> {
        self.append(OPENED, &Origin { time: now, pid, ..Origin::default() }, name)
    }

    fn append(&self, kind: u8, origin: &Origin, text: &[u8]) -> Result<(), Status> {
        let (text, cut) = match text.split_at_checked(MAX_TEXT_LEN) {
            Some((kept, rest)) if !rest.is_empty() => (kept, CUT),
            _ => (text, 0),
        };
        let meta = u64::from(kind) << KIND_SHIFT | cut;
        let is_written = self
            .reserve(1 + text.len().div_ceil(TEXT_BYTES) as u64)
            .is_some_and(|position| self.fill(position, meta, origin, text));
        if !is_written {
            self.words.add(DROPPED, 1);
            return Err(Status::LINE_DROPPED);
        }
        Ok(())
    }

    /// Takes cells that the agent has emptied.
    #[inline]
    fn reserve(&self, count: u64) -> Option<u64> {
        for _ in 0..TRIES {
            // The tail first: the head that is read then is not behind it. And what the agent read, it has read before.
            let tail = self.words.load(TAIL);
            self.words.view().acquire();
            let head = self.words.load(HEAD);
            if self.cells.saturating_sub(head.wrapping_sub(tail)) < count {
                return None;
            }
            if self.words.exchange(HEAD, head, head.wrapping_add(count)).is_ok() {
                return Some(head);
            }
        }
        None
    }

    /// The cells of the text, then the first one, which makes them a line.
    #[inline]
    fn fill(&self, position: u64, meta: u64, origin: &Origin, text: &[u8]) -> bool {
        let mut rest = text;
        let mut at = position.wrapping_add(1);
        while !rest.is_empty() {
            let (bytes, behind) = rest.split_at_checked(TEXT_BYTES).unwrap_or((rest, &[]));
            let more = if behind.is_empty() { 0 } else { MORE };
            if !self.commit(at, more | bytes.len() as u64, &packed(bytes)) {
                return false;
            }
            (rest, at) = (behind, at.wrapping_add(1));
        }
        self.commit(position, meta | if text.is_empty() { 0 } else { MORE }, &origin.to_words())
    }

    /// Fills one cell, unless it was closed or, a lap later, filled. A writer that is stopped for a whole lap between the load and the
    /// exchange, a few stores, is not told OK either, but mixes its words into what another wrote there.
    #[inline(never)]
    fn commit(&self, position: u64, meta: u64, words: &[u64; LINE - 1]) -> bool {
        let cell = self.cell(position);
        let old = self.words.load(cell);
        // Closed at this position, or written a lap later by another: positions in their order, the kind behind them.
        let is_taken = old.wrapping_sub(stamp(position)) as i64 >= 0;
        if is_taken {
            return false;
        }
        for (index, &word) in words.iter().enumerate() {
            self.words.set(cell + 1 + index, word);
        }
        self.words.exchange(cell, old, stamp(position) | meta).is_ok()
    }

    #[inline]
    const fn cell(&self, position: u64) -> usize {
        HEAD_LEN + (position & self.cells.saturating_sub(1)) as usize * LINE
    }
}

#[inline]
const fn stamp(position: u64) -> u64 {
    position.wrapping_add(1) << POSITION_SHIFT
}

#[inline]
const fn is_at(word: u64, position: u64) -> bool {
    word >> POSITION_SHIFT == stamp(position) >> POSITION_SHIFT
}

/// At most 56 bytes as words; zeroes behind them.
#[inline]
fn packed(bytes: &[u8]) -> [u64; LINE - 1] {
    let mut words = [0; LINE - 1];
    let (whole, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    for (word, chunk) in words.iter_mut().zip(whole.iter().chain(core::iter::once(&last))) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

/// A line, copied out of its ring.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose it is.
    pub origin: Origin,
    kind: u8,
    /// Whether the text was longer.
    pub is_cut: bool,
    len: usize,
    text: [u8; MAX_TEXT_LEN],
}

impl Default for Entry {
    fn default() -> Entry {
        Entry { origin: Origin::default(), kind: 0, is_cut: false, len: 0, text: [0; MAX_TEXT_LEN] }
    }
}

impl Entry {
    /// How much it matters. `None`: it is no line, but says who writes from here on, and the text is its name.
    pub fn level(&self) -> Option<Level> {
        Level::from_number(self.kind.into())
    }

    /// Its text, or the name.
    pub fn text(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

/// What is at a position of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A line, or who writes, which was copied out.
    Entry {
        /// Where the next one begins.
        next: u64,
    },
    /// It was taken and is not filled: a line in the making, or a hole.
    Pending,
    /// A closed cell, or the middle of a line that was dropped: go on behind it.
    Nothing,
}

/// What the agent does to a ring; nobody else does.
impl Ring<'_> {
    /// The position behind the last cell that was taken. Not further from `tail` than the ring is long: a head that is damaged begins
    /// anew there.
    pub fn head(&self, tail: u64) -> u64 {
        let head = self.words.load(HEAD);
        if head.wrapping_sub(tail) > self.cells {
            let _ = self.words.exchange(HEAD, head, tail);
            return tail;
        }
        head
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.words.load(DROPPED)
    }

    /// What is at a position in front of the head; a line is copied to `into`, which means nothing otherwise.
    pub fn read(&self, position: u64, into: &mut Entry) -> Found {
        let view = self.words.view();
        let first = view.load(self.cell(position));
        if !is_at(first, position) {
            return Found::Pending;
        }
        // Everything in the line was written before its first cell was committed.
        view.acquire();
        let kind = (first >> KIND_SHIFT) as u8;
        if kind != OPENED && Level::from_number(kind.into()).is_none() {
            return Found::Nothing;
        }
        let [_, words @ ..] = view.load_line(self.cell(position));
        (into.kind, into.origin, into.len) = (kind, Origin::from_words(words), 0);
        into.is_cut = first & CUT != 0;
        let (mut at, mut more) = (position.wrapping_add(1), first & MORE != 0);
        while more {
            let [meta, words @ ..] = view.load_line(self.cell(at));
            if !is_at(meta, at) || (meta >> KIND_SHIFT) as u8 != 0 || into.len >= MAX_TEXT_LEN {
                return Found::Nothing;
            }
            let bytes = words.iter().flat_map(|word| word.to_le_bytes()).take((meta & LEN_MASK) as usize);
            for (place, byte) in into.text.iter_mut().skip(into.len).zip(bytes) {
                *place = byte;
                into.len += 1;
            }
            (at, more) = (at.wrapping_add(1), meta & MORE != 0);
        }
        Found::Entry { next: at }
    }

    /// Closes a cell that is pending: its writer, if it ever goes on, drops its line. `false`: it was filled meanwhile.
    pub fn close(&self, position: u64) -> bool {
        let word = self.words.load(self.cell(position));
        !is_at(word, position) && self.words.exchange(self.cell(position), word, stamp(position)).is_ok()
    }

    /// Lets writers use the cells in front of a position again.
    pub fn empty_until(&self, position: u64) {
        self.words.publish(TAIL, position);
    }
}

/// The file that lines go to, and how much of it the journal knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Its device and inode.
    pub file: [u64; 2],
    /// Its bytes.
    pub len: u64,
    /// The hour that it is named by, since 1970.
    pub hour: u64,
}

/// How far the agent has come with one ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The position in front of which all is written.
    pub tail: u64,
    /// The dropped lines that were told of.
    pub dropped: u64,
    /// The process that last said that the ring is its own; 0: none has.
    pub pid: u32,
    /// Its name; bytes after the first 0 do not count.
    pub name: [u8; NAME_LEN],
}

const _: () = assert!(3 + NAME_LEN / 8 <= RING_WORDS);

/// How far the agent has come. Only the agent may use it.
#[derive(Clone, Copy)]
pub struct Journal<'a> {
    in_force: Shared<'a>,
    copies: Shared<'a>,
}

impl Journal<'_> {
    /// The file, as of the last [`record`](Self::record).
    pub fn written(&self) -> Written {
        let copy = self.copy(self.in_force.load(0));
        Written { file: [copy.load(0), copy.load(1)], len: copy.load(2), hour: copy.load(3) }
    }

    /// One ring, as of the last [`record`](Self::record).
    pub fn progress(&self, seat: u32) -> Progress {
        let copy = self.copy(self.in_force.load(0));
        let at = FILE_WORDS + seat as usize * RING_WORDS;
        let mut name = [0; NAME_LEN];
        for (index, bytes) in name.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *bytes = copy.load(at + 3 + index).to_le_bytes();
        }
        Progress { tail: copy.load(at), dropped: copy.load(at + 1), pid: copy.load(at + 2) as u32, name }
    }

    /// Says how far the agent has come, with the rings in the order of their seats: all at once.
    pub fn record(&self, written: &Written, rings: impl Iterator<Item = Progress>) {
        let next = self.in_force.load(0) ^ 1;
        let copy = self.copy(next);
        for (index, word) in [written.file[0], written.file[1], written.len, written.hour].into_iter().enumerate() {
            copy.set(index, word);
        }
        for (index, progress) in rings.enumerate() {
            let name = progress.name.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            let words = [progress.tail, progress.dropped, progress.pid.into()].into_iter().chain(name);
            for (word, value) in words.enumerate() {
                copy.set(FILE_WORDS + index * RING_WORDS + word, value);
            }
        }
        self.in_force.publish(0, next & 1);
    }

    fn copy(&self, which: u64) -> Shared<'_> {
        self.copies.part((which & 1) as usize * COPY_LEN, COPY_LEN)
    }
}
