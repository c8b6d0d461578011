//! What was seen, and what could not be seen.

mod hosts;
mod inventory;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::applications::ApplicationSeen;
use crate::desired::DesiredRelease;
use crate::digest::Digest;
use crate::ids::{Namespace, NodeName, Owner, ProviderName, ReleaseName, StepId};
use crate::object::{Manifest, ObjectId, ObjectKey};
use crate::rotation::KeySeen;
use crate::vault::VaultSeen;
use crate::version::Version;

pub use hosts::{
    CloudInit, ENDS_SOON, FileSeen, HostSeen, KubernetesSeen, SHOWN_TEXT, UnitSeen, UserSeen, is_of_an_authority,
    is_shown_by_a_kubelet, renewed_by,
};
pub use inventory::{
    BackupJobSeen, Inventory, LoadBalancerSeen, MachineSeen, Origin, Power, SNAPSHOT_MARK, Taken, TemplateSeen,
};

pub use services::ServiceSeen;

/// Why something could not be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// In words.
    pub words: String,
    /// It does not pass by itself, so nobody needs to wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lasts: bool,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Why {
    /// What somebody has to mend.
    pub fn lasting(words: impl Into<String>) -> Self {
        Self { words: words.into(), lasts: true, help: None }
    }

    /// The words, about something with this name.
    pub fn of(&self, name: &str) -> String {
        match self.words.strip_prefix(name) {
            // What is said of it begins with its name.
            Some(rest) if rest.starts_with(' ') => self.words.clone(),
            _ => format!("{name}: {}", self.words),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// What came of looking. "Could not look" is not "is not there".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Seen<T> {
    /// It is there.
    Present(T),
    /// It is certainly not there.
    Absent,
    /// Nobody could look.
    Unknown(Why),
}

impl<T> Seen<T> {
    /// Could not look, because.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(Why { words: why.into(), ..Why::default() })
    }

    /// What is there, if it is.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// What is there, if it is, to be changed.
    pub fn present_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// Why nobody could look, if so.
    pub fn why_unknown(&self) -> Option<&Why> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::Present(_) | Self::Absent => None,
        }
    }
}

/// Everything that was seen in one round.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// What each provider has.
    pub providers: BTreeMap<ProviderName, Seen<Inventory>>,
    /// Each host of a machine that is there. Hosts that are not in here were not there to be asked.
    pub hosts: BTreeMap<NodeName, Seen<HostSeen>>,
    /// Kubernetes' own view; absent when no member of a control plane runs anywhere.
    pub cluster: Option<Seen<ClusterSeen>>,
    /// What the cluster was begun with ([`crate::desired::DesiredKubernetes::foundation`]), as it was written down then;
    /// absent where nothing was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foundation: Option<Seen<BTreeMap<String, String>>>,
    /// What a rebuild that was cut has still to take away, as its journal tells; absent where none goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<BTreeSet<NodeName>>,
    /// Members of which a rotation that was cut has already done its part, as its journal tells.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rotated: BTreeSet<NodeName>,
    /// Steps of a rotation that was cut which need not be done once more, as its journal tells.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub turned: BTreeSet<StepId>,
    /// Secrets that another one is to take the place of, or has and not everybody goes by it yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pending: BTreeSet<String>,
    /// SSH keys on this computer by the files that the spec names, where it was asked for others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, Seen<KeySeen>>,
    /// The digests of texts with holes, once filled; by the text's fingerprint. A text that is not in here has a hole
    /// whose value does not exist yet.
    pub filled: BTreeMap<Digest, Digest>,
}

impl Observed {
    /// A world in which certainly nothing is there, for the providers named.
    pub fn nothing(providers: impl IntoIterator<Item = ProviderName>) -> Self {
        Self {
            providers: providers.into_iter().map(|name| (name, Seen::Present(Inventory::default()))).collect(),
            cluster: Some(Seen::Absent),
            ..Self::default()
        }
    }

    /// Services of type LoadBalancer, where the cluster could be looked at.
    pub fn services(&self) -> Option<&BTreeMap<ObjectKey, ServiceSeen>> {
        Some(&self.cluster.as_ref()?.present()?.services)
    }

    /// The hosts that did not answer.
    pub fn silent(&self) -> impl Iterator<Item = &NodeName> {
        self.hosts.iter().filter(|(_, seen)| seen.why_unknown().is_some()).map(|(name, _)| name)
    }

