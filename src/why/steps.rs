//! What each mechanism has said, in the order in which a call meets them, and what is known of each endpoint.

use mcrpc_core::admission::{Cursor, Mode};
use mcrpc_core::host::control::{Author, Control, Mechanism};
use mcrpc_core::id::Per10k;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::explain::{Answer, Look, Obstacle};
use mcrpc_core::shield::breaker::{LIMIT, State};
use mcrpc_core::shield::health::wrapping_ms;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Kind, RejectLevel};
use serde::Serialize;

use super::client::{Client, Told};
use crate::host::control::mode_name;
use crate::host::place::Moment;
use crate::host::text::{date, percent, span_ms};

/// Whose word it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub(super) enum SetBy {
    Operator {
        by_uid: u32,
        set_at: String,
    },
    Agent {
        pid: u64,
    },
    /// A server, in a reply.
    Server,
    /// All processes of the host, by what their calls met.
    Calls,
    /// The caller's files or settings.
    Settings,
    Nobody,
}

impl SetBy {
    fn author(author: Option<Author>) -> SetBy {
        author.map_or(SetBy::Nobody, |Author { uid, at_s }| SetBy::Operator { by_uid: uid, set_at: date(at_s) })
    }
}

impl std::fmt::Display for SetBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SetBy::Operator { by_uid, set_at } => write!(f, "operator, user {by_uid}, {set_at}"),
            SetBy::Agent { pid } => write!(f, "agent, process {pid}"),
            SetBy::Server => f.write_str("a server's reply"),
            SetBy::Calls => f.write_str("the calls of this host"),
            SetBy::Settings => f.write_str("settings"),
            SetBy::Nobody => f.write_str("nobody"),
        }
    }
}

/// What a mechanism does with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Says {
    Passes,
    Refuses,
    /// It would, but is only observed, for this user at least.
    WouldRefuse,
    /// It passes over some endpoints, and leaves others.
    Narrows,
    Off,
    /// The call did not come so far.
    NotAsked,
}

impl Says {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Says::Passes => "passes",
            Says::Refuses => "REFUSES",
            Says::WouldRefuse => "would refuse",
            Says::Narrows => "narrows",
            Says::Off => "off",
            Says::NotAsked => "not asked",
        }
    }
}

/// A mechanism.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    pub(super) mechanism: &'static str,
    pub(super) says: Says,
    /// How it works for this user: mode, and share of a ramp.
    pub(super) mode: String,
    pub(super) rule: String,
    pub(super) measured: String,
    pub(super) threshold: String,
    pub(super) age_ms: Option<u64>,
    pub(super) set_by: SetBy,
}

/// An endpoint, and what spoke for or against it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Candidate {
    pub(super) endpoint: String,
    pub(super) weight: u16,
    pub(super) region: u16,
    pub(super) zone: u16,
    pub(super) group: u16,
    /// `chosen`, `passed_over`, `draw_lost`, or `not_looked_at`: an earlier one was chosen, or it is in another group or zone.
    pub(super) answer: &'static str,
    /// What spoke against it.
    pub(super) obstacle: Option<&'static str>,
    /// When in the walk it was looked at last, from 1 on.
    pub(super) looked: Option<usize>,
    pub(super) is_probe: bool,
    /// The breaker's state, in words.
    pub(super) breaker: String,
    /// How full its bucket is, and from where on it is full.
    pub(super) bucket: u32,
    pub(super) bucket_limit: u32,
    pub(super) operator_shield: Option<Shield>,
    pub(super) strategy: Option<StrategyOf>,
    pub(super) cursor: Option<CursorOf>,
}

/// An operator's shield of an endpoint.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shield {
    pub(super) ends_in_s: Option<u64>,
    pub(super) set_by: SetBy,
}

/// The agent's word on an endpoint.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StrategyOf {
    pub(super) pass_rate: String,
    /// The same, to compare.
    #[serde(skip)]
    per_10k: Per10k,
    pub(super) kind: &'static str,
    pub(super) reject_level: u16,
    pub(super) age_ms: u64,
    pub(super) set_by: SetBy,
}

/// What the endpoint admits, by its own word.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CursorOf {
    pub(super) cursor: u32,
    pub(super) key: u32,
    pub(super) admits: bool,
    pub(super) holds_for_ms: u32,
    pub(super) set_by: SetBy,
}

/// All endpoints of the set.
pub(super) fn candidates(client: &Client<'_>, told: &Told, now: &Moment) -> Vec<Candidate> {
    (0..client.set.len()).filter_map(|index| candidate(client, told, index, now)).collect()
}

