//! From JSON to a message and back, as protobuf's JSON mapping has it.

use bytes::Bytes;
use mcrpc::{Failure, Status};
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};

/// The message that a text is. No text is a message without fields.
///
/// # Errors
///
/// Which field cannot be read, where in the text, and why.
pub(crate) fn to_message(json: &[u8], descriptor: &MessageDescriptor) -> Result<Bytes, Failure> {
    if json.trim_ascii().is_empty() {
        return Ok(Bytes::new());
    }
    let mut text = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut text, &mut track);
    let read = DynamicMessage::deserialize_with_options(descriptor.clone(), tracked, &DeserializeOptions::new());
    let message = read.map_err(|error| {
        let field = match track.path().to_string() {
            path if path == "." => String::new(),
            path => format!(", field {path}"),
        };
        bad(format!("the body is no {}{field}: {error}", descriptor.full_name()))
    })?;
    text.end().map_err(|error| bad(format!("the body is more than one {}: {error}", descriptor.full_name())))?;
    Ok(message.encode_to_vec().into())
}

/// The text that a message is.
///
/// # Errors
///
/// It is no such message: the server has other files.
pub(crate) fn to_json(message: Bytes, descriptor: &MessageDescriptor) -> Result<Bytes, Failure> {
    let other = |why: String| {
        let text =
            format!("the answer is no {}: the server was made from other .proto files: {why}", descriptor.full_name());
        Failure::of_system(Status::READ_FAILED).with_text(text)
    };
    let message = DynamicMessage::decode(descriptor.clone(), message).map_err(|error| other(error.to_string()))?;
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .map_err(|error| other(error.to_string()))?;
    Ok(json.into())
}

fn bad(text: String) -> Failure {
    Failure::of_system(Status::INVALID_ARGUMENT).with_text(text)
}
