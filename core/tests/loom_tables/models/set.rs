//! A set of endpoints: who chooses while the list is replaced gets an endpoint of one list, whole.

use std::sync::Arc;

use loom::thread;

use super::{Words, explore_parts, words};
use crate::admission::Key;
use crate::control::Target;
use crate::endpoint::Endpoint;
use crate::fail::{self, FailBuckets};
use crate::id::Uin;
use crate::region::Shared;
use crate::select::call::{Attempt, Call};
use crate::select::host_view::HostView;
use crate::select::set::EndpointSet;
use crate::select::settings::{Settings, Spec};
use crate::sync::{Mutant, check_within, must_fail};
use crate::time::Nanos;

const SETTINGS: Settings = Settings { capacity: 1, ..Settings::DEFAULT };
const NOW: Nanos = Nanos(1_000_000_000_000);
/// The words of a set's head; of a version with one endpoint, and where its ring and that endpoint stand in it.
const HEAD_LEN: usize = 96;
const TABLE_LEN: usize = 176;
const RING: usize = 28;
const ENTRY: usize = 64;
/// Where an endpoint's entry says which cell is its own.
const CELL_ID: usize = ENTRY + 5;

/// A set, and the memory that it is in.
struct Owned {
    set: EndpointSet<'static>,
    words: Words,
}

impl Owned {
    /// With the first list.
    fn new() -> Owned {
        let words = words(EndpointSet::memory_len(&SETTINGS).unwrap());
        assert_eq!(words.len(), HEAD_LEN + 2 * TABLE_LEN);
        // SAFETY: the words are alive for as long as `words`, and a set is used only together with it: `share` clones
        // both.
        let forever = unsafe { &*Arc::as_ptr(&words) };
        let owned = Owned { set: EndpointSet::create(Shared::new(forever), &SETTINGS).unwrap(), words };
        owned.replace(1);
        owned
    }

    fn share(&self) -> Owned {
        Owned { set: self.set, words: Arc::clone(&self.words) }
    }

    /// The list with this number: its only endpoint has the number in its address, and comes with it.
    fn replace(&self, number: u64) {
        self.replace_on(number, &HostView::default());
    }

    fn replace_on(&self, number: u64, host: &HostView<'_, 'static>) {
        let endpoint = endpoint(number);
        let spec = Spec { endpoint, weight: 1, region: 0, zone: 0, group: 0, user_data: number };
        self.set.replace(1, &|_| spec, &[], host).unwrap();
    }

    /// Which cell a list says is its endpoint's.
    fn cell_of(&self, number: u64) -> u64 {
        Shared::new(&self.words).load(HEAD_LEN + (number & 1) as usize * TABLE_LEN + CELL_ID)
    }

    /// Loom explores which list is in force and which is built, and of each how many are on its ring, half the address, and
    /// the caller's word. All else is the same in each list.
    fn explore(&self) {
        explore_parts(&self.words, &[0..1, 1..2]);
        for table in [HEAD_LEN, HEAD_LEN + TABLE_LEN] {
            explore_parts(&self.words, &[RING, ENTRY + 1, ENTRY + 4].map(|word| table + word..table + word + 1));
        }
    }
}

/// When the list is replaced twice while a call chooses, so that the version that it reads is written anew, then it gets
/// the endpoint of one list.
fn replaced_twice() {
    let owned = Owned::new();
    owned.explore();
    let theirs = owned.share();
    let writer = thread::spawn(move || {
        theirs.replace(2);
        theirs.replace(3);
    });
    let mut call = Call::new(Uin(1), 1, Key(0), Target { service_id: 1, method_id: 1 }, Nanos::NEVER);
    let choice = owned.set.select(&mut call, Attempt::Next, &HostView::default(), NOW);
    writer.join().unwrap();
    let choice = choice.expect("there is an endpoint of one list");
    let (address, number) = (choice.endpoint.address as u64, choice.user_data);
    assert_eq!((address, number), (choice.generation, choice.generation), "it is an endpoint of one list");
}

#[test]
fn a_choice_is_never_mixed_of_two_lists() {
    check_within(3, Mutant::None, replaced_twice);
    // The second store puts the second list in force, the third says that the third one is being built.
    for mutant in [Mutant::NoReleaseFence, Mutant::NoAcquireFence, Mutant::RelaxedStore(1), Mutant::RelaxedStore(2)] {
        must_fail(mutant, "an endpoint of one list", replaced_twice);
    }
}

fn endpoint(number: u64) -> Endpoint {
    Endpoint { address: number.into(), port: 80, service_id: 1 }
}

/// When outcomes are handed over while the list is replaced so often, then the endpoint in force has its own cell: at once
/// after one replacement, and after the next time when there were two.
fn handed_over_meanwhile(replacements: u64) {
    let cells = words(fail::segment_len(4) / 8);
    // SAFETY: the words are alive to the end of the model, and nothing that uses them outlives it.
    let forever = unsafe { &*Arc::as_ptr(&cells) };
    fail::create(Shared::new(forever), 4, 1, 2).unwrap();
    let cells = FailBuckets::attach(Shared::new(forever), fail::segment_len(4) as u64).unwrap();
    let owned = Owned::new();
    owned.replace(2);
    owned.explore();
    explore_parts(&owned.words, &[HEAD_LEN, HEAD_LEN + TABLE_LEN].map(|table| table + CELL_ID..table + CELL_ID + 1));
    let last = 2 + replacements;
    let theirs = owned.share();
    let writer = thread::spawn(move || {
        (3..=last)
            .for_each(|number| theirs.replace_on(number, &HostView { fail: Some(&cells), ..HostView::default() }));
    });
    let host = HostView { fail: Some(&cells), ..HostView::default() };
    owned.set.hand_over(&host);
    writer.join().unwrap();
    if replacements > 1 {
        owned.set.hand_over(&host);
    }
    assert_eq!(owned.cell_of(last), cells.bucket(&endpoint(last)).unwrap().number(), "the endpoint has its own cell");
}

#[test]
fn an_endpoint_has_its_own_cell_whenever_outcomes_are_handed_over() {
    check_within(3, Mutant::None, || handed_over_meanwhile(1));
    must_fail(Mutant::NoAcquireFence, "the endpoint has its own cell", || handed_over_meanwhile(1));
    check_within(3, Mutant::None, || handed_over_meanwhile(2));
}
