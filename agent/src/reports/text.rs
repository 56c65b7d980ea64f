//! A line of a report, and one of its answer:
//!
//! ```text
//! 10.0.0.1:8080 service=7 ok=90 logic=1 failed=8 overloaded=1 time_us=153000 cursor=1048576 hold_ms=300
//! 10.0.0.1:8080 service=7 pass=92% level=8 kind=normal
//! ```

use std::fmt;
use std::net::SocketAddr;

use mcrpc_core::admission::Cursor;
use mcrpc_core::shield::health::{MAX_HOLD_MS, Totals};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind};
use mcrpc_core::wire::header::method_id;

use crate::route::is_name;

/// The most calls of one outcome that a line may report.
const MAX_CALLS: u64 = 10_000_000;
/// The most time that a line may report: 115 days.
const MAX_TIME_US: u64 = 10_000_000_000_000;
/// How long a cursor holds unless the line says so, as in all callers.
const HOLD_MS: u32 = 300;
/// Characters of a bad word that are shown.
const MAX_SHOWN: usize = 40;

/// What a process met of one endpoint since its last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report<'t> {
    pub(crate) endpoint: Endpoint,
    /// Its service, as the process writes it.
    service: &'t str,
    pub(crate) totals: Totals,
    /// The cursor of the last reply, and for how many ms it holds.
    pub(crate) cursor: Option<(Cursor, u32)>,
}

impl<'t> Report<'t> {
    /// Reads a line that is not empty; or says what would be right.
    pub(crate) fn parse(line: &'t str) -> Result<Report<'t>, String> {
        let mut words = line.split_whitespace();
        let address = words.next().unwrap_or_default();
        let socket: SocketAddr =
            address.parse().map_err(|_| format!("{}: not an address with a port, as 10.0.0.1:8080", shown(address)))?;
        let (mut service, mut service_id, mut totals) = ("0", 0, Totals::default());
        let (mut cursor, mut hold_ms) = (None, HOLD_MS);
        for word in words {
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("{}: not of the form name=value", shown(word)))?;
            let up_to = |max: u64| {
                let number = value.parse().ok().filter(|&number| number <= max);
                number.ok_or_else(|| format!("{}: expected a whole number from 0 to {max}", shown(word)))
            };
            match name {
                "service" => (service, service_id) = (value, service_of(word, value)?),
                "ok" => totals.calls[Outcome::Ok as usize] = up_to(MAX_CALLS)?,
                "logic" => totals.calls[Outcome::Logic as usize] = up_to(MAX_CALLS)?,
                "failed" => totals.calls[Outcome::Failed as usize] = up_to(MAX_CALLS)?,
                "overloaded" => totals.calls[Outcome::Overloaded as usize] = up_to(MAX_CALLS)?,
                "time_us" => totals.time_us = up_to(MAX_TIME_US)?,
                "cursor" => cursor = Some(Cursor(up_to(Cursor::OPEN.0.into())? as u32)),
                "hold_ms" => hold_ms = up_to(MAX_HOLD_MS.into())? as u32,
                _ => {
                    let known = "service, ok, logic, failed, overloaded, time_us, cursor and hold_ms";
                    return Err(format!("{}: only {known} are known", shown(word)));
                }
            }
        }
        let cursor = cursor.map(|cursor| (cursor, hold_ms));
        Ok(Report { endpoint: Endpoint::new(socket, service_id), service, totals, cursor })
    }

    /// What is in force for its endpoint.
    pub(crate) fn answer(&self, entry: Entry) -> Answer<'t> {
        Answer { endpoint: self.endpoint, service: self.service, entry }
    }
}

/// A number, or the name that the service's number is a hash of.
fn service_of(word: &str, value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(number) => Ok(number),
        Err(_) if is_name(value) && !value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(method_id(value.as_bytes())),
        Err(_) => Err(format!("{}: expected a service's number, up to {}, or its name", shown(word), u32::MAX)),
    }
}

/// Nothing that a terminal obeys, and not too much.
pub(crate) fn shown(word: &str) -> String {
    word.escape_debug().take(MAX_SHOWN).collect()
}

/// What is in force for an endpoint, in the words of a file of strategies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'t> {
    endpoint: Endpoint,
    service: &'t str,
    entry: Entry,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { pass_rate, kind, reject_level } = self.entry;
        let (percent, level) = (f64::from(pass_rate.get()) / 100.0, reject_level.get());
        let kind = match kind {
            Kind::Normal => "normal",
            Kind::Probe => "probe",
            Kind::Shielded => "shielded",
        };
        write!(f, "{} service={} pass={percent}% level={level} kind={kind}", self.endpoint.socket(), self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_calls_to_an_endpoint_met() {
        let line = "10.0.0.1:80 service=7 ok=1 logic=2 failed=3 overloaded=4 time_us=5 cursor=6 hold_ms=7";
        let report = Report::parse(line).unwrap();
        assert_eq!(report.endpoint, Endpoint::new("10.0.0.1:80".parse().unwrap(), 7));
        assert_eq!(report.totals, Totals { calls: [1, 2, 3, 4], time_us: 5 });
        assert_eq!(report.cursor, Some((Cursor(6), 7)));

        let question = Report::parse("[::1]:80").unwrap();
        assert_eq!(question.endpoint, Endpoint::new("[::1]:80".parse().unwrap(), 0));
        assert_eq!((question.totals, question.cursor), (Totals::default(), None));
        assert_eq!(Report::parse("10.0.0.1:80 cursor=6").unwrap().cursor, Some((Cursor(6), HOLD_MS)));
        let named = Report::parse("10.0.0.1:80 service=VOA.Crawl").unwrap();
        assert_eq!(named.endpoint.service_id, method_id(b"VOA.Crawl"));
    }

    #[test]
    fn a_bad_line_is_named_with_what_would_be_right() {
        for (line, words) in [
            ("10.0.0.1", "10.0.0.1: not an address with a port"),
            ("host:80 ok=1", "host:80: not an address"),
            ("10.0.0.1:80 ok", "ok: not of the form name=value"),
            ("10.0.0.1:80 ok=-1", "ok=-1: expected a whole number from 0 to 10000000"),
            ("10.0.0.1:80 failed=10000001", "failed=10000001: expected a whole number from 0 to 10000000"),
            ("10.0.0.1:80 time_us=99999999999999999999", "from 0 to 10000000000000"),
            ("10.0.0.1:80 cursor=536870913", "from 0 to 536870912"),
            ("10.0.0.1:80 hold_ms=10001", "from 0 to 10000"),
            ("10.0.0.1:80 service=4294967296", "expected a service's number"),
            ("10.0.0.1:80 service=../a", "or its name"),
            ("10.0.0.1:80 colour=red", "colour=red: only service, ok,"),
            ("\u{1b}[2J", "\\u{1b}[2J: not an address"),
        ] {
            let what = Report::parse(line).unwrap_err();
            assert!(what.contains(words), "{line}: {what}");
        }
        assert!(Report::parse(&"x".repeat(10_000)).unwrap_err().len() < 200);
    }
}
