//! The C ABI of libmcrpc: `include/mcrpc.h` is generated from the documentation of these files.
//!
//! Nothing is decided here. Every function checks its pointers and numbers, calls one function of `mcrpc-core`, and
//! turns the answer into a status. Ownership is simple throughout: all memory is the caller's, the library keeps
//! no pointer but the ones inside an admission handle and the one of [`context`], and nothing needs to be freed.

#![no_std]
// The names are the C names, so that a reader finds them in both places.
#![allow(non_camel_case_types)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "libmcrpc's C ABI is laid out for 64-bit machines: its structs hold pointers beside 64-bit numbers, and their sizes are \
     promised (docs/porting.md). Use mcrpc-core from Rust."
);

pub mod admission;
mod attachment;
pub mod baidu_context;
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
pub mod log;
mod mapping;
pub mod metadata;
mod pointer;
mod process;
pub mod select;
pub mod sized;
mod state;
pub mod status;
pub mod strategy;
