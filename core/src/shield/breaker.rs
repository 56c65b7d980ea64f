//! The breaker of one endpoint: one word, so that a failure, its count and what follows from it are one step.
//!
//! ```text
//!            bucket full                backoff over              answered           ramp over
//! normal ───────────────► shielded ───────────────► due ─► probing ──────► recovering ──────► normal
//!                            ▲   one call is let through ┘     │ failed        │ bucket full
//!                            └──────────── for longer ─────────┴───────────────┘
//! ```
//!
//! The detector is a leaky bucket that counts in requests, which is Page's cumulative sum test (E. S. Page, "Continuous
//! inspection schemes", Biometrika 1954): a failure pours [`POUR`] in, a success leaks [`DRAIN`] out, and above [`LIMIT`] it is
//! full. It finds a dead endpoint in 6 requests, one that fails every second time in 11, at any rate of requests; at 2 % of
//! failures it is wrong once in 18 million requests, at 5 % 24 times in a million. A bucket that leaks by the second is
//! blind at low rates and wrong at high ones.
//!
//! Backoff, doubling and its memory are those of brpc's circuit breaker. A probe is a lease: if whoever took it dies, the
//! next call after its end takes it again.

/// What a failure pours in. With the two constants below the exact medians from fault to shield are 6, 11, 23 and 45
/// requests at 100, 50, 30 and 20 % of failures, after a long time at 1 %.
pub const POUR: u32 = 7;
/// What a success leaks out.
pub const DRAIN: u32 = 1;
/// The bucket is full above this.
pub const LIMIT: u32 = 35;
/// The level at which an endpoint begins to recover: three failures shield it again.
const LEVEL_ON_RECOVERY: u32 = LIMIT - 2 * POUR;
/// The share of its users that an endpoint has when it begins to recover, as a power of two.
const RAMP_DOUBLINGS: u32 = 4;
const MAX_LEVEL: u32 = LIMIT + POUR;
const MAX_BACKOFF_STEP: u32 = 15;
/// All of an endpoint's users.
pub const FULL_SHARE: u32 = 1 << 16;

/// How long things take. The same for all processes that share a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// An endpoint is first shielded for about this long, then for twice as long each time.
    pub backoff_min_ms: u32,
    /// It is shielded no longer than this, and a quarter.
    pub backoff_max_ms: u32,
    /// A probe that has not been answered for so long was lost: the next call is one.
    pub probe_lease_ms: u32,
    /// The weight climbs from a sixteenth to all of it in so long.
    pub ramp_ms: u32,
    /// An endpoint that fails again within so long is shielded for longer than the time before.
    pub memory_ms: u32,
}

impl Settings {
    /// 100 ms to 5 s, a ramp of 2 s: an endpoint that is back has its share again within 8.25 s without anybody's help,
    /// and a dead one costs all processes of a host together one call in 5 s.
    pub const DEFAULT: Settings = Settings {
        backoff_min_ms: 100,
        backoff_max_ms: 5_000,
        probe_lease_ms: 2_000,
        ramp_ms: 2_000,
        memory_ms: 30_000,
    };

    /// The longest time that any of these may be.
    pub const MAX_MS: u32 = 3_600_000;

    /// Whether all are within their range and in order.
    pub const fn is_valid(&self) -> bool {
        1 <= self.backoff_min_ms
            && self.backoff_min_ms <= self.backoff_max_ms
            && self.backoff_max_ms <= Settings::MAX_MS
            && 1 <= self.probe_lease_ms
            && self.probe_lease_ms <= Settings::MAX_MS
            && self.ramp_ms <= Settings::MAX_MS
            && self.memory_ms <= Settings::MAX_MS
    }
}

/// Why an endpoint was shielded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Too many of its calls failed: the bucket that counts in requests was full first.
    Failures = 0,
    /// Too many failed within seconds: the bucket that leaks by time was full first.
    FailuresPerSecond = 1,
    /// The agent found too many failures, and too large a share, over all processes.
    Rate = 2,
}

impl Reason {
    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Failures => "failures",
            Reason::FailuresPerSecond => "failures-per-second",
            Reason::Rate => "failure-rate",
        }
    }
}

/// In which state an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes all its calls.
    Normal,
    /// It takes none for so long.
    Shielded {
        /// What is left of the backoff.
        left_ms: u32,
    },
    /// The backoff is over: the next call is a probe.
    Due,
    /// The probe is on its way, and nobody else may call.
    Probing,
    /// It takes the calls of a share of its users.
    Recovering {
        /// Of [`FULL_SHARE`].
        share: u32,
    },
}

/// The word. Any bits are one: 0 is an endpoint of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u64);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Normal = 0,
    Shielded = 1,
    Probing = 2,
    Recovering = 3,
}

