//! The context of a request, for C: taken out of a frame, carried through a queue, and passed on.
//!
//! The library cannot know what a program's tasks are: threads, coroutines, jobs. The one thing it keeps is the address of
//! the program's own function that says which context is the current one.

use core::sync::atomic::{AtomicPtr, Ordering};

use mcrpc_core::admission::Request;
use mcrpc_core::context::{Carried, Context};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::frame::Parts;
use mcrpc_core::wire::metadata::Tags;
use mcrpc_core::wire::{Flags, Header, Kind, Metadata, Trace, Writer};

use crate::admission::mcrpc_request_t;
use crate::bytes::mcrpc_bytes_t;
use crate::header::mcrpc_header_t;
use crate::limits::{self, mcrpc_limits_t};
use crate::metadata::{mcrpc_metadata_t, tell_wanted};
use crate::pointer::{self, code};
use crate::sized::{self, Sized32};

/// Flag of mcrpc_context_t: the trace is recorded.
pub const MCRPC_CONTEXT_SAMPLED: u32 = 1;
/// Flag of mcrpc_context_t: the callee has already served an earlier call of the same task.
pub const MCRPC_CONTEXT_CONTINUES_TASK: u32 = 2;

/// The context of a request: who asks, how important it is, until when the answer is wanted, and what travels with it.
/// Start from MCRPC_CONTEXT_INIT. A plain struct; what it points to has to stay as long as it is used.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_context_t {
    /// sizeof(mcrpc_context_t)
    pub struct_size: u32,
    /// MCRPC_CONTEXT_...
    pub flags: u32,
    /// The user, or 0.
    pub uin: u64,
    /// When the caller stops waiting, in ns; MCRPC_NO_DEADLINE if it never does.
    pub deadline_ns: u64,
    /// Names the task that the call is part of; 0 if only the uin names it. It does not travel.
    pub task_id: u64,
    /// Names the call graph, or 0.
    pub call_graph_id: u64,
    /// W3C Trace Context: the trace. All zero is none.
    pub trace_id: [u8; 16],
    /// The caller's span.
    pub span_id: [u8; 8],
    /// The budget in ms that the task began with; if its sender did not say, the one that the request arrived with. 0: none.
    pub origin_budget_ms: u32,
    /// The business the request belongs to.
    pub business_id: u16,
    /// Business priority, 0 first.
    pub priority: u8,
    /// How often this call has been sent before, 0 to 3.
    pub attempt: u8,
    /// The trace's flags without bit 0, which is MCRPC_CONTEXT_SAMPLED.
    pub trace_flags: u8,
    /// Must be 0.
    pub reserved: [u8; 7],
    /// The user's ticket.
    pub ticket: mcrpc_bytes_t,
    /// The user's cookie.
    pub cookie: mcrpc_bytes_t,
    /// Tags as they lie on the wire. Of these, those that travel onward and have no field here go on as well.
    pub tags: mcrpc_bytes_t,
}

// SAFETY: repr(C), the first field is the size; without padding by the assertions below; any bits are valid.
unsafe impl Sized32 for mcrpc_context_t {
    const FIRST_VERSION_SIZE: usize = size_of::<mcrpc_context_t>();
}
const _: () = {
    assert!(core::mem::offset_of!(mcrpc_context_t, trace_id) == 40);
    assert!(core::mem::offset_of!(mcrpc_context_t, origin_budget_ms) == 64);
    assert!(core::mem::offset_of!(mcrpc_context_t, trace_flags) == 72);
    assert!(core::mem::offset_of!(mcrpc_context_t, ticket) == 80);
    assert!(size_of::<mcrpc_context_t>() == 80 + 3 * size_of::<mcrpc_bytes_t>());
};

impl mcrpc_context_t {
    #[inline(never)]
    fn fill_from(&mut self, header: &Header, metadata: &Metadata<'_>, arrival: Nanos) {
        self.fill(&Carried::read(header, metadata, arrival));
    }

