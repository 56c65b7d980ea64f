//! Somebody else's Rust library without the standard library: it has a panic handler of its own.

#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
pub extern "C" fn other_core(n: u32) -> u32 {
    n.rotate_left(3) + 1
}
