//! What a call says on behalf of somebody else: to a proxy, which service is meant; as a proxy, all that the request brought.

use std::sync::Arc;

use mcrpc_core::context::Carried;
use mcrpc_core::select::call::Withheld;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::{Flags, Header, Metadata, Tag, Writer};

/// What a call says beside its context.
#[derive(Clone, Debug, Default)]
pub(super) struct Relay {
    /// Who calls, if it is not this client.
    pub(super) caller: Option<Arc<str>>,
    /// Which service a proxy is to call.
    pub(super) service: Option<Arc<str>>,
    /// Its context is a request that is passed on as it came.
    pub(super) is_whole: bool,
}

impl Relay {
    /// What the header of an attempt says, of a request with this header; `number` counts from 1.
    pub(super) fn mark(&self, carried: &mut Carried<'_>, request: &Header, number: u8) {
        if self.is_whole {
            carried.context.attempt = request.flags.attempt().saturating_add(number - 1).min(3);
            carried.context.continues_task = request.flags.contains(Flags::CONTINUES_TASK);
        }
    }

    /// Flags that say something of the payload.
    pub(super) fn payload_flags(&self, request: &Header) -> u8 {
        if self.is_whole { request.flags.0 & Flags::COMPRESSED } else { 0 }
    }

    /// Writes the metadata of an attempt, of a request with these.
    pub(super) fn write(
        &self,
        carried: &Carried<'_>,
        request: &Metadata<'_>,
        withheld: Withheld,
        now: Nanos,
        writer: &mut Writer<'_>,
    ) {
        writer.caller(self.caller.as_deref().unwrap_or_default()).service(self.service.as_deref().unwrap_or_default());
        if !self.is_whole {
            carried.write(now, writer);
            writer.withheld(withheld);
            return;
        }
        let withheld = match carried.context.attempt {
            // What the caller did not send either is told once.
            0 => together(withheld, request.withheld()),
            _ => withheld,
        };
        writer.trace(&carried.trace).origin_budget_ms(carried.told_budget_ms(now)).withheld(withheld);
        // Which service a proxy was to call, and what the hop before can take, is nothing to this one.
        writer.leave_out(Tag::WITHHELD).leave_out(Tag::SERVICE).leave_out(Tag::PEER_LIMITS).copy(request);
    }
}

/// Both, with the key of one of all of them.
fn together(here: Withheld, there: Withheld) -> Withheld {
    let count = here.count.saturating_add(there.count);
    let is_from_here = count > 0 && fastrand::u32(..count) < here.count;
    Withheld { count, key: if is_from_here { here.key } else { there.key } }
}

#[cfg(test)]
mod tests {
    use mcrpc_core::admission::Key;

    use super::*;

    #[test]
    fn what_two_have_withheld_is_added_up_and_its_key_is_that_of_either() {
        let some = |count, key| Withheld { count, key: Key(key) };
        assert_eq!(together(some(0, 0), some(3, 7)), some(3, 7));
        assert_eq!(together(some(3, 7), some(0, 0)), some(3, 7));
        assert_eq!(together(some(0, 0), some(0, 0)).count, 0);
        let both = together(some(2, 5), some(2, 7));
        assert!(both.count == 4 && [5, 7].contains(&both.key.0));
    }
}