    /// Takes over a context.
    pub(crate) fn fill(&mut self, carried: &Carried<'_>) {
        let (context, trace) = (&carried.context, &carried.trace);
        let sampled = if carried.is_sampled { MCRPC_CONTEXT_SAMPLED } else { 0 };
        let continues = if context.continues_task { MCRPC_CONTEXT_CONTINUES_TASK } else { 0 };
        self.flags = sampled | continues;
        self.uin = context.uin.0;
        self.deadline_ns = context.deadline.0;
        self.task_id = context.task_id;
        self.call_graph_id = carried.call_graph_id;
        (self.trace_id, self.span_id, self.trace_flags) = (trace.trace_id, trace.span_id, trace.flags);
        self.origin_budget_ms = carried.origin_budget_ms;
        self.business_id = context.business_id;
        self.priority = context.priority;
        self.attempt = context.attempt;
        self.ticket = carried.ticket.into();
        self.cookie = carried.cookie.into();
        self.tags = carried.tags.rest().into();
    }
}

/// The context that C filled in.
///
/// # Safety
///
/// Unless null, `context` is readable for its size, and so is during `'a` what it points to.
#[inline]
pub(crate) unsafe fn read<'a>(context: *const mcrpc_context_t) -> Result<Carried<'a>, Status> {
    // SAFETY: the caller promises the same.
    let context = unsafe { sized::view(context) }?;
    let unknown = context.flags & !(MCRPC_CONTEXT_SAMPLED | MCRPC_CONTEXT_CONTINUES_TASK);
    if unknown != 0 || context.reserved != [0; 7] {
        return Err(Status::INVALID_ARGUMENT);
    }
    Ok(Carried {
        context: Context {
            uin: Uin(context.uin),
            priority: context.priority,
            business_id: context.business_id,
            task_id: context.task_id,
            attempt: context.attempt,
            continues_task: context.flags & MCRPC_CONTEXT_CONTINUES_TASK != 0,
            deadline: Nanos(context.deadline_ns),
        },
        is_sampled: context.flags & MCRPC_CONTEXT_SAMPLED != 0,
        trace: Trace { trace_id: context.trace_id, span_id: context.span_id, flags: context.trace_flags },
        origin_budget_ms: context.origin_budget_ms,
        call_graph_id: context.call_graph_id,
        // SAFETY: readable by the caller's promise.
        ticket: unsafe { context.ticket.get() }?,
        // SAFETY: as above.
        cookie: unsafe { context.cookie.get() }?,
        // SAFETY: as above.
        tags: Tags::new(unsafe { context.tags.get() }?),
    })
}

/// The context of a request that arrived at `arrival_ns`: from its header and its metadata (NULL: none). Set out->struct_size
/// before; what it points to is what the metadata points to.
///
/// Returns MCRPC_BAD_KIND, _BAD_METADATA_LENGTH, _UNSUPPORTED_FLAG or _INVALID_ARGUMENT for a header that is none.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `header` is readable, `metadata` is NULL or readable for its struct_size, and so is what it points to; `out` is writable
/// for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_context_read(
    header: *const mcrpc_header_t,
    metadata: *const mcrpc_metadata_t,
    arrival_ns: u64,
    out: *mut mcrpc_context_t,
) -> i32 {
    code((|| {
        pointer::check(header)?;
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let header = unsafe { header.read() }.to_core()?;
        let carried = Carried::from_header(&header, Nanos(arrival_ns));
        let metadata = if metadata.is_null() {
            None
        } else {
            // SAFETY: readable for its size by the caller's promise.
            Some(unsafe { sized::view(metadata) }?)
        };
        // SAFETY: writable for its size by the caller's promise.
        let out = unsafe { sized::fill(out) }?;
        out.fill(&carried);
        if let Some(metadata) = metadata {
            out.call_graph_id = metadata.call_graph_id;
            out.trace_id = metadata.trace_id;
            out.span_id = metadata.span_id;
            out.trace_flags = metadata.trace_flags;
            if metadata.origin_budget_ms != 0 {
                out.origin_budget_ms = metadata.origin_budget_ms;
            }
            (out.ticket, out.cookie, out.tags) = (metadata.ticket, metadata.cookie, metadata.tags);
        }
        Ok(())
    })())
}

