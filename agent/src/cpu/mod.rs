//! How busy the CPUs are that a process may use: the second signal of overload, beside the wait in its queue.
//!
//! A process runs into whichever ceiling is the lowest: the quota of its cgroup or of one above it, of which all that is used
//! counts; or the CPUs that it may run on. Of those counts what processes use who heed the answer. With what others use, a
//! job that takes all that is left over would make servers give way to it until nothing is left of them.
//!
//! A file that is missing, vanishes or cannot be understood costs the sample of whoever depends on it, and nothing else.
//!
//! | module | |
//! |---|---|
//! | [`sampler`] | utilisation from two looks |
//! | `cgroup` | what the cgroups of a process have used, and may use |
//! | `machine` | what the CPUs of the machine could have done for processes, and what a process has used of them |
//! | `seats` | samples for all who have a seat, written where they read them |

mod cgroup;
mod machine;
pub mod sampler;
pub(crate) mod seats;

use std::io;
use std::path::Path;

use mcrpc_core::id::Per10k;

/// What is in a file; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The value behind a word at the beginning of a line.
fn value<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix([' ', ':', '\t'])).map(str::trim)
}

fn misunderstood() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// A share of a whole, at most all; `None` of nothing.
fn share(part: u128, whole: u128) -> Option<Per10k> {
    let per_10k = part.saturating_mul(Per10k::ALL.get().into()).checked_div(whole)?;
    Some(u16::try_from(per_10k).ok().and_then(Per10k::new).unwrap_or(Per10k::ALL))
}
