//! Who asks, how important it is, until when, in which trace: from headers.

use std::str::FromStr;
use std::time::Duration;

use hyper::header::HeaderMap;
use mcrpc::{Context, Failure, Status};
use mcrpc_build::MethodSchema;

/// What the headers of a request say; what they do not say, the method's file may.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) context: Context,
    pub(super) timeout: Option<Duration>,
    /// Who calls; empty if nobody says so.
    pub(super) caller: String,
}

impl Asked {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// Which header is wrong, and what it may be.
    pub(super) fn read(headers: &HeaderMap, schema: Option<&MethodSchema>) -> Result<Asked, Failure> {
        let timeout_ms = number::<u32>(headers, "timeout-ms", "1 to 4294967294")?;
        let timeout_ms = timeout_ms.or(schema.and_then(|schema| schema.timeout_ms));
        let uin = number(headers, "uin", "0 to 18446744073709551615")?;
        let priority = number(headers, "priority", "0, which is the first, to 255")?;
        let business_id = number(headers, "business-id", "0 to 65535")?;
        let mut context = Context::new()
            .with_uin(uin.unwrap_or(0))
            .with_priority(priority.or(schema.and_then(|schema| schema.priority)).unwrap_or(0))
            .with_business_id(business_id.or(schema.and_then(|schema| schema.business_id)).unwrap_or(0));
        // What is no traceparent is as if there were none: W3C Trace Context asks for it.
        if let Some((trace_id, span_id, is_sampled)) = text(headers, "traceparent").and_then(traceparent) {
            context = context.in_trace(trace_id, span_id, is_sampled);
        }
        let caller = ours(headers, "caller").map_or(String::new(), |(_, caller)| caller.to_owned());
        Ok(Asked { context, timeout: timeout_ms.map(|ms| Duration::from_millis(ms.into())), caller })
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `mcrpc-uin`, or `mc-uin`, by which callers over gRPC and brpc say the same.
fn ours<'h>(headers: &'h HeaderMap, name: &str) -> Option<(String, &'h str)> {
    ["mcrpc-", "mc-"].into_iter().find_map(|prefix| {
        let name = format!("{prefix}{name}");
        text(headers, &name).map(|value| (name, value))
    })
}

fn number<N: FromStr>(headers: &HeaderMap, name: &str, range: &str) -> Result<Option<N>, Failure> {
    let Some((name, value)) = ours(headers, name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| {
        let text = format!("the header {name} is {value:?}: it may be {range}");
        Failure::of_system(Status::INVALID_ARGUMENT).with_text(text)
    })
}

/// The trace, the caller's span, and whether the trace is recorded: <https://www.w3.org/TR/trace-context/>.
fn traceparent(text: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('-');
    let mut next = |len| parts.next().filter(|part| part.len() == len).filter(is_hex);
    let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    // Later versions may say more behind it.
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace_id = u128::from_str_radix(trace_id, 16).ok().filter(|&id| id != 0)?;
    let span_id = u64::from_str_radix(span_id, 16).ok().filter(|&id| id != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace_id.to_be_bytes(), span_id.to_be_bytes(), flags & 1 != 0))
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn asked(headers: &[(&'static str, &'static str)]) -> Result<Asked, Failure> {
        let each =
            headers.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Asked::read(&each.collect(), None)
    }

    #[test]
    fn headers_say_who_asks() {
        let asked = asked(&[
            ("mcrpc-timeout-ms", "250"),
            ("mcrpc-uin", "2709160720"),
            ("mc-priority", "3"),
            ("mcrpc-business-id", "12"),
            ("mcrpc-caller", "feed"),
            ("traceparent", "00-0000000000000000000000000000004d-0000000000000005-01"),
        ])
        .unwrap();
        let context = &asked.context;
        assert_eq!((context.uin(), context.priority(), context.business_id()), (2_709_160_720, 3, 12));
        assert_eq!((asked.timeout, asked.caller.as_str()), (Some(Duration::from_millis(250)), "feed"));
        assert_eq!(context.trace_id(), Some(0x4d_u128.to_be_bytes()));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_named() {
        for (name, value) in
            [("mcrpc-uin", "-1"), ("mcrpc-priority", "256"), ("mc-business-id", "x"), ("mcrpc-timeout-ms", "1s")]
        {
            let failure = asked(&[(name, value)]).unwrap_err();
            assert_eq!(failure.status(), Status::INVALID_ARGUMENT);
            assert!(failure.text().contains(name) && failure.text().contains(value), "{failure}");
        }
        let ignored = asked(&[("traceparent", "00-00000000000000000000000000000000-0000000000000005-01")]).unwrap();
        assert_eq!(ignored.context.trace_id(), None);
    }
}
