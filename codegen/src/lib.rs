//! Services and clients out of `.proto` files, without protoc.
//!
//! A build script:
//!
//! ```no_run
//! fn main() -> Result<(), mcrpc_build::Error> {
//!     mcrpc_build::compile(&["proto/crawl.proto"], &["proto"])
//! }
//! ```
//!
//! and in the crate, which depends on `mcrpc` and `prost`:
//!
//! ```ignore
//! pub mod crawl {
//!     include!(concat!(env!("OUT_DIR"), "/crawl.rs"));
//! }
//! ```
//!
//! A service `crawl.CrawlService` becomes the trait `CrawlService` that an implementation has, `CrawlServiceServer` that a server
//! takes, and `CrawlServiceClient`. What a `.proto` may say about its methods is in `mcrpc/options.proto`: [`OPTIONS_PROTO`].
//!
//! | module | |
//! |---|---|
//! | `source` | from files to descriptors |
//! | `annotations` | what the files say about services and methods |
//! | `service` | services as code is made of them, checked |
//! | `rust`, `cpp` | the code |
//! | `schema` | methods, for programs that read the files while they run |

mod annotations;
mod config;
mod cpp;
mod error;
mod rust;
mod schema;
mod service;
mod source;

use std::path::Path;

pub use config::Config;
pub use error::Error;
pub use prost_build;
pub use schema::{MethodSchema, methods};
pub use source::OPTIONS_PROTO;

/// Writes a file of Rust for each package of these files into `OUT_DIR`: [`Config::compile`] with the defaults.
///
/// # Errors
///
/// What is wrong with the files, or why nothing could be written.
pub fn compile(files: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
    Config::new().compile(files, includes)
}
