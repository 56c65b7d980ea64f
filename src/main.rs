//! The `mcrpc` command: libmcrpc shown and measured, and the operator's view of a host.
//!
//! This file reads the command line and hands over to one module per subcommand.

mod agent;
mod demo;
mod doctor;
mod r#gen;
mod host;
mod inspect;
mod logs;
mod man;
mod operator;
mod record;
mod replay;
mod resolve;
mod route;
mod sim;
mod top;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use operator::{dye, kill, mode, shield, skip};

#[derive(Parser)]
#[command(name = "mcrpc", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Overload a C++ server with and without admission control, and show the difference
    Demo(demo::Options),
    /// Simulate services under overload, controlled by the real core and by its rivals, and judge what was reached
    Sim(sim::Options),
    /// Own the host's directory of shared segments, publish strategies, and find services by name
    Agent(Box<agent::Options>),
    /// Show live what the programs of this host do: queues, refusals, strategies, counters, records
    Top(top::Options),
    /// Show what is in a shared segment, and whether it is to be believed
    Inspect(inspect::Options),
    /// Say what would happen to a call on this host now, which rule does it, who set that, and what helps
    Why(why::Options),
    /// Find out what is wrong with this host: files, owners, versions, clocks, processes, limits; and what to do
    Doctor(doctor::Options),
    /// Print the log lines of this host's programs, by program, user, trace, level and time
    Logs(logs::Options),
    /// Record what servers decide of requests, for replay
    Record(record::Options),
    /// Decide recorded requests again under another policy, and show the difference
    Replay(replay::Options),
    /// Check the client and route files by which services are found, and show what a client uses
    Route(route::Options),
    /// Show the servers of a service, as the programs of this host find them
    Resolve(resolve::Options),
    /// Turn every mechanism on this host off, and back to what it was
    Kill(kill::Options),
    /// Turn one mechanism off, let it observe or enforce, for all users or a share of them; or list the modes
    Mode(mode::Options),
    /// Keep all programs of this host from calling an endpoint; or list the shields
    Shield(shield::Options),
    /// Let a share of the users go without a service or method; or list the skips
    Skip(skip::Options),
    /// Record the call graph of one user; or list the users
    Dye(dye::Options),
    /// Write Rust or C++ out of .proto files: messages, services and clients, or C++ client stubs
    Gen(r#gen::Options),
    /// Write the manual pages
    Man(man::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Sim(options) => sim::run(&options),
        Command::Agent(options) => agent::run(&options),
        Command::Top(options) => top::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Why(options) => why::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Logs(options) => logs::run(&options),
        Command::Record(options) => record::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Route(options) => route::run(&options),
        Command::Resolve(options) => resolve::run(&options),
        Command::Kill(options) => kill::run(&options),
        Command::Mode(options) => mode::run(&options),
        Command::Shield(options) => shield::run(&options),
        Command::Skip(options) => skip::run(&options),
        Command::Dye(options) => dye::run(&options),
        Command::Gen(options) => r#gen::run(&options),
        Command::Man(options) => man::run(&options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("mcrpc: {error:#}");
        ExitCode::FAILURE
    })
}
