//! What all threads of a server know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwap;
use mcrpc_core::host::seat::QueueReport;
use mcrpc_core::id::Salt;
use mcrpc_core::time::{Millis, Nanos};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::config::{Config, text, watch::Watch};
use super::limits;
use super::live::Live;
use super::memory::Memory;
use super::observed::Observed;
use super::pool::Pool;
use super::rates::{Caller, Rates};
use super::report;
use super::segment::Segment;
use crate::clock;
use crate::host::{Host, Known};
use crate::methods::{Method, Methods, Run};

/// What all threads of a server know.
pub(crate) struct Shared {
    /// As they were when it started: what may change is in `live`.
    pub(crate) config: Config,
    live: ArcSwap<Live>,
    default_timeout_ms: AtomicU32,
    /// The file of the settings, if there is one.
    watch: Mutex<Option<Watch>>,
    /// Whether any caller's rate is limited: else nobody looks who calls.
    limits_callers: AtomicBool,
    pub(crate) methods: Methods,
    /// The key of the order of users: the host's.
    salt: AtomicU64,
    pub(crate) host: Option<Arc<Host>>,
    /// Whether requests of anybody are recorded: else nobody looks whose they are.
    is_recording: AtomicBool,
    pub(crate) memory: Memory,
    /// The IO threads, for inline handlers.
    pub(crate) inline: Pool,
    pub(crate) workers: Arc<Pool>,
    pub(crate) blocking: Arc<Pool>,
    pub(crate) rates: Rates,
    pub(crate) connections: AtomicUsize,
    pub(crate) observed: Observed,
    /// The server ends.
    pub(crate) is_draining: AtomicBool,
    pub(crate) told_to_end: Notify,
    /// It waits for nobody.
    pub(crate) is_dropped: AtomicBool,
}

impl Shared {
    /// What the threads of the process with this number know.
    pub(crate) fn new(
        config: Config,
        methods: Methods,
        host: Option<Arc<Host>>,
        observed: Observed,
        watch: Option<Watch>,
        segment: Segment,
        process: u32,
    ) -> Shared {
        let Segment { controllers, rates, .. } = segment;
        let memory = Memory::new(config.max_request_memory);
        let [mut inline, mut workers, mut blocking] =
            controllers.map(|controller| Pool::new(controller, process, config.queue_limit, memory.clone()));
        number_queues(&methods, [&mut inline, &mut workers, &mut blocking], config.processes);
        let shared = Shared {
            is_recording: AtomicBool::new(false),
            inline,
            workers: Arc::new(workers),
            blocking: Arc::new(blocking),
            rates,
            memory,
            salt: AtomicU64::new(Known::default().salt().0),
            host,
            connections: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
            told_to_end: Notify::new(),
            is_dropped: AtomicBool::new(false),
            observed,
            live: ArcSwap::from_pointee(Live::new(&config)),
            default_timeout_ms: AtomicU32::new(0),
            watch: Mutex::new(watch),
            limits_callers: AtomicBool::new(false),
            methods,
            config,
        };
        shared.put_in_force(&shared.config);
        shared
    }

    /// The settings that may change.
    pub(crate) fn live(&self) -> arc_swap::Guard<Arc<Live>> {
        self.live.load()
    }

    /// How long a caller waits that does not say so.
    #[inline]
    pub(crate) fn default_timeout(&self) -> Millis {
        Millis(self.default_timeout_ms.load(Relaxed))
    }

    /// Puts other settings in force, as far as they may change while the server runs.
    pub(crate) fn put_in_force(&self, config: &Config) {
        let live = Live::new(config);
        for method in self.methods.iter() {
            method.gate.set_limit(config.methods.get(&method.name).map_or(0, |limits| limits.max_concurrency));
            method.stats.log_one_in.store(config.log_one_in, Relaxed);
        }
        let limits_callers = live.callers.is_limiting();
        self.live.store(Arc::new(live));
        self.default_timeout_ms.store(config.default_timeout.0, Relaxed);
        self.limits_callers.store(limits_callers, Relaxed);
        self.follow_host();
    }

