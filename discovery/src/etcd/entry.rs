//! A server as it stands in etcd: the key `<prefix><service>/<address>`, and a value in JSON.
//!
//! ```text
//! /mcrpc/services/VOA.Crawl/10.1.0.1:8080    {"weight":100,"region":"south","zone":"sz"}
//! ```

use std::net::SocketAddr;

use mcrpc_agent::names::Server;
use mcrpc_agent::route::{NAME_EXPECTED, is_name};
use serde::{Deserialize, Serialize};

/// What all keys begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// A text that keys cannot begin with.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no prefix of keys: write one that begins and ends with a slash, as /mcrpc/services/")]
pub struct BadPrefix(String);

impl std::str::FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Prefix, BadPrefix> {
        let is_one = text.len() > 1 && text.starts_with('/') && text.ends_with('/');
        if is_one { Ok(Prefix(text.to_owned())) } else { Err(BadPrefix(text.to_owned())) }
    }
}

/// What a server says of itself. Unknown keys are skipped.
#[derive(Debug, Serialize, Deserialize)]
struct Value {
    #[serde(default = "default_weight")]
    weight: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    region: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    zone: String,
}

const DEFAULT_WEIGHT: u16 = 100;
const MAX_WEIGHT: u16 = 1_000;

fn default_weight() -> u16 {
    DEFAULT_WEIGHT
}

impl Prefix {
    /// The keys that begin with it: from this one on, and before that one.
    pub(super) fn range(&self) -> (Vec<u8>, Vec<u8>) {
        let mut end = self.0.clone().into_bytes();
        // It ends with a slash, so that the next byte is no carry.
        end.last_mut().into_iter().for_each(|last| *last += 1);
        (self.0.clone().into_bytes(), end)
    }

    pub(super) fn key(&self, service: &str, address: SocketAddr) -> String {
        format!("{}{service}/{address}", self.0)
    }

    /// The service and the address in a key.
    pub(super) fn parse_key(&self, key: &[u8]) -> Result<(String, SocketAddr), String> {
        let bad = |what: &str| format!("the key {:?} is left out: {what}", String::from_utf8_lossy(key));
        let text = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.0));
        let (service, address) = text
            .and_then(|text| text.split_once('/'))
            .ok_or_else(|| bad("expected a service and an address behind the prefix, as VOA.Crawl/10.1.0.1:8080"))?;
        if !is_name(service) {
            return Err(bad(&format!("a service is named by {NAME_EXPECTED}")));
        }
        let address = address.parse().map_err(|_| bad("it does not end with an address, as 10.1.0.1:8080"))?;
        Ok((service.to_owned(), address))
    }

    pub(super) fn parse(&self, key: &[u8], value: &[u8]) -> Result<(String, Server), String> {
        let (service, address) = self.parse_key(key)?;
        let bad = |what: String| format!("{service} {address} is left out: {what}");
        let Value { weight, region, zone } =
            serde_json::from_slice(value).map_err(|error| bad(format!("its value is not as expected: {error}")))?;
        if weight > MAX_WEIGHT {
            return Err(bad(format!("its weight is {weight}: expected at most {MAX_WEIGHT}")));
        }
        for name in [&region, &zone] {
            if !name.is_empty() && !is_name(name) {
                return Err(bad(format!("{name:?} is no name: expected {NAME_EXPECTED}")));
            }
        }
        Ok((service, Server { address, weight, region, zone, group: String::new() }))
    }
}

/// What stands behind a server's key.
pub(super) fn value_of(server: &Server) -> String {
    let Server { weight, region, zone, .. } = server;
    let value = Value { weight: *weight, region: region.clone(), zone: zone.clone() };
    serde_json::to_string(&value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix() -> Prefix {
        "/mcrpc/services/".parse().unwrap()
    }

    #[test]
    fn a_server_is_read_as_it_is_written() {
        let address = "[2001:db8::1]:8080".parse().unwrap();
        for (region, zone) in [("south", "sz"), ("", "")] {
            let (region, zone) = (region.to_owned(), zone.to_owned());
            let server = Server { address, weight: 7, region, zone, group: String::new() };
            let key = prefix().key("VOA.Crawl", address);
            let read = prefix().parse(key.as_bytes(), value_of(&server).as_bytes()).unwrap();
            assert_eq!(read, ("VOA.Crawl".to_owned(), server));
        }
        let (from, to) = prefix().range();
        assert!(from < prefix().key("a", address).into_bytes() && prefix().key("z", address).into_bytes() < to);
    }

    #[test]
    fn what_others_have_put_there_is_left_out_by_name() {
        for (key, value, words) in [
            ("/other/a/10.0.0.1:1", "{}", "expected a service and an address"),
            ("/mcrpc/services/a", "{}", "expected a service and an address"),
            ("/mcrpc/services/../10.0.0.1:1", "{}", "a service is named by"),
            ("/mcrpc/services/a/host:1", "{}", "does not end with an address"),
            ("/mcrpc/services/a/10.0.0.1:1", "", "its value is not as expected"),
            ("/mcrpc/services/a/10.0.0.1:1", "{\"weight\":1001}", "its weight is 1001"),
            ("/mcrpc/services/a/10.0.0.1:1", "{\"zone\":\"a b\"}", "\"a b\" is no name"),
        ] {
            let error = prefix().parse(key.as_bytes(), value.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(prefix().parse(b"/mcrpc/services/a/10.0.0.1:1", b"{\"colour\":1}").is_ok());
        for text in ["", "/", "mcrpc/", "/mcrpc"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
