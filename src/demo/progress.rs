//! Progress on stderr: two bars in a terminal, otherwise one plain line per run.

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::interval;

const TICK: Duration = Duration::from_millis(100);

/// The bars, and what the plain lines need.
pub(crate) struct Progress {
    bars: MultiProgress,
    run: ProgressBar,
    whole: ProgressBar,
    /// Planned milliseconds of the runs that are over.
    done_ms: Cell<u64>,
    runs_done: Cell<usize>,
    runs: usize,
    label: Cell<String>,
}

impl Progress {
    /// Bars for so many runs, which together take about `total`.
    pub(crate) fn new(total: Duration, runs: usize) -> Progress {
        let bars = MultiProgress::new();
        let style = |template| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─")
        };
        let run = bars.add(ProgressBar::new(1));
        run.set_style(style("{msg:52} {bar:30.green/dim}"));
        let whole = bars.add(ProgressBar::new(total.as_millis() as u64));
        whole.set_style(style("{msg:52} {bar:30.cyan/dim} {prefix}"));
        Progress { bars, run, whole, done_ms: Cell::new(0), runs_done: Cell::new(0), runs, label: Cell::default() }
    }

    /// Does one run that takes about `planned`, showing how far it is.
    pub(crate) async fn watch<T>(&self, label: String, planned: Duration, work: impl Future<Output = T>) -> T {
        let planned_ms = planned.as_millis() as u64;
        self.run.set_length(planned_ms);
        self.run.set_message(label.clone());
        self.whole.set_message(format!("Run {} of {}", self.runs_done.get() + 1, self.runs));
        self.label.set(label);
        let start = Instant::now();
        let mut ticks = interval(TICK);
        tokio::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = ticks.tick() => self.show((start.elapsed().as_millis() as u64).min(planned_ms)),
            }
        };
        self.done_ms.set(self.done_ms.get() + planned_ms);
        self.runs_done.set(self.runs_done.get() + 1);
        result
    }

    fn show(&self, elapsed_ms: u64) {
        let position_ms = self.done_ms.get() + elapsed_ms;
        let left_s = self.whole.length().unwrap_or(0).saturating_sub(position_ms).div_ceil(1000);
        self.run.set_position(elapsed_ms);
        self.whole.set_position(position_ms);
        self.whole.set_prefix(format!("{left_s} s left"));
    }

    /// What the run that just ended came to. Bars leave no trace of it.
    pub(crate) fn note(&self, outcome: &str) {
        if self.bars.is_hidden() {
            eprintln!("[{:>2}/{}] {}: {outcome}", self.runs_done.get(), self.runs, self.label.take());
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&self) {
        self.run.finish_and_clear();
        self.whole.finish_and_clear();
    }
}

impl Drop for Progress {
    /// After an error or Ctrl-C as well.
    fn drop(&mut self) {
        self.finish();
    }
}
