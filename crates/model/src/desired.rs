//! What the spec means in full: every machine named, every file's text known.

mod machines;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::airgap::AirGap;
use crate::applications::DesiredApplications;
use crate::balancer::BalancerSettings;
use crate::bundle::DesiredBundle;
use crate::checked::Group;
use crate::cloud::DesiredResource;
use crate::condition::Condition;
use crate::digest::Digest;
use crate::host::HostResource;
use crate::ids::{
    ClusterName, HoleName, Namespace, NodeName, Owner, PlaceName, PoolName, ProviderName, ReleaseName, Vmid,
};
use crate::net::{Cidr, HostPort};
use crate::object::{Manifest, ObjectId};
use crate::recipe::Recipe;
use crate::rotation::{Rotation, Round};
use crate::spec::ClusterFile;
use crate::spec::addons::OnFailure;
use crate::spec::kubernetes::{API_PORT, Datastore, Distribution};
use crate::spec::load_balancers::LoadBalancer;
use crate::spec::notifications::{MailTls, Occasion};
use crate::spec::pools::Role;
use crate::spec::secrets::SecretRef;
use crate::units::Span;
use crate::vault::DesiredVault;
use crate::version::Version;

pub use machines::{
    Body, Card, DesiredBackupJob, DesiredMachine, EXISTING, HETZNER, HETZNER_TOKEN, HetznerProject, LxcBody, PROXMOX,
    ProxmoxCluster, ProxmoxIdentity, ProxmoxTrust, Reserve, ServerBody, VmBody, VmImage, VmSource, VmTemplate,
    certificate_secrets, primary_ip, proxmox_password, proxmox_token,
};

/// What the spec means in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The mark of everything that is ours.
    pub owner: Owner,
    /// The cluster itself.
    pub kubernetes: DesiredKubernetes,
    /// Machines, in the order of the file.
    pub machines: Vec<DesiredMachine>,
    /// Hosts, one for each machine, and the hypervisors that need a word from us.
    pub hosts: Vec<DesiredHost>,
    /// What a cloud keeps around servers, in the order in which it is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<DesiredResource>,
    /// Templates of virtual machines that we build ourselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<DesiredTemplate>,
    /// Kubernetes' nodes.
    pub members: Vec<DesiredMember>,
    /// What ends the distribution on a host that the spec does not know any more.
    pub leaving: Leaving,
    /// Load balancers that a provider runs. Those on hosts are files of those hosts.
    pub load_balancers: Vec<DesiredLoadBalancer>,
    /// What the files of load balancers on hosts say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<DesiredProxy>,
    /// Groups of objects, in the order in which they are applied.
    pub objects: Vec<DesiredObjects>,
    /// Helm releases, in the order in which they are installed.
    pub releases: Vec<DesiredRelease>,
    /// Argo CD's applications that a run waits for, where Argo CD is the spec's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<DesiredApplications>,
    /// Vault, where it runs on the cluster and keeps what it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<DesiredVault>,
    /// Where the `helm` program comes from in its publisher's place, when it is not on the PATH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_mirror: Option<String>,
    /// What proves that the cluster works.
    pub checks: Vec<DesiredCheck>,
    /// Where the secrets are that holes name.
    pub secrets: BTreeMap<String, SecretRef>,
    /// Secrets that are bcrypt hashes of others: their names, and those of the passwords.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub password_hashes: BTreeMap<String, String>,
    /// The spec that this is the meaning of, for what it would mean with another version of Kubernetes. It is not kept with
    /// the rest.
    #[serde(skip)]
    pub spec: Option<Arc<ClusterFile>>,
    /// The SOPS file that some of them are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sops_file: Option<String>,
    /// Proxmox clusters, by the providers that they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proxmox: BTreeMap<ProviderName, ProxmoxCluster>,
    /// The Hetzner project, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hetzner: Option<HetznerProject>,
    /// The jobs that back whole machines up, one for each provider that keeps any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup_jobs: Vec<DesiredBackupJob>,
    /// What is done about packages of the operating system that wait for an update.
    #[serde(default, skip_serializing_if = "OsUpdates::is_default")]
    pub os_updates: OsUpdates,
    /// Agents that nobody reaches are shut off by their provider.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fences: bool,
    /// Machines are snapshotted before what may break them, and so many snapshots of each stay afterwards; none: they are
    /// not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_snapshots: Option<u32>,
    /// Agents that may be out of service at once.
    pub max_unavailable: u32,
    /// How long a drain may take.
    pub drain_timeout: Span,
    /// The cluster may not be destroyed.
    pub protected: bool,
    /// Objects whose fields are taken from whoever else has set them. No spec says so: it is asked for one run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub take: Vec<ObjectId>,
    /// What the cluster itself has made at its cloud goes with it. No spec says so: it is asked for one run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub take_strays: bool,
    /// A rebuild goes ahead although nothing is saved before. No spec says so: it is asked for one run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_backup: bool,
    /// A rebuild does not go on with one that was cut. No spec says so: it is asked for one run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_scratch: bool,
    /// A rebuild begins the cluster with what was saved of its datastore. No spec says so: it is asked for one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<Saved>,
    /// Servers that a restore leaves out because nobody can reach them. No spec says so: it is asked for one run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<NodeName>,
    /// How often it is looked whether the world is as the spec says, where that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Span>,
    /// Who is told of what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<DesiredNotification>,
    /// What is saved in one file beside the datastore's snapshot. No spec says so: it is asked for one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Box<DesiredBundle>>,
    /// The bundle that everything from outside comes from, so that nothing goes to the network. No spec says so: it is asked for
    /// one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub airgap: Option<AirGap>,
    /// Parts of the spec that this version of the program has no hands for, by name.
    pub missing: Vec<Missing>,
}

