//! What goes over the socket.
//!
//! One frame is a 32-byte little-endian header, metadata, payload, and perhaps a checksum; the header counts metadata and
//! payload together as its body. Admission needs nothing behind the header, so refusing a request costs no parsing. The
//! normative description, byte by byte, is `docs/wire-format.md`.
//!
//! - [`header`]: the fixed header, parsed and emitted. [`checksum`]: what a frame may end with. [`limits`]: the most that
//!   a peer may send.
//! - [`tag`]: which values there are besides, and what a reader does that does not know one. [`metadata`]: the values, read where they lie. [`writer`]: header and metadata, written into the caller's buffer.
//! - [`hello`]: the names that hold for a connection.
//! - [`decoder`]: frames out of a byte stream that arrives in any pieces. [`frame`]: one frame that lies in one buffer.
//! - [`baidu_std`]: the protocol of brpc. [`mod@sniff`]: which protocol a connection speaks.

pub mod baidu_std;
pub mod checksum;
pub mod decoder;
pub mod frame;
pub mod header;
pub mod hello;
pub mod limits;
pub mod metadata;
pub mod sniff;
pub mod tag;
pub mod writer;

pub use checksum::Checksum;
pub use decoder::{Decoder, Event, Step};
pub use frame::Frame;
pub use header::{Flags, HEADER_LEN, Header, Kind};
pub use hello::{Features, Hello};
pub use limits::Limits;
pub use metadata::{Metadata, Trace};
pub use sniff::{Protocol, sniff};
pub use tag::Tag;
pub use writer::Writer;
