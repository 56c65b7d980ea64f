//! How etcd is reached, and who this agent is to it: TLS by certificates, and a user with a password. All of it stands in
//! files, which are read for each connection: what has been renewed holds from the next one on.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{error, fs};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

/// How etcd is reached, and who this agent is to it.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The certificates, in PEM, one of which has signed etcd's; for members at `https://`.
    pub ca: Option<PathBuf>,
    /// This agent's certificate and its key, in PEM, if etcd wants one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// A user, and the file whose first line is the password.
    pub user: Option<(String, PathBuf)>,
}

/// Why a member of etcd cannot be reached as it should be.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file says something else.
    #[error("{path}: {what}", path = path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is expected there.
        what: &'static str,
    },
    /// An address does not go with the rest.
    #[error("{address}: {what}")]
    Address {
        /// Whose.
        address: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Access {
    /// Reads all files, and whether they go with the addresses.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(&self, addresses: &[String]) -> Result<(), AccessError> {
        self.password()?;
        addresses.iter().try_for_each(|address| self.endpoint(address).map(|_| ()))
    }

    /// A member that is reached so.
    pub(super) fn endpoint(&self, address: &str) -> Result<Endpoint, AccessError> {
        let wrong = |what: String| AccessError::Address { address: address.to_owned(), what };
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| wrong(root_of(&error)))?;
        let is_tls = endpoint.uri().scheme_str() == Some("https");
        let Some(ca) = &self.ca else {
            let what = "https:// needs the certificates that etcd's is signed by: --etcd-ca FILE";
            return if is_tls { Err(wrong(what.to_owned())) } else { Ok(endpoint) };
        };
        if !is_tls {
            return Err(wrong("with --etcd-ca the address begins with https://".to_owned()));
        }
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(ca, CERTIFICATE)?));
        if let Some((certificate, key)) = &self.identity {
            check_private(key)?;
            tls = tls.identity(Identity::from_pem(pem(certificate, CERTIFICATE)?, pem(key, KEY)?));
        }
        endpoint.tls_config(tls).map_err(|error| wrong(root_of(&error)))
    }

    /// The user's name and password.
    pub(super) fn password(&self) -> Result<Option<(String, String)>, AccessError> {
        let Some((user, path)) = &self.user else { return Ok(None) };
        check_private(path)?;
        let text = read(path)?;
        match text.lines().next() {
            Some(password) if !password.is_empty() => Ok(Some((user.clone(), password.to_owned()))),
            _ => Err(AccessError::Content { path: path.clone(), what: "expected a password in the first line" }),
        }
    }
}

/// What says at each call who this agent is; `None`: nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Token(pub(super) Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("token", token.clone());
        }
        Ok(request)
    }
}

/// What is behind an error that only says that there was one.
pub(super) fn root_of(error: &dyn error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// How a part of a PEM file begins, and what to say if there is none.
const CERTIFICATE: (&str, &str) = ("-----BEGIN CERTIFICATE-----", "expected a certificate in PEM");
const KEY: (&str, &str) = ("PRIVATE KEY-----", "expected a private key in PEM, without a password");

fn pem(path: &Path, (begin, what): (&str, &'static str)) -> Result<String, AccessError> {
    let text = read(path)?;
    let is_there = text.contains(begin) && !text.contains("ENCRYPTED");
    if is_there { Ok(text) } else { Err(AccessError::Content { path: path.to_owned(), what }) }
}

fn check_private(path: &Path) -> Result<(), AccessError> {
    let facts = fs::metadata(path).map_err(|source| AccessError::Io { path: path.to_owned(), source })?;
    if facts.mode() & 0o007 == 0 {
        return Ok(());
    }
    Err(AccessError::Content { path: path.to_owned(), what: "everybody may use it: chmod o= this file" })
}

fn read(path: &Path) -> Result<String, AccessError> {
    fs::read_to_string(path).map_err(|source| AccessError::Io { path: path.to_owned(), source })
}
