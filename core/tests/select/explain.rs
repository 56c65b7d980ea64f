//! An explanation is a call: on copies of the same memory both end alike and decide alike, whatever the state.

use std::cell::RefCell;

use mcrpc_core::admission::{Cursor, Key};
use mcrpc_core::id::Per10k;
use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::explain::{Answer, Look, Obstacle};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::settings::{Settings, Spec, ZoneStrategy};
use mcrpc_core::shield::breaker::Reason;
use proptest::prelude::*;

use super::{at, call, create, keyed, set_words, spec};

const ENDPOINTS: usize = 6;

#[derive(Clone, Debug)]
struct World {
    zone_strategy: ZoneStrategy,
    /// Of each endpoint: tripped so long ago, or not at all.
    tripped_ms: Vec<Option<u64>>,
    closed: Vec<bool>,
    weights: Vec<u16>,
    tried: usize,
    key: u32,
}

fn worlds() -> impl Strategy<Value = World> {
    (
        prop::sample::select(ZoneStrategy::ALL.to_vec()),
        prop::collection::vec(prop::option::of(0u64..400), ENDPOINTS),
        prop::collection::vec(any::<bool>(), ENDPOINTS),
        prop::collection::vec(1u16..200, ENDPOINTS),
        0..4usize,
        0u32..2_000_000,
    )
        .prop_map(|(zone_strategy, tripped_ms, closed, weights, tried, key)| World {
            zone_strategy,
            tripped_ms,
            closed,
            weights,
            tried,
            key,
        })
}

fn is_chosen(look: &Look) -> bool {
    matches!(look.answer, Answer::Chosen { .. } | Answer::BetterThanNone { .. })
}

proptest! {
    #[test]
    fn an_explanation_ends_as_the_call_does(world in worlds(), uin in 1u64..1_000) {
        let settings = Settings { zone_strategy: world.zone_strategy, ..Settings::DEFAULT };
        let host = HostView::default();
        let memories = [set_words(&settings), set_words(&settings)];
        let sets = memories.each_ref().map(|memory| create(memory, &settings));
        let specs = |index: usize| Spec { weight: world.weights[index], zone: (index % 3) as u16, ..spec(index) };
        for set in &sets {
            set.replace(ENDPOINTS, &specs, &[], &host).unwrap();
            for index in 0..ENDPOINTS {
                let health = set.health(index, &host).unwrap();
                if let Some(ms) = world.tripped_ms[index] {
                    health.trip(Reason::Rate, &settings.rules.breaker, at(1_000 - ms));
                }
                if world.closed[index] {
                    health.set_cursor(Cursor(1_000_000), 5_000, at(1_000));
                }
            }
        }
        let mut asked = keyed(call(uin), Key(world.key));
        for index in 0..world.tried {
            asked = asked.after_attempt_at(&specs(index).endpoint);
        }
        let looks: RefCell<Vec<Look>> = RefCell::default();
        let watch = |look| looks.borrow_mut().push(look);
        let explained = sets[0].explain(&asked, Attempt::Next, &host, at(1_000), &watch);
        let ended = sets[1].select(&mut asked.clone(), Attempt::Next, &host, at(1_000));
        prop_assert_eq!(explained, ended);
        let decisions = |set: usize| {
            // What is refused is counted when the call is told so.
            let is_refusal = |decision: &Decision| decision.refusal().is_some();
            Decision::ALL.into_iter().filter(|decision| !is_refusal(decision)).map(|decision| sets[set].decisions(decision)).collect::<Vec<_>>()
        };
        prop_assert_eq!(decisions(0), decisions(1));
        let looks = looks.into_inner();
        match ended {
            Ok(choice) => {
                let last = looks.last().unwrap();
                prop_assert_eq!(last.index, choice.index);
                prop_assert!(is_chosen(last));
            }
            Err(_) => prop_assert!(!looks.iter().any(is_chosen)),
        }
    }
}

#[test]
fn each_look_says_what_spoke_against_an_endpoint() {
    let settings = Settings { max_shielded: Per10k::ALL, ..Settings::DEFAULT };
    let (memory, host) = (set_words(&settings), HostView::default());
    let set = create(&memory, &settings);
    set.replace(3, &spec, &[], &host).unwrap();
    set.health(0, &host).unwrap().trip(Reason::Rate, &settings.rules.breaker, at(0));
    set.health(1, &host).unwrap().set_cursor(Cursor(0x100), 500, at(0));
    let asked = keyed(call(1), Key(0x200)).after_attempt_at(&spec(2).endpoint);
    let looks: RefCell<Vec<Look>> = RefCell::default();
    let watch = |look| looks.borrow_mut().push(look);
    assert!(set.explain(&asked, Attempt::Next, &host, at(0), &watch).is_err());
    for (index, obstacle) in [(0, Obstacle::Breaker), (1, Obstacle::Cursor), (2, Obstacle::Tried)] {
        let looks = looks.borrow();
        let of_it: Vec<&Look> = looks.iter().filter(|look| look.index == index).collect();
        assert!(!of_it.is_empty());
        assert!(of_it.iter().all(|look| look.answer == Answer::PassedOver(obstacle)), "{of_it:?}");
    }
    let names: std::collections::BTreeSet<_> = Obstacle::ALL.map(Obstacle::name).into();
    assert_eq!(names.len(), Obstacle::ALL.len());
}
