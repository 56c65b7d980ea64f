//! The messages of methods, read from the `.proto` files below a directory, and read again when a file has changed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use mcrpc_build::MethodSchema;

use crate::Event;

/// So deep directories lie in one another at most: links may make circles.
const MAX_DEPTH: usize = 16;

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They cannot be read.
    #[error("cannot read the .proto files below {}: {error}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There are none.
    #[error("there is no .proto file below {}", .0.display())]
    Empty(PathBuf),
    /// They do not compile.
    #[error("{0}")]
    Compile(#[from] mcrpc_build::Error),
}

/// What is known of methods.
pub struct Schemas {
    directory: Option<PathBuf>,
    known: ArcSwap<Known>,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<u32, Arc<MethodSchema>>,
    /// Which files it was read from.
    files: Files,
}

/// Files, when they were written, and how long they are.
type Files = Vec<(PathBuf, SystemTime, u64)>;

impl Schemas {
    /// Reads the files below a directory; without one, no method is known.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn open(directory: Option<&Path>) -> Result<Schemas, Error> {
        let known = directory.map(|directory| read(directory, files_below(directory)?)).transpose()?;
        let known = ArcSwap::from_pointee(known.unwrap_or_default());
        Ok(Schemas { directory: directory.map(Path::to_owned), known })
    }

    /// Looks at the files; what there is to tell of it.
    pub(crate) fn poll(&self) -> Option<Event> {
        let directory = self.directory.as_deref()?;
        let known = self.known.load();
        let files = match files_below(directory) {
            Ok(files) if files == known.files => return None,
            Ok(files) => files,
            // While the directory is replaced.
            Err(_) => return None,
        };
        match read(directory, files.clone()) {
            Ok(known) => {
                let event = Event::Schemas(known.by_id.len());
                self.known.store(Arc::new(known));
                Some(event)
            }
            Err(error) => {
                // Not told again until they change again.
                self.known.store(Arc::new(Known { by_id: known.by_id.clone(), files }));
                Some(Event::BadSchemas(error.to_string()))
            }
        }
    }

    /// A method by its full name.
    pub(crate) fn find(&self, full_name: &str) -> Option<Arc<MethodSchema>> {
        let id = mcrpc_core::wire::header::method_id(full_name.as_bytes());
        self.known.load().by_id.get(&id).filter(|method| method.full_name == full_name).cloned()
    }

    /// Whether it is known that a method may run twice.
    pub(crate) fn is_idempotent(&self, method_id: u32) -> bool {
        self.known.load().by_id.get(&method_id).is_some_and(|method| method.is_idempotent)
    }

    /// Where its files lie.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}

fn read(directory: &Path, files: Files) -> Result<Known, Error> {
    if files.is_empty() {
        return Err(Error::Empty(directory.to_owned()));
    }
    let paths: Vec<&Path> = files.iter().map(|(path, ..)| path.as_path()).collect();
    let methods = mcrpc_build::methods(&paths, &[directory])?;
    Ok(Known { by_id: methods.into_iter().map(|method| (method.id, Arc::new(method))).collect(), files })
}

fn files_below(directory: &Path) -> Result<Files, Error> {
    let mut files = Files::new();
    collect(directory, MAX_DEPTH, &mut files).map_err(|error| Error::Read { path: directory.to_owned(), error })?;
    files.sort();
    Ok(files)
}

fn collect(directory: &Path, depth: usize, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let facts = fs::metadata(&path)?;
        if facts.is_dir() && depth > 0 {
            collect(&path, depth - 1, files)?;
        } else if facts.is_file() && path.extension().is_some_and(|extension| extension == "proto") {
            files.push((path, facts.modified()?, facts.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: &str = r#"syntax = "proto3"; package t;
        message Text { string text = 1; }
        service Echo { rpc Say(Text) returns (Text); }"#;

    #[test]
    fn files_are_followed_and_bad_ones_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Schemas::open(Some(directory.path())), Err(Error::Empty(_))));
        fs::create_dir(directory.path().join("deep")).unwrap();
        let file = directory.path().join("deep/echo.proto");
        fs::write(&file, ECHO).unwrap();
        let schemas = Schemas::open(Some(directory.path())).unwrap();
        assert!(schemas.find("t.Echo.Say").is_some() && schemas.find("t.Echo.Shout").is_none());
        assert!(schemas.poll().is_none());

        fs::write(&file, "syntax = nothing").unwrap();
        let told = schemas.poll().unwrap();
        assert!(told.is_error() && told.to_string().contains("echo.proto"), "{told}");
        assert!(schemas.poll().is_none() && schemas.find("t.Echo.Say").is_some());

        fs::write(&file, ECHO.replace("Say", "Shout")).unwrap();
        assert_eq!(schemas.poll().unwrap().to_string(), "the proxy knows the messages of 1 methods");
        assert!(schemas.find("t.Echo.Say").is_none() && schemas.find("t.Echo.Shout").is_some());
    }
}
