//! A page of the documentation that is run: its blocks, and whether an output is the one that it shows.
#![allow(dead_code)]

use std::path::Path;

use super::support::root;

#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub language: String,
    pub text: String,
}

pub fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap()
}

pub fn blocks(page: &str) -> Vec<Block> {
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

pub fn write_file(directory: &Path, text: &str) {
    let first = text.lines().next().and_then(|line| line.strip_prefix("// ")).expect("a file begins with its name");
    let name = first.split(':').next().unwrap_or_default();
    std::fs::write(directory.join(name), text).unwrap();
}

/// Whether an output is the one that the page shows.
pub fn fits(output: &str, wanted: &str) -> bool {
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
