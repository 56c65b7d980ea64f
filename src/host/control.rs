//! What the operator has said, as the control segment holds it: kill switch, modes, shields, skips, dyes.

use mcrpc_core::admission::Mode;
use mcrpc_core::host::control::{Author, Control, Mechanism, Note, Setting};
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::region::View;
use mcrpc_core::time::NANOS_PER_SECOND;
use serde::Serialize;

use super::place::Moment;
use super::text::{date, percent, span_ms};

/// Everything that was said.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Orders {
    /// Whether every mechanism is off.
    pub killed: bool,
    /// Who turned the kill switch last.
    pub kill_author: Option<AuthorOf>,
    /// How often something was changed.
    pub changes: u64,
    /// Which users are hit by shares and skips.
    pub rotation: u32,
    pub modes: Vec<ModeOrder>,
    pub shields: Vec<ShieldOrder>,
    pub skips: Vec<SkipOrder>,
    pub dyes: Vec<DyeOrder>,
}

impl Orders {
    /// Where there is no segment.
    pub(crate) fn nothing() -> Orders {
        let modes = Mechanism::ALL.into_iter().map(|mechanism| mode_order(mechanism, None, None)).collect();
        let (shields, skips, dyes) = (Vec::new(), Vec::new(), Vec::new());
        Orders { killed: false, kill_author: None, changes: 0, rotation: 0, modes, shields, skips, dyes }
    }
}

/// One mechanism.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ModeOrder {
    pub mechanism: &'static str,
    /// `None`: each program's own setting stands.
    pub mode: Option<&'static str>,
    /// The share of the users for whom it holds.
    pub share: Option<String>,
    /// Who set it last.
    pub author: Option<AuthorOf>,
}

/// One shield.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShieldOrder {
    pub endpoint: String,
    pub service_id: u32,
    #[serde(flatten)]
    pub term: Term,
    #[serde(flatten)]
    pub author: AuthorOf,
}

/// One skip.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SkipOrder {
    pub service_id: u32,
    /// 0: all methods of the service.
    pub method_id: u32,
    pub ratio: String,
    #[serde(flatten)]
    pub author: AuthorOf,
}

/// One user whose call graph is recorded.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DyeOrder {
    pub uin: u64,
    #[serde(flatten)]
    pub term: Term,
    #[serde(flatten)]
    pub author: AuthorOf,
}

/// How long an order holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Term {
    pub in_force: bool,
    /// `None`: until it is taken back, or it is over.
    pub ends_in_s: Option<u64>,
}

/// Who gave an order, and when.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AuthorOf {
    pub by_uid: u32,
    pub set_at: String,
}

impl Term {
    fn of(note: &Note, now: &Moment) -> Term {
        let in_force = note.is_in_force(now.monotonic());
        let left_ns = (u64::from(note.value) * NANOS_PER_SECOND).saturating_sub(now.monotonic_ns);
        Term { in_force, ends_in_s: (in_force && note.value != 0).then_some(left_ns / NANOS_PER_SECOND) }
    }
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.in_force, self.ends_in_s) {
            (false, _) => f.write_str("over"),
            (true, None) => f.write_str("until taken back"),
            (true, Some(left_s)) => write!(f, "for another {}", span_ms(left_s * 1_000)),
        }
    }
}

impl AuthorOf {
    fn of(author: Author) -> AuthorOf {
        AuthorOf { by_uid: author.uid, set_at: date(author.at_s) }
    }
}

/// Reads a control segment that is in use.
pub(crate) fn read(view: View<'_>, len: u64, now: &Moment) -> Result<Orders, Mismatch> {
    Ok(orders(&Control::attach(view, len)?, now))
}

/// What an attached segment says.
pub(crate) fn orders(control: &Control<'_>, now: &Moment) -> Orders {
    let shields = control.shields().map(|(endpoint, note)| ShieldOrder {
        endpoint: endpoint.socket().to_string(),
        service_id: endpoint.service_id,
        term: Term::of(&note, now),
        author: AuthorOf::of(note.author),
    });
    let skips = control.skips().map(|(target, ratio, note)| SkipOrder {
        service_id: target.service_id,
        method_id: target.method_id,
        ratio: percent(ratio),
        author: AuthorOf::of(note.author),
    });
    let dyes = control.dyes().map(|(uin, note)| DyeOrder {
        uin: uin.0,
        term: Term::of(&note, now),
        author: AuthorOf::of(note.author),
    });
    Orders {
        killed: control.is_killed(),
        kill_author: control.kill_author().map(AuthorOf::of),
        changes: control.changes(),
        rotation: control.rotation(),
        modes: Mechanism::ALL
            .into_iter()
            .map(|mechanism| mode_order(mechanism, control.setting(mechanism), control.setting_author(mechanism)))
            .collect(),
        shields: shields.collect(),
        skips: skips.collect(),
        dyes: dyes.collect(),
    }
}

fn mode_order(mechanism: Mechanism, setting: Option<Setting>, author: Option<Author>) -> ModeOrder {
    ModeOrder {
        mechanism: mechanism.name(),
        mode: setting.map(|setting| mode_name(setting.mode)),
        share: setting.map(|setting| percent(setting.share)),
        author: author.map(AuthorOf::of),
    }
}

/// A mode, for people and command lines.
pub(crate) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    }
}
