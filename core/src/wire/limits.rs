//! The most that a peer may send.

/// What a receiver accepts of one connection. Each limit has a status of its own that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of metadata and payload in a frame: [`BODY_TOO_LONG`](crate::status::Status::BODY_TOO_LONG) breaks the
    /// stream.
    pub max_body_len: u32,
    /// Bytes of metadata in a frame: [`METADATA_TOO_LONG`](crate::status::Status::METADATA_TOO_LONG) refuses the call.
    pub max_metadata_len: u16,
    /// Tags in the metadata of a frame: [`TOO_MANY_TAGS`](crate::status::Status::TOO_MANY_TAGS) refuses the call.
    pub max_tags: u16,
    /// Bytes of a name: [`NAME_TOO_LONG`](crate::status::Status::NAME_TOO_LONG) refuses the call.
    pub max_name_len: u16,
    /// Unanswered requests of the connection: [`TOO_MANY_OPEN_CALLS`](crate::status::Status::TOO_MANY_OPEN_CALLS)
    /// refuses the call. 0 if nobody counts the answers.
    pub max_open_calls: u32,
    /// Whether each frame must have a checksum: [`CHECKSUM_MISSING`](crate::status::Status::CHECKSUM_MISSING) breaks the
    /// stream. Over TCP, yes: without, a flipped bit in the flags could take the checksum away unnoticed.
    pub needs_checksum: bool,
}

impl Limits {
    /// What a server of ordinary calls needs, with room: bodies of 64 MiB, as brpc's `max_body_size`.
    pub const DEFAULT: Limits = Limits {
        max_body_len: 64 << 20,
        max_metadata_len: 8 << 10,
        max_tags: 64,
        max_name_len: 255,
        max_open_calls: 0,
        needs_checksum: false,
    };

    /// What any frame keeps to.
    pub const WIDEST: Limits = Limits {
        max_body_len: u32::MAX,
        max_metadata_len: u16::MAX,
        max_tags: u16::MAX,
        max_name_len: u16::MAX,
        max_open_calls: 0,
        needs_checksum: false,
    };

    /// The defaults, but bodies of at most this many bytes.
    pub const fn of_body(max_body_len: u32) -> Limits {
        Limits { max_body_len, ..Limits::DEFAULT }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}
