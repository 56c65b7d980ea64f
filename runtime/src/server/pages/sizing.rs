//! How many workers and coroutines there should be, from what handlers were seen to do (SPEC S19).

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::methods::Run;
use crate::server::shared::Shared;

/// Svrkit's rule of thumb.
const WORKERS_PER_CORE: [usize; 2] = [2, 3];

pub(super) fn text(shared: &Shared) -> String {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let config = &shared.config;
    let mut text = format!("{cores} cores\n");
    let used = Used::of(shared, |run| matches!(run, Run::Async(_)));
    let _ = writeln!(text, "\nasync: {} workers with {} coroutines each", config.workers, config.coroutines_per_worker);
    let _ = match used.ratio() {
        None => writeln!(text, "  no handler has run yet"),
        Some(ratio) => writeln!(
            text,
            "  handlers took {:.3} s, of which they ran {:.3} s and waited the rest\n  \
             wanted: a worker per core ({cores}), and (time that they wait + time that they run) / time that they run = {:.0} \
             coroutines per worker\n  {}",
            used.took.as_secs_f64(),
            used.ran.as_secs_f64(),
            ratio.ceil(),
            verdict(ratio.ceil() as usize, config.coroutines_per_worker)
        ),
    };
    let used = Used::of(shared, |run| matches!(run, Run::Blocking(_)));
    let _ = writeln!(text, "\nblocking: {} workers, a thread each", config.blocking_workers);
    let _ = match used.ratio() {
        None => writeln!(text, "  no handler has run yet"),
        Some(ratio) => {
            let wanted = (ratio * cores as f64).ceil() as usize;
            writeln!(
                text,
                "  handlers took {:.3} s, of which they used the processor for {:.3} s and were blocked the rest\n  \
                 wanted to keep all cores busy: {wanted}\n  {}",
                used.took.as_secs_f64(),
                used.ran.as_secs_f64(),
                verdict(wanted, config.blocking_workers)
            )
        }
    };
    let [least, most] = WORKERS_PER_CORE.map(|per_core| per_core * cores);
    let _ =
        writeln!(text, "  Svrkit's rule for handlers of which nothing is known: 2 to 3 per core, {least} to {most}");
    text
}

/// What handlers took, and what of it they ran.
struct Used {
    took: Duration,
    ran: Duration,
}

impl Used {
    fn of(shared: &Shared, is_meant: impl Fn(&Run) -> bool) -> Used {
        let stats = shared.methods.iter().filter(|method| is_meant(&method.run)).map(|method| &method.stats);
        let (took, ran) = stats.fold((Duration::ZERO, Duration::ZERO), |(took, ran), stats| {
            (took + stats.service_time.sum(), ran + stats.busy_time())
        });
        Used { took, ran }
    }

    /// How many of them run at a time if one processor is always busy; `None` if nothing has run.
    fn ratio(&self) -> Option<f64> {
        (!self.ran.is_zero()).then(|| (self.took.as_secs_f64() / self.ran.as_secs_f64()).max(1.0))
    }
}

fn verdict(wanted: usize, configured: usize) -> String {
    if configured < wanted {
        return format!("there are fewer, {configured}: the processor may idle while requests wait");
    }
    format!("there are enough: {configured}")
}
