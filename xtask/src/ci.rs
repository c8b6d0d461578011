//! `cargo xtask ci`: the one list of what must hold.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::machine;

/// The parts, in the order in which a failure is cheapest to find.
const PARTS: &[(&str, &[&str])] = &[
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("tidy", &["xtask", "tidy"]),
    ("program", &["build", "--package", "kubewright-cli"]),
    ("generated", &["xtask", "gen", "--check"]),
    ("tests", &["test", "--workspace"]),
];

pub(crate) fn run() -> anyhow::Result<()> {
    machine::ready()?;
    let mut took: Vec<(&str, Duration, bool)> = Vec::new();
    for (name, arguments) in PARTS {
        println!("── {name}: cargo {}", arguments.join(" "));
        let begin = Instant::now();
        let status = Command::new(env!("CARGO"))
            .args(*arguments)
            .current_dir(crate::root()?)
            .status()
            .with_context(|| format!("cannot start cargo for {name}"))?;
        took.push((name, begin.elapsed(), status.success()));
        if !status.success() {
            break;
        }
    }
    println!();
    for (name, duration, green) in &took {
        println!("{} {name:<10} {:>6.1} s", if *green { "ok  " } else { "FAIL" }, duration.as_secs_f64());
    }
    match took.iter().find(|(_, _, green)| !green) {
        Some((name, ..)) => bail!("{name} failed"),
        None => Ok(()),
    }
}
