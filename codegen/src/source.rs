//! From `.proto` files to descriptors.

use std::path::Path;

use prost_reflect::{DescriptorPool, FileDescriptor};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

/// The name by which the annotations are imported.
pub(crate) const OPTIONS_NAME: &str = "mcrpc/options.proto";
/// The annotations themselves, for those who run protoc.
pub const OPTIONS_PROTO: &str = include_str!("../proto/mcrpc/options.proto");

/// The annotations, importable without an include path. Comes first, so that a stale copy of somebody's does no harm.
struct BuiltIn;

impl FileResolver for BuiltIn {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            OPTIONS_NAME => File::from_source(name, OPTIONS_PROTO),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Compiled files, and all that they import.
pub(crate) struct Source(Compiler);

impl Source {
    pub(crate) fn open(files: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Source, protox::Error> {
        let mut resolver = ChainFileResolver::new();
        resolver.add(BuiltIn);
        for include in includes {
            resolver.add(IncludeFileResolver::new(include.as_ref().to_owned()));
        }
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true).open_files(files)?;
        Ok(Source(compiler))
    }

    /// With the options that prost leaves out.
    pub(crate) fn pool(&self) -> DescriptorPool {
        self.0.descriptor_pool()
    }

    /// As prost wants them, without the annotations, of which no code is made.
    pub(crate) fn for_prost(&self) -> prost_reflect::prost_types::FileDescriptorSet {
        let mut set = self.0.file_descriptor_set();
        set.file.retain(|file| file.name() != OPTIONS_NAME);
        set
    }

    /// All files, as a `FileDescriptorSet` with the annotations.
    pub(crate) fn descriptor_set(&self) -> Vec<u8> {
        self.0.encode_file_descriptor_set()
    }

    /// The files that were named, without those that they import.
    pub(crate) fn named_files(&self) -> impl Iterator<Item = FileDescriptor> {
        let pool = self.pool();
        let named = self.0.files().filter(|file| !file.is_import());
        named.filter_map(move |file| pool.get_file_by_name(file.name()))
    }

    /// Where all files lie that lie anywhere.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.files().filter_map(|file| file.path())
    }
}
