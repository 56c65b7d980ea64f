//! Which endpoint, and is the call worth sending at all?
//!
//! A set holds the endpoints of one service in memory of the caller's. One call of [`set::EndpointSet::select`] answers all
//! of it: *endpoint i*, or *refuse, with this reason*.
//!
//! ```text
//! skip? ─► group of the user ─► own zone, then region ─► the user's endpoint on the ring ─► may it be called? ─► choice
//!                                                             ▲                                 │ no
//!                                                             └── the user's next endpoint ◄────┘
//! ```
//!
//! An endpoint is passed over if it was tried, if an operator or the breaker shields it, if the pass rate or its cursor
//! holds the call back. None of that uses up a retry; only an attempt that is really made does.
//!
//! | module | |
//! |---|---|
//! | [`settings`] | what a caller wants: endpoints, zones, groups, limits |
//! | [`ring`] | consistent hashing: points of the endpoints, and several probes per user |
//! | [`table`] | one version of the set in memory: endpoints, rings, what is known of each |
//! | [`set`] | the set: replace the endpoints, report, hand over |
//! | `choose` | an attempt: may there be one, and where does it go |
//! | [`call`] | what is remembered of a call from one attempt to the next |
//! | `pick` | the walk above |
//! | `judge` | may this endpoint be called |
//! | `survey` | what is counted on a ring: shields, of which there may be a share only, and cursors |
//! | [`budget`] | how many retries and backup requests there may be |
//! | [`host_view`] | what a process knows of its host |
//! | [`decision`] | what is decided, as it is counted |
//! | [`explain`] | the same walk with a witness: why each endpoint was or was not chosen |
//! | `tally` | outcomes and withheld demand, added up until they are handed over |

pub mod budget;
pub mod call;
mod choose;
pub mod decision;
pub mod explain;
pub mod host_view;
mod judge;
mod pick;
pub mod ring;
pub mod set;
pub mod settings;
mod survey;
pub mod table;
mod tally;
