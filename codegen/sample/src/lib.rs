//! Generated code as a crate has it.
#![allow(missing_docs, reason = "not all messages have comments")]

/// What `proto/common/page.proto` says.
pub mod common {
    include!(concat!(env!("OUT_DIR"), "/common.rs"));
}

/// What `proto/crawl.proto` says.
pub mod crawl {
    include!(concat!(env!("OUT_DIR"), "/crawl.rs"));
}
