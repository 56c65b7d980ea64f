//! Statuses in gRPC's terms, and the trailers that say them.
//!
//! A gRPC client acts on the code: what it may try again at once is `UNAVAILABLE`, what it may try later says how much later. The table
//! is in `docs/grpc.md`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::Response;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use mcrpc_core::status::{Class, Status};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message as _;
use prost_types::{Any, Duration};

use super::answers::Answer;

/// How `-bin` headers are written: without padding; read with it or without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// By which gRPC's own retries (its proposal A6) are told to wait.
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// The status as this library has it.
const OWN_STATUS: HeaderName = HeaderName::from_static("mc-status");

/// What stands in `grpc-message` as it is: visible ASCII and blanks.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');
/// How long an overloaded server is left alone that does not say for how long.
const USUAL_HOLD_MS: u16 = 300;

/// The codes of gRPC that a server of this library answers with by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Code {
    Ok = 0,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

/// The last code that gRPC has.
const LAST_CODE: i32 = 16;

/// The code that tells a gRPC client of `status`. A service's own code is gRPC's if gRPC has it.
fn code_of(status: Status) -> u16 {
    let code = match status {
        Status::INVALID_ARGUMENT => Code::InvalidArgument,
        Status::NO_SERVICE | Status::NO_METHOD | Status::UNSUPPORTED_FLAG | Status::UNSUPPORTED_TAG => {
            Code::Unimplemented
        }
        Status::BODY_TOO_LONG => Code::ResourceExhausted,
        Status::TIMED_OUT => Code::DeadlineExceeded,
        // Perhaps with the work half done: not to be tried again by itself.
        Status::WORKER_LOST => Code::Internal,
        Status::GOING_AWAY => Code::Unavailable,
        Status(own @ 1..=LAST_CODE) => return own as u16,
        _ => match status.class() {
            Class::Success => Code::Ok,
            Class::Overload => Code::ResourceExhausted,
            Class::Deadline => Code::DeadlineExceeded,
            Class::System | Class::Shielded => Code::Unavailable,
            Class::Skipped => Code::FailedPrecondition,
            Class::Protocol => Code::InvalidArgument,
            Class::Usage | Class::Host => Code::Internal,
            Class::Other => Code::Unknown,
        },
    };
    code as u16
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// The headers of an answer.
pub(super) fn response() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The trailers of a call.
pub(super) fn trailers(answer: &Answer) -> HeaderMap {
    let Answer { status, text, hold_ms, .. } = answer;
    let code = code_of(*status);
    let mut trailers = HeaderMap::with_capacity(6);
    trailers.insert(GRPC_STATUS, code.into());
    if status.is_ok() {
        return trailers;
    }
    trailers.insert(OWN_STATUS, status.0.into());
    let message = if text.is_empty() { status.to_string() } else { text.clone() };
    insert(&mut trailers, GRPC_MESSAGE, &utf8_percent_encode(&message, ESCAPED).to_string());
    if *status == Status::UNSUPPORTED_FLAG {
        trailers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if status.class() == Class::Overload && code == Code::ResourceExhausted as u16 {
        let hold_ms = if *hold_ms == 0 { USUAL_HOLD_MS } else { *hold_ms };
        trailers.insert(PUSHBACK, hold_ms.into());
        insert(&mut trailers, DETAILS, &BASE64.encode(details(code, message, hold_ms)));
    }
    trailers
}

/// `grpc-status-details-bin` of a server that is overloaded.
fn details(code: u16, message: String, hold_ms: u16) -> Vec<u8> {
    let (seconds, ms) = (hold_ms / 1_000, hold_ms % 1_000);
    let delay = Duration { seconds: seconds.into(), nanos: i32::from(ms) * 1_000_000 };
    let info = RetryInfo { retry_delay: Some(delay) };
    let info = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: info.encode_to_vec() };
    RpcStatus { code: code.into(), message, details: vec![info] }.encode_to_vec()
}

fn insert(trailers: &mut HeaderMap, name: HeaderName, text: &str) {
    // Both encodings yield visible ASCII and blanks.
    if let Ok(value) = HeaderValue::from_str(text) {
        trailers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_the_code_on_which_a_client_does_what_the_status_asks_for() {
        let cases = [
            (Status::OK, 0),
            (Status::INVALID_ARGUMENT, 3),
            (Status::EXPIRED_ON_ARRIVAL, 4),
            (Status::DEADLINE_IN_QUEUE, 4),
            (Status::TIMED_OUT, 4),
            (Status::OUT_OF_TIME, 4),
            (Status::QUEUE_FULL, 8),
            (Status::BELOW_CURSOR, 8),
            (Status::TOO_MANY_OPEN_CALLS, 8),
            (Status::BODY_TOO_LONG, 8),
            (Status::BUDGET_EXHAUSTED, 9),
            (Status::NO_METHOD, 12),
            (Status::UNSUPPORTED_FLAG, 12),
            (Status::WORKER_LOST, 13),
            (Status::GOING_AWAY, 14),
            (Status::CONNECT_FAILED, 14),
            (Status::SHIELDED, 14),
            (Status(5), 5),
            (Status(16), 16),
            (Status(17), 2),
            (Status(-9_999), 2),
        ];
        for (status, code) in cases {
            assert_eq!(code_of(status), code, "{status:?}");
        }
        assert!(Status::ALL.iter().all(|entry| entry.status.is_ok() || code_of(entry.status) != 0));
    }

    #[test]
    fn overload_says_when_to_come_back_and_nothing_else_does() {
        for (status, hold_ms, wanted_ms) in [
            (Status::BELOW_CURSOR, 1_700, Some(1_700)),
            (Status::QUEUE_FULL, 0, Some(300)),
            (Status::NO_METHOD, 0, None),
        ] {
            let trailers = trailers(&Answer { hold_ms, ..Answer::of_status(status, "50% Überlast") });
            assert_eq!(trailers[GRPC_MESSAGE], "50%25 %C3%9Cberlast");
            assert_eq!(trailers[OWN_STATUS], status.0.to_string().as_str());
            let told = trailers.get(DETAILS).map(|details| {
                let status = RpcStatus::decode(&*BASE64.decode(details).unwrap()).unwrap();
                assert_eq!((status.code, status.message.as_str()), (8, "50% Überlast"));
                let delay = RetryInfo::decode(&*status.details[0].value).unwrap().retry_delay.unwrap();
                delay.seconds * 1_000 + i64::from(delay.nanos) / 1_000_000
            });
            assert_eq!(told, wanted_ms);
            assert_eq!(trailers.get(PUSHBACK).map(|ms| ms.to_str().unwrap().parse().unwrap()), wanted_ms);
        }
    }
}
