//! What was seen, and what could not be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::desired::DesiredRelease;
use crate::digest::Digest;
use crate::facts::HostFacts;
use crate::host::{Before, Mode, UserWish, short_key};
use crate::ids::{ClusterName, Namespace, NodeName, Owner, PlaceName, ProviderName, ReleaseName, Vmid};
use crate::object::ObjectId;
use crate::setting::Settings;
use crate::unread::Unread;
use crate::version::Version;

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
    /// The digest of its settings.
    pub settings: Digest,
    /// Its targets, and whether each is healthy.
    pub targets: BTreeMap<NodeName, bool>,
}

/// A host that answered.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostSeen {
    /// The operating system: `Debian 12`.
    pub os: String,
    /// The architecture: `amd64`, `arm64`.
    pub arch: String,
    /// Seconds that its clock is ahead of ours.
    pub clock_skew: i64,
    /// Installed packages, of those that were asked for.
    pub packages: BTreeSet<String>,
    /// Loaded modules, of those that were asked for.
    pub modules: BTreeSet<String>,
    /// Kernel settings that were asked for.
    pub sysctls: BTreeMap<String, String>,
    /// Files that were asked for and are there.
    pub files: BTreeMap<String, FileSeen>,
    /// The lines of our blocks, and the lines that were asked for and are there, by file.
    pub blocks: BTreeMap<String, Vec<String>>,
    /// Links that were asked for and are there.
    pub links: BTreeMap<String, String>,
    /// Units that were asked for and are there.
    pub units: BTreeMap<String, UnitSeen>,
    /// Users that were asked for and are there.
    pub users: BTreeMap<String, UserSeen>,
    /// Single settings by the resource's key: host name, time zone, locale, swap, time service, SSH daemon.
    pub settings: BTreeMap<String, String>,
    /// What of Kubernetes is on the host, and what it belongs to.
    pub kubernetes: Option<KubernetesSeen>,
    /// Whose it is, as the first change of it wrote down there. One that only an older version changed does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// What we have touched there so far, by the key of its resource, and what was there before. Some of it no resource of
    /// the spec names: `folder /etc/rancher`, `group deploy`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ours: BTreeMap<String, Before>,
    /// What checks before a first change go by; none where nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<HostFacts>,
    /// What cloud-init has not done; none where it has, and where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_init: Option<CloudInit>,
}

/// What cloud-init, which sets a host up as its provider says, has not done in this boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CloudInit {
    /// It is at work: it names the host, installs, upgrades, and may start it again.
    AtWork,
    /// It has ended, and this went wrong.
    Failed(String),
}

impl HostSeen {
    /// Whether it has been made a member of a cluster, and so may hold something of one.
    pub fn is_member(&self) -> bool {
        self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined)
    }

    /// Whether a server of a cluster runs on it.
    pub fn serves(&self) -> bool {
        self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.serving)
    }
}

/// A user that is there.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSeen {
    /// The login shell.
    pub shell: String,
    /// Of the groups that were asked for, those that it is in.
    pub groups: BTreeSet<String>,
    /// The keys in our block.
    pub keys: Vec<String>,
    /// Keys beside it, as people know them again: by them others come in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_keys: Vec<String>,
    /// Our rule for sudo is there; or what is in its place is another one.
    pub sudo: Option<bool>,
    /// The mark that was written down when we set it up.
    pub mark: Option<Digest>,
}

impl UserSeen {
    /// What there is of a wish, as [`UserWish::lines`] has it.
    pub fn lines(&self, wish: &UserWish) -> Vec<String> {
        let groups = wish.groups.iter().filter(|group| self.groups.contains(*group));
        let groups = groups.map(|group| format!("group {group}"));
        let keys = self.keys.iter().map(|key| format!("key {}", short_key(key)));
        let sudo =
            self.sudo.map(|ours| if ours { "sudo without a password" } else { "sudo by another rule" }.to_string());
        let password = wish.password_hash.as_ref().filter(|_| self.mark.as_ref() == Some(&wish.mark()));
        let password = password.map(|_| "password as it is set".to_string());
        std::iter::once(format!("shell {}", self.shell)).chain(sudo).chain(password).chain(groups).chain(keys).collect()
    }
}

impl From<&UserWish> for UserSeen {
    /// A user that is as it was wished.
    fn from(wish: &UserWish) -> Self {
        Self {
            shell: wish.shell.clone(),
            groups: wish.groups.iter().cloned().collect(),
            keys: wish.authorized_keys.clone(),
            other_keys: Vec::new(),
            sudo: wish.sudo.then_some(true),
            mark: Some(wish.mark()),
        }
    }
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    /// The digest of its content.
    pub digest: Digest,
    /// Its mode.
    pub mode: Mode,
    /// `user:group`.
    pub owner: String,
    /// What is in it, where that is not what was asked for, everybody on the host may read it, and it is no longer than
    /// [`SHOWN_TEXT`]: plans are shown and kept, so what only some may read is in none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Bytes of the longest text that is shown when it differs.
pub const SHOWN_TEXT: usize = 16 * 1024;

/// A unit that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitSeen {
    /// The digest of its file.
    pub content: Option<Digest>,
    /// Started at boot.
    pub enabled: bool,
    /// It runs.
    pub active: bool,
    /// What it read when it started, as we wrote it down then.
    pub reads: Option<Digest>,
}

/// What of Kubernetes is on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesSeen {
    /// The version of the program that is there.
    pub version: Option<Version>,
    /// It has been made a member of a cluster: a datastore or an agent's certificates are there.
    pub joined: bool,
    /// A server of it runs, with or without its unit: RKE2's etcd and API server go on when that ends.
    pub serving: bool,
    /// The unit of a server was started and has not said yet that it is ready. What serves meanwhile, if anything, is what
    /// was there before.
    #[serde(default)]
    pub starting: bool,
    /// It holds etcd's data, and nothing says which cluster it joins if it loses them: it would begin another one.
    #[serde(default)]
    pub begins: bool,
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
