//! Proof that the cluster works: every check of the spec, all at once.

use std::time::Duration;

use futures::future::join_all;
use kubewright_model::desired::{Desired, DesiredCheck};

use crate::cluster::Checked;
use crate::world::World;

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// What must hold.
    pub expected: String,
    /// Whether it holds, what was seen, and why not.
    pub checked: Checked,
    /// How long the look took.
    pub took: Duration,
}

/// Looks at every check once; one that cannot be looked at does not hold.
pub(crate) async fn verify(world: &World, desired: &Desired) -> Vec<CheckResult> {
    join_all(desired.checks.iter().map(|check| one(world, check))).await
}

async fn one(world: &World, check: &DesiredCheck) -> CheckResult {
    let began = tokio::time::Instant::now();
    let checked = match &world.cluster {
        None => Checked { saw: "this version has no hands for clusters".into(), ..Checked::default() },
        Some(hands) => hands
            .check(&check.condition)
            .await
            .unwrap_or_else(|error| Checked { saw: error.to_string(), ..Checked::default() }),
    };
    CheckResult { name: check.name.clone(), expected: check.condition.to_string(), checked, took: began.elapsed() }
}
