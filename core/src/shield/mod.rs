//! Is this endpoint healthy?
//!
//! Outcomes of calls go in, and every process that asks is told whether the endpoint may be called. What is known of one
//! endpoint is a cell of two cache lines, in memory of the process (SPEC S5) or in the host's segment
//! ([`crate::host::fail`], SPEC S6): who probes a dead machine is then settled between all processes of the host.
//!
//! | module | |
//! |---|---|
//! | [`outcome`] | what a call met, and whether it speaks against the endpoint |
//! | [`breaker`] | one word: a leaky bucket that counts in requests, and the state that it leads to |
//! | [`leak`] | one word: a leaky bucket that counts in seconds, as Svrkit's |
//! | [`health`] | the cell: both words, the endpoint's cursor, and counts for the agent |
//! | [`rate`] | the agent's judgement by count and rate of failures (SPEC S7) |
//! | [`skip`] | calls that are not made at all, for a share of the users (SPEC S9) |

pub mod breaker;
pub mod health;
pub mod leak;
pub mod outcome;
pub mod rate;
pub mod skip;
