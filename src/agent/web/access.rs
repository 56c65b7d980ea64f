//! Who may look: everybody on this host while the page is on loopback, and who has the token.
//!
//! A page of another site that has its name lead here (DNS rebinding) is kept out by what it calls the host: without a token
//! only addresses and `localhost` are answered.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

const TOKEN_MIN_LEN: usize = 16;

/// Who may look.
#[derive(Clone)]
pub(super) struct Access(Option<String>);

impl Access {
    /// The rule for an address.
    pub(super) fn new(address: SocketAddr, token_file: Option<&Path>) -> Result<Access> {
        let Some(path) = token_file else {
            if !address.ip().is_loopback() {
                bail!(
                    "--listen {address} is not on loopback: add --token-file FILE, or listen on 127.0.0.1:{}",
                    address.port()
                );
            }
            return Ok(Access(None));
        };
        read_token(path).map(|token| Access(Some(token))).with_context(|| format!("token file {}", path.display()))
    }

    /// Whether a request is answered; else with what.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match &self.0 {
            None if text(header::HOST).is_some_and(is_this_host) => Ok(()),
            None => Err(StatusCode::MISDIRECTED_REQUEST),
            Some(token) if text(header::AUTHORIZATION).is_some_and(|given| is_token(given, token)) => Ok(()),
            Some(_) => Err(StatusCode::UNAUTHORIZED),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "for who has the token" } else { "for everybody on this host" })
    }
}

fn read_token(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.mode();
    ensure!(
        mode & 0o077 == 0,
        "others than its owner may use it (mode {:o}): chmod 600 {}",
        mode & 0o777,
        path.display()
    );
    let mut token = String::new();
    file.read_to_string(&mut token)?;
    let token = token.trim().to_owned();
    ensure!(token.len() >= TOKEN_MIN_LEN, "it has fewer than {TOKEN_MIN_LEN} characters");
    Ok(token)
}

fn is_this_host(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// As programs send it, or as the password that a browser asks for, whatever the name.
fn is_token(given: &str, token: &str) -> bool {
    let Some((scheme, given)) = given.split_once(' ') else { return false };
    if scheme.eq_ignore_ascii_case("bearer") {
        return is_same(given.trim().as_bytes(), token);
    }
    let Ok(pair) = STANDARD.decode(given.trim()) else { return false };
    let password = pair.iter().position(|byte| *byte == b':').map(|colon| &pair[colon + 1..]);
    scheme.eq_ignore_ascii_case("basic") && password.is_some_and(|password| is_same(password, token))
}

fn is_same(given: &[u8], token: &str) -> bool {
    given.ct_eq(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(access: &Access, name: header::HeaderName, value: &str) -> Result<(), StatusCode> {
        access.check(&HeaderMap::from_iter([(name, value.parse().unwrap())]))
    }

    #[test]
    fn without_a_token_only_those_who_call_the_host_by_address_are_answered() {
        let access = Access(None);
        for host in ["localhost:9464", "127.0.0.1:9464", "[::1]:9464", "127.0.0.1"] {
            assert_eq!(answer(&access, header::HOST, host), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:9464", ""] {
            assert_eq!(answer(&access, header::HOST, host), Err(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert_eq!(access.check(&HeaderMap::new()), Err(StatusCode::MISDIRECTED_REQUEST));
    }

    #[test]
    fn the_token_is_taken_from_programs_and_from_browsers() {
        let access = Access(Some("0123456789abcdef".to_owned()));
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for given in ["Bearer 0123456789abcdef".to_owned(), basic("me:0123456789abcdef"), basic(":0123456789abcdef")] {
            assert_eq!(answer(&access, header::AUTHORIZATION, &given), Ok(()), "{given}");
        }
        for given in ["Bearer 0123456789abcde".to_owned(), "0123456789abcdef".to_owned(), basic("0123456789abcdef:")] {
            assert_eq!(answer(&access, header::AUTHORIZATION, &given), Err(StatusCode::UNAUTHORIZED), "{given}");
        }
        assert_eq!(access.check(&HeaderMap::new()), Err(StatusCode::UNAUTHORIZED));
    }
}
