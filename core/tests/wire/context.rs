//! A request's context over hops, each with a clock of its own, and through a queue.

use mcrpc_core::context::{Carried, Context};
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use mcrpc_core::time::{Millis, Nanos};
use mcrpc_core::wire::metadata::Tags;
use mcrpc_core::wire::{Flags, Frame, HEADER_LEN, Header, Kind, Limits, Metadata, Tag, Trace, Writer};
use proptest::prelude::*;

use crate::metadata::tlv;
use crate::vectors::written;
use crate::{TRACE, WIDEST};

/// Clocks of three hosts that have nothing to do with each other.
const A: Nanos = Nanos::from_millis(1_000);
const B: Nanos = Nanos::from_millis(900_000_000);
const C: Nanos = Nanos::from_millis(5);

const SPAN_B: [u8; 8] = [0xB; 8];
const SPAN_C: [u8; 8] = [0xC; 8];

const fn after(clock: Nanos, ms: u64) -> Nanos {
    clock.plus(ms * 1_000_000)
}

/// What a task begins with at `A`, which has 800 ms for it.
fn task() -> Carried<'static> {
    let context = Context {
        uin: Uin(2_709_160_720),
        priority: 2,
        business_id: 138,
        task_id: 0,
        attempt: 0,
        continues_task: false,
        deadline: A.deadline_after(Millis(800)),
    };
    Carried {
        is_sampled: true,
        trace: Trace { flags: 2, ..TRACE },
        call_graph_id: 77,
        ticket: b"ticket",
        cookie: b"\0cookie",
        ..Carried::new(context)
    }
}

/// The frame that carries it, with a caller and an application's tag that concern one call alone.
fn sent(carried: &Carried<'_>, now: Nanos) -> Vec<u8> {
    let write = |writer: &mut Writer<'_>| {
        writer.caller("mmproxy").tag(Tag::APPLICATION, b"this call");
        carried.write(now, writer);
    };
    written(&carried.header(Kind::Request, 9, 42, now), write, b"payload")
}

fn received(bytes: &[u8], arrival: Nanos) -> Carried<'_> {
    let frame = Frame::new_checked(bytes, &Limits::DEFAULT).unwrap();
    assert_eq!((frame.header.kind, frame.header.call_id, frame.header.method_id), (Kind::Request, 9, 42));
    Carried::read(&frame.header, &frame.metadata, arrival)
}

/// Given a task that goes from A over B to C, then the budget shrinks by what each took, and all else goes on as it came.
#[test]
fn a_context_goes_on_over_three_hops() {
    let first = sent(&task(), A);
    let at_b = received(&first, B);
    assert_eq!(at_b.context, Context { deadline: after(B, 800), ..task().context });
    assert_eq!(at_b.trace, task().trace);
    assert_eq!((at_b.origin_budget_ms, at_b.age_ms(B), at_b.age_ms(after(B, 150))), (800, 0, 150));

    let second = sent(&at_b.onward(SPAN_B), after(B, 150));
    let at_c = received(&second, C);
    assert_eq!(at_c.context, Context { deadline: after(C, 650), ..task().context });
    assert_eq!(at_c.trace, Trace { span_id: SPAN_B, ..task().trace }, "the span is the sender's");
    assert_eq!((at_c.origin_budget_ms, at_c.age_ms(C), at_c.age_ms(after(C, 50))), (800, 150, 200));

    let third = sent(&at_c.onward(SPAN_C), after(C, 50));
    let back_at_a = received(&third, after(A, 250));
    assert_eq!(back_at_a.context.onward_budget(after(A, 250)), Millis(600));
    assert_eq!(back_at_a.trace, Trace { span_id: SPAN_C, ..task().trace });
    assert_eq!((back_at_a.origin_budget_ms, back_at_a.age_ms(after(A, 250))), (800, 200));

    for hop in [at_b, at_c, back_at_a] {
        assert_eq!(
            (hop.is_sampled, hop.call_graph_id, hop.ticket, hop.cookie),
            (true, 77, &b"ticket"[..], &b"\0cookie"[..])
        );
    }
}

/// Given a request whose sender does not say what its task began with, then its own budget stands for that from then on.
#[test]
fn an_origin_that_nobody_told_is_the_budget_on_arrival() {
    let header = Header { budget_ms: 800, ..Header::new(Kind::Request, 9) };
    let at_b = Carried::read(&header, &Metadata::EMPTY, B);
    assert_eq!((at_b.origin_budget_ms, at_b.age_ms(after(B, 100))), (800, 100));
    let onward = written(&header, |writer| at_b.onward(SPAN_B).write(after(B, 100), writer), b"");
    assert_eq!(Frame::new_checked(&onward, &WIDEST).unwrap().metadata.origin_budget_ms(), 800);
}

