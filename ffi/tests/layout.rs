//! Given the structs of the ABI, when Rust and C compilers lay them out, then every field lies where it always did.
//!
//! The numbers below are those of a machine with 64-bit pointers. `tests/c/layout.h` repeats them for C, for both widths of
//! pointers; `MCRPC_UPDATE=1 cargo test -p mcrpc-ffi --test layout` writes it anew. That nothing lies between two fields is what
//! makes the layout the same for all compilers: then it follows from the lengths of the fields alone.

#![cfg(target_pointer_width = "64")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use mcrpc_ffi::{
    admission, baidu_meta, baidu_std, bytes, context, counters, endpoints, frame, header, host, limits, log, metadata,
    select, strategy,
};

/// A number on machines with pointers of 64 and of 32 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ByWidth {
    on_64: usize,
    on_32: usize,
}

/// What a field can be: how long it is.
trait Lens {
    const LENS: ByWidth;
}

struct Field {
    name: &'static str,
    offset: usize,
    lens: ByWidth,
}

struct Struct {
    name: &'static str,
    len: usize,
    fields: Vec<Field>,
}

macro_rules! lens {
    ($($kind:ty: $on_64:expr, $on_32:expr;)+) => {
        $(impl Lens for $kind {
            const LENS: ByWidth = ByWidth { on_64: $on_64, on_32: $on_32 };
        })+
    };
}

lens! {
    u8: 1, 1;
    u16: 2, 2;
    u32: 4, 4;
    i32: 4, 4;
    u64: 8, 8;
    i64: 8, 8;
    usize: 8, 4;
    *const u8: 8, 4;
    bytes::mcrpc_bytes_t: 16, 8;
    header::mcrpc_header_t: 40, 40;
    strategy::mcrpc_endpoint_t: 24, 24;
}

impl<T: Lens, const N: usize> Lens for [T; N] {
    const LENS: ByWidth = ByWidth { on_64: N * T::LENS.on_64, on_32: N * T::LENS.on_32 };
}

fn lens_of<S, F: Lens>(_: fn(&S) -> &F) -> ByWidth {
    F::LENS
}

/// Checks the numbers when it is compiled, and that no field is missing, and makes a list of it all.
macro_rules! structs {
    ($($module:ident::$name:ident, $len:literal { $($field:ident $offset:literal,)+ })+) => {
        $(const _: () = {
            assert!(size_of::<$module::$name>() == $len);
            $(assert!(offset_of!($module::$name, $field) == $offset);)+
            let _ = |it: $module::$name| { let $module::$name { $($field: _),+ } = it; };
        };)+

        fn structs() -> Vec<Struct> {
            vec![$(Struct {
                name: stringify!($name),
                len: $len,
                fields: vec![$(Field {
                    name: stringify!($field),
                    offset: $offset,
                    lens: lens_of(|it: &$module::$name| &it.$field),
                }),+],
            }),+]
        }
    };
}

