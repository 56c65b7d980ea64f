//! Given the decoder that was written in Python from the document alone, when it reads the golden vectors, then it makes the same
//! of them as this library: the document says all that there is to know.

use std::io::ErrorKind;
use std::process::Command;

#[test]
fn a_decoder_written_from_the_document_reads_every_vector_as_it_says() {
    let mut command = Command::new("python3");
    command.args(["tests/wire_format.py", "tests/vectors"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("there is no python3 in the PATH: install Python 3.10 or later, as by `apt-get install python3`")
        }
        other => other.expect("python3 can be started"),
    };
    let (told, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{told}{failed}", output.status);
}
