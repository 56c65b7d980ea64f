//! Sets of endpoints, for C: settings, memory, endpoints, and what is known of them.

use core::ffi::c_void;
use core::ptr::NonNull;

use mcrpc_core::host::region::Shared;
use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{BudgetSettings, GroupRule, MAX_GROUP_RULES, Scope, Settings, Spec, ZoneStrategy};
use mcrpc_core::shield::breaker::{self, State};
use mcrpc_core::shield::health::{Rules, wrapping_ms};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use crate::host::{self, mcrpc_host_t};
use crate::pointer::{self, code};
use crate::sized::{self, Sized32};
use crate::strategy::mcrpc_endpoint_t;

/// All processes of the host share what they know of the endpoints; each has its own while there is no host.
pub const MCRPC_SCOPE_HOST: u32 = 0;
/// Those that use the set's memory share it.
pub const MCRPC_SCOPE_PROCESS: u32 = 1;

/// All endpoints.
pub const MCRPC_ZONE_ANYWHERE: u32 = 0;
/// Those in the own zone; if there are none, or too many are shielded, those in the own region.
pub const MCRPC_ZONE_FIRST: u32 = 1;
/// Those in the own region.
pub const MCRPC_ZONE_REGION: u32 = 2;
/// Those in the own zone, and no others.
pub const MCRPC_ZONE_ONLY: u32 = 3;
/// Those of one zone of the own region, which follows from the user.
pub const MCRPC_ZONE_BY_HASH: u32 = 4;

/// All calls are made.
pub const MCRPC_HEALTH_NORMAL: u32 = 0;
/// None is made for a while.
pub const MCRPC_HEALTH_SHIELDED: u32 = 1;
/// The next call is a probe.
pub const MCRPC_HEALTH_DUE: u32 = 2;
/// The probe is on its way, and no other call is made.
pub const MCRPC_HEALTH_PROBING: u32 = 3;
/// The calls of a growing share of its users are made.
pub const MCRPC_HEALTH_RECOVERING: u32 = 4;

/// The most rules that send users to groups.
pub const MCRPC_MAX_GROUP_RULES: usize = 8;
const _: () = assert!(MCRPC_MAX_GROUP_RULES == MAX_GROUP_RULES);
/// How many kinds of decisions are counted.
pub const MCRPC_DECISION_COUNT: usize = 19;
const _: () = assert!(MCRPC_DECISION_COUNT == Decision::COUNT);
/// The length of the table in mcrpc_endpoints_snapshot_t: there is room for decisions of later versions.
pub const MCRPC_DECISION_ROOM: usize = 32;

/// Settings of a set. Start from MCRPC_ENDPOINTS_CONFIG_INIT. All sets of a host that call the same endpoints should have
/// the same times.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_endpoints_config_t {
    /// sizeof(mcrpc_endpoints_config_t)
    pub struct_size: u32,
    /// Room for so many endpoints, 1 to 1024.
    pub capacity: u32,
    /// MCRPC_SCOPE_...
    pub scope: u32,
    /// MCRPC_ZONE_...
    pub zone_strategy: u32,
    /// The caller's own region, 0 to 65535.
    pub region: u32,
    /// The caller's own zone, 0 to 65535.
    pub zone: u32,
    /// Attempts of a call, the first one included, 1 to 8.
    pub max_attempts: u32,
    /// At most this share of the endpoints is shielded; beyond it, those with the lightest faults are called.
    pub max_shielded_per_10k: u32,
    /// Retries over first attempts, in the long run.
    pub retry_ratio_per_10k: u32,
    /// So many retries are saved up at most, 0 to 65535.
    pub retry_burst: u32,
    /// Backup requests over first attempts, in the long run.
    pub backup_ratio_per_10k: u32,
    /// So many backup requests are saved up at most, 0 to 65535.
    pub backup_burst: u32,
    /// So many failures within a second or so shield an endpoint, 1 to 10000, however many calls succeed; 0: only the
    /// bucket that counts in requests does.
    pub fail_count: u32,
    /// An endpoint is first shielded for about so long, then for twice as long each time. Each time here: 1 to 3600000.
    pub backoff_min_ms: u32,
    /// It is never shielded for longer than this and a quarter.
    pub backoff_max_ms: u32,
    /// A probe that was not reported within so long is made again by the next call: longer than a call takes.
    pub probe_lease_ms: u32,
    /// The share of an endpoint that works again climbs from a sixteenth to all within so long; 0 at once.
    pub ramp_ms: u32,
    /// An endpoint that fails again within so long is shielded for longer than the time before; 0 never.
    pub memory_ms: u32,
    /// Sets with the same one choose the same endpoint for a user: the same for all callers of a service.
    pub ring_seed: u64,
}

