use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::entry::Kind;
use mcrpc_core::strategy::generate::Evidence;

use super::*;

#[test]
fn only_what_differs_from_pass_all_is_published_and_its_return_once() {
    let mut host = Host::new(open("default"), 3);
    let strategies = host.second(&[(100, 0), (200, 100), (0, 0)]);
    assert_eq!(strategies.len(), 1);
    let Generated { endpoint: whose, entry, counts } = strategies[0];
    assert_eq!((whose, counts), (endpoint(1), Counts { requests: 200, failures: 100 }));
    assert_eq!((entry.pass_rate, entry.kind, entry.passes_all()), (per_10k(5_000), Kind::Normal, false));
    // Unchanged, and again: entries expire.
    assert_eq!(host.rates(&[]), [5_000]);
    assert!(host.second(&[(0, 0), (100, 0)])[0].entry.passes_all());
    assert!(host.second(&[(0, 0), (100, 0)]).is_empty());
}

#[test]
fn each_choice_decides_in_its_own_way() {
    for (choice, expected) in
        [("none", None), ("default", Some(5_000)), ("table", Some(2_000)), ("wilson", Some(5_316))]
    {
        let rates = Host::new(open(choice), 1).rates(&[(1_000, 500)]);
        assert_eq!(rates.first().copied(), expected, "{choice}");
    }
}

#[test]
fn the_first_totals_of_an_endpoint_say_nothing() {
    let mut generator = open("default");
    let long_ago = Totals { requests: 1_000_000, failures: 1_000_000 };
    assert!(generator.next([(endpoint(0), long_ago)], Nanos(0)).is_empty());
}

#[test]
fn totals_that_were_counted_anew_say_nothing_but_what_is_added_to_them_does() {
    for (requests, failures) in [(0, 0), (50, 50), (100_000, 0), (1 << 40, 1 << 40)] {
        let mut host = Host::new(open("default"), 1);
        assert_eq!(host.rates(&[(100_000, 50_000)]), [5_000]);
        host.totals[0] = Totals { requests, failures };
        assert_eq!(host.rates(&[]), [5_000], "{requests} {failures}");
        assert_eq!(host.rates(&[(100, 90)]), [1_000], "{requests} {failures}");
    }
}

#[test]
fn more_failures_than_requests_are_as_many() {
    // The two are not read in one instant.
    let strategies = Host::new(open("default"), 1).second(&[(20, 21)]);
    assert_eq!(strategies[0].counts, Counts { requests: 20, failures: 20 });
}

#[test]
fn an_endpoint_that_is_listed_no_more_climbs_back() {
    let mut host = Host::new(open("default"), 1);
    assert_eq!(host.rates(&[(100, 100)]), [100]);
    host.totals.clear();
    let rates: Vec<_> = (0..60).flat_map(|_| host.rates(&[])).collect();
    assert_eq!(rates.len(), 50, "{rates:?}");
    assert!(rates[..29].iter().all(|&rate| rate == 100) && rates.is_sorted());
    assert_eq!(rates.last(), Some(&10_000));
}

#[test]
fn an_endpoint_is_forgotten_when_it_is_not_listed_and_has_long_passed_all() {
    let mut host = Host::new(open("default"), 100);
    (0..700).for_each(|_| drop(host.second(&[])));
    assert_eq!(host.generator.len(), 100, "who is listed is known");
    host.totals.truncate(1);
    host.second(&[]);
    assert_eq!(host.generator.len(), 1);
    host.rates(&[(100, 100)]);
    host.totals.clear();
    (0..599).for_each(|_| drop(host.second(&[])));
    assert_eq!(host.generator.len(), 1);
    host.second(&[]);
    assert!(host.generator.is_empty());
}

#[test]
fn after_a_restart_it_goes_on_from_what_was_published() {
    let mut generator = open("table");
    generator.adopt(endpoint(0), per_10k(2_000), Nanos(0));
    let mut host = Host { generator, totals: vec![Totals { requests: 5_000, failures: 5_000 }], now: Nanos(0) };
    assert_eq!(host.rates(&[]), [2_000]);
    assert_eq!(host.rates(&[(100, 0)]), [3_600]);
    host.generator.adopt(endpoint(0), Per10k::NONE, host.now);
    assert_eq!(host.rates(&[]), [100], "an entry of another origin");
}

#[test]
fn a_closure_is_a_generator() {
    let mut asked = 0;
    let generator = Generator::with(Box::new(move |evidence: &Evidence| {
        asked += 1;
        per_10k(evidence.pass_rate.get() - 1_000 * asked)
    }));
    let mut host = Host::new(generator, 1);
    assert_eq!([host.rates(&[(10, 0)]), host.rates(&[(10, 0)])], [[9_000], [7_000]]);
}
