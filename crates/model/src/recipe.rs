//! How a distribution does what only it can: commands and files that have one effect.
//!
//! Compilers write recipes, the hands on hosts run them, and the simulator interprets them by their effect.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::host::FileWish;
use crate::ids::HoleName;
use crate::talos::TalosCall;
use crate::text::Text;
use crate::units::Span;
use crate::version::Version;

/// The hole for the file on this computer that holds what was saved of the datastore.
pub const SNAPSHOT: &str = "cluster/snapshot";

/// What a recipe does to the cluster; the simulator goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Starts a new cluster.
    Init,
    /// Joins the control plane.
    JoinServer,
    /// Joins as an agent.
    JoinAgent,
    /// Runs another version.
    Upgrade,
    /// Leaves nothing on the host.
    Leave,
    /// A member says which cluster is its own.
    Belong,
    /// A member lets others in for a while.
    Admit,
    /// A member takes another one out of the datastore.
    Forget,
    /// Saves the datastore.
    Snapshot,
    /// Starts a new cluster with what was saved of the datastore.
    Restore,
    /// Takes away what is left of a member that was cut off while it was made.
    Clear,
    /// Leaves nothing on the host that tells it from another one, so that it can be cloned.
    Clean,
    /// Changes nothing: it only gives.
    Look,
    /// Mends what does not run as it should: the host is of the cluster what it was before.
    Mend,
    /// Has new certificates made for a member, and starts what shows them again. It asks no API.
    Renew,
    /// Takes a whole cluster, or one host of it, over to another token or key. Nothing starts again.
    Turn,
    /// Starts a member again, which goes by what its cluster was taken over to from then on.
    Follow,
}

impl Effect {
    /// Whether a cluster is there after it that was not there before.
    pub fn begins(self) -> bool {
        matches!(self, Self::Init | Self::Restore)
    }

    /// Whether its host is a member after it that was none before.
    pub fn makes_a_member(self) -> bool {
        self.begins() || matches!(self, Self::JoinServer | Self::JoinAgent)
    }
}

/// Commands and files of a distribution that have one effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// For people: `join the K3s control plane`.
    pub title: String,
    /// What it does to the cluster.
    pub effect: Effect,
    /// The version that it brings, where it brings one.
    pub version: Option<Version>,
    /// What is done, in order.
    pub steps: Vec<RecipeStep>,
    /// The holes that its output fills, and from where.
    pub gives: Vec<Output>,
}

impl Recipe {
    /// Whether what it saves is brought to this computer, and so outlives the host.
    pub fn leaves_the_host(&self) -> bool {
        let brings =
            |step: &RecipeStep| matches!(step, RecipeStep::Bring { .. } | RecipeStep::Talos(TalosCall::Snapshot));
        self.steps.iter().any(brings)
    }
}

/// One part of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecipeStep {
    /// Run a program with its arguments; no shell.
    Run(Vec<String>),
    /// Run a program until it succeeds.
    Until {
        /// The program and its arguments.
        command: Vec<String>,
        /// What is waited for, for people.
        what: String,
        /// How long at most.
        timeout: Span,
        /// The unit whose log tells the cause when it fails.
        log: Option<String>,
    },
    /// Write a file.
    Write(FileWish),
    /// Remove a file, or a folder with all that is in it.
    Remove(String),
    /// Enable and start a unit and write down what it read.
    Start {
        /// The unit.
        unit: String,
        /// See [`crate::host::UnitWish::reads`].
        reads: Digest,
    },
    /// Restart a unit and write down what it read.
    Restart {
        /// The unit.
        unit: String,
        /// See [`crate::host::UnitWish::reads`].
        reads: Digest,
    },
    /// Stop and disable a unit and forget what it read. A unit that is not there is stopped already.
    Stop {
        /// The unit.
        unit: String,
    },
    /// Bring the newest file of a pattern to this computer: what was saved of the datastore. It fills the hole
    /// [`SNAPSHOT`].
    Bring {
        /// A pattern of the shell.
        newest: String,
        /// The ending of what goes with it under the same name.
        with: Option<String>,
    },
    /// Put the file that the hole [`SNAPSHOT`] names there, from this computer.
    Send {
        /// The path on the host.
        to: String,
        /// As in [`RecipeStep::Bring`].
        with: Option<String>,
    },
    /// Ask Talos for something: it has no programs to run and no files to write.
    Talos(TalosCall),
}

/// A hole that a recipe fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The hole.
    pub hole: HoleName,
    /// The file on the host that holds the value.
    pub file: String,
    /// Texts to replace in it: the address in a kubeconfig.
    pub replace: Vec<(String, Text)>,
    /// The file is only there to be given, and goes when it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
}
