//! Runs, and what checks came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A run that has begun.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Begun {
    /// Its name.
    pub run: String,
}

/// How often a run was asked to stop.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stopped {
    /// Once starts nothing new, twice gives up what runs.
    pub times: u32,
}

/// All runs of a cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Runs {
    /// They, newest first.
    pub runs: Vec<RunSummary>,
}

/// A run in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunSummary {
    /// Its name.
    pub run: String,
    /// What was asked.
    pub ask: String,
    /// Its world was a pretend one, and so were its times.
    pub simulated: bool,
    /// When it began.
    pub wall: u64,
    /// Milliseconds until its last record.
    pub took: u64,
    /// `complete`, `failed`, `notConverged`, `interrupted` or `died`; none while it goes on.
    pub end: Option<String>,
    /// How many steps it has.
    pub steps: usize,
    /// Those that changed something.
    pub done: usize,
    /// Those that found everything true.
    pub already: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that never started.
    pub left: usize,
    /// How often something was tried again.
    pub retries: usize,
}

/// A run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Run {
    /// In a few words.
    pub summary: RunSummary,
    /// Its steps, in the order in which they were heard of.
    pub steps: Vec<RunStep>,
    /// The chain of steps that took longest; none where its plan is not known: journals do not say what a step needs.
    pub critical: Option<Vec<String>>,
    /// What the checks at its end came to.
    pub verify: Option<Verified>,
    /// What else is to be known of it, in sentences: who could not be told of its end, what of its journal cannot be read.
    pub notes: Vec<String>,
}

/// A step of a run. Times are milliseconds since the run began.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStep {
    /// Its name.
    pub id: String,
    /// Its heading.
    pub stage: String,
    /// The deed in words.
    pub title: String,
    /// The part of the spec that wants it.
    pub part: String,
    /// `waiting`, `running`, `done`, `already`, `failed`, `skipped`, `cancelled` or `left`.
    pub state: &'static str,
    /// When it began.
    pub from: Option<u64>,
    /// When it ended.
    pub to: Option<u64>,
    /// The shared thing that it waits for, or waited for.
    pub waits_for: Option<String>,
    /// What it told.
    pub tells: Vec<Told>,
    /// Why it failed.
    pub failure: Option<Failed>,
}

/// Something that a step told.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Told {
    /// When.
    pub at: u64,
    /// What.
    pub message: String,
}

/// Why a step failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Failed {
    /// What failed, and each cause below it.
    pub causes: Vec<String>,
    /// The last lines of the log that tells most.
    pub log: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// What checks came to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// How many hold.
    pub held: usize,
    /// How many there are.
    pub checks: usize,
    /// Those that do not, each with what was seen.
    pub wrong: Vec<String>,
}

/// All checks of a cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checks {
    /// They, in the spec's order.
    pub checks: Vec<Check>,
}

/// A check and what came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Oldest first.
    pub results: Vec<Outcome>,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// When.
    pub at: u64,
    /// It held.
    pub held: bool,
    /// What was seen.
    pub saw: String,
}
