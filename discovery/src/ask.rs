//! What the agent is asked, as text: a service, perhaps an address, and `name=value`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mcrpc_agent::names::{Place, Server};
use mcrpc_agent::route::{NAME_EXPECTED, is_name, strategy_of};
use mcrpc_core::id::Uin;

/// For so long a server stays registered that does not say again that it is there.
pub(crate) const HOLDS: Duration = Duration::from_secs(5);
const LONGEST_HOLD: Duration = Duration::from_secs(3_600);
const DEFAULT_WEIGHT: u16 = 100;
const MAX_WEIGHT: u16 = 1_000;
const MAX_LEN: usize = 4_096;

/// Which servers has a service?
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) service: String,
    /// A version that the caller has already.
    pub(crate) known: Option<u64>,
    /// Only those that a caller in that place uses.
    pub(crate) place: Option<Place>,
    pub(crate) uin: Uin,
}

/// A server is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    service: String,
    address: SocketAddr,
    weight: u16,
    /// Until it says so again.
    pub(crate) holds: Duration,
}

impl Ask {
    /// Reads a request; or says what would be right.
    pub(crate) fn parse(payload: &[u8]) -> Result<Ask, String> {
        let mut words = words(payload)?;
        let service = service(words.next())?;
        let mut ask = Ask { service, known: None, place: None, uin: Uin(0) };
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "known" => ask.known = Some(number(word, value)?),
                "uin" => ask.uin = Uin(number(word, value)?),
                "strategy" => {
                    let strategy = strategy_of(value).ok_or_else(|| {
                        format!("{word:?}: expected anywhere, zone_first, region, zone_only or one_zone_by_hash")
                    })?;
                    ask.place.get_or_insert_default().strategy = strategy;
                }
                "region" => ask.place.get_or_insert_default().region = name_of(word, value)?,
                "zone" => ask.place.get_or_insert_default().zone = name_of(word, value)?,
                _ => return Err(format!("{word:?}: only known=, uin=, strategy=, region= and zone= are known")),
            }
        }
        Ok(ask)
    }
}

impl Registration {
    /// Reads a request; or says what would be right.
    pub(crate) fn parse(payload: &[u8]) -> Result<Registration, String> {
        let mut words = words(payload)?;
        let service = service(words.next())?;
        let address = words.next().unwrap_or_default();
        let address: SocketAddr = address
            .parse()
            .map_err(|_| format!("{address:?} is no address with a port: expected one, as 10.1.0.1:8080"))?;
        let mut registration = Registration { service, address, weight: DEFAULT_WEIGHT, holds: HOLDS };
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "weight" => registration.weight = number(word, value)?,
                "for_ms" => registration.holds = Duration::from_millis(number(word, value)?),
                _ => return Err(format!("{word:?}: only weight= and for_ms= are known")),
            }
        }
        let Registration { weight, holds, .. } = registration;
        if weight > MAX_WEIGHT || holds > LONGEST_HOLD || address.port() == 0 {
            let longest_ms = LONGEST_HOLD.as_millis();
            return Err(format!("expected a port, a weight up to {MAX_WEIGHT} and at most for_ms={longest_ms}"));
        }
        Ok(registration)
    }

    /// Its service, and the server as others are to see it. One that listens on all addresses is seen at the one that is
    /// advertised.
    pub(crate) fn server(&self, advertised: Option<IpAddr>) -> Result<(String, Server), String> {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let Some(ip) = advertised else {
                return Err(format!(
                    "{address} cannot be called from elsewhere: listen on one address, or start the agent with --advertise IP"
                ));
            };
            address.set_ip(ip);
        }
        let (region, zone, group) = Default::default();
        Ok((self.service.clone(), Server { address, weight: self.weight, region, zone, group }))
    }
}

fn words(payload: &[u8]) -> Result<std::str::SplitWhitespace<'_>, String> {
    if payload.len() > MAX_LEN {
        return Err(format!("the request is longer than {MAX_LEN} bytes"));
    }
    let text = std::str::from_utf8(payload).map_err(|_| "the request is no text: expected UTF-8".to_owned())?;
    Ok(text.split_whitespace())
}

fn service(word: Option<&str>) -> Result<String, String> {
    let word = word.unwrap_or_default();
    name_of(word, word)
}

fn name_of(word: &str, name: &str) -> Result<String, String> {
    if is_name(name) { Ok(name.to_owned()) } else { Err(format!("{word:?} is no name: expected {NAME_EXPECTED}")) }
}

fn number<T: std::str::FromStr>(word: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{word:?} is no number of that range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_it_is_written() {
        let ask = Ask::parse(b"VOA.Crawl known=7 strategy=zone_first region=south zone=sz uin=12").unwrap();
        let place = ask.place.unwrap();
        assert_eq!((ask.service.as_str(), ask.known, ask.uin), ("VOA.Crawl", Some(7), Uin(12)));
        assert_eq!((place.region.as_str(), place.zone.as_str()), ("south", "sz"));
        for (text, words) in [
            ("", "\"\" is no name"),
            ("../a", "\"../a\" is no name"),
            ("a known=x", "\"known=x\" is no number"),
            ("a strategy=near", "expected anywhere, zone_first"),
            ("a zone=", "\"zone=\" is no name"),
            ("a colour=red", "only known=, uin="),
            ("\u{0}", "is no name"),
        ] {
            let error = Ask::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(Ask::parse(b"\xff").is_err() && Ask::parse(&[b'a'; 5_000]).is_err());
    }

    #[test]
    fn a_server_that_listens_everywhere_is_seen_at_the_advertised_address() {
        let server = |text: &str, advertised| Registration::parse(text.as_bytes())?.server(advertised);
        let here = Some([10, 1, 0, 1].into());
        let (service, seen) = server("a 0.0.0.0:80 weight=7 for_ms=1000", here).unwrap();
        assert_eq!((service.as_str(), seen.address, seen.weight), ("a", "10.1.0.1:80".parse().unwrap(), 7));
        assert_eq!(server("a [::1]:80", here).unwrap().1.address, "[::1]:80".parse().unwrap());
        for (text, words) in [
            ("a 0.0.0.0:80", "--advertise"),
            ("a", "\"\" is no address"),
            ("a host:80", "\"host:80\" is no address"),
            ("a 10.0.0.1:0", "expected a port"),
            ("a 10.0.0.1:1 weight=1001", "a weight up to 1000"),
            ("a 10.0.0.1:1 for_ms=99999999", "for_ms=3600000"),
            ("a 10.0.0.1:1 colour=1", "only weight= and for_ms="),
        ] {
            let error = server(text, None).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