const PHASES: [Phase; 4] = [Phase::Normal, Phase::Shielded, Phase::Probing, Phase::Recovering];
const STEP_SHIFT: u32 = 2;
const REASON_SHIFT: u32 = 6;
const LEVEL_SHIFT: u32 = 8;
const MOMENT_SHIFT: u32 = 32;

/// The word's fields. `moment_ms`: of normal and recovering since when, of shielded and probing until when.
struct Fields {
    phase: Phase,
    step: u32,
    reason: u32,
    level: u32,
    moment_ms: u32,
}

impl Fields {
    #[inline]
    const fn to_word(&self) -> Word {
        Word(
            self.phase as u64
                | (self.step as u64) << STEP_SHIFT
                | (self.reason as u64) << REASON_SHIFT
                | (self.level as u64) << LEVEL_SHIFT
                | (self.moment_ms as u64) << MOMENT_SHIFT,
        )
    }

    /// Shields, the longer the more often it was shielded before.
    const fn shield(self, reason: Reason, settings: &Settings, now_ms: u32, noise: u64) -> Word {
        let backoff_ms = backoff_ms(self.step, settings, noise);
        let (reason, moment_ms) = (reason as u32, now_ms.wrapping_add(backoff_ms));
        Fields { phase: Phase::Shielded, reason, moment_ms, level: MAX_LEVEL, ..self }.to_word()
    }

    const fn next_step(&self) -> u32 {
        if self.step < MAX_BACKOFF_STEP { self.step + 1 } else { MAX_BACKOFF_STEP }
    }

    const fn poured(&self) -> u32 {
        if self.level + POUR > MAX_LEVEL { MAX_LEVEL } else { self.level + POUR }
    }

    const fn drained(&self) -> u32 {
        self.level.saturating_sub(DRAIN)
    }

    const fn recover(self, now_ms: u32) -> Word {
        Fields { phase: Phase::Recovering, level: LEVEL_ON_RECOVERY, moment_ms: now_ms, ..self }.to_word()
    }
}

/// Three to five quarters of the backoff, so that the hosts of a fleet do not probe at the same moment.
const fn backoff_ms(step: u32, settings: &Settings, noise: u64) -> u32 {
    let doubled = (settings.backoff_min_ms as u64) << step;
    let max = settings.backoff_max_ms as u64;
    let backoff = if doubled < max { doubled } else { max };
    (backoff * 3 / 4 + ((backoff * (noise & 0xFFFF)) >> 17)) as u32
}

/// What is left until `moment_ms`; 0 if that was less than 24 days ago, or is further away than anybody can have set it: then
/// a clock has jumped or the word is damaged.
const fn left_ms(moment_ms: u32, now_ms: u32, longest_ms: u32) -> u32 {
    let left = moment_ms.wrapping_sub(now_ms);
    if left > longest_ms { 0 } else { left }
}

impl Word {
    #[inline]
    const fn fields(self) -> Fields {
        let level = (self.0 >> LEVEL_SHIFT) as u32 & 0xFF;
        Fields {
            phase: PHASES[self.0 as usize & 3],
            step: (self.0 >> STEP_SHIFT) as u32 & MAX_BACKOFF_STEP,
            reason: (self.0 >> REASON_SHIFT) as u32 & 3,
            level: if level < MAX_LEVEL { level } else { MAX_LEVEL },
            moment_ms: (self.0 >> MOMENT_SHIFT) as u32,
        }
    }

    /// Whether the endpoint takes all its calls. The hot question.
    #[inline]
    pub const fn is_normal(self) -> bool {
        self.0 & 3 == Phase::Normal as u64
    }

    /// Whether a success would change nothing.
    #[inline]
    pub const fn is_calm(self) -> bool {
        self.0 & (0xFF << LEVEL_SHIFT | 3) == 0
    }

    /// Whether the endpoint takes no calls but a probe.
    pub const fn is_shielded(self) -> bool {
        matches!(self.fields().phase, Phase::Shielded | Phase::Probing)
    }

    /// Whether an attempt that took `elapsed_ms` began before the endpoint was last found to work: what it met is known.
    pub const fn outdates(self, elapsed_ms: u32, now_ms: u32) -> bool {
        let fields = self.fields();
        let is_since = matches!(fields.phase, Phase::Normal | Phase::Recovering) && self.0 >> MOMENT_SHIFT != 0;
        is_since && elapsed_ms > now_ms.wrapping_sub(fields.moment_ms)
    }

    /// How full the bucket is, up to one failure above [`LIMIT`].
    pub const fn level(self) -> u32 {
        self.fields().level
    }

    /// How often in a row it was shielded for longer: the heavier the fault.
    pub const fn backoff_step(self) -> u32 {
        self.fields().step
    }

    /// Why it was shielded last.
    pub const fn reason(self) -> Reason {
        match self.fields().reason {
            1 => Reason::FailuresPerSecond,
            2 => Reason::Rate,
            _ => Reason::Failures,
        }
    }

