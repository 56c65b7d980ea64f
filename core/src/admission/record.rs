//! One decision of a controller and what became of the request, in 48 bytes: one cell of a trace ring.
//!
//! | byte | size | little-endian |
//! |---|---|---|
//! | 0 | 8 | when the request arrived, ns of `CLOCK_MONOTONIC` |
//! | 8 | 8 | the user |
//! | 16 | 4 | its key |
//! | 20 | 4 | how long its caller waited, µs; 2³² - 1: for ever |
//! | 24 | 4 | how long it waited, µs |
//! | 28 | 4 | how long it ran, µs; 0: it did not |
//! | 32 | 2 | the decision: 0, or the status it was refused with |
//! | 34 | 2 | the tenant |
//! | 36 | 2 | requests that its caller withheld since its last one |
//! | 38 | 1 | the queue |
//! | 39 | 1 | bit 0 a retry, 1 continues a task, 2 only observed: it was let pass |
//! | 40 | 4 | the key of one of the withheld |
//! | 44 | 2 | workers behind the queue; 0: not known |
//! | 46 | 1 | version, 1 |
//! | 47 | 1 | 0 |
//!
//! With the settings of the controller that is all it takes to decide again: see `docs/why.md`.

use super::gate::Request;
use super::key::Key;
use crate::id::Uin;
use crate::status::Status;
use crate::time::{NANOS_PER_MICRO, Nanos};

/// Bytes of a record.
pub const LEN: usize = 48;
/// The kind under which records stand in a trace ring.
pub const TRACE_KIND: u8 = 0xDC;
const VERSION: u8 = 1;
const NO_DEADLINE: u32 = u32::MAX;
const IS_RETRY: u8 = 1;
const CONTINUES_TASK: u8 = 2;
const IS_OBSERVED: u8 = 4;

/// A decision, and what became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// What was asked, and when.
    pub arrived: Nanos,
    /// The user; 0: not known.
    pub uin: Uin,
    /// What was decided on.
    pub request: Request,
    /// Which queue.
    pub queue: u8,
    /// Workers behind it; 0: not known.
    pub workers: u16,
    /// [`Status::OK`], or why it was refused, on arrival or in the queue.
    pub decision: Status,
    /// The decision was only observed, and the request let pass.
    pub is_observed: bool,
    /// How long it waited.
    pub wait_us: u32,
    /// How long it ran; 0: it did not.
    pub service_us: u32,
    /// What its caller reported as withheld: how many, and the key of one.
    pub withheld: (u16, Key),
}

impl DecisionRecord {
    /// As it stands in a ring or a file.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let DecisionRecord { arrived, request, .. } = self;
        let budget_us = match request.deadline {
            Nanos::NEVER => NO_DEADLINE,
            deadline => (deadline.since(*arrived) / NANOS_PER_MICRO).min(u64::from(NO_DEADLINE - 1)) as u32,
        };
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(request.is_retry, IS_RETRY)
            | flag(request.continues_task, CONTINUES_TASK)
            | flag(self.is_observed, IS_OBSERVED);
        let parts: [&[u8]; 14] = [
            &arrived.0.to_le_bytes(),
            &self.uin.0.to_le_bytes(),
            &request.key.0.to_le_bytes(),
            &budget_us.to_le_bytes(),
            &self.wait_us.to_le_bytes(),
            &self.service_us.to_le_bytes(),
            &(self.decision.0 as i16).to_le_bytes(),
            &request.tenant.to_le_bytes(),
            &self.withheld.0.to_le_bytes(),
            &[self.queue],
            &[flags],
            &self.withheld.1.0.to_le_bytes(),
            &self.workers.to_le_bytes(),
            &[VERSION, 0],
        ];
        let mut bytes = [0; LEN];
        for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        bytes
    }

    /// What these bytes say; `None` if they are no record of this version.
    pub fn from_bytes(bytes: &[u8]) -> Option<DecisionRecord> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let mut parts = Parts(bytes);
        let arrived = Nanos(parts.u64());
        let uin = Uin(parts.u64());
        let (key, budget_us, wait_us, service_us) = (Key(parts.u32()), parts.u32(), parts.u32(), parts.u32());
        let decision = Status(parts.u16().cast_signed().into());
        let (tenant, withheld) = (parts.u16(), parts.u16());
        let [queue, flags] = parts.take();
        let (withheld_key, workers) = (Key(parts.u32()), parts.u16());
        let [version, _] = parts.take();
        let deadline = match budget_us {
            NO_DEADLINE => Nanos::NEVER,
            budget_us => arrived.plus(u64::from(budget_us) * NANOS_PER_MICRO),
        };
        let is_set = |flag: u8| flags & flag != 0;
        let (is_retry, continues_task) = (is_set(IS_RETRY), is_set(CONTINUES_TASK));
        (version == VERSION).then_some(DecisionRecord {
            arrived,
            uin,
            request: Request { key, deadline, is_retry, continues_task, tenant },
            queue,
            workers,
            decision,
            is_observed: is_set(IS_OBSERVED),
            wait_us,
            service_us,
            withheld: (withheld, withheld_key),
        })
    }
}

/// What is left of a record.
struct Parts<'b>(&'b [u8]);

impl Parts<'_> {
    /// The next bytes; zeroes behind the end.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *first
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: DecisionRecord = DecisionRecord {
        arrived: Nanos(5_000_000_000),
        uin: Uin(0x1122_3344_5566_7788),
        request: Request {
            key: Key(0x1234_5678),
            deadline: Nanos(5_500_000_000),
            is_retry: true,
            continues_task: false,
            tenant: 63,
        },
        queue: 7,
        workers: 8,
        decision: Status::BELOW_CURSOR,
        is_observed: true,
        wait_us: 12,
        service_us: 0,
        withheld: (300, Key(9)),
    };

    #[test]
    fn a_record_survives_its_bytes_and_another_version_is_none() {
        let forever = Request { deadline: Nanos::NEVER, is_retry: false, continues_task: true, ..RECORD.request };
        for record in [RECORD, DecisionRecord { request: forever, decision: Status::OK, service_us: 9, ..RECORD }] {
            assert_eq!(DecisionRecord::from_bytes(&record.to_bytes()), Some(record));
        }
        let mut bytes = RECORD.to_bytes();
        assert_eq!(DecisionRecord::from_bytes(&bytes[1..]), None);
        bytes[46] = 2;
        assert_eq!(DecisionRecord::from_bytes(&bytes), None);
    }

    /// The bytes that docs/why.md describes.
    #[test]
    fn a_record_is_laid_out_as_documented() {
        let bytes = RECORD.to_bytes();
        assert_eq!(bytes[8], 0x88);
        assert_eq!(bytes[16..24], [0x78, 0x56, 0x34, 0x12, 0x20, 0xa1, 0x07, 0x00]);
        assert_eq!((bytes[32..34].to_vec(), bytes[38], bytes[39]), ((-217i16).to_le_bytes().to_vec(), 7, 0b101));
        assert_eq!(bytes[44..], [8, 0, 1, 0]);
    }
}
