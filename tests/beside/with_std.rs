//! Somebody else's Rust library, with the standard library: it panics, catches that, and allocates.

#[unsafe(no_mangle)]
pub extern "C" fn other_std(n: u32) -> u32 {
    let caught = std::panic::catch_unwind(|| vec![1u32; 8].into_iter().nth(n as usize).expect("panics where n is large"));
    caught.unwrap_or(77)
}
