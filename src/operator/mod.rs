//! What an operator says to the whole host: `mcrpc kill`, `mode`, `shield`, `skip` and `dye`.
//!
//! Each works when no agent runs: it writes the control segment itself, and makes it if there is none. Every command
//! says what was before and what is now. [`session`] opens the segment and holds its lock.

pub(crate) mod dye;
pub(crate) mod kill;
pub(crate) mod mode;
mod session;
pub(crate) mod shield;
pub(crate) mod skip;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::host::control::Orders;
use crate::host::listing::Listing;
use crate::host::output::{print, print_json};
use crate::host::place::Place;

/// What is not in force with the next call.
const SERVERS_FOLLOW: &str =
    "Servers ask for the mode of their admission when they call mcrpc_admission_follow(); those in Rust every 50 ms.";

/// Shows what is said, as JSON or as a table. Without a segment nothing was said.
fn show<T: Serialize>(
    place: &Place,
    json: bool,
    of: impl FnOnce(&Orders) -> T,
    listing: impl FnOnce(&Orders) -> Listing,
) -> Result<()> {
    let said = session::look(place)?;
    let orders = said.clone().unwrap_or_else(Orders::nothing);
    if json {
        return print_json(&of(&orders));
    }
    print(listing(&orders))?;
    if said.is_none() { print_nothing_said(place) } else { Ok(()) }
}

fn print_nothing_said(place: &Place) -> Result<()> {
    print(format_args!("There is no control segment in {}: nothing was ever said.", place.dir.display()))
}

/// JSON is for what can be listed.
fn refuse_json(json: bool) -> Result<()> {
    if json {
        bail!("--json goes with listing only: leave it out, or leave out what is to be changed");
    }
    Ok(())
}