    /// Takes over what has changed in the file of the settings. Called once a second, by one thread.
    pub(crate) fn follow_settings(&self) {
        let Some(watch) = &mut *self.watch.lock() else { return };
        let looked = watch.look().and_then(|config| match config {
            Some(config) => config.check_methods(&self.methods).map(|()| Some(config)),
            None => Ok(None),
        });
        match looked {
            Ok(None) => {}
            Ok(Some(config)) => {
                self.put_in_force(&config);
                let need_restart = text::need_restart(&self.config, &config);
                if need_restart.is_empty() {
                    tracing::info!("the settings have changed, and are in force");
                } else {
                    let keys = need_restart.join(", ");
                    tracing::warn!(
                        keys,
                        "the settings have changed: these keys need a restart, the others are in force"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(error, "the settings have changed and cannot be used: the old ones stay in force")
            }
        }
    }

    /// Whether somebody has to look who calls.
    #[inline]
    pub(crate) fn limits_callers(&self) -> bool {
        self.limits_callers.load(Relaxed)
    }

    /// Counts a request of a caller.
    ///
    /// # Errors
    ///
    /// The caller sends too many.
    #[inline(never)]
    pub(crate) fn count_caller(&self, caller: Caller, now: Nanos) -> Result<(), limits::Refusal> {
        match self.live().callers.of(caller) {
            Some(rate) if !self.rates.take(caller, rate, now) => Err(limits::TOO_FAST),
            _ => Ok(()),
        }
    }

    /// Takes no new requests from now on.
    pub(crate) fn tell_to_end(&self) {
        self.is_draining.store(true, Relaxed);
        self.told_to_end.notify_waiters();
    }

    /// Waits until the server is told to end.
    pub(crate) async fn until_told_to_end(&self) {
        let told_to_end = self.told_to_end.notified();
        if !self.is_draining.load(Relaxed) {
            told_to_end.await;
        }
    }

    /// The key of the order of users.
    #[inline]
    pub(crate) fn salt(&self) -> Salt {
        Salt(self.salt.load(Relaxed))
    }

    /// Does what the host's operator says of admission; without a word of his, what the settings say. Called once a second.
    pub(crate) fn follow_host(&self) {
        let own_mode = self.live().mode;
        let Some(host) = &self.host else {
            self.salt.store(Known::default().salt().0, Relaxed);
            self.pools().into_iter().for_each(|pool| pool.admission.follow(None, own_mode));
            return;
        };
        host.look(clock::now());
        self.salt.store(host.known().salt().0, Relaxed);
        self.heed_operator();
    }

    /// Does what the operator says of admission and of users whose calls are recorded, in the segment that is mapped: a few loads,
    /// often enough for a kill switch.
    pub(crate) fn heed_operator(&self) {
        let Some(host) = &self.host else { return };
        let (known, own_mode) = (host.known(), self.live().mode);
        for pool in self.pools() {
            pool.admission.follow(known.control(), own_mode);
        }
        let is_wanted = self.live().record_decisions || known.has_dyes();
        self.is_recording.store(is_wanted && known.ring().is_some(), Relaxed);
    }

    /// Whether somebody has to look whether a request is recorded.
    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.is_recording.load(Relaxed)
    }

    /// Tells the host what admission does.
    pub(crate) fn report(&self, now: Nanos) {
        if let Some(host) = &self.host
            && let Some(report) = report::of(self, now)
        {
            host.report(&report);
        }
    }

    /// The server has ended: its admission is of no interest any more, though the process may go on.
    pub(crate) fn report_nothing(&self) {
        self.host.iter().for_each(|host| host.report(&QueueReport::default()));
    }

    /// A method, and who runs it.
    #[inline]
    pub(crate) fn find(&self, method_id: u32) -> Option<(&Arc<Method>, &Pool)> {
        let method = self.methods.find(method_id)?;
        let pool = match method.run {
            Run::Inline(_) => &self.inline,
            Run::Async(_) => &self.workers,
            Run::Blocking(_) => &self.blocking,
        };
        Some((method, pool))
    }

    /// Whoever runs methods: inline, asynchronous, blocking.
    pub(crate) fn pools(&self) -> [&Pool; 3] {
        [&self.inline, &self.workers, &self.blocking]
    }

    /// The same, by their names.
    pub(crate) fn named_pools(&self) -> [(&'static str, &Pool); 3] {
        [("inline", &self.inline), ("async", &self.workers), ("blocking", &self.blocking)]
    }
}

/// Recorded decisions name a queue of those controllers that are asked anything, and of each process.
fn number_queues(methods: &Methods, pools: [&mut Pool; 3], processes: usize) {
    let is_used: [fn(&Run) -> bool; 3] = [
        |run| matches!(run, Run::Inline(_)),
        |run| matches!(run, Run::Async(_)),
        |run| matches!(run, Run::Blocking(_)),
    ];
    let used = pools.into_iter().zip(is_used).filter(|(_, is_used)| methods.iter().any(|method| is_used(&method.run)));
    for (place, (pool, _)) in used.enumerate() {
        let queue = place * processes + pool.number as usize;
        pool.recorded_as = u8::try_from(queue).unwrap_or(u8::MAX);
    }
}
