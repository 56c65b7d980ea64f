//! The rule file of the *table* generator: JSON, as `docs/rules.json`, which holds the built-in rules.
//!
//! A file is refused as a whole, with the line, the key, the value found and what it should be:
//!
//! ```text
//! rules.json:7: rules[2].steps[0].success_percent: 130 is not a number from 0 to 100 with at most two decimals
//! ```

use std::path::Path;

use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::generate::{DEFAULT_RESTART, DEFAULT_RULES, FLOOR, Restart, Rule, Table};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::watched::{FileError, Flaw, Watched};

/// A table of rules of which the number is not known before the file is read.
pub type Rules = Table<Vec<Rule>>;

const MIN_CHANGE_PERCENT: f64 = -100.0;
const MAX_CHANGE_PERCENT: f64 = 10_000.0;
/// Characters of a bad value that an error shows.
const MAX_SHOWN: usize = 40;

/// A rule file that is read again whenever it has changed.
#[derive(Debug)]
pub struct RulesFile(Watched<Rules>);

impl RulesFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or something in it is wrong.
    pub fn open(path: &Path) -> Result<RulesFile, FileError> {
        Watched::open(path, parse).map(RulesFile)
    }

    /// What it said when it was last good.
    pub fn rules(&self) -> &Rules {
        self.0.content()
    }

    /// Reads the file again if it has changed. Whether it has.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), once for each change: what was read last stays in force.
    pub fn poll(&mut self) -> Result<bool, FileError> {
        self.0.poll()
    }
}

/// The built-in rules.
pub fn built_in() -> Rules {
    Table::new(DEFAULT_RULES.to_vec(), DEFAULT_RESTART)
}

