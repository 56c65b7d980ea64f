//! What goes over the socket.
//!
//! One frame is a 32-byte little-endian header, metadata, and payload; the header counts the two together as its
//! body. Admission needs nothing behind the header, so refusing a request costs no parsing.
//!
//! - [`header`]: the fixed header, parsed and emitted.
//! - [`decoder`]: frames out of a byte stream that arrives in any pieces.

pub mod baidu_std;
pub mod decoder;
pub mod header;

pub use decoder::{Decoder, Event};
pub use header::{Flags, HEADER_LEN, Header, Kind};
