//! The question, put to the core as a client puts it, on a set of this process's own.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use mcrpc_core::host::region::Shared;
use mcrpc_core::select::call::{Attempt, Call, Choice};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::explain::{Look, Routing};
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::Scope;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::host::Known;
use super::question::Asked;
use crate::host::health::status_name;

/// How often it is asked anew because operator or agent have changed something meanwhile.
const TRIES: usize = 3;
/// Calls of which it is asked what becomes of them, where that depends on the call.
pub(super) const CALLS_ASKED: u32 = 200;

/// The answer.
pub(super) struct Told {
    pub(super) outcome: Result<Choice, Status>,
    /// In the order in which they were taken.
    pub(super) looks: Vec<Look>,
    pub(super) routing: Routing,
    /// What was decided, by the numbers of the decisions.
    pub(super) decisions: [u64; Decision::COUNT],
}

/// A set as a client of the host has one.
pub(super) struct Client<'q> {
    pub(super) asked: &'q Asked,
    pub(super) known: &'q Known<'q>,
    pub(super) set: EndpointSet<'q>,
    now: Nanos,
}

impl<'q> Client<'q> {
    /// With the endpoints of the question, of which nothing is known yet but what the host knows.
    pub(super) fn new(asked: &'q Asked, known: &'q Known<'q>, now: Nanos) -> Result<Client<'q>> {
        let refused = |status: Status| anyhow!("the endpoints of service {}: {status}", asked.service);
        let set = EndpointSet::create(Shared::new(&asked.memory), &asked.settings).map_err(refused)?;
        set.replace(asked.specs.len(), &|index| asked.specs[index], &asked.rules, &known.view()).map_err(refused)?;
        let client = Client { asked, known, set, now };
        client.reset();
        Ok(client)
    }

    /// The call of the question.
    pub(super) fn ask(&self) -> Told {
        let mut told = self.ask_once(&self.asked.call);
        for _ in 1..TRIES {
            let version = self.known.version();
            self.reset();
            told = self.ask_once(&self.asked.call);
            if self.known.version() == version {
                break;
            }
        }
        told
    }

    /// Calls of the same user at this moment, one after the other, by what becomes of them: one may be a probe or a measurement, and
    /// then the others are not.
    pub(super) fn ask_many(&self) -> BTreeMap<String, u32> {
        let mut outcomes = BTreeMap::new();
        self.reset();
        for number in 0..CALLS_ASKED {
            self.set_tokens();
            let mut call = self.asked.call;
            call.call_id = call.call_id.wrapping_add(number.into());
            let outcome = match self.ask_once(&call).outcome {
                Ok(choice) => choice.endpoint.socket().to_string(),
                Err(status) => status_name(status),
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        self.reset();
        outcomes
    }

    fn ask_once(&self, call: &Call) -> Told {
        let looks = RefCell::new(Vec::new());
        let mut before = [0; Decision::COUNT];
        self.set.read_decisions(&mut before);
        let witness = |look| looks.borrow_mut().push(look);
        let outcome = self.set.explain(call, Attempt::Next, &self.known.view(), self.now, &witness);
        let mut decisions = [0; Decision::COUNT];
        self.set.read_decisions(&mut decisions);
        decisions.iter_mut().zip(before).for_each(|(count, before)| *count -= before);
        Told { outcome, looks: looks.into_inner(), routing: self.set.routing(call), decisions }
    }

    /// The endpoints are again as the host knows them, and the budget is as the question says.
    pub(super) fn reset(&self) {
        let nobody = Default::default();
        for index in 0..self.set.len() {
            let Some(own) = self.set.health(index, &nobody) else { continue };
            let shared = self.known.fail.as_ref().filter(|_| self.asked.settings.scope == Scope::Host);
            let cell = shared
                .zip(self.set.endpoint(index))
                .and_then(|(fail, endpoint)| fail.bucket(&endpoint).and_then(|bucket| fail.health(bucket)).ok());
            match cell {
                Some(cell) => own.copy_from(&cell),
                None => own.forget(),
            }
        }
        self.set_tokens();
    }

    fn set_tokens(&self) {
        self.set.set_tokens(self.asked.tokens.unwrap_or(self.asked.settings.retries.burst));
    }
}
