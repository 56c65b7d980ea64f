//! The frame header: 32 bytes, little-endian, the same for every kind of frame.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | magic, 0xC7: no text protocol begins with it |
//! | 1 | 1 | version (high 4 bits), kind (low 4 bits) |
//! | 2 | 1 | flags: 0 crc trailer, 1 sampled, 2 more, 3-4 attempt, 5 continues a task, 6 compressed, 7 must be understood |
//! | 3 | 1 | business priority, 0 first |
//! | 4 | 4 | body length: metadata and payload |
//! | 8 | 4 | call id |
//! | 12 | 4 | method id (request), status (response) |
//! | 16 | 8 | uin |
//! | 24 | 4 | remaining budget in ms (request), admission cursor (response) |
//! | 28 | 2 | business id |
//! | 30 | 2 | metadata length |

use bytemuck::{Pod, Zeroable};

use super::limits::Limits;
use crate::status::Status;

/// Bytes of a header.
pub const HEADER_LEN: usize = 32;
/// The first byte of every frame.
pub const MAGIC: u8 = 0xC7;
/// The version that this library writes, and the only one that it reads.
pub const VERSION: u8 = 1;

/// The kind of a frame: the low four bits of byte 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A call that wants an answer.
    Request = 1,
    /// The answer to a request, matched by call id.
    Response = 2,
    /// A call that wants no answer.
    OneWay = 3,
    /// Names that hold for the connection.
    Hello = 4,
    /// Asks for a pong.
    Ping = 5,
    /// Answers a ping.
    Pong = 6,
    /// The sender takes no new requests on this connection.
    GoAway = 7,
    /// The answer to this call id is no longer wanted.
    Cancel = 8,
}

impl Kind {
    /// The kind with this number; `None` if no version knows it.
    pub const fn from_wire(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Request,
            2 => Kind::Response,
            3 => Kind::OneWay,
            4 => Kind::Hello,
            5 => Kind::Ping,
            6 => Kind::Pong,
            7 => Kind::GoAway,
            8 => Kind::Cancel,
            _ => return None,
        })
    }

    /// Whether its body begins with metadata. What another kind has instead is not looked at.
    #[inline]
    pub const fn has_metadata(self) -> bool {
        !matches!(self, Kind::Ping | Kind::Pong | Kind::Cancel)
    }

    /// Whether its body has a payload. What another kind has instead is not looked at.
    #[inline]
    pub const fn has_payload(self) -> bool {
        matches!(self, Kind::Request | Kind::Response | Kind::OneWay)
    }
}

/// The flags byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Flags(pub u8);

impl Flags {
    /// Four bytes of checksum follow the body.
    pub const CRC_TRAILER: u8 = 1 << 0;
    /// The trace of this request is recorded.
    pub const SAMPLED: u8 = 1 << 1;
    /// Further frames of the same call follow.
    pub const MORE: u8 = 1 << 2;
    /// Two bits: 0 for the first attempt, up to 3.
    pub const ATTEMPT_MASK: u8 = 0b11 << Flags::ATTEMPT_SHIFT;
    const ATTEMPT_SHIFT: u8 = 3;
    /// The callee has already served an earlier call of the same task. A server that does not know this flag
    /// may ignore it.
    pub const CONTINUES_TASK: u8 = 1 << 5;
    /// The payload is compressed.
    pub const COMPRESSED: u8 = 1 << 6;
    /// Set together with something that a receiver must not ignore: one that does not know it refuses by name. This
    /// version knows nothing of the kind.
    pub const MUST_UNDERSTAND: u8 = 1 << 7;

    /// How often this call has been sent before, 0 to 3.
    #[inline]
    pub const fn attempt(self) -> u8 {
        (self.0 & Flags::ATTEMPT_MASK) >> Flags::ATTEMPT_SHIFT
    }

    /// The same flags with the attempt number set; numbers above 3 become 3.
    #[must_use]
    pub const fn with_attempt(self, attempt: u8) -> Flags {
        let attempt = if attempt > 3 { 3 } else { attempt };
        Flags((self.0 & !Flags::ATTEMPT_MASK) | (attempt << Flags::ATTEMPT_SHIFT))
    }

