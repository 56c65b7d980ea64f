//! The two ways to call the library, and the work that is given to both.

use std::ffi::CString;
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt as _;

use mcrpc_core::admission::Key;
use mcrpc_core::host::control::{Control, Target};
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::call::{Attempt, Call, Choice};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::shield::breaker::Reason;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::table::Table;
use mcrpc_core::time::Nanos;
use mcrpc_ffi::endpoints::{mcrpc_endpoint_spec_t, mcrpc_endpoints_config_t, mcrpc_endpoints_t};
use mcrpc_ffi::host::{mcrpc_host_config_t, mcrpc_host_t};
use mcrpc_ffi::select::{MCRPC_ATTEMPT_NEXT, mcrpc_call_t, mcrpc_choice_t};
use mcrpc_ffi::strategy::mcrpc_endpoint_t;

use crate::api::Api;
use crate::world::{NOW, Trouble, World};

/// What a call takes, in ns.
const ELAPSED_NS: u64 = 1_000_000;
const KEY: u32 = 1_000;
const TARGET: Target = Target { service_id: 7, method_id: 1 };
/// No success more than this is needed to empty an endpoint's bucket.
const MAX_LEVEL: usize = 64;

/// Who calls the library.
pub trait Caller {
    type Call;
    type Choice;

    fn call(&self, uin: u64, call_id: u64) -> Self::Call;
    fn select(&self, call: &mut Self::Call) -> Option<Self::Choice>;
    fn report(&self, choice: &Self::Choice, outcome: Outcome);
    fn index(choice: &Self::Choice) -> usize;
}

/// Users in random order.
pub struct Users(pub u64);

impl Users {
    #[inline(always)]
    fn next(&mut self) -> u64 {
        self.0 += 1;
        Salt(1).hash(self.0)
    }
}

/// The work; compiled for each caller, and called once for each batch.
pub trait Work: Caller {
    /// Calls that succeed.
    fn calls(&self, users: &mut Users, count: u64);
    /// Calls whose first attempt fails and whose second one succeeds.
    fn retried_calls(&self, users: &mut Users, count: u64);
    /// Reports of a success, for each of the choices in turn.
    fn reports(&self, choices: &[Self::Choice], count: u64);
    /// A choice of each of the first `endpoints` endpoints.
    fn choices(&self, endpoints: usize) -> Vec<Self::Choice>;
}

impl<C: Caller> Work for C {
    #[inline(never)]
    fn calls(&self, users: &mut Users, count: u64) {
        for _ in 0..count {
            let uin = users.next();
            let mut call = self.call(uin, uin);
            let choice = self.select(&mut call);
            self.report(&choice.expect("there is an endpoint for everybody"), Outcome::Ok);
        }
    }

    #[inline(never)]
    fn retried_calls(&self, users: &mut Users, count: u64) {
        for _ in 0..count {
            let uin = users.next();
            let mut call = self.call(uin, uin);
            for outcome in [Outcome::Failed, Outcome::Ok] {
                let choice = self.select(&mut call);
                self.report(&choice.expect("there is an endpoint for every attempt"), outcome);
            }
        }
    }

    #[inline(never)]
    fn reports(&self, choices: &[C::Choice], count: u64) {
        let mut turn = choices.iter().cycle();
        for _ in 0..count {
            self.report(turn.next().expect("there are choices"), Outcome::Ok);
        }
    }

    fn choices(&self, endpoints: usize) -> Vec<C::Choice> {
        let (mut users, mut choices) = (Users(0), Vec::<C::Choice>::new());
        while choices.len() < endpoints {
            let uin = users.next();
            let choice = self.select(&mut self.call(uin, uin)).expect("there is an endpoint for everybody");
            let index = C::index(&choice);
            if index < endpoints && choices.iter().all(|known| C::index(known) != index) {
                choices.push(choice);
            }
        }
        choices
    }
}

/// Through Rust.
pub struct Rust<'a> {
    set: EndpointSet<'a>,
    control: Control<'a>,
    strategy: Table<'a>,
    fail: FailBuckets<'a>,
}

impl<'a> Rust<'a> {
    pub fn new(world: &'a World) -> Rust<'a> {
        let rust = Rust {
            set: EndpointSet::create(world.memories[0].words(), &world.plan.settings()).unwrap(),
            control: Control::attach(world.control.view(), world.control.len()).unwrap(),
            strategy: Table::attach(world.strategy.view(), world.strategy.len()).unwrap(),
            fail: FailBuckets::attach(world.fail.shared(), world.fail.len()).unwrap(),
        };
        rust.set.replace(world.plan.endpoints, &|index| world.plan.spec(index), &[], &rust.view()).unwrap();
        if let Trouble::Shielded(count) = world.plan.trouble {
            for index in 0..count {
                let health = rust.set.health(index, &rust.view()).unwrap();
                health.trip(Reason::Rate, &world.plan.settings().rules.breaker, NOW);
            }
        }
        rust
    }

    #[inline(always)]
    fn view(&self) -> HostView<'_, 'a> {
        HostView { control: Some(&self.control), strategy: Some(&self.strategy), fail: Some(&self.fail) }
    }

    /// Has every endpoint succeed until nothing is held against it.
    pub fn settle(&self) {
        for index in 0..self.set.len() {
            let health = self.set.health(index, &self.view()).unwrap();
            for _ in 0..MAX_LEVEL {
                health.report(Outcome::Ok, false, &self.set.settings().rules, NOW);
            }
            assert!(health.breaker().is_calm(), "an endpoint was shielded by failures meant to be too few for that");
        }
    }
}

impl Caller for Rust<'_> {
    type Call = Call;
    type Choice = Choice;