/// What a cluster is begun with that is not begun empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Saved {
    /// What was saved last.
    Latest,
    /// This file on this computer.
    File(String),
    /// What a bundle held, of which this computer has a copy.
    Bundle {
        /// The copy.
        file: String,
        /// What the bundle's canary says.
        canary: String,
    },
}

impl Saved {
    /// Its file on this computer, where one is named.
    pub fn file(&self) -> Option<&String> {
        match self {
            Self::Latest => None,
            Self::File(file) | Self::Bundle { file, .. } => Some(file),
        }
    }

    /// What the canary of the cluster says when this was put back; none where nobody can know it.
    pub fn canary(&self) -> Option<&String> {
        match self {
            Self::Latest | Self::File(_) => None,
            Self::Bundle { canary, .. } => Some(canary),
        }
    }
}

/// What is done about packages of the operating system that wait for an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OsUpdates {
    /// Nobody asks for them.
    #[default]
    Leave,
    /// Hosts are asked.
    Look,
    /// Hosts are asked, and the packages are upgraded.
    Make,
}

impl OsUpdates {
    /// Whether nobody asks for them.
    pub fn is_default(&self) -> bool {
        *self == Self::Leave
    }
}

impl Desired {
    /// The machine with this name.
    pub fn machine(&self, name: &NodeName) -> Option<&DesiredMachine> {
        self.machines.iter().find(|machine| machine.name == *name)
    }

    /// Every machine that we make: those of nodes, and those that become templates.
    pub fn all_machines(&self) -> impl Iterator<Item = &DesiredMachine> {
        self.machines.iter().chain(self.templates.iter().map(|template| &template.machine))
    }

    /// The hosts of machines and hypervisors, and those that templates are built on.
    pub fn all_hosts(&self) -> impl Iterator<Item = &DesiredHost> {
        self.hosts.iter().chain(self.templates.iter().map(|template| &template.host))
    }

    /// The members of the control plane.
    pub fn servers(&self) -> impl Iterator<Item = &DesiredMember> {
        self.members.iter().filter(|member| member.role.is_server())
    }
}

/// Somebody who is told of something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredNotification {
    /// Who.
    pub to: DesiredReceiver,
    /// Of what.
    pub on: Vec<Occasion>,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DesiredReceiver {
    /// JSON for whoever listens at an address.
    Webhook {
        /// The secret that is the address.
        url: HoleName,
        /// The secret that requests are signed with.
        key: Option<HoleName>,
    },
    /// A channel of Slack.
    Slack {
        /// The secret that is the address.
        url: HoleName,
    },
    /// A room of Matrix.
    Matrix {
        /// The home server's address, without a slash at its end.
        server: String,
        /// The room's identifier.
        room: String,
        /// The secret that is the access token.
        token: HoleName,
    },
    /// An e-mail.
    Email(DesiredEmail),
}

