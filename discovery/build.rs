//! Generates the client of etcd's interface out of `proto/etcd.proto`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/etcd.proto");
    let files = protox::compile(["etcd.proto"], ["proto"])?;
    Ok(tonic_prost_build::configure().build_server(false).build_transport(true).compile_fds(files)?)
}