fn candidate(client: &Client<'_>, told: &Told, index: usize, now: &Moment) -> Option<Candidate> {
    let (endpoint, spec) = (client.set.endpoint(index)?, client.asked.specs.get(index)?);
    let health = client.set.health(index, &Default::default())?;
    let word = health.breaker();
    let last = told
        .looks
        .iter()
        .enumerate()
        .rfind(|(_, look)| look.index as usize == index && look.answer != Answer::RingLeft);
    let (answer, obstacle, is_probe) = last.map_or(("not_looked_at", None, false), |(_, look)| in_words(look));
    let reject_cursor = health.cursor_in_force(now.monotonic());
    let strategies = client.known.strategies.as_ref().filter(|strategies| strategies.is_fresh);
    let agent = || SetBy::Agent { pid: strategies.map_or(0, |strategies| strategies.table.diagnostics().writer_pid) };
    let entry = strategies.and_then(|strategies| Some((strategies.table.lookup(&endpoint)?, strategies.age_ms)));
    Some(Candidate {
        endpoint: endpoint.socket().to_string(),
        weight: spec.weight,
        region: spec.region,
        zone: spec.zone,
        group: spec.group,
        answer,
        obstacle: obstacle.map(Obstacle::name),
        looked: last.map(|(place, _)| place + 1),
        is_probe,
        breaker: breaker_in_words(
            word.state(&client.asked.settings.rules.breaker, wrapping_ms(now.monotonic())),
            word.reason().name(),
        ),
        bucket: word.level(),
        bucket_limit: LIMIT,
        operator_shield: client.known.control.as_ref().and_then(|control| shield(control, &endpoint, now)),
        strategy: entry.map(|(entry, age_ms)| StrategyOf {
            pass_rate: percent(entry.pass_rate),
            per_10k: entry.pass_rate,
            kind: match entry.kind {
                Kind::Normal => "normal",
                Kind::Probe => "probe",
                Kind::Shielded => "shielded",
            },
            reject_level: entry.reject_level.get(),
            age_ms,
            set_by: agent(),
        }),
        cursor: reject_cursor.map(|(cursor, holds_for_ms)| CursorOf {
            cursor: cursor.0,
            key: client.asked.call.key.0,
            admits: cursor.admits(client.asked.call.key),
            holds_for_ms,
            set_by: SetBy::Server,
        }),
    })
}

fn in_words(look: &Look) -> (&'static str, Option<Obstacle>, bool) {
    match look.answer {
        Answer::Chosen { is_probe } => ("chosen", None, is_probe),
        Answer::BetterThanNone { is_probe } => ("chosen", None, is_probe),
        Answer::PassedOver(obstacle) => ("passed_over", Some(obstacle), false),
        Answer::DrawLost(obstacle) => ("draw_lost", Some(obstacle), false),
        Answer::RingLeft => ("ring_left", Some(Obstacle::Breaker), false),
    }
}

fn breaker_in_words(state: State, reason: &str) -> String {
    match state {
        State::Normal => "normal".to_owned(),
        State::Shielded { left_ms } => format!("shielded by {reason}, for another {}", span_ms(left_ms.into())),
        State::Due => format!("shielded by {reason}, a probe is due"),
        State::Probing => format!("shielded by {reason}, being probed"),
        State::Recovering { share } => format!("recovering, has {} % of its users", (share * 100) >> 16),
    }
}

fn shield(control: &Control<'_>, endpoint: &Endpoint, now: &Moment) -> Option<Shield> {
    if !control.is_shielded(endpoint, now.monotonic()) {
        return None;
    }
    let note = control.shields().find(|(of, _)| of == endpoint).map(|(_, note)| note);
    let ends_s = note.map(|note| u64::from(note.value)).filter(|ends_s| *ends_s != 0);
    Some(Shield {
        ends_in_s: ends_s.map(|ends_s| ends_s.saturating_sub(now.monotonic_ns / 1_000_000_000)),
        set_by: SetBy::author(note.map(|note| note.author)),
    })
}

/// The mechanisms, in the order in which the call meets them.
pub(super) fn steps(client: &Client<'_>, told: &Told, candidates: &[Candidate]) -> Vec<Step> {
    let steps = Steps { client, told, candidates };
    let mut list = vec![steps.kill()];
    if client.asked.call.attempts == 0 {
        list.push(steps.skip());
    } else {
        list.extend(steps.again());
    }
    list.extend([steps.routing(), steps.operator_shields(), steps.breakers(), steps.pass_rates(), steps.fast_reject()]);
    list
}