// Until the first release the numbers may change; from then on lines are only added, at the end of a struct that may grow.
#[rustfmt::skip]
structs! {
    limits::mcrpc_limits_t, 20 {
        struct_size 0, max_body_len 4, max_open_calls 8, max_metadata_len 12, max_tags 14, max_name_len 16,
        needs_checksum 18,
    }
    header::mcrpc_header_t, 40 {
        uin 0, body_len 8, call_id 12, method_id 16, status 20, budget_ms 24, cursor 28, business_id 32,
        metadata_len 34, kind 36, flags 37, priority 38, reserved 39,
    }
    bytes::mcrpc_bytes_t, 16 {
        data 0, len 8,
    }
    metadata::mcrpc_metadata_t, 216 {
        struct_size 0, features 4, call_graph_id 8, trace_id 16, span_id 32, origin_budget_ms 40, withheld_count 44,
        withheld_key 48, max_body_len 52, max_open_calls 56, raw_len 60, reject_hold_ms 64, reject_share_per_10k 66,
        trace_flags 68, compression 69, reserved 70, caller 72, service 88, method 104, zone 120, error_text 136,
        ticket 152, cookie 168, tags 184, onward_tags 200,
    }
    frame::mcrpc_frame_decoder_t, 128 {
        opaque 0,
    }
    frame::mcrpc_frame_event_t, 80 {
        kind 0, last 4, status 8, reserved 12, header 16, bytes 56, reserved_too 72,
    }
    baidu_meta::mcrpc_baidu_meta_t, 248 {
        struct_size 0, reserved 4, present 8, need_feedback 12, writable 13, reserved_too 14, service_name 16,
        method_name 32, request_id 48, from_svr_name 64, error_text 80, authentication_data 96, checksum_value 112,
        user_fields 128, streams 144, log_id 160, trace_id 168, span_id 176, parent_span_id 184, correlation_id 192,
        chunk_stream_id 200, chunk_id 208, stream_id 216, timeout_ms 224, error_code 228, compress_type 232,
        attachment_size 236, content_type 240, checksum_type 244,
    }
    baidu_std::mcrpc_baidu_origin_t, 16 {
        uin 0, business_id 8, priority 10, reserved 11,
    }
    baidu_std::mcrpc_baidu_field_t, 32 {
        key 0, value 16,
    }
    admission::mcrpc_admission_config_t, 56 {
        struct_size 0, queue_count 4, workers_per_queue 8, mode 12, window_ms 16, target_wait_ms 20,
        overload_wait_ms 24, soft_wait_limit_ms 28, hard_wait_limit_ms 32, marginal_band_per_10k 36,
        headroom_per_10k 40, policy 44, cpu_limit_per_10k 48, fair_share 52,
    }
    admission::mcrpc_admission_t, 192 {
        opaque 0,
    }
    admission::mcrpc_request_t, 24 {
        deadline_ns 0, key 8, flags 12, reserved 16,
    }
    host::mcrpc_host_t, 4096 {
        opaque 0,
    }
    admission::mcrpc_tenant_snapshot_t, 24 {
        struct_size 0, demoted_per_10k 4, offered 8, admitted 16,
    }
    admission::mcrpc_admission_snapshot_t, 56 {
        struct_size 0, mode 4, shedding 8, cursor 12, marginal_cursor 16, queue_count 20, windows_closed 24,
        demand_mrps 32, capacity_mrps 40, service_floor_ns 48,
    }
    admission::mcrpc_queue_snapshot_t, 312 {
        struct_size 0, queued 4, running 8, reserved 12, admitted 16, completed 24, wait_sum_ns 32, wait_count 40,
        capacity_mrps 48, refused 56, would_refuse 184,
    }
    context::mcrpc_context_t, 128 {
        struct_size 0, flags 4, uin 8, deadline_ns 16, task_id 24, call_graph_id 32, trace_id 40, span_id 56,
        origin_budget_ms 64, business_id 68, priority 70, attempt 71, trace_flags 72, reserved 73, ticket 80,
        cookie 96, tags 112,
    }
    host::mcrpc_host_config_t, 64 {
        struct_size 0, owner_uid 4, max_age_ms 8, seats 12, counters 16, buckets 20, trace_cells 24, reserved 28,
        name 32,
    }
    host::mcrpc_segment_status_t, 40 {
        struct_size 0, status 4, found 8, expected 16, entries 24, unanswered 32,
    }
    strategy::mcrpc_endpoint_t, 24 {
        address 0, service_id 16, port 20, reserved 22,
    }
    strategy::mcrpc_strategy_t, 16 {
        status 0, pass_rate_per_10k 4, kind 8, reject_cursor 12,
    }
    counters::mcrpc_leak_t, 24 {
        drain_ns 0, limit_ns 8, capacity_ns 16,
    }
    log::mcrpc_log_line_t, 32 {
        struct_size 0, level 4, thread 8, reserved 12, coroutine 16, now_ns 24,
    }
    endpoints::mcrpc_endpoints_config_t, 80 {
        struct_size 0, capacity 4, scope 8, zone_strategy 12, region 16, zone 20, max_attempts 24,
        max_shielded_per_10k 28, retry_ratio_per_10k 32, retry_burst 36, backup_ratio_per_10k 40, backup_burst 44,
        fail_count 48, backoff_min_ms 52, backoff_max_ms 56, probe_lease_ms 60, ramp_ms 64, memory_ms 68,
        ring_seed 72,
    }
    endpoints::mcrpc_endpoints_t, 192 {
        opaque 0,
    }
    endpoints::mcrpc_endpoint_spec_t, 64 {
        endpoint 0, weight 24, region 26, zone 28, group 30, user_data 32, reserved 40,
    }
    endpoints::mcrpc_group_rule_t, 40 {
        group 0, share_per_10k 2, reserved 4, first_uin 8, last_uin 16, reserved_too 24,
    }
    endpoints::mcrpc_endpoints_snapshot_t, 264 {
        struct_size 0, count 4, decisions 8,
    }
    endpoints::mcrpc_health_t, 40 {
        struct_size 0, state 4, level 8, share 12, left_ms 16, reserved 20, probes 24, shields 32,
    }
    select::mcrpc_call_t, 96 {
        uin 0, call_id 8, deadline_ns 16, key 24, service_id 28, method_id 32, attempts 36, continues_task 37,
        reserved 38, tried 40, reserved_too 72,
    }
    select::mcrpc_choice_t, 96 {
        endpoint 0, index 24, flags 28, user_data 32, withheld_count 40, withheld_key 44, generation 48, cell 56,
        identity 64, reserved 68, reserved_too 72,
    }
}

/// Where the fields of a struct begin and where it ends, if each follows the one before it.
fn packed(it: &Struct) -> (Vec<ByWidth>, ByWidth) {
    let mut end = ByWidth { on_64: 0, on_32: 0 };
    let mut offsets = Vec::new();
    for field in &it.fields {
        offsets.push(end);
        end = ByWidth { on_64: end.on_64 + field.lens.on_64, on_32: end.on_32 + field.lens.on_32 };
    }
    (offsets, end)
}

