//! What a `.proto` says about its services and methods by the options of `mcrpc/options.proto`.

use std::borrow::Cow;

use prost_reflect::{DescriptorPool, DynamicMessage, Value};

/// Where a method's handler runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Runs {
    /// On a worker, as a coroutine.
    #[default]
    Async,
    /// On a thread of its own.
    Blocking,
    /// On the thread that has read the request.
    Inline,
}

/// What is said about a method.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) priority: Option<u8>,
    pub(crate) business_id: Option<u16>,
    pub(crate) is_idempotent: bool,
    pub(crate) runs: Runs,
}

impl Annotations {
    /// Reads them from the options of a method.
    ///
    /// # Errors
    ///
    /// What is wrong with them, and what to do.
    pub(crate) fn read(pool: &DescriptorPool, options: &DynamicMessage) -> Result<Annotations, String> {
        let Some(said) = extension(pool, options, "mcrpc.method") else { return Ok(Annotations::default()) };
        let runs = match (is_set(&said, "blocking"), is_set(&said, "inline")) {
            (true, true) => {
                return Err("it is both blocking and inline, and what blocks would stop the IO thread: \
                            leave out inline if it ever waits, blocking if it never does"
                    .into());
            }
            (true, false) => Runs::Blocking,
            (false, true) => Runs::Inline,
            (false, false) => Runs::Async,
        };
        let timeout_ms = number(&said, "timeout_ms")?;
        if timeout_ms == Some(0) {
            return Err("timeout_ms is 0, so that every call would be too late: \
                        leave it out if callers have their own"
                .into());
        }
        Ok(Annotations {
            timeout_ms,
            priority: number(&said, "priority")?,
            business_id: number(&said, "business_id")?,
            is_idempotent: is_set(&said, "idempotent"),
            runs,
        })
    }
}

/// The name by which discovery knows a service, from the service's options.
///
/// # Errors
///
/// What is wrong with it, and what to do.
pub(crate) fn discovery_name(pool: &DescriptorPool, options: &DynamicMessage) -> Result<Option<String>, String> {
    let Some(said) = extension(pool, options, "mcrpc.service") else { return Ok(None) };
    match field(&said, "discovery_name").as_deref().and_then(Value::as_str) {
        Some("") => Err("its discovery_name is empty: leave it out if callers are to name the service".into()),
        name => Ok(name.map(str::to_owned)),
    }
}

fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    // There is none unless some file imports the annotations.
    let extension = pool.get_extension_by_name(name)?;
    let is_there = options.has_extension(&extension);
    is_there.then(|| options.get_extension(&extension).as_message().cloned()).flatten()
}

fn field<'a>(said: &'a DynamicMessage, name: &str) -> Option<Cow<'a, Value>> {
    said.has_field_by_name(name).then(|| said.get_field_by_name(name)).flatten()
}

fn is_set(said: &DynamicMessage, name: &str) -> bool {
    field(said, name).and_then(|value| value.as_bool()).unwrap_or_default()
}

fn number<N: TryFrom<u32>>(said: &DynamicMessage, name: &str) -> Result<Option<N>, String> {
    let Some(number) = field(said, name).and_then(|value| value.as_u32()) else { return Ok(None) };
    let most = (1_u64 << (8 * size_of::<N>())) - 1;
    N::try_from(number).map(Some).map_err(|_| format!("{name} is {number}: the most is {most}"))
}
