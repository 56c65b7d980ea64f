//! `mcrpc why`: what would happen to a call on this host now, and whose doing that is.
//!
//! [`host`] maps the segments so that nothing of the host's can be changed, [`question`] is the call that is asked about,
//! [`client`] puts it to the core as a client does, with a witness, [`server`] poses controllers in the states that local servers
//! report, and asks them. [`steps`] says what each mechanism has said, [`remedy`] what helps, and [`answer`] is all of it, for people
//! and for programs.

mod answer;
mod client;
mod host;
mod question;
mod remedy;
mod server;
mod steps;

use std::process::ExitCode;

use anyhow::Result;

use crate::host::output::{print, print_json};
use crate::host::place::{Moment, Place};
use answer::Answer;
use host::HostFiles;
use question::Question;

/// The options of `mcrpc why`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    place: Place,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Answers. Succeeds whether or not the call would be made; fails if the question cannot be asked.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let now = Moment::now();
    let files = HostFiles::open(&options.place);
    let known = files.known(&now);
    let asked = options.question.asked(files.dir(), &known, &now)?;
    let answer = Answer::of(&asked, &known, &now)?;
    if options.json {
        print_json(&answer)?;
    } else {
        print(answer)?;
    }
    Ok(ExitCode::SUCCESS)
}
