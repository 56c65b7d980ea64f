//! The share of the users that each machine has while all are well.
//!
//! It is what the library's own ring gives it, for many users who are drawn at random: a second or two of traffic would say the
//! same with an error of a tenth, which is as much as a share may be off before it counts as not back.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;

use anyhow::{Result, anyhow};
use mcrpc_core::admission::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::Uin;
use mcrpc_core::select::call::{Attempt, Call};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{Settings, Spec, ZoneStrategy};
use mcrpc_core::status::Status;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::Nanos;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::plan::{Fault, OWN_ZONE};

const USERS: u32 = 50_000;

/// The shares of the machines that have these ports, in their order.
pub(crate) fn usual(fault: Fault, ports: &[u16]) -> Result<Vec<f64>> {
    shares(fault, ports).map_err(|status| anyhow!("cannot place the machines on a ring: {status:?}"))
}

fn shares(fault: Fault, ports: &[u16]) -> Result<Vec<f64>, Status> {
    let settings = match fault {
        Fault::Zone => Settings { zone_strategy: ZoneStrategy::ZoneFirst, zone: OWN_ZONE, ..Settings::DEFAULT },
        _ => Settings::DEFAULT,
    };
    let words: Vec<_> = (0..EndpointSet::memory_len(&settings)?).map(|_| AtomicU64::new(0)).collect();
    let set = EndpointSet::create(Shared::new(&words), &settings)?;
    let specs: Vec<_> = fault
        .machines()
        .iter()
        .zip(ports)
        .map(|(machine, &port)| Spec {
            endpoint: Endpoint::new(SocketAddr::from(([127, 0, 0, 1], port)), 0),
            weight: machine.weight,
            region: 0,
            zone: machine.zone,
            group: 0,
            user_data: 0,
        })
        .collect();
    let host = HostView::default();
    set.replace(specs.len(), &|index| specs[index], &[], &host)?;
    let mut counts = vec![0_u32; specs.len()];
    let mut rng = StdRng::seed_from_u64(1);
    for call_id in 0..USERS.into() {
        let uin = Uin(rng.random_range(1..=u64::MAX));
        let target = Target { service_id: 0, method_id: 0 };
        let mut call = Call::new(uin, call_id, Key(0), target, Nanos::NEVER);
        counts[set.select(&mut call, Attempt::Next, &host, Nanos(1))?.index as usize] += 1;
    }
    Ok(counts.into_iter().map(|count| f64::from(count) / f64::from(USERS)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_about_the_weights_within_the_zone_that_is_used() {
        let ports = [20_001, 20_002, 20_003, 20_004, 20_005, 20_006];
        for (fault, whole) in [(Fault::Slow, 700.0), (Fault::Zone, 350.0)] {
            let shares = usual(fault, &ports).unwrap();
            for (machine, share) in fault.machines().iter().zip(&shares) {
                let in_use = fault != Fault::Zone || machine.zone == OWN_ZONE;
                let expected = if in_use { f64::from(machine.weight) / whole } else { 0.0 };
                assert!((share - expected).abs() < 0.25 * expected + 1e-9, "{fault:?} {share} {expected}");
            }
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}
