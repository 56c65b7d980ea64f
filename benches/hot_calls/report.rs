//! The table of what the hot calls cost.

use crate::measure::Spread;
use crate::profile::Cost;
use crate::support::root;

/// One call.
pub struct Row<'a> {
    pub cost: &'a Cost,
    pub alone_ns: Spread,
    pub beside_ns: Spread,
    pub stack_bytes: u64,
    /// Instructions with the caller's, compiled apart, and optimised across the languages.
    pub apart: Option<f64>,
    pub inlined: Option<f64>,
}

pub fn table(rows: &[Row<'_>]) -> String {
    let mut text = String::from(
        "| function | instructions | with the caller's | across languages | ns, one thread | ns, two threads | stack, bytes \
         | lines of data |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Cost { name, instructions, data_lines, .. } = row.cost;
        let [apart, inlined] = [row.apart, row.inlined].map(|count| count.map_or(String::new(), |n| format!("{n:.0}")));
        let (alone, beside, stack) = (row.alone_ns, row.beside_ns, row.stack_bytes);
        text += &format!(
            "| `{name}` | {instructions:.0} | {apart} | {inlined} | {alone} | {beside} | {stack} | {data_lines:.0} |\n"
        );
    }
    text
}

/// Writes the document around the table.
pub fn write(table: &str) {
    let text = format!(
        "# What the hot calls cost

The last result of `cargo bench --bench hot_calls -- --update`, which writes this page. Each function in its typical use, as
`tests/c/hot_calls.c` has it, through the C ABI of the static library: a calm server, a request of 500 ms with trace, ticket and
cookie and 64 bytes of payload, a host whose agent and operator have said something, 16 healthy endpoints.

- *Instructions*: of the function and what it calls, counted by callgrind. They hardly depend on the machine, and
  `cargo bench --bench hot_calls -- --gate` fails when they change by more than 3 %.
- *With the caller's*: those that pass the arguments and look at the result too, compiled by clang; *across languages* is the
  same with the library and the program optimised together (`-Clinker-plugin-lto`, `clang -flto=thin`, `lld`): small functions
  are inlined.
- *Nanoseconds*: the median of batches, and the span from the 10th to the 90th percentile; with *two threads*, while another
  one makes the same call on a queue of its own. They are of one machine: compare them with each other.
- *Stack*: below the caller's, with the return address; the bound is 512 bytes.
- *Lines of data*: of 64 bytes, which one call touches: arguments, results, stack and shared state.

{table}"
    );
    std::fs::write(root().join("docs/hot-calls.md"), text).expect("the page can be written");
}
