//! What a set decides, as it is counted.

use crate::host::control::Mechanism;
use crate::status::Status;

/// What a set decided, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Decision {
    /// Calls refused with [`Status::NO_ENDPOINT`].
    NoEndpoint = 0,
    /// Attempts refused with [`Status::ATTEMPTS_EXHAUSTED`].
    AttemptsExhausted,
    /// Attempts refused with [`Status::BUDGET_EXHAUSTED`].
    BudgetExhausted,
    /// Attempts refused with [`Status::OUT_OF_TIME`].
    OutOfTime,
    /// Calls refused with [`Status::SKIPPED`].
    Skipped,
    /// Calls refused with [`Status::WITHHELD`].
    Withheld,
    /// Calls refused with [`Status::SHIELDED`].
    Shielded,
    /// Calls refused with [`Status::BUCKET_FULL`].
    BucketFull,
    /// Attempts after the first one.
    Retry,
    /// Backup requests.
    Backup,
    /// Attempts that were probes.
    Probe,
    /// Attempts that a pass rate held back, and that were made to measure.
    Measurement,
    /// Attempts at shielded endpoints, because too many are.
    Capped,
    /// Endpoints that calls of this process shielded.
    Shielding,
    /// What shields would have refused, were they not only observed.
    ObservedShield,
    /// What pass rates would have held back.
    ObservedPassRate,
    /// What skips would have refused.
    ObservedSkip,
    /// What cursors would have refused.
    ObservedFastReject,
    /// What the budgets would have refused.
    ObservedBudget,
}

impl Decision {
    /// How many kinds there are.
    pub const COUNT: usize = Decision::ALL.len();

    /// All of them, in the order of their numbers.
    pub const ALL: [Decision; 19] = [
        Decision::NoEndpoint,
        Decision::AttemptsExhausted,
        Decision::BudgetExhausted,
        Decision::OutOfTime,
        Decision::Skipped,
        Decision::Withheld,
        Decision::Shielded,
        Decision::BucketFull,
        Decision::Retry,
        Decision::Backup,
        Decision::Probe,
        Decision::Measurement,
        Decision::Capped,
        Decision::Shielding,
        Decision::ObservedShield,
        Decision::ObservedPassRate,
        Decision::ObservedSkip,
        Decision::ObservedFastReject,
        Decision::ObservedBudget,
    ];

    /// The status that a refusal of this kind is answered with; `None` for what is no refusal.
    pub const fn refusal(self) -> Option<Status> {
        Some(match self {
            Decision::NoEndpoint => Status::NO_ENDPOINT,
            Decision::AttemptsExhausted => Status::ATTEMPTS_EXHAUSTED,
            Decision::BudgetExhausted => Status::BUDGET_EXHAUSTED,
            Decision::OutOfTime => Status::OUT_OF_TIME,
            Decision::Skipped => Status::SKIPPED,
            Decision::Withheld => Status::WITHHELD,
            Decision::Shielded => Status::SHIELDED,
            Decision::BucketFull => Status::BUCKET_FULL,
            _ => return None,
        })
    }

    pub(super) const fn of_refusal(status: Status) -> Decision {
        match status {
            Status::ATTEMPTS_EXHAUSTED => Decision::AttemptsExhausted,
            Status::BUDGET_EXHAUSTED => Decision::BudgetExhausted,
            Status::OUT_OF_TIME => Decision::OutOfTime,
            Status::SKIPPED => Decision::Skipped,
            Status::WITHHELD => Decision::Withheld,
            Status::SHIELDED => Decision::Shielded,
            Status::BUCKET_FULL => Decision::BucketFull,
            _ => Decision::NoEndpoint,
        }
    }

    pub(super) const fn observed(mechanism: Mechanism) -> Decision {
        match mechanism {
            Mechanism::PassRate => Decision::ObservedPassRate,
            Mechanism::Skip => Decision::ObservedSkip,
            Mechanism::FastReject => Decision::ObservedFastReject,
            Mechanism::RetryBudget => Decision::ObservedBudget,
            Mechanism::Shield | Mechanism::Admission => Decision::ObservedShield,
        }
    }
}
