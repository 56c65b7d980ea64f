//! A whole hello frame: what was read can be written, and reads as the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcrpc_core::wire::{Flags, Frame, HEADER_LEN, Header, Hello, Kind, Limits, Writer};

fuzz_target!(|input: &[u8]| {
    let limits = Limits::DEFAULT;
    // Half of the inputs are metadata alone, so that lengths in a header need not be guessed.
    let mut framed = Vec::new();
    let bytes = match input.split_first() {
        Some((0..=127, metadata)) if metadata.len() <= usize::from(limits.max_metadata_len) => {
            let (body_len, metadata_len) = (metadata.len() as u32, metadata.len() as u16);
            framed.extend_from_slice(&Header { body_len, metadata_len, ..Header::new(Kind::Hello, 0) }.emit());
            framed.extend_from_slice(metadata);
            &framed[..]
        }
        Some((_, bytes)) => bytes,
        None => return,
    };
    let Ok(frame) = Frame::new_checked(bytes, &limits) else { return };
    let hello = Hello::read(frame.metadata);
    for name in [hello.caller, hello.service, hello.zone].into_iter().chain(hello.methods()) {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    let mut out = vec![0; HEADER_LEN + usize::from(limits.max_metadata_len)];
    let mut writer = Writer::new(&mut out);
    hello.write(&mut writer);
    hello.methods().for_each(|method| {
        writer.method(method);
    });
    let header = Header { flags: Flags(0), ..frame.header };
    let len = writer.finish(&header, 0).expect("what was read fits where it was read from");
    let again = Frame::new_checked(&out[..len], &limits).expect("what was written is valid");
    let read = Hello::read(again.metadata);
    assert_eq!((read.caller, read.service, read.zone), (hello.caller, hello.service, hello.zone));
    assert_eq!((read.features, read.limits), (hello.features, hello.limits));
    assert!(read.methods().eq(hello.methods()));
});
