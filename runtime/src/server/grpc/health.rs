//! The health service of gRPC, for probes of Kubernetes and of load balancers: `grpc.health.v1.Health/Check`.

use mcrpc_core::status::Status;
use prost::Message as _;

use crate::failure::Failure;
use crate::server::shared::Shared;
use std::sync::atomic::Ordering::Relaxed;

/// The method's name.
pub(super) const CHECK: &str = "grpc.health.v1.Health.Check";

/// gRPC's code for a service that there is not.
const NOT_FOUND: i32 = super::status::Code::NotFound as i32;

/// `HealthCheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct Asked {
    #[prost(string, tag = "1")]
    service: String,
}

/// `HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Told {
    #[prost(enumeration = "Health", tag = "1")]
    status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Health {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
}

/// How the server, or a service of it, is.
///
/// # Errors
///
/// There is no such service.
pub(super) fn check(request: &[u8], shared: &Shared) -> Result<Vec<u8>, Failure> {
    let Asked { service } = Asked::decode(request)
        .map_err(|error| Failure::of_system(Status::INVALID_ARGUMENT).with_text(error.to_string()))?;
    let is_known = service.is_empty() || shared.methods.iter().any(|method| method.names().0 == service);
    if !is_known {
        return Err(Failure::of_service(NOT_FOUND, "the server has no such service"));
    }
    let status = if shared.is_draining.load(Relaxed) { Health::NotServing } else { Health::Serving };
    Ok(Told { status: status.into() }.encode_to_vec())
}
