//! Copies of short messages, many of which share a block of memory: an allocation for each would cost more than the copy.

use bytes::{Bytes, BytesMut};

/// Bytes of a block: what the last of its messages that is kept holds back.
const BLOCK: usize = 2 << 10;
/// A longer message has memory of its own.
const MAX_SHARED: usize = BLOCK / 4;

/// The block that is being filled.
#[derive(Default)]
pub(crate) struct Blocks(BytesMut);

impl Blocks {
    /// A copy of two pieces, one behind the other.
    pub(crate) fn copy(&mut self, front: &[u8], rest: &[u8]) -> Bytes {
        let len = front.len() + rest.len();
        if len > MAX_SHARED {
            return [front, rest].concat().into();
        }
        if self.0.capacity() < len {
            self.0.reserve(BLOCK);
        }
        if !front.is_empty() {
            self.0.extend_from_slice(front);
        }
        self.0.extend_from_slice(rest);
        self.0.split().freeze()
    }
}
