//! The C ABI of libmcrpc: `include/mcrpc.h` is generated from the documentation of these files.
//!
//! Nothing is decided here. Every function checks its pointers and numbers, calls one function of `mcrpc-core`, and
//! turns the answer into a status. Ownership is simple throughout: all memory is the caller's, the library keeps
//! no pointer but the ones inside an admission handle and the one of [`context`], and nothing needs to be freed.

#![no_std]
// The names are the C names, so that a reader finds them in both places.
#![allow(non_camel_case_types)]

pub mod admission;
mod attachment;
pub mod baidu_meta;
pub mod baidu_std;
pub mod bytes;
pub mod context;
pub mod counters;
pub mod endpoints;
pub mod frame;
pub mod header;
pub mod host;
pub mod limits;
mod mapping;
pub mod metadata;
mod pointer;
mod process;
pub mod select;
pub mod sized;
mod state;
pub mod status;
pub mod strategy;
