//! The directory, and each file in it: whose it is, who may write it, of which version it is, and whether it is kept up.

use std::os::unix::fs::PermissionsExt as _;
use std::time::UNIX_EPOCH;

use mcrpc_agent::directory::Directory;
use mcrpc_core::host::control::{Control, Mechanism};
use mcrpc_core::host::fail::Levels;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header;
use mcrpc_core::host::region::View;
use mcrpc_core::host::trust::Writers;
use mcrpc_core::status::Status;

use super::finding::{Examined, Severity};
use crate::host::control::mode_name;
use crate::host::health::{Health, status_name};
use crate::host::logs;
use crate::host::place::{Moment, Place, advised};
use crate::host::strategy;
use crate::host::text::{date, span_ms};
use crate::host::trace;

const WORLD_WRITE: u32 = 0o002;
/// A table in which so many of the slots are used refuses keys soon.
const FULL_PERCENT: u64 = 66;

/// Looks at the directory and all of its files.
pub(super) fn examine(place: &Place, now: &Moment, examined: &mut Examined) -> Option<Directory> {
    let directory = match place.open() {
        Ok(directory) => directory,
        Err(error) => {
            let remedy = match error.status() {
                Status::SEGMENT_MISSING => "start the agent: mcrpc agent; without it every call passes",
                Status::SEGMENT_UNSAFE_MODE => "chmod go-w the directory, and find out who may have written there",
                Status::SEGMENT_WRONG_OWNER => "chown it to the agent's user, or name its owner with --owner",
                _ => "correct --dir or MCRPC_DIR",
            };
            examined.found(
                Severity::Error,
                "directory",
                status_name(error.status()),
                advised(&error).to_string(),
                remedy,
            );
            return None;
        }
    };
    examined.ok("directory", place.dir.display().to_string());
    for segment in Segment::ALL {
        file(&directory, segment, now, examined);
    }
    Some(directory)
}

fn file(directory: &Directory, segment: Segment, now: &Moment, examined: &mut Examined) {
    let mapping = match directory.map(segment) {
        Ok(mapping) => mapping,
        Err(error) => {
            if segment == Segment::Log && error.status() == Status::SEGMENT_MISSING {
                return examined.ok(segment.name(), "not kept: mcrpc agent --logs DIR would");
            }
            // An operator who has never said anything needs no segment.
            let is_needed = segment != Segment::Control || error.status() != Status::SEGMENT_MISSING;
            let severity = if is_needed { Severity::Error } else { Severity::Note };
            let remedy = match error.status() {
                Status::SEGMENT_MISSING => {
                    "start the agent, which makes it; until then what is in it is not known to calls"
                }
                Status::SEGMENT_UNSAFE_MODE => "chmod go-w the file; nobody attaches it as it is",
                Status::SEGMENT_WRONG_OWNER | Status::SEGMENT_NOT_A_FILE => {
                    "remove it, find out who made it, and restart the agent"
                }
                Status::SEGMENT_DENIED => "run this as root, or add the user to the group of the directory",
                _ => "restart the agent, which makes it anew",
            };
            return examined.found(severity, segment.name(), status_name(error.status()), error.to_string(), remedy);
        }
    };
    let (view, len) = (mapping.view(), mapping.len());
    match Health::of(segment, view, len, now) {
        Health::Ok | Health::Stale { .. } => {}
        Health::Mismatch { status, found, expected, text } => {
            let text = format!("{text} Found {found:#x}, expected {expected:#x}.");
            let remedy = match status.as_str() {
                "segment_other_major" => "upgrade the older side: programs and agent must be of one major version",
                "segment_other_layout" => "let programs and agent use builds of one version, then restart the agent",
                _ => "restart the agent, which makes it anew; then find out what damaged it",
            };
            return examined.found(Severity::Error, segment.name(), status, text, remedy);
        }
        not_used @ (Health::NotReady { .. } | Health::Unreadable { .. }) => {
            let remedy = "start the agent, which puts a new one in its place";
            return examined.found(Severity::Error, segment.name(), "segment_not_ready", not_used.to_string(), remedy);
        }
    }
    versions(segment, view, examined);
    shared_with(directory, segment, examined);
    let remarks = match segment {
        Segment::Strategy => strategies(directory, view, len, now, examined),
        Segment::Control => orders(view, len, now, examined),
        Segment::Fail => cells(view, len, now, examined),
        Segment::Trace => rings(view, len, now, examined),
        Segment::Log => log_rings(directory, view, len, examined),
        Segment::Stat | Segment::Cold => false,
    };
    if !remarks {
        examined.ok(segment.name(), "in use");
    }
}

/// A later minor version is read; who reads with an older one does not see what was added.
fn versions(segment: Segment, view: View<'_>, examined: &mut Examined) {
    let ((_, found), own) = (header::version(view), segment.format().minor);
    if found != own {
        let (older, what) = if found < own {
            ("the segment", "restart the agent with this version")
        } else {
            ("this command", "upgrade this command")
        };
        let text = format!("minor version {found}, and this command knows {own}: {older} is the older one");
        examined.found(Severity::Note, segment.name(), "other_minor", text, format!("{what}, at leisure: both work"));
    }
}

