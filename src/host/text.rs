//! Numbers, times and foreign bytes as text, and back from the command line.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use mcrpc_core::id::Per10k;

/// The last second that a date has four digits for the year.
const LAST_SECOND: u64 = 253_402_300_799;

/// A span as people read it: `250ms`, `3s 400ms`, `2m 5s`; the longer the coarser.
pub(crate) fn span_ms(ms: u64) -> String {
    let coarse_ms = match ms {
        0..10_000 => ms,
        10_000..86_400_000 => ms / 1_000 * 1_000,
        _ => ms / 60_000 * 60_000,
    };
    humantime::format_duration(Duration::from_millis(coarse_ms)).to_string()
}

/// Seconds since 1970 as a date; a number that is none is shown as it is.
pub(crate) fn date(unix_s: u64) -> String {
    if unix_s > LAST_SECOND {
        return format!("no date: {unix_s}");
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix_s)).to_string()
}

/// `500` as `5%`.
pub(crate) fn percent(ratio: Per10k) -> String {
    let (whole, rest) = (ratio.get() / 100, ratio.get() % 100);
    match rest {
        0 => format!("{whole}%"),
        rest if rest % 10 == 0 => format!("{whole}.{}%", rest / 10),
        rest => format!("{whole}.{rest:02}%"),
    }
}

/// `5%`, `0.25%`, `100%`: two digits behind the point are what there is room for.
pub(crate) fn parse_percent(text: &str) -> Result<Per10k> {
    let wanted = || format!("{text:?} is no share: write it as 5% or 0.25%, from 0% to 100%");
    let number = text.strip_suffix('%').with_context(wanted)?;
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || rest.len() > 2 || !digits(whole) || !digits(rest) {
        bail!(wanted());
    }
    let ratio = format!("{whole}{rest:0<2}").parse::<u16>().with_context(wanted)?;
    Per10k::new(ratio).with_context(wanted)
}

/// A number in decimal, or in hex behind `0x`.
pub(crate) fn parse_number(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.with_context(|| format!("{text:?} is no number: write it in decimal, or in hex as 0x1f"))
}

/// As [`parse_number`], for ids of 32 bits.
pub(crate) fn parse_id(text: &str) -> Result<u32> {
    u32::try_from(parse_number(text)?).with_context(|| format!("{text} does not fit into 32 bits"))
}

/// Bytes that another process wrote, without anything that a terminal would obey.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|letter| if letter.is_control() { '·' } else { letter }).collect()
}

/// The text in `bytes` if it is text: a line may have colours or tabs in it, but not mostly, and no zeroes.
pub(crate) fn as_text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches(['\n', '\0']);
    let odd = text.chars().filter(|letter| letter.is_control()).count();
    let readable = !text.contains('\0') && odd * 4 <= text.chars().count();
    readable.then(|| printable(text.as_bytes()))
}

/// `bytes` in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `1 process`, `2 processes`.
pub(crate) fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_survive_their_text() {
        for (text, ratio) in [("0%", 0), ("5%", 500), ("0.25%", 25), ("99.9%", 9_990), ("0.01%", 1), ("100%", 10_000)] {
            let parsed = parse_percent(text).unwrap();
            assert_eq!((parsed.get(), percent(parsed).as_str()), (ratio, text));
        }
        for text in ["5", "%", "101%", "0.001%", "-1%", "+5%", "1e1%", "99999999%", "."] {
            let error = format!("{:#}", parse_percent(text).unwrap_err());
            assert!(error.contains("write it as 5%"), "{error}");
        }
    }

    #[test]
    fn numbers_are_decimal_or_hex() {
        assert_eq!(parse_number("0x1F").unwrap(), 31);
        assert_eq!(parse_id("4294967295").unwrap(), u32::MAX);
        assert!(parse_id("0x100000000").is_err() && parse_number("ten").is_err());
    }

    #[test]
    fn times_are_coarse_and_damage_is_no_date() {
        assert_eq!(span_ms(3_400), "3s 400ms");
        assert_eq!(span_ms(125_900), "2m 5s");
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(u64::MAX), format!("no date: {}", u64::MAX));
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(printable(b"a\x1b[2Jb"), "a·[2Jb");
        assert_eq!(as_text(b"line\n\0").as_deref(), Some("line"));
        assert_eq!(as_text(b"\x1b[31mred\x1b[0m").as_deref(), Some("·[31mred·[0m"));
        assert!(as_text(b"\x01\x02").is_none() && as_text(b"long enough\0but binary").is_none());
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
