//! baidu_std, the protocol of brpc: a brpc client can call a server of this library, and the other way round.
//!
//! A frame is 12 bytes of header, a protobuf message RpcMeta, a payload and an attachment. The first byte of the native
//! protocol is 0xC7 and of this one `P`, so one port can serve both.
//!
//! - [`frame`]: how long a frame is, and its parts without a copy.
//! - [`meta`]: RpcMeta, validated once and then plain values; [`repeated`]: its fields that occur any number of times.
//! - [`packed`]: the same in C's layout, which `decode` reads into and [`encode`] writes from.
//! - [`origin`]: what the native header says beyond RpcMeta, and a request's native header for admission.
//! - [`errors`]: statuses as brpc's error codes, and back.
//! - [`protobuf`]: the part of protobuf's encoding that this needs.
//!
//! What a server answers to the parts of a meta that are only reported (streams, compression, chunks) is said in
//! `docs/baidu-std.md`.

mod decode;
pub mod encode;
pub mod errors;
pub mod frame;
pub mod meta;
mod number;
pub mod origin;
pub mod packed;
pub mod protobuf;
pub mod repeated;

pub use encode::WriteError;
pub use frame::{Frame, FrameHeader, HEADER_LEN, Limits, MAGIC, wanted};
pub use meta::{ChunkInfo, Meta, RequestMeta, ResponseMeta, StreamSettings};
pub use origin::Origin;
pub use packed::PackedMeta;
pub use repeated::{ExtraStreamIds, UserFields};
