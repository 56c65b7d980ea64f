//! What a server shows of itself: text for `curl`, and the same with links for a browser (`docs/observability.md`).
//!
//! | module | page |
//! |---|---|
//! | `status` | methods: how many, how long, how they ended |
//! | `sizing` | how many workers and coroutines there should be |
//! | `admission` | what each controller knows, and whom it refuses |
//! | `connections` | who is connected |
//! | `shield` | the servers that are called |
//! | `vars` | every counter |
//! | `html` | how a browser gets it |

mod admission;
mod connections;
mod html;
mod shield;
mod sizing;
mod status;
mod vars;

use std::borrow::Cow;

use super::shared::Shared;
use crate::metrics;

const TEXT: &str = "text/plain; charset=utf-8";

/// An answer to a browser.
pub(crate) struct Page {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Cow<'static, str>,
}

impl Page {
    pub(crate) fn text(code: u16, body: impl Into<Cow<'static, str>>) -> Page {
        Page { code, content_type: TEXT, body: body.into() }
    }

    /// The same page for somebody who accepts this.
    pub(crate) fn for_reader(self, accept: &str, path: &str) -> Page {
        if self.content_type == TEXT && accept.contains("text/html") { html::of(&self, path) } else { self }
    }
}

/// Every page there is, and what it shows.
const PAGES: [(&str, &str); 8] = [
    ("/status", "methods: how many requests, how long each stage took, how they ended"),
    ("/sizing", "how many workers and coroutines there should be"),
    ("/admission", "what each controller knows, and whom it refuses"),
    ("/connections", "who is connected"),
    ("/shield", "the servers that are called, and their shields"),
    ("/vars", "every counter"),
    ("/metrics", "the same for Prometheus"),
    ("/health", "ok, or going away"),
];

/// The page at a path.
pub(crate) fn page(path: &str, shared: &Shared, is_going_away: bool) -> Page {
    let text = match path.split('?').next().unwrap_or_default() {
        "/" => format!("This server speaks mcrpc and baidu_std. Its pages:\n\n{}", list()),
        "/health" if is_going_away => return Page::text(503, "going away\n"),
        "/health" => "ok\n".to_owned(),
        "/status" => status::text(shared),
        "/sizing" => sizing::text(shared),
        "/admission" => admission::text(shared),
        "/connections" => connections::text(shared),
        "/shield" => shield::text(shared),
        "/vars" => vars::text(&metrics::of_server(shared)),
        "/metrics" => {
            let body = metrics::text(&metrics::of_server(shared)).into();
            return Page { code: 200, content_type: metrics::CONTENT_TYPE, body };
        }
        path => return Page::text(404, format!("There is no page {path}. There are:\n\n{}", list())),
    };
    Page::text(200, text)
}

fn list() -> String {
    PAGES.iter().map(|(path, shows)| format!("{path:<13} {shows}\n")).collect()
}

fn ms(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
