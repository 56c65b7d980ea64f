//! What was found.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, and something is lost or will break.
    Warning,
    /// Some mechanism does not work.
    Error,
}

impl Severity {
    const fn text(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    check: &'static str,
    /// What was found, for programs: `ok`, or a name that never changes.
    finding: String,
    severity: Severity,
    text: String,
    /// What to do; none where all is well.
    remedy: Option<String>,
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Examined {
    findings: Vec<Finding>,
}

impl Examined {
    /// All is well.
    pub(super) fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        let (finding, severity) = ("ok".to_owned(), Severity::Ok);
        self.findings.push(Finding { check, finding, severity, text: text.into(), remedy: None });
    }

    /// Something is to be said.
    pub(super) fn found(
        &mut self,
        severity: Severity,
        check: &'static str,
        finding: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (finding, text, remedy) = (finding.into(), text.into(), Some(remedy.into()));
        self.findings.push(Finding { check, finding, severity, text, remedy });
    }

    /// The heaviest.
    pub(super) fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, severity, text, remedy, .. } in &self.findings {
            writeln!(f, "{:<8} {check:<10} {text}", severity.text())?;
            if let Some(remedy) = remedy {
                writeln!(f, "{:<8} {:<10} -> {remedy}", "", "")?;
            }
        }
        let count = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        write!(f, "{} errors, {} warnings.", count(Severity::Error), count(Severity::Warning))
    }
}
