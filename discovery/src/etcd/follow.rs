//! What etcd has is listed, then watched from the next revision on. After each fault it is listed again and the difference
//! takes effect: a fault takes nothing from any list.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::access::Access;
use super::api::event::EventType;
use super::backoff::Backoff;
use super::client::{Client, EtcdError};
use super::entry::Prefix;
use crate::event::Event;
use crate::names::Names;
use crate::table::EtcdState;

/// A watch that was there for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// Where etcd is, and what is there.
#[derive(Clone, Debug)]
pub struct Etcd {
    /// Its members, as `http://127.0.0.1:2379` or `https://`; another one is asked after each fault.
    pub endpoints: Vec<String>,
    /// How they are reached, and who this agent is to them.
    pub access: Access,
    /// What the keys of servers begin with.
    pub prefix: Prefix,
    /// Servers leave etcd when their agent has been silent for so long.
    pub ttl: Duration,
}

/// Follows etcd for ever.
pub(crate) async fn follow(etcd: &Etcd, names: &Names, tell: &UnboundedSender<Event>) {
    let (mut backoff, mut is_told) = (Backoff::default(), false);
    for address in etcd.endpoints.iter().cycle() {
        let began = Instant::now();
        let Err(error) = follow_one(etcd, address, names, tell).await;
        if began.elapsed() >= GOOD {
            backoff.reset();
        }
        let state = EtcdState::Away(error.to_string());
        let before = std::mem::replace(&mut names.table().etcd, state);
        // Once for each time that it goes away, or if it is away from the beginning.
        if !is_told || !matches!(before, EtcdState::Away(_)) {
            is_told = true;
            let _ = tell.send(Event::NotFollowed(error));
        }
        sleep(backoff.next()).await;
    }
}

async fn follow_one(
    Etcd { prefix, access, .. }: &Etcd,
    address: &str,
    names: &Names,
    tell: &UnboundedSender<Event>,
) -> Result<Infallible, EtcdError> {
    let client = Client::connect(address, access).await?;
    let (keys, revision) = client.list(prefix.range()).await?;
    let mut bad = Vec::new();
    let servers: Vec<_> =
        keys.iter().filter_map(|kv| prefix.parse(&kv.key, &kv.value).map_err(|what| bad.push(what)).ok()).collect();
    let mut watch = client.watch(prefix.range(), revision + 1).await?;
    let (servers, held) = {
        let mut table = names.table();
        table.registry.replace_all(servers);
        table.etcd = EtcdState::Followed(revision);
        table.registry.counts()
    };
    let _ = tell.send(Event::Followed { address: address.to_owned(), servers, held });
    bad.into_iter().for_each(|what| _ = tell.send(Event::LeftOut(what)));
    loop {
        let response = watch.next().await?;
        let mut table = names.table();
        for event in response.events {
            let is_put = event.r#type() == EventType::Put;
            let Some(kv) = event.kv else { continue };
            let done = if is_put {
                prefix.parse(&kv.key, &kv.value).map(|(service, server)| table.registry.put(&service, server))
            } else {
                // What was left out is not missed.
                prefix.parse_key(&kv.key).map(|(service, address)| table.registry.delete(&service, address)).or(Ok(()))
            };
            if let Err(what) = done {
                let _ = tell.send(Event::LeftOut(what));
            }
        }
    }
}
