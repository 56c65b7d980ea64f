use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compiles a source into a shared object; warnings are errors.
fn compile(source: &Path, flags: &[&str]) -> PathBuf {
    let is_cpp = source.extension().is_some_and(|extension| extension == "cpp");
    let (variable, usual) = if is_cpp { ("CXX", "c++") } else { ("CC", "cc") };
    let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.with_extension("so").file_name().unwrap());
    let mut command = Command::new(std::env::var(variable).unwrap_or(usual.into()));
    command.args(flags).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared", "-I"]);
    command.arg(root().join("include")).arg(source).arg("-o").arg(&object);
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    object
}

fn compile_text(name: &str, text: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&source, text).unwrap();
    compile(&source, &[])
}

fn host_with(plugin: &Path) -> Host {
    Host::new(open(&format!("plugin:{}", plugin.display())), 1)
}

fn refusal_of(plugin: &Path) -> String {
    let choice = Choice::Plugin(plugin.to_owned());
    Generator::open(&choice).err().expect("it is refused").to_string()
}

#[test]
fn the_example_halves_and_steps_up_and_stays_within_bounds() {
    let mut host = host_with(&compile(&root().join("c-examples/generate.c"), &["-std=c11", "-O2"]));
    let failing: Vec<_> = (0..8).flat_map(|_| host.rates(&[(100, 10)])).collect();
    assert_eq!(failing, [5_000, 2_500, 1_250, 625, 312, 156, 100, 100]);
    let working: Vec<_> = (0..25).flat_map(|_| host.rates(&[(100, 9)])).collect();
    assert_eq!((working[0], working.len(), working.last()), (600, 20, Some(&10_000)));
}

#[test]
fn a_plugin_in_cpp_is_given_what_was_gathered() {
    let plugin = compile_text(
        "inputs.cpp",
        r#"#include <mcrpc_generate.h>
        uint32_t mcrpc_generate_v1(const mcrpc_generate_input_t *input) {
            static_assert(sizeof *input == 24, "the first version");
            bool is_as_said = input->struct_size == 24 && input->pass_rate_per_10k == 10000 && input->requests == 12
                && input->failures == 5 && input->gathered_ms == 3000;
            return is_as_said ? 4321 : 1234;
        }"#,
    );
    let mut host = host_with(&plugin);
    assert!(host.rates(&[(4, 1)]).is_empty() && host.rates(&[(4, 4)]).is_empty());
    assert_eq!(host.rates(&[(4, 0)]), [4_321]);
}

#[test]
fn whatever_a_plugin_returns_is_kept_between_one_percent_and_all() {
    let text = "#include <mcrpc_generate.h>
        uint32_t mcrpc_generate_v1(const mcrpc_generate_input_t *input) { return input->requests - 10; }";
    let mut host = host_with(&compile_text("any_rate.c", text));
    for (returned, expected) in [(0, 100), (99, 100), (101, 101), (10_000, 10_000), (5_000, 5_000), (10_001, 10_000)] {
        assert_eq!(host.rates(&[(10 + returned, 0)]), [expected], "{returned}");
    }
    host.rates(&[(10, 0)]);
    assert_eq!(host.rates(&[(u32::MAX.into(), 0)]), [10_000]);
}

#[test]
fn a_file_that_is_no_plugin_is_told_by_its_path() {
    let missing = refusal_of(Path::new("/nowhere/generate.so"));
    assert!(missing.starts_with("/nowhere/generate.so: cannot be loaded as a plugin: "), "{missing}");
    assert!(missing.contains("No such file"), "{missing}");

    let text = root().join("README.md");
    assert!(refusal_of(&text).contains("cannot be loaded as a plugin"));

    let other = compile_text("other.c", "int mcrpc_generate_v0(void); int mcrpc_generate_v0(void) { return 1; }");
    let refusal = refusal_of(&other);
    assert!(
        refusal.contains("other.so: exports no function mcrpc_generate_v1: define it as mcrpc_generate.h"),
        "{refusal}"
    );
}

#[test]
fn a_name_without_a_slash_is_a_file_here_and_not_one_of_the_system() {
    let refusal = refusal_of(Path::new("libc.so.6"));
    assert!(refusal.starts_with("libc.so.6: cannot be loaded"), "{refusal}");
}
