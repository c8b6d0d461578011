//! `cargo xtask transcripts`: what the commands print, written anew, with what changes from run to run left open.
//!
//! Left open are the names and moments of runs, the order and the durations of steps (they follow from chance and from
//! the pretend world's numbers), and real time. What is said, and that it is said, stays.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::bail;
use kubewright_model::plan::Stage;

/// A line of a run's progress begins with one of these.
const STEP_MARKS: [&str; 5] = ["✓ ", "= ", "✗ ", "○ ", "↻ "];

/// The heads of a rebuild's table, and its phases.
const REBUILT: [&str; 11] = [
    "PHASE",
    "back up",
    "destroy",
    "machines and hosts",
    "bootstrap",
    "network",
    "secrets",
    "add-ons",
    "applications",
    "verify",
    "total",
];

pub(crate) fn run() -> anyhow::Result<()> {
    let root = crate::root()?;
    let folder = root.join("crates/cli/tests/transcripts");
    // The first pass takes in new lines; the second shows that what was left open is left open.
    for overwrite in [Some("overwrite"), None] {
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--quiet", "--package", "kubewright-cli", "--test", "it"]).current_dir(&root);
        if let Some(overwrite) = overwrite {
            command.env("TRYCMD", overwrite);
        }
        let status = command.status()?;
        if overwrite.is_none() && !status.success() {
            bail!("the transcripts differ from one run to the next");
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "trycmd") {
                open(&path)?;
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(path)?;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(opened) {
        // Several lines that are left open are one.
        if line == "..." && lines.last().is_some_and(|last| last == "...") {
            continue;
        }
        lines.push(line);
    }
    lines.push(String::new());
    fs::write(path, lines.join("\n"))?;
    Ok(())
}

fn opened(line: &str) -> String {
    let marked = STEP_MARKS.iter().find_map(|mark| line.strip_prefix(mark));
    let headed =
        |rest: &str| Stage::ALL.iter().any(|stage| rest.starts_with(stage.word())) || rest.starts_with("verify ");
    if marked.is_some_and(headed) {
        return "...".into();
    }
    // Links of a critical path and waits: a duration, then words.
    let is_duration = |rest: &str| rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let of_bundle = line.contains(" B  ") || line.contains("iB  ");
    if line.starts_with("     ") && is_duration(line) && !of_bundle {
        return "...".into();
    }
    if let Some((_, rest)) = line.strip_prefix("run 2").and_then(|rest| rest.split_once(": ")) {
        return format!("run [..]: {rest}");
    }
    if line.starts_with(" 20") && line.contains(" UTC  ") {
        return " [..] UTC  [..]".into();
    }
    if let Some(part) = rehearsed(line) {
        return part;
    }
    if let Some((before, _)) = line.split_once(" of simulated work in ") {
        let before = before.rsplit_once("; ").map_or(before, |(before, _)| before);
        return format!("{before}; [..])");
    }
    if let Some((before, after)) =
        line.split_once(" done").filter(|_| line.contains(" done in ") || line.contains(" done, "))
    {
        let tail = if after.contains("failed") { ", [..]" } else { " in [..]" };
        return format!("{before} done{tail}");
    }
    check(line).or_else(|| phase(line)).or_else(|| rebuilt(line)).unwrap_or_else(|| line.to_string())
}

/// A part of a rehearsed bundle: what it came to and what it shows; then how long it took.
fn rehearsed(line: &str) -> Option<String> {
    let is_part = ["proven    ", "simulated ", "not done  "].iter().any(|word| line.starts_with(word));
    let (before, took) = line.rsplit_once("  (").filter(|_| is_part)?;
    took.ends_with(')').then(|| format!("{before}  ([..])"))
}

/// A phase of a rehearsal: its mark and name, and what it shows; between them simulated time and counts.
fn phase(line: &str) -> Option<String> {
    let rest = line.strip_prefix(" ✓  ")?;
    let (name, rest) = rest.split_once("  ")?;
    let duration = rest.trim_start();
    let timed = duration.starts_with(|c: char| c.is_ascii_digit()) && duration.contains("  ");
    let (_, shows) = rest.rsplit_once("  ")?;
    timed.then(|| format!(" ✓  {name} [..]  {}", shows.trim_start()))
}

/// A phase of a rebuild, and the heads above them: its name, then how long it took in each run.
fn rebuilt(line: &str) -> Option<String> {
    let rest = line.strip_prefix(' ')?;
    let name = REBUILT.into_iter().find(|name| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with("  ")))?;
    Some(format!(" {name} [..]"))
}

/// A check: its mark, name and what was seen; then how long it took.
fn check(line: &str) -> Option<String> {
    let (before, took) = line.rsplit_once("  ")?;
    let (number, unit) = took.trim().split_once(' ')?;
    let marked = line.starts_with(" ✓  ") || line.starts_with(" ✗  ");
    let timed = marked && number.parse::<f64>().is_ok() && matches!(unit, "ms" | "s");
    timed.then(|| format!("{} [..]", before.trim_end()))
}