// SAFETY: repr(C), eighteen u32 and one u64 at offset 72, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_endpoints_config_t {
    const FIRST_VERSION_SIZE: usize = 80;
}
const _: () = assert!(size_of::<mcrpc_endpoints_config_t>() == 80);

impl mcrpc_endpoints_config_t {
    fn to_core(self) -> Result<Settings, Status> {
        let leak = match self.fail_count {
            0 => None,
            count => Some(Leak::of_count(count).ok_or(Status::INVALID_ARGUMENT)?),
        };
        let settings = Settings {
            capacity: self.capacity,
            scope: Scope::from_number(self.scope).ok_or(Status::INVALID_ARGUMENT)?,
            rules: Rules {
                breaker: breaker::Settings {
                    backoff_min_ms: self.backoff_min_ms,
                    backoff_max_ms: self.backoff_max_ms,
                    probe_lease_ms: self.probe_lease_ms,
                    ramp_ms: self.ramp_ms,
                    memory_ms: self.memory_ms,
                },
                leak,
            },
            max_shielded: per_10k(self.max_shielded_per_10k)?,
            zone_strategy: ZoneStrategy::from_number(self.zone_strategy).ok_or(Status::INVALID_ARGUMENT)?,
            region: short(self.region)?,
            zone: short(self.zone)?,
            max_attempts: self.max_attempts.min(u8::MAX.into()) as u8,
            retries: BudgetSettings { ratio: per_10k(self.retry_ratio_per_10k)?, burst: short(self.retry_burst)? },
            backups: BudgetSettings { ratio: per_10k(self.backup_ratio_per_10k)?, burst: short(self.backup_burst)? },
            ring_seed: self.ring_seed,
        };
        settings.validate()?;
        Ok(settings)
    }
}

// Settings are read once: small code counts more than speed.
#[inline(never)]
fn short(number: u32) -> Result<u16, Status> {
    u16::try_from(number).map_err(|_| Status::INVALID_ARGUMENT)
}

#[inline(never)]
fn per_10k(number: u32) -> Result<Per10k, Status> {
    Per10k::new(short(number)?).ok_or(Status::INVALID_ARGUMENT)
}

/// One endpoint of a set.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_endpoint_spec_t {
    /// Where it listens.
    pub endpoint: mcrpc_endpoint_t,
    /// Its share of the users compared with the others, 0 (none) to 10000.
    pub weight: u16,
    /// Its region; 0 if there is only one.
    pub region: u16,
    /// Its zone within the region.
    pub zone: u16,
    /// Its group: 0 is for everybody, others are for the users whom a rule sends there.
    pub group: u16,
    /// Yours: comes back with each choice.
    pub user_data: u64,
    /// Must be 0.
    pub reserved: [u64; 3],
}

/// Sends users to the endpoints of a group, as long as the rule stands: a grey release. The first rule that fits counts.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_group_rule_t {
    /// Where to.
    pub group: u16,
    /// Which share of the users in the range, 0 to 10000; always the same ones.
    pub share_per_10k: u16,
    /// Must be 0.
    pub reserved: u32,
    /// The first user of the range.
    pub first_uin: u64,
    /// The last one.
    pub last_uin: u64,
    /// Must be 0.
    pub reserved_too: [u64; 2],
}

/// A set as one process sees it: a pointer into the memory given to mcrpc_endpoints_init(), and a copy of the settings. It may
/// be copied, used by all threads at once, and used on after fork(); it needs no clean-up.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mcrpc_endpoints_t {
    /// Private.
    pub opaque: [u64; 24],
}

#[derive(Clone, Copy)]
struct Tagged {
    tag: u64,
    set: EndpointSet<'static>,
}

