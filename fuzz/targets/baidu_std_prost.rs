//! Any bytes as an RpcMeta: this library and prost read the same, refuse the same, and write the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcrpc_peers::baidu::compare;

fuzz_target!(|bytes: &[u8]| {
    compare::decode(bytes);
});
