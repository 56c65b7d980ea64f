//! A hello: what it says once for a connection.

use mcrpc_core::wire::metadata::PeerLimits;
use mcrpc_core::wire::{Features, Hello, Kind, Metadata, Tag};

use crate::WIDEST;
use crate::metadata::metadata_of;
use crate::read::{Item, read};
use crate::vectors::{Vector, all};

const HELLO: Hello<'_> = {
    let mut hello = Hello::from_caller("mmproxy");
    hello.service = "mmuser.UserService";
    hello.zone = "sz-1";
    hello.features = Features::CHECKSUMS.with(Features::decompresses(2));
    hello.limits = PeerLimits { max_body_len: 1 << 20, max_open_calls: 1_000 };
    hello
};

fn said(hello: &Hello<'_>) -> (String, String, String, Features, PeerLimits) {
    (hello.caller.into(), hello.service.into(), hello.zone.into(), hello.features, hello.limits)
}

#[test]
fn what_a_hello_says_is_read_back() {
    for hello in [HELLO, Hello::from_caller("mmproxy"), Hello::from_caller("")] {
        let bytes = metadata_of(|writer| hello.write(writer));
        let read = Hello::read(Metadata::new_checked(&bytes, &WIDEST).unwrap());
        assert_eq!(said(&read), said(&hello));
        assert_eq!(read.methods().count(), 0);
    }
    assert_eq!(metadata_of(|writer| Hello::from_caller("").write(writer)), [], "who says nothing sends nothing");
}

#[test]
fn a_hello_binds_any_number_of_methods_in_their_order() {
    let names: Vec<String> = (0..50).map(|number| format!("mmuser.UserService.Method{number}")).collect();
    let bytes = metadata_of(|writer| {
        names[..20].iter().for_each(|name| _ = writer.method(name));
        HELLO.write(writer);
        names[20..].iter().for_each(|name| _ = writer.method(name));
    });
    let read = Hello::read(Metadata::new_checked(&bytes, &WIDEST).unwrap());
    assert_eq!(read.methods().collect::<Vec<_>>(), names);
    assert_eq!(said(&read), said(&HELLO));
}

#[test]
fn a_hello_of_a_newer_version_says_what_is_known_of_it() {
    let longer_limits = [&(1u32 << 20).to_le_bytes()[..], &1_000u32.to_le_bytes(), b"later"].concat();
    let bytes = metadata_of(|writer| {
        writer.tag(Tag(0x1F), b"later").tag(Tag::PEER_LIMITS, &longer_limits);
        let mut others = HELLO;
        others.limits = PeerLimits::default();
        others.write(writer);
    });
    assert_eq!(said(&Hello::read(Metadata::new_checked(&bytes, &WIDEST).unwrap())), said(&HELLO));
}

/// Given two hellos, then the later one replaces all that the first said but the methods, to which it adds: read by whom they
/// were sent to.
#[test]
fn a_later_hello_replaces_all_but_the_methods() {
    let first = metadata_of(|writer| {
        HELLO.write(writer);
        writer.method("a.B.C");
    });
    let second = metadata_of(|writer| {
        writer.caller("mmgate").zone("sh-2").method("a.B.D");
    });
    let read = |bytes| Hello::read(Metadata::new_checked(bytes, &WIDEST).unwrap());
    let (first, second) = (read(&first), read(&second));
    let bound: Vec<_> = first.methods().chain(second.methods()).collect();
    assert_eq!(bound, ["a.B.C", "a.B.D"]);
    let (caller, service, zone, features, limits) = said(&second);
    assert_eq!((&caller[..], &service[..], &zone[..]), ("mmgate", "", "sh-2"));
    assert_eq!((features, limits), (Features(0), PeerLimits::default()), "what it does not say holds no longer");
}

#[test]
fn the_hello_of_the_vectors_is_read() {
    let Vector { bytes, limits, .. } = all().into_iter().find(|vector| vector.name == "hello").unwrap();
    let [Item::Frame { header, metadata, .. }] = &read(&bytes, limits)[..] else { panic!("one frame") };
    assert_eq!(header.kind, Kind::Hello);
    let hello = Hello::read(Metadata::new_checked(metadata, &limits).unwrap());
    let mut expected = HELLO;
    expected.features = HELLO.features.with(Features::decompresses(1));
    assert_eq!(said(&hello), said(&expected));
    let methods = ["mmuser.UserService.GetProfile", "mmuser.UserService.SetProfile"];
    assert_eq!(hello.methods().collect::<Vec<_>>(), methods);
}

#[test]
fn a_feature_is_used_when_both_sides_have_it() {
    let (both, one) = (Features::decompresses(1), Features::CHECKSUMS);
    let ours = both.with(one);
    assert!(ours.contains(both) && ours.contains(one) && ours.contains(Features(0)));
    assert_eq!(ours.common(both), both);
    assert!(!ours.common(both).contains(one));
    let newer = Features(1 << 7);
    assert_eq!(ours.common(both.with(newer)), both, "an unknown feature is not used");
}

#[test]
fn a_feature_has_its_bit() {
    assert_eq!(Features::CHECKSUMS, Features(1));
    for algorithm in 0..=u8::MAX {
        let expected = if (1..=23).contains(&algorithm) { 1 << (8 + algorithm) } else { 0 };
        assert_eq!(Features::decompresses(algorithm), Features(expected), "{algorithm}");
    }
}