/// "mcendps" and a version.
const TAG: u64 = 0x01_73_70_64_6e_65_63_6d;

const _: () = assert!(size_of::<Tagged>() <= size_of::<mcrpc_endpoints_t>());
const _: () = assert!(align_of::<Tagged>() <= align_of::<mcrpc_endpoints_t>());

/// What is known of an endpoint. Set struct_size before asking.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_health_t {
    /// sizeof(mcrpc_health_t)
    pub struct_size: u32,
    /// MCRPC_HEALTH_...
    pub state: u32,
    /// How full the bucket that counts in requests is; above 35 it is full.
    pub level: u32,
    /// While it recovers, the share of its users, of 65536.
    pub share: u32,
    /// While it is shielded, what is left of that.
    pub left_ms: u32,
    /// 0.
    pub reserved: u32,
    /// Calls that were let through to see whether it works, by all who share what is known.
    pub probes: u64,
    /// How often it was shielded.
    pub shields: u64,
}

// SAFETY: repr(C), six u32 and two u64 at offset 24, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_health_t {
    const FIRST_VERSION_SIZE: usize = 40;
}
const _: () = assert!(size_of::<mcrpc_health_t>() == 40);

/// What a set decided so far. Set struct_size before asking.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_endpoints_snapshot_t {
    /// sizeof(mcrpc_endpoints_snapshot_t)
    pub struct_size: u32,
    /// The endpoints.
    pub count: u32,
    /// How often, in this order. Refused with MCRPC_NO_ENDPOINT, _ATTEMPTS_EXHAUSTED, _BUDGET_EXHAUSTED, _OUT_OF_TIME, _SKIPPED,
    /// _WITHHELD, _SHIELDED, _BUCKET_FULL. Retries, backup requests, probes, calls made to measure an endpoint that a pass rate
    /// holds back, calls to shielded endpoints because too many are, endpoints shielded by calls through this set. Calls
    /// that would have been refused, were the mechanism not only observed: shield, pass rate, skip, fast reject, budget.
    /// Those from MCRPC_DECISION_COUNT on are 0, or of a later version than this header.
    pub decisions: [u64; MCRPC_DECISION_ROOM],
}

// SAFETY: repr(C), two u32 and 32 u64 at offset 8, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_endpoints_snapshot_t {
    const FIRST_VERSION_SIZE: usize = 264;
}
const _: () = assert!(size_of::<mcrpc_endpoints_snapshot_t>() == 264);

/// The bytes that a set with these settings needs. `config` may be NULL.
/// Returns MCRPC_INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `config` is NULL or readable for its struct_size, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_endpoints_memory_size(config: *const mcrpc_endpoints_config_t, out: *mut usize) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: the caller's promise.
        let len = EndpointSet::memory_len(&unsafe { read_config(config) }?)?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(len * size_of::<u64>()) };
        Ok(())
    })())
}

/// Makes a set without endpoints in memory of yours, which is overwritten: aligned to 64 bytes, as long as
/// mcrpc_endpoints_memory_size() says, used by nothing else, and there for as long as the set is used. `config` may be NULL.
/// Returns MCRPC_MISALIGNED, _TOO_SMALL, _INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Since 0.1.
///
/// # Safety
///
/// `memory` is writable for `len` bytes and used by nothing but this library; `config` is NULL or readable for its
/// struct_size; `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_endpoints_init(
    memory: *mut c_void,
    len: usize,
    config: *const mcrpc_endpoints_config_t,
    out: *mut mcrpc_endpoints_t,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        let memory = NonNull::new(memory.cast::<u8>()).ok_or(Status::NULL_ARGUMENT)?;
        // SAFETY: the caller's promise.
        let settings = unsafe { read_config(config) }?;
        if !memory.addr().get().is_multiple_of(64) {
            return Err(Status::MISALIGNED);
        }
        if len > pointer::MAX_LEN || memory.addr().get().checked_add(len).is_none() {
            return Err(Status::INVALID_ARGUMENT);
        }
        let wanted = EndpointSet::memory_len(&settings)? * size_of::<u64>();
        if len < wanted {
            return Err(Status::TOO_SMALL);
        }
        // SAFETY: aligned and long enough; the caller gives it to this library alone, for as long as the set is used, and
        // the set touches it by atomic words only.
        let set = EndpointSet::create(unsafe { Shared::from_raw(memory, wanted) }, &settings)?;
        // SAFETY: checked for null and alignment, large enough by the assertion above, writable by the caller's promise.
        unsafe { out.cast::<Tagged>().write(Tagged { tag: TAG, set }) };
        Ok(())
    })())
}

