//! Given bytes that prost wrote, or damaged ones, or any at all, then this library and prost read the same and write the same.

use mcrpc_core::wire::baidu_std::Meta;
use mcrpc_peers::baidu::compare;
use mcrpc_peers::baidu::convert::to_prost;
use proptest::prelude::*;
use prost::Message as _;

use crate::messages::any_meta;

/// Keys of fields that RpcMeta and its parts have, or nearly have, with any wire type: what random bytes hit too rarely.
fn any_piece() -> impl Strategy<Value = Vec<u8>> {
    let key = (0u8..14, 0u8..8).prop_map(|(number, wire_type)| vec![number << 3 | wire_type]);
    prop_oneof![
        3 => key,
        1 => any::<[u8; 1]>().prop_map(|byte| byte.to_vec()),
        1 => (0u8..6).prop_map(|len| vec![len]),
        1 => any_meta().prop_map(|meta| meta.encode_to_vec()),
        1 => prop::collection::vec(0x80u8.., 1..11),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_prost_writes_is_read_and_written_alike(meta in any_meta()) {
        let bytes = meta.encode_to_vec();
        prop_assert_eq!(to_prost(&Meta::parse(&bytes).unwrap()), meta);
        prop_assert!(compare::decode(&bytes));
    }

    /// Two messages one behind the other are one message: scalars replaced, parts merged.
    #[test]
    fn parts_are_merged_alike(first in any_meta(), second in any_meta()) {
        let mut bytes = first.encode_to_vec();
        bytes.extend(second.encode_to_vec());
        prop_assert!(compare::decode(&bytes));
    }

    #[test]
    fn any_bytes_are_read_or_refused_alike(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        compare::decode(&bytes);
    }

    #[test]
    fn any_row_of_fields_is_read_or_refused_alike(pieces in prop::collection::vec(any_piece(), 0..12)) {
        compare::decode(&pieces.concat());
    }

    #[test]
    fn damaged_messages_are_read_or_refused_alike(
        meta in any_meta(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
    ) {
        let mut bytes = meta.encode_to_vec();
        for (at, byte, change) in changes {
            let at = at.index(bytes.len() + 1);
            match change {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        compare::decode(&bytes);
    }

    #[test]
    fn a_message_cut_short_is_read_or_refused_alike(meta in any_meta()) {
        let bytes = meta.encode_to_vec();
        for len in 0..bytes.len() {
            compare::decode(&bytes[..len]);
        }
    }
}

#[test]
fn every_flip_of_one_bit_is_read_or_refused_alike() {
    let bytes = crate::vectors::full_request().encode_to_vec();
    let mut accepted = 0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        accepted += usize::from(compare::decode(&flipped));
    }
    assert!(accepted > 0 && accepted < bytes.len() * 8);
}
