//! `traceparent` of W3C Trace Context: <https://www.w3.org/TR/trace-context/>.

use mcrpc_core::wire::Trace;

/// What it says: the trace, and whether it is recorded. `None` if it is no `traceparent`, which is as if there were none.
pub(super) fn read(text: &str) -> Option<(Trace, bool)> {
    let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('-');
    let mut next = |len| parts.next().filter(|part| part.len() == len).filter(is_hex);
    let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    // Later versions may say more behind it.
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace_id = u128::from_str_radix(trace_id, 16).ok().filter(|&id| id != 0)?.to_be_bytes();
    let span_id = u64::from_str_radix(span_id, 16).ok().filter(|&id| id != 0)?.to_be_bytes();
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((Trace { trace_id, span_id, flags: flags & !1 }, flags & 1 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_its_specification_says() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
        let (trace, is_sampled) = read(valid).unwrap();
        assert_eq!(u128::from_be_bytes(trace.trace_id), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(u64::from_be_bytes(trace.span_id), 0xb7ad_6b71_6920_3331);
        assert_eq!((trace.flags, is_sampled), (2, true));
        assert!(
            read("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more").is_some_and(|(_, sampled)| !sampled)
        );
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
