//! Generates a service, its server and its client out of `proto/`.

fn main() -> Result<(), mcrpc_build::Error> {
    mcrpc_build::Config::new()
        .bytes(&["."])
        .compile(&["proto/crawl.proto", "proto/odd/names.proto", "proto/bare.proto"], &["proto"])
}
