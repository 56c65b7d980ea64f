//! A social feed of three tiers: front (Rust) → timeline (C++) → store (Rust). See `README.md`.
//!
//! | module | |
//! |---|---|
//! | [`feed`] | what `proto/feed.proto` says, generated |
//! | [`front`] | the first tier |
//! | [`store`] | the third tier |
//! | [`tier`] | what both are started with, and how they end |
//!
//! The tier in between is `timeline/timeline.cpp`.

#![allow(missing_docs, reason = "not all generated messages have comments")]

/// What `proto/feed.proto` says.
pub mod feed {
    include!(concat!(env!("OUT_DIR"), "/feed.rs"));
}

pub mod front;
pub mod store;
pub mod tier;
