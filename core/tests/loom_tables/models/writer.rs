//! The writer and the reader of a whole table, with its filter and its count.

use std::sync::Arc;

use loom::thread;

use super::{explore_parts, words};
use crate::cold::{self, Counts};
use crate::endpoint::Endpoint;
use crate::entry::{Entry, Kind, RejectLevel};
use crate::id::Per10k;
use crate::region::{Shared, View};
use crate::sync::{Mutant, check};
use crate::table::{self, Table};
use crate::writer::{FILTER_WORDS, Identity, Memory, Writer, slot_count};

const CAPACITY: u32 = 4;
const ENTRY: Entry = Entry { pass_rate: Per10k::NONE, kind: Kind::Shielded, reject_level: RejectLevel::OPEN };

fn endpoint(port: u16) -> Endpoint {
    Endpoint { address: 1, port, service_id: 0 }
}

/// Given an entry that stays, when others are removed, the filter is computed anew, and another is inserted, then the
/// one that stays is found throughout; the new one is found or not.
#[test]
fn an_entry_is_found_while_the_filter_is_rebuilt_around_it() {
    check(Mutant::None, || {
        let (table, cold) = (words(table::segment_len(CAPACITY) / 8), words(cold::segment_len(CAPACITY) / 8));
        let (mut slots, mut records) = ([0; slot_count(CAPACITY)], [0; CAPACITY as usize]);
        // Not on the small stack of a thread of loom's.
        let mut filter = vec![0; FILTER_WORDS];
        let memory = Memory { slots: &mut slots, records: &mut records, filter: &mut filter };
        let identity = Identity { seed: 1, instance: 2, pid: 3 };
        let mut writer = Writer::create(Shared::new(&table), Shared::new(&cold), memory, CAPACITY, identity).unwrap();
        for port in 0..3 {
            writer.set(&endpoint(port), &ENTRY, Counts::default(), 0).unwrap();
        }
        writer.open();
        let filter_word = |port| table::filter_bits(endpoint(port).hash(1)).0;
        let parts = [filter_word(0), filter_word(3)].map(|word| word..word + 1);
        explore_parts(&table, &[parts.as_slice(), &[9..10, 8_704..8_720]].concat());
        let theirs = Arc::clone(&table);
        let reader = thread::spawn(move || {
            let table = Table::attach(View::new(&theirs), theirs.len() as u64 * 8).unwrap();
            [0, 3].map(|port| table.lookup(&endpoint(port)))
        });
        writer.remove(&endpoint(1));
        writer.remove(&endpoint(2));
        writer.finish_refresh(1);
        writer.set(&endpoint(3), &ENTRY, Counts::default(), 0).unwrap();
        let found = reader.join().unwrap();
        assert!(found[0] == Some(ENTRY) && [None, Some(ENTRY)].contains(&found[1]), "{found:?}");
        let table = Table::attach(View::new(&table), table.len() as u64 * 8).unwrap();
        assert_eq!([0, 1, 2, 3].map(|port| table.lookup(&endpoint(port)).is_some()), [true, false, false, true]);
    });
}
