//! How soon failure detectors see a fault, and how often they see one where there is none.
//!
//! `cargo bench --bench detectors` puts all of them before the same seeded traffic, at three request rates, and prints
//! medians with the span from the 10th to the 90th percentile; `-- --quick` takes fewer samples. The clock is simulated:
//! the figures are the same on every machine.

mod brpc;
mod ours;
mod rivals;
mod traffic;
mod trial;

use comfy_table::{CellAlignment, Table, presets};

use crate::brpc::Brpc;
use crate::ours::Ours;
use crate::rivals::{Consecutive, CountWindow, QuickFailures, SecondBucket, SecondRatio};
use crate::trial::{BACKGROUND_PERCENT, Contestant, Faults, delays, false_shields, percentile};

const PER_SECOND: [u32; 3] = [20, 200, 5_000];
const FAULTS_PERCENT: [u32; 4] = [100, 50, 30, 20];
const BACKGROUNDS_PERCENT: [u32; 4] = [1, 2, 5, 10];
const PATIENCE_REQUESTS: usize = 10_000;

const NAMES: [&str; 7] = [
    "bucket counting requests (ours)",
    "5 consecutive",
    "brpc, failures time out",
    "brpc, failures at once",
    "resilience4j, 50 % of 100",
    "bucket of 10, leaks 1 a second",
    "Sentinel, 50 % in a second",
];

fn contestants() -> Vec<Box<dyn Contestant>> {
    let all: [Box<dyn Contestant>; NAMES.len()] = [
        Box::new(Ours::default()),
        Box::new(Consecutive::default()),
        Box::new(Brpc::default()),
        Box::new(QuickFailures(Brpc::default())),
        Box::new(CountWindow::default()),
        Box::new(SecondBucket::default()),
        Box::new(SecondRatio::default()),
    ];
    all.into()
}

/// How much is tried.
struct Size {
    faults: u64,
    requests: usize,
}

const FULL: Size = Size { faults: 1_000, requests: 10_000_000 };
const QUICK: Size = Size { faults: 100, requests: 1_000_000 };

fn main() {
    let size = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    println!(
        "Requests from a fault to the shield, the one that trips included, at four failure rates: median (10th to 90th\n\
         percentile) of {} faults, each after a minute at {BACKGROUND_PERCENT} % failure; \"never\" is not within \
         {PATIENCE_REQUESTS}.\nFalse shields per million requests, of {} million at a steady failure rate; each resets \
         the detector.",
        size.faults,
        size.requests / 1_000_000
    );
    for per_second in PER_SECOND {
        println!("\n{per_second} requests a second\n{}", table(per_second, &size));
    }
    println!(
        "\nWanted at every rate: medians of at most 6 at 100 %, 12 at 50 %, 24 at 30 %; false shields per million: 0 at 1 % \
         and 2 %,\nat most 50 at 5 %."
    );
}

fn table(per_second: u32, size: &Size) -> Table {
    let faults = Faults {
        failed_percent: &FAULTS_PERCENT,
        minutes: size.faults,
        per_minute: 1,
        patience_requests: PATIENCE_REQUESTS,
    };
    let delays = delays(contestants, per_second, faults);
    let shields = BACKGROUNDS_PERCENT.map(|percent| false_shields(contestants(), per_second, percent, size.requests));

    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let delay_columns = FAULTS_PERCENT.map(|percent| format!("{percent} %"));
    let false_columns = BACKGROUNDS_PERCENT.map(|percent| format!("false {percent} %"));
    table.set_header(["detector".to_owned()].into_iter().chain(delay_columns).chain(false_columns));
    for (index, (name, delays)) in NAMES.iter().zip(&delays).enumerate() {
        let delays = delays.iter().map(|sorted| spread(sorted));
        let shields = shields.iter().map(|shields| per_million(shields[index], size.requests));
        table.add_row([(*name).to_owned()].into_iter().chain(delays).chain(shields));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn spread(sorted: &[u64]) -> String {
    let [low, median, high] = [10, 50, 90].map(|percent| match percentile(sorted, percent) {
        u64::MAX => "never".to_owned(),
        requests => requests.to_string(),
    });
    if low == "never" { low } else { format!("{median} ({low} to {high})") }
}

fn per_million(count: u64, requests: usize) -> String {
    let rate = count as f64 * 1e6 / requests as f64;
    let digits = usize::from(rate < 10.0 && count > 0);
    format!("{rate:.digits$}")
}