#[test]
fn a_task_without_a_deadline_has_no_age_and_no_origin() {
    let unlimited = Carried::new(Context { deadline: Nanos::NEVER, ..task().context });
    let bytes = sent(&unlimited, A);
    let at_b = received(&bytes, B);
    assert_eq!((at_b.context.deadline, at_b.origin_budget_ms, at_b.age_ms(after(B, 5_000))), (Nanos::NEVER, 0, 0));
    let frame = Frame::new_checked(&bytes, &WIDEST).unwrap();
    assert_eq!((frame.header.budget_ms, frame.metadata.origin_budget_ms()), (u32::MAX, 0));
}

/// Given a task that has an origin, then it is told whatever the deadline of the call.
#[test]
fn an_origin_once_told_is_kept() {
    let told = Carried { origin_budget_ms: 1_500, ..task() };
    for deadline in [A.deadline_after(Millis(1)), A.deadline_after(Millis(5_000)), Nanos::NEVER] {
        let carried = Carried { context: Context { deadline, ..told.context }, ..told };
        let bytes = sent(&carried, A);
        assert_eq!(received(&bytes, B).origin_budget_ms, 1_500);
    }
}

#[test]
fn what_is_late_has_no_budget() {
    for late_ms in [800, 801, 1_000_000] {
        let header = task().header(Kind::Request, 1, 1, after(A, late_ms));
        assert_eq!(header.budget_ms, 0, "{late_ms}");
    }
    assert_eq!(task().header(Kind::Request, 1, 1, after(A, 799)).budget_ms, 1);
    assert_eq!(task().header(Kind::Request, 1, 1, Nanos(after(A, 799).0 + 1)).budget_ms, 0, "rounded down");
}

#[test]
fn attempt_and_task_of_one_call_do_not_go_on() {
    let context = Context { attempt: 2, continues_task: true, ..task().context };
    let carried = Carried { context, ..task() };
    let bytes = sent(&carried, A);
    let at_b = received(&bytes, B);
    assert_eq!((at_b.context.attempt, at_b.context.continues_task), (2, true));
    let onward = at_b.onward(SPAN_B);
    assert_eq!((onward.context.attempt, onward.context.continues_task), (0, false));
    let header = onward.header(Kind::Request, 1, 1, B);
    assert_eq!(header.flags, Flags(Flags::SAMPLED));
}

/// Given tags of all sorts, then those that travel onward go on as they came, twice over, and the others do not.
#[test]
fn unknown_tags_that_travel_onward_go_on_as_they_came() {
    let onward =
        [tlv(0x25, b"newer"), tlv(0x61, b"one"), tlv(0x61, b"two"), tlv(0xE2, &[7; 300]), tlv(0x3F, b"")].concat();
    let stays = [tlv(0x0B, b"newer"), tlv(0x41, b"app"), tlv(0x02, b"a.Service"), tlv(0x08, &[1; 8])].concat();
    let mixed = [&stays[..], &onward].concat();
    let first = sent(&Carried { tags: Tags::new(&mixed), ..task() }, A);
    let at_b = received(&first, B);
    let second = sent(&at_b.onward(SPAN_B), B);
    let third = sent(&received(&second, C).onward(SPAN_C), C);
    for bytes in [&first, &second, &third] {
        let frame = Frame::new_checked(bytes, &Limits::DEFAULT).unwrap();
        let unknown = frame.metadata.iter().filter(|(tag, _)| tag.is_onward() && !tag.is_known());
        let unknown: Vec<u8> = unknown.flat_map(|(tag, value)| tlv(tag.0, value)).collect();
        assert_eq!(unknown, onward);
        let of_one_call = frame.metadata.iter().filter(|(tag, _)| !tag.is_onward());
        let of_one_call: Vec<_> = of_one_call.map(|(tag, _)| tag).collect();
        assert_eq!(of_one_call, [Tag::CALLER, Tag::APPLICATION], "only what each sender says itself");
    }
}

/// A context as it lies in a queue into which it was put then.
fn queued(carried: &Carried<'_>, put: Nanos) -> Vec<u8> {
    let mut out = [0; 256];
    let len = carried.encode(put, &mut Writer::new(&mut out)).unwrap();
    out[..len].to_vec()
}

/// Given a request that is put into a queue, then it is the same when it is taken out, but for the time that it lay there.
#[test]
fn a_context_lies_in_a_queue() {
    let bytes = sent(&task(), A);
    let at_b = received(&bytes, B);
    let put_at = after(B, 100);
    let queued = queued(&at_b, put_at);

    // The queue is on the same host: the time it was put in at is known to who takes it out.
    let taken = Carried::decode(&queued, &Limits::DEFAULT, put_at).unwrap();
    assert_eq!(taken.context, at_b.context);
    assert_eq!(
        (taken.trace, taken.is_sampled, taken.ticket, taken.cookie),
        (at_b.trace, true, at_b.ticket, at_b.cookie)
    );
    assert_eq!((taken.origin_budget_ms, taken.age_ms(after(B, 400))), (800, 400));
    assert_eq!(taken.context.onward_budget(after(B, 400)), Millis(400));
}

