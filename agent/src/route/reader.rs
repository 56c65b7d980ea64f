//! The keys of one section, read as what they mean. A value that is missing or wrong is a fault, and so is a key that
//! nobody reads; reading goes on behind both.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::error::FaultList;
use super::ini::Section;
use super::names::{NAME_EXPECTED, is_name};

/// Ends what is known in several, numbered from 0 on, as `Server<N>`.
const NUMBERED: &str = "<N>";

/// Reads one section.
pub(super) struct SectionReader<'a> {
    pub section: &'a Section,
    faults: &'a mut FaultList,
    known: &'static [&'static str],
}

impl<'a> SectionReader<'a> {
    /// A section in which only the `known` keys may stand.
    pub(super) fn new(section: &'a Section, known: &'static [&'static str], faults: &'a mut FaultList) -> Self {
        for entry in section.entries.iter().filter(|entry| !is_known(&entry.key, known)) {
            faults.of_key(entry.line, &section.name, &entry.key, unknown("key", &entry.key, known));
        }
        SectionReader { section, faults, known }
    }

    /// The value of a key as `parse` understands it; `None` if it is not there, or wrong.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        noun: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let entry = self.section.entries.iter().find(|entry| entry.key == key)?;
        let read = parse(&entry.value);
        if read.is_none() {
            let what = format!("{:?} is no {noun}: expected {expected}{}", entry.value, hint(&entry.value));
            self.faults.of_key(entry.line, &self.section.name, key, what);
        }
        read
    }

    /// As [`read`](Self::read), of a key that has to be there.
    pub(super) fn require<T>(
        &mut self,
        key: &str,
        noun: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let mut keys = self.section.entries.iter().map(|entry| entry.key.as_str());
        // What is written wrong has been said already.
        if !keys.any(|found| found == key || (!is_known(found, self.known) && nearest(found, self.known) == key)) {
            let what = format!("is missing: expected {expected}");
            self.faults.of_key(self.section.line, &self.section.name, key, what);
        }
        self.read(key, noun, expected, parse)
    }

    pub(super) fn number<T>(&mut self, key: &str, noun: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.read(key, noun, &from_to(&range), |text| number(text).filter(|number| range.contains(number)))
    }

    pub(super) fn required_number<T>(&mut self, key: &str, noun: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.require(key, noun, &from_to(&range), |text| number(text).filter(|number| range.contains(number)))
    }

    pub(super) fn name(&mut self, key: &str, noun: &str) -> Option<String> {
        self.read(key, noun, NAME_EXPECTED, |text| is_name(text).then(|| text.to_owned()))
    }

    /// A fault of a key that was read, or of one that is missing.
    pub(super) fn fault(&mut self, key: &str, what: impl Into<String>) {
        self.faults.of_key(self.line_of(key), &self.section.name, key, what);
    }

    /// The line of a key; that of the section if it is missing.
    pub(super) fn line_of(&self, key: &str) -> u32 {
        let entry = self.section.entries.iter().find(|entry| entry.key == key);
        entry.map_or(self.section.line, |entry| entry.line)
    }
}

/// Says which sections are not known.
pub(super) fn check_sections(sections: &[Section], known: &'static [&'static str], faults: &mut FaultList) {
    for section in sections.iter().filter(|section| !is_known(&section.name, known)) {
        faults.of_section(section.line, &section.name, unknown("section", &section.name, known));
    }
}

/// The number behind `prefix`: 2 of `Server2`. Written in one way only, so that one name has one number.
pub(super) fn numbered(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    number(digits).filter(|number: &u32| number.to_string() == digits)
}

/// A number of digits alone: no sign, no blank.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn from_to<T: Display>(range: &RangeInclusive<T>) -> String {
    format!("a number from {} to {}", range.start(), range.end())
}

fn hint(value: &str) -> &'static str {
    if value.contains([';', '#']) { "; a comment stands in a line of its own" } else { "" }
}

fn is_known(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| match known.strip_suffix(NUMBERED) {
        Some(prefix) => numbered(name, prefix).is_some(),
        None => *known == name,
    })
}

fn unknown(kind: &str, name: &str, known: &[&'static str]) -> String {
    format!("is no known {kind}: the nearest is {}, and known are {}", nearest(name, known), known.join(", "))
}

fn nearest(name: &str, known: &[&'static str]) -> &'static str {
    let letters = |name: &str| name.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_ascii_lowercase();
    let distance = |known: &str| {
        strsim::damerau_levenshtein(&letters(name), &known.trim_end_matches(NUMBERED).to_ascii_lowercase())
    };
    known.iter().min_by_key(|known| distance(known)).copied().unwrap_or_default()
}
