//! A list as text:
//!
//! ```text
//! mcrpc-names 1
//! service VOA.Crawl
//! id 2957374432
//! version 1732312344123
//! source etcd
//! here region=9053 zone=26682 strategy=1 south sz zone_first
//! rule group=23865 share=500 first=0 last=18446744073709551615
//! server 10.1.0.1 8080 weight=100 region=9053 zone=26682 group=0 south sz -
//! servers 1
//! ```
//!
//! Numbers come first, for who takes only those; the names behind them are what they stand for, `-` where there is none.
//! Lines that begin with another word are skipped, so that there may be more of them later. The last line says that the text
//! is whole.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::settings::{GroupRule, MAX_GROUP_RULES, ZoneStrategy};

use super::list::{Place, Server, ServiceList, Source};
use crate::route::{NAME_EXPECTED, is_name, strategy_name, strategy_of};
use crate::watched::Flaw;

const FIRST_LINE: &str = "mcrpc-names 1";
const NO_NAME: &str = "-";
/// No server has more.
pub(super) const MAX_WEIGHT: u16 = 1_000;

impl fmt::Display for ServiceList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServiceList { service, id, version, source, here, rules, servers } = self;
        writeln!(out, "{FIRST_LINE}\nservice {service}\nid {id}\nversion {version}\nsource {}", source.name())?;
        let Place { region, zone, strategy } = here;
        let (region_number, zone_number) = (here.region_number(), here.zone_number());
        write!(out, "here region={region_number} zone={zone_number} strategy={}", *strategy as u8)?;
        writeln!(out, " {} {} {}", shown(region), shown(zone), strategy_name(*strategy))?;
        for GroupRule { group, share, first, last } in rules {
            writeln!(out, "rule group={group} share={} first={} last={}", share.get(), first.0, last.0)?;
        }
        for server in servers {
            let Server { address, weight, region, zone, group } = server;
            let [region_number, zone_number, group_number] = server.numbers();
            write!(out, "server {} {} weight={weight}", address.ip(), address.port())?;
            write!(out, " region={region_number} zone={zone_number} group={group_number}")?;
            writeln!(out, " {} {} {}", shown(region), shown(zone), shown(group))?;
        }
        writeln!(out, "servers {}", servers.len())
    }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { NO_NAME } else { name }
}

impl ServiceList {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// What is wrong with it first.
    pub fn parse(text: &str) -> Result<ServiceList, String> {
        parse(text).map_err(|Flaw { line, what }| format!("line {line}: {what}"))
    }
}

pub(super) fn parse(text: &str) -> Result<ServiceList, Flaw> {
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, line)| line != FIRST_LINE) {
        return Err(Flaw { line: 1, what: format!("this is no list of servers: expected {FIRST_LINE:?}") });
    }
    let mut reading = Reading::default();
    let mut last = 1;
    for (number, line) in lines {
        last = number;
        reading.line(line).map_err(|what| Flaw { line: number, what })?;
    }
    reading.end().map_err(|what| Flaw { line: last, what })
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    service: Option<String>,
    id: Option<u32>,
    version: Option<u64>,
    source: Option<Source>,
    here: Place,
    rules: Vec<GroupRule>,
    servers: Vec<Server>,
    is_whole: bool,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = Words { line, rest: rest.split_whitespace() };
        match word {
            "service" => {
                self.service = Some(words.name()?);
            }
            "id" => self.id = Some(words.number()?),
            "version" => self.version = Some(words.number()?),
            "source" => {
                let name = words.next()?;
                let known = Source::ALL.into_iter().find(|source| source.name() == name);
                self.source = Some(known.ok_or_else(|| format!("{line:?}: expected etcd, routes or local"))?);
            }
            "here" => self.here = words.here()?,
            "rule" if self.rules.len() == MAX_GROUP_RULES => {
                return Err(format!("there are more than {MAX_GROUP_RULES} rules"));
            }
            "rule" => self.rules.push(words.rule()?),
            "server" => self.servers.push(words.server()?),
            "servers" => self.is_whole = words.number::<usize>()? == self.servers.len(),
            _ => {}
        }
        Ok(())
    }

    fn end(self) -> Result<ServiceList, String> {
        let Reading { service, id, version, source, here, rules, servers, is_whole } = self;
        if !is_whole {
            return Err("the list is not whole: expected as many servers as its last line says".to_owned());
        }
        let (Some(service), Some(id), Some(version), Some(source)) = (service, id, version, source) else {
            return Err("service, id, version or source is missing".to_owned());
        };
        Ok(ServiceList { service, id, version, source, here, rules, servers })
    }
}

/// The words of a line, behind its first.
struct Words<'t> {
    line: &'t str,
    rest: std::str::SplitWhitespace<'t>,
}

