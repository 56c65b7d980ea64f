//! What travels with a request: who asks, how important it is, and how long the answer is wanted.
//!
//! [`Context`] is what decisions need; [`Carried`] is all of it, with the trace, the ticket and what goes on unread.

pub mod carried;

pub use carried::Carried;

use crate::admission::Key;
use crate::id::{Salt, Uin};
use crate::time::{Millis, Nanos};
use crate::wire::{Flags, Header};

/// The part of a request's context that decisions need. It is taken from the header alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The user, or 0.
    pub uin: Uin,
    /// Business priority, 0 first.
    pub priority: u8,
    /// The business the request belongs to.
    pub business_id: u16,
    /// Names the task that this call is part of: equal for all its calls, on every server. 0 if only the uin
    /// names it.
    pub task_id: u64,
    /// How often this call has been sent before.
    pub attempt: u8,
    /// The callee has already served an earlier call of this task.
    pub continues_task: bool,
    /// When the caller stops waiting.
    pub deadline: Nanos,
}

impl Context {
    /// The context of a request whose header was read at `arrival`.
    ///
    /// Without a uin the call id stands for the task, so that anonymous requests still have distinct keys.
    #[inline]
    pub const fn from_header(header: &Header, arrival: Nanos) -> Context {
        Context {
            uin: Uin(header.uin),
            priority: header.priority,
            business_id: header.business_id,
            task_id: if header.uin == 0 { header.call_id as u64 } else { 0 },
            attempt: header.flags.attempt(),
            continues_task: header.flags.contains(Flags::CONTINUES_TASK),
            deadline: arrival.deadline_after(Millis(header.budget_ms)),
        }
    }

    /// The key under which admission compares this request with others.
    #[inline]
    pub const fn key(&self, salt: Salt) -> Key {
        Key::new(salt, self.priority, self.uin, self.task_id)
    }

    /// What is left at `now` for a call made on behalf of this request.
    #[inline]
    pub const fn onward_budget(&self, now: Nanos) -> Millis {
        now.budget_until(self.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Kind;

    #[test]
    fn a_context_comes_from_the_header_alone_and_its_budget_shrinks() {
        let mut header = Header::new(Kind::Request, 9);
        header.uin = 42;
        header.budget_ms = 500;
        header.flags = Flags(Flags::CONTINUES_TASK).with_attempt(2);
        let context = Context::from_header(&header, Nanos::from_millis(1_000));
        assert_eq!((context.uin, context.attempt, context.continues_task), (Uin(42), 2, true));
        assert_eq!(context.onward_budget(Nanos::from_millis(1_200)), Millis(300));
        assert_eq!(context.onward_budget(Nanos::from_millis(9_999)), Millis(0));
    }

    #[test]
    fn calls_of_one_user_share_a_key_and_anonymous_calls_do_not() {
        let key = |uin, call_id| {
            let mut header = Header::new(Kind::Request, call_id);
            header.uin = uin;
            Context::from_header(&header, Nanos(0)).key(Salt(3))
        };
        assert_eq!(key(42, 1), key(42, 2));
        assert_ne!(key(0, 1), key(0, 2));
    }
}
