//! The call that is asked about: its options on the command line, and the set of endpoints that it would be made with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, Result, anyhow, bail};
use mcrpc_agent::route::{Files, Route, load};
use mcrpc_core::admission::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::call::Call;
use mcrpc_core::select::settings::{GroupRule, MAX_ATTEMPTS, MAX_ENDPOINTS, Settings, Spec};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use mcrpc_core::wire::header::method_id;

use super::host::Known;
use crate::host::place::Moment;
use crate::host::text::{parse_id, parse_number};

/// The weight of an endpoint of which no file says one.
const WEIGHT: u16 = 100;

/// Which call.
#[derive(clap::Args)]
pub(super) struct Question {
    /// The user; 0 is a call without one
    #[arg(long, value_name = "UIN", value_parser = parse_number)]
    uin: u64,
    /// The service: its number, or with --routes its name
    #[arg(long, value_name = "SERVICE")]
    service: String,
    /// The method: its number or full name, as demo.Echo.Get
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The business id that travels with the call
    #[arg(long, value_name = "N", default_value_t = 0)]
    business: u16,
    /// The business priority, 0 (first) to 63
    #[arg(long, value_name = "N", default_value_t = 0)]
    priority: u8,
    /// The task that the call is part of, if the user alone does not name it
    #[arg(long, value_name = "ID", value_parser = parse_number, default_value = "0")]
    task: u64,
    /// The service has served an earlier call of the same task
    #[arg(long)]
    continues: bool,
    /// How long its caller still waits, in ms; without it for ever, 0: no longer
    #[arg(long, value_name = "MS")]
    timeout: Option<u32>,
    /// An endpoint where an earlier attempt of the call failed; may be said several times
    #[arg(long, value_name = "ADDRESS:PORT")]
    tried: Vec<SocketAddr>,
    /// Tokens left in the caller's budget of retries, which only its own memory knows; full if it is not said
    #[arg(long, value_name = "N")]
    tokens: Option<u16>,
    /// The request has waited so long in a local server's queue, in ms: would it still be run?
    #[arg(long, value_name = "MS")]
    waited: Option<u32>,
    /// The directory of client and route files; without it the endpoints are those that programs of this host have called
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// The IDC of the caller, for --routes
    #[arg(long, value_name = "IDC", requires = "routes")]
    idc: Option<String>,
}

/// The call, and what it would be made with.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) directory: String,
    pub(super) service: String,
    pub(super) method: Option<String>,
    pub(super) business: u16,
    pub(super) priority: u8,
    pub(super) timeout_ms: Option<u32>,
    pub(super) tokens: Option<u16>,
    pub(super) waited_ms: Option<u32>,
    pub(super) settings: Settings,
    pub(super) specs: Vec<Spec>,
    pub(super) rules: Vec<GroupRule>,
    /// Where the endpoints are from.
    pub(super) endpoints_from: String,
    /// The names of groups and zones.
    pub(super) route: Option<Route>,
    /// The words of the set.
    pub(super) memory: Vec<AtomicU64>,
}

impl Question {
    /// The call. Its endpoints are those of the files, or those that the host knows.
    pub(super) fn asked(&self, directory: &str, known: &Known<'_>, now: &Moment) -> Result<Asked> {
        let route = self.routes.as_ref().map(|root| self.route(root)).transpose()?;
        let service_id = match &route {
            Some(route) => route.service.id,
            None => {
                parse_id(&self.service).context("a service is named by its number, or by its name with --routes")?
            }
        };
        let method_id = match self.method.as_deref() {
            None => 0,
            Some(number) if number.starts_with(|first: char| first.is_ascii_digit()) => parse_id(number)?,
            Some(name) => method_id(name.as_bytes()),
        };
        if self.tried.len() > MAX_ATTEMPTS {
            bail!("no call is tried more than {MAX_ATTEMPTS} times: say fewer --tried");
        }
        let (specs, rules, endpoints_from) = match &route {
            Some(route) => (route.specs(), route.group_rules(), route.sources.route.display().to_string()),
            None => (
                known_endpoints(known, service_id, now),
                Vec::new(),
                "what programs of this host have called".to_owned(),
            ),
        };
        let capacity = (specs.len() as u32).clamp(1, MAX_ENDPOINTS);
        let settings = match &route {
            Some(route) => route.set_settings(capacity),
            None => Settings { capacity, ..Settings::DEFAULT },
        };
        let len = mcrpc_core::select::set::EndpointSet::memory_len(&settings)
            .map_err(|status| anyhow!("the settings of the route: {status}"))?;
        Ok(Asked {
            call: self.call(Target { service_id, method_id }, known, now),
            directory: directory.to_owned(),
            service: self.service.clone(),
            method: self.method.clone(),
            business: self.business,
            priority: self.priority,
            timeout_ms: self.timeout,
            tokens: self.tokens,
            waited_ms: self.waited,
            settings,
            specs,
            rules,
            endpoints_from,
            route,
            memory: (0..len).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    fn route(&self, root: &std::path::Path) -> Result<Route> {
        let idc = self.idc.as_deref().context("--routes needs the IDC of the caller: say --idc")?;
        Files::new(root, idc, &self.service).and_then(|files| load(&files)).map_err(|faults| anyhow!("{faults}"))
    }

    fn call(&self, target: Target, known: &Known<'_>, now: &Moment) -> Call {
        let salt = known.control.as_ref().map_or(Salt::default(), |control| control.salt());
        let salt = salt.at_hour_of(now.unix_s);
        let key = Key::new(salt, self.priority, Uin(self.uin), self.task);
        let deadline = match self.timeout {
            None => Nanos(0),
            Some(ms) => now.monotonic().plus(u64::from(ms) * NANOS_PER_MILLI),
        };
        let call = Call::new(Uin(self.uin), 1, key, target, deadline);
        let call = if self.continues { call.continuing() } else { call };
        let tried = self.tried.iter().map(|socket| Endpoint::new(*socket, target.service_id));
        tried.fold(call, |call, endpoint| call.after_attempt_at(&endpoint))
    }
}

/// The endpoints of a service of which the host's segment has a cell.
fn known_endpoints(known: &Known<'_>, service_id: u32, now: &Moment) -> Vec<Spec> {
    let levels = known.levels.iter().flat_map(|levels| levels.iter(now.monotonic()));
    let mut endpoints: Vec<Endpoint> =
        levels.filter_map(|level| level.endpoint).filter(|endpoint| endpoint.service_id == service_id).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints.truncate(MAX_ENDPOINTS as usize);
    let spec = |(number, endpoint)| Spec { endpoint, weight: WEIGHT, region: 0, zone: 0, group: 0, user_data: number };
    (0..).zip(endpoints).map(spec).collect()
}