#[test]
fn every_struct_of_the_header_is_listed() {
    let header = std::fs::read_to_string(root().join("include/mcrpc.h")).unwrap();
    let declared: BTreeSet<_> =
        header.lines().filter_map(|line| line.strip_prefix("} ")?.strip_suffix(';')).map(str::to_owned).collect();
    assert_eq!(structs().iter().map(|it| it.name.to_owned()).collect::<BTreeSet<_>>(), declared);
}

#[test]
fn nothing_lies_between_two_fields() {
    for it in structs() {
        let (offsets, end) = packed(&it);
        for (field, offset) in it.fields.iter().zip(offsets) {
            assert_eq!(field.offset, offset.on_64, "{}.{}", it.name, field.name);
        }
        assert_eq!(it.len, end.on_64, "{}", it.name);
        // Some compilers align a uint64_t to 4 bytes, others to 8.
        let has_longs = it.fields.iter().any(|field| field.lens.on_32 % 8 == 0);
        assert!(!has_longs || end.on_32.is_multiple_of(8), "{} has a tail on some machines", it.name);
    }
}

#[test]
fn the_committed_layout_is_that_of_the_code() {
    let (file, generated) = (root().join("tests/c/layout.h"), generate());
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == generated,
        "tests/c/layout.h is stale: run `MCRPC_UPDATE=1 cargo test -p mcrpc-ffi --test layout` and review the diff: \
         a line that changes breaks programs that are already compiled"
    );
}

#[test]
fn c_compilers_agree() {
    for compiler in ["gcc", "clang"] {
        check(Command::new(compiler).args(["-std=c11", "-fsyntax-only"]), compiler);
    }
}

/// Other processors, orders of bytes, widths of pointers, and alignments of a `uint64_t`.
#[test]
fn c_compilers_for_other_machines_agree() {
    for target in [
        "x86_64-pc-windows-msvc",
        "i686-linux-gnu",
        "aarch64-linux-gnu",
        "arm-none-eabi",
        "powerpc64-linux-gnu",
        "s390x-linux-gnu",
        "mips-linux-gnu",
        "riscv32-unknown-elf",
        "riscv64-unknown-elf",
    ] {
        let mut command = Command::new("clang");
        check(command.args([&format!("--target={target}"), "-std=c11", "-ffreestanding", "-fsyntax-only"]), "clang");
    }
}

/// Runs a compiler over the program that holds the header against the layout.
fn check(command: &mut Command, package: &str) {
    command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]).arg(root().join("include"));
    command.arg(root().join("tests/c/layout.c"));
    let output = command.output().unwrap_or_else(|error| panic!("{error}: install the Debian package {package}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

fn generate() -> String {
    let mut text = String::from(
        "/* Where the fields of each struct lie. GENERATED by `MCRPC_UPDATE=1 cargo test -p mcrpc-ffi --test layout`. */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <mcrpc.h>

#define LEN(type, len) _Static_assert(sizeof(type) == (len), #type \" has another length\")
#define AT(type, field, offset, len) \\
    _Static_assert(offsetof(type, field) == (offset) && sizeof(((type *)0)->field) == (len), #type \".\" #field \" has moved\")

/* A header may be held against the layout of an earlier one: what begins with its size may have grown at its end, and reserved
   fields may be in use. */
#ifdef LAYOUT_IS_OF_EARLIER_VERSION
#define GROWS(type, len) _Static_assert(sizeof(type) >= (len), #type \" is shorter\")
#define RESERVED(type, field, offset, len) _Static_assert(sizeof(type) >= (offset) + (len), #type \" is shorter\")
#else
#define GROWS(type, len) LEN(type, len)
#define RESERVED(type, field, offset, len) AT(type, field, offset, len)
#endif

/* What differs with the width of pointers: 64 and 32 bits. */
#if UINTPTR_MAX == UINT64_MAX
#define BITS(on_64, on_32) (on_64)
#else
#define BITS(on_64, on_32) (on_32)
#endif
",
    );
    for it in structs() {
        let (offsets, end) = packed(&it);
        let grows = it.fields.first().is_some_and(|field| field.name == "struct_size");
        writeln!(text, "\n{}({}, {});", if grows { "GROWS" } else { "LEN" }, it.name, number(end)).unwrap();
        for (field, offset) in it.fields.iter().zip(offsets) {
            let kind = if field.name.starts_with("reserved") { "RESERVED" } else { "AT" };
            writeln!(text, "{kind}({}, {}, {}, {});", it.name, field.name, number(offset), number(field.lens)).unwrap();
        }
    }
    text + "\n#endif\n"
}

fn number(by_width: ByWidth) -> String {
    let ByWidth { on_64, on_32 } = by_width;
    if on_64 == on_32 { on_64.to_string() } else { format!("BITS({on_64}, {on_32})") }
}
