//! Instructions of the client per call: those of user mode, of the whole process, two runs under callgrind subtracted.

use std::path::Path;
use std::process::Command;

use crate::measure::{Spread, Wanted, report};
use crate::process::{Client, Server};
use crate::shape::Shape;

/// Clients, and the servers that they call.
const PAIRS: [(&str, &str); 3] = [("ours", "ours"), ("ours-inline", "ours"), ("tokio", "tokio-spawn")];

pub fn run() {
    println!("\nof the client, per call");
    for (client, server) in PAIRS {
        for shape in [Shape::new(1, 1, 64), Shape::new(1, 64, 64)] {
            match instructions(client, server, shape) {
                Some(count) => {
                    report(&format!("{client}, {shape}: instructions"), Spread::exact(count), "", Wanted::Nothing)
                }
                None => println!("{client}: no instructions, as valgrind is not installed"),
            }
        }
    }
}

fn instructions(client: &str, server: &str, shape: Shape) -> Option<f64> {
    let nowhere = Path::new("/dev/null");
    let ((few_took, few), (many_took, many)) =
        (counted(client, server, shape, 1, nowhere)?, counted(client, server, shape, 4, nowhere)?);
    Some((many_took - few_took) / (many - few))
}

/// The instructions of so many rounds, and of the client's start; and how many calls they were.
fn counted(client: &str, server: &str, shape: Shape, rounds: usize, profile: &Path) -> Option<(f64, f64)> {
    let server = Server::start(server);
    let mut client = Client::under_callgrind(client, &server, profile)?;
    let answered: u64 = (0..rounds).map(|_| client.round(&shape).answered).sum();
    let took = client.end()? as f64;
    server.end();
    Some((took, answered as f64))
}

/// Prints which functions take the instructions of our client's calls.
pub fn profile(client: &str) {
    let (_, server) = PAIRS.into_iter().find(|(name, _)| *name == client).unwrap_or_else(|| panic!("one of {PAIRS:?}"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("callgrind");
    let (_, calls) = counted(client, server, Shape::new(1, 64, 64), 4, &file).expect("valgrind is installed");
    println!("{calls} calls");
    let status = Command::new("callgrind_annotate").args(["--auto=no", "--threshold=97"]).arg(&file).status();
    assert!(status.is_ok_and(|status| status.success()), "callgrind_annotate, of valgrind, failed");
}
