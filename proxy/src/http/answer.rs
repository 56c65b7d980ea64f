//! How a call ended, in HTTP's terms. The table is in `docs/proxy.md`: a status has the code of HTTP that its code of gRPC has.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use mcrpc::{Failure, Status};
use mcrpc_core::status::Class;
use serde_json::json;

/// How long an overloaded service is left alone that does not say for how long.
const USUAL_HOLD_MS: u64 = 300;
/// What nginx says of a caller that has gone.
const CANCELLED: u16 = 499;

/// A reply.
pub(super) fn success(content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Why there is none; `code` if HTTP has a better one than the status.
pub(super) fn failure(code: Option<StatusCode>, failure: &Failure) -> Response<Full<Bytes>> {
    let status = failure.status();
    let retry_after_ms = retry_after_ms(failure);
    let name = status.description().and_then(|known| known.name.get().to_str().ok()).unwrap_or("own");
    let text = if failure.text().is_empty() { status.to_string() } else { failure.text().to_owned() };
    let body = json!({ "status": status.0, "name": name, "text": text, "retry_after_ms": retry_after_ms });
    let mut response = success("application/json", body.to_string().into());
    let code = code.unwrap_or_else(|| code_of(status));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    if let Some(ms) = retry_after_ms {
        headers.insert(RETRY_AFTER, ms.div_ceil(1_000).into());
    }
    if code == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// When to come back.
fn retry_after_ms(failure: &Failure) -> Option<u64> {
    let is_overloaded = code_of(failure.status()) == StatusCode::TOO_MANY_REQUESTS;
    let said_ms = failure.retry_after().map(|after| after.as_millis() as u64);
    is_overloaded.then(|| said_ms.unwrap_or(USUAL_HOLD_MS))
}

/// The code that tells of `status`. A service's own code is meant as gRPC's if gRPC has it.
fn code_of(status: Status) -> StatusCode {
    match status {
        Status::NO_SERVICE | Status::NO_METHOD => StatusCode::NOT_FOUND,
        Status::BODY_TOO_LONG => StatusCode::PAYLOAD_TOO_LARGE,
        Status::TIMED_OUT => StatusCode::GATEWAY_TIMEOUT,
        Status::INVALID_ARGUMENT => StatusCode::BAD_REQUEST,
        // Perhaps with the work half done: not to be tried again by itself.
        Status::WORKER_LOST => StatusCode::INTERNAL_SERVER_ERROR,
        Status::GOING_AWAY => StatusCode::SERVICE_UNAVAILABLE,
        Status(own @ 1..=16) => code_of_grpc(own),
        _ => match status.class() {
            Class::Success => StatusCode::OK,
            Class::Overload => StatusCode::TOO_MANY_REQUESTS,
            Class::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Class::System | Class::Shielded => StatusCode::SERVICE_UNAVAILABLE,
            Class::Skipped | Class::Protocol => StatusCode::BAD_REQUEST,
            Class::Usage | Class::Host | Class::Other => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// As `google/rpc/code.proto` maps them.
fn code_of_grpc(code: i32) -> StatusCode {
    match code {
        1 => StatusCode::from_u16(CANCELLED).unwrap_or(StatusCode::BAD_REQUEST),
        3 | 9 | 11 => StatusCode::BAD_REQUEST,
        4 => StatusCode::GATEWAY_TIMEOUT,
        5 => StatusCode::NOT_FOUND,
        6 | 10 => StatusCode::CONFLICT,
        7 => StatusCode::FORBIDDEN,
        8 => StatusCode::TOO_MANY_REQUESTS,
        12 => StatusCode::NOT_IMPLEMENTED,
        14 => StatusCode::SERVICE_UNAVAILABLE,
        16 => StatusCode::UNAUTHORIZED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_code_on_which_a_caller_does_what_the_status_asks_for() {
        let cases = [
            (Status::INVALID_ARGUMENT, 400),
            (Status::BAD_TAG, 400),
            (Status::SKIPPED, 400),
            (Status::NO_SERVICE, 404),
            (Status::NO_METHOD, 404),
            (Status::BODY_TOO_LONG, 413),
            (Status::BELOW_CURSOR, 429),
            (Status::WITHHELD, 429),
            (Status::QUEUE_FULL, 429),
            (Status(8), 429),
            (Status::WORKER_LOST, 500),
            (Status(7_001), 500),
            (Status(-9_999), 500),
            (Status(5), 404),
            (Status(16), 401),
            (Status::CONNECT_FAILED, 503),
            (Status::GOING_AWAY, 503),
            (Status::SHIELDED, 503),
            (Status::NO_ENDPOINT, 503),
            (Status::TIMED_OUT, 504),
            (Status::DEADLINE_IN_QUEUE, 504),
        ];
        for (status, code) in cases {
            let response = failure(None, &Failure::from(status));
            assert_eq!(response.status(), code, "{status:?}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), code == 429);
        }
        assert!(Status::ALL.iter().all(|known| known.status.is_ok() || !code_of(known.status).is_success()));
    }
}
