//! Who may look, and what they may send.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::host::{Host, agent, answer_of};

const TOKEN: &str = "correct-horse-battery-staple";

#[test]
fn beyond_loopback_a_token_is_needed_and_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], why: &str| {
        let output = agent(&root.path().join("run"), arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(why), "{arguments:?}: {text}");
    };
    refused(&["0.0.0.0:0"], "is not on loopback: add --token-file FILE");
    refused(&["[::]:0"], "is not on loopback");
    let token_file = |text: &str, mode: u32| -> PathBuf {
        let path = root.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let path = token_file("short", 0o600);
    let path = path.to_str().unwrap();
    refused(&["0.0.0.0:0", "--token-file", path], "fewer than 16 characters");
    for mode in [0o644, 0o640, 0o604, 0o620] {
        token_file(TOKEN, mode);
        refused(&["0.0.0.0:0", "--token-file", path], &format!("(mode {mode:o}): chmod 600 {path}"));
    }

    token_file(&format!("{TOKEN}\n"), 0o600);
    let host = Host::start(&["0.0.0.0:0", "--token-file", path]);
    for page in ["/", "/page.js", "/metrics", "/api/state", "/api/events", "/api/graph", "/nothing"] {
        let answer = host.get(page, "");
        assert!(answer.code == 401 && answer.head.contains("www-authenticate: basic"), "{page}: {}", answer.head);
        assert!(!answer.body.contains("mcrpc_") && host.get(page, "Authorization: Bearer wrong\r\n").code == 401);
    }
    assert_eq!(host.get("/metrics", &format!("Authorization: Bearer {TOKEN}\r\n")).code, 200);
}

#[test]
fn a_foreign_name_for_the_host_is_not_answered() {
    let host = Host::start(&["127.0.0.1:0"]);
    assert_eq!(host.get("/api/state", "Host: evil.example\r\n").code, 421);
    let answer = host.get("/api/state", "Host: localhost\r\n");
    assert_eq!(answer.code, 200);
    assert!(answer.head.contains("content-security-policy: default-src 'none'"), "{}", answer.head);
    assert_eq!(host.get("/nothing", "").code, 404);
    let mut nameless = TcpStream::connect(host.address).unwrap();
    write!(nameless, "GET /api/state HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(answer_of(nameless).code, 421);
}

#[test]
fn a_request_with_a_body_is_refused_without_reading_it() {
    let host = Host::start(&["127.0.0.1:0"]);
    for body in ["Content-Length: 1000000000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = TcpStream::connect(host.address).unwrap();
        write!(stream, "GET /api/state HTTP/1.1\r\nHost: localhost\r\n{body}\r\n").unwrap();
        let answer = answer_of(stream);
        assert!(answer.code == 413 && answer.head.contains("connection: close"), "{}", answer.head);
    }
}
