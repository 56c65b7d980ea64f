//! The services of compiled files as code is made of them, after everything has been checked that can be wrong with them.

use std::collections::HashMap;

use heck::ToSnakeCase as _;
use mcrpc_core::wire::header::method_id;
use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor, MethodDescriptor, ServiceDescriptor};

use crate::annotations::{Annotations, discovery_name};
use crate::error::Error;

/// A service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// `pkg.Service`
    pub(crate) full_name: String,
    pub(crate) comment: Option<String>,
    /// As discovery knows it, if the file says so.
    pub(crate) discovery_name: Option<String>,
    pub(crate) methods: Vec<Method>,
}

/// A method.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) name: String,
    /// `pkg.Service.Method`
    pub(crate) full_name: String,
    /// On the wire.
    pub(crate) id: u32,
    pub(crate) comment: Option<String>,
    pub(crate) annotations: Annotations,
    pub(crate) input: MessageDescriptor,
    pub(crate) output: MessageDescriptor,
}

/// All services of all files by their full names.
///
/// # Errors
///
/// The first that is wrong with them: a stream, an annotation, two methods that have the same id.
pub(crate) fn all(pool: &DescriptorPool) -> Result<HashMap<String, Service>, Error> {
    let mut services = HashMap::new();
    let mut methods_by_id: HashMap<u32, String> = HashMap::new();
    for descriptor in pool.services() {
        let service = Service::read(pool, &descriptor)?;
        for (method, place) in service.methods.iter().zip(descriptor.methods()) {
            if let Some(first) = methods_by_id.insert(method.id, method.full_name.clone()) {
                let problem = format!(
                    "the methods {first} and {} have the same id {:#010x} on the wire: rename one of them",
                    method.full_name, method.id
                );
                return Err(Error::Service { place: place_of(&place.parent_file(), place.path()), problem });
            }
        }
        services.insert(service.full_name.clone(), service);
    }
    Ok(services)
}

impl Service {
    fn read(pool: &DescriptorPool, descriptor: &ServiceDescriptor) -> Result<Service, Error> {
        let file = descriptor.parent_file();
        let discovery_name = discovery_name(pool, &descriptor.options())
            .map_err(|problem| wrong(&file, descriptor.path(), "service", descriptor.full_name(), &problem))?;
        let mut functions = HashMap::new();
        for method in descriptor.methods() {
            if let Some(first) = functions.insert(method.name().to_snake_case(), method.name().to_owned()) {
                let problem = format!("as a function it has the name of {first}: rename one of them");
                return Err(wrong(&file, method.path(), "method", method.full_name(), &problem));
            }
        }
        Ok(Service {
            name: descriptor.name().to_owned(),
            full_name: descriptor.full_name().to_owned(),
            comment: comment_of(&file, descriptor.path()),
            discovery_name,
            methods: descriptor.methods().map(|method| Method::read(pool, &method)).collect::<Result<_, _>>()?,
        })
    }
}

impl Method {
    fn read(pool: &DescriptorPool, descriptor: &MethodDescriptor) -> Result<Method, Error> {
        let file = descriptor.parent_file();
        let wrong = |problem: &str| wrong(&file, descriptor.path(), "method", descriptor.full_name(), problem);
        if descriptor.is_client_streaming() || descriptor.is_server_streaming() {
            return Err(wrong(
                "it streams, which the protocol cannot: use one message with a repeated field, or pages",
            ));
        }
        Ok(Method {
            name: descriptor.name().to_owned(),
            full_name: descriptor.full_name().to_owned(),
            id: method_id(descriptor.full_name().as_bytes()),
            comment: comment_of(&file, descriptor.path()),
            annotations: Annotations::read(pool, &descriptor.options()).map_err(|problem| wrong(&problem))?,
            input: descriptor.input(),
            output: descriptor.output(),
        })
    }
}

fn wrong(file: &FileDescriptor, path: &[i32], what: &str, full_name: &str, problem: &str) -> Error {
    Error::Service { place: place_of(file, path), problem: format!("{what} {full_name}: {problem}") }
}

/// File and line of what lies at a path of the descriptor.
fn place_of(file: &FileDescriptor, path: &[i32]) -> String {
    let line = location_of(file, path).and_then(|location| location.span.first());
    line.map_or(file.name().to_owned(), |line| format!("{}:{}", file.name(), line + 1))
}

fn comment_of(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let location = location_of(file, path)?;
    location.leading_comments.clone().or_else(|| location.trailing_comments.clone())
}

fn location_of<'a>(
    file: &'a FileDescriptor,
    path: &[i32],
) -> Option<&'a prost_reflect::prost_types::source_code_info::Location> {
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    info.location.iter().find(|location| location.path == path)
}
