//! The walk from a user to an endpoint that may be called.

use super::call::Call;
use super::explain::{Answer, Look, Witness};
use super::host_view::HostView;
use super::judge::Verdict;
use super::set::EndpointSet;
use super::settings::ZoneStrategy;
use super::survey::{self, Survey};
use super::table::{RingPlace, SCOPES, Table};
use crate::id::Salt;
use crate::status::Status;
use crate::time::Nanos;

/// How many endpoints that may not be called a user meets on a ring before all are looked at in turn. With half of them
/// shielded that happens once in 256 calls.
const REFUSALS: u32 = 8;
/// How often a user is placed on a ring anew, counting those places where only a draw was lost: with a mean weight of a tenth
/// of the largest all are lost once in 850 calls.
const ROUNDS: u64 = 64;

/// One call on its way through one version of the set, and what it has met.
pub(super) struct Walk<'w, 'h, 'a, W> {
    pub(super) witness: W,
    pub(super) set: &'w EndpointSet<'a>,
    pub(super) generation: u64,
    pub(super) host: &'w HostView<'h, 'a>,
    pub(super) now: Nanos,
    pub(super) call: &'w Call,
    pub(super) user_hash: u64,
    /// The rings of which it was counted for this call how many endpoints are shielded.
    pub(super) counted: u32,
    /// Those on which a call was refused by an older count.
    pub(super) trusted: u32,
    /// The first endpoint that only a draw held back, and whether a call of it is a probe: better than none.
    pub(super) reserve: Option<(u32, bool)>,
    pub(super) is_first: bool,
    pub(super) withheld: bool,
    /// An endpoint is told that the call was withheld.
    pub(super) is_told: bool,
    /// A ring may be left for a wider one before all of it was looked at.
    may_widen: bool,
    /// One was.
    has_widened: bool,
    pub(super) by_operator: bool,
    pub(super) by_breaker: bool,
}

/// Where a walk ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// At this endpoint.
    At { index: u32, is_probe: bool },
    /// At none, for this reason.
    Nowhere(Status),
    /// It goes on when it is known how many endpoints of this ring are shielded.
    Count { ring: u32 },
    /// It goes on from its beginning, on rings that were left.
    Again,
}

/// The ring on which the walk is.
pub(super) struct OnRing {
    pub(super) number: u32,
    pub(super) has_wider: bool,
    /// Only endpoints of this zone.
    pub(super) zone: Option<u16>,
    /// How many endpoints were looked at.
    pub(super) round: u64,
}

