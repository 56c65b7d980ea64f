//! Consistent hashing: the same user, the same endpoint.

use mcrpc_core::host::region::Shared;
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::ring::{self, Ring, index_len, points_len};
use mcrpc_core::select::settings::{MAX_ENDPOINTS, Settings, Spec};

use super::{at, call, call_with, create, endpoint, owners, set_words, spec, words};

/// The owners of so many hashes among n endpoints, by a ring with this seed.
fn owners_of_hashes(n: u32, seed: u64, hashes: u64) -> Vec<usize> {
    let [points, index] = [points_len(n), index_len(n)].map(words);
    let members = (0..n as usize).map(|number| (number, endpoint(number).hash(seed)));
    ring::build(Shared::new(&points), Shared::new(&index), members);
    let ring = Ring::new(Shared::new(&points).view(), Shared::new(&index).view(), n);
    (0..hashes).map(|user| ring.find(Salt(77).hash(user))).collect()
}

/// One more takes its share of the users and no more, and nobody moves between the others.
#[test]
fn one_more_endpoint_takes_only_its_own_users() {
    const USERS: u64 = 2_000;
    for n in [1, 2, 3, 10, 30, 100, 300] {
        let seeds = if n < 100 { 12 } else { 4 };
        let mut moved = 0;
        for seed in 0..seeds {
            let (before, after) = (owners_of_hashes(n, seed, USERS), owners_of_hashes(n + 1, seed, USERS));
            for (before, after) in before.iter().zip(&after) {
                assert!(before == after || *after == n as usize, "{n} endpoints: {before} to {after}");
                moved += u64::from(before != after);
            }
        }
        let share = moved as f64 / (seeds * USERS) as f64;
        // Of the few users that were asked: three standard deviations more.
        let deviation = (1.0 / f64::from(n + 1) / (seeds * USERS) as f64).sqrt();
        let limit = 1.1 / f64::from(n + 1) + 3.0 * deviation;
        assert!(share <= limit, "{n} endpoints: {share} of the users move, {limit} may");
        assert!(share >= 0.8 / f64::from(n + 1) - 3.0 * deviation, "{n} endpoints: {share} of the users move");
    }
}

#[test]
fn a_hundred_endpoints_are_loaded_evenly() {
    const USERS: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    for seed in 0..4 {
        let mut loads = [0u32; 100];
        owners_of_hashes(100, seed, USERS).into_iter().for_each(|owner| loads[owner] += 1);
        let mean = USERS as f64 / 100.0;
        let (max, min) = (f64::from(*loads.iter().max().unwrap()), f64::from(*loads.iter().min().unwrap()));
        assert!(max / mean <= 1.15 && min / mean >= 0.8, "seed {seed}: {} to {} of the mean", min / mean, max / mean);
    }
}

#[test]
fn every_size_of_ring_finds_each_of_its_endpoints() {
    for n in (1..=40).chain([MAX_ENDPOINTS]) {
        let found = owners_of_hashes(n, 9, u64::from(n) * 40);
        assert!(found.iter().all(|&owner| owner < n as usize));
        assert!((0..n as usize).all(|owner| found.contains(&owner)), "{n} endpoints");
    }
}

/// The first attempts of users, with the endpoints listed in an order.
fn owners_listed(order: &dyn Fn(usize) -> usize, count: usize, settings: &Settings) -> Vec<Option<u64>> {
    let memory = set_words(settings);
    let (set, host) = (create(&memory, settings), HostView::default());
    set.replace(count, &|index| Spec { weight: 50 + (order(index) % 3) as u16, ..spec(order(index)) }, &[], &host)
        .unwrap();
    owners(&set, &host, 1..2_000)
}

