//! A segment with a ring of cells for each seat, and one for the common seat: [`trace`](super::trace), [`log`](super::log).

use super::header::{self, Format, Header, Mismatch, State};
use super::region::{LINE, Shared, View};
use super::seat::MAX_SEATS;
use crate::status::Status;

/// The most cells of a ring.
pub(super) const MAX_CELLS: u32 = 1 << 16;

/// Where such a segment has its rings.
pub(super) struct Shape {
    pub(super) format: Format,
    /// The first word of the common seat's ring.
    pub(super) rings_at: usize,
    /// Words of a ring before its cells.
    pub(super) head_len: usize,
    /// A ring has at least so many cells.
    pub(super) min_cells: u32,
}

/// How many rings a segment has besides the common one, and how many cells of a line each: a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) seats: u32,
    pub(super) cells: u32,
}

impl Shape {
    const fn is_valid(&self, Geometry { seats, cells }: Geometry) -> bool {
        1 <= seats && seats <= MAX_SEATS && self.min_cells <= cells && cells <= MAX_CELLS && cells.is_power_of_two()
    }

    /// Words of a ring.
    #[inline]
    pub(super) const fn ring_len(&self, geometry: Geometry) -> usize {
        self.head_len + geometry.cells as usize * LINE
    }

    /// The first word of a seat's ring; behind the end of the segment if there is no such seat.
    #[inline]
    pub(super) const fn ring_at(&self, geometry: Geometry, seat: u32) -> usize {
        if seat <= geometry.seats { self.rings_at + seat as usize * self.ring_len(geometry) } else { usize::MAX }
    }

    /// Bytes of the segment.
    pub(super) const fn segment_len(&self, geometry: Geometry) -> usize {
        header::total_len(self.rings_at, geometry.seats as usize + 1, self.ring_len(geometry))
    }

    /// Lays out a new segment in zeroed memory, ready.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for a geometry that is not valid; [`Status::TOO_SMALL`].
    #[inline]
    pub(super) fn create(&self, words: Shared<'_>, geometry: Geometry, seed: u64, instance: u64) -> Result<(), Status> {
        if !self.is_valid(geometry) {
            return Err(Status::INVALID_ARGUMENT);
        }
        let total_len = self.segment_len(geometry);
        if words.view().len() * 8 < total_len {
            return Err(Status::TOO_SMALL);
        }
        let geometry = u64::from(geometry.seats) << 32 | u64::from(geometry.cells);
        header::write(words, &self.format, &Header { total_len: total_len as u64, geometry, seed, instance });
        header::set_state(words, State::Ready);
        Ok(())
    }

    /// What the header of a segment says.
    ///
    /// # Errors
    ///
    /// [`Status::SEGMENT_BAD_GEOMETRY`]: it is not valid, or does not fit the segment's length.
    #[inline]
    pub(super) fn geometry(&self, words: View<'_>, header: &Header) -> Result<Geometry, Mismatch> {
        let geometry = Geometry { seats: (header.geometry >> 32) as u32, cells: header.geometry as u32 };
        header.check_room(words, self.is_valid(geometry).then(|| self.segment_len(geometry)))?;
        Ok(geometry)
    }
}