impl<'t> Words<'t> {
    fn next(&mut self) -> Result<&'t str, String> {
        self.rest.next().ok_or_else(|| format!("{:?} is too short", self.line))
    }

    fn number<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.next()?;
        word.parse().map_err(|_| format!("{:?}: {word:?} is no number of that range", self.line))
    }

    /// The number of a word such as `weight=100`.
    fn value<T: FromStr>(&mut self, key: &str) -> Result<T, String> {
        let word = self.next()?;
        let value = word.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        let value = value.and_then(|value| value.parse().ok());
        value.ok_or_else(|| format!("{:?}: expected {key}= and a number, found {word:?}", self.line))
    }

    fn name(&mut self) -> Result<String, String> {
        let word = self.next()?;
        if !is_name(word) {
            return Err(format!("{word:?} is no name: expected {NAME_EXPECTED}"));
        }
        Ok(word.to_owned())
    }

    fn name_if_any(&mut self) -> Result<String, String> {
        let mut after = self.rest.clone();
        if after.next() == Some(NO_NAME) {
            self.rest = after;
            return Ok(String::new());
        }
        self.name()
    }

    fn here(&mut self) -> Result<Place, String> {
        let (_, _, _) = (self.value::<u16>("region")?, self.value::<u16>("zone")?, self.value::<u8>("strategy")?);
        let (region, zone) = (self.name_if_any()?, self.name_if_any()?);
        let word = self.next()?;
        let strategy: ZoneStrategy = strategy_of(word).ok_or_else(|| format!("{word:?} is no strategy"))?;
        Ok(Place { region, zone, strategy })
    }

    fn rule(&mut self) -> Result<GroupRule, String> {
        let group = self.value("group")?;
        let share =
            Per10k::new(self.value("share")?).ok_or_else(|| format!("{:?}: share is above 10000", self.line))?;
        Ok(GroupRule { group, share, first: Uin(self.value("first")?), last: Uin(self.value("last")?) })
    }

    fn server(&mut self) -> Result<Server, String> {
        let (ip, port) = (self.number::<IpAddr>()?, self.number()?);
        let weight = self.value("weight")?;
        if weight > MAX_WEIGHT {
            return Err(format!("{:?}: weight is above {MAX_WEIGHT}", self.line));
        }
        let (_, _, _) = (self.value::<u16>("region")?, self.value::<u16>("zone")?, self.value::<u16>("group")?);
        let (region, zone, group) = (self.name_if_any()?, self.name_if_any()?, self.name_if_any()?);
        Ok(Server { address: SocketAddr::new(ip, port), weight, region, zone, group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
mcrpc-names 1
service VOA.Crawl
id 7
version 12
source etcd
here region=9053 zone=26682 strategy=1 south sz zone_first
rule group=23865 share=500 first=0 last=18446744073709551615
server 10.1.0.1 8080 weight=100 region=9053 zone=26682 group=0 south sz -
server 2001:db8::1 80 weight=0 region=0 zone=0 group=23865 - - canary
servers 2
";

    #[test]
    fn a_list_is_written_as_it_was_read() {
        let list = ServiceList::parse(LIST).unwrap();
        assert_eq!(list.to_string(), LIST);
        assert_eq!((list.here.strategy, list.servers.len()), (ZoneStrategy::ZoneFirst, 2));
        assert_eq!(list.servers[1].address, "[2001:db8::1]:80".parse().unwrap());
    }

    #[test]
    fn given_a_line_of_a_later_version_then_it_is_skipped() {
        let later = LIST.replace("source", "colour blue\nsource").replace("- canary", "- canary rack=7");
        assert_eq!(ServiceList::parse(&later).unwrap(), ServiceList::parse(LIST).unwrap());
    }

    #[test]
    fn given_any_part_of_a_list_then_it_is_refused() {
        let whole = LIST.len() - 1;
        for len in (0..whole).filter(|len| LIST.is_char_boundary(*len)) {
            assert!(ServiceList::parse(&LIST[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_bad_line_is_named_with_what_would_be_right() {
        for (good, bad, words) in [
            ("mcrpc-names 1", "mcrpc-names 2", "line 1: this is no list"),
            ("id 7", "id -7", "line 3: \"id -7\": \"-7\" is no number"),
            ("etcd", "dns", "line 5: \"source dns\": expected etcd, routes or local"),
            ("zone_first", "nearby", "line 6: \"nearby\" is no strategy"),
            ("share=500", "share=10001", "share is above 10000"),
            ("10.1.0.1 8080", "10.1.0.1 80800", "\"80800\" is no number of that range"),
            ("weight=100", "weight=1001", "weight is above 1000"),
            ("VOA.Crawl", "../Crawl", "\"../Crawl\" is no name"),
            ("servers 2", "servers 3", "not whole"),
        ] {
            let error = ServiceList::parse(&LIST.replace(good, bad)).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
