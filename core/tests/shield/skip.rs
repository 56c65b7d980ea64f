//! Which users a skip covers.

use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::shield::skip::Skip;

const USERS: u64 = 20_000;

fn covered(ratio: u16, salt: Salt) -> Vec<bool> {
    let skip = Skip { ratio: Per10k::new(ratio).unwrap(), salt };
    (0..USERS).map(|uin| skip.covers(Uin(uin))).collect()
}

#[test]
fn a_larger_ratio_only_adds_users() {
    let ratios = [0, 1, 50, 500, 1_000, 5_000, 9_999, 10_000];
    for salt in (0..4).map(Salt) {
        let mut fewer = covered(0, salt);
        for ratio in ratios {
            let more = covered(ratio, salt);
            assert!(fewer.iter().zip(&more).all(|(&fewer, &more)| more || !fewer), "{ratio}");
            let count = more.iter().filter(|&&covered| covered).count() as u64;
            let wanted = USERS * u64::from(ratio) / 10_000;
            // Five standard deviations of the worst ratio.
            assert!(count.abs_diff(wanted) <= 5 * 71, "{ratio}: {count} instead of {wanted}");
            fewer = more;
        }
        assert!(covered(0, salt).iter().all(|&covered| !covered));
        assert!(fewer.iter().all(|&covered| covered));
    }
}

/// Another rotation hits others: of a tenth of the users a tenth again.
#[test]
fn a_rotation_hits_other_users() {
    let [now, then] = [1, 2].map(|epoch| covered(1_000, Salt(7).at_epoch(epoch)));
    let both = now.iter().zip(&then).filter(|&(&now, &then)| now && then).count();
    assert!((100..300).contains(&both), "{both} of {USERS}");
    assert_eq!(now, covered(1_000, Salt(7).at_epoch(1)), "always the same");
}