#[test]
fn a_queue_keeps_what_names_the_task() {
    for (uin, task_id, kept) in
        [(7, 0, 0), (7, 5, 0), (0, 5, 5), (0, u64::from(u32::MAX), u64::from(u32::MAX)), (0, 5 << 32 | 6, 6)]
    {
        let carried = Carried::new(Context { uin: Uin(uin), task_id, ..task().context });
        let bytes = queued(&carried, A);
        let taken = Carried::decode(&bytes, &Limits::DEFAULT, A).unwrap();
        assert_eq!((taken.context.uin, taken.context.task_id), (Uin(uin), kept), "{uin} {task_id}");
    }
}

#[test]
fn what_is_no_context_does_not_come_out_of_a_queue() {
    let bytes = queued(&task(), A);
    let decoded = |bytes: &[u8], limits| Carried::decode(bytes, limits, A).map(|carried| carried.context);
    assert_eq!(decoded(&bytes, &Limits::DEFAULT), Ok(task().context));
    for len in 0..bytes.len() {
        assert_eq!(decoded(&bytes[..len], &Limits::DEFAULT), Err(Status::INCOMPLETE), "{len}");
    }
    let other = [&[0][..], &bytes[1..]].concat();
    assert_eq!(decoded(&other, &Limits::DEFAULT), Err(Status::BAD_MAGIC));
    let narrow = Limits { max_metadata_len: 8, ..Limits::DEFAULT };
    assert_eq!(decoded(&bytes, &narrow), Err(Status::METADATA_TOO_LONG));
}

#[test]
fn a_context_that_says_nothing_is_a_header_alone() {
    let context = Context { uin: Uin(0), priority: 0, business_id: 0, deadline: Nanos::NEVER, ..task().context };
    let nothing = Carried::new(context);
    let bytes = written(&nothing.header(Kind::Request, 9, 42, A), |writer| nothing.write(A, writer), b"");
    assert_eq!(bytes.len(), HEADER_LEN);
    assert_eq!(received(&bytes, B).context.task_id, 9, "the call id stands for the task");
}

#[test]
fn a_ticket_that_does_not_fit_is_told_when_the_head_is_finished() {
    let ticket = vec![7; 70_000];
    let carried = Carried { ticket: &ticket, ..task() };
    let mut out = [0; 256];
    let mut writer = Writer::new(&mut out);
    carried.write(A, &mut writer);
    assert_eq!(writer.finish(&carried.header(Kind::Request, 1, 1, A), 0), Err(Status::METADATA_TOO_LONG));
    assert_eq!(carried.encode(A, &mut Writer::new(&mut out)), Err(Status::METADATA_TOO_LONG), "in a queue too");
}

proptest! {
    /// Given any context, when it is written and read at once, then it is the same.
    #[test]
    fn what_is_written_is_read(
        numbers in (any::<u64>(), any::<u8>(), any::<u16>(), 0u8..4, any::<bool>(), any::<bool>()),
        budget_ms in any::<u32>(),
        origin_budget_ms in 1u32..,
        ids in (any::<[u8; 15]>(), any::<[u8; 8]>(), any::<u8>(), any::<u64>()),
        ticket in prop::collection::vec(any::<u8>(), 0..300),
        cookie in prop::collection::vec(any::<u8>(), 0..300),
        arrival in any::<u32>(),
    ) {
        let (uin, priority, business_id, attempt, continues_task, is_sampled) = numbers;
        let arrival = Nanos(arrival.into());
        let context = Context {
            uin: Uin(uin),
            priority,
            business_id,
            task_id: if uin == 0 { 9 } else { 0 },
            attempt,
            continues_task,
            deadline: arrival.deadline_after(Millis(budget_ms)),
        };
        let mut trace_id = [1; 16];
        trace_id[1..].copy_from_slice(&ids.0);
        let carried = Carried {
            is_sampled,
            trace: Trace { trace_id, span_id: ids.1, flags: ids.2 & !1 },
            origin_budget_ms,
            call_graph_id: ids.3,
            ticket: &ticket,
            cookie: &cookie,
            ..Carried::new(context)
        };
        let bytes = sent(&carried, arrival);
        let read = received(&bytes, arrival);
        prop_assert_eq!(read.context, context);
        prop_assert_eq!((read.is_sampled, read.trace, read.call_graph_id), (is_sampled, carried.trace, ids.3));
        prop_assert_eq!((read.ticket, read.cookie, read.origin_budget_ms), (&ticket[..], &cookie[..], origin_budget_ms));
    }
}
