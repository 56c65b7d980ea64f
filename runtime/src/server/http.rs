//! A connection of a browser or of `curl`: the server's own pages over HTTP/1.1.

use std::borrow::Cow;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::intake::Turn;
use super::pages::{self, Page};

/// The longest request that is read.
const MAX_REQUEST: usize = 8 << 10;
const MAX_HEADERS: usize = 64;

/// The reading side of a connection.
#[derive(Default)]
pub(crate) struct Http {
    /// A request whose end has not arrived, and when it began.
    unfinished: Vec<u8>,
    since: Nanos,
    is_going_away: bool,
}

impl Http {
    /// Since when the rest of a request is waited for.
    pub(crate) fn waits_since(&self) -> Option<Nanos> {
        (!self.unfinished.is_empty()).then_some(self.since)
    }

    pub(crate) fn go_away(&mut self) {
        self.is_going_away = true;
    }

    /// Takes one request of what was read, since a page takes long; says how many bytes.
    ///
    /// # Errors
    ///
    /// It is no HTTP, or too much of it: the connection has to be closed.
    pub(crate) fn read(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Result<usize, Status> {
        if self.unfinished.is_empty() {
            self.since = turn.now();
        }
        self.unfinished.extend_from_slice(input);
        let bytes = std::mem::take(&mut self.unfinished);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let len = match request.parse(&bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_REQUEST => {
                self.unfinished = bytes;
                return Ok(input.len());
            }
            Ok(httparse::Status::Partial) => return Err(Status::METADATA_TOO_LONG),
            Err(_) => return Err(Status::BAD_MAGIC),
        };
        let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        let page = match method {
            "GET" | "HEAD" => pages::page(path, turn.shared, self.is_going_away),
            _ => Page::text(405, "The pages of this server can only be read: use GET.\n"),
        };
        let accept = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("accept"));
        let accept = accept.and_then(|header| str::from_utf8(header.value).ok()).unwrap_or_default();
        put(turn.out, &page.for_reader(accept, path), method == "HEAD");
        Ok(input.len() - (bytes.len() - len))
    }
}

fn put(out: &mut Vec<u8>, page: &Page, is_head: bool) {
    let reason = match page.code {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Service Unavailable",
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n\r\n",
        page.code,
        page.content_type,
        page.body.len()
    );
    out.extend_from_slice(head.as_bytes());
    if !is_head {
        out.extend_from_slice(Cow::as_ref(&page.body).as_bytes());
    }
}
