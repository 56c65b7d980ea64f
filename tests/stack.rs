//! How much stack the hot calls can take at most, on any path: the frames of the machine code, added up over its calls.
//!
//! What was measured while calls ran (`tests/hot_calls.rs`) is what the paths took that were run. This is the bound of all of them, since
//! nothing is recursive and no frame has a size that is decided at run time. What a leaf keeps below its stack pointer counts (the red
//! zone of the x86-64 ABI), and so do the functions that may be behind a pointer: those whose address is taken on the way to the call.
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::hot_calls::names;
use support::{LIBRARY_DIR, need, run};

/// What a coroutine has to leave for a hot call.
const MAX_STACK: u32 = 512;
/// The return address, which a call pushes.
const RETURN_ADDRESS: u32 = 8;
/// What the C library's functions of [`MEMORY`] are given: they save nothing.
const LEAF: u32 = 24;
/// What a hot call may need of the C library.
const MEMORY: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];
/// The only one that calls a function of the program's, whose stack is not counted.
const CALLS_THE_PROGRAM: &str = "mcrpc_context_current";

#[derive(Default)]
struct Function {
    frame: u32,
    red_zone: u32,
    calls: Vec<Call>,
    /// Functions whose addresses it loads.
    pointers: Vec<String>,
    /// Jump tables that it reads, less jumps to an address in a register: below zero if one of these is a call.
    tables: i32,
}

struct Call {
    to: Target,
    /// A jump, which leaves the caller's frame first.
    is_last: bool,
}

enum Target {
    Function(String),
    /// Of the C library.
    Imported(String),
    Pointer,
}

fn disassemble(library: &Path) -> BTreeMap<String, Function> {
    need("objdump", "binutils");
    let text = run(Command::new("objdump").args(["-d", "--no-show-raw-insn", "--no-addresses"]).arg(library));
    let mut functions = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('<').and_then(|line| line.strip_suffix(">:")) {
            name = header;
            functions.insert(name.to_owned(), Function { frame: RETURN_ADDRESS, ..Function::default() });
        } else if let Some(function) = functions.get_mut(name) {
            let (operation, operands) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            function.add(name, operation, operands.trim());
        }
    }
    functions
}

impl Function {
    /// Takes an instruction into account.
    fn add(&mut self, name: &str, operation: &str, operands: &str) {
        // Some versions of objdump write the width of operands into the name.
        let operation = match operation {
            "pushq" | "callq" | "jmpq" | "subq" | "addq" | "leaq" => operation.trim_end_matches('q'),
            _ => operation,
        };
        self.red_zone = self.red_zone.max(below_stack_pointer(operands));
        let is_jump = operation.starts_with('j');
        match (operation, target(operands)) {
            ("push" | "pushf", _) => self.frame += 8,
            ("lea", Some(Target::Function(function))) => self.pointers.push(function),
            ("movslq", _) if operands.contains(",4),") => self.tables += 1,
            ("jmp", Some(Target::Pointer)) => {
                self.tables -= 1;
                if self.tables < 0 {
                    self.calls.push(Call { to: Target::Pointer, is_last: true });
                }
            }
            // Within the function.
            (_, Some(Target::Function(to))) if is_jump && to.split('+').next() == Some(name) => {}
            (_, Some(to)) if is_jump || operation == "call" => self.calls.push(Call { to, is_last: is_jump }),
            _ if operands.ends_with(",%rsp") => self.frame += growth(name, operation, operands),
            _ => {}
        }
    }
}

/// What an instruction that writes the stack pointer takes; releasing some is nothing.
fn growth(name: &str, operation: &str, operands: &str) -> u32 {
    let number = operands.strip_prefix("$0x").and_then(|operands| operands.strip_suffix(",%rsp"));
    let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok()).map(u64::cast_signed);
    let taken = match (operation, number) {
        ("sub", Some(number)) => number,
        ("add", Some(number)) => -number,
        ("lea", _) if operands.starts_with("0x") && operands.ends_with("(%rsp),%rsp") => 0,
        _ => panic!("{name} moves the stack pointer in a way that is not understood here: {operation} {operands}"),
    };
    u32::try_from(taken.max(0)).unwrap()
}

/// How far below the stack pointer an operand lies, within the 128 bytes that a leaf may use there.
fn below_stack_pointer(operands: &str) -> u32 {
    let offset = operands.split_once("-0x").and_then(|(_, rest)| rest.split_once("(%rsp"));
    offset.and_then(|(digits, _)| u32::from_str_radix(digits, 16).ok()).map_or(0, |bytes| bytes.min(128))
}

/// What `<name>`, `<name+0x10>`, `*0x10(%rip) # <name@version>` or `*%rax` names.
fn target(operands: &str) -> Option<Target> {
    let name = operands.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    match name {
        Some(name) if name.contains('@') => Some(Target::Imported(name.split('@').next()?.to_owned())),
        Some(name) => Some(Target::Function(name.to_owned())),
        None => operands.starts_with('*').then_some(Target::Pointer),
    }
}

/// The deepest path from a function on: its bytes, and the functions on it.
fn deepest(functions: &BTreeMap<String, Function>, name: &str, callers: &[&str]) -> (u32, Vec<String>) {
    assert!(!callers.contains(&name), "{name} is recursive: {callers:?}");
    let function = functions.get(name).unwrap_or_else(|| panic!("no function begins at {name}: {callers:?}"));
    let path = [callers, &[name]].concat();
    let mut most = (function.frame + function.red_zone, Vec::new());
    for call in &function.calls {
        let (bytes, below) = match &call.to {
            Target::Function(to) => deepest(functions, to, &path),
            Target::Imported(to) => {
                assert!(MEMORY.contains(&to.as_str()), "{to} is called on a hot path: {path:?}");
                (LEAF, vec![to.clone()])
            }
            Target::Pointer if name == CALLS_THE_PROGRAM => (LEAF, Vec::new()),
            Target::Pointer => {
                let pointers = path.iter().flat_map(|caller| &functions[*caller].pointers);
                let known = pointers.filter(|to| functions.contains_key(*to)).map(|to| deepest(functions, to, &path));
                known.max().unwrap_or_else(|| panic!("{name} calls what nobody knows: {path:?}"))
            }
        };
        let bytes = if call.is_last { bytes } else { bytes + function.frame };
        if bytes > most.0 {
            most = (bytes, below);
        }
    }
    most.1.insert(0, format!("{name} {}", function.frame));
    most
}

#[test]
fn no_path_through_a_hot_call_takes_more_stack_than_it_may() {
    let libraries = ["libmcrpc.so.0", "libmcrpc_wire.so.0"].map(|name| disassemble(&Path::new(LIBRARY_DIR).join(name)));
    let mut most = 0;
    for name in names() {
        let library = libraries.iter().find(|library| library.contains_key(&name)).expect(&name);
        let (bytes, path) = deepest(library, &name, &[]);
        most = most.max(bytes);
        assert!(bytes <= MAX_STACK, "{name} may take {bytes} bytes of stack: {path:#?}");
    }
    println!("at most {most} bytes");
    assert!(most > 256, "so little was found that the frames were not read");
}
