//! Which generator, as a person says it: `none`, `default`, `table`, `table:FILE`, `wilson` or `plugin:FILE`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All calls pass.
    None,
    /// The success rate of the last period.
    Default,
    /// A table of rules: the built-in one, or that of a file.
    Table(Option<PathBuf>),
    /// Confidence bounds.
    Wilson,
    /// A function of a shared object.
    Plugin(PathBuf),
}

/// A text is no [`Choice`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}`: a generator is none, default, table, table:FILE, wilson or plugin:FILE")]
pub struct UnknownChoice(String);

impl FromStr for Choice {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Choice, UnknownChoice> {
        Ok(match text.split_once(':') {
            None => match text {
                "none" => Choice::None,
                "default" => Choice::Default,
                "table" => Choice::Table(None),
                "wilson" => Choice::Wilson,
                _ => return Err(UnknownChoice(text.into())),
            },
            Some(("table", file)) if !file.is_empty() => Choice::Table(Some(file.into())),
            Some(("plugin", file)) if !file.is_empty() => Choice::Plugin(file.into()),
            Some(_) => return Err(UnknownChoice(text.into())),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::None => f.write_str("none"),
            Choice::Default => f.write_str("default"),
            Choice::Table(None) => f.write_str("table"),
            Choice::Table(Some(file)) => write!(f, "table:{}", file.display()),
            Choice::Wilson => f.write_str("wilson"),
            Choice::Plugin(file) => write!(f, "plugin:{}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_is_said_as_it_is_shown() {
        for text in ["none", "default", "table", "table:/etc/mcrpc/rules.json", "wilson", "plugin:a:b.so"] {
            assert_eq!(text.parse::<Choice>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_none_of_them_is_told_with_all_that_there_are() {
        for text in ["", "tabel", "Wilson", "table:", "plugin", "plugin:", "wilson:x"] {
            let error = text.parse::<Choice>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("`{text}`: a generator is none, default, table, table:FILE, wilson or plugin:FILE")
            );
        }
    }
}