// The file as it is written. Numbers are kept as text, which knows where in the file it stands.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText<'t> {
    #[serde(borrow)]
    restart: Option<RestartText<'t>>,
    #[serde(borrow)]
    rules: Vec<TierText<'t>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestartText<'t> {
    #[serde(borrow)]
    above_success_percent: &'t RawValue,
    #[serde(borrow)]
    pass_percent: &'t RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierText<'t> {
    #[serde(borrow)]
    requests: &'t RawValue,
    #[serde(borrow)]
    steps: Vec<StepText<'t>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText<'t> {
    #[serde(borrow)]
    success_percent: &'t RawValue,
    #[serde(borrow)]
    change_percent: &'t RawValue,
}

fn parse(text: &str) -> Result<Rules, Flaw> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let file: FileText<'_> = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| malformed(error.inner(), &error.path().to_string()))?;
    deserializer.end().map_err(|error| malformed(&error, ""))?;
    Reader { text }.file(&file)
}

/// What is no JSON, or has other keys.
fn malformed(error: &serde_json::Error, path: &str) -> Flaw {
    let message = error.to_string();
    // The line is told before the message.
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    // The top is `.`, and a key that could not be read `?`.
    let path = path.trim_end_matches(['.', '?']);
    let what = if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") };
    Flaw { line: error.line().max(1), what }
}

/// Checks what has the right form.
struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn file(&self, file: &FileText<'_>) -> Result<Rules, Flaw> {
        let restart = match &file.restart {
            Some(restart) => self.restart(restart)?,
            None => DEFAULT_RESTART,
        };
        if file.rules.is_empty() {
            let line = self.line_at(self.text.find("\"rules\"").unwrap_or(0));
            return Err(Flaw { line, what: "rules: there must be at least one".into() });
        }
        let (mut rules, mut before) = (Vec::new(), 0);
        for (number, tier) in file.rules.iter().enumerate() {
            let path = format!("rules[{number}]");
            let key = format!("{path}.requests");
            let wanted = "a whole number from 1 to 4294967295";
            let requests = self.number(&key, tier.requests, is_count, wanted)? as u32;
            if requests <= before {
                return Err(self.wrong(&key, tier.requests, &format!("above {before}, that of the rule before")));
            }
            before = requests;
            rules.extend(self.steps(&path, requests, tier)?);
        }
        Ok(Table::new(rules, restart))
    }

    fn restart(&self, restart: &RestartText<'_>) -> Result<Restart, Flaw> {
        let (above_key, pass_key) = ("restart.above_success_percent", "restart.pass_percent");
        let above_success = self.percent(above_key, restart.above_success_percent)?;
        let pass_rate = self.percent(pass_key, restart.pass_percent)?;
        if above_success == Per10k::ALL {
            return Err(self.wrong(above_key, restart.above_success_percent, "below 100: it would never restart"));
        }
        if pass_rate <= FLOOR {
            return Err(self.wrong(pass_key, restart.pass_percent, "above 1, where it restarts from"));
        }
        Ok(Restart { above_success, pass_rate })
    }

    fn steps(&self, path: &str, requests: u32, tier: &TierText<'_>) -> Result<Vec<Rule>, Flaw> {
        let Some((last, others)) = tier.steps.split_last() else {
            let what = format!("{path}.steps: there must be at least one");
            return Err(Flaw { line: self.line_of(tier.requests), what });
        };
        let mut rules: Vec<Rule> = Vec::new();
        for (number, step) in tier.steps.iter().enumerate() {
            let key = format!("{path}.steps[{number}].success_percent");
            let success = self.percent(&key, step.success_percent)?;
            if let Some(before) = rules.last().filter(|before| success <= before.success) {
                let wanted = format!("above {}, that of the step before", f64::from(before.success.get()) / 100.0);
                return Err(self.wrong(&key, step.success_percent, &wanted));
            }
            let key = format!("{path}.steps[{number}].change_percent");
            let wanted = "a whole number from -100 to 10000";
            let change_percent = self.number(&key, step.change_percent, is_change, wanted)? as i16;
            rules.push(Rule { requests, success, change_percent });
        }
        let path = format!("{path}.steps[{}]", others.len());
        if rules.last().is_some_and(|rule| rule.success != Per10k::ALL) {
            let wanted = "100: the last step is for all that is above the others";
            return Err(self.wrong(&format!("{path}.success_percent"), last.success_percent, wanted));
        }
        if rules.last().is_some_and(|rule| rule.change_percent <= 0) {
            let wanted = "above 0: an endpoint would never come back";
            return Err(self.wrong(&format!("{path}.change_percent"), last.change_percent, wanted));
        }
        Ok(rules)
    }

    fn percent(&self, key: &str, value: &RawValue) -> Result<Per10k, Flaw> {
        let wanted = "a number from 0 to 100 with at most two decimals";
        let percent = self.number(key, value, is_percent, wanted)?;
        Per10k::new((percent * 100.0).round() as u16).ok_or_else(|| self.wrong(key, value, wanted))
    }

    fn number(&self, key: &str, value: &RawValue, is_good: fn(f64) -> bool, wanted: &str) -> Result<f64, Flaw> {
        let number = serde_json::from_str(value.get()).ok().filter(|&number| is_good(number));
        number.ok_or_else(|| self.wrong(key, value, wanted))
    }

    fn wrong(&self, key: &str, value: &RawValue, wanted: &str) -> Flaw {
        // What is no number may have any length.
        let shown: String = value.get().chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let rest = if value.get().chars().nth(MAX_SHOWN).is_some() { "…" } else { "" };
        Flaw { line: self.line_of(value), what: format!("{key}: {shown}{rest} is not {wanted}") }
    }

    /// A raw value is a piece of the text it was read from.
    fn line_of(&self, value: &RawValue) -> usize {
        self.line_at(value.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr()))
    }

    fn line_at(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }
}

fn is_count(number: f64) -> bool {
    number.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&number)
}

fn is_change(number: f64) -> bool {
    number.fract() == 0.0 && (MIN_CHANGE_PERCENT..=MAX_CHANGE_PERCENT).contains(&number)
}

/// Two decimals are exact up to the rounding of the binary fraction.
fn is_percent(number: f64) -> bool {
    let hundredths = number * 100.0;
    (0.0..=100.0).contains(&number) && (hundredths - hundredths.round()).abs() < 1e-6
}
