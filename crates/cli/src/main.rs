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
mod complete;
mod hints;
mod mask;
mod plain;
mod problem;
mod prompt;
mod screen;
mod source;
mod view;
mod world;

use std::process::ExitCode;

use clap::Parser as _;
use problem::{Done, Problem};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() -> ExitCode {
    complete::answer();
    let arguments = arguments::Arguments::try_parse().unwrap_or_else(|wrong| {
        // What is wrong with the command line is told before anybody knows what it says.
        if plain::is_wished() {
            plain::turn_on();
        }
        wrong.exit()
    });
    screen::choose_colour(arguments.color);
    if arguments.plain {
        plain::turn_on();
    }
    hints::are_in(arguments.simulated.as_deref());
    take_descriptors();
    match commands::run(&arguments) {
        Ok(_) if screen::lost() => Problem::new(Done::Unfinished, "the answer could not be written").tell().into(),
        Ok(done) => done.into(),
        Err(problem) => problem.tell().into(),
    }
}

/// Each host that is talked to has an open file, and shells allow 1,024 of them unless they are asked for as many as one
/// may have.
fn take_descriptors() {
    let allowed = getrlimit(Resource::Nofile);
    // What is refused here is told where a connection is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed });
}
