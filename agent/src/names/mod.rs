//! Services by name, as the agent tells the programs of its host: one small text file per service in the host's directory,
//! `names/<service>`, replaced as a whole whenever something changes.
//!
//! | module | |
//! |---|---|
//! | `list` | the servers of a service, and how they are chosen among |
//! | `text` | the same as text, in a file or in an answer |
//! | `file` | a file that is read again when it has changed; how one is replaced |
//!
//! The files are the host's memory: they stay when the agent dies and when what it follows is away, so that a program that
//! starts then finds its services all the same. The format is for C programs too, which read a line with one `sscanf`:
//! `docs/discovery.md`.

mod file;
mod list;
mod text;

pub use file::{ListFile, directory_of, file_of, replace, services_in, socket_of};
pub use list::{Place, Server, ServiceList, Source};
