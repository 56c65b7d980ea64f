//! Generates the messages of baidu_std with prost.
//!
//! prost does not enforce required fields, and cannot tell one that is missing from one that is empty. So they become optional
//! here, which changes no byte, and `is_initialized` in src/baidu/exception.rs looks for them.
//!
//! It refuses strings that are not UTF-8, which protobuf for C++ accepts, and this library in the texts of which nothing depends.
//! So these become bytes here.

use prost_build::Config;
use protox::prost_reflect::prost_types::field_descriptor_proto::{Label, Type};

/// The strings that are read as far as they are UTF-8.
const LEGIBLE: [&str; 2] = ["request_id", "error_text"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "proto/baidu_rpc_meta.proto";
    println!("cargo:rerun-if-changed={proto}");
    let mut descriptors = protox::compile([proto], ["proto"])?;
    for file in &mut descriptors.file {
        for field in file.message_type.iter_mut().flat_map(|message| &mut message.field) {
            if field.label() == Label::Required {
                field.set_label(Label::Optional);
            }
            if LEGIBLE.contains(&field.name()) {
                field.set_type(Type::Bytes);
            }
        }
    }
    Config::new().btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