/// Without what nobody is to read.
impl fmt::Display for DesiredReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook { .. } => f.write_str("the webhook"),
            Self::Slack { .. } => f.write_str("Slack"),
            Self::Matrix { server, room, .. } => write!(f, "{room} at {server}"),
            Self::Email(email) => write!(f, "{}, by {}", email.to.join(", "), email.server),
        }
    }
}

/// An e-mail, and who sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredEmail {
    /// The server that sends it.
    pub server: HostPort,
    /// How the connection to it is encrypted.
    pub tls: MailTls,
    /// The user there.
    pub user: Option<String>,
    /// The secret that is the user's password.
    pub password: Option<HoleName>,
    /// Whom it is from.
    pub from: String,
    /// Whom it goes to.
    pub to: Vec<String>,
}

/// A part of the spec that this version of the program has no hands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// The part: `provider hetzner`, `distribution talos`.
    pub what: String,
    /// What cannot be done without it, or is left as it is.
    pub effect: String,
    /// The cluster would not be what the spec says, so nothing is done.
    pub blocks: bool,
}

/// The cluster itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredKubernetes {
    /// The distribution.
    pub distribution: Distribution,
    /// Its exact version.
    pub version: Version,
    /// Where the API server keeps its data.
    pub datastore: Datastore,
    /// Where clients reach the API.
    pub endpoint: HostPort,
    /// The pods' network.
    pub pod_network: Cidr,
    /// The Services' network.
    pub service_network: Cidr,
    /// What the cluster is begun with and keeps for its whole life, for people: `pod network` → `10.42.0.0/16`.
    pub foundation: BTreeMap<String, String>,
}

impl DesiredKubernetes {
    /// The port at which a server itself serves the API: the endpoint's, where clients look for it at that very server. A
    /// balancer's port is its own.
    pub fn api_port(&self, server: Option<IpAddr>) -> u16 {
        let is_it = server.is_some() && self.endpoint.address() == server;
        if is_it { self.endpoint.port } else { API_PORT }
    }
}

/// The tag of a machine that is to become a template or is one, beside the owner's. No owner's tag looks like it.
pub const TEMPLATE_TAG: &str = "kubewright_template";

/// A template of virtual machines that we build: a machine is made from an image, set up, cleaned of all that only it may
/// be, and turned into a template.
///
/// Its name ends in its version, the digest of everything that it is built from. So a template is the right one when its
/// name is, and another version is built beside the old one, which stays until the new one is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredTemplate {
    /// The machine that becomes it.
    pub machine: DesiredMachine,
    /// How its host is reached, and what is set up on it.
    pub host: DesiredHost,
    /// Leaves nothing on the host that a clone must not have.
    pub clean: Arc<Recipe>,
    /// The VMIDs that it may have. A new version takes the one that the old version does not have.
    pub vmids: [Vmid; 2],
}

impl DesiredTemplate {
    /// Its name.
    pub fn name(&self) -> &NodeName {
        &self.machine.name
    }
}

/// The name by which a way leads to the computer that the program runs on, which nobody else can have.
pub const THIS_COMPUTER: &str = "this computer";

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The address.
    pub address: Option<IpAddr>,
    /// The name, where there is no address; a hypervisor's, by which the user's own configuration may know another; or
    /// [`THIS_COMPUTER`].
    pub name: Option<String>,
    /// The SSH port.
    pub port: u16,
    /// The port of a host whose SSH daemon was not set up yet, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_before: Option<u16>,
    /// The user.
    pub user: Arc<str>,
    /// The private key's file.
    pub key_file: Option<Arc<str>>,
    /// The host to go through.
    pub jump: Option<Arc<str>>,
    /// The key that the host must show, known before the first contact: a public key or its SHA-256 fingerprint. Without
    /// it, the host is taken at its word once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<Arc<str>>,
    /// The secret that is the user's password, for the first contact with a host that has no key of ours yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<HoleName>,
    /// The secret that is sudo's password, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo: Option<HoleName>,
    /// It runs Talos, which has an API and no SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talos: Option<TalosWay>,
}

