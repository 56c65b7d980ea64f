//! Given the pages of the documentation, then what they link to and the files and tests that they name are there.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use support::root;

/// What one page has and what it refers to.
#[derive(Default)]
struct Page {
    /// Names behind `#` by which others may link into it.
    anchors: BTreeSet<String>,
    links: Vec<String>,
    /// Code within the text, without that in blocks.
    spans: Vec<String>,
    /// Files that the page has the reader make: blocks of code that begin with their name.
    own_files: BTreeSet<String>,
}

/// The README and all of `docs/`, by path from the repository's root.
fn pages() -> BTreeMap<PathBuf, Page> {
    let folders = ["docs", "docs/adopt"].map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    let docs = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain([root().join("README.md")])
        .map(|path| {
            let page = read_page(&std::fs::read_to_string(&path).unwrap());
            (path.strip_prefix(root()).unwrap().to_owned(), page)
        })
        .collect()
}

fn read_page(text: &str) -> Page {
    let mut page = Page::default();
    let (mut heading, mut in_block) = (None::<String>, false);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|title| slug(&title))),
            Event::Start(Tag::CodeBlock(_)) => in_block = true,
            Event::End(TagEnd::CodeBlock) => in_block = false,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => page.links.push(dest_url.into()),
            Event::InlineHtml(html) => page.anchors.extend(id_of(&html)),
            Event::Text(text) if in_block => page.own_files.extend(own_file(&text)),
            Event::Text(text) => heading.iter_mut().for_each(|title| title.push_str(&text)),
            Event::Code(code) => {
                heading.iter_mut().for_each(|title| title.push_str(&code));
                page.spans.push(code.into());
            }
            _ => {}
        }
    }
    page
}

/// The anchor that a heading has on the usual sites.
fn slug(title: &str) -> String {
    let kept = title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect::<String>().to_lowercase()
}

fn id_of(html: &str) -> Option<String> {
    html.strip_prefix("<a id=\"")?.split('"').next().map(str::to_owned)
}

fn own_file(block: &str) -> Option<String> {
    block.strip_prefix("// ")?.split_once(": ").map(|(name, _)| name.to_owned())
}

/// Every file of the repository that is not a build's.
fn files() -> Vec<PathBuf> {
    let mut folders = vec![root().to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let is_folder = entry.file_type().unwrap().is_dir();
            match entry.file_name().to_str().unwrap() {
                "target" | ".git" => {}
                _ if is_folder => folders.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    for (path, page) in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { normal(&path.with_file_name(file)) };
            assert!(root().join(&target).exists(), "{}: [..]({link}) leads nowhere", path.display());
            let is_there = |page: &Page| page.anchors.contains(anchor);
            let has_anchor = anchor.is_empty() || pages.get(&target).is_some_and(is_there);
            assert!(has_anchor, "{}: [..]({link}): there is no #{anchor}", path.display());
        }
    }
}

/// The path without "..".
fn normal(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for part in path {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part)
        }
    }
    kept
}

#[test]
fn every_file_that_is_named_is_there() {
    let names: BTreeSet<_> = files().iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect();
    expect_none("there is no file", |page, span| {
        let is_there = if span.contains('/') { root().join(span).exists() } else { names.contains(OsStr::new(span)) };
        names_a_file(span) && !is_there && !page.own_files.contains(span)
    });
}

/// Fails with all the pieces of code of which the condition holds.
fn expect_none(what: &str, is_wrong: impl Fn(&Page, &str) -> bool) {
    let mut wrong = Vec::new();
    for (path, page) in &pages() {
        let spans = page.spans.iter().filter(|span| is_wrong(page, span));
        wrong.extend(spans.map(|span| format!("{}: {what} `{span}`", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a piece of code looks like a path from the root, or the name of a source file.
fn names_a_file(span: &str) -> bool {
    const SOURCES: [&str; 8] = [".rs", ".c", ".h", ".cpp", ".hpp", ".py", ".md", ".toml"];
    let is_plain = span.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter));
    let below_the_root =
        span.split_once('/').is_some_and(|(first, _)| !first.is_empty() && root().join(first).is_dir());
    let is_source = SOURCES.iter().any(|ending| span.len() > ending.len() && span.ends_with(ending));
    is_plain && (below_the_root || (is_source && !span.contains('/')))
}

#[test]
fn every_test_that_is_named_is_there() {
    let sources: String = files()
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    expect_none("there is no test", |_, span| is_a_tests_name(span) && !sources.contains(&format!("fn {span}(")));
}

/// Tests have whole sentences for names; of functions only the library's own have as many words.
fn is_a_tests_name(span: &str) -> bool {
    let is_of_the_library = span.starts_with('_') || span.starts_with("mcrpc_");
    !is_of_the_library
        && span.split('_').count() > 4
        && span.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}
