//! The options of `mcrpc agent` by which services are found, and what follows from them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mcrpc_agent::names::Place;
use mcrpc_agent::route::{NAME_EXPECTED, is_name, strategy_of};
use mcrpc_core::select::settings::ZoneStrategy;
use mcrpc_discovery::Settings;
use mcrpc_discovery::etcd::Prefix;
use mcrpc_discovery::etcd::access::Access;
use mcrpc_discovery::etcd::follow::Etcd;

/// How services are found.
#[derive(clap::Args)]
#[command(next_help_heading = "Services by name (docs/discovery.md)")]
// The options that these are a part of have the same name.
#[group(skip)]
pub(super) struct Options {
    /// Follow the servers in this etcd, and register those of this host there; members that are named by further options
    /// are asked when this one does not answer
    #[arg(long, value_name = "URL")]
    etcd: Vec<String>,
    /// The certificates in this file, one of which has signed etcd's, for members at https://
    #[arg(long, value_name = "FILE", requires = "etcd")]
    etcd_ca: Option<PathBuf>,
    /// Show etcd this certificate
    #[arg(long, value_name = "FILE", requires_all = ["etcd_ca", "etcd_key"])]
    etcd_cert: Option<PathBuf>,
    /// The private key of that certificate
    #[arg(long, value_name = "FILE", requires = "etcd_cert")]
    etcd_key: Option<PathBuf>,
    /// Be this user to etcd
    #[arg(long, value_name = "NAME", requires_all = ["etcd", "etcd_password_file"])]
    etcd_user: Option<String>,
    /// The password of that user is the first line of this file
    #[arg(long, value_name = "FILE", requires = "etcd_user")]
    etcd_password_file: Option<PathBuf>,
    /// What the keys of servers begin with in etcd
    #[arg(long, value_name = "PREFIX", default_value = "/mcrpc/services/")]
    etcd_prefix: Prefix,
    /// Servers of this host leave etcd when the agent has been silent for so long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = lease_time)]
    lease: Duration,
    /// A list that loses more than half of its servers within this time is not believed for as long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    hold: Duration,
    /// Serve the services of the client and route files below this directory too; they have the last word
    #[arg(long, value_name = "DIR", requires = "idc")]
    routes: Option<PathBuf>,
    /// The IDC of this host, whose client and route files are used
    #[arg(long, value_name = "NAME", requires = "routes")]
    idc: Option<String>,
    /// The region of this host
    #[arg(long, value_name = "NAME", value_parser = name)]
    region: Option<String>,
    /// The zone of this host, which is a part of its region
    #[arg(long, value_name = "NAME", value_parser = name)]
    zone: Option<String>,
    /// Which servers the programs of this host call: anywhere, zone_first, region, zone_only or one_zone_by_hash
    #[arg(long, value_name = "NAME", default_value = "anywhere", value_parser = strategy)]
    zone_strategy: ZoneStrategy,
    /// The address of this host, for servers that listen on all of its addresses
    #[arg(long, value_name = "IP")]
    advertise: Option<IpAddr>,
    /// Keep the lists of servers in this directory too, for a start without etcd after the machine was restarted
    #[arg(long, value_name = "DIR")]
    names_cache: Option<PathBuf>,
    /// Write all servers to this file, for Prometheus' file_sd_configs
    #[arg(long, value_name = "FILE")]
    file_sd: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(format!("expected {NAME_EXPECTED}")) }
}

fn strategy(text: &str) -> Result<ZoneStrategy, String> {
    strategy_of(text).ok_or_else(|| "expected anywhere, zone_first, region, zone_only or one_zone_by_hash".to_owned())
}

/// Not so short that one slow answer ends it.
fn lease_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time < Duration::from_secs(2) { Err("expected 2 s at least".to_owned()) } else { Ok(time) }
}

impl Options {
    /// What discovery is told.
    pub(super) fn settings(&self, host: &Path, socket_mode: u32) -> Result<Settings> {
        let (region, zone) = (self.region.clone().unwrap_or_default(), self.zone.clone().unwrap_or_default());
        let strategy = self.zone_strategy;
        if strategy != ZoneStrategy::Anywhere && region.is_empty() {
            bail!("--zone-strategy other than anywhere needs --region");
        }
        if matches!(strategy, ZoneStrategy::ZoneFirst | ZoneStrategy::ZoneOnly) && zone.is_empty() {
            bail!("--zone-strategy zone_first and zone_only need --zone");
        }
        let access = Access {
            ca: self.etcd_ca.clone(),
            identity: self.etcd_cert.clone().zip(self.etcd_key.clone()),
            user: self.etcd_user.clone().zip(self.etcd_password_file.clone()),
        };
        access.check(&self.etcd).context("--etcd")?;
        let prefix = self.etcd_prefix.clone();
        let etcd = Etcd { endpoints: self.etcd.clone(), access, prefix, ttl: self.lease };
        Ok(Settings {
            host: host.to_owned(),
            cache: self.names_cache.clone(),
            socket_mode,
            here: Place { region, zone, strategy },
            advertised: self.advertise,
            etcd: (!self.etcd.is_empty()).then_some(etcd),
            hold: self.hold,
            routes: self.routes.clone().zip(self.idc.clone()),
            file_sd: self.file_sd.clone(),
        })
    }
}
