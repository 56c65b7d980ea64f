//! Generates services and clients out of `proto/`: for Rust, and for the tier in C++.

use std::path::PathBuf;

fn main() -> Result<(), mcrpc_build::Error> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let cpp = out.join("cpp");
    mcrpc_build::compile(&["proto/feed.proto"], &["proto"])?;
    mcrpc_build::Config::new().out_dir(&cpp).compile_cpp(&["proto/feed.proto"], &["proto"])?;
    println!("cargo:cpp={}", cpp.display());
    Ok(())
}
