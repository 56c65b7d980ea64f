//! Client and server together, each with its own framework: one future per call.

use std::path::PathBuf;
use std::process::Command;

use crate::contest::{Subject, contest};
use crate::measure::{Wanted, report};
use crate::process::{Client, Server};
use crate::shape::Shape;

const ROUNDS: usize = 7;

/// The program of other RPC systems: benches/rpc, built when it is first wanted.
pub struct Others(PathBuf);

impl Others {
    pub fn build() -> Others {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/rpc/Cargo.toml");
        // Beside this program's own directory of target/, which a build of other settings would spoil.
        let this = std::env::current_exe().expect("this program");
        let target = this.ancestors().nth(3).expect("target/release/deps").join("rpc");
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--release", "--locked", "--quiet", "--manifest-path", manifest, "--target-dir"]);
        let status = build.arg(&target).status().expect("cargo");
        assert!(status.success(), "benches/rpc does not build: {build:?}");
        Others(target.join("release/mcrpc-bench-rpc"))
    }

    pub fn server(&self, name: &str) -> Server {
        Server::from_command(Command::new(&self.0).args(["serve", name]))
    }

    pub fn client(&self, name: &str, server: &Server) -> Client {
        Client::from_command(Command::new(&self.0).args(["load", name]), server)
    }
}

pub fn run() {
    let others = Others::build();
    let [ours, tokio] = ["ours", "tokio-spawn"].map(Server::start);
    let [tonic, tarpc] = ["tonic", "tarpc"].map(|name| others.server(name));
    let mut subjects = [
        Subject::pair("ours", &ours, Client::start("ours", &ours)),
        Subject::pair("ours, inline", &ours, Client::start("ours-inline", &ours)),
        Subject::pair("tokio by hand", &tokio, Client::start("tokio", &tokio)),
        Subject::pair("tarpc", &tarpc, others.client("tarpc", &tarpc)),
        Subject::pair("tonic", &tonic, others.client("tonic", &tonic)),
    ]
    .map(|subject| (subject, Shape::new(1, 1, 64)));
    for shape in [Shape::new(1, 1, 64), Shape::new(1, 64, 64), Shape::new(8, 256, 64)] {
        println!("\nclient and server together, {shape}");
        subjects.iter_mut().for_each(|(_, own)| *own = shape);
        let results = contest(&mut subjects, ROUNDS);
        for ((subject, _), found) in subjects.iter().zip(&results) {
            let name = |figure| format!("{}: {figure}", subject.name);
            report(&name("requests"), found.per_second.spread(), " /s", Wanted::Nothing);
            report(&name("p50"), found.p50_us.spread(), " us", Wanted::Nothing);
            report(&name("p99"), found.p99_us.spread(), " us", Wanted::Nothing);
            report(&name("the server's time"), found.server_ns.spread(), " ns", Wanted::Nothing);
            report(&name("the client's time"), found.client_ns.spread(), " ns", Wanted::Nothing);
        }
        let [ours, inline, tokio, tarpc, tonic] = &results;
        // One call alone is a question of wakeups, which are the same for all.
        let wanted = |limit| if shape.in_flight > 1 { Wanted::AtLeast(limit) } else { Wanted::Nothing };
        for (name, ours, peer, wanted) in [
            ("ours, times tokio by hand", ours, tokio, wanted(0.5)),
            ("ours, times tarpc", ours, tarpc, wanted(2.0)),
            ("ours, times tonic", ours, tonic, wanted(5.0)),
            ("ours, inline, times tokio by hand", inline, tokio, Wanted::Nothing),
        ] {
            report(&format!("{name}: requests"), ours.per_second.ratio(&peer.per_second), "", wanted);
            report(&format!("{name}: the client's time"), ours.client_ns.ratio(&peer.client_ns), "", Wanted::Nothing);
        }
    }
}
