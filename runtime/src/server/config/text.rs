//! The text of a settings' file: read, with what is wrong and where; and written, as an example with all keys.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::Config;
use super::file::File;
use super::keys::{self, KEYS, MayBe};

/// A key that is not as it may be.
pub(super) struct BadSetting {
    section: &'static str,
    name: &'static str,
    pub(super) text: String,
}

/// The settings of `base`, and over them what the text says.
///
/// # Errors
///
/// The file, the line, the key, what is wrong with it, and what it may be.
pub(in super::super) fn read(path: &Path, text: &str, base: &Config) -> Result<Config, String> {
    let at = |line: Option<usize>| line.map_or(path.display().to_string(), |line| format!("{}:{line}", path.display()));
    let not_toml = |error: toml::de::Error| {
        let offset = error.span().map(|span| span.start);
        let key = offset.and_then(|offset| key_at(text, offset));
        let line = offset.map(|offset| line_of(text, offset));
        let name = key.as_ref().map_or(String::new(), |(section, name)| format!("{section}.{name}: "));
        let known = key.and_then(|(section, name)| keys::find(&section, &name));
        let hint = known.map_or(String::new(), |key| format!("; it may be {}", key.may_be));
        format!("{}: {name}{}{hint}", at(line), error.message())
    };
    toml::from_str::<File>(text).map_err(not_toml)?;
    let mut merged = table_of(base);
    merge(&mut merged, toml::from_str(text).map_err(not_toml)?);
    let config = merged.try_into().map(File::into_config).map_err(not_toml)?;
    check(&config).map_err(|bad| format!("{}: {}", at(place_of(text, &bad)), bad.text))?;
    Ok(config)
}

/// Whether all settings are within their bounds, and make sense together.
///
/// # Errors
///
/// The first that is not.
pub(super) fn check(config: &Config) -> Result<(), BadSetting> {
    let table = table_of(config);
    for key in KEYS {
        let value = value(&table, key.section, key.name);
        if let Some(value) = value.filter(|value| !key.may_be.allows(value)) {
            let text = format!("{} is {value}: it has to be {}", key.name, key.may_be);
            return Err(BadSetting { section: key.section, name: key.name, text });
        }
    }
    let most = config.workers.saturating_mul(config.coroutines_per_worker).max(config.blocking_workers);
    if most.saturating_add(config.queue_limit) > Config::MAX_REQUESTS {
        let text = format!(
            "queue_limit is {}, and {most} handlers run at a time (workers x coroutines_per_worker, or blocking_workers): together they \
             have to be at most {}",
            config.queue_limit,
            Config::MAX_REQUESTS
        );
        return Err(BadSetting { section: "limits", name: "queue_limit", text });
    }
    config.admission.validate().map_err(|_| BadSetting {
        section: "admission",
        name: "target_wait_ms",
        text: "admission: the waits are not in the order target, overload, soft, hard".to_owned(),
    })
}

/// The keys that differ, and that a running server does not take over.
pub(in super::super) fn need_restart(before: &Config, after: &Config) -> Vec<String> {
    let (before, after) = (table_of(before), table_of(after));
    KEYS.iter()
        .filter(|key| !key.is_live && value(&before, key.section, key.name) != value(&after, key.section, key.name))
        .map(|key| format!("{}.{}", key.section, key.name))
        .collect()
}

/// A file with all keys, what they are for, and their defaults.
pub(super) fn example() -> String {
    let defaults = table_of(&Config::default());
    let mut text = "# The settings of a server, each with its default. Those marked (live) are taken over by a running server within \
                    two seconds;\n# others need a restart, and the server says so in its log. Written by `Config::example_toml()`.\n"
        .to_owned();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = write!(text, "\n[{section}]\n");
        }
        let live = if key.is_live { " (live)" } else { "" };
        let may_be = match key.may_be {
            MayBe::Number(0, u64::MAX) | MayBe::Addresses => String::new(),
            ref may_be => format!(" {may_be}."),
        };
        let _ = writeln!(text, "# {}{may_be}{live}", key.doc);
        let default = value(&defaults, key.section, key.name);
        let _ = match default {
            // It depends on the machine.
            _ if key.name == "workers" => writeln!(text, "# workers = as many as there are cores"),
            Some(default) => writeln!(text, "{} = {default}", key.name),
            None => Ok(()),
        };
    }
    text + "
# Limits of a method, by its full name. (live)
# [methods.\"echo.Echo.Say\"]
# Requests that run or wait at a time, in each process. 0: any number.
# max_concurrency = 0

# Limits of a caller, by the name that it gives of itself. (live)
# [callers.\"shop\"]
# Requests a second, in all processes together. 0: any number.
# requests_per_second = 0
# Requests at once, when the caller has been silent. 0: as many as in a second.
# burst = 0
"
}

fn table_of(config: &Config) -> Table {
    Table::try_from(File::of(config)).expect("settings are tables of numbers and words")
}

fn value<'t>(table: &'t Table, section: &str, name: &str) -> Option<&'t Value> {
    table.get(section)?.get(name)
}

/// Puts what `over` says in the place of what was there, key by key.
fn merge(below: &mut Table, over: Table) {
    for (name, value) in over {
        match (below.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(over)) => merge(below, over),
            (_, value) => _ = below.insert(name, value),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

/// The section and the key in which a byte of the text lies.
fn key_at(text: &str, offset: usize) -> Option<(String, String)> {
    let mut found = None;
    each_key(text, |section, name, span| {
        if span.contains(&offset) {
            found = Some((section.to_owned(), name.to_owned()));
        }
    });
    found
}

/// The line of a setting; `None` if the text does not have it.
fn place_of(text: &str, bad: &BadSetting) -> Option<usize> {
    let mut found = None;
    each_key(text, |section, name, span| {
        if (section, name) == (bad.section, bad.name) {
            found = Some(line_of(text, span.start));
        }
    });
    found
}

/// Calls with each section, each key of it, and where the key and its value are.
fn each_key(text: &str, mut each: impl FnMut(&str, &str, Range<usize>)) {
    if let Ok(table) = DeTable::parse(text) {
        each_key_of("", table.get_ref(), &mut each);
    }
}

fn each_key_of(section: &str, table: &DeTable<'_>, each: &mut impl FnMut(&str, &str, Range<usize>)) {
    for (name, value) in table {
        match value.get_ref() {
            DeValue::Table(inner) if section.is_empty() => each_key_of(name.get_ref(), inner, each),
            DeValue::Table(inner) => each_key_of(&format!("{section}.{}", name.get_ref()), inner, each),
            _ => each(section, name.get_ref(), name.span().start..value.span().end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_of_a_file_is_documented_and_each_documented_key_is_one_of_a_file() {
        let table = table_of(&Config::default());
        let of_section = |section: &'static str| {
            let keys = table[section].as_table().unwrap().keys().map(move |name| format!("{section}.{name}"));
            keys.collect::<Vec<_>>()
        };
        let mut known: Vec<String> = ["server", "limits", "admission"].into_iter().flat_map(of_section).collect();
        let mut documented: Vec<String> = KEYS.iter().map(|key| format!("{}.{}", key.section, key.name)).collect();
        known.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, known);
    }
}