fn shared_with(directory: &Directory, segment: Segment, examined: &mut Examined) {
    let Ok(facts) = std::fs::metadata(directory.path_of(segment.file_name())) else { return };
    if segment.writers() == Writers::Everybody && facts.permissions().mode() & WORLD_WRITE != 0 {
        let text = "every user of the host may write it, so any of them can make endpoints look dead";
        examined.found(
            Severity::Warning,
            segment.name(),
            "world_writable",
            text,
            "mcrpc agent --shared-with group, unless users are as trusted as programs",
        );
    }
}

fn strategies(directory: &Directory, view: View<'_>, len: u64, now: &Moment, examined: &mut Examined) -> bool {
    let cold = directory.map(Segment::Cold).map_err(|error| error.to_string());
    let keys = cold.as_ref().map(|mapping| (mapping.view(), mapping.len())).map_err(String::clone);
    let Ok(table) = strategy::read(view, len, keys, now) else { return false };
    let age = table.refreshed_age_ms.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", span_ms(ms)));
    let writer = format!("agent, process {}, is {}; strategies refreshed {age}", table.writer.pid, table.writer.state);
    let mut found =
        |severity, finding, text: String, remedy: &str| examined.found(severity, "agent", finding, text, remedy);
    match table.writer.state {
        "alive" => {}
        "hung" => found(
            Severity::Error,
            "agent_hung",
            writer,
            "find out what it waits for, and restart it: calls pass without strategies",
        ),
        "stopped" => found(Severity::Error, "agent_stopped", writer, "start the agent: calls pass without strategies"),
        _ => found(Severity::Error, "agent_dead", writer, "start the agent: calls pass without strategies"),
    }
    if let Some(why) = &table.keys_missing {
        let remedy = "restart the agent, which makes both anew";
        found(Severity::Warning, "keys_missing", format!("the table has no keys: {why}"), remedy);
    }
    if table.writer.full_refusals > 0 {
        let text = format!("{} endpoints had no place in the table", table.writer.full_refusals);
        found(Severity::Warning, "table_full", text, "mcrpc agent --capacity with a larger number");
    }
    table.writer.state != "alive"
}

fn orders(view: View<'_>, len: u64, now: &Moment, examined: &mut Examined) -> bool {
    let Ok(control) = Control::attach(view, len) else { return false };
    if control.is_killed() {
        let text = "the kill switch is on: every mechanism is off";
        examined.found(
            Severity::Warning,
            "control",
            "killed",
            text,
            "mcrpc kill off, when what it was turned on for is over",
        );
    }
    for mechanism in Mechanism::ALL {
        if let Some(setting) = control.setting(mechanism) {
            let text = format!(
                "{} is set to {} for {} users in 10 000",
                mechanism.name(),
                mode_name(setting.mode),
                setting.share.get()
            );
            let remedy = format!("mcrpc mode {} default, when the ramp is over", mechanism.name());
            examined.found(Severity::Note, "control", "mode_set", text, remedy);
        }
    }
    let over = control.shields().filter(|(_, note)| !note.is_in_force(now.monotonic())).count();
    if over > 0 {
        examined.found(
            Severity::Note,
            "control",
            "shields_over",
            format!("{over} shields are over"),
            "nothing to do: new ones take their places",
        );
    }
    control.is_killed()
}

fn cells(view: View<'_>, len: u64, now: &Moment, examined: &mut Examined) -> bool {
    let Ok(levels) = Levels::attach(view, len) else { return false };
    let (used, slots) = levels.fill();
    if used * 100 >= slots * FULL_PERCENT {
        let text = format!("{used} of {slots} slots are used: endpoints without one are known to each process alone");
        let remedy = "remove fail.v1 and restart the agent: slots of endpoints that are gone are only given back so";
        examined.found(Severity::Warning, "fail", "table_full", text, remedy);
    }
    let damaged = crate::host::endpoints::read(view, len, now).map_or(0, |endpoints| endpoints.damaged);
    if damaged > 0 {
        let text = format!("{damaged} buckets have levels that no failure can have made; they count as empty");
        examined.found(
            Severity::Warning,
            "fail",
            "damaged",
            text,
            "find out which program writes there; restarting it is no harm",
        );
    }
    used * 100 >= slots * FULL_PERCENT || damaged > 0
}

/// Lines that had no room.
fn log_rings(directory: &Directory, view: View<'_>, len: u64, examined: &mut Examined) -> bool {
    let Ok(rings) = logs::read(view, len) else { return false };
    if rings.dropped > 0 {
        let made = std::fs::metadata(directory.path_of(Segment::Log.file_name())).and_then(|facts| facts.created());
        let made_s = made.ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
        let made = made_s.map_or_else(String::new, |made_s| format!(", {}", date(made_s)));
        let text = format!("{} lines were dropped since log.v1 was made{made}: their rings were full", rings.dropped);
        let remedy = "look whether the agent can write, and log less; or give the rings room: stop the agent, remove log.v1, and start it with a larger --log-cells, which begins the count anew";
        examined.found(Severity::Warning, "log", "dropped", text, remedy);
    }
    rings.dropped > 0
}

fn rings(view: View<'_>, len: u64, now: &Moment, examined: &mut Examined) -> bool {
    let Ok(traces) = trace::read(view, len, 1, now) else { return false };
    if traces.damaged > 0 {
        let text = format!("{} rings have heads that no writer can have written", traces.damaged);
        examined.found(Severity::Warning, "trace", "damaged", text, "remove trace.v1 and restart the agent");
    }
    traces.damaged > 0
}
