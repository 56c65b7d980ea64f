//! An nginx with the module, in a directory of its own, on a unix socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{self, LIBRARY_DIR, root};

/// Where Debian puts the headers and the build files that fit its nginx.
const SOURCES: &str = "/usr/share/nginx/src";

/// The module, built once, statically linked.
fn module() -> &'static Path {
    static MODULE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MODULE.get_or_init(|| {
        assert!(
            Path::new(SOURCES).join("configure").exists(),
            "this test builds a module for nginx: install the Debian packages nginx and nginx-dev"
        );
        let directory = tempfile::tempdir().unwrap();
        let build = format!(
            r#". ./conf_flags && ./configure "${{NGX_CONF_FLAGS[@]}}" --builddir={0} --add-dynamic-module={1} && make -f {0}/Makefile modules"#,
            directory.path().display(),
            root().join("c-examples/adopt/nginx").display(),
        );
        support::run(
            Command::new("bash")
                .args(["-c", &build])
                .current_dir(SOURCES)
                .env("MCRPC_INCLUDE", root().join("include"))
                .env("MCRPC_LIBS", Path::new(LIBRARY_DIR).join("libmcrpc.a"))
                .stdout(Stdio::piped()),
        );
        let path = directory.path().join("ngx_http_mcrpc_module.so");
        (directory, path)
    });
    path
}

pub struct Nginx {
    directory: TempDir,
    master: Child,
}

impl Nginx {
    /// Starts nginx with this inside of `http {}`; `upstream` in it is a unix socket, at `Nginx::upstream_socket`.
    pub fn start(directory: TempDir, processes: usize, http: &str) -> Nginx {
        write_configuration(directory.path(), processes, http);
        let master = command(directory.path()).spawn().expect("the Debian package nginx is installed");
        let nginx = Nginx { directory, master };
        // It listens before it has processes that answer.
        nginx.wait_until("it answers", || nginx.workers().len() == processes);
        nginx
    }

    pub fn upstream_socket(directory: &TempDir) -> PathBuf {
        directory.path().join("upstream.sock")
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("nginx.sock")
    }

    /// Loads another configuration, and waits until only new processes are there that have it.
    pub fn reload(&self, processes: usize, http: &str) {
        write_configuration(self.directory.path(), processes, http);
        self.signal(self.master.id(), "HUP");
    }

    pub fn signal(&self, process: u32, name: &str) {
        support::run(Command::new("kill").args(["-s", name, &process.to_string()]));
    }

    pub fn workers(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.master.id());
        std::fs::read_to_string(path).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(60), "not in time: {what}\n{}", self.log("error.log"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One request on a connection of its own.
    pub fn get(&self, path: &str, headers: &str) -> Answer {
        Client::new(self).get(path, headers).expect("nginx answers")
    }

    /// The requests that run and that wait, as the zone counts them.
    pub fn levels(&self) -> (u32, u32) {
        let answer = self.get("/levels", "");
        let (running, queued) = answer.body.trim().split_once(' ').unwrap_or_else(|| panic!("{answer:?}"));
        (running.parse().unwrap(), queued.parse().unwrap())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let kill = |name: &str, process: u32| {
            let _ = Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status();
        };
        // Stopped, it starts no others.
        kill("STOP", self.master.id());
        for process in self.workers() {
            kill("KILL", process);
        }
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).args(["-e", "error.log", "-c", "nginx.conf"]).stdout(Stdio::null());
    command
}

fn write_configuration(directory: &Path, processes: usize, http: &str) {
    let module = module().display();
    let upstream = directory.join("upstream.sock").display().to_string();
    let text = format!(
        "load_module {module};\nuser root;\ndaemon off;\nworker_processes {processes};\npid nginx.pid;\n\
         error_log error.log notice;\nevents {{ }}\nhttp {{\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         log_format status '$uri $status $mcrpc_status';\naccess_log access.log status;\n{}\n}}\n",
        http.replace("UPSTREAM", &format!("http://unix:{upstream}:")).replace("SOCKET", "unix:nginx.sock"),
    );
    let text = text.replace("unix:nginx.sock", &format!("unix:{}", directory.join("nginx.sock").display()));
    std::fs::write(directory.join("nginx.conf"), text).unwrap();
}

/// What nginx says of a configuration.
pub fn check_configuration(http: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    write_configuration(directory.path(), 1, http);
    let output = command(directory.path()).arg("-t").output().expect("the Debian package nginx is installed");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
    }
}

/// A connection that is kept alive.
pub struct Client(BufReader<UnixStream>);

impl Client {
    pub fn new(nginx: &Nginx) -> Client {
        let stream = UnixStream::connect(nginx.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Client(BufReader::new(stream))
    }

    /// None if the connection broke.
    pub fn get(&mut self, path: &str, headers: &str) -> Option<Answer> {
        self.0.get_mut().write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n").as_bytes()).ok()?;
        let mut first = String::new();
        self.0.read_line(&mut first).ok()?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") && headers != "\r\n" {
            if self.0.read_line(&mut headers).ok()? == 0 {
                return None;
            }
        }
        let mut answer = Answer { status, headers, body: String::new() };
        let len: u64 = answer.header("Content-Length")?.parse().ok()?;
        self.0.by_ref().take(len).read_to_string(&mut answer.body).ok()?;
        Some(answer)
    }
}
