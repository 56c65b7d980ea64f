//! A generator from a shared object: one function, declared in `include/mcrpc_generate.h`.
//!
//! It runs in the agent, in its one thread; a plugin that crashes ends the agent, and all calls pass. What it returns is
//! kept between 1 % and 100 %, and it is asked only when there are enough requests, like every other generator.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use libloading::Library;
use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::generate::{Evidence, Generate};
use mcrpc_core::time::NANOS_PER_MILLI;

const SYMBOL: &str = "mcrpc_generate_v1";

/// What the function is given: `mcrpc_generate_input_t`.
#[repr(C)]
struct Input {
    struct_size: u32,
    pass_rate_per_10k: u32,
    requests: u32,
    failures: u32,
    gathered_ms: u64,
}

type Function = unsafe extern "C" fn(*const Input) -> u32;

/// A shared object that is in use as a generator.
#[derive(Debug)]
pub struct Plugin {
    function: Function,
    /// Keeps the function where it is.
    _library: Library,
}

/// Why a plugin is not used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// It cannot be loaded.
    #[error("{path}: cannot be loaded as a plugin: {what}", path = path.display())]
    Load {
        /// Which file.
        path: PathBuf,
        /// What the dynamic linker says.
        what: String,
    },
    /// It has no such function.
    #[error(
        "{path}: exports no function {SYMBOL}: define it as mcrpc_generate.h declares it, with default visibility",
        path = path.display()
    )]
    NoFunction {
        /// Which file.
        path: PathBuf,
    },
}

impl Plugin {
    /// Loads a shared object.
    ///
    /// Its initialisers run, with the agent's rights: it has to be trusted as the agent's own program is.
    ///
    /// # Errors
    ///
    /// It cannot be loaded, or has no function `mcrpc_generate_v1`.
    pub fn open(path: &Path) -> Result<Plugin, PluginError> {
        // A name without a slash would be looked for in the directories of the system.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // SAFETY: the initialisers and finalisers of the object must be sound; whoever configures a plugin answers for its
        // code, which could do anything here in any case.
        let library = unsafe { Library::new(&absolute) };
        let library = library.map_err(|error| {
            let what = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            PluginError::Load { path: path.to_owned(), what }
        })?;
        // SAFETY: the type is that of the declaration under this name in mcrpc_generate.h; a change of it has another name.
        let symbol = unsafe { library.get::<Function>(SYMBOL) };
        let function = *symbol.map_err(|_| PluginError::NoFunction { path: path.to_owned() })?;
        Ok(Plugin { function, _library: library })
    }
}

impl Generate for Plugin {
    fn pass_rate(&mut self, evidence: &Evidence) -> Per10k {
        let input = Input {
            struct_size: size_of::<Input>() as u32,
            pass_rate_per_10k: evidence.pass_rate.get().into(),
            requests: evidence.sample.requests,
            failures: evidence.sample.failures.min(evidence.sample.requests),
            gathered_ms: evidence.gathered_ns / NANOS_PER_MILLI,
        };
        // SAFETY: the library is loaded for as long as `self` lives, so the function is there; the input is a valid struct of
        // the declared layout, and is only read until the function returns. `&mut self` makes the calls one at a time.
        let returned = unsafe { (self.function)(&input) };
        u16::try_from(returned).ok().and_then(Per10k::new).unwrap_or(Per10k::ALL)
    }
}
