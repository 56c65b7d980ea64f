//! Every interleaving of the two pieces of the controller that many threads write: the election of a window's leader,
//! and the word that says where requests are.
//!
//! The files are compiled here a second time, against loom's atomics instead of the processor's.

#![cfg(target_pointer_width = "64")]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[path = "../src/admission/flow.rs"]
#[allow(dead_code)]
mod flow;
#[path = "../src/admission/window.rs"]
#[allow(dead_code)]
mod window;

use flow::{Flow, FlowReading};
use loom::sync::Arc;
use loom::thread;
use sync::{AtomicU64, Ordering};
use window::Election;

const WINDOW: u64 = 100;

/// When several callers notice the end of a window, then exactly one closes it.
#[test]
fn a_window_has_one_leader() {
    loom::model(|| {
        let election = Arc::new(Election::new(1_000));
        let callers = [1_100, 1_101].map(|now| {
            let election = Arc::clone(&election);
            thread::spawn(move || election.take_turn(now, WINDOW).is_some())
        });
        let mine = election.take_turn(1_100, WINDOW).is_some();
        let theirs = callers.map(|caller| caller.join().unwrap());
        assert_eq!([mine, theirs[0], theirs[1]].into_iter().filter(|&leads| leads).count(), 1);
    });
}

/// When a leader finishes, then the next one sees all that it wrote.
#[test]
fn a_finished_leader_hands_over_everything() {
    loom::model(|| {
        let shared = Arc::new((Election::new(1_000), [AtomicU64::new(0), AtomicU64::new(0)]));
        let lead = |shared: &(Election, [AtomicU64; 2]), now: u64| -> bool {
            let (election, words) = shared;
            let Some(turn) = election.take_turn(now, WINDOW) else { return false };
            let seen = words.each_ref().map(|word| word.load(Ordering::Relaxed));
            if !election.is_current(turn) {
                return false;
            }
            for (word, seen) in words.iter().zip(seen) {
                word.store(seen + 1, Ordering::Relaxed);
            }
            election.finish(turn)
        };
        let other = Arc::clone(&shared);
        let first = thread::spawn(move || lead(&other, 1_100));
        let finished = lead(&shared, 1_200);
        let first_finished = first.join().unwrap();
        // Both finished: one after the other, since each would have failed after the other's election.
        let words = shared.1.each_ref().map(|word| word.load(Ordering::Relaxed));
        if finished && first_finished {
            assert_eq!(words, [2, 2]);
        } else {
            assert!(words.iter().all(|&word| word <= 2), "{words:?}");
        }
    });
}

/// When a leader was overtaken, then it notices before it writes or when it finishes.
#[test]
fn an_overtaken_leader_notices() {
    loom::model(|| {
        let election = Arc::new(Election::new(1_000));
        let slow = election.take_turn(1_100, WINDOW).unwrap();
        let other = Arc::clone(&election);
        let overtakes = thread::spawn(move || other.take_turn(1_200, WINDOW).is_some());
        let finished = election.finish(slow);
        assert!(overtakes.join().unwrap());
        assert!(!election.is_current(slow));
        assert!(!election.finish(slow), "finished before: {finished}");
    });
}

/// When requests pass through from several threads, then levels return to zero and every one is counted once.
#[test]
fn no_request_is_lost_or_counted_twice() {
    fn run(flow: &Flow) {
        flow.enter();
        flow.start();
        flow.complete();
    }
    fn drop(flow: &Flow) {
        flow.enter();
        flow.drop_queued();
    }
    fn take_a_turn(flow: &Flow) {
        flow.begin_turn();
        flow.complete_in_turn(2);
        flow.end_turn(1);
    }
    for (one, other, completed) in
        [(run as fn(&Flow), run as fn(&Flow), 2), (run, drop, 1), (run, take_a_turn, 4), (drop, take_a_turn, 3)]
    {
        loom::model(move || {
            let flow = Arc::new(Flow::new());
            let before = flow.read();
            let others = Arc::clone(&flow);
            let worker = thread::spawn(move || other(&others));
            one(&flow);
            worker.join().unwrap();
            let after = flow.read();
            assert_eq!((after.queued(), after.in_system()), (0, 0));
            assert_eq!(after.completed_since(before), completed);
        });
    }
}

/// When a dead process's levels are forgotten while others count on, then the others' requests stay.
#[test]
fn forgetting_one_queue_keeps_its_counts() {
    loom::model(|| {
        let flow = Arc::new(Flow::new());
        flow.enter();
        flow.enter();
        flow.start();
        flow.complete();
        flow.enter();
        flow.start();
        let reader = Arc::clone(&flow);
        let reading = thread::spawn(move || reader.read());
        flow.forget_levels();
        let seen = reading.join().unwrap();
        assert!([(1, 2), (0, 0)].contains(&(seen.queued(), seen.in_system())));
        assert_eq!(flow.read().completed_since(FlowReading(0)), 1);
    });
}
