//! The one door to atomics. The model checker compiles the files that use it against its own `sync` instead
//! (`tests/loom.rs`), so nothing in the core names `core::sync::atomic` directly.

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
