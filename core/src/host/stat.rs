//! Counters for the whole host: `inc(id, key, n)` and `set_max(id, key, n)` (SPEC S17).
//!
//! | part | |
//! |---|---|
//! | header | geometry = seats << 32 \| columns |
//! | seats | the common one, and one per process: [`super::seat`] |
//! | columns | a word each: which counter it is |
//! | stripes | for each seat, a word per column, aligned to 128 bytes |
//!
//! Each process adds to its own stripe, so no two of them ever fight for a cache line (pairs of lines are fetched together
//! on common machines: hence 128). A sum is over all stripes, also those of the dead.

use super::bucket::scale;
use super::header::{self, Format, Header, Mismatch, State, layout_hash};
use super::region::{Shared, View};
use super::seat::{self, MAX_SEATS, Seats};
use crate::id::{MULTIPLIERS, fold};
use crate::status::Status;
use crate::time::{NANOS_PER_SECOND, Nanos};

const SEATS: usize = header::PAGE / 8;
/// Words in two cache lines.
const STRIPE_ALIGN: usize = 16;
/// How many columns are looked at for a counter.
const PROBES: usize = 64;
/// How often a maximum is tried to be raised while other threads of the process raise it too.
const TRIES: usize = 8;
const KIND_SHIFT: u32 = 63;
/// Seconds over which a maximum is taken.
pub const WINDOW_SECONDS: u64 = 10;
const WINDOW_SHIFT: u32 = 48;
const MAX_MASK: u64 = (1 << WINDOW_SHIFT) - 1;
/// The most counters.
pub const MAX_COUNTERS: u32 = 1 << 16;
const MAX_COLUMNS: u32 = columns_for(MAX_COUNTERS);
/// The largest id.
pub const MAX_ID: u32 = (1 << 31) - 1;

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.SC",
    major: 1,
    minor: 2,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        SEATS as u64,
        STRIPE_ALIGN as u64,
        PROBES as u64,
        WINDOW_SECONDS,
        WINDOW_SHIFT as u64,
        seat::FACTS[0],
        seat::FACTS[1],
        seat::FACTS[2],
        seat::FACTS[3],
        seat::FACTS[4],
        seat::FACTS[5],
        seat::FACTS[6],
    ]),
};

/// How a counter's stripes make its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Their sum, which only grows.
    Sum = 0,
    /// The largest of them within a window of [`WINDOW_SECONDS`].
    Max = 1,
}

/// Which counter: the numbers of Svrkit's IDKEY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// Which subject, at most [`MAX_ID`].
    pub id: u32,
    /// Which counter of the subject.
    pub key: u32,
    /// How it counts. The same numbers with another kind are another counter.
    pub kind: Kind,
}

impl CounterKey {
    /// The word of its column; `None` for an id that is too large, and for 0, 0, which marks a free column.
    const fn to_word(self) -> Option<u64> {
        let word = (self.kind as u64) << KIND_SHIFT | (self.id as u64) << 32 | self.key as u64;
        if self.id > MAX_ID || word == 0 { None } else { Some(word) }
    }

    const fn from_word(word: u64) -> CounterKey {
        let kind = if word >> KIND_SHIFT == 0 { Kind::Sum } else { Kind::Max };
        CounterKey { id: (word >> 32) as u32 & MAX_ID, key: word as u32, kind }
    }
}

/// Where a counter is counted. Good for the segment that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column(u32);

