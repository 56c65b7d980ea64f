//! The first instructions: a stack for the one processor that runs, and then `main`.

#[cfg(target_arch = "riscv64")]
core::arch::global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "csrr t0, mhartid",
    "bnez t0, 1f",
    // Without this a floating-point register traps, and compilers copy memory through them.
    "li t0, 0x2000",
    "csrs mstatus, t0",
    "la sp, __stack_top",
    "call {main}",
    "1: wfi",
    "j 1b",
    main = sym crate::main,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    // Without this a vector register traps, and compilers copy memory through them.
    "mov x0, #(3 << 20)",
    "msr cpacr_el1, x0",
    "isb",
    "ldr x0, =__stack_top",
    "mov sp, x0",
    "b {main}",
    main = sym crate::main,
);

#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "ldr sp, =__stack_top",
    "bl {main}",
    main = sym crate::main,
);
