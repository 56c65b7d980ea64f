//! Strategies from a file, one endpoint a line:
//!
//! ```text
//! # address and port      of which service, and what to do with its calls
//! 10.0.0.1:8080           service=7 pass=35%
//! [2001:db8::1]:8080      level=2048 kind=probe
//! 10.0.0.2:8080           kind=shielded
//! ```
//!
//! What is left out: `service=0`, `level=0` (nothing is refused by level), `kind=normal`, and `pass=100%`, but 0 % for
//! what is shielded. A file with a bad line is not used at all: what was read last stays in force.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};

use crate::watched::{FileError, Flaw, Watched};

/// What a file says.
pub type Strategies = BTreeMap<Endpoint, Entry>;

/// A file of strategies that is read again whenever it has changed.
#[derive(Debug)]
pub struct StrategiesFile(Watched<Strategies>);

impl StrategiesFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or a line is wrong.
    pub fn open(path: &Path) -> Result<StrategiesFile, FileError> {
        Watched::open(path, parse).map(StrategiesFile)
    }

    /// What it said when it was last good.
    pub fn strategies(&self) -> &Strategies {
        self.0.content()
    }

    /// Reads the file again if it has changed. Whether it has.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), once for each change: what was read last stays in force.
    pub fn poll(&mut self) -> Result<bool, FileError> {
        self.0.poll()
    }
}

fn parse(text: &str) -> Result<Strategies, Flaw> {
    let mut strategies = Strategies::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next() else { continue };
        let (endpoint, entry) = parse_line(address, words).map_err(|what| Flaw { line: number, what })?;
        if strategies.insert(endpoint, entry).is_some() {
            let Endpoint { service_id, .. } = endpoint;
            let what = format!("{address} service={service_id} stands in a line before: remove one of them");
            return Err(Flaw { line: number, what });
        }
    }
    Ok(strategies)
}

fn parse_line<'t>(address: &str, words: impl Iterator<Item = &'t str>) -> Result<(Endpoint, Entry), String> {
    let socket: SocketAddr =
        address.parse().map_err(|_| format!("{address}: not an address with a port, as 10.0.0.1:8080"))?;
    let (mut service_id, mut pass_rate, mut reject_level, mut kind) = (0, None, RejectLevel::OPEN, Kind::Normal);
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word}: not of the form name=value"))?;
        let wrong = |wanted: &str| format!("{word}: {wanted}");
        match name {
            "service" => service_id = value.parse().map_err(|_| wrong("a service is a number from 0 to 4294967295"))?,
            "pass" => {
                let rate = percentage(value);
                pass_rate = Some(rate.ok_or_else(|| wrong("a share is from 0% to 100%, with two decimals at most"))?);
            }
            "level" => {
                let level = value.parse().ok().and_then(RejectLevel::new);
                reject_level = level.ok_or_else(|| wrong("a level is a number from 0 to 4095"))?;
            }
            "kind" => {
                kind = match value {
                    "normal" => Kind::Normal,
                    "probe" => Kind::Probe,
                    "shielded" => Kind::Shielded,
                    _ => return Err(wrong("a kind is normal, probe or shielded")),
                }
            }
            _ => return Err(wrong("only service, pass, level and kind are known")),
        }
    }
    let pass_rate = pass_rate.unwrap_or(if kind == Kind::Shielded { Per10k::NONE } else { Per10k::ALL });
    Ok((Endpoint::new(socket, service_id), Entry { pass_rate, kind, reject_level }))
}

