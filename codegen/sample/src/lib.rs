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

/// What `proto/odd/names.proto` says.
pub mod odd {
    include!(concat!(env!("OUT_DIR"), "/odd.names.v1.rs"));
}

/// What `proto/bare.proto` says.
pub mod bare {
    include!(concat!(env!("OUT_DIR"), "/_.rs"));
}

/// A service, and what became of it.
pub mod growth {
    /// What `proto/growth/old/shelf.proto` says.
    pub mod old {
        include!(concat!(env!("OUT_DIR"), "/growth/old/shelf.rs"));
    }

    /// What `proto/growth/new/shelf.proto` says.
    pub mod new {
        include!(concat!(env!("OUT_DIR"), "/growth/new/shelf.rs"));
    }
}

pub mod service;