struct Steps<'s> {
    client: &'s Client<'s>,
    told: &'s Told,
    candidates: &'s [Candidate],
}

impl Steps<'_> {
    fn control(&self) -> Option<&Control<'_>> {
        self.client.known.control.as_ref()
    }

    fn user(&self) -> mcrpc_core::id::Uin {
        self.client.asked.call.user()
    }

    /// How a mechanism works for this user, in words, and by whose word.
    fn mode(&self, mechanism: Mechanism) -> (Option<Mode>, String, SetBy) {
        let Some(control) = self.control() else {
            return (None, "enforce (no operator's word)".to_owned(), SetBy::Nobody);
        };
        let mode = control.mode_for(mechanism, self.user());
        if control.is_killed() {
            return (mode, "off (kill switch)".to_owned(), SetBy::author(control.kill_author()));
        }
        let text = match control.setting(mechanism) {
            None => "enforce (no operator's word)".to_owned(),
            Some(setting) if setting.share == Per10k::ALL => mode_name(setting.mode).to_owned(),
            Some(setting) => {
                let own = mode.map_or("default", mode_name);
                format!("{} for {} of the users; {own} for this one", mode_name(setting.mode), percent(setting.share))
            }
        };
        let author = control.setting(mechanism).and_then(|_| control.setting_author(mechanism));
        (mode, text, SetBy::author(author))
    }

    fn refuses_with(&self, statuses: &[Status]) -> bool {
        self.told.outcome.as_ref().is_err_and(|status| statuses.contains(status))
    }

    fn decided(&self, decision: Decision) -> bool {
        self.told.decisions[decision as usize] > 0
    }

    /// What a mechanism says that has its own refusal and its own count of what was observed.
    fn says(&self, mode: Option<Mode>, refuses: bool, would: Decision, narrows: bool) -> Says {
        match mode {
            Some(Mode::Off) => Says::Off,
            _ if refuses => Says::Refuses,
            _ if narrows => Says::Narrows,
            _ if self.decided(would) => Says::WouldRefuse,
            _ if self.stopped_before_endpoints() => Says::NotAsked,
            _ => Says::Passes,
        }
    }

    fn stopped_before_endpoints(&self) -> bool {
        self.told.looks.is_empty()
    }

    fn kill(&self) -> Step {
        let killed = self.control().is_some_and(Control::is_killed);
        Step {
            mechanism: "kill-switch",
            says: Says::Passes,
            mode: if killed { "ON: every mechanism is off" } else { "off" }.to_owned(),
            rule: "while it is on, every mechanism is off".to_owned(),
            measured: if killed { "on" } else { "off" }.to_owned(),
            threshold: "on".to_owned(),
            age_ms: None,
            set_by: SetBy::author(self.control().and_then(Control::kill_author)),
        }
    }

    fn skip(&self) -> Step {
        let (mode, text, _) = self.mode(Mechanism::Skip);
        let target = self.client.asked.call.target;
        let notes = self.control().map(|control| control.skips().collect::<Vec<_>>()).unwrap_or_default();
        let of =
            |method_id| notes.iter().find(|(of, _, _)| of.service_id == target.service_id && of.method_id == method_id);
        let note = of(target.method_id).or_else(|| of(0));
        let ratio = self.control().map_or(Per10k::NONE, |control| control.skip_ratio(target));
        let is_hit = self.control().is_some_and(|control| control.is_skipped(target, self.user()));
        let says = self.says(mode, self.refuses_with(&[Status::SKIPPED]), Decision::ObservedSkip, false);
        Step {
            mechanism: Mechanism::Skip.name(),
            says,
            mode: text,
            rule: match note {
                None => "no skip of this service or method".to_owned(),
                Some((of, _, _)) if of.method_id == 0 => format!("service {}, all methods", of.service_id),
                Some((of, _, _)) => format!("service {}, method {:#010x}", of.service_id, of.method_id),
            },
            measured: if is_hit { "the user is among them" } else { "the user is not among them" }.to_owned(),
            threshold: format!("{} of the users", percent(ratio)),
            age_ms: None,
            set_by: SetBy::author(note.map(|(_, _, note)| note.author)),
        }
    }

    fn again(&self) -> [Step; 3] {
        let (call, settings) = (&self.client.asked.call, &self.client.asked.settings);
        let step = |mechanism, status, rule: &str, measured, threshold| Step {
            mechanism,
            says: if self.refuses_with(&[status]) { Says::Refuses } else { Says::Passes },
            mode: "always".to_owned(),
            rule: rule.to_owned(),
            measured,
            threshold,
            age_ms: None,
            set_by: SetBy::Settings,
        };
        let left = match self.client.asked.timeout_ms {
            None => "no deadline".to_owned(),
            Some(ms) => format!("{ms} ms left"),
        };
        let (mode, text, set_by) = self.mode(Mechanism::RetryBudget);
        let tokens = self.client.asked.tokens;
        let says = self.says(mode, self.refuses_with(&[Status::BUDGET_EXHAUSTED]), Decision::ObservedBudget, false);
        [
            step(
                "attempts",
                Status::ATTEMPTS_EXHAUSTED,
                "no more attempts than the settings say",
                format!("{} made", call.attempts),
                format!("{} at most", settings.max_attempts),
            ),
            step("deadline", Status::OUT_OF_TIME, "no attempt after the deadline", left, "more than 0 ms".to_owned()),
            Step {
                mechanism: Mechanism::RetryBudget.name(),
                says: if says == Says::NotAsked
                    && !self.refuses_with(&[Status::ATTEMPTS_EXHAUSTED, Status::OUT_OF_TIME])
                {
                    Says::Passes
                } else {
                    says
                },
                mode: text,
                rule: format!(
                    "a retry takes a token; a first attempt brings {} of one",
                    percent(settings.retries.ratio)
                ),
                measured: tokens.map_or_else(
                    || format!("taken as full, {}: it is in the caller's own memory", settings.retries.burst),
                    |tokens| format!("{tokens} tokens, as was said"),
                ),
                threshold: "1 token".to_owned(),
                age_ms: None,
                set_by: if set_by == SetBy::Nobody { SetBy::Settings } else { set_by },
            },
        ]
    }

    fn routing(&self) -> Step {
        let routing = self.told.routing;
        let no_endpoint = self.refuses_with(&[Status::NO_ENDPOINT]);
        Step {
            mechanism: "routing",
            says: match () {
                () if no_endpoint => Says::Refuses,
                () if self.stopped_before_endpoints() => Says::NotAsked,
                () => Says::Passes,
            },
            mode: "always".to_owned(),
            rule: format!(
                "zone strategy {:?}, region {}, zone {}",
                self.client.asked.settings.zone_strategy,
                self.client.asked.settings.region,
                self.client.asked.settings.zone
            ),
            measured: format!(
                "group {}: {} endpoints, {} more for when these are not there",
                self.group(routing.group),
                routing.members,
                routing.wider
            ),
            threshold: "1 endpoint that was not tried".to_owned(),
            age_ms: None,
            set_by: SetBy::Settings,
        }
    }

    fn group(&self, group: u16) -> String {
        let names = self.client.asked.route.as_ref().map(|route| &route.names.groups);
        let name = names.and_then(|names| {
            self.client
                .asked
                .route
                .as_ref()?
                .servers
                .iter()
                .find(|server| server.group.get() == group)
                .and_then(|server| names.get(server.group))
        });
        name.map_or_else(|| group.to_string(), |name| format!("{name} ({group})"))
    }

    fn count(&self, obstacles: &[Obstacle]) -> usize {
        let is_one = |name: &str| obstacles.iter().any(|obstacle| obstacle.name() == name);
        self.candidates.iter().filter(|candidate| candidate.obstacle.is_some_and(is_one)).count()
    }

    fn operator_shields(&self) -> Step {
        let (mode, text, _) = self.mode(Mechanism::Shield);
        let shielded = self.candidates.iter().filter(|candidate| candidate.operator_shield.is_some()).count();
        let by_agent = self
            .candidates
            .iter()
            .filter(|candidate| candidate.strategy.as_ref().is_some_and(|of| of.kind == "shielded"))
            .count();
        let met = self.count(&[Obstacle::OperatorShield, Obstacle::StrategyShield]);
        let first = self.candidates.iter().find_map(|candidate| candidate.operator_shield.as_ref());
        Step {
            mechanism: "global-shield",
            says: self.says(mode, self.refuses_with(&[Status::SHIELDED]), Decision::ObservedShield, met > 0),
            mode: text,
            rule: "no call to an endpoint that an operator has shielded".to_owned(),
            measured: format!("{shielded} of {} shielded, {by_agent} by strategies; met {met}", self.candidates.len()),
            threshold: "1 endpoint that is not".to_owned(),
            age_ms: None,
            set_by: first.map_or(SetBy::Nobody, |shield| shield.set_by.clone()),
        }
    }

    fn breakers(&self) -> Step {
        let (mode, text, _) = self.mode(Mechanism::Shield);
        let met = self.count(&[Obstacle::Breaker, Obstacle::Recovering]);
        let shielded = self.candidates.iter().filter(|candidate| candidate.breaker.starts_with("shielded")).count();
        let capped = if self.decided(Decision::Capped) { "; so many that some are called all the same" } else { "" };
        Step {
            mechanism: Mechanism::Shield.name(),
            says: self.says(mode, self.refuses_with(&[Status::BUCKET_FULL]), Decision::ObservedShield, met > 0),
            mode: text,
            rule: format!(
                "no call to an endpoint whose bucket of failures was above {LIMIT}, until a probe was answered"
            ),
            measured: format!("{shielded} of {} shielded, met {met}{capped}", self.candidates.len()),
            threshold: format!("{} shielded at most", percent(self.client.asked.settings.max_shielded)),
            age_ms: None,
            set_by: SetBy::Calls,
        }
    }

    fn pass_rates(&self) -> Step {
        let (mode, text, _) = self.mode(Mechanism::PassRate);
        let met = self.count(&[Obstacle::PassRate]);
        let low: Vec<_> = self.candidates.iter().filter_map(|candidate| candidate.strategy.as_ref()).collect();
        let refuses = self.refuses_with(&[Status::WITHHELD]) && self.count(&[Obstacle::Cursor]) == 0;
        let strategies = self.client.known.strategies.as_ref();
        Step {
            mechanism: Mechanism::PassRate.name(),
            says: self.says(mode, refuses, Decision::ObservedPassRate, met > 0),
            mode: text,
            rule: "a draw for each call against the endpoint's pass rate".to_owned(),
            measured: match strategies {
                None => "no strategies".to_owned(),
                Some(strategies) if !strategies.is_fresh => "strategies too old to be believed".to_owned(),
                Some(_) => format!(
                    "{} of {} endpoints have an entry, {met} held the call back",
                    low.len(),
                    self.candidates.len()
                ),
            },
            threshold: percent(low.iter().map(|of| of.per_10k).min().unwrap_or(Per10k::ALL)),
            age_ms: strategies.map(|strategies| strategies.age_ms),
            set_by: strategies
                .map_or(SetBy::Nobody, |strategies| SetBy::Agent { pid: strategies.table.diagnostics().writer_pid }),
        }
    }

    fn fast_reject(&self) -> Step {
        let (mode, text, _) = self.mode(Mechanism::FastReject);
        let met = self.count(&[Obstacle::Cursor]);
        let call = &self.client.asked.call;
        let lowest = self.candidates.iter().filter_map(cursor_of).min();
        let holds = self
            .candidates
            .iter()
            .filter_map(|candidate| candidate.cursor.as_ref())
            .map(|cursor| cursor.holds_for_ms)
            .max();
        let exempt = if call.continues_task != 0 { "; the call continues a task, so no cursor applies" } else { "" };
        let strategies = self.client.known.strategies.as_ref().filter(|strategies| strategies.is_fresh);
        Step {
            mechanism: Mechanism::FastReject.name(),
            says: self.says(
                mode,
                self.refuses_with(&[Status::WITHHELD]) && met > 0,
                Decision::ObservedFastReject,
                met > 0,
            ),
            mode: text,
            rule: format!("no call whose key its server would refuse{exempt}"),
            measured: format!("key {:#x}, priority {}", call.key.0, call.key.priority()),
            threshold: match (lowest, holds) {
                (None, _) => "no cursor in force".to_owned(),
                (Some(cursor), Some(ms)) => {
                    format!("below {cursor:#x}, which holds for another {}", span_ms(ms.into()))
                }
                (Some(cursor), None) => format!("below {cursor:#x}, by the agent"),
            },
            age_ms: strategies.filter(|_| holds.is_none()).map(|strategies| strategies.age_ms),
            set_by: match (lowest, holds, strategies) {
                (None, ..) => SetBy::Nobody,
                (_, None, Some(strategies)) => SetBy::Agent { pid: strategies.table.diagnostics().writer_pid },
                _ => SetBy::Server,
            },
        }
    }
}

/// The strictest cursor that is known of an endpoint.
fn cursor_of(candidate: &Candidate) -> Option<u32> {
    let level = candidate.strategy.as_ref().and_then(|of| RejectLevel::new(of.reject_level));
    let level = level.map(RejectLevel::cursor).filter(|cursor| *cursor != Cursor::OPEN).map(|cursor| cursor.0);
    candidate.cursor.as_ref().map(|of| of.cursor).into_iter().chain(level).min()
}