    /// Whether every bit of `mask` is set.
    #[inline]
    pub const fn contains(self, mask: u8) -> bool {
        self.0 & mask == mask
    }
}

/// A header in the host's terms. The fields of the other direction are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// The flags byte.
    pub flags: Flags,
    /// Business priority, 0 first.
    pub priority: u8,
    /// Bytes of metadata and payload.
    pub body_len: u32,
    /// Chosen by the caller, unique among the open calls of a connection.
    pub call_id: u32,
    /// Request: FNV-1a 32 of `pkg.Service.Method`.
    pub method_id: u32,
    /// Response: how the call ended.
    pub status: Status,
    /// The user, or 0.
    pub uin: u64,
    /// Request: how long the caller still waits, in ms; `u32::MAX` for ever.
    pub budget_ms: u32,
    /// Response: the server's admission cursor. See [`crate::admission::Cursor`].
    pub cursor: u32,
    /// The business the request belongs to.
    pub business_id: u16,
    /// Bytes of metadata at the start of the body.
    pub metadata_len: u16,
}

impl Header {
    /// A frame of `kind` without a body; everything else is zero.
    pub const fn new(kind: Kind, call_id: u32) -> Header {
        Header {
            kind,
            flags: Flags(0),
            priority: 0,
            body_len: 0,
            call_id,
            method_id: 0,
            status: Status::OK,
            uin: 0,
            budget_ms: 0,
            cursor: 0,
            business_id: 0,
            metadata_len: 0,
        }
    }

    /// Reads a header of a kind that this version knows and without anything it would have to know.
    ///
    /// # Errors
    ///
    /// Named by what is wrong with the bytes: [`Status::BAD_MAGIC`], [`Status::BAD_VERSION`], [`Status::CHECKSUM_MISSING`],
    /// [`Status::BODY_TOO_LONG`], [`Status::BAD_KIND`], [`Status::BAD_METADATA_LENGTH`], [`Status::UNSUPPORTED_FLAG`],
    /// [`Status::METADATA_TOO_LONG`].
    #[inline]
    pub fn parse(bytes: &[u8; HEADER_LEN], limits: &Limits) -> Result<Header, Status> {
        Front::parse(bytes, limits)?.header()
    }

    /// The bytes of this header.
    #[inline]
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let response = matches!(self.kind, Kind::Response);
        bytemuck::must_cast(Raw {
            magic: MAGIC,
            version_kind: (VERSION << 4) | self.kind as u8,
            flags: self.flags.0,
            priority: self.priority,
            body_len: self.body_len.to_le(),
            call_id: self.call_id.to_le(),
            method_or_status: if response { self.status.0.cast_unsigned() } else { self.method_id }.to_le(),
            uin: self.uin.to_le(),
            budget_or_cursor: if response { self.cursor } else { self.budget_ms }.to_le(),
            business_id: self.business_id.to_le(),
            metadata_len: self.metadata_len.to_le(),
        })
    }
}

/// What the first bytes of a frame say about the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// It can be read.
    Known(Header),
    /// It must not be acted on, for this reason; the frame behind it is intact.
    Refused(Header, Status),
    /// It is of a kind that a newer version made up, and may be passed over.
    Skipped {
        /// Bytes to pass over.
        body_len: u32,
        /// Whether a checksum follows them.
        has_checksum: bool,
    },
}