/// How Talos is reached beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TalosWay {
    /// Where it answers while it waits for its configuration; none where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<IpAddr>,
}

/// A host and everything that should be true of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredHost {
    /// The host's name.
    pub name: NodeName,
    /// The machine that it runs on; none for a hypervisor.
    pub machine: Option<NodeName>,
    /// How it is reached.
    pub way: Way,
    /// The operating system that is expected: `Ubuntu 24.04`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Everything that should be true of it, in the order in which it is made true.
    pub resources: Vec<HostResource>,
    /// The TCP ports that what we set up on it listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listens: Vec<u16>,
}

/// A node of Kubernetes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredMember {
    /// The node's name.
    pub name: NodeName,
    /// Its pool.
    pub pool: PoolName,
    /// What it does.
    pub role: Role,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Its taints.
    pub taints: Arc<Vec<String>>,
    /// What its distribution does to make it a member, and to end it.
    pub recipes: MemberRecipes,
}

/// The hole for the name of a member that is taken out of the datastore, and behind it where its etcd was, if that is known.
pub const FORGOTTEN: &str = "cluster/forgotten";

/// How a member gets new certificates. It comes in two parts: where the old ones have expired, servers do not talk to one
/// another, and none of them serves before most have new ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Makes them, on the host alone.
    pub renew: Arc<Recipe>,
    /// Waits until the member goes by them. A server gives the way in that goes with them.
    pub settle: Arc<Recipe>,
}

/// What is done about a server that was cut off while it was made. In between, another one takes it out of the datastore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halfway {
    /// Waits for what may still be at work on the host, and fails when that has ended well.
    pub ended: Arc<Recipe>,
    /// Leaves nothing of it on the host.
    pub clear: Arc<Recipe>,
}

/// What a distribution does with a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberRecipes {
    /// Starts a new cluster; servers only.
    pub init: Option<Arc<Recipe>>,
    /// Joins the cluster.
    pub join: Arc<Recipe>,
    /// What is done about a server that was cut off while it was made, where nobody else cleans up after that.
    pub halfway: Option<Halfway>,
    /// Ends what a run that was cut off may leave undone: to say which cluster a server with etcd belongs to, or to have a
    /// kubelet of kubeadm start with its host.
    pub belong: Option<Arc<Recipe>>,
    /// Lets other nodes in for a while, where nobody may join without that; servers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admit: Option<Arc<Recipe>>,
    /// Takes another member out of the datastore, where Kubernetes does not do that by itself; servers only. Who that is, is
    /// the hole [`FORGOTTEN`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget: Option<Arc<Recipe>>,
    /// Puts the version that is wished in the place of the one that runs.
    pub upgrade: Arc<Recipe>,
    /// Leaves nothing of the distribution on the host.
    pub leave: Arc<Recipe>,
    /// Saves the datastore; servers only.
    pub snapshot: Option<Arc<Recipe>>,
    /// Gives what is worth saving beside the datastore, in the hole [`KEYS`](crate::bundle::KEYS): keys, certificates and
    /// tokens; servers only, where they are on hosts and do not come with the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Arc<Recipe>>,
    /// Puts a saved datastore back; servers only.
    pub restore: Option<Arc<Recipe>>,
    /// Ends its member and puts the datastore aside, before another state of that is put back; the host stays set up.
    /// Nothing where the member goes on meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_down: Option<Arc<Recipe>>,
    /// Makes the member's certificates anew.
    pub renewal: Renewal,
    /// How the cluster goes over to another token or key, part by part, where its distribution can do that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub turnovers: BTreeMap<Rotation, Vec<Round>>,
}

/// What leaves nothing of a distribution on a host, by what the host was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leaving {
    /// On a server.
    pub server: Arc<Recipe>,
    /// On an agent.
    pub agent: Arc<Recipe>,
}

