//! What the header of every segment has in common.

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Format, Header, Mismatch, PAGE, State};
use mcrpc_core::host::region::{LINE, Shared, View};
use mcrpc_core::status::Status;

use super::{len_of, memory, overwrite};

const FORMAT: Format = Format { layout_hash: 7, ..Segment::Stat.format() };
const HEADER: Header = Header { total_len: PAGE as u64, geometry: 5, seed: 6, instance: 8 };

#[test]
fn a_tool_reads_a_header_without_judging_it() {
    let words = memory(PAGE);
    header::write(Shared::new(&words), &FORMAT, &HEADER);
    header::set_state(Shared::new(&words), State::Superseded);
    let raw = header::raw(View::new(&words));
    assert_eq!((raw.magic, raw.version.0, raw.layout_hash), (FORMAT.magic, FORMAT.major, 7));
    assert_eq!((raw.header, raw.state), (HEADER, State::Superseded as u64));
    assert_eq!(raw.crc_found, raw.crc_expected);

    for word in 0..=7 {
        let value = View::new(&words).load(word);
        overwrite(&words, word, value ^ 1 << 40);
        let damaged = header::raw(View::new(&words));
        assert_ne!(damaged, raw, "word {word}");
        assert_ne!(damaged.crc_found, damaged.crc_expected, "word {word}");
        overwrite(&words, word, value);
    }
    let short = header::raw(View::new(&words[..1]));
    assert_eq!((short.magic, short.version, short.header.total_len), (FORMAT.magic, (0, 0), 0), "0 behind the end");
}

#[test]
fn a_mismatch_says_what_was_found_only_if_that_is_wrong() {
    let said = |found| Mismatch { status: Status::SEGMENT_BAD_LENGTH, found, expected: 4_096 }.to_string();
    let text = Status::SEGMENT_BAD_LENGTH.to_string();
    assert_eq!(said(255), format!("{text} Found 0xff (255), expected 0x1000 (4096)."));
    assert_eq!(said(4_096), text);
}

#[test]
fn a_state_has_its_number_and_others_are_none() {
    for state in [State::Init, State::Ready, State::Superseded, State::Closed] {
        assert_eq!(State::from_number(state as u64), Some(state));
    }
    assert_eq!([4, u64::MAX].map(State::from_number), [None; 2]);
}

/// Two builds share a segment if all facts of its layout are the same, in the same order.
#[test]
fn a_layout_hash_depends_on_every_fact_and_their_order() {
    let facts: [&[u64]; 6] = [&[], &[0], &[1], &[1, 2], &[2, 1], &[1, 2, 0]];
    let hashes = facts.map(header::layout_hash);
    for (n, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..n].contains(hash), "{:?}", facts[n]);
    }
    assert_eq!(hashes[0], 0xcbf2_9ce4_8422_2325, "FNV-1a of nothing");
    assert_eq!(hashes[2], 0xaf63_bc4c_8601_b62c, "and of a byte 1");
}

#[test]
fn a_length_is_of_whole_pages_and_one_beyond_all_memory_is_that_of_no_segment() {
    for (head, count, piece, expected) in [
        (1, 0, 8, PAGE),
        (PAGE / 8, 0, 8, PAGE),
        (PAGE / 8 - 8, 1, 8, PAGE),
        (PAGE / 8 - 8, 1, 9, 2 * PAGE),
        (0, 3, PAGE / 8, 3 * PAGE),
        (0, usize::MAX, 2, usize::MAX),
        (usize::MAX, 1, 1, usize::MAX),
        (usize::MAX / 8, 0, 0, usize::MAX),
    ] {
        assert_eq!(header::total_len(head, count, piece), expected, "{head}, {count} of {piece}");
    }
}

#[test]
fn what_is_behind_the_end_of_a_segment_is_zero() {
    let words = memory(PAGE);
    (0..words.len()).for_each(|index| overwrite(&words, index, 1));
    let view = View::new(&words);
    assert_eq!(view.load_line(words.len() - LINE), [1; LINE]);
    for index in [words.len() - LINE + 1, words.len(), usize::MAX] {
        assert_eq!(view.load_line(index), [0; LINE], "{index}");
    }
    assert!(!view.is_empty() && view.part(words.len(), 1).is_empty());
    assert_eq!(len_of(&words), (view.len() * 8) as u64);
}

#[test]
fn segments_are_told_apart_by_name_file_and_magic() {
    let names = Segment::ALL.map(Segment::name);
    assert_eq!(names, ["strategy", "control", "fail", "stat", "trace", "cold", "log"]);
    for (number, segment) in (0..).zip(Segment::ALL) {
        assert_eq!(Segment::from_number(number), Some(segment));
        let same = |other: &&Segment| {
            other.file_name() == segment.file_name() || other.format().magic == segment.format().magic
        };
        assert_eq!(Segment::ALL.iter().filter(same).count(), 1, "{segment:?}");
    }
    assert_eq!(Segment::from_number(7), None);
}