impl Front {
    /// Reads the first bytes of a frame. A failure means that nobody can say where the next one begins.
    #[inline]
    pub(super) fn parse(bytes: &[u8; HEADER_LEN], limits: &Limits) -> Result<Front, Status> {
        let raw: Raw = bytemuck::must_cast(*bytes);
        if raw.magic != MAGIC {
            return Err(Status::BAD_MAGIC);
        }
        if raw.version_kind >> 4 != VERSION {
            return Err(Status::BAD_VERSION);
        }
        let flags = Flags(raw.flags);
        let has_checksum = flags.contains(Flags::CRC_TRAILER);
        if limits.needs_checksum && !has_checksum {
            return Err(Status::CHECKSUM_MISSING);
        }
        let body_len = u32::from_le(raw.body_len);
        if body_len > limits.max_body_len {
            return Err(Status::BODY_TOO_LONG);
        }
        let must_understand = flags.contains(Flags::MUST_UNDERSTAND);
        let Some(kind) = Kind::from_wire(raw.version_kind & 0x0F) else {
            let is_skippable = raw.version_kind & 0x0F != 0 && !must_understand;
            return if is_skippable { Ok(Front::Skipped { body_len, has_checksum }) } else { Err(Status::BAD_KIND) };
        };
        let metadata_len = u16::from_le(raw.metadata_len);
        if u32::from(metadata_len) > body_len {
            return Err(Status::BAD_METADATA_LENGTH);
        }
        let code = u32::from_le(raw.method_or_status);
        let limit = u32::from_le(raw.budget_or_cursor);
        let response = matches!(kind, Kind::Response);
        let header = Header {
            kind,
            flags,
            priority: raw.priority,
            body_len,
            call_id: u32::from_le(raw.call_id),
            method_id: if response { 0 } else { code },
            status: Status(if response { code.cast_signed() } else { 0 }),
            uin: u64::from_le(raw.uin),
            budget_ms: if response { 0 } else { limit },
            cursor: if response { limit } else { 0 },
            business_id: u16::from_le(raw.business_id),
            metadata_len,
        };
        Ok(if must_understand {
            Front::Refused(header, Status::UNSUPPORTED_FLAG)
        } else if metadata_len > limits.max_metadata_len {
            Front::Refused(header, Status::METADATA_TOO_LONG)
        } else {
            Front::Known(header)
        })
    }

    /// Bytes of the body, and whether a checksum follows them.
    #[inline]
    pub(super) const fn extent(&self) -> (u32, bool) {
        match self {
            Front::Known(header) | Front::Refused(header, _) => {
                (header.body_len, header.flags.contains(Flags::CRC_TRAILER))
            }
            Front::Skipped { body_len, has_checksum } => (*body_len, *has_checksum),
        }
    }

    /// The header, if it can be acted on.
    #[inline]
    pub(super) const fn header(self) -> Result<Header, Status> {
        match self {
            Front::Known(header) => Ok(header),
            Front::Refused(_, status) => Err(status),
            Front::Skipped { .. } => Err(Status::BAD_KIND),
        }
    }
}

/// The bytes as they lie on the wire; every field little-endian. `Pod` proves that there is no padding.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Raw {
    magic: u8,
    version_kind: u8,
    flags: u8,
    priority: u8,
    body_len: u32,
    call_id: u32,
    method_or_status: u32,
    uin: u64,
    budget_or_cursor: u32,
    business_id: u16,
    metadata_len: u16,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Raw>() == HEADER_LEN);
    assert!(offset_of!(Raw, body_len) == 4);
    assert!(offset_of!(Raw, call_id) == 8);
    assert!(offset_of!(Raw, method_or_status) == 12);
    assert!(offset_of!(Raw, uin) == 16);
    assert!(offset_of!(Raw, budget_or_cursor) == 24);
    assert!(offset_of!(Raw, business_id) == 28);
    assert!(offset_of!(Raw, metadata_len) == 30);
};

/// The id of a method: FNV-1a, 32 bits, of its full name `pkg.Service.Method` (Fowler, Noll, Vo).
pub const fn method_id(full_name: &[u8]) -> u32 {
    hash_on(0x811c_9dc5, full_name)
}

/// The same id, of a method whose service is named apart.
pub(super) const fn method_id_in(service: &[u8], method: &[u8]) -> u32 {
    hash_on(hash_on(method_id(service), b"."), method)
}

/// FNV-1a 32 of what was hashed and `bytes` behind it.
const fn hash_on(hash: u32, bytes: &[u8]) -> u32 {
    let (mut hash, mut rest) = (hash, bytes);
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = tail;
    }
    hash
}
