//! One frame that lies in one buffer.

use super::checksum::{Checksum, TRAILER_LEN};
use super::header::{Front, HEADER_LEN, Header};
use super::limits::Limits;
use super::metadata::Metadata;
use crate::status::Status;

/// A whole frame, valid and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its header.
    pub header: Header,
    /// Its metadata; none in a kind that has none, whatever the body holds.
    pub metadata: Metadata<'a>,
    /// Its payload; empty in a kind that has none, whatever the body holds.
    pub payload: &'a [u8],
    /// Its length in bytes: where the next one begins.
    pub len: usize,
}

/// A whole frame that is not valid yet: nobody has looked at its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Its header.
    pub header: Header,
    /// The bytes of its metadata; none in a kind that has none, whatever the body holds.
    pub metadata: &'a [u8],
    /// Its payload; empty in a kind that has none, whatever the body holds.
    pub payload: &'a [u8],
    /// Its length in bytes: where the next one begins.
    pub len: usize,
}

impl<'a> Parts<'a> {
    /// The frame at the front of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Status::INCOMPLETE`] if it is longer than `bytes`; else see [`Header::parse`], and [`Status::BAD_CHECKSUM`], before
    /// anything that a changed bit could have made up.
    #[inline]
    pub fn new_checked(bytes: &'a [u8], limits: &Limits) -> Result<Parts<'a>, Status> {
        let head = bytes.first_chunk::<HEADER_LEN>().ok_or(Status::INCOMPLETE)?;
        let front = Front::parse(head, limits)?;
        let (body_len, has_checksum) = front.extent();
        let (checked, behind) =
            bytes.split_at_checked(HEADER_LEN.saturating_add(body_len as usize)).ok_or(Status::INCOMPLETE)?;
        let mut len = checked.len();
        if has_checksum {
            let mut checksum = Checksum::new();
            checksum.update(checked);
            if *behind.first_chunk::<TRAILER_LEN>().ok_or(Status::INCOMPLETE)? != checksum.trailer() {
                return Err(Status::BAD_CHECKSUM);
            }
            len += TRAILER_LEN;
        }
        let header = front.header()?;
        let body = checked.get(HEADER_LEN..).unwrap_or_default();
        let (metadata, payload) =
            body.split_at_checked(usize::from(header.metadata_len)).ok_or(Status::BAD_METADATA_LENGTH)?;
        let metadata = if header.kind.has_metadata() { metadata } else { &[] };
        let payload = if header.kind.has_payload() { payload } else { &[] };
        Ok(Parts { header, metadata, payload, len })
    }
}

impl<'a> Frame<'a> {
    /// The frame at the front of `bytes`.
    ///
    /// # Errors
    ///
    /// See [`Parts::new_checked`] and [`Metadata::new_checked`].
    #[inline]
    pub fn new_checked(bytes: &'a [u8], limits: &Limits) -> Result<Frame<'a>, Status> {
        let Parts { header, metadata, payload, len } = Parts::new_checked(bytes, limits)?;
        Ok(Frame { header, metadata: Metadata::new_checked(metadata, limits)?, payload, len })
    }

    /// How long the frame at the front of `bytes` is, of any kind: where the next one begins if this one is refused or
    /// unknown. O(1).
    ///
    /// # Errors
    ///
    /// [`Status::INCOMPLETE`] below [`HEADER_LEN`] bytes; a failure of [`Header::parse`] if nobody can say.
    pub fn wanted(bytes: &[u8], limits: &Limits) -> Result<usize, Status> {
        let front = Front::parse(bytes.first_chunk().ok_or(Status::INCOMPLETE)?, limits)?;
        let (body_len, has_checksum) = front.extent();
        // No buffer is longer than the address space, so there the frame stays incomplete.
        Ok(HEADER_LEN.saturating_add(body_len as usize).saturating_add(if has_checksum { TRAILER_LEN } else { 0 }))
    }
}
