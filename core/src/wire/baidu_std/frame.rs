//! The frame: 12 bytes of header, then the meta, the payload and the attachment.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | `PRPC` |
//! | 4 | 4 | body length, big-endian: meta, payload and attachment |
//! | 8 | 4 | meta length, big-endian |
//!
//! How much of the body the attachment takes is said in the meta.

use super::meta::Meta;
use super::packed::PackedMeta;
use crate::status::Status;

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 12;
/// The first bytes of every frame.
pub const MAGIC: [u8; 4] = *b"PRPC";

/// The most that a peer may announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of meta, payload and attachment together.
    pub max_body_len: u32,
    /// Bytes of the meta. It also bounds the time of a parse.
    pub max_meta_len: u32,
}

impl Limits {
    /// 64 MiB of body, which is the default of brpc (`-max_body_size`), and 64 KiB of meta, which brpc does not bound.
    pub const DEFAULT: Limits = Limits { max_body_len: 64 << 20, max_meta_len: 64 << 10 };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

/// The lengths that a frame's header announces, within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of meta, payload and attachment.
    pub body_len: u32,
    /// Bytes of the meta, at most `body_len`.
    pub meta_len: u32,
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Status::BAD_MAGIC`] as soon as a byte differs from `PRPC`, so that a port can tell protocols apart by their
    /// first bytes; [`Status::INCOMPLETE`] below [`HEADER_LEN`] bytes; then [`Status::BODY_TOO_LONG`],
    /// [`Status::BAD_METADATA_LENGTH`] (above the body's) or [`Status::METADATA_TOO_LONG`].
    #[inline]
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<FrameHeader, Status> {
        if bytes.iter().zip(&MAGIC).any(|(byte, wanted)| byte != wanted) {
            return Err(Status::BAD_MAGIC);
        }
        let header = bytes.first_chunk::<HEADER_LEN>().ok_or(Status::INCOMPLETE)?;
        let [_, _, _, _, b0, b1, b2, b3, m0, m1, m2, m3] = *header;
        let body_len = u32::from_be_bytes([b0, b1, b2, b3]);
        let meta_len = u32::from_be_bytes([m0, m1, m2, m3]);
        if body_len > limits.max_body_len {
            return Err(Status::BODY_TOO_LONG);
        }
        if meta_len > body_len {
            return Err(Status::BAD_METADATA_LENGTH);
        }
        if meta_len > limits.max_meta_len {
            return Err(Status::METADATA_TOO_LONG);
        }
        Ok(FrameHeader { body_len, meta_len })
    }

    /// Bytes of the whole frame, this header included.
    ///
    /// # Errors
    ///
    /// [`Status::BODY_TOO_LONG`] if the machine has no memory that long.
    #[inline]
    pub fn frame_len(&self) -> Result<usize, Status> {
        let body_len = usize::try_from(self.body_len).ok();
        body_len.and_then(|len| len.checked_add(HEADER_LEN)).ok_or(Status::BODY_TOO_LONG)
    }

    /// The bytes of this header.
    #[inline]
    pub const fn emit(&self) -> [u8; HEADER_LEN] {
        let [p0, p1, p2, p3] = MAGIC;
        let [b0, b1, b2, b3] = self.body_len.to_be_bytes();
        let [m0, m1, m2, m3] = self.meta_len.to_be_bytes();
        [p0, p1, p2, p3, b0, b1, b2, b3, m0, m1, m2, m3]
    }
}

/// How many bytes the frame at the front of `bytes` has. Known as soon as [`HEADER_LEN`] bytes are there, whatever the
/// pieces in which they came: read until so many are there, then make a [`Frame`].
///
/// # Errors
///
/// See [`FrameHeader::parse`]. All but [`Status::INCOMPLETE`] break the stream: there is no next frame.
#[inline]
pub fn wanted(bytes: &[u8], limits: &Limits) -> Result<usize, Status> {
    FrameHeader::parse(bytes, limits)?.frame_len()
}

/// A whole frame. Everything in it is a view of the bytes it was made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame<'a> {
    /// What the frame says about itself.
    pub meta: Meta<'a>,
    /// The message of the request or response, as [`Meta::compress_type`] and [`Meta::content_type`] say.
    pub payload: &'a [u8],
    /// Bytes that travel beside the message.
    pub attachment: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the front of `bytes`; [`wanted`] says how many of them it takes.
    ///
    /// # Errors
    ///
    /// As [`wanted`], and [`Status::INCOMPLETE`] while bytes are missing. [`Status::BAD_META`] if the meta is no valid
    /// RpcMeta or announces an attachment that is longer than what follows, or of less than 0 bytes: close the
    /// connection. The next frame could be found, but nobody knows which call to answer. (brpc answers an attachment that is too long with
    /// `EREQUEST`; no peer that can count sends one.)
    pub fn new_checked(bytes: &'a [u8], limits: &Limits) -> Result<Frame<'a>, Status> {
        let (meta, rest) = Frame::split(bytes, limits)?;
        let mut packed = PackedMeta::default();
        packed.parse(meta)?;
        let (payload, attachment) = packed.split_attachment(rest)?;
        Ok(Frame { meta: packed.unpack(), payload, attachment })
    }

    /// The same without a look into the meta: its bytes, and the rest of the body.
    ///
    /// # Errors
    ///
    /// As [`wanted`], and [`Status::INCOMPLETE`] while bytes are missing.
    #[inline]
    pub fn split(bytes: &'a [u8], limits: &Limits) -> Result<(&'a [u8], &'a [u8]), Status> {
        let header = FrameHeader::parse(bytes, limits)?;
        let body = bytes.get(HEADER_LEN..header.frame_len()?).ok_or(Status::INCOMPLETE)?;
        body.split_at_checked(header.meta_len as usize).ok_or(Status::BAD_METADATA_LENGTH)
    }
}
