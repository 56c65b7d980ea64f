//! Takes datagrams of reports, and answers them line by line.

use std::fmt::Write as _;

use mcrpc_core::host::control::Control;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::Nanos;

use super::cell::Probes;
use super::socket::{MAX_LEN, Sender};
use super::text::Report;

/// Lines of a datagram that are taken.
const MAX_LINES: usize = 256;

/// What the host's agent knows and says.
pub(crate) struct Host<'a> {
    /// What all processes know of the endpoints; `None` while it cannot be used.
    pub(crate) cells: Option<FailBuckets<'a>>,
    /// What the operator said.
    pub(crate) control: Option<Control<'a>>,
    /// What is published for an endpoint.
    pub(crate) published: &'a dyn Fn(&Endpoint) -> Entry,
}

/// Who takes the reports.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    probes: Probes,
    refused: Refused,
}

/// Lines that were not taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub lines: u64,
    /// What was wrong with the first of them.
    pub first: String,
}

impl Desk {
    /// Takes a datagram: what is good of it counts, whatever else is in it. The answer has a line for each of its lines
    /// that is neither empty nor a comment, in their order: what is in force, or `line 3: ` and what would be right.
    pub(crate) fn take(&mut self, datagram: &[u8], sender: Option<&Sender>, host: &Host<'_>, now: Nanos) -> String {
        let mut answer = String::new();
        let Ok(text) = std::str::from_utf8(datagram) else {
            self.refuse(1, "not text: expected UTF-8", &mut answer);
            return answer;
        };
        if datagram.len() > MAX_LEN {
            self.refuse(
                1,
                &format!("the report is longer than {MAX_LEN} bytes: nothing of it was counted"),
                &mut answer,
            );
            return answer;
        }
        let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.split('#').next().unwrap_or_default()));
        let mut lines = lines.filter(|(_, line)| !line.trim().is_empty());
        for (number, line) in lines.by_ref().take(MAX_LINES) {
            match self.take_line(line, sender, host, now) {
                Ok(line) => answer.push_str(&line),
                Err(what) => self.refuse(number, &what, &mut answer),
            }
        }
        if let Some((number, _)) = lines.next() {
            let what =
                format!("more than {MAX_LINES} lines in a report: this one and those behind it were not counted");
            self.refuse(number, &what, &mut answer);
        }
        answer
    }

    /// What was refused since the last time.
    pub(crate) fn refused(&mut self) -> Option<Refused> {
        let refused = std::mem::take(&mut self.refused);
        (refused.lines > 0).then_some(refused)
    }

    fn take_line(
        &mut self,
        line: &str,
        sender: Option<&Sender>,
        host: &Host<'_>,
        now: Nanos,
    ) -> Result<String, String> {
        let report = Report::parse(line)?;
        let cells = host.cells.ok_or("the agent cannot count now: report it again later")?;
        let cell = cells.bucket(&report.endpoint).and_then(|id| cells.health(id));
        let health = cell.map_err(|status| format!("there is no room for another endpoint ({status})"))?;
        self.probes.add(&report, sender, &health, now);
        let entry = match host.control {
            Some(control) if control.is_killed() => open(Kind::Normal, Per10k::ALL),
            Some(control) if control.is_shielded(&report.endpoint, now) => open(Kind::Shielded, Per10k::NONE),
            _ => {
                let published = (host.published)(&report.endpoint);
                self.probes.advise(&report.endpoint, published, sender, &health, now)
            }
        };
        Ok(format!("{}\n", report.answer(entry)))
    }

    fn refuse(&mut self, line: usize, what: &str, answer: &mut String) {
        if self.refused.lines == 0 {
            what.clone_into(&mut self.refused.first);
        }
        self.refused.lines += 1;
        let _ = writeln!(answer, "line {line}: {what}");
    }
}

fn open(kind: Kind, pass_rate: Per10k) -> Entry {
    Entry { pass_rate, kind, reject_level: RejectLevel::OPEN }
}
