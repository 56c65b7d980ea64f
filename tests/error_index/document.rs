//! Writes `docs/status.md`: a row per status, in groups by number.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use mcrpc_core::status::{Class, Description, Status};

use super::causes::CAUSES;

const HEAD: &str = "# Every status

One list serves the C return code, the status of a response header, the label of a metric and the sentence that a
person reads. In C a name is upper case behind `MCRPC_`; `mcrpc_status_name` and `mcrpc_status_text` give name and sentence at run time.
GENERATED from `core/src/status.rs` and `tests/error_index/causes.rs` by `MCRPC_UPDATE=1 cargo test --test error_index`.

A number never changes its meaning, and new ones may appear: treat one that you do not know by its sign. 0 is success, a negative number is a
failure of this list, a positive one is the service's own.

*From* names a function that gives the status. `tests/c/errors_wire.c`, `tests/c/errors_calls.c` and `tests/c/errors_host.c` provoke each of them, and
the build fails when one is missing. What `mcrpc_outcome_of` names is told to the library by a transport or by the server's reply.

## What a caller may do

| class | what a caller may do |
|---|---|
";

const CLASSES: [(Class, &str); 10] = [
    (Class::Success, "go on"),
    (Class::Usage, "mend the program: it called the library, or a service, wrongly"),
    (Class::Protocol, "close the connection, or refuse the call: the peer sent bytes that are no valid frame"),
    (Class::System, "try another machine: the call failed on its way"),
    (Class::Overload, "try another machine within the retry budget, and this one not at once"),
    (Class::Deadline, "nothing: there is no time left"),
    (Class::Shielded, "choose another machine, which costs no retry: nothing was sent"),
    (Class::Skipped, "nothing, and try no other machine either: nothing was sent, on purpose"),
    (Class::Host, "go on without the host's shared state, and tell the operator"),
    (Class::Other, "what the service says: the number is its own, or of a later version"),
];

const GROUPS: [(&str, RangeInclusive<i32>); 4] = [
    ("Calls of the library", -99..=0),
    ("Bytes of a peer", -199..=-100),
    ("Requests and calls", -299..=-200),
    ("The host's shared memory", -399..=-300),
];

/// The document, with the function that gave each status when it was provoked.
pub fn generate(provoked: &BTreeMap<String, String>) -> String {
    let mut text = String::from(HEAD);
    for (class, advice) in CLASSES {
        writeln!(text, "| {class:?} | {advice} |").unwrap();
    }
    for (title, numbers) in GROUPS {
        let header = "| number | name | class | what happened | usual cause | what to do | from |\n|---|---|---|---|---|---|---|";
        writeln!(text, "\n## {title}\n\n{header}").unwrap();
        for (entry, (_, cause)) in Status::ALL.iter().zip(CAUSES) {
            if numbers.contains(&entry.status.0) {
                write_row(&mut text, entry, cause, provoked);
            }
        }
    }
    text
}

fn write_row(text: &mut String, entry: &Description, cause: &str, provoked: &BTreeMap<String, String>) {
    let (name, number, class) = (entry.name.get().to_str().unwrap(), entry.status.0, entry.class);
    let (happened, advice) = halves(entry.text.get().to_str().unwrap());
    let from = provoked.get(name).map_or("", String::as_str);
    writeln!(
        text,
        "| {number} | <a id=\"{name}\"></a>`{name}` | {class:?} | {happened} | {cause} | {advice} | `{from}` |"
    )
    .unwrap();
}

/// The sentence of a status says what happened and, behind a colon, what to do.
fn halves(sentence: &str) -> (String, String) {
    let Some((happened, advice)) = sentence.split_once(": ") else { return (sentence.to_owned(), String::new()) };
    let mut letters = advice.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    (format!("{happened}."), first + letters.as_str())
}