#[test]
fn the_order_of_the_list_does_not_matter() {
    let settings = Settings::DEFAULT;
    for count in [2, 7, 40] {
        let listed = owners_listed(&|index| index, count, &settings);
        let others: [&dyn Fn(usize) -> usize; 2] = [&|index| count - 1 - index, &|index| (index + count / 2) % count];
        for order in others {
            assert_eq!(owners_listed(order, count, &settings), listed, "{count} endpoints");
        }
        let other_key = Settings { ring_seed: 1, ..settings };
        assert_ne!(owners_listed(&|index| index, count, &other_key), listed, "another key, another ring");
    }
}

#[test]
fn a_user_stays_with_an_endpoint_and_calls_without_a_user_do_not() {
    let memory = set_words(&Settings::DEFAULT);
    let (set, host) = (create(&memory, &Settings::DEFAULT), HostView::default());
    set.replace(10, &spec, &[], &host).unwrap();
    let of = |uin, call_id| {
        let mut call = call_with(uin, call_id);
        assert_eq!(call.uin, Uin(uin));
        set.select(&mut call, Attempt::Next, &host, at(call_id)).unwrap().index
    };
    for uin in 1..100 {
        assert!((0..20).all(|call_id| of(uin, call_id) == of(uin, 0)));
    }
    let of_nobody: Vec<u32> = (0..200).map(|call_id| of(0, call_id)).collect();
    assert!((0..10).all(|index| of_nobody.contains(&index)));
}

/// A heavy endpoint among light ones: these have their share together, though each of their draws is mostly lost.
#[test]
fn many_light_endpoints_have_their_share_beside_a_heavy_one() {
    const USERS: u64 = 20_000;
    for (count, heavy) in [(10, 10), (10, 100), (100, 10), (100, 100)] {
        let (memory, host) = (set_words(&Settings::DEFAULT), HostView::default());
        let set = create(&memory, &Settings::DEFAULT);
        set.replace(count, &|index| Spec { weight: if index == 0 { heavy } else { 1 }, ..spec(index) }, &[], &host)
            .unwrap();
        let chosen = |uin| set.select(&mut call(uin), Attempt::Next, &host, at(0)).unwrap().index;
        let light = (1..=USERS).filter(|&uin| chosen(uin) != 0).count() as f64 / USERS as f64;
        let wanted = (count - 1) as f64 / ((count - 1) as f64 + f64::from(heavy));
        assert!((light - wanted).abs() <= wanted * 0.12, "{count}, {heavy}: {light} instead of {wanted}");
    }
}

/// Three endpoints of different weights: their users are in this proportion, and 0 takes none.
#[test]
fn weights_are_respected() {
    const USERS: u64 = if cfg!(debug_assertions) { 40_000 } else { 400_000 };
    let cases: [&[u16]; 6] = [
        &[100, 100, 100, 100],
        &[100, 50, 50, 50],
        &[1, 2, 3, 4],
        &[10_000, 10_000, 5_000, 1],
        &[7, 0, 7, 0],
        &[1, 100, 1, 100],
    ];
    for weights in cases {
        let count = weights.len() * 4;
        let weight = |index: usize| weights[index % weights.len()];
        let memory = set_words(&Settings::DEFAULT);
        let (set, host) = (create(&memory, &Settings::DEFAULT), HostView::default());
        set.replace(count, &|index| Spec { weight: weight(index), ..spec(index) }, &[], &host).unwrap();
        let mut loads = vec![0u64; weights.len()];
        for uin in 1..=USERS {
            let choice = set.select(&mut call(uin), Attempt::Next, &host, at(0)).unwrap();
            loads[choice.index as usize % weights.len()] += 1;
        }
        let total: u64 = weights.iter().copied().map(u64::from).sum();
        for (&weight, &load) in weights.iter().zip(&loads) {
            let (wanted, load) = (f64::from(weight) / total as f64, load as f64 / USERS as f64);
            // The rings of four endpoints of each weight are uneven by up to a tenth.
            assert!((load - wanted).abs() <= wanted * 0.12 + 0.003, "{weights:?}: {load} instead of {wanted}");
        }
    }
}
