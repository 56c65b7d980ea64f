//! A request's context between brpc's terms and the native ones.

use mcrpc_core::context::{Carried, Context};
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use mcrpc_core::time::{Millis, Nanos};
use mcrpc_core::wire::Trace;
use mcrpc_core::wire::baidu_std::{Frame, Limits, Meta, Origin, RequestMeta, ToldContext};

const ARRIVAL: Nanos = Nanos::from_millis(1_000);
const ORIGIN: Origin = Origin { uin: 2_709_160_720, business_id: 138, priority: 2 };

/// brpc's low half of a W3C trace id, whose upper half is 0 then.
const fn trace_id(low: i64) -> [u8; 16] {
    (low.cast_unsigned() as u128).to_be_bytes()
}

/// What arrives if a request of that meta is sent by that user.
fn context_of(request: RequestMeta<'_>, origin: &Origin) -> Carried<'static> {
    let request = RequestMeta { service_name: "pkg.Service", method_name: "Method", ..request };
    let meta = Meta { request: Some(request), ..Meta::request("", "", 9) };
    let mut out = [0; 512];
    let len = meta.write(origin, core::iter::empty(), 0, &mut out).unwrap();
    let frame = Frame::new_checked(&out[..len], &Limits::DEFAULT).unwrap();
    frame.meta.to_context(ARRIVAL).unwrap()
}

#[test]
fn a_request_has_the_context_that_its_user_fields_and_its_timeout_tell() {
    let carried = context_of(RequestMeta { timeout_ms: Some(800), ..RequestMeta::default() }, &ORIGIN);
    let context = Context {
        uin: Uin(ORIGIN.uin),
        priority: 2,
        business_id: 138,
        task_id: 0,
        attempt: 0,
        continues_task: false,
        deadline: Nanos::from_millis(1_800),
    };
    assert_eq!(carried.context, context);
    assert_eq!((carried.origin_budget_ms, carried.is_sampled), (800, false));

    let anonymous = context_of(RequestMeta::default(), &Origin::default());
    assert_eq!((anonymous.context.task_id, anonymous.context.deadline), (9, Nanos::NEVER), "the call names the task");
    assert_eq!(anonymous.origin_budget_ms, 0);
}

#[test]
fn a_request_is_sampled_if_brpc_traces_it() {
    for (told, span_told, trace) in [
        (None, None, Trace::default()),
        (None, Some(5), Trace::default()),
        (Some(7), None, Trace { trace_id: trace_id(7), ..Trace::default() }),
        (Some(7), Some(5), Trace { trace_id: trace_id(7), span_id: 5i64.to_be_bytes(), flags: 0 }),
        (Some(-1), Some(i64::MIN), Trace { trace_id: trace_id(-1), span_id: i64::MIN.to_be_bytes(), flags: 0 }),
    ] {
        let carried = context_of(RequestMeta { trace_id: told, span_id: span_told, ..RequestMeta::default() }, &ORIGIN);
        assert_eq!((carried.is_sampled, carried.trace), (told.is_some(), trace), "{told:?} {span_told:?}");
    }
}

#[test]
fn what_is_no_request_has_no_context() {
    for meta in [Meta::default(), Meta::response(1, Status::OK, "")] {
        assert_eq!(meta.to_context(ARRIVAL).unwrap_err(), Status::BAD_KIND);
    }
}

/// Given a context that came in a native frame, then a brpc server is told what its protocol has a place for.
#[test]
fn a_native_context_is_told_to_a_brpc_server() {
    let context = Context {
        uin: Uin(ORIGIN.uin),
        priority: ORIGIN.priority,
        business_id: ORIGIN.business_id,
        task_id: 0,
        attempt: 1,
        continues_task: true,
        deadline: ARRIVAL.deadline_after(Millis(800)),
    };
    let trace = Trace { trace_id: [0x81; 16], span_id: [0x92; 8], flags: 1 };
    let carried = Carried { trace, ..Carried::new(context) };
    let silent = ToldContext { origin: ORIGIN, timeout_ms: Some(650), trace_id: None, span_id: None };
    let now = Nanos::from_millis(1_150);
    assert_eq!(ToldContext::of(&carried, now), Ok(silent));

    let traced = ToldContext {
        trace_id: Some(i64::from_be_bytes([0x81; 8])),
        span_id: Some(i64::from_be_bytes([0x92; 8])),
        ..silent
    };
    assert_eq!(ToldContext::of(&Carried { is_sampled: true, ..carried }, now), Ok(traced));
}

#[test]
fn a_budget_is_told_as_far_as_brpc_can_count_and_none_is_not_sent() {
    for (deadline, told) in [
        (Nanos::NEVER, Ok(None)),
        (Nanos(ARRIVAL.0 + 999_999), Err(Status::OUT_OF_TIME)),
        (Nanos::from_millis(1_001), Ok(Some(1))),
        (Nanos::from_millis(1_000), Err(Status::OUT_OF_TIME)),
        (Nanos::from_millis(3), Err(Status::OUT_OF_TIME)),
        (ARRIVAL.deadline_after(Millis(i32::MAX as u32)), Ok(Some(i32::MAX))),
        (ARRIVAL.deadline_after(Millis(i32::MAX as u32 + 1)), Ok(Some(i32::MAX))),
        (ARRIVAL.deadline_after(Millis(u32::MAX - 1)), Ok(Some(i32::MAX))),
    ] {
        let context = context_of(RequestMeta::default(), &ORIGIN).context;
        let carried = Carried::new(Context { deadline, ..context });
        assert_eq!(ToldContext::of(&carried, ARRIVAL).map(|told| told.timeout_ms), told, "{deadline:?}");
    }
}
