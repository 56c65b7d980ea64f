//! The first tier as a program: see `README.md`.

use clap::Parser;
use mcrpc_example_feed::{front, tier::Options};

#[derive(Parser)]
#[command(name = "front")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    front::run(&Arguments::parse().options)
}
