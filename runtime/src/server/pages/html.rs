//! A page for a browser: its text as it is, and links to the others.

use std::fmt::Write as _;

use super::{PAGES, Page};

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:1.5em}nav a{margin-right:1em}nav b{margin-right:1em}\
                     pre{font:13px/1.45 ui-monospace,monospace;overflow-x:auto}\
                     @media(prefers-color-scheme:dark){body{background:#16181c;color:#dde}a{color:#8bf}}";

pub(super) fn of(page: &Page, path: &str) -> Page {
    let path = path.split('?').next().unwrap_or_default();
    let mut body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>mcrpc {}</title><style>{STYLE}</style><nav>",
        escaped(path)
    );
    for (other, _) in PAGES {
        let _ = match other == path {
            true => write!(body, "<b>{other}</b>"),
            false => write!(body, "<a href=\"{other}\">{other}</a>"),
        };
    }
    let _ = writeln!(body, "</nav><pre>{}</pre></html>", escaped(&page.body));
    Page { code: page.code, content_type: "text/html; charset=utf-8", body: body.into() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
