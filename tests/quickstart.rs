//! Given an empty directory, when somebody follows `docs/quickstart.md` to the letter, then every command succeeds and prints
//! what the page shows.
//!
//! A `c` block is a file, named in its first line. An `sh` block is run, and a `text` block is what the one before it prints;
//! `…` in it stands for anything within a line.

mod page;
mod support;

use std::path::Path;
use std::process::Command;

use page::{blocks, fits, page, write_file};
use support::root;

/// Between the outputs of two blocks.
const MARK: &str = "=== the next block ===";

/// The headings' levels, such as "##".
fn levels(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.starts_with('#')).filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn the_page_does_what_it_says_from_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (mut script, mut wanted) = (String::from("set -e\n"), Vec::new());
    for block in blocks(&page("quickstart.md")) {
        match block.language.as_str() {
            "c" => write_file(directory.path(), &block.text),
            "sh" => {
                script += &format!("{}echo '{MARK}'\n", block.text);
                wanted.push(None);
            }
            "text" => *wanted.last_mut().expect("an output follows a command") = Some(block.text),
            other => panic!("a block is c, sh or text, not {other:?}"),
        }
    }
    let printed = run_in(directory.path(), &script);
    let outputs: Vec<_> = printed.split(&format!("{MARK}\n")).collect();
    assert_eq!(outputs.len(), wanted.len() + 1, "{printed}");
    for (output, wanted) in outputs.iter().zip(wanted) {
        if let Some(wanted) = wanted {
            assert!(fits(output, &wanted), "the page shows\n{wanted}\nand the commands print\n{output}");
        }
    }
}

#[test]
fn both_languages_have_the_same_headings_and_blocks() {
    let (english, chinese) = (page("quickstart.md"), page("quickstart.zh.md"));
    assert_eq!(levels(&english), levels(&chinese));
    assert_eq!(blocks(&english), blocks(&chinese));
}

fn run_in(directory: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(directory).env("MCRPC", root());
    let tools = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [tools.path().to_owned()].into_iter().chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(paths).unwrap());
    write_cargo(&tools.path().join("cargo"));
    command.env_remove("MCRPC_DIR").env_remove("MCRPC_OWNER_UID");
    support::run(&mut command)
}

/// A cargo that runs the command which was built for this test, as it would once it had built the same for minutes.
fn write_cargo(path: &Path) {
    let (cargo, mcrpc) = (env!("CARGO"), env!("CARGO_BIN_EXE_mcrpc"));
    let script = format!(
        "#!/bin/sh\n\
         if [ \"$1 $2 $3 $4 $5\" = \"run --quiet --manifest-path $MCRPC/Cargo.toml --\" ]; then\n\
         shift 5\n\
         exec '{mcrpc}' \"$@\"\n\
         fi\n\
         exec '{cargo}' \"$@\"\n"
    );
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}
