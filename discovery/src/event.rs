//! What discovery has to tell a person: a line each, once for each change.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use mcrpc_agent::route::Faults;

use crate::etcd::EtcdError;

/// Something that has happened.
#[derive(Debug)]
pub enum Event {
    /// etcd was listed, and is followed.
    Followed {
        /// Which.
        address: String,
        /// Servers that it has.
        servers: usize,
        /// Servers that stay in force though it has them no longer.
        held: usize,
    },
    /// etcd cannot be followed.
    NotFollowed(EtcdError),
    /// The servers of this host are registered.
    Registered(usize),
    /// They cannot be registered.
    NotRegistered(EtcdError),
    /// A key of etcd that says nothing.
    LeftOut(String),
    /// Files of a service that are not good.
    RouteRefused(Arc<Faults>),
    /// A file cannot be written.
    NotWritten(PathBuf, io::Error),
}

impl Event {
    /// Whether a person should do something about it.
    pub fn is_error(&self) -> bool {
        !matches!(self, Event::Followed { .. } | Event::Registered(_))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Followed { address, servers, held: 0 } => {
                write!(out, "follows {servers} servers in etcd at {address}")
            }
            Event::Followed { address, servers, held } => write!(
                out,
                "follows {servers} servers in etcd at {address}; {held} more that it has lost stay in force for a while"
            ),
            Event::NotFollowed(error) => write!(out, "etcd cannot be followed: {error}; all lists stay in force"),
            Event::Registered(servers) => write!(out, "registered {servers} servers of this host in etcd"),
            Event::NotRegistered(error) => write!(out, "servers of this host cannot be registered in etcd: {error}"),
            Event::LeftOut(what) => write!(out, "in etcd {what}"),
            Event::RouteRefused(faults) => write!(out, "{faults}; what was read last stays in force"),
            Event::NotWritten(path, error) => write!(out, "{} cannot be written: {error}", path.display()),
        }
    }
}
