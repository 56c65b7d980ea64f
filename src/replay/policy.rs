//! Settings of admission by their names, which are those of a server's file: `docs/server.toml`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use mcrpc_core::admission::{Config, Mode, Policy};

/// One setting.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) get: fn(&Config) -> u32,
    /// Whether it can be that.
    pub(crate) set: fn(&mut Config, u32) -> bool,
}

macro_rules! number {
    ($name:ident) => {
        Setting {
            name: stringify!($name),
            get: |config| config.$name,
            set: |config, value| {
                config.$name = value;
                true
            },
        }
    };
}

/// All of them, in the order in which a recording holds them.
pub(crate) const SETTINGS: [Setting; 13] = [
    number!(queue_count),
    number!(workers_per_queue),
    Setting {
        name: "mode",
        get: |config| config.mode as u32,
        set: |config, value| Mode::from_number(value).map(|mode| config.mode = mode).is_some(),
    },
    number!(window_ms),
    number!(target_wait_ms),
    number!(overload_wait_ms),
    number!(soft_wait_limit_ms),
    number!(hard_wait_limit_ms),
    number!(marginal_band_per_10k),
    number!(headroom_per_10k),
    Setting {
        name: "policy",
        get: |config| config.policy as u32,
        set: |config, value| Policy::from_number(value).map(|policy| config.policy = policy).is_some(),
    },
    number!(cpu_limit_per_10k),
    Setting {
        name: "fair_share",
        get: |config| config.fair_share.into(),
        set: |config, value| {
            config.fair_share = value != 0;
            value <= 1
        },
    },
];

/// Words for the numbers of a setting.
const WORDS: [(&str, &str, u32); 7] = [
    ("mode", "off", Mode::Off as u32),
    ("mode", "observe", Mode::Observe as u32),
    ("mode", "enforce", Mode::Enforce as u32),
    ("policy", "feed_forward", Policy::FeedForward as u32),
    ("policy", "pass_rate", Policy::PassRate as u32),
    ("fair_share", "false", 0),
    ("fair_share", "true", 1),
];

/// The settings with what `texts` say: each `key=value`, several with commas, or the name of a TOML file with the keys of a
/// server's `[admission]`.
pub(crate) fn changed(config: &Config, texts: &[String]) -> Result<Config> {
    let mut changed = *config;
    for text in texts {
        if text.contains('=') {
            for pair in text.split(',') {
                let (name, value) = pair.split_once('=').with_context(|| format!("{pair:?} is no key=value"))?;
                set(&mut changed, name.trim(), value.trim())?;
            }
        } else {
            read(&mut changed, Path::new(text))?;
        }
    }
    changed.validate().ok().with_context(|| {
        "the settings do not fit each other: the waits are in the order target, overload, soft, hard".to_owned()
    })?;
    Ok(changed)
}

fn read(config: &mut Config, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: toml::Table = text.parse().with_context(|| path.display().to_string())?;
    let section = match table.get("admission") {
        Some(toml::Value::Table(section)) => section,
        _ => &table,
    };
    for (name, value) in section {
        let value = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => bail!("{}: {name} is neither a number nor a word", path.display()),
        };
        set(config, name, &value).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn set(config: &mut Config, name: &str, value: &str) -> Result<()> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
        bail!("there is no setting {name:?}: say one of {}", SETTINGS.map(|setting| setting.name).join(", "));
    };
    let word = WORDS.iter().find(|(of, word, _)| *of == name && *word == value).map(|(.., number)| *number);
    let number = word.or_else(|| value.parse().ok());
    match number.is_some_and(|number| (setting.set)(config, number)) {
        true => Ok(()),
        false => bail!("{name} cannot be {value:?}"),
    }
}

/// What differs, as `name: old -> new`.
pub(crate) fn differences(old: &Config, new: &Config) -> Vec<String> {
    let differing = SETTINGS.iter().filter(|setting| (setting.get)(old) != (setting.get)(new));
    differing.map(|setting| format!("{}: {} -> {}", setting.name, shown(setting, old), shown(setting, new))).collect()
}

fn shown(setting: &Setting, config: &Config) -> String {
    let number = (setting.get)(config);
    let word = WORDS.iter().find(|(of, _, value)| *of == setting.name && *value == number);
    word.map_or_else(|| number.to_string(), |(_, word, _)| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_changed_by_name_and_nothing_else_is() {
        let said = |text: &str| changed(&Config::DEFAULT, &[text.to_owned()]);
        let config = said("hard_wait_limit_ms=120,mode=observe").unwrap();
        assert_eq!(config, Config { hard_wait_limit_ms: 120, mode: Mode::Observe, ..Config::DEFAULT });
        assert_eq!(
            differences(&Config::DEFAULT, &config),
            ["mode: enforce -> observe", "hard_wait_limit_ms: 80 -> 120"]
        );
        for (text, why) in [
            ("nothing=1", "say one of queue_count"),
            ("mode=maybe", "mode cannot be"),
            ("window_ms=x", "cannot be"),
            ("target_wait_ms=500", "in the order"),
            ("/nowhere", "cannot read"),
        ] {
            let error = format!("{:#}", said(text).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_servers_file_says_the_same() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[admission]\nsoft_wait_limit_ms = 30\npolicy = \"pass_rate\"\n").unwrap();
        let config = changed(&Config::DEFAULT, &[file.path().display().to_string()]).unwrap();
        assert_eq!((config.soft_wait_limit_ms, config.policy), (30, Policy::PassRate));
    }
}
