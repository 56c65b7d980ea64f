//! Lines of text for the files of the host's agent (`docs/logs.md`): a layer for [`tracing`].

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::Arc;

use mcrpc_core::host::log::{Level, Origin};
use mcrpc_core::status::Status;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as Spans;

use crate::clock;
use crate::context::Context;
use crate::host::Host;

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// Hands each event to the host's agent, with the user, the call graph and the trace of the request that is being handled. Nothing
/// waits. What the agent does not take, since it keeps no logs or there is none, goes to standard error; a line for which there is no room
/// is counted, and the agent's file says how many.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let host = std::sync::Arc::new(mcrpc::Host::new("/run/mcrpc"));
/// let subscriber = tracing_subscriber::registry().with(mcrpc::LogLayer::new(host));
/// tracing::subscriber::with_default(subscriber, || tracing::warn!(attempts = 3, "the index is not there"));
/// ```
pub struct LogLayer {
    host: Arc<Host>,
}

impl LogLayer {
    /// A layer that hands over to the agent of this host.
    pub fn new(host: Arc<Host>) -> LogLayer {
        LogLayer { host }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Spans<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let mut text = Text::default();
        event.record(&mut text);
        let line = format!("{}: {}{}", event.metadata().target(), text.message, text.fields);
        if self.host.log(level, &origin(), line.as_bytes()) == Err(Status::NO_POLICY) {
            // A program goes on when nobody reads its standard error.
            let _ = writeln!(io::stderr(), "{} {line}", level.name());
        }
    }
}

/// Who writes, for whom.
fn origin() -> Origin {
    let origin = Origin { time: clock::now(), pid: std::process::id(), thread: thread_id(), ..Origin::default() };
    let Some(context) = Context::current() else { return origin };
    let carried = context.carried();
    let (uin, call_graph_id, trace_id) = (carried.context.uin, carried.call_graph_id, carried.trace.trace_id);
    Origin { uin, call_graph_id, trace_id, ..origin }
}

/// The system's number of this thread, which is asked for once.
fn thread_id() -> u32 {
    THREAD.with(|thread| {
        if thread.get() == 0 {
            thread.set(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs());
        }
        thread.get()
    })
}

/// What an event says.
#[derive(Default)]
struct Text {
    message: String,
    /// Each with a space in front.
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A String takes everything.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