/// Puts another list of endpoints and of rules for groups in force, as a whole and at once. What is known of endpoints that
/// stay is kept. Calls go on meanwhile; two threads must not replace at the same time. `host` may be NULL.
/// Returns MCRPC_TABLE_FULL for more endpoints than there is room for, _INVALID_ARGUMENT for one that is there twice, a weight
/// or share outside its range, reserved fields that are not 0, or too many rules: then the old list stays in force.
/// It takes about 10 us per endpoint. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `endpoints` was set by mcrpc_endpoints_init(), `host` is NULL or was set by mcrpc_host_open() or _create(); `specs` is
/// readable for `count` elements, `rules` for `rule_count`.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_endpoints_replace(
    endpoints: *const mcrpc_endpoints_t,
    host: *const mcrpc_host_t,
    specs: *const mcrpc_endpoint_spec_t,
    count: u32,
    rules: *const mcrpc_group_rule_t,
    rule_count: u32,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promises.
        let (set, host) = unsafe { (get(endpoints)?, view(host)?) };
        if count > set.settings().capacity {
            return Err(Status::TABLE_FULL);
        }
        // SAFETY: the caller's promises.
        let (specs, rules) = unsafe { (slice(specs, count)?, slice(rules, rule_count)?) };
        let mut core_rules =
            [GroupRule { group: 0, share: Per10k::NONE, first: Uin(0), last: Uin(0) }; MAX_GROUP_RULES];
        for (index, rule) in rules.iter().enumerate() {
            let [a, b] = rule.reserved_too;
            if u64::from(rule.reserved) | a | b != 0 {
                return Err(Status::INVALID_ARGUMENT);
            }
            let share = Per10k::new(rule.share_per_10k).ok_or(Status::INVALID_ARGUMENT)?;
            let place = core_rules.get_mut(index).ok_or(Status::INVALID_ARGUMENT)?;
            *place = GroupRule { group: rule.group, share, first: Uin(rule.first_uin), last: Uin(rule.last_uin) };
        }
        let mut reserved = 0;
        for spec in specs {
            let [a, b, c] = spec.reserved;
            reserved |= a | b | c | u64::from(spec.endpoint.reserved);
        }
        if reserved != 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        let spec = |index: usize| spec_to_core(&specs.get(index).copied().unwrap_or_default());
        set.replace(specs.len(), &spec, core_rules.get(..rules.len()).unwrap_or_default(), &host)
    })())
}

fn spec_to_core(spec: &mcrpc_endpoint_spec_t) -> Spec {
    Spec {
        endpoint: spec.endpoint.to_core(),
        weight: spec.weight,
        region: spec.region,
        zone: spec.zone,
        group: spec.group,
        user_data: spec.user_data,
    }
}

/// Hands over what was counted to the agent, and finds a new segment of the host: about five times per second. `host` may be
/// NULL. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `endpoints` was set by mcrpc_endpoints_init(), `host` is NULL or was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_endpoints_tick(endpoints: *const mcrpc_endpoints_t, host: *const mcrpc_host_t) -> i32 {
    code((|| {
        // SAFETY: the caller's promises.
        let (set, host) = unsafe { (get(endpoints)?, view(host)?) };
        set.hand_over(&host);
        Ok(())
    })())
}

/// What a set decided so far. Returns MCRPC_OK or _BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `endpoints` was set by mcrpc_endpoints_init(); `out` is writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_endpoints_snapshot(
    endpoints: *const mcrpc_endpoints_t,
    out: *mut mcrpc_endpoints_snapshot_t,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let set = unsafe { get(endpoints) }?;
        let mut answer = mcrpc_endpoints_snapshot_t { count: set.len() as u32, ..Default::default() };
        if let Some(decisions) = answer.decisions.first_chunk_mut() {
            set.read_decisions(decisions);
        }
        // SAFETY: the caller promises that the struct is writable for its size.
        unsafe { sized::write(out, &answer) }
    })())
}

