//! How much stack the hot calls can take at most, on any path: the frames of the machine code, added up over its calls.
//!
//! What was measured while calls ran (`tests/hot_calls.rs`) is what the paths took that were run. This is the bound of all of them, since
//! nothing is recursive and no frame has a size that is decided at run time.
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::{LIBRARY_DIR, need, root, run};

/// What a coroutine has to leave for a hot call.
const MAX_STACK: u32 = 512;
/// The return address, which a call pushes.
const RETURN_ADDRESS: u32 = 8;
/// For functions of the C library (`memcpy` and its like, which save nothing) and those that hand a result over to their caller.
const LEAF: u32 = 24;

#[derive(Default)]
struct Function {
    frame: u32,
    calls: Vec<Call>,
}

struct Call {
    /// Empty for one through a pointer, or into the C library.
    to: String,
    /// A jump, which leaves the caller's frame first.
    is_last: bool,
}

fn disassemble(library: &Path) -> BTreeMap<String, Function> {
    need("objdump", "binutils");
    let text = run(Command::new("objdump").args(["-d", "--no-show-raw-insn", "--no-addresses"]).arg(library));
    let mut functions = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('<').and_then(|line| line.strip_suffix(">:")) {
            name = header.to_owned();
            functions.insert(name.clone(), Function { frame: RETURN_ADDRESS, calls: Vec::new() });
            continue;
        }
        let Some(function) = functions.get_mut(&name) else { continue };
        let (operation, operands) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let operands = operands.trim();
        // Some versions of objdump write the width of operands into the name: pushq, callq.
        match operation.trim_end_matches('q') {
            "push" => function.frame += 8,
            "sub" if operands.ends_with(",%rsp") => function.frame += size_of_frame(operands, &name),
            "add" if operands.ends_with(",%rsp") && !operands.starts_with("$0xffff") => {}
            "lea" if operands.ends_with("(%rsp),%rsp") && !operands.starts_with('-') => {}
            "call" => function.calls.push(Call { to: target(operands), is_last: false }),
            // A jump to another function is a call of it, also one that depends on a condition.
            _ if operation.starts_with('j') => {
                let to = target(operands);
                if !to.is_empty() && to != name {
                    function.calls.push(Call { to, is_last: true });
                }
            }
            _ => assert!(!operands.ends_with(",%rsp"), "{name}: {operation} {operands}: how much stack is this?"),
        }
    }
    functions
}

fn size_of_frame(operands: &str, name: &str) -> u32 {
    let size = operands.strip_prefix("$0x").and_then(|operands| operands.strip_suffix(",%rsp"));
    u32::from_str_radix(size.unwrap_or_else(|| panic!("{name} takes stack by {operands}")), 16).unwrap()
}

/// The function that `<name>` or `<name+0x10>` names; empty for one of the C library, or through a pointer.
fn target(operands: &str) -> String {
    let name = operands.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or_default();
    let name = name.split("+0x").next().unwrap_or_default();
    if operands.starts_with('*') || name.contains("@plt") { String::new() } else { name.to_owned() }
}

/// The deepest path from a function on: its bytes, and the functions on it.
fn deepest(functions: &BTreeMap<String, Function>, name: &str, callers: &[&str]) -> (u32, Vec<String>) {
    assert!(!callers.contains(&name), "{name} is recursive: {callers:?}");
    if name.is_empty() {
        return (LEAF, Vec::new());
    }
    let function = functions.get(name).unwrap_or_else(|| panic!("{callers:?} call {name}, which was not read"));
    let callers = [callers, &[name]].concat();
    let mut most = (function.frame, Vec::new());
    for call in &function.calls {
        let (bytes, path) = deepest(functions, &call.to, &callers);
        let bytes = if call.is_last { bytes } else { bytes + function.frame };
        if bytes > most.0 {
            most = (bytes, path);
        }
    }
    most.1.insert(0, format!("{name} {}", function.frame));
    most
}

#[derive(serde::Deserialize)]
struct Contract {
    group: Vec<Group>,
}

#[derive(serde::Deserialize)]
struct Group {
    functions: Vec<String>,
    hot: bool,
}

#[test]
fn no_path_through_a_hot_call_takes_more_stack_than_it_may() {
    let contract = std::fs::read_to_string(root().join("ffi/abi.toml")).unwrap();
    let contract: Contract = toml::from_str(&contract).unwrap();
    let hot = contract.group.iter().filter(|group| group.hot).flat_map(|group| &group.functions);
    let libraries = ["libmcrpc.so.0", "libmcrpc_wire.so.0"].map(|name| disassemble(&Path::new(LIBRARY_DIR).join(name)));
    let mut most = 0;
    for name in hot {
        let library = libraries.iter().find(|library| library.contains_key(name)).expect(name);
        let (bytes, path) = deepest(library, name, &[]);
        most = most.max(bytes);
        assert!(bytes <= MAX_STACK, "{name} may take {bytes} bytes of stack: {path:#?}");
    }
    println!("at most {most} bytes");
    assert!(most > 256, "so little was found that the frames were not read");
}
