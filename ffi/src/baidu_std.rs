//! baidu_std, the protocol of brpc, for C.

use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{self, Frame, Limits, Origin, PackedMeta, UserFields, WriteError, errors};

use crate::baidu_meta::{self, MCRPC_BAIDU_REQUEST, MCRPC_BAIDU_RESPONSE, mcrpc_baidu_meta_t};
use crate::bytes::mcrpc_bytes_t;
use crate::header::mcrpc_header_t;
use crate::pointer::{self, code};
use crate::sized;

/// Bytes of the header of a frame of baidu_std.
pub const MCRPC_BAIDU_HEADER_LEN: usize = 12;
/// The longest body to begin with: brpc's own limit, 64 MiB.
pub const MCRPC_BAIDU_MAX_BODY_LEN: u32 = 67108864;
/// The longest meta to begin with: 64 KiB.
pub const MCRPC_BAIDU_MAX_META_LEN: u32 = 65536;

/// brpc's error code for a service that does not exist.
pub const MCRPC_BAIDU_ENOSERVICE: i32 = 1001;
/// For a method that does not exist.
pub const MCRPC_BAIDU_ENOMETHOD: i32 = 1002;
/// For a request that cannot be understood.
pub const MCRPC_BAIDU_EREQUEST: i32 = 1003;
/// For a call that has timed out. It is not tried again.
pub const MCRPC_BAIDU_ERPCTIMEDOUT: i32 = 1008;
/// For a connection on which too much waits to be written.
pub const MCRPC_BAIDU_EOVERCROWDED: i32 = 1011;
/// For something that went wrong within the server.
pub const MCRPC_BAIDU_EINTERNAL: i32 = 2001;
/// For a server that is closing down.
pub const MCRPC_BAIDU_ELOGOFF: i32 = 2003;
/// For a server that has as much work as it takes. A brpc client tries another one, and its circuit breaker does not count it.
pub const MCRPC_BAIDU_ELIMIT: i32 = 2004;

const _: () = {
    assert!(MCRPC_BAIDU_HEADER_LEN == baidu_std::HEADER_LEN);
    assert!(MCRPC_BAIDU_MAX_BODY_LEN == Limits::DEFAULT.max_body_len);
    assert!(MCRPC_BAIDU_MAX_META_LEN == Limits::DEFAULT.max_meta_len);
    assert!(MCRPC_BAIDU_ENOSERVICE == errors::ENOSERVICE && MCRPC_BAIDU_ENOMETHOD == errors::ENOMETHOD);
    assert!(MCRPC_BAIDU_EREQUEST == errors::EREQUEST && MCRPC_BAIDU_ERPCTIMEDOUT == errors::ERPCTIMEDOUT);
    assert!(MCRPC_BAIDU_EOVERCROWDED == errors::EOVERCROWDED && MCRPC_BAIDU_EINTERNAL == errors::EINTERNAL);
    assert!(MCRPC_BAIDU_ELOGOFF == errors::ELOGOFF && MCRPC_BAIDU_ELIMIT == errors::ELIMIT);
};

/// A pair of the map user_fields. UTF-8. It does not grow.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_baidu_field_t {
    /// Its key.
    pub key: mcrpc_bytes_t,
    /// Its value.
    pub value: mcrpc_bytes_t,
}

/// For whom a request is made, and how important it is: what the native header has and RpcMeta has not. It is sent in the user
/// fields "mc-uin", "mc-business-id" and "mc-priority", in decimal digits; what is 0 is left out.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_baidu_origin_t {
    /// The user, or 0.
    pub uin: u64,
    /// The business the request belongs to.
    pub business_id: u16,
    /// Business priority, 0 first.
    pub priority: u8,
    /// Must be 0.
    pub reserved: [u8; 5],
}

impl From<Origin> for mcrpc_baidu_origin_t {
    fn from(origin: Origin) -> mcrpc_baidu_origin_t {
        mcrpc_baidu_origin_t {
            uin: origin.uin,
            business_id: origin.business_id,
            priority: origin.priority,
            ..mcrpc_baidu_origin_t::default()
        }
    }
}