/// A load balancer that a provider runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredLoadBalancer {
    /// The load balancer's name.
    pub name: ClusterName,
    /// Its provider.
    pub provider: ProviderName,
    /// What the spec says of it.
    pub spec: LoadBalancer,
    /// What is to be set of it.
    pub settings: BalancerSettings,
    /// Where it is.
    pub location: PlaceName,
    /// Its targets.
    pub targets: Vec<NodeName>,
    /// Those of them that are no servers of its provider, and so are reached by their addresses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<NodeName, IpAddr>,
}

/// HAProxy on a host of ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredProxy {
    /// The host.
    pub host: NodeName,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Those of the others in its pool, which it hands floating addresses on to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<IpAddr>,
    /// Its place in the pool.
    #[serde(default)]
    pub turn: usize,
    /// The load balancers that it is, in the order of the file.
    pub balancers: Vec<ProxyBalancer>,
}

/// A load balancer in HAProxy's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProxyBalancer {
    /// The load balancer's name.
    pub name: ClusterName,
    /// Its settings.
    pub spec: LoadBalancer,
    /// The nodes that it sends to, and the address or the name that each is reached at.
    pub targets: Vec<(NodeName, String)>,
    /// The password of its statistics, where it shows any.
    pub password: Option<HoleName>,
}

/// Objects that are applied together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredObjects {
    /// The group's name: `namespaces`, `routes`.
    pub name: String,
    /// The add-on or section of the spec that wants them.
    pub part: String,
    /// The objects.
    pub manifests: Vec<Manifest>,
    /// Releases whose CRDs or webhooks the objects need.
    pub after: Vec<ReleaseName>,
}

/// A Helm release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredRelease {
    /// The release's name.
    pub name: ReleaseName,
    /// Its namespace.
    pub namespace: Namespace,
    /// The add-on that wants it.
    pub part: String,
    /// The chart's name, its `oci://` address or its folder.
    pub chart: String,
    /// The repository's address.
    pub repository: Option<String>,
    /// The chart's version.
    pub version: Option<Version>,
    /// The values, ours with the user's on top. Holes stand in them as `‹hole:NAME›`.
    pub values: Value,
    /// Releases that must be there first.
    pub after: Vec<ReleaseName>,
    /// It makes pods ready to have a network, so nothing waits for Ready nodes before it.
    pub before_ready: bool,
    /// What becomes of it when its workloads do not run.
    #[serde(default, skip_serializing_if = "OnFailure::leaves")]
    pub on_failure: OnFailure,
    /// How long its workloads may take, where that is not as long as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// The digest of its chart, as the lock file has it; of a folder's files, as they are now. Lowering knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl DesiredRelease {
    /// The digest of what we would hand to Helm, without secrets. What is in a folder has no version that would tell.
    pub fn fingerprint(&self) -> Digest {
        let said = (&self.chart, &self.repository, &self.version, &self.values);
        match self.digest.as_ref().filter(|_| self.is_folder()) {
            Some(files) => Digest::of_value(&(said, files)),
            None => Digest::of_value(&said),
        }
    }

    /// Whether its chart is a folder beside the spec.
    pub fn is_folder(&self) -> bool {
        ["./", "../", "/"].iter().any(|start| self.chart.starts_with(start))
    }
}

/// One thing that proves that the cluster works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredCheck {
    /// The check's name, for people.
    pub name: String,
    /// What it is about.
    pub group: Group,
    /// What must hold.
    pub condition: Condition,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nesting_of_an_unprivileged_container_is_no_matter_of_root() {
        let body = |privileged: bool, features: &[&str]| LxcBody {
            template: "local:vztmpl/debian.tar.zst".into(),
            storage: "local-lvm".into(),
            card: Card::default(),
            privileged,
            features: features.iter().map(|feature| (*feature).to_string()).collect(),
            raw: Vec::new(),
            swap: None,
            download: None,
            mounts: Vec::new(),
        };
        assert!(!body(false, &["nesting"]).features_need_root() && !body(true, &[]).features_need_root());
        assert!(body(true, &["nesting"]).features_need_root() && body(false, &["fuse"]).features_need_root());
    }
}
