//! Talos Linux: an operating system that is only Kubernetes. It has an API and no shell, and one machine configuration says
//! everything that a node is.
//!
//! <https://www.talos.dev/v1.11/reference/configuration/>, <https://www.talos.dev/v1.11/reference/api/>

mod reading;
mod schematic;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::NodeName;
use crate::observed::MemberSeen;
use crate::text::Text;
use crate::units::{Size, Span};
use crate::version::Version;

pub use reading::{Link, links};
pub use schematic::Schematic;

/// The port of Talos' API. <https://www.talos.dev/v1.11/learn-more/talos-network-connectivity/>
pub const TALOS_API: u16 = 50000;

/// The port of Talos' own balancer for the API, which listens on every node.
/// <https://www.talos.dev/v1.11/kubernetes-guides/configuration/kubeprism/>
pub const KUBEPRISM: u16 = 7445;

/// The secret that holds the PKI and the tokens of a cluster of Talos: a file as `talosctl gen secrets` writes it.
pub const TALOS_SECRETS: &str = "talos";

/// What stands for the kubeconfig of the cluster's administrators among what a recipe gives: Talos has no file of it.
pub const TALOS_KUBECONFIG: &str = "kubeconfig";

/// The hole of a part of those secrets: `machine.ca.crt`.
pub fn part(name: &str) -> crate::ids::HoleName {
    crate::ids::HoleName::of_secret(&format!("{TALOS_SECRETS}.{name}"))
}

/// The machine configuration of a node: one document or several, in the order in which they are written.
///
/// It is kept as JSON with holes, which no secret is in, so that it can be shown, compared and saved; what Talos gets is YAML.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineConfig(Text);

impl MachineConfig {
    /// A configuration of these documents.
    pub fn of(documents: &[Value]) -> Self {
        Self(Text::of_json(&Value::from(documents).to_string()))
    }

    /// The text with its holes.
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// The documents, with holes as [`crate::text::in_json`] writes them.
    pub fn documents(&self) -> Vec<Value> {
        documents_of(&self.0.to_json())
    }
}

fn documents_of(json: &str) -> Vec<Value> {
    // It was written by `MachineConfig::of`, so it is a list.
    serde_json::from_str(json).unwrap_or_default()
}

/// The image that Talos is installed from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TalosImage {
    /// The version of Talos.
    pub version: Version,
    /// The installer's image: `factory.talos.dev/metal-installer/SCHEMATIC:v1.11.5`.
    pub image: String,
    /// The system extensions in it, in the image factory's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// The schematic's id, where the image is made by the image factory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schematic: Option<String>,
    /// The address of the factory that has to be told the extensions before it makes the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factory: Option<String>,
}

impl TalosImage {
    /// Whether a Talos of this version, made from this schematic, was installed from it. The factory's plain image is the plain
    /// installer's.
    pub fn is(&self, version: &Version, schematic: Option<&str>) -> bool {
        self.version.bare() == version.bare() && beyond_plain(self.schematic.as_deref()) == beyond_plain(schematic)
    }
}

/// A schematic that makes more than the plain image.
pub fn beyond_plain(schematic: Option<&str>) -> Option<&str> {
    let plain = Schematic::new(&[], &[]).map(|plain| plain.id.to_string()).ok();
    schematic.filter(|id| Some(*id) != plain.as_deref())
}

/// The version of the kubelet that a configuration names.
pub fn kubelet_version(documents: &[Value]) -> Option<Version> {
    let old = documents.iter().find_map(|document| document.pointer("/machine/kubelet/image"));
    let new = || documents.iter().find(|document| document["kind"] == "KubeletConfig")?.get("image");
    old.or_else(new)?.as_str()?.rsplit_once(':')?.1.parse().ok()
}

/// Something that is asked of Talos by its API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TalosCall {
    /// Begin etcd on this node. Talos refuses where it has data.
    Bootstrap,
    /// Begin etcd on this node with what was saved of it: the file that the hole [`crate::recipe::SNAPSHOT`] names.
    Recover,
    /// Wait until the node is a member: on a server, that etcd counts its vote; on both, that its kubelet runs.
    Joined {
        /// Its etcd is one of the cluster's.
        server: bool,
        /// How long at most.
        timeout: Span,
    },
    /// Wait until Kubernetes of this version runs: the kubelet, and on a server the pods of its control plane.
    Runs {
        /// Kubernetes' version.
        version: Version,
        /// It has a control plane.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        server: bool,
        /// How long at most.
        timeout: Span,
    },
    /// Take another member out of etcd: the one that the hole [`crate::desired::FORGOTTEN`] names.
    Forget,
    /// Wipe the disk but for Talos itself and start again, in maintenance mode.
    Reset {
        /// How long until it answers there, at most.
        timeout: Span,
    },
    /// Start the kubelet again, which has its certificates made anew.
    RestartKubelet,
    /// Save etcd into a file beside the journals of this computer, which fills the hole [`crate::recipe::SNAPSHOT`].
    Snapshot,
}

/// What is being done, for people.
impl fmt::Display for TalosCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bootstrap => "bootstrapping etcd",
            Self::Recover => "bootstrapping etcd from a snapshot",
            Self::Joined { server: true, .. } => "waiting until etcd has the node as a voting member",
            Self::Joined { server: false, .. } => "waiting until the kubelet is let in",
            Self::Runs { server: true, .. } => {
                "waiting until the kubelet and the control plane run with the new version"
            }
            Self::Runs { server: false, .. } => "waiting until the kubelet runs with the new version",
            Self::Forget => "taking a member out of etcd",
            Self::Reset { .. } => "resetting to maintenance mode",
            Self::RestartKubelet => "restarting the kubelet",
            Self::Snapshot => "saving etcd",
        })
    }
}

/// What Talos tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TalosSeen {
    /// The version that runs.
    pub version: Version,
    /// It waits for its configuration, and lets everybody give it one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// The documents of its configuration. Secrets that we know are holes, and others are not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<Value>,
    /// The schematic of the image that it runs from, where the image factory has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schematic: Option<String>,
    /// The disks that it could be installed on, by their device.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disks: BTreeMap<String, Size>,
    /// The disk that it is installed on; none while it is on none, and where nobody tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_disk: Option<String>,
    /// Its physical network interfaces, each with the other names that it goes by; none where nobody tells.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Vec<String>>,
    /// The members of etcd as this node knows them; none where its etcd does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<BTreeMap<NodeName, MemberSeen>>,
}
