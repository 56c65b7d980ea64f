//! The few lines that only the library for C has: what happens on a panic, and a symbol that the prebuilt `core` asks for.

#![no_std]

pub use mcrpc_ffi::*;

/// Nothing panics (a link without this function proves it), so there is nobody to tell.
#[cfg(not(feature = "prove-no-panic"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn abort() -> !;
    }
    abort()
}

#[cfg(feature = "prove-no-panic")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn mcrpc_can_panic() -> !;
    }
    mcrpc_can_panic()
}

// The prebuilt `core` is compiled for unwinding and names its personality routine, which with panic=abort nobody calls: so
// it needs no instruction, which each machine would spell differently. Weak, so that it yields to the one of another Rust
// library in the same program.
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".type rust_eh_personality,%function",
    "rust_eh_personality:",
    ".long 0",
);
