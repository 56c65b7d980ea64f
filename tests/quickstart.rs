//! Given an empty directory, when somebody follows `docs/quickstart.md` to the letter, then every command succeeds and prints
//! what the page shows.
//!
//! A `c` block is a file, named in its first line. An `sh` block is run, and a `text` block is what the one before it prints;
//! `…` in it stands for anything within a line.

mod support;

use std::path::Path;
use std::process::Command;

use support::root;

/// Between the outputs of two blocks.
const MARK: &str = "=== the next block ===";

#[derive(Debug, PartialEq, Eq)]
struct Block {
    language: String,
    text: String,
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some(Block { language: language.to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last block of the page is not closed");
    blocks
}

/// The headings' levels, such as "##".
fn levels(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.starts_with('#')).filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn the_page_does_what_it_says_from_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (mut script, mut wanted) = (String::from("set -e\n"), Vec::new());
    for block in blocks(&page("quickstart.md")) {
        match block.language.as_str() {
            "c" => write_file(directory.path(), &block.text),
            "sh" => {
                script += &format!("{}echo '{MARK}'\n", block.text);
                wanted.push(None);
            }
            "text" => *wanted.last_mut().expect("an output follows a command") = Some(block.text),
            other => panic!("a block is c, sh or text, not {other:?}"),
        }
    }
    let printed = run_in(directory.path(), &script);
    let outputs: Vec<_> = printed.split(&format!("{MARK}\n")).collect();
    assert_eq!(outputs.len(), wanted.len() + 1, "{printed}");
    for (output, wanted) in outputs.iter().zip(wanted) {
        if let Some(wanted) = wanted {
            assert!(fits(output, &wanted), "the page shows\n{wanted}\nand the commands print\n{output}");
        }
    }
}

#[test]
fn both_languages_have_the_same_headings_and_blocks() {
    let (english, chinese) = (page("quickstart.md"), page("quickstart.zh.md"));
    assert_eq!(levels(&english), levels(&chinese));
    assert_eq!(blocks(&english), blocks(&chinese));
}

fn write_file(directory: &Path, text: &str) {
    let name = text.strip_prefix("// ").and_then(|rest| rest.split(':').next()).expect("a file begins with its name");
    std::fs::write(directory.join(name), text).unwrap();
}

fn run_in(directory: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(directory).env("MCRPC", root());
    command.env_remove("MCRPC_DIR").env_remove("MCRPC_OWNER_UID");
    support::run(&mut command)
}

/// Whether an output is the one that the page shows.
fn fits(output: &str, wanted: &str) -> bool {
    let (output, wanted): (Vec<_>, Vec<_>) = (output.lines().collect(), wanted.lines().collect());
    output.len() == wanted.len() && output.iter().zip(wanted).all(|(line, wanted)| line_fits(line, wanted))
}

fn line_fits(line: &str, wanted: &str) -> bool {
    let Some((first, others)) = wanted.split_once('…') else { return line == wanted };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts = others.split('…').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    true
}
