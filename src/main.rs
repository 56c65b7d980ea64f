//! The `mcrpc` command.

fn main() {}
