//! How a call ends that does not end well.

use std::borrow::Cow;
use std::fmt;

use std::time::Duration;

use mcrpc_core::admission::Cursor;
use mcrpc_core::status::{Class, Status};

/// What a handler answers with instead of a reply, and what a caller gets instead of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: Status,
    text: Cow<'static, str>,
    reject: Reject,
}

/// What a server that refused said of what it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) cursor: Cursor,
    /// For how long the cursor holds; 0 if it did not say.
    pub(crate) hold_ms: u16,
    /// Whoever is answered with this failure is told so too: the request was only passed on.
    pub(crate) is_relayed: bool,
}

impl Reject {
    pub(crate) const NONE: Reject = Reject { cursor: Cursor::OPEN, hold_ms: 0, is_relayed: false };
}

impl Failure {
    /// A failure of the service's own: any code but those that the library knows. Callers do not try it elsewhere.
    ///
    /// A code that is none is [`Status::INVALID_ARGUMENT`]; the text stays.
    pub fn of_service(code: i32, text: impl Into<Cow<'static, str>>) -> Failure {
        let status = Status(code);
        let status = if status.class() == Class::Other { status } else { Status::INVALID_ARGUMENT };
        Failure { status, text: text.into(), reject: Reject::NONE }
    }

    /// A failure of the system, told in the words of the list.
    pub const fn of_system(status: Status) -> Failure {
        Failure { status, text: Cow::Borrowed(""), reject: Reject::NONE }
    }

    /// What a server answered.
    pub(crate) fn of_answer(status: Status, text: String, reject: Reject) -> Failure {
        Failure { status, text: text.into(), reject }
    }

    /// The same failure, with a text for a person.
    #[must_use]
    pub fn with_text(self, text: impl Into<Cow<'static, str>>) -> Failure {
        Failure { text: text.into(), ..self }
    }

    /// What went wrong, as a number.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// What went wrong, for a person; empty if nobody said more than the status does.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For how long the server that refused is to be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        (self.reject.hold_ms > 0).then(|| Duration::from_millis(self.reject.hold_ms.into()))
    }

    pub(crate) const fn reject(&self) -> Reject {
        self.reject
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::of_system(status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            "" => write!(out, "{}", self.status),
            text => write!(out, "{text} ({})", self.status),
        }
    }
}

impl std::error::Error for Failure {}
