//! One rule of a grey release: `group=canary share=5% uin=123,456`. A share of the users, some users by name, or both go
//! to a group; `share=0%` brings them back.

use std::collections::BTreeSet;

use mcrpc_core::id::{Per10k, Uin};

use super::names::{NAME_EXPECTED, NameId, is_name};
use super::reader::number;
use crate::file::percentage;

/// Which users go to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// The group.
    pub group: NameId,
    /// This share of the users, by their hash.
    pub share: Per10k,
    /// And these, in ascending order.
    pub users: Vec<Uin>,
}

/// As it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrittenRule {
    pub group: String,
    pub share: Per10k,
    pub users: BTreeSet<u64>,
}

/// Reads a rule; what is wrong with it, and what was expected.
pub(super) fn parse(text: &str) -> Result<WrittenRule, String> {
    let (mut group, mut share, mut users) = (None, None, None);
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let is_new = match name {
            "group" => group.replace(parse_group(value)?).is_none(),
            "share" => share.replace(parse_share(value)?).is_none(),
            "uin" => users.replace(parse_users(value)?).is_none(),
            _ => return Err(format!("{word:?} is no part of a rule: expected group=, share= or uin=")),
        };
        if !is_new {
            return Err(format!("{name}= stands there twice: remove one of them"));
        }
    }
    let Some(group) = group else {
        return Err(format!("{text:?} names no group: expected group=NAME"));
    };
    if share.is_none() && users.is_none() {
        return Err(format!("{text:?} covers nobody: expected share=5%, uin=123,456 or both"));
    }
    Ok(WrittenRule { group, share: share.unwrap_or_default(), users: users.unwrap_or_default() })
}

fn parse_group(value: &str) -> Result<String, String> {
    if !is_name(value) {
        return Err(format!("{value:?} is no group: expected {NAME_EXPECTED}"));
    }
    Ok(value.to_owned())
}

fn parse_share(value: &str) -> Result<Per10k, String> {
    percentage(value)
        .ok_or_else(|| format!("{value:?} is no share: expected 0% to 100%, with two decimals at most, as 12.5%"))
}

fn parse_users(value: &str) -> Result<BTreeSet<u64>, String> {
    let user = |text: &str| {
        let user = number(text).filter(|uin| *uin > 0);
        user.ok_or_else(|| format!("{text:?} is no user id: expected a number from 1 to {}", u64::MAX))
    };
    value.split(',').map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_covers_a_share_some_users_or_both() {
        for (text, share, users) in [
            ("group=canary share=5%", 500, &[][..]),
            ("  share=0.01%   group=canary ", 1, &[]),
            ("group=canary share=0%", 0, &[]),
            ("group=canary uin=7,3,7", 0, &[3, 7]),
            ("uin=18446744073709551615 group=canary share=100%", 10_000, &[u64::MAX]),
        ] {
            let share = Per10k::new(share).unwrap();
            let expected = WrittenRule { group: "canary".to_owned(), share, users: users.iter().copied().collect() };
            assert_eq!(parse(text), Ok(expected));
        }
    }

    #[test]
    fn a_bad_rule_says_which_part_is_wrong() {
        for (text, what) in [
            ("", "\"\" names no group: expected group=NAME"),
            ("share=5%", "\"share=5%\" names no group: expected group=NAME"),
            ("group=a", "\"group=a\" covers nobody: expected share=5%, uin=123,456 or both"),
            ("group=a/b share=5%", "\"a/b\" is no group: expected 1 to 64 letters, digits, '_', '-' or '.'"),
            ("group=a share=5", "\"5\" is no share: expected 0% to 100%, with two decimals at most, as 12.5%"),
            ("group=a share=101%", "\"101%\" is no share: expected 0% to 100%, with two decimals at most, as 12.5%"),
            ("group=a uin=0", "\"0\" is no user id: expected a number from 1 to 18446744073709551615"),
            ("group=a uin=1,,2", "\"\" is no user id: expected a number from 1 to 18446744073709551615"),
            ("group=a zone=b", "\"zone=b\" is no part of a rule: expected group=, share= or uin="),
            ("group=a share", "\"\" is no share: expected 0% to 100%, with two decimals at most, as 12.5%"),
            ("group=a group=b share=1%", "group= stands there twice: remove one of them"),
        ] {
            assert_eq!(parse(text).unwrap_err(), what);
        }
    }
}
