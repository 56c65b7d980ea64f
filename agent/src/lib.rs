//! The host agent as a library: the directory of shared segments, and the one writer of the strategies.
//!
//! | module | |
//! |---|---|
//! | [`directory`] | open or make the directory; make, attach and replace its files |
//! | [`mapping`] | a file in memory |
//! | [`clock`] | the clocks that the segments are stamped with |

pub mod clock;
pub mod directory;
pub mod mapping;
