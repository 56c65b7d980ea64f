//! What a call met, and whether it speaks against the endpoint.

use crate::status::{Class, Status};

/// The outcome of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It was answered.
    Ok = 0,
    /// It was answered with a failure of the service's own: the endpoint works.
    Logic = 1,
    /// It failed on its way, or no answer came in time: the one thing that counts against an endpoint.
    Failed = 2,
    /// It was refused because the endpoint is overloaded, or its worker died: the endpoint works, and its cursor says what
    /// to send.
    Overloaded = 3,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Outcome; 4] = [Outcome::Ok, Outcome::Logic, Outcome::Failed, Outcome::Overloaded];

    /// The outcome with this number.
    pub fn from_number(number: u32) -> Option<Outcome> {
        Outcome::ALL.get(number as usize).copied()
    }

    /// The outcome of a call that ended with this status (SPEC S2). A code that is not on the list is the service's own.
    pub fn of(status: Status) -> Outcome {
        match status.class() {
            Class::Success => Outcome::Ok,
            Class::System | Class::Protocol => Outcome::Failed,
            Class::Overload | Class::Deadline => Outcome::Overloaded,
            Class::Usage | Class::Shielded | Class::Skipped | Class::Host | Class::Other => Outcome::Logic,
        }
    }

    /// Whether another machine may do better. A failure of the service's own is only retried if the program says so.
    pub const fn is_retriable(self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_on_the_way_counts_against_an_endpoint() {
        let cases = [
            (Status::OK, Outcome::Ok),
            (Status(7), Outcome::Logic),
            (Status(-9_999), Outcome::Logic),
            (Status::CONNECT_FAILED, Outcome::Failed),
            (Status::TIMED_OUT, Outcome::Failed),
            (Status::BAD_MAGIC, Outcome::Failed),
            (Status::QUEUE_FULL, Outcome::Overloaded),
            (Status::BELOW_CURSOR, Outcome::Overloaded),
            (Status::WORKER_LOST, Outcome::Overloaded),
            (Status::DEADLINE_IN_QUEUE, Outcome::Overloaded),
        ];
        for (status, outcome) in cases {
            assert_eq!(Outcome::of(status), outcome, "{status:?}");
        }
    }
}