    /// What nobody could look at, by its name, and why, each of it once.
    pub fn unknown(&self) -> Vec<(&str, Why)> {
        let providers = self.providers.iter().filter_map(|(name, seen)| Some((name.as_str(), seen.why_unknown()?)));
        let hosts = self.hosts.iter().filter_map(|(name, seen)| Some((name.as_str(), seen.why_unknown()?)));
        let told: Vec<(&str, &Why)> = providers.chain(hosts).collect();
        let unread = self.providers.values().filter_map(Seen::present).flat_map(|inventory| &inventory.unread);
        let unread = unread.map(|it| (it.name.as_ref().map_or(it.place.as_str(), NodeName::as_str), it.why()));
        // A cluster is out of reach where its hosts are, and says so.
        let cluster = self.cluster.as_ref().and_then(|seen| seen.why_unknown()).map(|why| {
            let shorter = |short: String, (_, why): &(&str, &Why)| short.replace(&format!("; {why}"), "");
            ("the cluster", Why { words: told.iter().fold(why.words.clone(), shorter), ..why.clone() })
        });
        told.iter().map(|(name, why)| (*name, (*why).clone())).chain(unread).chain(cluster).collect()
    }
}

/// Kubernetes' own view.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterSeen {
    /// Nodes by name.
    pub nodes: BTreeMap<NodeName, NodeSeen>,
    /// Members of etcd by name; empty where there is none.
    pub members: BTreeMap<NodeName, MemberSeen>,
    /// Namespaces.
    pub namespaces: BTreeSet<Namespace>,
    /// Objects that carry our mark, with the digest of what we applied.
    #[serde(with = "pairs")]
    pub objects: BTreeMap<ObjectId, Digest>,
    /// Kinds whose objects could not be listed, and why, as [`ObjectId::kind_of_group`] has them: nobody knows whether one
    /// is there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unlisted: BTreeMap<String, String>,
    /// Helm releases, by their namespace and name: a name may be there several times.
    #[serde(with = "pairs")]
    pub releases: BTreeMap<(Namespace, ReleaseName), ReleaseSeen>,
    /// Services of type LoadBalancer, whosever they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ObjectKey, ServiceSeen>,
    /// Argo CD's applications, whosever they are; they are looked at where the spec has Argo CD.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationSeen>,
    /// Vault, where the spec has one and its release is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultSeen>,
    /// The image of kube-proxy, where the distribution makes it once and upgrades it no more; none where there is no kube-proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_proxy: Option<String>,
    /// Until when the certificates are good that API servers show, in seconds since 1970, by their addresses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, u64>,
}

impl ClusterSeen {
    /// Why nobody knows whether an object is there; none where that is known.
    pub fn why_unknown(&self, object: &ObjectId) -> Option<&str> {
        self.unlisted.get(&object.kind_of_group()).map(String::as_str)
    }

    /// The release that would be this one, whosever it is.
    pub fn release(&self, wish: &DesiredRelease) -> Option<&ReleaseSeen> {
        self.releases.get(&(wish.namespace.clone(), wish.name.clone()))
    }
}

/// The label of a node that we cordoned, set and taken away with the cordon itself: a run that was cut off in between
/// is made good by the next, and what others cordoned stays so.
pub const CORDONED: &str = "kubewright.dev/cordoned";

/// A node as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSeen {
    /// The kubelet says that it is Ready.
    pub ready: bool,
    /// No new pods are put on it.
    pub cordoned: bool,
    /// The kubelet's version.
    pub version: Version,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<String>,
    /// The labels and taints with which its distribution started it, as we told it to: `label KEY`, `taint TAINT`. Only
    /// these are ever taken away. K3s shows them in the annotation `k3s.io/node-args`.
    #[serde(default)]
    pub given: BTreeSet<String>,
    /// It is a member of the control plane.
    pub server: bool,
    /// The address that its kubelet tells (`InternalIP`): the way to a host that the spec does not know any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// A member of etcd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSeen {
    /// It votes; a learner does not yet.
    pub voter: bool,
    /// It answers.
    pub healthy: bool,
}

/// A Helm release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSeen {
    /// The mark that it carries, if it is ours.
    pub owner: Option<Owner>,
    /// The chart's version.
    pub version: Option<Version>,
    /// The digest of what we handed to Helm.
    pub fingerprint: Option<Digest>,
    /// It was deployed without failing.
    pub deployed: bool,
    /// Its objects as they are and as they would be; looked at only where the wish differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Rendered>,
}

/// The objects of a release. No secret is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rendered {
    /// They are known.
    Objects {
        /// As they were installed.
        there: Vec<Manifest>,
        /// As the chart renders them with what is wished.
        wished: Vec<Manifest>,
    },
    /// Nobody could render them, because.
    Unknown(String),
}

/// A map whose keys are no texts, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_reach_is_told_once() {
        let off = "h1 cannot be reached (TCP): refused";
        let observed = Observed {
            providers: [("proxmox".into(), Seen::Unknown(Why::lasting("no token")))].into(),
            hosts: [("h1".into(), Seen::unknown(off)), ("h2".into(), Seen::unknown("h20 is odd"))].into(),
            cluster: Some(Seen::unknown(format!("no kubeconfig is kept; {off}"))),
            ..Observed::default()
        };
        let told: Vec<String> = observed.unknown().iter().map(|(name, why)| why.of(name)).collect();
        assert_eq!(told, ["proxmox: no token", off, "h2: h20 is odd", "the cluster: no kubeconfig is kept"]);
    }
}
