//! The core of libmcrpc: every decision and every format, and nothing else.
//!
//! A server asks *may I take this request?* ([`admission`]); both sides of a connection read and write the same
//! frames ([`wire`]). The core has no clock, no socket, no allocator and no thread: time is an argument
//! ([`time::Nanos`]), memory is the caller's, and state that several processes share is made of atomics only.
//!
//! | module | question it answers |
//! |---|---|
//! | [`time`], [`id`] | which units, which keyed hash |
//! | [`status`] | what can be refused or fail, and what should a person do about it |
//! | [`context`] | what travels with a request |
//! | [`wire`] | what goes over the socket |
//! | [`admission`] | may I take this request |
//! | [`shield`] | is this endpoint healthy |
//! | [`select`] | which endpoint, and is the call worth sending |
//! | [`strategy`] | what did the host learn about an endpoint |
//! | [`host`] | what else do the processes of a host share |
//!
//! # Rules that every per-request function keeps
//!
//! No allocation, no lock, no system call, no panic, no thread-local, no log, no loop without a small constant
//! bound, and at most 512 bytes of stack. The functions may be called from any thread, from a stackful
//! coroutine, from a signal handler, and on both sides of a `fork`.

#![no_std]

#[cfg(not(target_has_atomic = "64"))]
compile_error!(
    "libmcrpc needs 64-bit atomics: what threads and processes share is made of 64-bit words, each written at once. This \
     target has none (docs/porting.md). Build for one that has, such as armv7a, aarch64, riscv64, i686 or x86_64."
);

pub mod admission;
pub mod context;
pub mod host;
pub mod id;
pub mod select;
pub mod shield;
pub mod status;
pub mod strategy;
mod sync;
pub mod time;
pub mod wire;
