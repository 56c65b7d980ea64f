//! The settings as a file: TOML, units in the names of the keys.

use std::collections::BTreeMap;
use std::time::Duration;

use mcrpc_core::admission::{self, Mode, Policy};
use mcrpc_core::time::Millis;
use mcrpc_core::wire::Limits;
use serde::{Deserialize, Serialize};

use super::{CallerLimits, Config, MethodLimits};

/// The file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    server: Server,
    limits: ServerLimits,
    admission: Admission,
    methods: BTreeMap<String, MethodLimits>,
    callers: BTreeMap<String, CallerLimits>,
}

macro_rules! section {
    ($section:ident of $part:ident { $($name:ident: $type:ty,)* }) => {
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct $section { $($name: $type,)* }

        impl Default for $section {
            fn default() -> $section {
                File::default().$part
            }
        }
    };
}

section!(Server of server {
    listen: Vec<String>,
    processes: usize,
    io_threads: usize,
    workers: usize,
    coroutines_per_worker: usize,
    blocking_workers: usize,
    default_timeout_ms: u32,
    idle_timeout_ms: u64,
    stall_timeout_ms: u64,
    drain_timeout_ms: u64,
    log_one_in: u32,
    record_decisions: bool,
});

section!(ServerLimits of limits {
    queue_limit: usize,
    max_connections: usize,
    max_request_memory_bytes: usize,
    max_unsent_bytes: usize,
    max_body_bytes: u32,
    max_metadata_bytes: u16,
    max_tags: u16,
    max_name_bytes: u16,
    max_open_calls: u32,
    needs_checksum: bool,
    caller_requests_per_second: u32,
    caller_burst: u32,
});

section!(Admission of admission {
    mode: ModeWord,
    policy: PolicyWord,
    window_ms: u32,
    target_wait_ms: u32,
    overload_wait_ms: u32,
    soft_wait_limit_ms: u32,
    hard_wait_limit_ms: u32,
    marginal_band_per_10k: u32,
    headroom_per_10k: u32,
    cpu_limit_per_10k: u32,
    fair_share: bool,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeWord {
    Off,
    Observe,
    Enforce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PolicyWord {
    FeedForward,
    PassRate,
}

impl Default for File {
    fn default() -> File {
        File::of(&Config::default())
    }
}

impl File {
    /// These settings, as a file says them. Numbers beyond those of a file are its largest.
    pub(super) fn of(config: &Config) -> File {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64);
        let number = |number: usize| number.min(i64::MAX as usize);
        let (admission, limits) = (config.admission, config.limits);
        File {
            server: Server {
                listen: config.listen.clone(),
                processes: number(config.processes),
                io_threads: number(config.io_threads),
                workers: number(config.workers),
                coroutines_per_worker: number(config.coroutines_per_worker),
                blocking_workers: number(config.blocking_workers),
                default_timeout_ms: if config.default_timeout == Millis::UNLIMITED {
                    0
                } else {
                    config.default_timeout.0
                },
                idle_timeout_ms: ms(config.idle_timeout),
                stall_timeout_ms: ms(config.stall_timeout),
                drain_timeout_ms: ms(config.drain_timeout),
                log_one_in: config.log_one_in,
                record_decisions: config.record_decisions,
            },
            limits: ServerLimits {
                queue_limit: number(config.queue_limit),
                max_connections: number(config.max_connections),
                max_request_memory_bytes: number(config.max_request_memory),
                max_unsent_bytes: number(config.max_unsent),
                max_body_bytes: limits.max_body_len,
                max_metadata_bytes: limits.max_metadata_len,
                max_tags: limits.max_tags,
                max_name_bytes: limits.max_name_len,
                max_open_calls: limits.max_open_calls,
                needs_checksum: limits.needs_checksum,
                caller_requests_per_second: config.other_callers.requests_per_second,
                caller_burst: config.other_callers.burst,
            },
            admission: Admission {
                mode: match admission.mode {
                    Mode::Off => ModeWord::Off,
                    Mode::Observe => ModeWord::Observe,
                    Mode::Enforce => ModeWord::Enforce,
                },
                policy: match admission.policy {
                    Policy::FeedForward => PolicyWord::FeedForward,
                    Policy::PassRate => PolicyWord::PassRate,
                },
                window_ms: admission.window_ms,
                target_wait_ms: admission.target_wait_ms,
                overload_wait_ms: admission.overload_wait_ms,
                soft_wait_limit_ms: admission.soft_wait_limit_ms,
                hard_wait_limit_ms: admission.hard_wait_limit_ms,
                marginal_band_per_10k: admission.marginal_band_per_10k,
                headroom_per_10k: admission.headroom_per_10k,
                cpu_limit_per_10k: admission.cpu_limit_per_10k,
                fair_share: admission.fair_share,
            },
            methods: config.methods.clone(),
            callers: config.callers.clone(),
        }
    }

    /// What the file says, as settings.
    pub(super) fn into_config(self) -> Config {
        let File { server, limits, admission, methods, callers } = self;
        Config {
            listen: server.listen,
            processes: server.processes,
            io_threads: server.io_threads,
            workers: server.workers,
            coroutines_per_worker: server.coroutines_per_worker,
            blocking_workers: server.blocking_workers,
            default_timeout: match server.default_timeout_ms {
                0 => Millis::UNLIMITED,
                ms => Millis(ms),
            },
            idle_timeout: Duration::from_millis(server.idle_timeout_ms),
            stall_timeout: Duration::from_millis(server.stall_timeout_ms),
            drain_timeout: Duration::from_millis(server.drain_timeout_ms),
            log_one_in: server.log_one_in,
            record_decisions: server.record_decisions,
            queue_limit: limits.queue_limit,
            max_connections: limits.max_connections,
            max_request_memory: limits.max_request_memory_bytes,
            max_unsent: limits.max_unsent_bytes,
            limits: Limits {
                max_body_len: limits.max_body_bytes,
                max_metadata_len: limits.max_metadata_bytes,
                max_tags: limits.max_tags,
                max_name_len: limits.max_name_bytes,
                max_open_calls: limits.max_open_calls,
                needs_checksum: limits.needs_checksum,
            },
            other_callers: CallerLimits {
                requests_per_second: limits.caller_requests_per_second,
                burst: limits.caller_burst,
            },
            admission: admission::Config {
                mode: match admission.mode {
                    ModeWord::Off => Mode::Off,
                    ModeWord::Observe => Mode::Observe,
                    ModeWord::Enforce => Mode::Enforce,
                },
                policy: match admission.policy {
                    PolicyWord::FeedForward => Policy::FeedForward,
                    PolicyWord::PassRate => Policy::PassRate,
                },
                window_ms: admission.window_ms,
                target_wait_ms: admission.target_wait_ms,
                overload_wait_ms: admission.overload_wait_ms,
                soft_wait_limit_ms: admission.soft_wait_limit_ms,
                hard_wait_limit_ms: admission.hard_wait_limit_ms,
                marginal_band_per_10k: admission.marginal_band_per_10k,
                headroom_per_10k: admission.headroom_per_10k,
                cpu_limit_per_10k: admission.cpu_limit_per_10k,
                fair_share: admission.fair_share,
                ..admission::Config::DEFAULT
            },
            methods,
            callers,
        }
    }
}
