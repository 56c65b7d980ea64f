//! The settings of a server, from the program or from a file.
//!
//! | module | |
//! |---|---|
//! | `file` | the settings as a file |
//! | `keys` | what each key is for, and what it may be |
//! | `text` | the text of a file: what is wrong with it, and where; an example |
//! | `watch` | a file that changes while the server runs |

mod file;
mod keys;
pub(super) mod text;
pub(super) mod watch;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use mcrpc_core::admission;
use mcrpc_core::time::Millis;
use mcrpc_core::wire::Limits;
use serde::{Deserialize, Serialize};

use self::watch::Watch;
use super::StartError;
use crate::methods::Methods;

/// The settings of a server. The defaults suit a service of a few cores whose calls take milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen, besides what [`Builder::listen`](super::Builder::listen) says.
    pub listen: Vec<String>,
    /// Processes that serve. More than one are children of a master, which replaces those that die ([`super::prefork`]); the
    /// numbers of threads, workers and limits below are those of each.
    pub processes: usize,
    /// Threads that read, admit, and run inline handlers. One serves about half a million small calls a second.
    pub io_threads: usize,
    /// Threads that run asynchronous handlers. As many as there are cores, by default.
    pub workers: usize,
    /// Handlers that one worker runs at a time, of which all but one wait for something.
    pub coroutines_per_worker: usize,
    /// Threads that run blocking handlers, one each. 0: none, and no method may block. Svrkit's rule is two to three per core
    /// (SPEC S19).
    pub blocking_workers: usize,
    /// Requests that wait for a worker at most; when there are more, the least important ones are refused.
    pub queue_limit: usize,
    /// How long a caller waits that does not say so. [`Millis::UNLIMITED`]: for ever.
    pub default_timeout: Millis,
    /// What admission does.
    pub admission: admission::Config,
    /// What one connection may send.
    pub limits: Limits,
    /// Connections at a time; a further one is closed at once.
    pub max_connections: usize,
    /// Bytes that all requests take up while they arrive or wait.
    pub max_request_memory: usize,
    /// Bytes of answers that wait for one caller to read them. Above this nothing more is read from it.
    pub max_unsent: usize,
    /// A connection on which nothing happens for so long is closed.
    pub idle_timeout: Duration,
    /// A connection is closed whose caller does not read its answers, or does not finish a frame, for so long.
    pub stall_timeout: Duration,
    /// How long a server that is told to end waits for its last handlers.
    pub drain_timeout: Duration,
    /// One of so many requests is logged, by a line of level info under the target `mcrpc::log`; 0: none.
    pub log_one_in: u32,
    /// Whether what admission decides is recorded in the host's trace ring, for `mcrpc record` (`docs/why.md`).
    pub record_decisions: bool,
    /// Limits of methods, by their full names; those that are not named have none.
    pub methods: BTreeMap<String, MethodLimits>,
    /// Limits of callers, by the names that they give of themselves.
    pub callers: BTreeMap<String, CallerLimits>,
    /// The limits of each other caller; all those that give no name count as one.
    pub other_callers: CallerLimits,
}

/// What a method may take of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MethodLimits {
    /// Requests that run or wait at a time, in each process; a further one is refused. 0: any number.
    pub max_concurrency: u32,
}

/// What a caller may take of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallerLimits {
    /// Requests a second, in all processes together; more are refused. 0: any number.
    pub requests_per_second: u32,
    /// Requests at once, when the caller has been silent. 0: as many as in a second.
    pub burst: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: Vec::new(),
            processes: 1,
            io_threads: 1,
            workers: available_parallelism().map_or(1, NonZeroUsize::get),
            coroutines_per_worker: 64,
            blocking_workers: 0,
            queue_limit: 4_096,
            default_timeout: Millis(5_000),
            admission: admission::Config::DEFAULT,
            limits: Limits { max_open_calls: 16_384, ..Limits::DEFAULT },
            max_connections: 65_536,
            max_request_memory: 256 << 20,
            max_unsent: 4 << 20,
            idle_timeout: Duration::from_secs(600),
            stall_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            log_one_in: 0,
            record_decisions: false,
            methods: BTreeMap::new(),
            callers: BTreeMap::new(),
            other_callers: CallerLimits::default(),
        }
    }
}

impl Config {
    /// Requests that may wait and run in the workers of a process at a time: what admission counts exactly.
    pub const MAX_REQUESTS: usize = admission::Config::MAX_WORKERS as usize;

    /// The admission of the inline handlers, of the workers, and of the blocking workers.
    pub(super) fn admissions(&self) -> [admission::Config; 3] {
        [
            self.admission_of(self.io_threads, 1),
            self.admission_of(self.workers, self.coroutines_per_worker),
            self.admission_of(self.blocking_workers, 1),
        ]
    }

    /// The admission of a pool of threads that each run one request at a time, or of coroutines, of which nobody knows how
    /// many are too many.
    fn admission_of(&self, workers: usize, coroutines: usize) -> admission::Config {
        let workers = if coroutines > 1 { 0 } else { u32::try_from(workers).unwrap_or(0) };
        let processes = u32::try_from(self.processes).unwrap_or(0);
        admission::Config { queue_count: processes, workers_per_queue: workers, ..self.admission }
    }

    /// What a file says, and the defaults where it says nothing. Servers read theirs by themselves
    /// ([`Builder::config_file`](super::Builder::config_file)).
    ///
    /// # Errors
    ///
    /// The file, the line, the key, what is wrong with it, and what it may be.
    pub fn read_file(path: impl AsRef<Path>) -> Result<Config, StartError> {
        let read = Watch::start(path.as_ref(), Config::default(), None);
        read.map(|(_, config)| config).map_err(StartError::Config)
    }

    /// A file with all keys, what they are for, and their defaults.
    pub fn example_toml() -> String {
        text::example()
    }

    /// Whether there are all methods that have limits.
    ///
    /// # Errors
    ///
    /// Which is not there, and which are.
    pub(super) fn check_methods(&self, methods: &Methods) -> Result<(), String> {
        let Some(name) = self.methods.keys().find(|name| methods.names().all(|known| known != name.as_str())) else {
            return Ok(());
        };
        let mut known: Vec<&str> = methods.names().collect();
        known.sort_unstable();
        Err(format!("methods.{name:?}: the server has no such method, but {}", known.join(", ")))
    }

    /// Whether all settings make sense together.
    ///
    /// # Errors
    ///
    /// Which does not, and what it may be.
    pub(super) fn validate(&self) -> Result<(), String> {
        text::check(self).map_err(|bad| bad.text)
    }
}
