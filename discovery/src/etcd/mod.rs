//! etcd as the registry of all hosts: servers are registered there with a lease, and followed from there.
//!
//! | module | |
//! |---|---|
//! | [`access`] | how it is reached: TLS, and a user with a password |
//! | `client` | the few calls of etcd's interface that are needed |
//! | `entry` | a server as it stands in etcd |
//! | [`follow`] | what etcd has is listed, then watched; listed again after each fault |
//! | [`register`] | the servers of this host are put there, and again after each loss |
//!
//! Three things are etcd's clients' own business, and are done here: a lease ends unless somebody renews it, a watch that
//! breaks never goes on by itself, and the revision that it would go on from may be compacted. So after each fault the
//! connection is made anew, everything is listed, and the difference takes effect.

pub mod access;
mod backoff;
mod client;
mod entry;
pub mod follow;
pub mod register;

pub use client::EtcdError;
pub use entry::BadPrefix;
pub use entry::Prefix;

/// What is generated out of `proto/etcd.proto`.
#[allow(missing_docs, clippy::all, reason = "generated")]
mod api {
    tonic::include_proto!("etcdserverpb");
}