impl Column {
    /// The column with this number; a wrong one counts where nobody looks, or for another counter.
    pub const fn from_number(number: u32) -> Column {
        Column(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    seats: u32,
    columns: u32,
}

impl Geometry {
    const fn to_word(self) -> u64 {
        (self.seats as u64) << 32 | self.columns as u64
    }

    const fn is_valid(self) -> bool {
        1 <= self.seats && self.seats <= MAX_SEATS && 1 <= self.columns && self.columns <= MAX_COLUMNS
    }

    const fn columns_at(self) -> usize {
        SEATS + (self.seats as usize + 1) * seat::LEN
    }

    const fn stripes_at(self) -> usize {
        (self.columns_at() + self.columns as usize).next_multiple_of(STRIPE_ALIGN)
    }

    const fn stride(self) -> usize {
        (self.columns as usize).next_multiple_of(STRIPE_ALIGN)
    }

    const fn segment_len(self) -> usize {
        header::total_len(self.stripes_at(), self.seats as usize + 1, self.stride())
    }

    /// The word of a counter in a stripe; behind the end of the segment if there is no such seat or column.
    #[inline]
    const fn word(self, seat: u32, column: Column) -> usize {
        if column.0 < self.columns && seat <= self.seats {
            self.stripes_at() + seat as usize * self.stride() + column.0 as usize
        } else {
            usize::MAX
        }
    }
}

/// The columns for `counters` counters: two thirds of them are used at most, so that a search is short.
const fn columns_for(counters: u32) -> u32 {
    (counters as u64 * 3).div_ceil(2) as u32
}

/// Bytes of the segment for this many processes and counters.
pub const fn segment_len(seats: u32, counters: u32) -> usize {
    Geometry { seats, columns: columns_for(counters) }.segment_len()
}

/// Lays out a new segment in zeroed memory, ready.
///
/// # Errors
///
/// [`Status::INVALID_ARGUMENT`] for too few or too many seats or counters, [`Status::TOO_SMALL`].
#[cold]
pub fn create(words: Shared<'_>, seats: u32, counters: u32, seed: u64, instance: u64) -> Result<(), Status> {
    let geometry = Geometry { seats, columns: columns_for(counters) };
    if !geometry.is_valid() {
        return Err(Status::INVALID_ARGUMENT);
    }
    if words.view().len() * 8 < geometry.segment_len() {
        return Err(Status::TOO_SMALL);
    }
    let total_len = geometry.segment_len() as u64;
    // Never 0, so that the number 0 is no counter.
    let instance = instance | 1;
    header::write(words, &FORMAT, &Header { total_len, geometry: geometry.to_word(), seed, instance });
    header::set_state(words, State::Ready);
    Ok(())
}

/// The counters, as a process that counts sees them.
#[derive(Clone, Copy)]
pub struct Stat<'a> {
    words: Shared<'a>,
    geometry: Geometry,
    instance: u64,
}

impl<'a> Stat<'a> {
    /// Attaches a segment of `len` bytes, in use.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    #[cold]
    pub fn attach(words: Shared<'a>, len: u64) -> Result<Stat<'a>, Mismatch> {
        let header = header::read_ready(words.view(), len, &FORMAT)?;
        Ok(Stat { words, geometry: checked_geometry(words.view(), &header)?, instance: header.instance })
    }

    /// Which segment it is: a column of another one means nothing here.
    #[inline]
    pub const fn instance(&self) -> u64 {
        self.instance
    }

    /// How many processes have room.
    pub const fn seat_count(&self) -> u32 {
        self.geometry.seats
    }

    /// The seats.
    pub fn seats(&self) -> Seats<'a> {
        let len = (self.geometry.seats as usize + 1) * seat::LEN;
        Seats::new(self.words.part(SEATS, len), self.geometry.seats)
    }

    /// The column of a counter, which is given one if it has none. O(1); once per counter, or per call.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for an id above [`MAX_ID`] or the counter 0, 0; [`Status::TABLE_FULL`].
    pub fn column(&self, counter: CounterKey) -> Result<Column, Status> {
        let wanted = counter.to_word().ok_or(Status::INVALID_ARGUMENT)?;
        let mut column = home(wanted, self.geometry.columns);
        for _ in 0..PROBES {
            let index = self.geometry.columns_at() + column as usize;
            let found = match self.words.load(index) {
                // Columns are never given back, so whoever looks for a counter passes the same ones in the same order.
                0 => self.words.exchange(index, 0, wanted).err().unwrap_or(wanted),
                taken => taken,
            };
            if found == wanted {
                return Ok(Column(column));
            }
            column = if column + 1 < self.geometry.columns { column + 1 } else { 0 };
        }
        Err(Status::TABLE_FULL)
    }

    /// Adds to a counter, in the stripe of `seat`. Hot: one atomic addition on a line of one's own.
    #[inline]
    pub fn add(&self, seat: u32, column: Column, n: u64) {
        self.words.add(self.geometry.word(seat, column), n);
    }

