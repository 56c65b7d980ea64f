//! An etcd that speaks TLS only, asks for certificates, and then for users and passwords too.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcrpc_discovery::Settings;
use mcrpc_discovery::etcd::access::Access;
use mcrpc_discovery::etcd::follow::Etcd as At;
use support::etcd::need;
use support::{OneHost, PREFIX, address, until};
use tempfile::TempDir;

const SERVICE: &str = "VOA.Crawl";

/// An etcd with certificates of its own, in whose directory all files are.
struct Secure {
    root: TempDir,
    port: u16,
    running: Child,
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes `NAME.pem` and `NAME.key`, signed by an authority unless it is one.
fn certificate(root: &Path, name: &str, signed_by: Option<&str>) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(root).args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(["-days", "2", "-subj", &format!("/CN={name}"), "-out", &format!("{name}.pem")]);
    openssl.args(["-keyout", &format!("{name}.key")]);
    if let Some(authority) = signed_by {
        openssl.args(["-CA", &format!("{authority}.pem"), "-CAkey", &format!("{authority}.key")]);
        openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    run(&mut openssl);
}

impl Secure {
    fn start() -> Secure {
        need("etcd", "etcd-server");
        need("openssl", "openssl");
        need("curl", "curl");
        let root = tempfile::tempdir().unwrap();
        certificate(root.path(), "authority", None);
        certificate(root.path(), "stranger", None);
        certificate(root.path(), "server", Some("authority"));
        certificate(root.path(), "agent", Some("authority"));
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, peer_port] = free.map(|listener| listener.local_addr().unwrap().port());
        let (client, peer) = (format!("https://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
        let mut etcd = Command::new("etcd");
        etcd.current_dir(root.path()).args(["--data-dir", "data", "--log-level", "error"]);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("default={peer}"), "--client-cert-auth"]);
        etcd.args(["--cert-file", "server.pem", "--key-file", "server.key", "--trusted-ca-file", "authority.pem"]);
        let running = etcd.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let etcd = Secure { root, port, running };
        until("etcd serves", || etcd.curl("kv/range", r#"{"key":"AA=="}"#).status().unwrap().success());
        etcd
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn curl(&self, method: &str, body: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.current_dir(self.root.path()).args(["-sSf", "--cacert", "authority.pem", "-d", body]);
        curl.args([
            "--cert",
            "agent.pem",
            "--key",
            "agent.key",
            &format!("https://127.0.0.1:{}/v3/{method}", self.port),
        ]);
        curl.stdout(Stdio::null()).stderr(Stdio::null());
        curl
    }

    fn post(&self, method: &str, body: &str) {
        assert!(self.curl(method, body).status().unwrap().success(), "{method} {body}");
    }

    /// From now on only users may do anything: root, and one for servers.
    fn enable_users(&self) {
        let end = PREFIX.strip_suffix('/').unwrap().to_owned() + "0";
        let [from, to] = [PREFIX, &end].map(|key| STANDARD.encode(key));
        for user in ["root", "servers"] {
            self.post("auth/user/add", &format!(r#"{{"name":"{user}","password":"secret {user}"}}"#));
            self.post("auth/role/add", &format!(r#"{{"name":"{user}"}}"#));
            self.post("auth/user/grant", &format!(r#"{{"user":"{user}","role":"{user}"}}"#));
        }
        let permission = format!(r#"{{"permType":"READWRITE","key":"{from}","range_end":"{to}"}}"#);
        self.post("auth/role/grant", &format!(r#"{{"name":"servers","perm":{permission}}}"#));
        self.post("auth/enable", "{}");
    }

    fn access(&self) -> Access {
        let identity = Some((self.file("agent.pem"), self.file("agent.key")));
        Access { ca: Some(self.file("authority.pem")), identity, user: None }
    }

    fn with_password(&self, password: &str) -> Access {
        let path = self.file("password");
        fs::write(&path, format!("{password}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Access { user: Some(("servers".to_owned(), path)), ..self.access() }
    }

    /// A host whose agent reaches it so.
    fn host(&self, access: Access) -> OneHost {
        let url = format!("https://127.0.0.1:{}", self.port);
        access.check(std::slice::from_ref(&url)).unwrap();
        let (prefix, ttl) = (PREFIX.parse().unwrap(), Duration::from_secs(2));
        let at = At { endpoints: vec![url], access, prefix, ttl };
        OneHost::with(None, move |settings| Settings { etcd: Some(at.clone()), ..settings })
    }
}

#[test]
fn given_certificates_and_then_passwords_then_hosts_find_each_others_servers_and_strangers_are_told_why_not() {
    let etcd = Secure::start();
    let (here, there) = (etcd.host(etcd.access()), etcd.host(etcd.access()));
    let server = there.server(SERVICE);
    until("it is found", || here.servers(SERVICE) == [address(&server)]);
    let nobody = etcd.host(Access { identity: None, ..etcd.access() });
    until("it wants a certificate", || nobody.has_told("etcd cannot be followed"));
    let fooled = etcd.host(Access { ca: Some(etcd.file("stranger.pem")), ..etcd.access() });
    until("its certificate is not believed", || fooled.has_told("UnknownIssuer"));
    drop((server, here, there));

    etcd.enable_users();
    let access = etcd.with_password("secret servers");
    let (here, there) = (etcd.host(access.clone()), etcd.host(access));
    let server = there.server(SERVICE);
    until("it is found by those who have a password", || here.servers(SERVICE) == [address(&server)]);
    let wrong = etcd.host(etcd.with_password("wrong"));
    until("a wrong password is told", || wrong.has_told("authentication failed, invalid user ID or password"));
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_would_be_right() {
    let root = tempfile::tempdir().unwrap();
    for name in ["authority", "agent"] {
        certificate(root.path(), name, None);
    }
    let file = |name: &str, mode: u32, text: &str| {
        fs::write(root.path().join(name), text).unwrap();
        fs::set_permissions(root.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    file("empty", 0o600, "");
    file("open", 0o644, "secret");
    file("damaged", 0o600, "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n");
    let at = |name: &str| Some(root.path().join(name));
    let (https, http) = ("https://127.0.0.1:1", "http://127.0.0.1:1");
    let ca = || Access { ca: at("authority.pem"), ..Access::default() };
    let user = |name: &str| Access { user: at(name).map(|path| ("me".to_owned(), path)), ..Access::default() };
    let identity = |certificate: &str, key: &str| Access { identity: at(certificate).zip(at(key)), ..ca() };
    for (access, address, words) in [
        (Access::default(), https, "https:// needs the certificates that etcd's is signed by: --etcd-ca FILE"),
        (ca(), http, "with --etcd-ca the address begins with https://"),
        (ca(), "nonsense address", "nonsense address: "),
        (Access { ca: at("missing"), ..ca() }, https, "missing: No such file"),
        (Access { ca: at("empty"), ..ca() }, https, "empty: expected a certificate in PEM"),
        (Access { ca: at("damaged"), ..ca() }, https, "https://127.0.0.1:1: "),
        (identity("agent.pem", "empty"), https, "empty: expected a private key in PEM"),
        (identity("agent.pem", "open"), https, "open: everybody may use it: chmod o= this file"),
        (user("open"), http, "open: everybody may use it"),
        (user("empty"), http, "empty: expected a password in the first line"),
    ] {
        let error = access.check(&[address.to_owned()]).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(identity("agent.pem", "agent.key").check(&[https.to_owned()]).is_ok());
    assert!(Access::default().check(&[http.to_owned()]).is_ok());
}
