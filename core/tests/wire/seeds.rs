//! The golden vectors as seeds of the fuzzers, in the form that each target reads.
//!
//! `MCRPC_UPDATE=1 cargo test -p mcrpc-core --test wire seeds` writes them anew.

use std::path::Path;

use mcrpc_core::wire::{Frame, HEADER_LEN};

use crate::vectors;

/// Bodies up to 65 535 bytes, metadata up to 255, pieces of 32 bytes and less.
const DECODER_SETTINGS: [u8; 8] = [255, 255, 255, 0, 0, 31, 6, 1];
/// 64 tags, names of 255 bytes, room for as many.
const METADATA_SETTINGS: [u8; 3] = [64, 255, 255];
/// A whole frame follows.
const WHOLE_FRAME: u8 = 255;

#[test]
fn the_committed_seeds_are_the_vectors() {
    for vector in vectors::all() {
        let seed = |target: &str, parts: &[&[u8]]| compare_or_update(target, &vector.name, &parts.concat());
        seed("decoder", &[&DECODER_SETTINGS, &vector.bytes]);
        seed("hello", &[&[WHOLE_FRAME], &vector.bytes]);
        if let Ok(frame) = Frame::new_checked(&vector.bytes, &vector.limits) {
            let metadata = &vector.bytes[HEADER_LEN..][..usize::from(frame.header.metadata_len)];
            seed("metadata", &[&METADATA_SETTINGS, metadata]);
        }
    }
}

fn compare_or_update(target: &str, name: &str, expected: &[u8]) {
    let corpus =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").join("fuzz/corpus");
    let path = corpus.join(target).join(format!("seed-{name}"));
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    assert!(std::fs::read(&path).is_ok_and(|found| found == expected), "{} is stale", path.display());
}