/// Sets `wanted` to the length of the frame at the front of `data`, of which `len` bytes are there: read until so many are there, then
/// call mcrpc_baidu_parse(). A body above `max_body_len` or a meta above `max_meta_len` bytes is refused.
///
/// Returns MCRPC_INCOMPLETE below MCRPC_BAIDU_HEADER_LEN bytes; MCRPC_BAD_MAGIC at the first byte that is not "PRPC";
/// _BODY_TOO_LONG, _METADATA_TOO_LONG or _BAD_METADATA_LENGTH. All but MCRPC_INCOMPLETE break the stream: close the connection.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `data` is readable for `len` bytes, `wanted` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_wanted(
    data: *const u8,
    len: usize,
    max_body_len: u32,
    max_meta_len: u32,
    wanted: *mut usize,
) -> i32 {
    code((|| {
        pointer::check(wanted.cast_const())?;
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let data = unsafe { pointer::bytes(data, len) }?;
        let frame_len = baidu_std::wanted(data, &Limits { max_body_len, max_meta_len })?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { wanted.write(frame_len) };
        Ok(())
    })())
}

/// Reads the frame at the front of `data`. Everything in `meta`, `payload` and `attachment` is a view of `data`.
///
/// Returns what mcrpc_baidu_wanted() returns, MCRPC_INCOMPLETE while bytes are missing, and MCRPC_BAD_META for a meta that is no valid
/// RpcMeta, lacks a required field, or announces a longer attachment than there are bytes: close the connection. With MCRPC_BAD_META
/// alone of all failures something is written: the meta is empty then.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `data` is readable for `len` bytes; `meta` has its size set and is writable for as many bytes, `payload` and `attachment` are
/// writable, and none of them overlaps `data`.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_parse(
    data: *const u8,
    len: usize,
    max_body_len: u32,
    max_meta_len: u32,
    meta: *mut mcrpc_baidu_meta_t,
    payload: *mut mcrpc_bytes_t,
    attachment: *mut mcrpc_bytes_t,
) -> i32 {
    code((|| {
        pointer::check(payload.cast_const())?;
        pointer::check(attachment.cast_const())?;
        // SAFETY: the caller promises `len` readable bytes, which this call does not outlive.
        let data = unsafe { pointer::bytes(data, len) }?;
        // SAFETY: its size is readable by the caller's promise.
        unsafe { sized::whole(meta.cast_const()) }?;
        let (meta_bytes, body) = Frame::split(data, &Limits { max_body_len, max_meta_len })?;
        // SAFETY: writable by the caller's promise; `fill` has left only zeroes.
        let packed = unsafe { sized::fill(meta)?.packed_mut() };
        packed.parse(meta_bytes)?;
        let Ok((payload_bytes, attachment_bytes)) = packed.split_attachment(body) else {
            *packed = PackedMeta::default();
            return Err(Status::BAD_META);
        };
        // SAFETY: both checked for null and alignment; writable by the caller's promise.
        unsafe {
            payload.write(payload_bytes.into());
            attachment.write(attachment_bytes.into());
        }
        Ok(())
    })())
}

/// Writes the header and the meta of a request to `out`, which has room for `len` bytes, for a payload and attachment of `payload_len`
/// bytes together; these are sent behind it, with one writev() for instance. `wanted` becomes the bytes written, also with
/// MCRPC_TOO_SMALL, when nothing is written: (NULL, 0) asks for the room to make.
///
/// The user fields are those of `origin`, which may be NULL, and then the `count` ones at `fields`, of which one with the same key
/// counts instead; to pass on received ones, see mcrpc_baidu_next_user_field(). Returns MCRPC_BAD_KIND if there is no request in the meta, MCRPC_BAD_TEXT if a name or text is not
/// UTF-8, MCRPC_BODY_TOO_LONG above 4 GiB, MCRPC_INVALID_ARGUMENT (unknown bits, reserved is not 0, an attachment that is longer than
/// the payload).
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `meta` has its size set and is readable for as many bytes; `origin` is NULL or readable; `fields` is readable for `count` fields; all
/// bytes that these name are readable; `out` is writable for `len` bytes and overlaps none of them; `wanted` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_write_request(
    meta: *const mcrpc_baidu_meta_t,
    origin: *const mcrpc_baidu_origin_t,
    fields: *const mcrpc_baidu_field_t,
    count: usize,
    payload_len: u32,
    out: *mut u8,
    len: usize,
    wanted: *mut usize,
) -> i32 {
    // SAFETY: the caller has promised what `write` asks for.
    code(unsafe { write(MCRPC_BAIDU_REQUEST, meta, origin, fields, count, payload_len, out, len, wanted) })
}

