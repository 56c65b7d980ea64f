//! Properties of all files: what is written is read back, and whatever is read, nothing panics and every fault is of a line
//! that there is.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use mcrpc_agent::route::{check, load};
use mcrpc_core::strategy::endpoint::Endpoint;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{CLIENT, GOOD_CLIENT, ROUTE, Root, documented};

/// An edit of a good file, as a person, a tool or a disk may make it.
#[derive(Clone, Debug)]
enum Edit {
    Cut(usize),
    Put(usize, String),
    DropLine(usize),
    DoubleLine(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let token = prop_oneof![
        "[\\[\\]=;#\\r\\n\\x00 0-9a-z%,.:-]{0,6}",
        prop::sample::select(vec![
            "[Server0]\n",
            "[Zone\n",
            "IP = ::\n",
            "Weight = 0\n",
            "\u{feff}",
            "é",
            "=",
            "99999999999999999999"
        ])
        .prop_map(str::to_owned),
    ];
    let edit = prop_oneof![
        any::<usize>().prop_map(Edit::Cut),
        (any::<usize>(), token).prop_map(|(at, text)| Edit::Put(at, text)),
        any::<usize>().prop_map(Edit::DropLine),
        any::<usize>().prop_map(Edit::DoubleLine),
    ];
    vec(edit, 1..4)
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for edit in edits {
        let boundary = |at: &usize| (0..=at % (text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let count = lines.len().max(1);
        text = match edit {
            Edit::Cut(at) => text[..boundary(at)].to_owned(),
            Edit::Put(at, token) => [&text[..boundary(at)], token.as_str(), &text[boundary(at)..]].concat(),
            Edit::DropLine(at) => lines.iter().enumerate().filter(|(n, _)| *n != at % count).map(|(_, l)| *l).collect(),
            Edit::DoubleLine(at) => {
                lines.get(at % count).copied().into_iter().for_each(|line| lines.insert(at % count, line));
                lines.concat()
            }
        };
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_files_say_each_fault_is_of_a_line_that_there_is(of_client in edits(), of_route in edits()) {
        let (client, route) = documented();
        let (client, route) = (edited(&client, &of_client), edited(&route, &of_route));
        let root = Root::of(&[(CLIENT, &client), (ROUTE, &route)]);
        let loaded = load(&root.files());
        prop_assert_eq!(loaded.is_ok(), check(root.path()).faults.is_empty(), "a check and a program agree");
        for fault in loaded.as_ref().err().iter().flat_map(|faults| faults.iter()) {
            let text = fs::read_to_string(&fault.path).unwrap();
            let lines = text.split(['\n', '\r']).count() as u32;
            prop_assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)), "{}", fault);
        }
        if let Ok(route) = loaded {
            prop_assert!(route.servers.iter().any(|server| server.weight > 0));
        }
    }

    #[test]
    fn servers_that_are_written_are_read_back(
        id in 1u32..,
        servers in btree_map((0u32..1 << 24, 1u16..), 1u16..=1_000, 1..20),
    ) {
        let mut route = format!("[Service]\nId = {id}\nName = demo\n[Server]\nServerCount = {}\n", servers.len());
        let mut expected = Vec::new();
        for (number, ((host, port), weight)) in servers.into_iter().enumerate() {
            let address = Ipv4Addr::from_bits(10 << 24 | host);
            route += &format!("[Server{number}]\nIP = {address}\nPort = {port}\nWeight = {weight}\n");
            expected.push((Endpoint::new(SocketAddr::new(address.into(), port), id), weight));
        }
        let root = Root::of(&[(CLIENT, GOOD_CLIENT), (ROUTE, &route)]);
        let read: Vec<_> = root.load().servers.iter().map(|server| (server.endpoint, server.weight)).collect();
        prop_assert_eq!(read, expected);
    }
}