/// What is known of the endpoint with a number, by the host or, without one, by this set. `host` may be NULL.
/// Returns MCRPC_INVALID_ARGUMENT if there is no such endpoint, or _BAD_STRUCT_SIZE.
/// Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `endpoints` was set by mcrpc_endpoints_init(), `host` is NULL or was set by mcrpc_host_open() or _create(); `out` is
/// writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_endpoints_health(
    endpoints: *const mcrpc_endpoints_t,
    host: *const mcrpc_host_t,
    index: u32,
    now_ns: u64,
    out: *mut mcrpc_health_t,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promises.
        let (set, host) = unsafe { (get(endpoints)?, view(host)?) };
        let reading = set.health(index as usize, &host).ok_or(Status::INVALID_ARGUMENT)?.reading();
        let (level, probes, shields) = (reading.breaker.level(), reading.probes, reading.shields);
        let state = reading.breaker.state(&set.settings().rules.breaker, wrapping_ms(Nanos(now_ns)));
        let (state, share, left_ms) = match state {
            State::Normal => (MCRPC_HEALTH_NORMAL, breaker::FULL_SHARE, 0),
            State::Shielded { left_ms } => (MCRPC_HEALTH_SHIELDED, 0, left_ms),
            State::Due => (MCRPC_HEALTH_DUE, 0, 0),
            State::Probing => (MCRPC_HEALTH_PROBING, 0, 0),
            State::Recovering { share } => (MCRPC_HEALTH_RECOVERING, share, 0),
        };
        let answer = mcrpc_health_t { struct_size: 0, state, level, share, left_ms, reserved: 0, probes, shields };
        // SAFETY: the caller promises that the struct is writable for its size.
        unsafe { sized::write(out, &answer) }
    })())
}

/// # Safety
///
/// `config` is NULL or readable for its struct_size.
unsafe fn read_config(config: *const mcrpc_endpoints_config_t) -> Result<Settings, Status> {
    if config.is_null() {
        return Ok(Settings::DEFAULT);
    }
    // SAFETY: the caller's promise.
    unsafe { sized::read(config) }?.to_core()
}

/// # Safety
///
/// Unless null, `first` is readable for `count` elements during `'a`, and not written meanwhile. Any bits are a valid `T`.
unsafe fn slice<'a, T>(first: *const T, count: u32) -> Result<&'a [T], Status> {
    if count == 0 {
        return Ok(&[]);
    }
    pointer::check(first)?;
    if (count as usize).checked_mul(size_of::<T>()).is_none_or(|len| len > pointer::MAX_LEN) {
        return Err(Status::INVALID_ARGUMENT);
    }
    // SAFETY: not null, aligned, no longer than an object can be; the rest is the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(first, count as usize) })
}

/// The set behind a handle. Hot.
///
/// # Safety
///
/// Unless null or zeroed, `endpoints` was set by mcrpc_endpoints_init(), and its memory is still there.
#[inline]
pub(crate) unsafe fn get<'a>(endpoints: *const mcrpc_endpoints_t) -> Result<&'a EndpointSet<'static>, Status> {
    pointer::check(endpoints)?;
    // SAFETY: not null and aligned; readable by the caller's promise, and any bytes are a valid u64.
    if unsafe { (&raw const (*endpoints.cast::<Tagged>()).tag).read() } != TAG {
        return Err(Status::NOT_INITIALISED);
    }
    // SAFETY: the tag says that init wrote a `Tagged` here; nobody writes to a handle in use.
    Ok(unsafe { &(*endpoints.cast::<Tagged>()).set })
}

/// What the host tells; nothing for NULL. Hot.
///
/// # Safety
///
/// `host` is NULL or was set by mcrpc_host_open() or _create().
#[inline]
pub(crate) unsafe fn view<'a>(host: *const mcrpc_host_t) -> Result<HostView<'a, 'static>, Status> {
    if host.is_null() {
        return Ok(HostView::default());
    }
    // SAFETY: the caller's promise.
    let host = unsafe { host::get(host) }?;
    Ok(HostView { control: host.control.get(), strategy: host.strategy.get(), fail: host.fail.get() })
}
