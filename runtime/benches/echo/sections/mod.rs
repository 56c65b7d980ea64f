//! What is measured, question by question.

mod calls;
mod counts;
mod idle;
mod pairs;
mod ratios;
mod slow;
mod table;

pub use calls::profile as profile_calls;
pub use counts::{drive, profile};

/// The questions by their names on the command line.
pub const ALL: [(&str, fn()); 7] = [
    ("ratios", ratios::run),
    ("slow", slow::run),
    ("counts", counts::run),
    ("calls", calls::run),
    ("idle", idle::run),
    ("pairs", pairs::run),
    ("table", table::run),
];
