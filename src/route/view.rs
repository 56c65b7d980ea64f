//! A route with its names, for people and for programs.

use std::fmt;

use mcrpc_agent::route::{GroupRule, NameId, NameSet, Names, Route, Server, strategy_name};
use serde::Serialize;

use crate::host::listing::{Listing, number, text};
use crate::host::text::percent;

const NOTHING: &str = "–";
/// Users of a rule that are shown to people.
const USERS_SHOWN: usize = 5;

/// What a client uses. The fields are called as the keys of the files are.
#[derive(Debug, Serialize)]
pub(super) struct View {
    service: String,
    service_id: u32,
    client_file: String,
    route_file: String,
    route_is_global: bool,
    timeouts: Timeouts,
    retry: Retry,
    shield: Shield,
    zone: Zone,
    groups: Vec<Rule>,
    servers: Vec<ServerView>,
}

#[derive(Debug, Serialize)]
struct Timeouts {
    connect_ms: u32,
    call_ms: u32,
}

#[derive(Debug, Serialize)]
struct Retry {
    max_attempts: u8,
    budget_per_10k: u16,
    backup_per_10k: u16,
}

#[derive(Debug, Serialize)]
struct Shield {
    fail_count: u32,
    new_fail_count: u32,
    use_mmlb: bool,
    max_shielded_percent: u8,
}

#[derive(Debug, Serialize)]
struct Zone {
    region: Option<String>,
    zone: Option<String>,
    strategy: &'static str,
}

#[derive(Debug, Serialize)]
struct Rule {
    group: Option<String>,
    share: String,
    uin: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct ServerView {
    endpoint: String,
    weight: u16,
    region: Option<String>,
    zone: Option<String>,
    group: Option<String>,
}

impl View {
    pub(super) fn of(route: &Route) -> View {
        let Route { service, servers, client, names, sources } = route;
        View {
            service: service.name.clone(),
            service_id: service.id,
            client_file: sources.client.display().to_string(),
            route_file: sources.route.display().to_string(),
            route_is_global: sources.is_global,
            timeouts: Timeouts { connect_ms: client.timeouts.connect.0, call_ms: client.timeouts.call.0 },
            retry: Retry {
                max_attempts: client.retry.max_attempts,
                budget_per_10k: client.retry.budget.get(),
                backup_per_10k: client.retry.backup.get(),
            },
            shield: Shield {
                fail_count: client.shield.fail_count,
                new_fail_count: client.shield.new_fail_count,
                use_mmlb: client.shield.use_mmlb,
                max_shielded_percent: client.shield.max_shielded_percent,
            },
            zone: Zone {
                region: name(&names.regions, client.zone.region),
                zone: name(&names.zones, client.zone.zone),
                strategy: strategy_name(client.zone.strategy),
            },
            groups: client.groups.iter().map(|rule| rule_view(rule, names)).collect(),
            servers: servers.iter().map(|server| server_view(server, names)).collect(),
        }
    }

    fn servers(&self) -> Listing {
        let columns = [text("endpoint"), number("weight"), text("region"), text("zone"), text("group")];
        let row = |server: &ServerView| {
            let place =
                [&server.region, &server.zone, &server.group].map(|name| or_nothing(name.as_deref()).to_owned());
            [server.endpoint.clone(), server.weight.to_string()].into_iter().chain(place).collect()
        };
        Listing {
            title: "Servers",
            columns: columns.to_vec(),
            rows: self.servers.iter().map(row).collect(),
            empty: "none.".to_owned(),
            notes: Vec::new(),
        }
    }
}

fn rule_view(rule: &GroupRule, names: &Names) -> Rule {
    let uin = rule.users.iter().map(|uin| uin.0).collect();
    Rule { group: name(&names.groups, rule.group), share: percent(rule.share), uin }
}

fn server_view(server: &Server, names: &Names) -> ServerView {
    ServerView {
        endpoint: server.endpoint.socket().to_string(),
        weight: server.weight,
        region: name(&names.regions, server.region),
        zone: name(&names.zones, server.zone),
        group: name(&names.groups, server.group),
    }
}

fn name(names: &NameSet, id: NameId) -> Option<String> {
    names.get(id).map(str::to_owned)
}

fn or_nothing(name: Option<&str>) -> &str {
    name.unwrap_or(NOTHING)
}

fn or_off(limit: u32) -> String {
    if limit == 0 { "off".to_owned() } else { limit.to_string() }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let View { timeouts, retry, shield, zone, .. } = self;
        let global = if self.route_is_global { " (for every IDC that has none of its own)" } else { "" };
        writeln!(f, "Service {}, id {}", self.service, self.service_id)?;
        writeln!(f, "Client file {}", self.client_file)?;
        writeln!(f, "Route file {}{global}", self.route_file)?;
        writeln!(f, "Timeouts: connect {} ms, call {} ms", timeouts.connect_ms, timeouts.call_ms)?;
        writeln!(
            f,
            "Retry: {} attempts at most; per 10 000 calls {} retries, {} backup requests",
            retry.max_attempts, retry.budget_per_10k, retry.backup_per_10k
        )?;
        writeln!(
            f,
            "Shield: FailCount {}, NewFailCount {}, MMLB {}; at most {} % of the endpoints",
            or_off(shield.fail_count),
            or_off(shield.new_fail_count),
            if shield.use_mmlb { "on" } else { "off" },
            shield.max_shielded_percent
        )?;
        let (region, own) = (or_nothing(zone.region.as_deref()), or_nothing(zone.zone.as_deref()));
        writeln!(f, "Zone: {}; callers in region {region}, zone {own}", zone.strategy)?;
        for rule in &self.groups {
            write!(f, "Group {}: {} of the users", or_nothing(rule.group.as_deref()), rule.share)?;
            if !rule.uin.is_empty() {
                let shown: Vec<_> = rule.uin.iter().take(USERS_SHOWN).map(u64::to_string).collect();
                let more = if rule.uin.len() > USERS_SHOWN { ", …" } else { "" };
                write!(f, ", and {} by name: {}{more}", rule.uin.len(), shown.join(", "))?;
            }
            writeln!(f)?;
        }
        write!(f, "{}", self.servers())
    }
}
