//! What came of checks: what was expected, what was seen, of each part that was asked, and how long it took.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// What a check is about: the headings under which people read checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// The API, and its nodes.
    Nodes,
    /// The ingress controller, and what it routes.
    Ingress,
    /// Prometheus and what belongs to it, and logs.
    Monitoring,
    /// What else every cluster has: names, metrics, storage, certificates.
    AddOns,
    /// What the user's own people run on it.
    Applications,
    /// Back-end services outside of it.
    Services,
    /// Load balancers before it, and what they ask nodes for.
    LoadBalancers,
}

impl Group {
    /// All, in the order in which they are read.
    pub const ALL: [Self; 7] = [
        Self::Nodes,
        Self::Ingress,
        Self::Monitoring,
        Self::AddOns,
        Self::Applications,
        Self::Services,
        Self::LoadBalancers,
    ];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nodes => "Cluster and nodes",
            Self::Ingress => "Ingress",
            Self::Monitoring => "Monitoring",
            Self::AddOns => "Add-ons",
            Self::Applications => "Applications",
            Self::Services => "Back-end services",
            Self::LoadBalancers => "Load balancers and health",
        })
    }
}

/// What came of looking whether a condition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// It holds.
    pub holds: bool,
    /// What was seen, in one sentence: `2 of 3 nodes Ready, k3s-agent-2 is not: container runtime is down`.
    pub saw: String,
    /// It holds, and somebody should know this all the same: it is slow.
    pub warning: Option<String>,
    /// What each said, where several were asked: nodes, targets.
    pub parts: Vec<Part>,
    /// The last lines of the log or the events that tell the cause, when it does not hold.
    pub log: Vec<String>,
    /// The likely cause and what to do, when it does not hold.
    pub hint: Option<String>,
}

/// One of several that were asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Who: a node, a target.
    pub name: String,
    /// Where it was asked, or from where.
    pub address: String,
    /// It is as it should be.
    pub holds: bool,
    /// What was seen.
    pub saw: String,
    /// How long the answer took, in milliseconds, where somebody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// What it is about.
    pub group: Group,
    /// What must hold.
    pub condition: Condition,
    /// Whether it holds, what was seen, and why not.
    pub checked: Checked,
    /// How long the look took.
    pub took: Duration,
}

impl CheckResult {
    /// How long the look took, in milliseconds.
    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The groups that have checks, with theirs, in the order in which they are read.
pub fn grouped(results: &[CheckResult]) -> impl Iterator<Item = (Group, Vec<&CheckResult>)> {
    let groups = Group::ALL.into_iter().map(|group| (group, results.iter().filter(|it| it.group == group).collect()));
    groups.filter(|(_, all): &(Group, Vec<&CheckResult>)| !all.is_empty())
}

/// How many of these hold.
pub fn holding<'a>(results: impl IntoIterator<Item = &'a &'a CheckResult>) -> usize {
    results.into_iter().filter(|result| result.checked.holds).count()
}
