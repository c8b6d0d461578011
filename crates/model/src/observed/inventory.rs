//! What a provider has: machines, templates, load balancers, and what is somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Seen;
use crate::balancer::BalancerSettings;
use crate::cloud::{ResourceSeen, Stray};
use crate::ids::{ClusterName, NodeName, Owner, PlaceName, Vmid};
use crate::setting::Settings;
use crate::unread::Unread;

/// All that a provider has of ours, and what stands in our way.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Machines with our mark, by name.
    pub machines: BTreeMap<NodeName, MachineSeen>,
    /// Templates with our mark, and machines that are to become one, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<NodeName, TemplateSeen>,
    /// Machines and templates with our mark that cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// Load balancers with our mark, by name.
    pub load_balancers: BTreeMap<ClusterName, LoadBalancerSeen>,
    /// What is kept around servers: ours, and what has a name that so nobody else can have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceSeen>,
    /// What the cluster itself has made there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<Stray>,
    /// Numbers, names and addresses that are taken by what is not ours.
    pub taken: Vec<Taken>,
    /// Snapshots with our mark, by machine, oldest first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<NodeName, Vec<String>>,
    /// The job with our mark that backs machines up; none where the provider keeps no such jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<Seen<BackupJobSeen>>,
}

/// What the names of our snapshots begin with.
pub const SNAPSHOT_MARK: &str = "kubewright-";

/// A job that backs machines up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJobSeen {
    /// When, in the provider's words.
    pub schedule: String,
    /// The storage for the backups.
    pub storage: String,
    /// How many are kept, in the provider's words.
    pub keep: String,
    /// The machines; what is not ours by its number.
    pub machines: BTreeSet<NodeName>,
}

/// Something of somebody else's that stands where we want to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// Its number.
    pub vmid: Option<Vmid>,
    /// It is being made at this moment, so that nothing tells yet whose it is: it may be ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub being_made: bool,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It runs.
    Running,
    /// It is off.
    Stopped,
}

/// A machine that a provider has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSeen {
    /// The mark that it carries.
    pub owner: Owner,
    /// Where it is; it may have been moved.
    pub place: PlaceName,
    /// The provider's number.
    pub vmid: Option<Vmid>,
    /// Whether it runs.
    pub power: Power,
    /// Its address.
    pub address: Option<IpAddr>,
    /// The address by which the world reaches it, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<IpAddr>,
    /// What is set of it, as its next start will have it.
    #[serde(default)]
    pub settings: Settings,
    /// The provider refuses to delete it.
    pub protected: bool,
    /// It runs, and settings of it are in force from its next start on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// The template of ours that it was cloned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Origin>,
    /// Its provider keeps it available because we asked for it: what others asked for stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ha_of_ours: bool,
}

/// The template that a machine was cloned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its name, with its version.
    pub name: NodeName,
    /// The machine's disk hangs on the template's, which so cannot go.
    pub linked: bool,
}

/// A template of ours, or a machine that is to become one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSeen {
    /// The mark that it carries.
    pub owner: Owner,
    /// Where it is.
    pub place: PlaceName,
    /// The provider's number.
    pub vmid: Option<Vmid>,
    /// It is a template, and not still a machine.
    pub finished: bool,
    /// The provider refuses to delete it.
    pub protected: bool,
}

/// A load balancer that a provider has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerSeen {
    /// The mark that it carries.
    pub owner: Owner,
    /// Its public address.
    pub address: Option<IpAddr>,
    /// Its address in the private network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_address: Option<IpAddr>,
    /// What is set of it.
    pub settings: BalancerSettings,
    /// Its targets, and whether each is healthy. What is no server of the provider is named by its address.
    pub targets: BTreeMap<NodeName, bool>,
}
