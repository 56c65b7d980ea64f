//! What is wrong with the files, all of it at once: each fault with its file, line, section and key, the value that was
//! found, and what was expected.

use std::fmt;
use std::path::{Path, PathBuf};

/// One fault, as a sentence:
/// `route/sz/demo_route.conf:12: [Server2] Port: "80a" is no port: expected a number from 1 to 65535`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which file, or in which directory.
    pub path: PathBuf,
    /// In which line, from 1 on; `None` if it is a fault of the file as a whole.
    pub line: Option<u32>,
    /// In which section.
    pub section: Option<String>,
    /// Of which key.
    pub key: Option<String>,
    /// What was found, and what was expected.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        match (&self.section, &self.key) {
            (Some(section), Some(key)) => write!(f, " [{section}] {key}:")?,
            (Some(section), None) => write!(f, " [{section}]:")?,
            (None, _) => {}
        }
        write!(f, " {}", self.what)
    }
}

/// Why files are not used: at least one fault, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    pub(super) fn append(&mut self, more: Faults) {
        self.0.extend(more.0);
    }
}

/// A line each.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Faults {
        Faults(vec![fault])
    }
}

/// The faults of one file, while it is read.
#[derive(Debug)]
pub(super) struct FaultList {
    path: PathBuf,
    faults: Vec<Fault>,
}

impl FaultList {
    pub(super) fn new(path: &Path) -> FaultList {
        FaultList { path: path.to_owned(), faults: Vec::new() }
    }

    /// A fault of the whole file.
    pub(super) fn of_file(&mut self, what: impl Into<String>) {
        self.add(None, None, None, what.into());
    }

    /// A fault of a line outside of all sections.
    pub(super) fn of_line(&mut self, line: u32, what: impl Into<String>) {
        self.add(Some(line), None, None, what.into());
    }

    pub(super) fn of_section(&mut self, line: u32, section: &str, what: impl Into<String>) {
        self.add(Some(line), Some(section), None, what.into());
    }

    pub(super) fn of_key(&mut self, line: u32, section: &str, key: &str, what: impl Into<String>) {
        self.add(Some(line), Some(section), Some(key), what.into());
    }

    fn add(&mut self, line: Option<u32>, section: Option<&str>, key: Option<&str>, what: String) {
        let (section, key) = (section.map(str::to_owned), key.map(str::to_owned));
        self.faults.push(Fault { path: self.path.clone(), line, section, key, what });
    }

    /// What was read, if there was no fault.
    pub(super) fn or<T>(mut self, read: Option<T>) -> Result<T, Faults> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => {
                // Stable: what is about one line stays in the order in which it was found.
                self.faults.sort_by_key(|fault| fault.line);
                Err(Faults(self.faults))
            }
        }
    }
}
