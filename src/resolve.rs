//! `mcrpc resolve`: the servers of a service, as the programs of this host find them.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use mcrpc::{Client, Failure, Status};
use mcrpc_agent::names::{ListFile, ServiceList, directory_of, file_of, services_in, socket_of};
use mcrpc_core::host::files::DEFAULT_DIRECTORY;

const AGENT: &str = "mcrpc.Names";
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one question for news waits.
const NEWS_WITHIN: Duration = Duration::from_secs(30);

/// The options of `mcrpc resolve`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The service; without one, all services, and how it stands with etcd
    service: Option<String>,
    /// Only the servers that a caller with this strategy uses, from --region and --zone: anywhere, zone_first, region,
    /// zone_only or one_zone_by_hash
    #[arg(long, value_name = "NAME", requires = "service")]
    strategy: Option<String>,
    /// The region of that caller
    #[arg(long, value_name = "NAME", requires = "strategy")]
    region: Option<String>,
    /// Its zone
    #[arg(long, value_name = "NAME", requires = "strategy")]
    zone: Option<String>,
    /// Its user, for one_zone_by_hash
    #[arg(long, value_name = "NUMBER", requires = "strategy")]
    uin: Option<u64>,
    /// Go on, and show the list again whenever it changes
    #[arg(long, requires = "service")]
    watch: bool,
    /// The host's directory
    #[arg(long, value_name = "DIR", env = "MCRPC_DIR", default_value = DEFAULT_DIRECTORY)]
    dir: PathBuf,
}

/// Asks the agent; if there is none, its files.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let agent = Client::builder("mcrpc-resolve")
        .service(AGENT, [format!("unix:{}", socket_of(&options.dir).display())])
        .build()?;
    let ask = |method: &str, text: String, within| agent.call(AGENT, method, text).timeout(within).wait();
    let Some(service) = &options.service else {
        let text = ask("mcrpc.Names.Status", String::new(), PATIENCE)
            .map_or_else(|_| without_agent(&options.dir), |text| Ok(String::from_utf8_lossy(&text).into_owned()))?;
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    };
    let question = options.question(service);
    let list = match ask("mcrpc.Names.Resolve", question.clone(), PATIENCE) {
        Ok(text) => ServiceList::parse(&String::from_utf8_lossy(&text)).map_err(anyhow::Error::msg)?,
        Err(failure) if matches!(failure.status(), Status::NO_SERVICE | Status::INVALID_ARGUMENT) => {
            return Err(failure.into());
        }
        Err(_) => {
            eprintln!("mcrpc: no agent answers in {}: this is what it knew last, of all zones", options.dir.display());
            let path = file_of(&directory_of(&options.dir), service).context("this is no name of a service")?;
            ListFile::open(&path)?.list().clone()
        }
    };
    print!("{list}");
    if options.watch {
        watch(list.version, |known| ask("mcrpc.Names.Resolve", format!("{question} known={known}"), NEWS_WITHIN))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows each list that has another version than the one before.
fn watch(mut known: u64, ask: impl Fn(u64) -> Result<Bytes, Failure>) -> Result<Infallible> {
    loop {
        let Ok(text) = ask(known) else {
            // The agent may be started again.
            std::thread::sleep(PATIENCE);
            continue;
        };
        let list = ServiceList::parse(&String::from_utf8_lossy(&text)).map_err(anyhow::Error::msg)?;
        if list.version != known {
            print!("{list}");
        }
        known = list.version;
    }
}

impl Options {
    fn question(&self, service: &str) -> String {
        let texts = [("strategy", &self.strategy), ("region", &self.region), ("zone", &self.zone)];
        let words = texts.into_iter().filter_map(|(key, value)| Some(format!(" {key}={}", value.as_ref()?)));
        let uin = self.uin.map(|uin| format!(" uin={uin}"));
        [service.to_owned()].into_iter().chain(words).chain(uin).collect()
    }
}

fn without_agent(dir: &Path) -> Result<String> {
    let lists = directory_of(dir);
    let services = services_in(&lists).with_context(|| format!("no agent answers, and {}", lists.display()))?;
    let mut text = "no agent answers; it knew last:\n".to_owned();
    for service in services {
        if let Ok(file) = ListFile::open(&lists.join(&service)) {
            let ServiceList { servers, source, version, .. } = file.list();
            text += &format!("{service}: {} servers, {}, version {version}\n", servers.len(), source.name());
        }
    }
    Ok(text)
}
