//! RpcMeta of baidu_std by prost, beside the one of `mcrpc_core::wire::baidu_std`.
//!
//! - [`proto`]: what prost generates.
//! - [`convert`]: this library's meta as prost's.
//! - [`exception`]: the messages that prost accepts and this library refuses.
//! - [`compare`]: the two over the same bytes.

pub mod compare;
pub mod convert;
pub mod exception;
pub mod proto {
    //! The messages of `proto/baidu_rpc_meta.proto`, with all fields optional.
    #![allow(missing_docs, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/mcrpc.peers.baidu.rs"));
}
