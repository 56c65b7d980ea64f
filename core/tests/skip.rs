//! Given a skip of a ratio, then exactly that share of all users is hit, always the same ones, and a larger ratio only adds
//! some.

use std::hint::black_box;
use std::ops::Range;

use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::shield::skip::Skip;

const THREADS: u64 = 2;
/// Every uin of 32 bits.
const USERS: u64 = 1 << 32;

fn skip(ratio: u16) -> Skip {
    Skip { ratio: Per10k::new(ratio).unwrap(), salt: Salt(0x243f_6a88_85a3_08d3) }
}

/// How many of the users are hit, and for how many of them that changes when they are asked about again.
fn hit(users: Range<u64>) -> (u64, u64) {
    let (first, again) = (skip(2_500), skip(2_500));
    users.fold((0, 0), |(hit, changed), uin| {
        let is_hit = first.covers(Uin(uin));
        (hit + u64::from(is_hit), changed + u64::from(is_hit != black_box(again).covers(Uin(uin))))
    })
}

#[test]
#[cfg_attr(debug_assertions, ignore = "asks about four billion users: cargo test --release -p mcrpc-core --test skip")]
fn a_ratio_of_a_quarter_hits_a_quarter_of_all_users_and_always_the_same() {
    let part = |thread: u64| thread * USERS / THREADS..(thread + 1) * USERS / THREADS;
    let (hit, changed) = std::thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| scope.spawn(move || hit(part(thread))));
        let threads: Vec<_> = threads.collect();
        let counts = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        counts.fold((0, 0), |(hit, changed), (more, also)| (hit + more, changed + also))
    });
    let percent = hit as f64 * 100.0 / USERS as f64;
    assert!((24.99..=25.01).contains(&percent), "{percent} %");
    assert_eq!(changed, 0);
}

#[test]
fn a_user_that_a_ratio_hits_is_hit_by_every_larger_one() {
    for uin in (0..2_000u64).map(|number| number * 2_147_483) {
        let threshold =
            (0..=10_000).find(|&ratio| skip(ratio).covers(Uin(uin))).expect("a ratio of all hits everybody");
        assert!(threshold > 0, "a ratio of 0 hits nobody");
        assert!((threshold..=10_000).all(|ratio| skip(ratio).covers(Uin(uin))), "{uin}");
    }
}

#[test]
fn another_key_hits_other_users() {
    let both = (1..=100_000u64).filter(|&uin| {
        let other = Skip { salt: Salt(8), ..skip(2_500) };
        skip(2_500).covers(Uin(uin)) && other.covers(Uin(uin))
    });
    // A quarter of a quarter: six standard deviations are 460.
    assert!(both.count().abs_diff(6_250) < 460);
}
