//! What the library for C is made of, read from the files themselves.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use object::elf::{DT_NEEDED, DT_SONAME, DT_TEXTREL, FileHeader64, PT_TLS, SHN_ABS, STB_WEAK, STT_TLS};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, Sym as _};
use object::{Endianness, SectionIndex, read::StringTable};
use support::{LIBRARY_DIR, root, run};

/// Everything the library asks of a program that links it. `abort` is never reached.
const MAY_NEED: [&str; 6] = ["abort", "memcpy", "memmove", "memset", "memcmp", "bcmp"];
/// What opening a host and its housekeeping ask of it, and nothing else does.
const HOST_MAY_NEED: [&str; 13] = [
    "open",
    "openat",
    "close",
    "statx",
    "fcntl",
    "mmap",
    "munmap",
    "madvise",
    "geteuid",
    "clock_gettime",
    "getpid",
    "kill",
    "__errno_location",
];
/// The shared libraries, and how long each may be when it is stripped.
const LIBRARIES: [(&str, u64); 2] = [("libmcrpc.so.0", 96 << 10), ("libmcrpc_wire.so.0", 64 << 10)];

/// The dynamic symbols of a shared library, and what its dynamic section says.
struct Library {
    exported: BTreeSet<String>,
    needed: BTreeSet<String>,
    soname: String,
    needed_libraries: usize,
    has_tls: bool,
    has_text_relocations: bool,
}

fn read_library(path: &Path) -> Library {
    let data = std::fs::read(path).unwrap();
    let data = &data[..];
    let file = FileHeader64::<Endianness>::parse(data).unwrap();
    let endian = file.endian().unwrap();
    let sections = file.sections(endian, data).unwrap();
    let symbols = sections.symbols(endian, data, object::elf::SHT_DYNSYM).unwrap();
    let (dynamic, strings_index) = sections.dynamic(endian, data).unwrap().unwrap();
    let strings: StringTable<'_> = sections.strings(endian, data, SectionIndex(strings_index.0)).unwrap();
    let mut library = Library {
        exported: BTreeSet::new(),
        needed: BTreeSet::new(),
        soname: String::new(),
        needed_libraries: 0,
        has_tls: file.program_headers(endian, data).unwrap().iter().any(|header| header.p_type(endian) == PT_TLS),
        has_text_relocations: false,
    };
    for symbol in symbols.iter().skip(1) {
        let name = String::from_utf8(symbol.name(endian, symbols.strings()).unwrap().to_vec()).unwrap();
        library.has_tls |= symbol.st_type() == STT_TLS;
        if symbol.st_shndx(endian) == SHN_ABS {
            // The name of a version.
        } else if !symbol.is_undefined(endian) {
            library.exported.insert(name);
        } else if symbol.st_bind() != STB_WEAK {
            library.needed.insert(name);
        }
    }
    for entry in dynamic {
        match entry.tag(endian) {
            tag if tag == DT_SONAME => {
                let name = entry.string(endian, strings).unwrap();
                library.soname = String::from_utf8(name.to_vec()).unwrap();
            }
            tag if tag == DT_NEEDED => library.needed_libraries += 1,
            tag if tag == DT_TEXTREL => library.has_text_relocations = true,
            _ => {}
        }
    }
    library
}

/// The names of the functions that the header declares.
fn declared() -> BTreeSet<String> {
    std::fs::read_to_string(root().join("include/mcrpc.h"))
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("//") && line.ends_with(");"))
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next().map(str::to_owned))
        .filter(|name| name.starts_with("mcrpc_"))
        .collect()
}

#[test]
fn the_shared_libraries_export_the_header_and_ask_for_almost_nothing() {
    let mut exported = BTreeSet::new();
    for (name, _) in LIBRARIES {
        let library = read_library(&Path::new(LIBRARY_DIR).join(name));
        assert_eq!(library.soname, name);
        let expected = |name: &&String| MAY_NEED.contains(&name.as_str()) || HOST_MAY_NEED.contains(&name.as_str());
        let unexpected: Vec<_> = library.needed.iter().filter(|name| !expected(name)).collect();
        assert!(unexpected.is_empty(), "{name}: undefined: {unexpected:?}");
        assert_eq!(library.needed_libraries, 1, "{name}: libc");
        assert!(!library.has_tls, "{name}: a thread-local would break coroutines that move between threads");
        assert!(!library.has_text_relocations, "{name}");
        assert!(exported.is_disjoint(&library.exported), "{name} exports what another exports too");
        exported.extend(library.exported);
    }
    assert_eq!(exported, declared());
}

#[test]
fn the_stripped_libraries_are_small() {
    let directory = tempfile::tempdir().unwrap();
    for (name, max_len) in LIBRARIES {
        let stripped = directory.path().join(name);
        run(Command::new("strip").arg("-o").arg(&stripped).arg(Path::new(LIBRARY_DIR).join(name)));
        let len = std::fs::metadata(&stripped).unwrap().len();
        println!("{name}: {len} bytes");
        assert!(len <= max_len, "{name}: {len} bytes, and may have {max_len}");
    }
}

/// Every declared function is called by a C or C++ program of the tests or the examples.
#[test]
fn every_function_is_called_from_c() {
    let mut sources = String::new();
    for directory in ["tests/c", "tests/cpp", "c-examples", "cpp-examples"] {
        for entry in std::fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let uncalled: Vec<_> = declared().into_iter().filter(|name| !sources.contains(&format!("{name}("))).collect();
    assert!(uncalled.is_empty(), "{uncalled:?}");
}

/// When the panic handler calls a function that does not exist, then the library links all the same: no path from any
/// exported function leads to a panic.
#[test]
fn nothing_can_panic() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-panic");
    let build = |flags: &str| {
        let mut build = Command::new(root().join("ffi/artefact/build"));
        build.arg(&out).env("MCRPC_CARGO_FLAGS", flags);
        build
    };
    assert!(!build("--features no-such").output().unwrap().status.success(), "the flags do not reach cargo");
    run(&mut build("--features prove-no-panic"));
    for (name, _) in LIBRARIES {
        let library = read_library(&out.join(name));
        assert!(!library.needed.contains("mcrpc_can_panic"), "{name}: a panic can be reached");
    }
}
