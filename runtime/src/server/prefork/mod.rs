//! Several processes that serve at the same addresses, and a master that keeps them alive (SPEC S14, S15).
//!
//! ```text
//!              master: holds the addresses, the shared memory, a control socket to each child
//!             ╱   │   ╲   starts itself anew: same program, same arguments
//!        child  child  child   each a whole server with its own threads
//! ```
//!
//! | module | |
//! |---|---|
//! | `handoff` | what a child inherits, and how it knows |
//! | `master` | who starts children, replaces those that die, and tells them to end |
//!
//! - A child is the program begun anew (`exec`), never a copy of a process with threads: it runs `main` again, and what `main` does
//!   before it starts the server is done in each process. [`Server::role`](super::Server::role) says which one it is.
//! - Children listen at a TCP address each with a socket of its own (`SO_REUSEPORT`), among which the kernel spreads connections; a
//!   unix socket is one, shared. The master holds the sockets, so that a process which dies takes along what it has accepted, and
//!   nothing that it has not: that waits for the next one, a second at most.
//! - All of them ask one controller of admission in shared memory, each with a queue of its own. When a child dies, the master
//!   takes what it had out of the books before another takes its place.
//! - The master is never in the way of a request. When it dies, its children drain and end.
//! - One server of a program can have several processes.

mod handoff;
mod master;

pub(super) use handoff::Inherited;
pub(super) use master::Master;
