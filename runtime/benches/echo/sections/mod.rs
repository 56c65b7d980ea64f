//! What is measured, question by question.

mod counts;
mod idle;
mod pairs;
mod ratios;
mod slow;
mod table;

pub use counts::profile;

/// The questions by their names on the command line.
pub const ALL: [(&str, fn()); 6] = [
    ("ratios", ratios::run),
    ("slow", slow::run),
    ("counts", counts::run),
    ("idle", idle::run),
    ("pairs", pairs::run),
    ("table", table::run),
];
