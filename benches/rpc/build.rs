//! Generates the echo service of gRPC.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "proto/echo.proto";
    println!("cargo:rerun-if-changed={proto}");
    tonic_prost_build::configure().bytes(".").compile_fds(protox::compile([proto], ["proto"])?)?;
    Ok(())
}