/// The stack of a coroutine is small, so nothing here is deep: the walk is one function, a glance at an endpoint is a leaf below
/// it, and so is everything that is rarely asked. What needs more room (counting, reading the endpoint that was chosen) is done
/// when the walk has returned.
impl<'w, 'h, 'a, W: Witness> Walk<'w, 'h, 'a, W> {
    #[inline]
    pub(super) fn new(
        set: &'w EndpointSet<'a>,
        generation: u64,
        call: &'w Call,
        is_first: bool,
        host: &'w HostView<'h, 'a>,
        now: Nanos,
        witness: W,
    ) -> Walk<'w, 'h, 'a, W> {
        Walk {
            witness,
            set,
            generation,
            host,
            now,
            call,
            user_hash: set.user_hash(call),
            counted: 0,
            trusted: 0,
            reserve: None,
            is_first,
            withheld: false,
            is_told: false,
            may_widen: true,
            has_widened: false,
            by_operator: false,
            by_breaker: false,
        }
    }

    #[inline]
    pub(super) fn table(&self) -> Table<'a> {
        self.set.table(self.generation)
    }

    #[inline]
    pub(super) fn place(&self, on: &OnRing) -> RingPlace {
        self.table().ring_place(on.number as usize / SCOPES, on.number as usize % SCOPES)
    }

    /// Chooses for the call.
    #[inline(never)]
    pub(super) fn find(&mut self) -> End {
        let group = self.table().group_of(self.call);
        let rings = if group == 0 { SCOPES } else { 2 * SCOPES };
        let number = |step: usize| if step < SCOPES { group * SCOPES + step } else { step - SCOPES };
        for step in 0..rings {
            let has_members = |step: usize| self.has_members(number(step));
            if has_members(step) {
                let has_wider = self.may_widen && (step + 1..rings).any(has_members);
                if let Some(end) =
                    self.walk_ring(OnRing { number: number(step) as u32, has_wider, zone: None, round: 0 })
                {
                    return end;
                }
            }
        }
        self.last_resort()
    }

    /// Nothing was found. A ring that was left because too many of it are shielded may have others; whom a draw held back is
    /// better than none; and a refusal takes a new count.
    #[cold]
    #[inline(never)]
    fn last_resort(&mut self) -> End {
        if self.has_widened && self.may_widen {
            self.may_widen = false;
            return End::Again;
        }
        if let Some((index, is_probe)) = self.reserve
            && (!is_probe || self.take_probe(index as usize))
        {
            self.witness.looked(Look { index, ring: 0, answer: Answer::BetterThanNone { is_probe } });
            return End::At { index, is_probe };
        }
        match self.trusted & !self.counted {
            0 => End::Nowhere(self.reason()),
            rings => End::Count { ring: rings.trailing_zeros() },
        }
    }

    #[inline]
    fn has_members(&self, ring: usize) -> bool {
        self.table().ring_place(ring / SCOPES, ring % SCOPES).members != 0
    }

    /// Places the user on the ring until an endpoint is found that may be called; after that, looks at all in turn.
    #[inline]
    fn walk_ring(&mut self, mut on: OnRing) -> Option<End> {
        let (mut refusals, mut seen) = (0, 0);
        loop {
            let is_placed = on.round < ROUNDS && refusals < REFUSALS;
            let index = if is_placed { self.placed(&on) } else { self.next_in_turn(&mut on, &mut seen)? };
            if on.round == 0 && self.set.settings.zone_strategy == ZoneStrategy::OneZoneByHash {
                on.zone = Some(self.table().place(index).zone);
            }
            on.round += 1;
            let verdict = self.judge(index, &on);
            if let Some(answer) = verdict.answer() {
                self.witness.looked(Look { index: index as u32, ring: on.number, answer });
            }
            match verdict {
                Verdict::Take { is_probe } => return Some(End::At { index: index as u32, is_probe }),
                Verdict::Widen => {
                    self.has_widened = true;
                    return None;
                }
                Verdict::Count => return Some(End::Count { ring: on.number }),
                Verdict::Lost(_) => {}
                Verdict::Pass(_) => refusals += u32::from(is_placed),
            }
            if self.withheld && (self.is_told || !self.is_first) {
                match self.survey(on.number) {
                    // Refusing is to be cheap: who is refused by the most willing of all need not ask each.
                    Some(survey) if !self.call.passes(survey.cursor) => return None,
                    Some(_) => {}
                    None => return Some(End::Count { ring: on.number }),
                }
            }
        }
    }

    /// The endpoint of a round.
    #[inline(never)]
    fn placed(&self, on: &OnRing) -> usize {
        let hash = if on.round == 0 { self.user_hash } else { Salt(self.user_hash).hash(on.round - 1) };
        self.table().ring(&self.place(on)).find(hash)
    }

    /// The next endpoint of the ring, from a place that depends on the user. With a zone, first those of the zone.
    #[cold]
    #[inline(never)]
    fn next_in_turn(&self, on: &mut OnRing, seen: &mut usize) -> Option<usize> {
        let (table, group) = (self.table(), self.place(on).group);
        let count = table.len();
        // An odd stride meets each number below a power of two once. Both depend on the user, so that the neighbours in the list of
        // those who refuse do not get all of their users.
        let span = count.next_power_of_two();
        let (start, stride) = (self.user_hash as usize, (self.user_hash >> 32) as usize | 1);
        loop {
            if *seen >= span {
                on.zone.take()?;
                *seen = 0;
            }
            let index = seen.wrapping_mul(stride).wrapping_add(start) & (span - 1);
            *seen += 1;
            if index < count && table.is_member(index, group, on.number as usize % SCOPES, &self.set.settings) {
                return Some(index);
            }
        }
    }

    /// What was counted on a ring; `None` if it is to be counted first.
    pub(super) fn survey(&self, ring: u32) -> Option<Survey> {
        let was_counted = self.counted >> ring & 1 == 1;
        survey::known(self.set.words, ring, self.generation, self.now, was_counted)
    }

    #[cold]
    fn reason(&self) -> Status {
        if self.withheld {
            Status::WITHHELD
        } else if self.by_operator {
            Status::SHIELDED
        } else if self.by_breaker {
            Status::BUCKET_FULL
        } else {
            Status::NO_ENDPOINT
        }
    }
}