    #[inline(always)]
    fn call(&self, uin: u64, call_id: u64) -> Call {
        Call::new(Uin(uin), call_id, Key(KEY), TARGET, Nanos::NEVER)
    }

    #[inline(always)]
    fn select(&self, call: &mut Call) -> Option<Choice> {
        self.set.select(call, Attempt::Next, &self.view(), NOW).ok()
    }

    #[inline(always)]
    fn report(&self, choice: &Choice, outcome: Outcome) {
        self.set.report(black_box(choice), outcome, ELAPSED_NS, &self.view(), NOW);
    }

    fn index(choice: &Choice) -> usize {
        choice.index as usize
    }
}

/// Through the C ABI of the shared library.
pub struct C<'a> {
    api: &'a Api,
    endpoints: mcrpc_endpoints_t,
    /// Stays where it is.
    host: Box<mcrpc_host_t>,
}

// SAFETY: any number of threads may use the library's handles at once; they are only read here.
unsafe impl Sync for C<'_> {}

impl<'a> C<'a> {
    pub fn new(api: &'a Api, world: &'a World) -> C<'a> {
        let path = CString::new(world.path.as_os_str().as_bytes()).unwrap();
        let mut c = C {
            api,
            endpoints: mcrpc_endpoints_t { opaque: [0; 24] },
            host: Box::new(mcrpc_host_t { opaque: [0; 512] }),
        };
        let (config, memory) = (config(world), &world.memories[1]);
        let specs: Vec<_> = (0..world.plan.endpoints).map(|index| spec(world, index)).collect();
        // The strategies count although nobody refreshes them meanwhile.
        let host = mcrpc_host_config_t { max_age_ms: 3_600_000, ..Default::default() };
        // SAFETY: path, specs and configuration are live; the memory is aligned, long enough, there while the world is, and
        // used by this set only; both handles are ours and new.
        unsafe {
            assert_eq!((api.host_open)(path.as_ptr(), &raw const host, NOW.0, &raw mut *c.host), 0);
            let (start, len) = (memory.as_mut_ptr().cast(), memory.len());
            assert_eq!((api.endpoints_init)(start, len, &raw const config, &raw mut c.endpoints), 0);
            let (specs, count) = (specs.as_ptr(), specs.len() as u32);
            assert_eq!((api.endpoints_replace)(&c.endpoints, &*c.host, specs, count, std::ptr::null(), 0), 0);
        }
        c
    }
}

impl Drop for C<'_> {
    fn drop(&mut self) {
        // SAFETY: opened in `new`, and used by nobody any more.
        unsafe { (self.api.host_close)(&raw mut *self.host) };
    }
}

impl Caller for C<'_> {
    type Call = mcrpc_call_t;
    type Choice = mcrpc_choice_t;

    #[inline(always)]
    fn call(&self, uin: u64, call_id: u64) -> mcrpc_call_t {
        let Target { service_id, method_id } = TARGET;
        mcrpc_call_t { uin, call_id, key: KEY, service_id, method_id, ..Default::default() }
    }

    #[inline(always)]
    fn select(&self, call: &mut mcrpc_call_t) -> Option<mcrpc_choice_t> {
        let mut choice = mcrpc_choice_t::default();
        let (endpoints, host) = (&raw const self.endpoints, &raw const *self.host);
        // SAFETY: both handles were set up in `new`; call and choice are live and this thread's own.
        let code = unsafe { (self.api.select)(endpoints, host, call, MCRPC_ATTEMPT_NEXT, NOW.0, &raw mut choice) };
        (code == 0).then_some(choice)
    }

    #[inline(always)]
    fn report(&self, choice: &mcrpc_choice_t, outcome: Outcome) {
        let (endpoints, host) = (&raw const self.endpoints, &raw const *self.host);
        // SAFETY: as for `select`.
        unsafe { (self.api.report)(endpoints, host, choice, outcome as u32, ELAPSED_NS, NOW.0) };
    }

    fn index(choice: &mcrpc_choice_t) -> usize {
        choice.index as usize
    }
}

fn config(world: &World) -> mcrpc_endpoints_config_t {
    let settings = world.plan.settings();
    let (breaker, [retries, backups]) = (settings.rules.breaker, [settings.retries, settings.backups]);
    mcrpc_endpoints_config_t {
        struct_size: size_of::<mcrpc_endpoints_config_t>() as u32,
        capacity: settings.capacity,
        scope: settings.scope as u32,
        zone_strategy: settings.zone_strategy as u32,
        region: settings.region.into(),
        zone: settings.zone.into(),
        max_attempts: settings.max_attempts.into(),
        max_shielded_per_10k: settings.max_shielded.get().into(),
        retry_ratio_per_10k: retries.ratio.get().into(),
        retry_burst: retries.burst.into(),
        backup_ratio_per_10k: backups.ratio.get().into(),
        backup_burst: backups.burst.into(),
        fail_count: 0,
        backoff_min_ms: breaker.backoff_min_ms,
        backoff_max_ms: breaker.backoff_max_ms,
        probe_lease_ms: breaker.probe_lease_ms,
        ramp_ms: breaker.ramp_ms,
        memory_ms: breaker.memory_ms,
        ring_seed: settings.ring_seed,
    }
}

fn spec(world: &World, index: usize) -> mcrpc_endpoint_spec_t {
    let spec = world.plan.spec(index);
    let endpoint = mcrpc_endpoint_t {
        address: spec.endpoint.address.to_be_bytes(),
        service_id: spec.endpoint.service_id,
        port: spec.endpoint.port,
        reserved: 0,
    };
    let (weight, region, zone, group) = (spec.weight, spec.region, spec.zone, spec.group);
    mcrpc_endpoint_spec_t { endpoint, weight, region, zone, group, user_data: spec.user_data, ..Default::default() }
}
