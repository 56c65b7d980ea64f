//! Given the sources of the C layer, when the header is generated, then it is the one that is committed.
//!
//! `MCRPC_UPDATE=1 cargo test -p mcrpc-ffi --test header` writes it anew, and all that is made from `ffi/abi.toml`.

mod contract;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use contract::Contract;
use mcrpc_core::admission::{ALIGN, Config};
use mcrpc_core::select::settings::Settings;
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::status::Status;
use mcrpc_core::wire::metadata::Compression;
use mcrpc_core::wire::{Features, Flags, HEADER_LEN, Kind, Limits, Protocol, Tag};
use mcrpc_ffi::host::mcrpc_host_config_t;

const SOURCES: [&str; 17] = [
    "status",
    "bytes",
    "limits",
    "header",
    "metadata",
    "frame",
    "baidu_meta",
    "baidu_std",
    "admission",
    "context",
    "baidu_context",
    "host",
    "strategy",
    "counters",
    "log",
    "endpoints",
    "select",
];

#[test]
fn the_committed_header_is_the_generated_one() {
    compare_or_update("include/mcrpc.h", &generate_header());
}

/// Every function has its contract, and every contract its function.
#[test]
fn the_contract_lists_the_functions_of_the_header() {
    let contract = Contract::read();
    let listed: Vec<_> = contract.functions().collect();
    let set: BTreeSet<_> = listed.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(set.len(), listed.len(), "a function is listed twice in ffi/abi.toml");
    let declared: BTreeSet<String> = declarations().into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = declared.difference(&set).collect();
    let unknown: Vec<_> = set.difference(&declared).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "ffi/abi.toml lacks {missing:?}, and has {unknown:?} for nothing"
    );
}

#[test]
fn a_function_is_called_hot_where_it_is_declared_if_its_contract_says_so() {
    let contract = Contract::read();
    let hot: BTreeSet<_> = contract.hot().map(str::to_owned).collect();
    let said: BTreeSet<_> =
        declarations().into_iter().filter(|(_, comment)| comment.contains("Hot")).map(|(name, _)| name).collect();
    let differing: Vec<_> = said.symmetric_difference(&hot).collect();
    assert!(differing.is_empty(), "the comment and ffi/abi.toml do not agree about {differing:?}");
}

#[test]
fn what_is_made_from_the_contract_is_what_is_committed() {
    let contract = Contract::read();
    compare_or_update("ffi/artefact/exports.txt", &contract.exports());
    compare_or_update_section("docs/abi.md", &contract.documented_table());
    compare_or_update_section("README.md", &contract.short_table());
}

/// The functions of the header, with the comments above them.
fn declarations() -> Vec<(String, String)> {
    let (mut found, mut comment) = (Vec::new(), String::new());
    for line in generate_header().lines() {
        if line.starts_with("//") {
            comment.push_str(line);
            continue;
        }
        let name = line.split('(').next().and_then(|front| front.rsplit([' ', '*']).next());
        if let Some(name) = name.filter(|name| name.starts_with("mcrpc_") && line.ends_with(");")) {
            found.push((name.to_owned(), comment.clone()));
        }
        comment.clear();
    }
    found
}

/// The same as [`compare_or_update`] for the part of a hand-written document between two marks.
fn compare_or_update_section(path: &str, generated: &str) {
    const MARKS: [&str; 2] = ["<!-- made from ffi/abi.toml -->\n", "<!-- end -->"];
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap_or_else(|| panic!("{path} has no mark {:?}", MARKS[0]));
    let (_, after) = rest.split_once(MARKS[1]).unwrap_or_else(|| panic!("{path} has no mark {:?}", MARKS[1]));
    compare_or_update(path, &format!("{before}{}{generated}{}{after}", MARKS[0], MARKS[1]));
}