/// The context of a call that is made on behalf of the request that `context` belongs to, from the new span `span_id`, 8
/// bytes. The attempt and MCRPC_CONTEXT_CONTINUES_TASK begin anew. Set out->struct_size before; it may be `context` itself.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `context` is readable for its struct_size, and so is what it points to; `span_id` is readable, `out` is writable for its
/// struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_context_onward(
    context: *const mcrpc_context_t,
    span_id: *const u8,
    out: *mut mcrpc_context_t,
) -> i32 {
    code((|| {
        pointer::check(span_id)?;
        // SAFETY: readable with all it points to, by the caller's promise.
        let carried = unsafe { read(context) }?;
        // SAFETY: not null; any address is aligned for bytes; readable by the caller's promise.
        let onward = carried.onward(unsafe { span_id.cast::<[u8; 8]>().read() });
        // SAFETY: writable for its size by the caller's promise.
        unsafe { sized::fill(out) }?.fill(&onward);
        Ok(())
    })())
}

/// Fills in what a frame that is sent at `now_ns` says of its context, for mcrpc_head_write(): in `header` the user, the
/// priority, the business, the budget that is left, the attempt and the other flags of a context; in `metadata` (NULL: the
/// header alone) the trace, the origin budget, the call graph, ticket, cookie and onward_tags. The rest stays as it is: set
/// kind, call id and method, and begin with a new MCRPC_METADATA_INIT, not with what came in.
///
/// Returns MCRPC_OUT_OF_TIME when nothing of the budget is left: do not send. Then nothing was written.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `context` is readable for its struct_size, and so is what it points to; `header` is readable and writable, `metadata` is
/// NULL or readable and writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_context_write(
    context: *const mcrpc_context_t,
    now_ns: u64,
    header: *mut mcrpc_header_t,
    metadata: *mut mcrpc_metadata_t,
) -> i32 {
    code((|| {
        pointer::check(header.cast_const())?;
        // SAFETY: readable with all it points to, by the caller's promise.
        let carried = unsafe { read(context) }?;
        let now = Nanos(now_ns);
        let told = carried.header(Kind::Request, 0, 0, now);
        if told.budget_ms == 0 {
            return Err(Status::OUT_OF_TIME);
        }
        if !metadata.is_null() {
            // SAFETY: readable and writable for its size, and nobody else's, by the caller's promise.
            let metadata = unsafe { sized::view_mut(metadata) }?;
            metadata.call_graph_id = carried.call_graph_id;
            metadata.trace_id = carried.trace.trace_id;
            metadata.span_id = carried.trace.span_id;
            metadata.trace_flags = carried.trace.flags;
            metadata.origin_budget_ms = carried.told_budget_ms(now);
            metadata.ticket = carried.ticket.into();
            metadata.cookie = carried.cookie.into();
            metadata.onward_tags = carried.tags.rest().into();
        }
        // SAFETY: checked for null and alignment; readable and writable by the caller's promise.
        unsafe {
            let own = header.read();
            header.write(mcrpc_header_t {
                uin: told.uin,
                budget_ms: told.budget_ms,
                business_id: told.business_id,
                priority: told.priority,
                flags: own.flags & !CONTEXT_FLAGS | told.flags.0,
                ..own
            });
        }
        Ok(())
    })())
}

/// The flags of a header that belong to the context.
const CONTEXT_FLAGS: u8 = Flags::SAMPLED | Flags::CONTINUES_TASK | Flags::ATTEMPT_MASK;

