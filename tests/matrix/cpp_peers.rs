//! The shelf in C++: protoc's messages and what `mcrpc gen` makes of either schema, as programs.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Version;
use crate::support::{self, command, compile, need, root, run};

/// The programs of one schema.
pub struct Programs {
    client: PathBuf,
    server: PathBuf,
}

/// A running server; it ends when this is dropped.
pub struct Running(Child);

impl Programs {
    pub fn build(schema: Version, out: &Path) -> Programs {
        need("protoc", "protobuf-compiler");
        let proto = root().join("codegen/sample/proto/growth").join(schema.name());
        let out = out.join(schema.name());
        let mut mcrpc = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        run(mcrpc.args(["gen", "--lang", "cpp", "shelf.proto", "--out"]).arg(&out).current_dir(&proto));
        run(Command::new("protoc").arg("-I").arg(&proto).arg("--cpp_out").arg(&out).arg("shelf.proto"));
        let (source, object) = (out.join("shelf.pb.cc"), out.join("shelf.pb.o").display().to_string());
        let mut compiler = Command::new(std::env::var("CXX").unwrap_or("c++".into()));
        run(compiler.args(["-std=c++17", "-O0", "-c", "-I"]).args([&out, &source]).args(["-o", &object]));
        // Warnings about protoc's headers are not ours.
        let mut flags = vec!["-std=c++17".to_owned(), "-isystem".into(), out.display().to_string(), object];
        flags.extend((schema == Version::New).then(|| "-DNEW_SHELF".into()));
        let protobuf = run(Command::new("pkg-config").args(["--cflags", "--libs", "protobuf"]));
        flags.extend(protobuf.split_whitespace().map(str::to_owned));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let linkage = support::linkages()[0];
        let program = |source: &str| {
            let program = compile(&out, &[source], &flags, linkage);
            let named = out.join(Path::new(source).file_stem().expect("a file's name"));
            std::fs::rename(program, &named).expect("both names are in one directory");
            named
        };
        Programs { client: program("tests/cpp/shelf_client.cpp"), server: program("tests/cpp/shelf_server.cpp") }
    }

    /// Calls a shelf on this port, and says what it said, a line per call.
    pub fn call(&self, port: u16) -> Vec<String> {
        run(command(&self.client).arg(port.to_string())).lines().map(str::to_owned).collect()
    }

    /// A shelf in front of the one on this port, and its own port.
    pub fn serve(&self, behind: u16) -> (Running, u16) {
        let mut server = command(&self.server).arg(behind.to_string()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        (Running(server), port.unwrap_or_else(|| panic!("it says where it listens: {line:?}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
