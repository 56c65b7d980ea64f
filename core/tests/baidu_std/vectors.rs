//! Golden vectors, written by prost: tests/vectors/baidu_std, for every implementation of this format.
//!
//! A line is a comment (`#`), an expectation (`> key value`) or bytes in hexadecimal with an annotation behind `;`.
//! `MCRPC_UPDATE=1 cargo test -p mcrpc-core --test baidu_std` writes them anew, and the seeds of the fuzzers with them.

mod annotate;
mod list;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mcrpc_core::status::Status;
use mcrpc_core::wire::baidu_std::{Frame, HEADER_LEN, Limits};
use mcrpc_peers::baidu::convert::to_prost;
use mcrpc_peers::baidu::proto::RpcMeta;

pub use list::full_request;
use list::{Vector, vectors};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

fn compare_or_update(path: PathBuf, expected: &[u8]) {
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read(&path).unwrap_or_default();
    let advice = "run `MCRPC_UPDATE=1 cargo test -p mcrpc-core --test baidu_std` and review the diff";
    assert!(found == expected, "{} is stale: {advice}", path.display());
}

#[test]
fn the_committed_vectors_are_what_prost_writes() {
    for vector in vectors() {
        let name = vector.name;
        compare_or_update(root().join(format!("tests/vectors/baidu_std/{name}.txt")), render(&vector).as_bytes());
        let seed = |target: &str, bytes: &[u8]| {
            compare_or_update(root().join(format!("fuzz/corpus/{target}/seed-{name}")), bytes);
        };
        seed("baidu_std", &vector.bytes);
        if let Ok((meta, _)) = Frame::split(&vector.bytes, &Limits::DEFAULT) {
            seed("baidu_std_prost", meta);
        }
    }
}

#[test]
fn every_committed_vector_is_read_as_it_says() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("tests/vectors/baidu_std")).unwrap() {
        let path = entry.unwrap().path();
        let (expectations, bytes) = parse(&std::fs::read_to_string(&path).unwrap());
        let result = Frame::new_checked(&bytes, &Limits::DEFAULT);
        assert_eq!(describe(&result.map(|frame| (to_prost(&frame.meta), frame))), expectations, "{}", path.display());
        if result.is_ok() {
            for len in 0..bytes.len() {
                assert_eq!(Frame::new_checked(&bytes[..len], &Limits::DEFAULT), Err(Status::INCOMPLETE));
            }
        }
        count += 1;
    }
    assert_eq!(count, vectors().len(), "a file that no vector writes any more");
}

fn parse(text: &str) -> (String, Vec<u8>) {
    let (mut expectations, mut bytes) = (String::new(), Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with('>') {
            writeln!(expectations, "{line}").unwrap();
        } else {
            let digits = line.split(';').next().unwrap();
            bytes.extend(digits.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        }
    }
    (expectations, bytes)
}

fn render(vector: &Vector) -> String {
    let mut text = format!("# {}\n", vector.about);
    let expected = match &vector.expected {
        Ok(meta) => {
            let attachment_len = meta.attachment_size.unwrap_or(0) as usize;
            let body = &vector.bytes[HEADER_LEN + vector.meta_len..];
            let (payload, attachment) = body.split_at(body.len() - attachment_len);
            describe_parts(meta, payload, attachment)
        }
        Err(status) => describe(&Err(*status)),
    };
    text.push_str(&expected);
    text.push_str(&annotate::frame(&vector.bytes, vector.meta_len));
    text
}

fn describe(result: &Result<(RpcMeta, Frame<'_>), Status>) -> String {
    match result {
        Ok((meta, frame)) => describe_parts(meta, frame.payload, frame.attachment),
        Err(status) => format!("> status {}\n", status.description().unwrap().name.to_str().unwrap()),
    }
}

/// What a reader must find, a line for each field that is there. Strings as they are, bytes in hexadecimal.
fn describe_parts(meta: &RpcMeta, payload: &[u8], attachment: &[u8]) -> String {
    let mut text = String::from("> status ok\n");
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(text, "{}", format!("> {key} {value}").trim_end()).unwrap();
        }
    };
    fn utf8(text: Vec<u8>) -> String {
        String::from_utf8(text).expect("a legible text")
    }
    fn number<T: ToString>(value: Option<T>) -> Option<String> {
        value.map(|value| value.to_string())
    }
    if let Some(request) = &meta.request {
        line("request.service_name", request.service_name.clone());
        line("request.method_name", request.method_name.clone());
        line("request.log_id", number(request.log_id));
        line("request.trace_id", number(request.trace_id));
        line("request.span_id", number(request.span_id));
        line("request.parent_span_id", number(request.parent_span_id));
        line("request.request_id", request.request_id.clone().map(utf8));
        line("request.timeout_ms", number(request.timeout_ms));
        line("request.from_svr_name", request.from_svr_name.clone());
    }
    if let Some(response) = &meta.response {
        line("response", Some(String::new()));
        line("response.error_code", number(response.error_code));
        line("response.error_text", response.error_text.clone().map(utf8));
    }
    line("compress_type", number(meta.compress_type));
    line("correlation_id", number(meta.correlation_id));
    line("attachment_size", number(meta.attachment_size));
    if let Some(chunk) = &meta.chunk_info {
        line("chunk_info.stream_id", number(chunk.stream_id));
        line("chunk_info.chunk_id", number(chunk.chunk_id));
    }
    line("authentication_data", meta.authentication_data.as_deref().map(hex));
    if let Some(settings) = &meta.stream_settings {
        line("stream_settings.stream_id", number(settings.stream_id));
        line("stream_settings.need_feedback", number(settings.need_feedback));
        line("stream_settings.writable", number(settings.writable));
        for id in &settings.extra_stream_ids {
            line("stream_settings.extra_stream_ids", number(Some(id)));
        }
    }
    for (key, value) in &meta.user_fields {
        line(&format!("user_fields.{key}"), Some(value.clone()));
    }
    line("content_type", number(meta.content_type));
    line("checksum_type", number(meta.checksum_type));
    line("checksum_value", meta.checksum_value.as_deref().map(hex));
    line("payload", Some(hex(payload)));
    line("attachment", Some(hex(attachment)));
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
