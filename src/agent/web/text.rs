//! The text of the metrics on its way to whoever reads it: written while it is sent, since with many endpoints it is megabytes
//! long.

use std::fmt::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::metrics::Shown;
use super::sample::Sample;

/// What is sent at a time.
const PART: usize = 64 << 10;
/// Parts that may wait for a slow reader.
const WAITING: usize = 2;

/// What Prometheus asks for, and what everything else understands.
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    Open,
    /// Prometheus' older format, in which a counter is called what its sample is.
    Plain,
}

impl Format {
    /// The media type.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Format::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The text of what a sample shows.
pub(super) fn body(sample: Arc<Sample>, format: Format) -> Body {
    let (parts, written) = mpsc::channel(WAITING);
    let write = move || {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Shown(sample)));
        let mut parts = Parts { parts, begun: String::new() };
        // It fails when nobody reads any more.
        let _ = match format {
            Format::Open => encode(&mut parts, &registry),
            Format::Plain => {
                let mut plain = Plain { to: parts, line: String::new(), help: String::new() };
                let encoded = encode(&mut plain, &registry);
                parts = plain.to;
                encoded
            }
        }
        .and_then(|()| parts.send());
    };
    tokio::task::spawn_blocking(write);
    Body::from_stream(ReceiverStream::new(written).map(Ok::<_, std::convert::Infallible>))
}

struct Parts {
    parts: mpsc::Sender<Bytes>,
    begun: String,
}

impl Parts {
    fn send(&mut self) -> fmt::Result {
        let next = String::with_capacity(PART + PART / 8);
        let part = std::mem::replace(&mut self.begun, next);
        self.parts.blocking_send(part.into()).map_err(|_| fmt::Error)
    }
}

impl Write for Parts {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.begun.push_str(text);
        if self.begun.len() >= PART { self.send() } else { Ok(()) }
    }
}

/// Makes the older text of OpenMetrics.
struct Plain<W> {
    to: W,
    line: String,
    /// It waits for the line that says whether it is that of a counter.
    help: String,
}

impl<W: Write> Plain<W> {
    fn end_line(&mut self) -> fmt::Result {
        let mut line = std::mem::take(&mut self.line);
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), ..) => self.help.clone_from(&line),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                let told =
                    self.help.strip_prefix("# HELP ").and_then(|help| help.strip_prefix(name)).unwrap_or_default();
                writeln!(self.to, "# HELP {name}{suffix}{told}\n# TYPE {name}{suffix} {kind}")?;
            }
            (Some("#"), ..) => {}
            _ => writeln!(self.to, "{line}")?,
        }
        line.clear();
        self.line = line;
        Ok(())
    }
}

impl<W: Write> Write for Plain<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let whole = piece.strip_suffix('\n');
            self.line.push_str(whole.unwrap_or(piece));
            if whole.is_some() {
                self.end_line()?;
            }
        }
        Ok(())
    }
}
