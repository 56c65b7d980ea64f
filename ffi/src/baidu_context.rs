//! A request's context in brpc's terms, for C.

use mcrpc_core::time::Nanos;
use mcrpc_core::wire::baidu_std::ToldContext;

use crate::baidu_meta::{MCRPC_BAIDU_SPAN_ID, MCRPC_BAIDU_TIMEOUT_MS, MCRPC_BAIDU_TRACE_ID, mcrpc_baidu_meta_t};
use crate::baidu_std::mcrpc_baidu_origin_t;
use crate::context::{self, mcrpc_context_t};
use crate::pointer::{self, code};
use crate::sized;

/// The context of a brpc request that arrived at `arrival_ns`, as mcrpc_context_read() has it of a native one. Set
/// out->struct_size before. The trace is there if brpc traces the request: trace_id is the low half of its id, span_id the
/// caller's span. A request without timeout_ms has no deadline: set one of your own.
///
/// Returns MCRPC_BAD_KIND if there is no request in the meta.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `meta` has its size set and is readable for as many bytes, and so is what it names; `out` is writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_to_context(
    meta: *const mcrpc_baidu_meta_t,
    arrival_ns: u64,
    out: *mut mcrpc_context_t,
) -> i32 {
    code((|| {
        // SAFETY: readable with all it names, by the caller's promise.
        let carried = unsafe { sized::view(meta)?.packed() }?.to_context(Nanos(arrival_ns))?;
        // SAFETY: writable for its size by the caller's promise.
        unsafe { sized::fill(out) }?.fill(&carried);
        Ok(())
    })())
}

/// Says in a request to a brpc server, which is sent at `now_ns`, what it has a place for of a context: timeout_ms, and trace_id
/// and span_id if the trace is sampled, in `meta`; the user, the business and the priority in `origin`. The rest of the meta stays
/// as it is.
///
/// Returns MCRPC_OUT_OF_TIME when nothing of the budget is left: do not send. Then nothing was written.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `context` is readable for its struct_size; `meta` has its size set and is readable and writable for as many bytes; `origin` is
/// writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_set_context(
    context: *const mcrpc_context_t,
    now_ns: u64,
    meta: *mut mcrpc_baidu_meta_t,
    origin: *mut mcrpc_baidu_origin_t,
) -> i32 {
    code((|| {
        pointer::check(origin.cast_const())?;
        // SAFETY: readable with all it points to, by the caller's promise.
        let told = ToldContext::of(&unsafe { context::read(context) }?, Nanos(now_ns))?;
        // SAFETY: readable and writable for its size, and nobody else's, by the caller's promise.
        let meta = unsafe { sized::view_mut(meta) }?;
        if let Some(timeout_ms) = told.timeout_ms {
            meta.timeout_ms = timeout_ms;
            meta.present |= MCRPC_BAIDU_TIMEOUT_MS;
        }
        if let (Some(trace_id), Some(span_id)) = (told.trace_id, told.span_id) {
            (meta.trace_id, meta.span_id) = (trace_id, span_id);
            meta.present |= MCRPC_BAIDU_TRACE_ID | MCRPC_BAIDU_SPAN_ID;
        }
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { origin.write(told.origin.into()) };
        Ok(())
    })())
}
