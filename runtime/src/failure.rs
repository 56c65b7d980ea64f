//! How a call ends that does not end well.

use std::borrow::Cow;
use std::fmt;

use mcrpc_core::status::{Class, Status};

/// What a handler answers with instead of a reply, and what a caller gets instead of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: Status,
    text: Cow<'static, str>,
}

impl Failure {
    /// A failure of the service's own: any code but those that the library knows. Callers do not try it elsewhere.
    ///
    /// A code that is none is [`Status::INVALID_ARGUMENT`]; the text stays.
    pub fn of_service(code: i32, text: impl Into<Cow<'static, str>>) -> Failure {
        let status = Status(code);
        let status = if status.class() == Class::Other { status } else { Status::INVALID_ARGUMENT };
        Failure { status, text: text.into() }
    }

    /// A failure of the system, told in the words of the list.
    pub const fn of_system(status: Status) -> Failure {
        Failure { status, text: Cow::Borrowed("") }
    }

    /// What a server answered.
    pub(crate) fn of_answer(status: Status, text: String) -> Failure {
        Failure { status, text: text.into() }
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
