//! baidu_std, the protocol of brpc: a brpc client can call a server of this library, and the other way round.
//!
//! A frame is 12 bytes of header, a protobuf message RpcMeta, a payload and an attachment. The first byte of the native
//! protocol is 0xC7 and of this one `P`, so one port can serve both.
//!
//! - [`frame`]: how long a frame is, and its parts without a copy.
//! - [`meta`]: RpcMeta, validated once and then plain values; [`repeated`]: its fields that occur any number of times.
//! - [`origin`]: what the native header says beyond RpcMeta, and a request's native header for admission.
//! - [`encode`]: writing the header and the meta.
//! - [`errors`]: statuses as brpc's error codes, and back.
//! - [`protobuf`]: the part of protobuf's encoding that this needs.
//!
//! # What a server does with what it does not do
//!
//! Some of a meta is only reported. A server that does not speak it answers, with the request's correlation id:
//!
//! | in the meta | answer |
//! |---|---|
//! | neither a request nor a response | nothing: close the connection |
//! | an unknown `service_name`, `method_name` | [`errors::ENOSERVICE`], [`errors::ENOMETHOD`] |
//! | a `compress_type` or `content_type` other than 0 that it cannot decode | [`errors::EREQUEST`] |
//! | `stream_settings` | [`errors::EREQUEST`]: with any answer that has none itself the caller fails so, work done or not |
//! | `chunk_info` | [`errors::EREQUEST`]: no version of brpc sends it |
//! | a `checksum_type` it does not know | nothing: the checksum is optional, so it is not checked |
//! | `authentication_data` | whatever its operator wants |

pub mod encode;
pub mod errors;
pub mod frame;
pub mod meta;
pub mod origin;
pub mod protobuf;
pub mod repeated;

pub use encode::WriteError;
pub use frame::{Frame, FrameHeader, HEADER_LEN, Limits, MAGIC, wanted};
pub use meta::{ChunkInfo, Meta, RequestMeta, ResponseMeta, StreamSettings};
pub use origin::Origin;
pub use repeated::{ExtraStreamIds, UserFields};