fn compare_or_update(path: &str, generated: &str) {
    let file = root().join(path);
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::write(&file, generated).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == generated,
        "{path} is stale: run `MCRPC_UPDATE=1 cargo test -p mcrpc-ffi --test header` and review the diff"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

fn generate_header() -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut config = cbindgen::Config::from_file(root().join("ffi/cbindgen.toml")).unwrap();
    config.after_includes = Some(constants());
    config.header = config
        .header
        .map(|head| format!("{}{}", head.trim_end_matches('\n').to_owned() + "\n", Contract::read().header_comment()));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in exported_sources(directory.path()) {
        builder = builder.with_src(source);
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen reads the sources").write(&mut text);
    String::from_utf8(text).unwrap()
}

/// The sources as cbindgen can read them: it does not know that a `cfg_attr` can export a function, and the safety
/// sections are for Rust callers.
fn exported_sources(directory: &Path) -> Vec<PathBuf> {
    let copy = |name: &&str| {
        let source = std::fs::read_to_string(root().join(format!("ffi/src/{name}.rs"))).unwrap();
        let source =
            source.replace("#[cfg_attr(feature = \"export-symbols\", unsafe(no_mangle))]", "#[unsafe(no_mangle)]");
        let path = directory.join(format!("{name}.rs"));
        std::fs::write(&path, without_safety_sections(&source)).unwrap();
        path
    };
    SOURCES.iter().map(copy).collect()
}

fn without_safety_sections(source: &str) -> String {
    let mut in_section = false;
    let mut kept: Vec<&str> = Vec::new();
    for line in source.lines() {
        if line == "/// # Safety" {
            in_section = true;
            // The empty comment line above the heading.
            kept.pop();
        }
        in_section &= line.starts_with("///");
        if !in_section {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// What the header takes from the core: versions, wire constants, statuses, default settings.
fn constants() -> String {
    let version: Vec<&str> = env!("CARGO_PKG_VERSION").split('.').collect();
    let [major, minor, patch] = version[..] else { panic!("a version has three parts") };
    let limits = Limits::DEFAULT;
    let (defaults, host, set) = (Config::default(), mcrpc_host_config_t::default(), Settings::DEFAULT);
    let mut text = format!(
        "
// The version of this header; mcrpc_version() is that of the library.
#define MCRPC_VERSION_MAJOR {major}
#define MCRPC_VERSION_MINOR {minor}
#define MCRPC_VERSION_PATCH {patch}
#define MCRPC_VERSION_NUMBER (MCRPC_VERSION_MAJOR * 1000000 + MCRPC_VERSION_MINOR * 1000 + MCRPC_VERSION_PATCH)

// Bytes of a frame header.
#define MCRPC_HEADER_LEN {HEADER_LEN}
// Alignment of the memory of a controller.
#define MCRPC_ADMISSION_ALIGN {ALIGN}

// Kinds of frames.
"
    );
    let kinds = [
        ("REQUEST", Kind::Request),
        ("RESPONSE", Kind::Response),
        ("ONE_WAY", Kind::OneWay),
        ("HELLO", Kind::Hello),
        ("PING", Kind::Ping),
        ("PONG", Kind::Pong),
        ("GO_AWAY", Kind::GoAway),
        ("CANCEL", Kind::Cancel),
    ];
    for (name, kind) in kinds {
        writeln!(text, "#define MCRPC_KIND_{name} {}", kind as u8).unwrap();
    }
    text.push_str(
        "\n// Flags of a frame. MUST_UNDERSTAND is refused by this version: it knows nothing that it could mean.\n",
    );
    let flags = [
        ("CRC_TRAILER", Flags::CRC_TRAILER),
        ("SAMPLED", Flags::SAMPLED),
        ("MORE", Flags::MORE),
        ("CONTINUES_TASK", Flags::CONTINUES_TASK),
        ("COMPRESSED", Flags::COMPRESSED),
        ("MUST_UNDERSTAND", Flags::MUST_UNDERSTAND),
    ];
    for (name, mask) in flags {
        writeln!(text, "#define MCRPC_FLAG_{name} {mask:#04x}").unwrap();
    }
    let shift = Flags::ATTEMPT_MASK.trailing_zeros();
    write!(
        text,
        "// The number of the attempt in the flags, 0 to 3, and flags with that number.
#define MCRPC_FLAGS_ATTEMPT(flags) (((flags) >> {shift}) & 3)
#define MCRPC_FLAGS_WITH_ATTEMPT(flags, attempt) (((flags) & {:#04x}) | (((attempt) & 3) << {shift}))
{}
// The limits to start from.
#define MCRPC_LIMITS_INIT {{ sizeof(mcrpc_limits_t), {}, {}, {}, {}, {}, {} }}

// No metadata, and a context without any: what to start from.
#define MCRPC_METADATA_INIT \\
    {{ sizeof(mcrpc_metadata_t), 0, 0, {{ 0 }}, {{ 0 }}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {{ NULL, 0 }}, {{ NULL, 0 }}, \\
      {{ NULL, 0 }}, {{ NULL, 0 }}, {{ NULL, 0 }}, {{ NULL, 0 }}, {{ NULL, 0 }}, {{ NULL, 0 }}, {{ NULL, 0 }} }}
#define MCRPC_CONTEXT_INIT \\
    {{ sizeof(mcrpc_context_t), 0, 0, MCRPC_NO_DEADLINE, 0, 0, {{ 0 }}, {{ 0 }}, 0, 0, 0, 0, 0, {{ 0 }}, {{ NULL, 0 }}, \\
      {{ NULL, 0 }}, {{ NULL, 0 }} }}

// The settings to start from: one queue, an unknown number of workers, defaults for the rest.
#define MCRPC_ADMISSION_CONFIG_INIT \\
    {{ sizeof(mcrpc_admission_config_t), {}, {}, MCRPC_MODE_ENFORCE, {}, {}, {}, {}, {}, {}, {}, \\
      MCRPC_POLICY_FEED_FORWARD, {}, 0 }}

// A request to start from: no deadline, the highest importance.
#define MCRPC_REQUEST_INIT {{ MCRPC_NO_DEADLINE, 0, 0, 0 }}

// The settings of a host to start from.
#define MCRPC_HOST_CONFIG_INIT \\
    {{ sizeof(mcrpc_host_config_t), MCRPC_ANY_OWNER, {}, {}, {}, {}, {}, 0, {{ 0 }} }}

// The settings of a set of endpoints to start from.
#define MCRPC_ENDPOINTS_CONFIG_INIT \\
    {{ sizeof(mcrpc_endpoints_config_t), {}, MCRPC_SCOPE_HOST, MCRPC_ZONE_ANYWHERE, 0, 0, {}, \\
      {}, {}, {}, {}, {}, 0, {}, {}, {}, {}, {}, 0 }}

// A leak to start from: ten failures at once fill the bucket, one per second leaks out, and it is empty after 30 s.
#define MCRPC_LEAK_INIT {{ UINT64_C({}), UINT64_C({}), UINT64_C({}) }}

// A line of text to start from: INFO, of no thread, coroutine or request that is known.
#define MCRPC_LOG_LINE_INIT {{ sizeof(mcrpc_log_line_t), MCRPC_LOG_INFO, 0, 0, 0, 0 }}

// A meta of baidu_std with nothing in it.
#define MCRPC_BAIDU_META_INIT \\
    {{ sizeof(mcrpc_baidu_meta_t), 0, 0, 0, 0, 0, {{ 0, 0 }}, {{ 0, 0 }}, {{ 0, 0 }}, {{ 0, 0 }}, {{ 0, 0 }}, {{ 0, 0 }}, \\
      {{ 0, 0 }}, {{ 0, 0 }}, {{ 0, 0 }}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }}

// Every status: what happened, and what to do about it.
enum {{
",
        !Flags::ATTEMPT_MASK,
        metadata_constants(),
        limits.max_body_len,
        limits.max_open_calls,
        limits.max_metadata_len,
        limits.max_tags,
        limits.max_name_len,
        u16::from(limits.needs_checksum),
        defaults.queue_count,
        defaults.workers_per_queue,
        defaults.window_ms,
        defaults.target_wait_ms,
        defaults.overload_wait_ms,
        defaults.soft_wait_limit_ms,
        defaults.hard_wait_limit_ms,
        defaults.marginal_band_per_10k,
        defaults.headroom_per_10k,
        defaults.cpu_limit_per_10k,
        host.max_age_ms,
        host.seats,
        host.counters,
        host.buckets,
        host.trace_cells,
        set.capacity,
        set.max_attempts,
        set.max_shielded.get(),
        set.retries.ratio.get(),
        set.retries.burst,
        set.backups.ratio.get(),
        set.backups.burst,
        set.rules.breaker.backoff_min_ms,
        set.rules.breaker.backoff_max_ms,
        set.rules.breaker.probe_lease_ms,
        set.rules.breaker.ramp_ms,
        set.rules.breaker.memory_ms,
        Leak::DEFAULT.drain_ns,
        Leak::DEFAULT.limit_ns,
        Leak::DEFAULT.capacity_ns,
    )
    .unwrap();
    for entry in Status::ALL {
        writeln!(text, "    // {}", entry.text.to_str().unwrap()).unwrap();
        writeln!(text, "    MCRPC_{} = {},", entry.name.to_str().unwrap().to_uppercase(), entry.status.0).unwrap();
    }
    text.push_str("};");
    text
}

/// Tags and the numbers in their values, and protocols.
fn metadata_constants() -> String {
    let mut text = String::from(
        "\n// Tags of metadata, and their bits: must be understood, the application's own, travels onward.\n",
    );
    let application_onward = Tag::APPLICATION_ONWARD.0 & !Tag::APPLICATION.0;
    for (name, tag) in [
        ("CALLER", Tag::CALLER.0),
        ("SERVICE", Tag::SERVICE.0),
        ("METHOD", Tag::METHOD.0),
        ("ZONE", Tag::ZONE.0),
        ("FEATURES", Tag::FEATURES.0),
        ("ERROR_TEXT", Tag::ERROR_TEXT.0),
        ("REJECT_STATE", Tag::REJECT_STATE.0),
        ("WITHHELD", Tag::WITHHELD.0),
        ("COMPRESSION", Tag::COMPRESSION.0),
        ("PEER_LIMITS", Tag::PEER_LIMITS.0),
        ("TRACE", Tag::TRACE.0),
        ("ORIGIN_BUDGET", Tag::ORIGIN_BUDGET.0),
        ("CALL_GRAPH", Tag::CALL_GRAPH.0),
        ("TICKET", Tag::TICKET.0),
        ("COOKIE", Tag::COOKIE.0),
        ("ONWARD", application_onward),
        ("APPLICATION", Tag::APPLICATION.0),
        ("MUST_UNDERSTAND", Tag(0).that_must_be_understood().0),
    ] {
        writeln!(text, "#define MCRPC_TAG_{name} {tag:#04x}").unwrap();
    }
    let first_algorithm = Features::decompresses(1).0.trailing_zeros() - 1;
    write!(
        text,
        "
// What the sender of a hello can do: it checks checksums, and wants them; it decompresses an algorithm, 1 to 23.
#define MCRPC_FEATURE_CHECKSUMS {:#x}
#define MCRPC_FEATURE_DECOMPRESSES(algorithm) (UINT32_C(1) << ({first_algorithm} + (algorithm)))

// Algorithms of compression.
#define MCRPC_COMPRESSION_GZIP {}
#define MCRPC_COMPRESSION_ZSTD {}
#define MCRPC_COMPRESSION_LZ4 {}
#define MCRPC_COMPRESSION_SNAPPY {}

// What mcrpc_sniff() says of a connection.
#define MCRPC_PROTOCOL_UNDECIDED 0
",
        Features::CHECKSUMS.0,
        Compression::GZIP,
        Compression::ZSTD,
        Compression::LZ4,
        Compression::SNAPPY,
    )
    .unwrap();
    for (name, protocol) in [
        ("NATIVE", Protocol::Native),
        ("BAIDU_STD", Protocol::BaiduStd),
        ("HTTP1", Protocol::Http1),
        ("HTTP2", Protocol::Http2),
        ("UNKNOWN", Protocol::Unknown),
    ] {
        writeln!(text, "#define MCRPC_PROTOCOL_{name} {}", protocol as u32).unwrap();
    }
    text
}