    /// Raises a maximum to at least `value`, of which the low 48 bits count, within the window of `now`. Hot.
    pub fn set_max(&self, seat: u32, column: Column, value: u64, now: Nanos) {
        let index = self.geometry.word(seat, column);
        let value = if value > MAX_MASK { MAX_MASK } else { value };
        let window = window(now);
        let raised = u64::from(window) << WINDOW_SHIFT | value;
        for _ in 0..TRIES {
            let old = self.words.load(index);
            let its_window = (old >> WINDOW_SHIFT) as u16;
            // Another thread, which has read the clock later, was faster.
            let is_past = old != 0 && its_window == window.wrapping_add(1);
            if is_past || its_window == window && old >= raised || self.words.exchange(index, old, raised).is_ok() {
                return;
            }
        }
    }
}

/// The counters, as a tool sees them.
#[derive(Clone, Copy)]
pub struct Counters<'a> {
    words: View<'a>,
    geometry: Geometry,
}

impl<'a> Counters<'a> {
    /// Attaches a segment of `len` bytes, in whatever state it is.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: View<'a>, len: u64) -> Result<Counters<'a>, Mismatch> {
        let header = header::read(words, len, &FORMAT)?;
        Ok(Counters { words, geometry: checked_geometry(words, &header)? })
    }

    /// How many processes have room.
    pub const fn seat_count(&self) -> u32 {
        self.geometry.seats
    }

    /// How many counters have room.
    pub const fn column_count(&self) -> u32 {
        self.geometry.columns
    }

    /// Who sits in a seat, 1 to [`seat_count`](Self::seat_count).
    pub fn occupant(&self, seat: u32) -> Option<seat::Occupant> {
        if seat > self.geometry.seats {
            return None;
        }
        seat::occupant(self.words.part(SEATS, (self.geometry.seats as usize + 1) * seat::LEN), seat)
    }

    /// All counters and their columns.
    pub fn counters(&self) -> impl Iterator<Item = (CounterKey, Column)> + use<'a> {
        let (words, geometry) = (self.words, self.geometry);
        (0..geometry.columns).filter_map(move |column| {
            let word = words.load(geometry.columns_at() + column as usize);
            (word != 0).then(|| (CounterKey::from_word(word), Column(column)))
        })
    }

    /// The sum over all stripes.
    pub fn sum(&self, column: Column) -> u64 {
        (0..=self.geometry.seats)
            .fold(0, |sum: u64, seat| sum.wrapping_add(self.words.load(self.geometry.word(seat, column))))
    }

    /// What stands in the stripe of a seat: what its processes have added. 0 if there is no such seat.
    pub fn of_seat(&self, seat: u32, column: Column) -> u64 {
        self.words.load(self.geometry.word(seat, column))
    }

    /// The largest value in the window of `now` or, if that has none yet, in the one before it.
    pub fn max(&self, column: Column, now: Nanos) -> Option<u64> {
        let in_window = |wanted: u16| {
            (0..=self.geometry.seats)
                .map(|seat| self.words.load(self.geometry.word(seat, column)))
                .filter(|&word| word != 0 && (word >> WINDOW_SHIFT) as u16 == wanted)
                .map(|word| word & MAX_MASK)
                .max()
        };
        let current = window(now);
        in_window(current).or_else(|| in_window(current.wrapping_sub(1)))
    }
}

fn checked_geometry(words: View<'_>, header: &Header) -> Result<Geometry, Mismatch> {
    let geometry = Geometry { seats: (header.geometry >> 32) as u32, columns: header.geometry as u32 };
    header.check_room(words, geometry.is_valid().then(|| geometry.segment_len()))?;
    Ok(geometry)
}

/// Where the search for a counter begins.
#[inline]
const fn home(word: u64, columns: u32) -> u32 {
    scale(fold(word ^ MULTIPLIERS[0], MULTIPLIERS[1]), columns as u64) as u32
}

#[inline]
const fn window(now: Nanos) -> u16 {
    (now.0 / (WINDOW_SECONDS * NANOS_PER_SECOND)) as u16
}