/// The same for a response: MCRPC_BAD_KIND if there is none in the meta. Give it the request's correlation id, and as error code
/// mcrpc_baidu_error_of() of the status.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// As mcrpc_baidu_write_request().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_write_response(
    meta: *const mcrpc_baidu_meta_t,
    fields: *const mcrpc_baidu_field_t,
    count: usize,
    payload_len: u32,
    out: *mut u8,
    len: usize,
    wanted: *mut usize,
) -> i32 {
    let origin = core::ptr::null();
    // SAFETY: the caller has promised what `write` asks for.
    code(unsafe { write(MCRPC_BAIDU_RESPONSE, meta, origin, fields, count, payload_len, out, len, wanted) })
}

/// Writes a meta that has this part. Part of either function, so that it takes no frame of stack of its own.
///
/// # Safety
///
/// As [`mcrpc_baidu_write_request`].
#[allow(clippy::too_many_arguments, reason = "those of the two functions for C")]
#[inline(always)]
unsafe fn write(
    part: u32,
    meta: *const mcrpc_baidu_meta_t,
    origin: *const mcrpc_baidu_origin_t,
    fields: *const mcrpc_baidu_field_t,
    count: usize,
    payload_len: u32,
    out: *mut u8,
    len: usize,
    wanted: *mut usize,
) -> Result<(), Status> {
    // SAFETY: readable for the size that it says, with all it names, and constant meanwhile, by the caller's promise.
    let meta = unsafe { sized::view(meta)?.packed() }?;
    if !meta.has(part) {
        return Err(Status::BAD_KIND);
    }
    // SAFETY: NULL or readable, by the caller's promise.
    let origin = unsafe { checked_origin(origin) }?;
    pointer::check(wanted.cast_const())?;
    // SAFETY: `count` fields are readable with all they name, by the caller's promise.
    let fields = unsafe { checked_fields(fields, count) }?;
    // SAFETY: writable, and overlapping nothing that is read, by the caller's promise.
    let out = unsafe { pointer::room(out, len) }?;
    // SAFETY: `checked_fields` has found that these bytes are valid, and they do not change by the caller's promise.
    let text = |text: mcrpc_bytes_t| unsafe {
        match text.len {
            0 => "",
            len => core::str::from_utf8_unchecked(core::slice::from_raw_parts(text.data, len)),
        }
    };
    let pairs = fields.iter().map(|field| (text(field.key), text(field.value)));
    let (written, result) = match meta.write(&origin, pairs, payload_len, out) {
        Ok(written) => (written, Ok(())),
        Err(error @ WriteError::TooSmall { wanted }) => (wanted, Err(error.status())),
        Err(error) => return Err(error.status()),
    };
    // SAFETY: checked for null and alignment; writable by the caller's promise.
    unsafe { wanted.write(written) };
    result
}

/// For whom the request is, from C.
///
/// # Safety
///
/// `origin` is NULL or readable.
unsafe fn checked_origin(origin: *const mcrpc_baidu_origin_t) -> Result<Origin, Status> {
    if origin.is_null() {
        return Ok(Origin::default());
    }
    pointer::check(origin)?;
    // SAFETY: checked for null and alignment; readable by the caller's promise.
    let mcrpc_baidu_origin_t { uin, business_id, priority, reserved } = unsafe { origin.read() };
    if reserved == [0; 5] { Ok(Origin { uin, business_id, priority }) } else { Err(Status::INVALID_ARGUMENT) }
}

/// The fields at `fields`, every key and value of which is readable and UTF-8.
///
/// # Safety
///
/// As [`mcrpc_baidu_write_request`].
unsafe fn checked_fields<'a>(
    fields: *const mcrpc_baidu_field_t,
    count: usize,
) -> Result<&'a [mcrpc_baidu_field_t], Status> {
    if count == 0 {
        return Ok(&[]);
    }
    pointer::check(fields)?;
    let bytes = count.checked_mul(size_of::<mcrpc_baidu_field_t>()).filter(|&bytes| bytes <= pointer::MAX_LEN);
    if bytes.and_then(|bytes| fields.addr().checked_add(bytes)).is_none() {
        return Err(Status::INVALID_ARGUMENT);
    }
    // SAFETY: not null, aligned, no longer than an object can be; readable by the caller's promise.
    let fields = unsafe { core::slice::from_raw_parts(fields, count) };
    for field in fields {
        // SAFETY: readable by the caller's promise.
        unsafe {
            baidu_meta::text(field.key)?;
            baidu_meta::text(field.value)?;
        }
    }
    Ok(fields)
}

