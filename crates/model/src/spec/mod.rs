//! What the user writes: one file, one [`ClusterFile`].
//!
//! The types are the language. The JSON Schema for editors, the reference page and the structural checks all come from
//! them, and the doc comments here are the words that users read. To load a file, see [`load`].
//!
//! Enums have no data and there is no `flatten`, `untagged` or `tag`: they would lose the place of an error. Where one
//! of several things may be said, there is one optional field for each, and a rule of the planner sees to it that
//! exactly one is there.

pub mod addons;
pub mod backup;
pub mod drift;
pub mod formats;
pub mod forms;
pub mod hosts;
pub mod ingress;
pub mod kubernetes;
pub mod load;
pub mod load_balancers;
pub mod logs;
pub mod network;
pub mod notifications;
pub mod pools;
pub mod providers;
mod salvage;
pub mod schema;
pub mod secrets;
pub mod verify;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, Namespace, PoolName};
use crate::object::ObjectKey;

pub use addons::{AddOns, Chart, ManifestSource};
pub use backup::{Backup, Maintenance};
pub use hosts::HostSettings;
pub use ingress::Ingress;
pub use kubernetes::{Distribution, Kubernetes};
pub use load::{Loaded, load, load_layered};
pub use load_balancers::LoadBalancer;
pub use network::Network;
pub use pools::{Pool, Role};
pub use providers::Providers;
pub use salvage::Salvaged;
pub use secrets::{SecretRef, Secrets};
pub use verify::Verify;

/// The version of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only version so far.
    #[serde(rename = "kubewright.dev/v1alpha1")]
    V1Alpha1,
}

/// What the file describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// One Kubernetes cluster with everything below and above it.
    Cluster,
}

/// A cluster: its machines, its hosts, Kubernetes, and what runs on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterFile {
    /// The version of this language.
    pub api_version: ApiVersion,
    /// What the file describes.
    pub kind: Kind,
    /// What the cluster is called.
    pub metadata: Metadata,
    /// What the cluster is.
    pub spec: ClusterSpec,
}

/// What the cluster is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The cluster's name. It marks everything that kubewright makes, so it should not change.
    pub name: ClusterName,
    /// One sentence for people; it heads the generated documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The environment, for example `dev` or `prod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// Everything about the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// The Kubernetes distribution and its version.
    pub kubernetes: Kubernetes,
    /// Where machines come from, and with which credentials.
    #[serde(default)]
    pub providers: Providers,
    /// The network that the hosts are in.
    #[serde(default)]
    pub network: Network,
    /// Groups of nodes that are alike, by name.
    #[schemars(extend("minProperties" = 1))]
    #[schemars(with = "forms::ByName<PoolName, Pool>")]
    pub pools: IndexMap<PoolName, Pool>,
    /// Load balancers in front of the cluster, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ClusterName, LoadBalancer>")]
    pub load_balancers: IndexMap<ClusterName, LoadBalancer>,
    /// How the hosts are set up: packages, files, kernel settings, users, SSH.
    #[serde(default)]
    pub hosts: HostSettings,
    /// The ingress controller and the routes by host name.
    #[serde(default)]
    pub ingress: Ingress,
    /// Namespaces to make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// ConfigMaps to make, by `namespace/name`: each is a map from key to text.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectKey, IndexMap<String, String>>")]
    pub config_maps: IndexMap<ObjectKey, IndexMap<String, String>>,
    /// Where secrets are kept, and the Secrets to make in the cluster.
    #[serde(default)]
    pub secrets: Secrets,
    /// What runs on the cluster: storage, monitoring, logs, Vault, certificates, any chart, any manifest.
    #[serde(default)]
    pub addons: AddOns,
    /// What proves that the cluster works.
    #[serde(default)]
    pub verify: Verify,
    /// What is backed up, when and where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// Who is told of what: of runs, of drift, of what ends soon, of checks that do not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<notifications::Notification>,
    /// How changes that disturb are made.
    #[serde(default)]
    pub maintenance: Maintenance,
}
