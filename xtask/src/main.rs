//! Chores of the project: `cargo xtask ci | tidy | gen | bench`. Not a layer: nothing depends on it.

mod bench;
mod ci;
mod documents;
mod generate;
#[cfg(test)]
mod judged;
mod machine;
mod reference;
mod tidy;
mod transcripts;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Everything that decides whether the project is green, with a table of how long each part took.
    Ci,
    /// The house rules: edges between crates, purity, budgets, names.
    Tidy,
    /// Writes what is generated: the JSON Schema and the reference pages.
    Gen {
        /// Writes nothing; fails when something is stale.
        #[arg(long)]
        check: bool,
    },
    /// Writes the transcripts of the commands anew; look at the difference before it is committed.
    Transcripts,
    /// Measures planning and rehearsing at several sizes, or `ssh`. Asserts nothing.
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        of: Option<Bench>,
        /// The sizes to plan, in nodes.
        #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
        nodes: Vec<u32>,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// Measures hands on real SSH servers, beside peers. Needs root.
    Ssh(bench::ssh::Ask),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Ci => ci::run(),
        Chore::Tidy => tidy::run(),
        Chore::Gen { check } => generate::run(check),
        Chore::Transcripts => transcripts::run(),
        Chore::Bench { of: None, nodes } => bench::run(&nodes),
        Chore::Bench { of: Some(Bench::Ssh(ask)), .. } => bench::ssh::run(&ask),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes in one line; where in the chore's code they came up helps nobody.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The project's root.
fn root() -> anyhow::Result<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).context("xtask lies in the root")
}
