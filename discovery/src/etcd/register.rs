//! The servers of this host are put into etcd with a lease, which is renewed for as long as they are there. When the lease or
//! a key is lost, whatever the reason, they are put there again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::backoff::Backoff;
use super::client::{Client, EtcdError};
use super::entry::value_of;
use super::follow::Etcd;
use crate::event::Event;
use crate::names::Names;
use crate::table::EtcdState;

/// How often it is looked which servers there are.
const LOOKED_EACH: Duration = Duration::from_millis(100);
const GOOD: Duration = Duration::from_secs(10);

/// Service and address of a server, and its value in etcd.
type Entries = BTreeMap<(String, SocketAddr), String>;

/// Registers for ever.
pub(crate) async fn register(etcd: &Etcd, names: &Names, tell: &UnboundedSender<Event>) {
    let (mut backoff, mut was_told) = (Backoff::default(), false);
    for address in etcd.endpoints.iter().cycle() {
        while wanted(names).is_empty() {
            sleep(LOOKED_EACH).await;
        }
        let began = Instant::now();
        let mut has_registered = false;
        let registered = |servers| {
            has_registered = true;
            let _ = tell.send(Event::Registered(servers));
        };
        let Err(error) = register_at(etcd, address, names, registered).await;
        if began.elapsed() >= GOOD {
            backoff.reset();
        }
        // Once for each time that it fails.
        if !was_told || has_registered {
            let _ = tell.send(Event::NotRegistered(error));
        }
        was_told = true;
        sleep(backoff.next()).await;
    }
}

fn wanted(names: &Names) -> Entries {
    let table = names.table();
    table.local().map(|(service, server)| ((service.to_owned(), server.address), value_of(server))).collect()
}

async fn register_at(
    Etcd { prefix, access, ttl, .. }: &Etcd,
    address: &str,
    names: &Names,
    mut registered: impl FnMut(usize),
) -> Result<Infallible, EtcdError> {
    let client = Client::connect(address, access).await?;
    let mut lease = client.grant(*ttl).await?;
    let mut done = Entries::new();
    let (mut looks, mut renewed) = (interval(LOOKED_EACH), Instant::now());
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if renewed.elapsed() >= *ttl / 3 {
            lease.renew().await?;
            renewed = Instant::now();
            forget_lost(&mut done, names);
        }
        let wanted = wanted(names);
        if wanted == done {
            continue;
        }
        for ((service, address), value) in &wanted {
            if done.get(&(service.clone(), *address)) != Some(value) {
                client.put(prefix.key(service, *address), value.clone(), lease.id).await?;
            }
        }
        for (service, address) in done.keys().filter(|key| !wanted.contains_key(key)) {
            client.delete(prefix.key(service, *address)).await?;
        }
        registered(wanted.len());
        done = wanted;
    }
}

/// What somebody has taken out of etcd while its lease went on is to be put there again.
fn forget_lost(done: &mut Entries, names: &Names) {
    let table = names.table();
    if matches!(table.etcd, EtcdState::Followed(_)) {
        done.retain(|(service, address), _| table.registry.has(service, *address));
    }
}
