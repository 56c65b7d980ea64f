//! The header: who finds a segment ready sees what was written before.

use std::sync::Arc;

use loom::thread;

use super::{explore_parts, words};
use crate::header::{self, Format, Header, LEN, PAGE, State};
use crate::region::{Shared, View};
use crate::sync::{Mutant, check_within, must_fail};

const FORMAT: Format = Format { magic: *b"MCRPC.??", major: 1, minor: 0, layout_hash: 3 };
const HEADER: Header = Header { total_len: PAGE as u64, geometry: 1, seed: 2, instance: 3 };

/// When a segment is laid out while another thread attaches it, then that one refuses it, or sees it whole.
fn laid_out() {
    let words = words(LEN + 1);
    explore_parts(&words, &[0..9, LEN..LEN + 1]);
    let theirs = Arc::clone(&words);
    let reader = thread::spawn(move || {
        let view = View::new(&theirs);
        header::read_ready(view, PAGE as u64, &FORMAT).map(|header| (header, view.load(LEN)))
    });
    let segment = Shared::new(&words);
    segment.set(LEN, 77);
    header::write(segment, &FORMAT, &HEADER);
    header::set_state(segment, State::Ready);
    if let Ok(attached) = reader.join().unwrap() {
        assert_eq!(attached, (HEADER, 77), "it is whole");
    }
}

#[test]
fn a_segment_that_is_ready_is_whole() {
    check_within(2, Mutant::None, laid_out);
    for mutant in [Mutant::NoAcquireFence, Mutant::RelaxedStore(0)] {
        must_fail(mutant, "it is whole", laid_out);
    }
}
