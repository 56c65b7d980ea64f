//! The keys of the settings' file: what each is for, what it may be, and whether a running server heeds a change.

use std::fmt;

/// A key of a section.
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) may_be: MayBe,
    /// A running server takes a change over.
    pub(super) is_live: bool,
    pub(super) doc: &'static str,
}

/// What a value may be.
pub(super) enum MayBe {
    Number(u64, u64),
    Word(&'static [&'static str]),
    Flag,
    Addresses,
}

use MayBe::{Addresses, Flag, Number, Word};

/// No bound.
const ANY: u64 = u64::MAX;
const LIVE: bool = true;
const RESTART: bool = false;

macro_rules! keys {
    ($([$section:ident] $($name:ident: $may_be:expr, $is_live:expr, $doc:literal;)*)*) => {
        /// All keys, in the order of the example.
        pub(super) const KEYS: &[Key] = &[$($(Key {
            section: stringify!($section),
            name: stringify!($name),
            may_be: $may_be,
            is_live: $is_live,
            doc: $doc,
        }),*),*];
    };
}

keys! {
    [server]
    listen: Addresses, RESTART, "Where to listen, besides what the program says: 127.0.0.1:8000, [::1]:8000, unix:/run/echo.sock.";
    processes: Number(1, 64), RESTART, "Processes that serve. The numbers below are those of each.";
    io_threads: Number(1, ANY), RESTART, "Threads that read, admit, and run inline handlers.";
    workers: Number(1, ANY), RESTART, "Threads that run asynchronous handlers.";
    coroutines_per_worker: Number(1, ANY), RESTART, "Handlers that one worker runs at a time, of which all but one wait.";
    blocking_workers: Number(0, ANY), RESTART, "Threads that run blocking handlers, one each.";
    default_timeout_ms: Number(0, u32::MAX as u64), LIVE, "How long a caller waits that does not say so. 0: for ever.";
    idle_timeout_ms: Number(0, ANY), LIVE, "A connection on which nothing happens for so long is closed.";
    stall_timeout_ms: Number(0, ANY), LIVE, "A connection is closed whose caller does not read, or does not finish a frame, for so long.";
    drain_timeout_ms: Number(0, ANY), RESTART, "How long a server that is told to end waits for its last handlers.";
    log_one_in: Number(0, u32::MAX as u64), LIVE, "One of so many requests is a line of the log. 0: none.";
    record_decisions: Flag, LIVE, "Whether what admission decides is recorded for `mcrpc record`. It needs a host.";
    [limits]
    queue_limit: Number(1, ANY), RESTART, "Requests that wait for a worker at most; beyond, the least important are refused. With those that run, 32 000.";
    max_connections: Number(1, ANY), LIVE, "Connections at a time; a further one is closed at once.";
    max_request_memory_bytes: Number(0, ANY), RESTART, "What all requests take up while they arrive or wait.";
    max_unsent_bytes: Number(0, ANY), LIVE, "Answers that wait for one caller to read them. Above this nothing more is read from it.";
    max_body_bytes: Number(0, u32::MAX as u64), RESTART, "A frame's metadata and payload.";
    max_metadata_bytes: Number(0, u16::MAX as u64), RESTART, "A frame's metadata.";
    max_tags: Number(0, u16::MAX as u64), RESTART, "Tags in a frame's metadata.";
    max_name_bytes: Number(0, u16::MAX as u64), RESTART, "A name in a frame's metadata.";
    max_open_calls: Number(0, u32::MAX as u64), RESTART, "Unanswered requests of one connection. 0: any number.";
    needs_checksum: Flag, RESTART, "Whether each frame must have a checksum.";
    caller_requests_per_second: Number(0, u32::MAX as u64), LIVE, "Requests of each caller that has no section of its own, in all processes together. 0: any number.";
    caller_burst: Number(0, u32::MAX as u64), LIVE, "Requests at once of such a caller, when it has been silent. 0: as many as in a second.";
    [admission]
    mode: Word(&["off", "observe", "enforce"]), LIVE, "Whether decisions count. The host's operator may say otherwise.";
    policy: Word(&["feed_forward", "pass_rate"]), RESTART, "How the share that may pass is found.";
    window_ms: Number(1, 1_000), RESTART, "How long is measured before the cursor moves.";
    target_wait_ms: Number(1, 60_000), RESTART, "Mean wait that the cursor steers to while load is shed.";
    overload_wait_ms: Number(1, 60_000), RESTART, "Mean wait above which load is shed.";
    soft_wait_limit_ms: Number(1, 60_000), RESTART, "Estimated wait above which marginal requests are refused.";
    hard_wait_limit_ms: Number(1, 60_000), RESTART, "Estimated wait above which every request is refused.";
    marginal_band_per_10k: Number(0, 10_000), RESTART, "Share of the admitted keys that is marginal.";
    headroom_per_10k: Number(0, 10_000), RESTART, "How much more than the learnt capacity is admitted.";
    cpu_limit_per_10k: Number(1, 10_000), RESTART, "Processor use that is not exceeded, if the server is told one.";
    fair_share: Flag, RESTART, "Whether a tenant that floods is held to its fair share.";
}

impl fmt::Display for MayBe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number(0, ANY) => out.write_str("a number"),
            Number(least, ANY) => write!(out, "{least} at least"),
            Number(least, most) => write!(out, "{least} to {most}"),
            Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                out.write_str(&words.join(" or "))
            }
            Flag => out.write_str("true or false"),
            Addresses => out.write_str("a list of addresses"),
        }
    }
}

impl MayBe {
    /// Whether a number is within its bounds. What is no number was checked when it was read.
    pub(super) fn allows(&self, value: &toml::Value) -> bool {
        match (self, value) {
            (Number(least, most), toml::Value::Integer(value)) => {
                u64::try_from(*value).is_ok_and(|value| (*least..=*most).contains(&value))
            }
            _ => true,
        }
    }
}

/// The key of this name.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}
