//! Where each function may be called: what is made from `ffi/abi.toml`, the one list of them.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::root;

/// The contract of all exported functions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    #[serde(rename = "group")]
    groups: Vec<Group>,
}

/// Functions of one part with the same rules; the fields are explained at the head of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    part: String,
    since: String,
    hot: bool,
    threads: String,
    effects: String,
    signal: String,
    fork: String,
    stack_bytes: Option<u32>,
    functions: Vec<String>,
}

impl Contract {
    pub fn read() -> Contract {
        let text = std::fs::read_to_string(root().join("ffi/abi.toml")).unwrap();
        toml::from_str(&text).unwrap_or_else(|error| panic!("ffi/abi.toml: {error}"))
    }

    /// All functions, in the file's order.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flat_map(|group| &group.functions).map(String::as_str)
    }

    /// Those that may be called per request from anywhere.
    pub fn hot(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().filter(|group| group.hot).flat_map(|group| &group.functions).map(String::as_str)
    }

    /// For the packaging: `part since name` of each function.
    pub fn exports(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            for function in &group.functions {
                writeln!(text, "{} {} {function}", group.part, group.since).unwrap();
            }
        }
        text
    }

    /// For the documentation: all rules of all functions.
    pub fn documented_table(&self) -> String {
        let mut text = String::from(
            "| function | part | threads | allocates, blocks, calls the system | signal handler | after fork | stack |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for group in &self.groups {
            let Group { part, threads, effects, signal, fork, .. } = group;
            let (names, stack) = (code(&group.functions), group.stack());
            let effects = if effects == "none" { "no" } else { effects };
            writeln!(text, "| {names} | {part} | {threads} | {effects} | {signal} | {fork} | {stack} |").unwrap();
        }
        text
    }

    /// For the README: which functions are hot.
    pub fn short_table(&self) -> String {
        let mut text = String::from("| part | hot functions |\n|---|---|\n");
        // The groups of a part follow each other.
        for groups in self.groups.chunk_by(|one, next| one.part == next.part) {
            let hot = groups.iter().filter(|group| group.hot);
            let names: Vec<_> = hot.flat_map(|group| group.functions.iter().cloned()).collect();
            if !names.is_empty() {
                writeln!(text, "| {} | {} |", groups[0].part, code(&names)).unwrap();
            }
        }
        text
    }

    /// For the header: all rules, as comments.
    pub fn header_comment(&self) -> String {
        let mut text = String::from(
            "//
// Which function may be called where. After each group of functions: by how many threads at once; what it does beyond
// its arguments (\"nothing\": no allocation, lock or system call); whether from a signal handler that has interrupted the
// same function; whether in a child of a process with several threads; the most bytes of stack, where that is promised.
//
",
        );
        for group in &self.groups {
            for line in wrapped(&group.functions, ", ", 110) {
                writeln!(text, "// {line}").unwrap();
            }
            for line in wrapped(&group.facts(), "; ", 106) {
                writeln!(text, "//     {line}").unwrap();
            }
        }
        text
    }
}

impl Group {
    /// Its rules as the header tells them.
    fn facts(&self) -> Vec<String> {
        let Group { threads, effects, signal, fork, .. } = self;
        let effects = if effects == "none" { "nothing" } else { effects };
        let mut facts = vec![
            format!("threads: {threads}"),
            format!("does: {effects}"),
            format!("signal handler: {signal}"),
            format!("after fork: {fork}"),
        ];
        facts.extend(self.stack_bytes.map(|bytes| format!("stack: {bytes} bytes")));
        if self.hot {
            facts.insert(0, "hot".to_owned());
        }
        facts
    }

    fn stack(&self) -> String {
        self.stack_bytes.map_or("not stated".to_owned(), |bytes| format!("≤ {bytes} bytes"))
    }
}

fn code(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

/// The words in lines of at most `width` characters, if no word is longer.
fn wrapped(words: &[String], separator: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let word = if n + 1 < words.len() { format!("{word}{separator}") } else { word.clone() };
        match lines.last_mut() {
            Some(line) if line.len() + word.trim_end().len() <= width => line.push_str(&word),
            _ => lines.push(word),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}
