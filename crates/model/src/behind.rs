//! What is behind: versions that are older than those that are known, and what waits for a start.

use serde::{Deserialize, Serialize};

use crate::plan::Weight;

/// Everything that is behind, and how much is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outdated {
    /// As of when the program's own tables of versions are.
    pub known: String,
    /// Everything that is behind, what presses first.
    pub behind: Vec<Behind>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// One thing that is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Behind {
    /// What: `Kubernetes`, `chart cilium`, `packages`.
    pub what: String,
    /// Where: the spec, the cluster, a node.
    pub place: String,
    /// What it is now.
    pub runs: String,
    /// What there is.
    pub newest: String,
    /// What to do: a command, or a line of the spec.
    pub how: String,
    /// How much it presses: what [`Weight::Warns`] has an end, or waits to be in force.
    pub weight: Weight,
}
