//! What differs between what is wished and what was seen, field by field, and why something is changed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cloud::CloudId;
use crate::ids::{ClusterName, NodeName, ReleaseName};

/// What a step or a note is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// A machine.
    Machine(NodeName),
    /// A host.
    Host(NodeName),
    /// A member of the cluster.
    Member(NodeName),
    /// A load balancer.
    LoadBalancer(ClusterName),
    /// What a cloud keeps around servers.
    Resource(CloudId),
    /// A group of objects.
    Objects(String),
    /// A Helm release.
    Release(ReleaseName),
    /// The cluster as a whole.
    Cluster,
}

impl Subject {
    /// The node that it is about, if it is about one.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Machine(name) | Self::Host(name) | Self::Member(name) => Some(name),
            Self::LoadBalancer(_) | Self::Resource(_) | Self::Objects(_) | Self::Release(_) | Self::Cluster => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(name) => write!(f, "machine {name}"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::Member(name) => write!(f, "member {name}"),
            Self::LoadBalancer(name) => write!(f, "load balancer {name}"),
            Self::Resource(id) => write!(f, "{id}"),
            Self::Objects(name) => write!(f, "objects {name}"),
            Self::Release(name) => write!(f, "release {name}"),
            Self::Cluster => f.write_str("cluster"),
        }
    }
}

/// One field's difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field: `memory`, `file /etc/rancher/k3s/config.yaml`.
    pub field: String,
    /// What was seen; none when nothing was there.
    pub from: Option<String>,
    /// What is wished; none when nothing should be there. Holes show their names.
    pub to: Option<String>,
}

/// Why something changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The spec wants it and it is not there.
    Missing,
    /// It differs from the spec.
    Differs,
    /// It carries our mark and the spec does not want it any more.
    NotInSpec,
    /// What a unit reads has changed since it started.
    Stale,
    /// A step before it makes it necessary: the words say which and how.
    Follows(String),
    /// The user asked for it: `destroy`, `replace k3s-agent-1`.
    Asked(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not there yet"),
            Self::Differs => f.write_str("differs from the spec"),
            Self::NotInSpec => f.write_str("ours, and not in the spec"),
            Self::Stale => f.write_str("what it reads has changed since it started"),
            Self::Follows(why) => f.write_str(why),
            Self::Asked(what) => write!(f, "asked for: {what}"),
        }
    }
}
