//! What a program says of its services and their messages: files as protoc describes them, found by what they declare.

use std::collections::HashMap;

use bytes::Bytes;
use prost::{DecodeError, Message as _};
use prost_types::{DescriptorProto, FileDescriptorProto};

/// The files that describe services and their messages.
#[derive(Default)]
pub(crate) struct Descriptors {
    /// As they came: options that this library does not know stay in them.
    files: Vec<Bytes>,
    by_name: HashMap<String, usize>,
    by_symbol: HashMap<String, usize>,
    /// What was given that is none.
    error: Option<DecodeError>,
}

/// A `FileDescriptorSet` whose files are not looked into.
#[derive(Clone, PartialEq, prost::Message)]
struct FileSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

impl Descriptors {
    /// Adds the files of a `FileDescriptorSet`.
    pub(crate) fn add(&mut self, set: &[u8]) {
        if let Err(error) = self.read(set) {
            self.error = Some(error);
        }
    }

    /// Whether all that was added can be used.
    ///
    /// # Errors
    ///
    /// What cannot.
    pub(crate) fn check(&self) -> Result<(), String> {
        let error = self.error.as_ref();
        error.map_or(Ok(()), |error| Err(format!("grpc_descriptors() was given no FileDescriptorSet: {error}")))
    }

    fn read(&mut self, set: &[u8]) -> Result<(), DecodeError> {
        for bytes in FileSet::decode(set)?.file {
            let file = FileDescriptorProto::decode(bytes.clone())?;
            let number = self.files.len();
            let package = file.package();
            self.add_messages(package, &file.message_type, number);
            for found in &file.enum_type {
                self.add_symbol(package, found.name(), number);
            }
            for found in &file.extension {
                self.add_symbol(package, found.name(), number);
            }
            for service in &file.service {
                let service_name = self.add_symbol(package, service.name(), number);
                for method in &service.method {
                    self.add_symbol(&service_name, method.name(), number);
                }
            }
            self.by_name.insert(file.name().to_owned(), number);
            self.files.push(bytes);
        }
        Ok(())
    }

    fn add_symbol(&mut self, scope: &str, name: &str, file: usize) -> String {
        let full_name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.by_symbol.insert(full_name.clone(), file);
        full_name
    }

    fn add_messages(&mut self, scope: &str, messages: &[DescriptorProto], file: usize) {
        for message in messages {
            let scope = self.add_symbol(scope, message.name(), file);
            for found in &message.enum_type {
                self.add_symbol(&scope, found.name(), file);
            }
            self.add_messages(&scope, &message.nested_type, file);
        }
    }

    /// The file of this name.
    pub(super) fn by_name(&self, name: &str) -> Option<&Bytes> {
        self.files.get(*self.by_name.get(name)?)
    }

    /// The file that declares this symbol.
    pub(super) fn by_symbol(&self, full_name: &str) -> Option<&Bytes> {
        self.files.get(*self.by_symbol.get(full_name)?)
    }
}
