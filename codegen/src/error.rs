//! What keeps code from being generated: what is wrong, where, what to do.

use std::fmt;
use std::path::PathBuf;

/// Why nothing was generated.
#[derive(thiserror::Error)]
pub enum Error {
    /// A file does not compile.
    #[error("{}", describe(.0))]
    Proto(#[from] protox::Error),
    /// A file compiles, and yet no service can be made of it.
    #[error("{place}: {problem}")]
    Service {
        /// File and line.
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Generated code could not be written.
    #[error("cannot write the generated code to {}: {error}", path.display())]
    Write {
        /// The file, or the directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A build script's option without a build script.
    #[error("there is no OUT_DIR, so this is no build script: say where the code goes with Config::out_dir")]
    NoOutDir,
}

/// A build script that returns an error has it printed in this way.
impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn describe(error: &protox::Error) -> String {
    // In this form, and only in this, it has file, line and column; and a colon too many if an import is missing.
    let text = format!("{error:?}").replacen("::", ":", 1);
    let hint =
        if error.is_file_not_found() { "; correct the name, or add its directory to the include paths" } else { "" };
    text + hint
}