/// Writes the context's form in a queue, a batch or a file to `out`, which has room for `len`.
///
/// It is a frame's head: who reads it needs limits that its ticket, cookie and tags fit: the defaults are 8192 bytes
/// and 64 tags.
///
/// Sets `wanted` to its length, also with MCRPC_TOO_SMALL; otherwise MCRPC_METADATA_TOO_LONG, _BAD_TAG or _UNSUPPORTED_TAG.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `context` is readable for its struct_size, and so is what it points to; `out` is writable for `len` bytes and overlaps
/// none of these; `wanted` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_context_encode(
    context: *const mcrpc_context_t,
    now_ns: u64,
    out: *mut u8,
    len: usize,
    wanted: *mut usize,
) -> i32 {
    code((|| {
        pointer::check(wanted.cast_const())?;
        // SAFETY: readable with all it points to, by the caller's promise.
        let carried = unsafe { read(context) }?;
        // SAFETY: the caller promises room for `len` bytes that nothing else uses.
        let mut writer = Writer::new(unsafe { pointer::room(out, len) }?);
        let result = carried.encode(Nanos(now_ns), &mut writer);
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { tell_wanted(result, writer.wanted(), wanted) }
    })())
}

/// Reads what mcrpc_context_encode() wrote. `put_ns` is when that was, by this machine's clock: the time in the queue counts
/// against the budget. Who does not know it passes the present. Set out->struct_size before; it points into `bytes`.
///
/// Returns what mcrpc_frame_parse() does.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `bytes` is readable for `len` bytes, `limits` is NULL or readable for its struct_size, `out` is writable for its
/// struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_context_decode(
    bytes: *const u8,
    len: usize,
    limits: *const mcrpc_limits_t,
    put_ns: u64,
    out: *mut mcrpc_context_t,
) -> i32 {
    code((|| {
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let bytes = unsafe { pointer::bytes(bytes, len) }?;
        // SAFETY: the caller promises that they are readable.
        let limits = unsafe { limits::read(limits) }?;
        // As Carried::decode() does it, but neither the frame nor the context lies on the stack while metadata is checked.
        let frame = Parts::new_checked(bytes, &limits)?;
        let checked = Metadata::new_checked(frame.metadata, &limits);
        let metadata = checked.as_ref().map_err(|status| *status)?;
        // SAFETY: writable for its size by the caller's promise.
        unsafe { sized::fill(out) }?.fill_from(&frame.header, metadata, Nanos(put_ns));
        Ok(())
    })())
}

/// What mcrpc_admit() needs to know of a request, from its context. See mcrpc_request_from_header().
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `context` is readable for its struct_size, and so is what it points to; `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_request_from_context(
    context: *const mcrpc_context_t,
    salt: u64,
    epoch: u32,
    out: *mut mcrpc_request_t,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: readable with all it points to, by the caller's promise.
        let context = unsafe { read(context) }?.context;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(Request::from_context(&context, Salt(salt).at_epoch(epoch)).into()) };
        Ok(())
    })())
}

/// Says which context is the current one: that of the thread, coroutine or task that calls it. NULL for none.
/// Called by mcrpc_context_current(), wherever that is called.
pub type mcrpc_context_lookup_t = Option<unsafe extern "C" fn() -> *const mcrpc_context_t>;

static LOOKUP: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Chooses how mcrpc_context_current() finds the current context, for the whole process; NULL: not at all, as at first. A
/// program with a thread per request looks into a thread-local of its own, one with coroutines into the running coroutine.
/// It is the only thing that the library keeps: an atomic pointer to your function.
/// Any thread; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `lookup` may be called from any thread from now on, until the process ends.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_context_set_lookup(lookup: mcrpc_context_lookup_t) {
    let address = lookup.map_or(core::ptr::null_mut(), |lookup| lookup as *mut ());
    LOOKUP.store(address, Ordering::Release);
}

/// The context of the request that the caller works for, by the program's own lookup; NULL if there is none, or no lookup.
/// Hot, if the lookup is: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too.
/// Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_context_current() -> *const mcrpc_context_t {
    // SAFETY: a pointer that may be null and an optional function pointer have the same size, null is `None`, and only
    // mcrpc_context_set_lookup() stores another, made from a function of this type.
    let lookup = unsafe { core::mem::transmute::<*mut (), mcrpc_context_lookup_t>(LOOKUP.load(Ordering::Acquire)) };
    match lookup {
        // SAFETY: who set it promised that it may be called from any thread.
        Some(lookup) => unsafe { lookup() },
        None => core::ptr::null(),
    }
}
