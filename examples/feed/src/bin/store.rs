//! The third tier as a program: see `README.md`.

use clap::Parser;
use mcrpc_example_feed::{store, tier::Options};

#[derive(Parser)]
#[command(name = "store")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    store::run(&Arguments::parse().options)
}
