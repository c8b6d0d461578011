//! What is on a host.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::facts::{Boot, HostFacts, Updates};
use crate::host::{Before, Mode, UserWish, short_key};
use crate::ids::Owner;
use crate::talos::TalosSeen;
use crate::version::Version;

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
    /// How it was started; none where nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// Packages of its operating system that wait for an update. Only who wants to know asks for them: it takes time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<Updates>,
    /// Until when its certificates for Kubernetes are good, in seconds since 1970, by their place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, u64>,
    /// When it told that, by our clock, in seconds since 1970; none where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// What Talos tells of itself, where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talos: Option<TalosSeen>,
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

/// So long before a certificate ends it is time to have it made anew.
pub const ENDS_SOON: u64 = 30 * 86_400;

impl HostSeen {
    /// The certificate that ends first, and when; those of authorities are made anew by nobody here. Without what its kubelet
    /// shows, which is for logs and measurements: everybody is answered at the API without that.
    pub fn ends_first(&self) -> Option<(&str, u64)> {
        self.earliest(|place| !is_shown_by_a_kubelet(place))
    }

    /// The same of what its kubelet shows.
    pub fn kubelet_shows_until(&self) -> Option<(&str, u64)> {
        self.earliest(is_shown_by_a_kubelet)
    }

    /// Those of both that end within [`ENDS_SOON`] of the look, or have ended.
    pub fn ends_soon(&self) -> impl Iterator<Item = (&str, u64)> {
        let ends = self.ends_first().into_iter().chain(self.kubelet_shows_until());
        ends.filter(|(_, until)| self.at.is_some_and(|at| *until <= at + ENDS_SOON))
    }

    fn earliest(&self, counts: impl Fn(&str) -> bool) -> Option<(&str, u64)> {
        let made = self.certificates.iter().filter(|(place, _)| !is_of_an_authority(place) && counts(place));
        made.min_by_key(|(_, until)| **until).map(|(place, until)| (place.as_str(), *until))
    }

    /// Whether a certificate of it without which nobody answers is good no more.
    pub fn has_expired(&self) -> bool {
        self.at.zip(self.ends_first()).is_some_and(|(at, (_, until))| until <= at)
    }

    /// Whether it has been made a member of a cluster, and so may hold something of one.
    pub fn is_member(&self) -> bool {
        self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.joined)
    }

    /// Whether what would have made it a member was cut off.
    pub fn is_half_a_member(&self) -> bool {
        self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.under_way)
    }

    /// Whether a cluster was being begun on it, or an agent joined, when that was cut off: it holds nothing that anybody misses.
    pub fn was_cut(&self) -> bool {
        self.is_half_a_member() && !self.is_member() && !self.may_vote()
    }

    /// Whether that was a server which joined, so that etcd may have taken it in.
    pub fn may_vote(&self) -> bool {
        self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.may_vote)
    }

    /// Whether a server of a cluster runs on it.
    pub fn serves(&self) -> bool {
        self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.serving)
    }
}

/// Whether a certificate is that of an authority: `server-ca.crt`, `ca.crt`, and of K3s `client-ca.nochain.crt`.
pub fn is_of_an_authority(place: &str) -> bool {
    place.ends_with("ca.crt") || place.ends_with("-ca.nochain.crt")
}

/// Whether a certificate is what a kubelet of kubeadm shows at its own port: given by the cluster, or signed by itself.
pub fn is_shown_by_a_kubelet(place: &str) -> bool {
    ["kubelet-server-current.pem", "kubelet.crt"].iter().any(|name| place.ends_with(&format!("kubelet/pki/{name}")))
}

/// What has a certificate made anew. Kubelets ask for theirs by themselves, and somebody has to approve.
/// <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation>
pub fn renewed_by(place: &str) -> &'static str {
    match is_shown_by_a_kubelet(place) {
        true => {
            "its kubelet asks for another one by itself, and nobody has approved it: `kubewright doctor`, `kubectl get csr`"
        }
        false => "`kubewright rotate certificates` has them made anew",
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
    /// kubeadm was cut off while it made it a member: parts of one may run, and etcd may have taken it in.
    #[serde(default)]
    pub under_way: bool,
    /// That was a server which joined: its data may be a member's of etcd, and its vote needed.
    #[serde(default)]
    pub may_vote: bool,
}
