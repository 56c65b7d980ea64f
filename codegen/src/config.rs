//! What is to be generated, and how.

use std::path::{Path, PathBuf};

use crate::cpp;
use crate::error::Error;
use crate::rust::RustGenerator;
use crate::service;
use crate::source::Source;

/// Generates code, with other settings than the defaults.
#[derive(Default)]
pub struct Config {
    prost: prost_build::Config,
    out_dir: Option<PathBuf>,
    descriptor_set: Option<String>,
}

impl Config {
    /// The defaults: all fields as prost has them, into `OUT_DIR`.
    pub fn new() -> Config {
        Config::default()
    }

    /// Fields of type `bytes` become `Bytes`, which refer to the request they came in and are not copied: those that these paths
    /// match, `.` all of them. Your crate then needs the crate `bytes`.
    #[must_use]
    pub fn bytes(mut self, paths: &[&str]) -> Config {
        self.prost.bytes(paths);
        self
    }

    /// Writes there instead of `OUT_DIR`. The directory is made if it is missing.
    #[must_use]
    pub fn out_dir(mut self, directory: impl Into<PathBuf>) -> Config {
        self.out_dir = Some(directory.into());
        self
    }

    /// Writes a file of this name beside the code, with which a server describes itself to tools such as grpcurl: the services,
    /// their messages, and all that they import, as protoc's `--descriptor_set_out --include_imports` has it.
    #[must_use]
    pub fn descriptor_set(mut self, file_name: &str) -> Config {
        self.descriptor_set = Some(file_name.to_owned());
        self
    }

    /// Everything else that prost can be told about the messages: attributes, external types, an include file.
    #[must_use]
    pub fn prost(mut self, change: impl FnOnce(&mut prost_build::Config)) -> Config {
        change(&mut self.prost);
        self
    }

    /// Writes a file of Rust for each package: messages, services, clients. `files` lie below one of `includes`, and import what
    /// lies there.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, or why nothing could be written.
    pub fn compile(mut self, files: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
        let source = Source::open(files, includes)?;
        let services = service::all(&source.pool())?;
        if is_build_script() {
            source.paths().for_each(|path| println!("cargo:rerun-if-changed={}", path.display()));
        }
        let directory = self.make_out_dir()?;
        if let Some(file_name) = &self.descriptor_set {
            write(&directory.join(file_name), source.descriptor_set())?;
        }
        self.prost.out_dir(&directory).service_generator(Box::new(RustGenerator::new(services)));
        self.prost.compile_fds(source.for_prost()).map_err(|error| Error::Write { path: directory, error })
    }

    /// Writes a header of C++17 client stubs for each of the files, `crawl.mcrpc.hpp` for `crawl.proto`, the header
    /// `mcrpc_stub.hpp` that all of them include, and `mcrpc_channel.hpp`, a channel over TCP.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, or why nothing could be written.
    pub fn compile_cpp(&self, files: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
        let source = Source::open(files, includes)?;
        let services = service::all(&source.pool())?;
        let directory = self.make_out_dir()?;
        write(&directory.join(cpp::STUB_NAME), cpp::STUB)?;
        write(&directory.join(cpp::CHANNEL_NAME), cpp::CHANNEL)?;
        for file in source.named_files() {
            write(&directory.join(cpp::header_name(file.name())), cpp::header(&file, &services))?;
        }
        Ok(())
    }

    fn make_out_dir(&self) -> Result<PathBuf, Error> {
        let directory = self.out_dir.clone().or_else(|| std::env::var_os("OUT_DIR").map(PathBuf::from));
        let directory = directory.ok_or(Error::NoOutDir)?;
        std::fs::create_dir_all(&directory).map_err(|error| Error::Write { path: directory.clone(), error })?;
        Ok(directory)
    }
}

/// Cargo listens to what a build script prints; others do not want to see it.
fn is_build_script() -> bool {
    ["OUT_DIR", "TARGET", "HOST"].iter().all(|variable| std::env::var_os(variable).is_some())
}

/// A file of a subdirectory brings the subdirectory with it.
fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), Error> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text)).map_err(|error| Error::Write { path: path.to_owned(), error })
}
