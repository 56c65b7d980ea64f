//! The order of importance: one number per task, one cursor in the same space.
//!
//! ```text
//! key = business priority (6 bits) | user level (7 bits) | task hash (16 bits)        smaller is more important
//! ```
//!
//! Business and user are DAGOR's two levels (SoCC 2018, section 4.2). The task hash splits the level in which a
//! cursor falls, so that a fraction of a level can be admitted without breaking up a task: all its calls share one
//! key, and are admitted or refused together.

use crate::id::{Salt, Uin};

/// Business priorities, 0 first. Numbers above the last one count as the last one.
pub const PRIORITIES: usize = 64;
/// User levels within one priority.
pub const USER_LEVELS: usize = 128;

const USER_SHIFT: u32 = 16;
const PRIORITY_SHIFT: u32 = USER_SHIFT + USER_LEVELS.trailing_zeros();
const TASK_MASK: u32 = (1 << USER_SHIFT) - 1;

/// Where a request stands in the order of importance. Smaller is more important.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Key(pub u32);

impl Key {
    /// The key of a task. All calls of a task must be given the same four arguments; `task_id` is 0 when the user
    /// alone names the task.
    #[inline]
    pub const fn new(salt: Salt, priority: u8, uin: Uin, task_id: u64) -> Key {
        let user_hash = salt.hash(if uin.0 == 0 { task_id } else { uin.0 });
        let task_hash = if task_id == 0 { user_hash } else { Salt(user_hash).hash(task_id) };
        let priority = if priority as usize >= PRIORITIES { PRIORITIES - 1 } else { priority as usize };
        // The user level is the hash's top seven bits, the task hash comes from its lowest sixteen.
        Key((priority as u32) << PRIORITY_SHIFT
            | ((user_hash >> 57) as u32) << USER_SHIFT
            | (task_hash as u32 & TASK_MASK))
    }

    /// The same task with the last business priority.
    #[inline]
    pub(super) const fn least_important(self) -> Key {
        Key(self.0 | ((PRIORITIES - 1) as u32) << PRIORITY_SHIFT)
    }

    /// Business priority, 0 to 63.
    #[inline]
    pub const fn priority(self) -> usize {
        (self.0 >> PRIORITY_SHIFT) as usize % PRIORITIES
    }

    /// User level, 0 to 127.
    #[inline]
    pub const fn user_level(self) -> usize {
        (self.0 >> USER_SHIFT) as usize % USER_LEVELS
    }
}

/// Keys below the cursor are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Cursor(pub u32);

impl Cursor {
    /// Admits every key: the value when there is no overload.
    pub const OPEN: Cursor = Cursor((PRIORITIES as u32) << PRIORITY_SHIFT);

    /// The cursor that admits `fraction` (in 1/65536) of a user level and all levels before it.
    #[inline]
    pub const fn within(priority: usize, user_level: usize, fraction: u32) -> Cursor {
        let level =
            ((priority % PRIORITIES) as u32) << PRIORITY_SHIFT | ((user_level % USER_LEVELS) as u32) << USER_SHIFT;
        // A whole level is the start of the next one.
        Cursor(level + if fraction > TASK_MASK + 1 { TASK_MASK + 1 } else { fraction })
    }

    /// Whether the cursor lets `key` pass.
    #[inline]
    pub const fn admits(self, key: Key) -> bool {
        key.0 < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_comes_before_user_and_user_before_task() {
        let salt = Salt(11);
        for uin in 1..500 {
            assert!(Key::new(salt, 0, Uin(uin), 1) < Key::new(salt, 1, Uin(uin + 1), 2));
            let (first, second) = (Key::new(salt, 3, Uin(uin), 1), Key::new(salt, 3, Uin(uin), 2));
            assert_eq!((first.priority(), first.user_level()), (3, second.user_level()));
        }
        assert_eq!(Key::new(salt, 200, Uin(1), 0).priority(), 63);
    }

    #[test]
    fn a_cursor_splits_its_level_by_task() {
        let salt = Salt(5);
        let cursor = Cursor::within(2, 128 - 1, 1 << 15);
        let mut admitted = 0;
        let in_level = (1..2_000_000u64)
            .map(|uin| Key::new(salt, 2, Uin(uin), 0))
            .filter(|key| key.user_level() == 127)
            .inspect(|key| admitted += u32::from(cursor.admits(*key)))
            .count() as u32;
        assert!(admitted.abs_diff(in_level / 2) < in_level / 50, "{admitted} of {in_level}");
        assert!(Cursor::within(2, 127, 1 << 16) == Cursor::within(3, 0, 0));
        assert!(Cursor::within(63, 127, u32::MAX) == Cursor::OPEN);
    }
}
