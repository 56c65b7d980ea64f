//! The methods of `.proto` files, for programs that read the files while they run.

use std::path::Path;

use prost_reflect::MessageDescriptor;

use crate::error::Error;
use crate::service;
use crate::source::Source;

/// A method of a `.proto`, with what the file says about it by the options of `mcrpc/options.proto`.
#[derive(Clone, Debug)]
pub struct MethodSchema {
    /// `pkg.Service.Method`
    pub full_name: String,
    /// On the wire.
    pub id: u32,
    /// What it takes.
    pub input: MessageDescriptor,
    /// What it answers with.
    pub output: MessageDescriptor,
    /// How long callers wait that do not say so.
    pub timeout_ms: Option<u32>,
    /// The priority of calls whose callers do not say so.
    pub priority: Option<u8>,
    /// The business of calls whose callers do not say so.
    pub business_id: Option<u16>,
    /// It may run twice without harm.
    pub is_idempotent: bool,
}

/// The methods of all services of these files, which lie below one of `includes`, and of what they import.
///
/// # Errors
///
/// What is wrong with the files.
pub fn methods(files: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Vec<MethodSchema>, Error> {
    let services = service::all(&Source::open(files, includes)?.pool())?;
    let methods = services.into_values().flat_map(|service| service.methods);
    let schema = |method: service::Method| MethodSchema {
        full_name: method.full_name,
        id: method.id,
        input: method.input,
        output: method.output,
        timeout_ms: method.annotations.timeout_ms,
        priority: method.annotations.priority,
        business_id: method.annotations.business_id,
        is_idempotent: method.annotations.is_idempotent,
    };
    Ok(methods.map(schema).collect())
}
