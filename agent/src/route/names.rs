//! Regions, zones and groups are names in the files and small numbers in a decision. The number is a hash of the name, so
//! that all callers agree about it without asking anybody; two names with one number are refused where they meet.

use std::collections::BTreeMap;

use mcrpc_core::wire::header::method_id;

/// The number of a region, zone or group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct NameId(u16);

impl NameId {
    /// No name was given.
    pub const NONE: NameId = NameId(0);

    /// The number of a name: FNV-1a 32, folded to 16 bits; never 0.
    pub const fn of(name: &str) -> NameId {
        let hash = method_id(name.as_bytes());
        let folded = (hash >> 16) as u16 ^ hash as u16;
        NameId(if folded == 0 { 1 } else { folded })
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether there is no name.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What a name looks like.
pub const NAME_EXPECTED: &str = "1 to 64 letters, digits, '_', '-' or '.'";
const MAX_NAME_LEN: usize = 64;

/// Whether it may be a name of a region, zone, group, service or IDC: no path, and nothing that a terminal obeys.
pub fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=MAX_NAME_LEN).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_allowed)
}

/// The names of one kind, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameSet(BTreeMap<NameId, String>);

impl NameSet {
    /// Adds a name.
    ///
    /// # Errors
    ///
    /// Another name has its number: that name.
    pub(super) fn add(&mut self, name: &str) -> Result<NameId, &str> {
        let id = NameId::of(name);
        let known = self.0.entry(id).or_insert_with(|| name.to_owned());
        if known == name { Ok(id) } else { Err(known) }
    }

    /// The name that has a number.
    pub fn get(&self, id: NameId) -> Option<&str> {
        self.0.get(&id).map(String::as_str)
    }
}

/// The names of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of regions.
    pub regions: NameSet,
    /// Of zones.
    pub zones: NameSet,
    /// Of groups.
    pub groups: NameSet,
}

pub(super) fn collision(name: &str, other: &str) -> String {
    format!("{name:?} and {other:?} have the same number, {}: rename one of them", NameId::of(name).get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_name_never_changes() {
        // Callers of different versions have to agree.
        for (name, id) in [("sz", 0x683a), ("south", 0x235d), ("canary", 0x5d39)] {
            assert_eq!(NameId::of(name).get(), id, "{name}");
        }
        assert!((0..200_000).all(|number| !NameId::of(&number.to_string()).is_none()));
    }

    #[test]
    fn two_names_with_one_number_do_not_come_together() {
        let name = |number: u32| format!("zone{number}");
        let other = (1..).map(name).find(|other| NameId::of(other) == NameId::of(&name(0))).unwrap();
        let mut names = NameSet::default();
        let id = names.add("zone0").unwrap();
        assert_eq!(names.add("zone0"), Ok(id));
        assert_eq!(names.add(&other), Err("zone0"));
        assert_eq!((names.get(id), names.get(NameId::NONE)), (Some("zone0"), None));
    }

    #[test]
    fn a_name_is_no_path() {
        for (text, is_one) in [("demo", true), ("a.b-c_9", true), ("", false), ("..", false), (".a", false)]
            .into_iter()
            .chain([("a/b", false), ("a b", false), ("\u{1b}", false), ("é", false)])
        {
            assert_eq!(is_name(text), is_one, "{text:?}");
        }
        assert!(is_name(&"a".repeat(64)) && !is_name(&"a".repeat(65)));
    }
}
