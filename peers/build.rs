//! Generates the messages of baidu_std with prost.
//!
//! prost does not enforce required fields, and cannot tell one that is missing from one that is empty. So they become optional
//! here, which changes no byte, and `is_initialized` in src/baidu/exception.rs looks for them.

use prost_build::Config;
use protox::prost_reflect::prost_types::field_descriptor_proto::Label;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "proto/baidu_rpc_meta.proto";
    println!("cargo:rerun-if-changed={proto}");
    let mut descriptors = protox::compile([proto], ["proto"])?;
    for file in &mut descriptors.file {
        for field in file.message_type.iter_mut().flat_map(|message| &mut message.field) {
            if field.label() == Label::Required {
                field.set_label(Label::Optional);
            }
        }
    }
    Config::new().btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