/// A percentage with at most two decimals, as `12.5%`.
pub(crate) fn percentage(text: &str) -> Option<Per10k> {
    let (whole, decimals) = match text.strip_suffix('%')?.split_once('.') {
        Some((whole, decimals)) if (1..=2).contains(&decimals.len()) => (whole, decimals),
        Some(_) => return None,
        None => (text.strip_suffix('%')?, ""),
    };
    let digits = format!("{decimals:0<2}");
    if ![whole, &digits].into_iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let per_10k = whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(digits.parse().ok()?)?;
    Per10k::new(per_10k)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn one(line: &str) -> (Endpoint, Entry) {
        let strategies = parse(line).unwrap();
        assert_eq!(strategies.len(), 1);
        strategies.into_iter().next().unwrap()
    }

    fn entry(pass: u16, kind: Kind, level: u16) -> Entry {
        Entry { pass_rate: Per10k::new(pass).unwrap(), kind, reject_level: RejectLevel::new(level).unwrap() }
    }

    #[test]
    fn a_line_says_whose_calls_and_what_to_do_with_them() {
        let endpoint = |socket: &str, service_id| Endpoint::new(socket.parse().unwrap(), service_id);
        assert_eq!(
            one("10.0.0.1:8080 service=7 pass=35% level=2048 kind=probe # until Monday"),
            (endpoint("10.0.0.1:8080", 7), entry(3_500, Kind::Probe, 2_048))
        );
        assert_eq!(one("\t[::1]:1 pass=0.05%\n"), (endpoint("[::1]:1", 0), entry(5, Kind::Normal, 0)));
        assert_eq!(one("10.0.0.1:1 kind=shielded").1, entry(0, Kind::Shielded, 0));
        assert_eq!(one("10.0.0.1:1 kind=shielded pass=1.5%").1, entry(150, Kind::Shielded, 0));
        assert_eq!(one("10.0.0.1:1").1, entry(10_000, Kind::Normal, 0));
        assert!(parse("\n# nothing\n   \n").unwrap().is_empty());
    }

    #[test]
    fn a_bad_line_is_named_with_what_would_be_right() {
        for (line, words) in [
            ("10.0.0.1", "10.0.0.1: not an address with a port"),
            ("host:80", "host:80: not an address"),
            ("10.0.0.1:1 pass", "pass: not of the form"),
            ("10.0.0.1:1 pass=100.01%", "pass=100.01%: a share is from 0% to 100%"),
            ("10.0.0.1:1 pass=1.234%", "two decimals"),
            ("10.0.0.1:1 pass=+1%", "a share"),
            ("10.0.0.1:1 pass=-1%", "a share"),
            ("10.0.0.1:1 pass=1.%", "a share"),
            ("10.0.0.1:1 pass=%", "a share"),
            ("10.0.0.1:1 pass=35", "a share"),
            ("10.0.0.1:1 pass=99999%", "a share"),
            ("10.0.0.1:1 level=4096", "level=4096: a level is a number from 0 to 4095"),
            ("10.0.0.1:1 service=-1", "a service is a number"),
            ("10.0.0.1:1 kind=sick", "normal, probe or shielded"),
            ("10.0.0.1:1 colour=red", "only service, pass, level and kind"),
            ("10.0.0.2:1 service=3", "10.0.0.2:1 service=3 stands in a line before"),
        ] {
            let flaw = parse(&format!("# a comment\n10.0.0.2:1 service=3\n{line}\n")).unwrap_err();
            assert!(flaw.line == 3 && flaw.what.contains(words), "{flaw:?}");
        }
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("strategies");
        // Renamed into place, so another inode each time: the clock of a file system may be coarse.
        let write = |text: &str| {
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        };
        assert!(matches!(StrategiesFile::open(&path), Err(FileError::Io { .. })));
        write("10.0.0.1:1 pass=1%");
        let mut file = StrategiesFile::open(&path).unwrap();
        assert!(!file.poll().unwrap());

        write("10.0.0.1:1 pass=1%\n10.0.0.2:1 pass=2%");
        assert!(file.poll().unwrap());
        assert_eq!(file.strategies().len(), 2);

        write("10.0.0.1:1 pass=1%\n10.0.0.2:1 pass=200%");
        let error = file.poll().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:2: pass=200%: ", path.display())), "{error}");
        assert!(!file.poll().unwrap(), "it is said once");
        assert_eq!(file.strategies().len(), 2);

        fs::remove_file(&path).unwrap();
        assert!(file.poll().unwrap_err().to_string().contains(path.to_str().unwrap()));
        assert!(!file.poll().unwrap(), "it is said once");
        assert_eq!(file.strategies().len(), 2);

        write("");
        assert!(file.poll().unwrap());
        assert!(file.strategies().is_empty());
    }
}
