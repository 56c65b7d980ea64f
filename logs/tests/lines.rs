//! What lines look like in files.

use mcrpc_core::host::log::{Level, Origin};
use mcrpc_core::id::Uin;
use mcrpc_core::time::Nanos;
use mcrpc_logs::line::{self, Line, trace_id};
use proptest::prelude::*;

const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
const ALL: Origin =
    Origin { time: Nanos(0), pid: 4711, thread: 4713, coroutine: 7, uin: Uin(42), call_graph_id: 5, trace_id: TRACE };
/// 2026-11-23T10:15:02.123456Z, and a bit.
const TIME: i128 = 1_795_428_902_123_456_789;

fn written(level: Level, name: &str, origin: &Origin, text: &[u8], is_cut: bool) -> String {
    let mut out = b"before".to_vec();
    line::write(&mut out, TIME, level, name, origin, text, is_cut);
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

#[test]
fn a_line_says_all_that_is_known_and_nothing_else() {
    assert_eq!(
        written(Level::Info, "crawl", &ALL, b"the text", false),
        "2026-11-23T10:15:02.123456Z INFO crawl[4711/4713] co=7 uin=42 graph=5 \
         trace=4bf92f3577b34da6a3ce929d0e0e4736: the text\n"
    );
    let none = Origin { pid: 1, ..Origin::default() };
    assert_eq!(written(Level::Error, "", &none, b"", false), "2026-11-23T10:15:02.123456Z ERROR ?[1]: \n");
    assert!(written(Level::Debug, "a", &none, b"long", true).ends_with("DEBUG a[1]: long …\n"));
}

/// One line stays one line, and nobody can write a line in another's name.
#[test]
fn what_would_break_a_line_is_escaped() {
    let cases: [(&[u8], &str); 8] = [
        (b"two\nlines", "two\\nlines"),
        (b"\t\r", "\\t\\r"),
        (b"C:\\new", "C:\\\\new"),
        (b"\x1b[31m\0\x7f", "\\x1b[31m\\x00\\x7f"),
        (b"\xff\xfe ok", "\\xff\\xfe ok"),
        ("über 微信 …".as_bytes(), "über 微信 …"),
        ("a\u{85}b\u{2028}c".as_bytes(), "a\\u{85}b\\u{2028}c"),
        (b"\xe5\xbe", "\\xe5\\xbe"),
    ];
    for (text, expected) in cases {
        let line = written(Level::Warn, "p", &Origin { pid: 9, ..Origin::default() }, text, false);
        assert_eq!(line, format!("2026-11-23T10:15:02.123456Z WARN p[9]: {expected}\n"));
    }
}

#[test]
fn a_name_has_nothing_that_looks_like_another_part_of_the_line() {
    let cases: [(&[u8], &str); 5] = [
        (b"crawl\0\0garbage", "crawl"),
        (b"crawl-2.1_x", "crawl-2.1_x"),
        (b"a b[1]: c", "a_b_1___c"),
        (b"\xff\n", "__"),
        (b"", ""),
    ];
    for (bytes, expected) in cases {
        assert_eq!(line::name(bytes), expected);
    }
}

#[test]
fn other_texts_are_no_lines() {
    let good = written(Level::Info, "crawl", &ALL, b"the text", false);
    assert!(Line::parse(&good).is_some());
    for bad in [
        "",
        "\n",
        "the text",
        ": the text",
        &good.replace("T10:15", " 10:15"),
        &good.replace("INFO", "NOTICE"),
        &good.replace("[4711/4713]", ""),
        &good.replace("4711", "x"),
        &good.replace("uin=42", "uin=-1"),
        &good.replace("trace=4b", "trace="),
    ] {
        assert_eq!(Line::parse(bad), None, "{bad:?}");
    }
    let later = good.replace(" graph=5", " graph=5 cell=3");
    assert_eq!(Line::parse(&later).unwrap().origin.call_graph_id, 5, "a later version may say more");
    assert_eq!(trace_id("4bf92f3577b34da6a3ce929d0e0e4736"), Some(TRACE));
    assert_eq!([trace_id("4b"), trace_id("+bf92f3577b34da6a3ce929d0e0e4736")], [None; 2]);
}

proptest! {
    #[test]
    fn whatever_is_written_is_one_line_and_can_be_read(
        text in prop::collection::vec(any::<u8>(), 0..200),
        name in prop::collection::vec(any::<u8>(), 0..40),
        numbers in any::<(u32, u32, u64, u64, u64, [u8; 16])>(),
        unix_ns in 0i128..253_402_300_799_000_000_000,
        level in 1u32..=5,
    ) {
        let (pid, thread, coroutine, uin, call_graph_id, trace_id) = numbers;
        let origin = Origin { time: Nanos(0), pid, thread, coroutine, uin: Uin(uin), call_graph_id, trace_id };
        let (level, name) = (Level::from_number(level).unwrap(), line::name(&name));
        let mut out = Vec::new();
        line::write(&mut out, unix_ns, level, &name, &origin, &text, false);
        let out = String::from_utf8(out).unwrap();
        prop_assert_eq!(out.lines().count(), 1);
        prop_assert!(!out.trim_end_matches('\n').chars().any(char::is_control));
        let line = Line::parse(&out).unwrap();
        prop_assert_eq!((line.unix_ns, line.level, line.origin), (unix_ns / 1_000 * 1_000, level, origin));
        prop_assert_eq!(line.name, if name.is_empty() { "?" } else { &name });
    }
}
