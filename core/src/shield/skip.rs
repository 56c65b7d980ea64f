//! Percentage skip (SPEC S9): calls to a target that are not made at all, for a share of the users.
//!
//! Unlike a shield it takes load away. Whether a user is hit is a keyed hash of the uin, so always the same users are,
//! whatever they call; a larger ratio only adds some, and another key hits others.

use crate::id::{Per10k, Salt, Uin};

/// Which users go without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// How many of them.
    pub ratio: Per10k,
    /// Which: the key of the hash, with the rotation in it.
    pub salt: Salt,
}

impl Skip {
    /// Whether the calls of `uin` are left out. Hot.
    #[inline]
    pub const fn covers(&self, uin: Uin) -> bool {
        self.ratio.get() != 0 && self.ratio.covers(self.salt.hash(uin.0))
    }
}