    /// The state at a time.
    pub const fn state(self, settings: &Settings, now_ms: u32) -> State {
        let fields = self.fields();
        match fields.phase {
            Phase::Normal => State::Normal,
            Phase::Shielded => {
                let longest_ms = settings.backoff_max_ms + settings.backoff_max_ms / 4;
                match left_ms(fields.moment_ms, now_ms, longest_ms) {
                    0 => State::Due,
                    left_ms => State::Shielded { left_ms },
                }
            }
            Phase::Probing => match left_ms(fields.moment_ms, now_ms, settings.probe_lease_ms) {
                0 => State::Due,
                _ => State::Probing,
            },
            Phase::Recovering => State::Recovering { share: share(fields.moment_ms, now_ms, settings.ramp_ms) },
        }
    }

    /// The word after a call took the probe; only in state [`State::Due`].
    pub const fn probed(self, settings: &Settings, now_ms: u32) -> Word {
        let moment_ms = now_ms.wrapping_add(settings.probe_lease_ms);
        Fields { phase: Phase::Probing, moment_ms, ..self.fields() }.to_word()
    }

    /// The word after a call was answered.
    pub const fn succeeded(self, is_probe: bool, settings: &Settings, now_ms: u32) -> Word {
        let fields = self.fields();
        let level = fields.drained();
        match fields.phase {
            Phase::Normal => Fields { level, ..fields }.to_word(),
            Phase::Shielded | Phase::Probing if is_probe => fields.recover(now_ms),
            // Calls that were let through all the same, since too many endpoints are shielded, or that were on their way:
            // when they succeed so often that the bucket runs empty, the endpoint works, and has its users already.
            Phase::Shielded | Phase::Probing if level == 0 => {
                Fields { phase: Phase::Normal, level, moment_ms: now_ms, ..fields }.to_word()
            }
            Phase::Shielded | Phase::Probing => Fields { level, ..fields }.to_word(),
            Phase::Recovering if share(fields.moment_ms, now_ms, settings.ramp_ms) == FULL_SHARE => {
                Fields { phase: Phase::Normal, level, moment_ms: now_ms, ..fields }.to_word()
            }
            Phase::Recovering => Fields { level, ..fields }.to_word(),
        }
    }

    /// The word after a call failed. `noise` is any number, to spread the backoffs of different hosts.
    pub const fn failed(self, is_probe: bool, settings: &Settings, now_ms: u32, noise: u64) -> Word {
        let fields = self.fields();
        let (level, step) = (fields.poured(), fields.next_step());
        match fields.phase {
            Phase::Normal if level > LIMIT => self.tripped(Reason::Failures, settings, now_ms, noise),
            Phase::Recovering if level > LIMIT => {
                Fields { step, ..fields }.shield(Reason::Failures, settings, now_ms, noise)
            }
            Phase::Probing if is_probe => {
                let reason = self.reason();
                Fields { step, ..fields }.shield(reason, settings, now_ms, noise)
            }
            _ => Fields { level, ..fields }.to_word(),
        }
    }

    /// The word after something else found the endpoint bad. One that is shielded already stays as it is.
    pub const fn tripped(self, reason: Reason, settings: &Settings, now_ms: u32, noise: u64) -> Word {
        let fields = self.fields();
        let step = match fields.phase {
            Phase::Shielded | Phase::Probing => return self,
            Phase::Recovering => fields.next_step(),
            // A word of zeroes was never normal *since* something.
            Phase::Normal if self.0 >> MOMENT_SHIFT == 0 => 0,
            Phase::Normal if now_ms.wrapping_sub(fields.moment_ms) < settings.memory_ms => fields.next_step(),
            Phase::Normal => 0,
        };
        Fields { step, ..fields }.shield(reason, settings, now_ms, noise)
    }

    /// The word after the endpoint answered somebody who looked (an active probe): the backoff is over. A call settles it,
    /// since a machine that hangs accepts connections too.
    pub const fn answered(self, now_ms: u32) -> Word {
        let fields = self.fields();
        match fields.phase {
            Phase::Shielded => Fields { moment_ms: now_ms, ..fields }.to_word(),
            _ => self,
        }
    }
}

/// A sixteenth at first, doubling four times within the ramp.
const fn share(since_ms: u32, now_ms: u32, ramp_ms: u32) -> u32 {
    let elapsed = now_ms.wrapping_sub(since_ms).cast_signed();
    // A clock that runs backwards a little is at the beginning; one that has jumped is at the end.
    let elapsed = if elapsed >= 0 || elapsed.unsigned_abs() > ramp_ms { elapsed.unsigned_abs() } else { 0 };
    if elapsed >= ramp_ms {
        return FULL_SHARE;
    }
    let doublings = elapsed as u64 * RAMP_DOUBLINGS as u64 / ramp_ms as u64;
    FULL_SHARE >> (RAMP_DOUBLINGS - doublings as u32)
}