/// Sets `value` to the value of a key among the user fields of a meta that mcrpc_baidu_parse() filled in: the last one if there are
/// several, with data NULL if there is none, and not NULL if it is empty. It takes a look at every field. The frame must still be there.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `meta` has its size set and is readable for as many bytes, and so are its user_fields; `key` is readable for `key_len` bytes;
/// `value` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_user_field(
    meta: *const mcrpc_baidu_meta_t,
    key: *const u8,
    key_len: usize,
    value: *mut mcrpc_bytes_t,
) -> i32 {
    code((|| {
        pointer::check(value.cast_const())?;
        // SAFETY: `meta` is readable for the size that it says and `key` for `key_len` bytes, by the caller's promise.
        let (meta, key) = unsafe { (sized::view(meta)?, pointer::bytes(key, key_len)?) };
        // SAFETY: the user fields are readable by the caller's promise.
        let fields = UserFields::within(unsafe { meta.user_fields.get() }?);
        let found = core::str::from_utf8(key).ok().and_then(|key| fields.get(key));
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe {
            value.write(found.map_or(mcrpc_bytes_t::default(), |value| mcrpc_bytes_t::of_present(value.as_bytes())))
        };
        Ok(())
    })())
}

/// Takes the first pair from the front of `rest`, which is at first a copy of a meta's user_fields. At the end `field` is all zeroes:
/// of a pair that is there no data is NULL, even if key and value are empty. A key may come twice; then the last value counts.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `rest` is readable and writable, and so many bytes as it says are readable; `field` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_next_user_field(rest: *mut mcrpc_bytes_t, field: *mut mcrpc_baidu_field_t) -> i32 {
    code((|| {
        pointer::check(rest.cast_const())?;
        pointer::check(field.cast_const())?;
        // SAFETY: checked for null and alignment; readable, and its bytes too, by the caller's promise.
        let mut fields = UserFields::within(unsafe { rest.read().get() }?).iter();
        let found = match fields.next() {
            Some((key, value)) => mcrpc_baidu_field_t {
                key: mcrpc_bytes_t::of_present(key.as_bytes()),
                value: mcrpc_bytes_t::of_present(value.as_bytes()),
            },
            None => mcrpc_baidu_field_t::default(),
        };
        // SAFETY: both checked for null and alignment; writable by the caller's promise.
        unsafe {
            rest.write(fields.rest().into());
            field.write(found);
        }
        Ok(())
    })())
}

/// Sets `out` to the native header of a request, for mcrpc_request_from_header(). `payload_len` counts payload and attachment.
///
/// The method id is that of "service_name.method_name", the budget is timeout_ms (none if that is missing or not positive: brpc
/// sends it only when told to, so set a deadline of your own then), the call id is made of both halves of the correlation id: a
/// response has the correlation id itself. uin, business_id and priority come from the user fields "mc-uin", "mc-business-id" and
/// "mc-priority", and are 0 unless these are decimal numbers that fit; a priority that is none is 255, the last. Returns MCRPC_BAD_KIND if there is no request in the meta.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `meta` has its size set and is readable for as many bytes, and so is what it names; `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_baidu_to_header(
    meta: *const mcrpc_baidu_meta_t,
    payload_len: u32,
    out: *mut mcrpc_header_t,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: readable for the size that it says, with all it names, by the caller's promise.
        let header = unsafe { sized::view(meta)?.packed() }?.to_header(payload_len)?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(header.into()) };
        Ok(())
    })())
}

/// The error code that tells a brpc client of a status: chosen by what the client then does. Overload is ELIMIT, which is tried on
/// another server and not counted by the client's circuit breaker; a server that closes is ELOGOFF; what has no time left is
/// ERPCTIMEDOUT; bytes that cannot be understood are EREQUEST; a service's own positive code is itself; the rest is EINTERNAL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_baidu_error_of(status: i32) -> i32 {
    errors::error_of(Status(status))
}

/// What the error code of a brpc server means to mcrpc_outcome_of() and mcrpc_report(). ELIMIT and EOVERCROWDED are MCRPC_QUEUE_FULL,
/// ELOGOFF is MCRPC_GOING_AWAY, ERPCTIMEDOUT is MCRPC_DEADLINE_IN_QUEUE, ENOSERVICE and ENOMETHOD are their namesakes; another
/// positive code is itself, as the service's own, and a negative one is EINTERNAL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_baidu_status_of(error_code: i32) -> i32 {
    errors::status_of(error_code).0
}
