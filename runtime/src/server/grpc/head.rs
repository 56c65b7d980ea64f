//! What the headers of a call say, as the head of a native request.

use base64::Engine as _;
use http::header::HeaderMap;
use mcrpc_core::status::Status;
use mcrpc_core::time::Millis;
use mcrpc_core::wire::baidu_std::origin::{BUSINESS_ID_KEY, PRIORITY_KEY, UIN_KEY};
use mcrpc_core::wire::{Flags, HEADER_LEN, Header, Kind, Limits, Metadata, Trace, Writer};

use super::status::BASE64;
use super::trace;
use crate::failure::Failure;

/// Who calls.
const CALLER_KEY: &str = "mc-caller";
const TICKET_KEY: &str = "mc-ticket-bin";
const COOKIE_KEY: &str = "mc-cookie-bin";
/// Room for the tags of a trace and of names, beside what they say.
const TAGS: usize = 64;

/// The head of a request.
pub(super) struct Head {
    pub(super) header: Header,
    /// Valid.
    pub(super) metadata: Vec<u8>,
    /// Who calls; empty if nobody says so.
    pub(super) caller: String,
}

/// The head of the request with these headers; or what is wrong with them, with the header as far as it goes.
pub(super) fn read(
    headers: &HeaderMap,
    method_id: u32,
    call_id: u32,
    limits: &Limits,
) -> Result<Head, Box<(Header, Failure)>> {
    let traced = text(headers, "traceparent").and_then(trace::read);
    let (trace, is_sampled) = traced.unwrap_or_default();
    let mut header = Header {
        method_id,
        flags: Flags(if is_sampled { Flags::SAMPLED } else { 0 }),
        uin: number(headers, UIN_KEY, 0),
        business_id: number(headers, BUSINESS_ID_KEY, 0),
        // A mistake must not promote anybody.
        priority: if headers.contains_key(PRIORITY_KEY) { number(headers, PRIORITY_KEY, u8::MAX) } else { 0 },
        budget_ms: Millis::UNLIMITED.0,
        ..Header::new(Kind::Request, call_id)
    };
    let failed = |header, status, text: &'static str| Box::new((header, Failure::of_system(status).with_text(text)));
    if let Some(value) = headers.get("grpc-timeout") {
        match value.to_str().ok().and_then(budget_ms) {
            Some(budget_ms) => header.budget_ms = budget_ms,
            None => return Err(failed(header, Status::INVALID_ARGUMENT, "grpc-timeout is no time, as 100m would be")),
        }
    }
    let caller = text(headers, CALLER_KEY).unwrap_or_default().to_owned();
    let Some([ticket, cookie]) = opaque(headers, [TICKET_KEY, COOKIE_KEY]) else {
        return Err(failed(header, Status::INVALID_ARGUMENT, "mc-ticket-bin or mc-cookie-bin is no base64"));
    };
    match metadata(&trace, &caller, &ticket, &cookie, limits) {
        Ok(metadata) => Ok(Head { header, metadata, caller }),
        Err(status) => Err(Box::new((header, status.into()))),
    }
}

/// `pkg.Service.Method` of `/pkg.Service/Method`.
pub(super) fn full_name(path: &str) -> String {
    path.strip_prefix('/').unwrap_or_default().replace('/', ".")
}

fn metadata(trace: &Trace, caller: &str, ticket: &[u8], cookie: &[u8], limits: &Limits) -> Result<Vec<u8>, Status> {
    let mut head = vec![0; HEADER_LEN + TAGS + caller.len() + ticket.len() + cookie.len()];
    let mut writer = Writer::new(&mut head);
    writer.trace(trace).ticket(ticket).cookie(cookie);
    if !caller.is_empty() {
        writer.caller(caller);
    }
    let len = writer.finish(&Header::new(Kind::Request, 0), 0)?;
    let metadata = head.get(HEADER_LEN..len).unwrap_or_default();
    Metadata::new_checked(metadata, limits).map(|valid| valid.bytes().to_vec())
}

fn text<'h>(headers: &'h HeaderMap, key: &str) -> Option<&'h str> {
    headers.get(key).and_then(|value| value.to_str().ok())
}

