//! The `kubewright` program: reads arguments, calls the engine's few methods, and turns what they return into words.
//!
//! Start reading at [`arguments`], then `commands`, one file for each. `view` draws plans, runs and tables; `problem`
//! is the one place where failures become words and exit codes.
//!
//! # Invariants
//!
//! - Nothing is decided here: what is printed was decided by the planner and done by the engine.
//! - Answers go to standard output, everything else to standard error, so that output can be piped.
//! - Everything that is printed in a pretend world says so.

mod arguments;
mod commands;
mod mask;
mod problem;
mod prompt;
mod screen;
mod source;
mod view;
mod world;

use std::process::ExitCode;

use clap::Parser as _;
use problem::{Done, Problem};

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    screen::choose_colour(arguments.color);
    match commands::run(&arguments) {
        Ok(_) if screen::lost() => Problem::new(Done::Unfinished, "the answer could not be written").tell().into(),
        Ok(done) => done.into(),
        Err(problem) => problem.tell().into(),
    }
}
