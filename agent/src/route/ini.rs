//! An INI file as sections of keys with their lines. The parser is line by line and goes on behind a line that it cannot
//! use, so that every fault is found at once; a section or a key that stands there twice is a fault.

use std::collections::BTreeMap;

use ini_roundtrip::{Item, Parser};

use super::error::FaultList;

/// `[Name]`, and what stands below it.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub name: String,
    pub line: u32,
    pub entries: Vec<Entry>,
}

/// `Key = value`
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub value: String,
    pub line: u32,
}

/// The sections of a text in their order.
pub(super) fn parse(text: &str, faults: &mut FaultList) -> Vec<Section> {
    // The parser takes comments and sections only at the start of a line; people indent them.
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().map(str::trim).collect();
    let text = lines.join("\n");
    if text.trim().is_empty() {
        faults.of_file("is empty: expected sections, as [Name], with keys below");
    }
    let mut document = Document { sections: Vec::new(), lines: BTreeMap::new(), is_skipping: false, faults };
    let mut parser = Parser::new(&text);
    loop {
        let line = parser.line() + 1;
        match parser.next() {
            Some(Item::Section { name, .. }) => document.open(name, line),
            Some(Item::Error(header)) => document.skip(header, line),
            Some(Item::Property { key, val, .. }) => document.add(key, val, line),
            Some(Item::SectionEnd | Item::Comment { .. } | Item::Blank { .. }) => {}
            None => return document.sections,
        }
    }
}

struct Document<'a> {
    sections: Vec<Section>,
    /// Where the sections start.
    lines: BTreeMap<String, u32>,
    /// Below a section that is not used: its keys are no faults of their own.
    is_skipping: bool,
    faults: &'a mut FaultList,
}

impl Document<'_> {
    fn open(&mut self, name: &str, line: u32) {
        let first = *self.lines.entry(name.to_owned()).or_insert(line);
        self.is_skipping = first != line;
        if self.is_skipping {
            self.faults.of_section(line, name, format!("stands in line {first} before: remove or rename one of them"));
        } else {
            self.sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
        }
    }

    fn skip(&mut self, header: &str, line: u32) {
        self.faults.of_line(line, format!("{header:?} is no section: expected [Name], and nothing behind it"));
        self.is_skipping = true;
    }

    fn add(&mut self, key: &str, value: Option<&str>, line: u32) {
        if self.is_skipping {
            return;
        }
        let Some(section) = self.sections.last_mut() else {
            self.faults.of_line(line, format!("{key:?} stands in no section: expected [Name] before it"));
            return;
        };
        let Some(value) = value.filter(|_| !key.is_empty()) else {
            self.faults.of_section(line, &section.name, format!("{key:?} is no setting: expected Key = value"));
            return;
        };
        if let Some(before) = section.entries.iter().find(|entry| entry.key == key) {
            let what = format!("stands in line {} before: remove one of them", before.line);
            self.faults.of_key(line, &section.name, key, what);
            return;
        }
        section.entries.push(Entry { key: key.to_owned(), value: value.to_owned(), line });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn faults_of(text: &str) -> String {
        let mut faults = FaultList::new(Path::new("f"));
        parse(text, &mut faults);
        faults.or::<()>(None).unwrap_err().to_string()
    }

    #[test]
    fn lines_are_counted_whatever_stands_between_and_however_they_end() {
        let mut faults = FaultList::new(Path::new("f"));
        for newline in ["\n", "\r\n"] {
            let text = ["\u{feff}; c", "", "  [A]  ", "\tx = 1 = 2 ", "   # x", "[B]", "y=", "z = [1]"].join(newline);
            let sections = parse(&text, &mut faults);
            let heads: Vec<_> = sections.iter().map(|section| (section.name.as_str(), section.line)).collect();
            assert_eq!(heads, [("A", 3), ("B", 6)]);
            let entries = |number: usize| {
                sections[number].entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.line))
            };
            assert_eq!(entries(0).collect::<Vec<_>>(), [("x", "1 = 2", 4)]);
            assert_eq!(entries(1).collect::<Vec<_>>(), [("y", "", 7), ("z", "[1]", 8)]);
        }
        assert!(faults.or(Some(())).is_ok());
    }

    #[test]
    fn every_line_that_cannot_be_used_is_named_at_once() {
        assert_eq!(
            faults_of("early = 1\n[A]\nx = 1\nx = 2\nnothing\n= 3\n[B\nskipped\n[A]\nskipped too\n[C] ; why"),
            "f:1: \"early\" stands in no section: expected [Name] before it\n\
             f:4: [A] x: stands in line 3 before: remove one of them\n\
             f:5: [A]: \"nothing\" is no setting: expected Key = value\n\
             f:6: [A]: \"\" is no setting: expected Key = value\n\
             f:7: \"[B\" is no section: expected [Name], and nothing behind it\n\
             f:9: [A]: stands in line 2 before: remove or rename one of them\n\
             f:11: \"[C] ; why\" is no section: expected [Name], and nothing behind it"
        );
    }

    #[test]
    fn nothing_at_all_is_a_fault() {
        for text in ["", "\n  \n", "\u{feff}"] {
            assert_eq!(faults_of(text), "f: is empty: expected sections, as [Name], with keys below");
        }
    }
}
