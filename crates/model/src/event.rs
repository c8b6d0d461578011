//! What happens while a plan runs: the one enum that the journal, the terminal and the JSON output read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::desired::Saved;
use crate::ids::{ClusterName, HoleName, LeaseName, NodeName, RunId, StepId};
use crate::object::ObjectKey;
use crate::observed::ServiceSeen;
use crate::plan::{Ask, Fingerprint, Stage};

/// The version of an event's JSON. A reader refuses versions that it does not know.
pub const EVENT_FORMAT: u32 = 1;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`EVENT_FORMAT`] of the program that wrote it.
    pub format: u32,
    /// The place in the run, from 0.
    pub seq: u64,
    /// Milliseconds since the run began, by the clock that the run lives in.
    pub at: u64,
    /// What happened.
    pub event: Event,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It changed something.
    Done,
    /// When its turn came, everything was true already.
    AlreadyTrue,
    /// It failed, and this is why.
    Failed(Failure),
    /// It never started, because this step before it did not end well.
    Skipped {
        /// The step that failed.
        because: StepId,
    },
    /// It never started, because the run was stopped.
    Cancelled,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed, and each cause below it.
    pub causes: Vec<String>,
    /// The last lines of the log that tells most.
    pub log: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// It was refused, and will be again until somebody mends what it names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lasts: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunEnd {
    /// Everything is as the spec says.
    Complete,
    /// Steps failed.
    Failed,
    /// All steps ended well, and yet planning again found something to do.
    NotConverged,
    /// The user stopped it.
    Interrupted,
}

/// What happens while a plan runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// A run begins.
    RunStarted {
        /// Its name.
        run: RunId,
        /// The cluster.
        cluster: ClusterName,
        /// What was asked.
        ask: Ask,
        /// The parts that were chosen; none for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        only: Vec<String>,
        /// The plan that runs.
        fingerprint: Fingerprint,
        /// How many steps it has.
        steps: usize,
        /// The world is a pretend one.
        simulated: bool,
        /// Seconds since 1970, by the computer's clock.
        wall: u64,
        /// The nodes that a rebuild takes away: a later one goes on with those whose end is not recorded.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        takes: Vec<NodeName>,
        /// What a rebuild begins the cluster with, where that is not empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restores: Option<Saved>,
        /// The rebuild that was cut and that this one goes on with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goes_on: Option<RunId>,
    },
    /// A step could start, and waits for a shared thing.
    StepWaits {
        /// Which step.
        step: StepId,
        /// For what.
        lease: LeaseName,
    },
    /// A step begins. Written before the deed.
    StepStarted {
        /// Which step.
        step: StepId,
        /// Its heading.
        stage: Stage,
        /// Its words for people.
        title: String,
        /// The add-on or section of the spec that wants it; empty when the stage says enough.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        part: String,
    },
    /// A step tells what it does or waits for.
    StepTells {
        /// Which step.
        step: StepId,
        /// What.
        message: String,
    },
    /// A step failed in a way that may pass, and is tried again.
    StepRetries {
        /// Which step.
        step: StepId,
        /// How often it was tried.
        attempt: u32,
        /// Milliseconds until the next try.
        after: u64,
        /// What failed.
        error: String,
    },
    /// A step gave a value to a hole. The value itself is never written here.
    HoleFilled {
        /// Which step.
        step: StepId,
        /// Which hole.
        hole: HoleName,
    },
    /// A step ended.
    StepEnded {
        /// Which step.
        step: StepId,
        /// How.
        outcome: Outcome,
    },
    /// The user asked to stop: once, no new step starts; twice, running ones are given up.
    StopAsked {
        /// How often.
        times: u32,
    },
    /// Nothing is left to do, and every check of the spec is looked at until all hold.
    VerifyStarted {
        /// How many checks there are.
        checks: usize,
    },
    /// The checks were looked at for the last time.
    VerifyEnded {
        /// How many hold.
        held: usize,
        /// Those that do not, each with what was seen.
        wrong: Vec<String>,
    },
    /// A run ends.
    RunEnded {
        /// How.
        end: RunEnd,
        /// Steps that were done, were already true, failed, or never started.
        done: usize,
        /// See `done`.
        already: usize,
        /// See `done`.
        failed: usize,
        /// See `done`.
        left: usize,
        /// Services of type LoadBalancer as the last look has them, where the run came so far.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        addresses: BTreeMap<ObjectKey, ServiceSeen>,
    },
}