fn number<N: std::str::FromStr>(headers: &HeaderMap, key: &str, otherwise: N) -> N {
    text(headers, key).and_then(|digits| digits.parse().ok()).unwrap_or(otherwise)
}

/// Nothing for those that are not there; `None` if one cannot be read.
fn opaque(headers: &HeaderMap, keys: [&str; 2]) -> Option<[Vec<u8>; 2]> {
    let read = |key| headers.get(key).map_or(Some(Vec::new()), |value| BASE64.decode(value).ok());
    Some([read(keys[0])?, read(keys[1])?])
}

/// What `grpc-timeout` says, in ms, of which an unfinished one counts.
fn budget_ms(text: &str) -> Option<u32> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let ms = match unit {
        "H" => number * 3_600_000,
        "M" => number * 60_000,
        "S" => number * 1_000,
        "m" => number,
        "u" => number.div_ceil(1_000),
        "n" => number.div_ceil(1_000_000),
        _ => return None,
    };
    Some(u32::try_from(ms).unwrap_or(Millis::UNLIMITED.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> Result<Head, Box<(Header, Failure)>> {
        let mut request = http::Request::post("/echo.Echo/Say");
        for (key, value) in fields {
            request = request.header(*key, *value);
        }
        read(request.body(()).unwrap().headers(), 42, 7, &Limits::DEFAULT)
    }

    #[test]
    fn the_headers_of_a_call_are_the_head_of_a_native_request() {
        let Ok(Head { header, metadata, caller }) = head(&[
            ("mc-uin", "2709160720"),
            ("mc-business-id", "12"),
            ("mc-priority", "3"),
            ("mc-caller", "mmproxy"),
            ("mc-cookie-bin", "Y29va2ll"),
            ("mc-ticket-bin", "dA=="),
            ("grpc-timeout", "250m"),
            ("traceparent", "00-0000000000000000000000000000004d-0000000000000005-01"),
        ]) else {
            panic!("the headers are right")
        };
        assert_eq!((header.method_id, header.call_id), (42, 7));
        assert_eq!((header.uin, header.business_id, header.priority), (2_709_160_720, 12, 3));
        assert_eq!((header.budget_ms, header.flags.contains(Flags::SAMPLED)), (250, true));
        let metadata = Metadata::new_checked(&metadata, &Limits::DEFAULT).unwrap();
        assert_eq!((metadata.caller(), caller.as_str()), ("mmproxy", "mmproxy"));
        assert_eq!((metadata.cookie(), metadata.ticket()), (&b"cookie"[..], &b"t"[..]));
        assert_eq!(metadata.trace().span_id, 5u64.to_be_bytes());
    }

    #[test]
    fn what_is_not_said_is_as_in_baidu_std_and_a_mistake_promotes_nobody() {
        let Ok(Head { header, metadata, caller }) = head(&[]) else { panic!("nothing has to be said") };
        assert_eq!((header.uin, header.priority, header.budget_ms), (0, 0, Millis::UNLIMITED.0));
        assert!(metadata.is_empty() && caller.is_empty());
        let Ok(wrong) = head(&[("mc-priority", "first"), ("mc-uin", "-1")]) else { panic!("these are only wrong") };
        assert_eq!((wrong.header.priority, wrong.header.uin), (255, 0));
        let long = "c".repeat(12_000);
        for fields in [("grpc-timeout", "soon"), ("mc-cookie-bin", "!"), ("mc-caller", "a b"), ("mc-cookie-bin", &long)]
        {
            assert!(head(&[fields]).is_err(), "{} {:.9}", fields.0, fields.1);
        }
    }

    #[test]
    fn a_timeout_has_a_unit() {
        let cases = [
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("3S", Some(3_000)),
            ("4m", Some(4)),
            ("1u", Some(1)),
            ("1000001n", Some(2)),
            ("0n", Some(0)),
            ("99999999H", Some(u32::MAX)),
            ("123456789m", None),
            ("", None),
            ("m", None),
            ("1", None),
            ("+1m", None),
            ("1é", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(budget_ms(text), wanted, "{text}");
        }
    }
}
