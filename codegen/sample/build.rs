//! Generates a service, its server and its client out of `proto/`.

use std::path::PathBuf;

fn main() -> Result<(), mcrpc_build::Error> {
    mcrpc_build::Config::new()
        .bytes(&["."])
        .compile(&["proto/crawl.proto", "proto/odd/names.proto", "proto/bare.proto"], &["proto"])?;
    // Two versions of one package, in directories of their own.
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for version in ["old", "new"] {
        let directory = format!("proto/growth/{version}");
        let config = mcrpc_build::Config::new().out_dir(out.join("growth").join(version));
        config.compile(&[format!("{directory}/shelf.proto")], &[directory])?;
    }
    Ok(())
}
