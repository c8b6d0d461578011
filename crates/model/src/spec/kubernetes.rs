//! The distribution, its version, its networks and its API endpoint.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::PoolName;
use crate::net::{AddressRange, Cidr};
use crate::spec::forms;
use crate::spec::secrets::SecretRef;
use crate::version::Version;

/// A way to install Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// K3s, one small binary.
    K3s,
    /// RKE2, Rancher's hardened distribution.
    Rke2,
    /// kubeadm, the Kubernetes project's own installer.
    Kubeadm,
    /// Talos, an operating system that is only Kubernetes.
    Talos,
}

impl Distribution {
    /// The distribution's name as its makers write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::K3s => "K3s",
            Self::Rke2 => "RKE2",
            Self::Kubeadm => "kubeadm",
            Self::Talos => "Talos",
        }
    }

    /// The port at which nodes register, of an endpoint at which the API has this one.
    /// <https://docs.rke2.io/install/requirements#networking>
    pub fn registration_port(self, api: u16) -> u16 {
        match self {
            Self::Rke2 => SUPERVISOR_PORT,
            Self::K3s | Self::Kubeadm | Self::Talos => api,
        }
    }
}

/// RKE2's own API beside that of Kubernetes, with which nodes register.
pub const SUPERVISOR_PORT: u16 = 9345;

/// Where the API server keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Datastore {
    /// etcd in the control plane itself.
    #[default]
    Etcd,
    /// SQLite in the one server; K3s only, and never more than one server.
    Sqlite,
}

/// The Kubernetes distribution, exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubernetes {
    /// Which distribution.
    pub distribution: Distribution,
    /// The exact version, as the distribution writes it: `v1.31.4+k3s1`, `v1.33.5+rke2r1`, `v1.31.4`. For Talos, the
    /// version of Kubernetes; Talos' own is `talos.version`.
    pub version: Version,
    /// The versions that an upgrade goes through where it needs more than one step, one for each minor version. Without
    /// them: the newest of each minor version that this program knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Version>,
    /// Where the API server keeps its data.
    #[serde(default)]
    pub datastore: Datastore,
    /// The pods' network.
    #[serde(default = "default_pod_network")]
    pub pod_network: Cidr,
    /// The Services' network.
    #[serde(default = "default_service_network")]
    pub service_network: Cidr,
    /// The DNS domain inside of the cluster.
    #[serde(default = "default_cluster_domain")]
    pub cluster_domain: String,
    /// Where clients reach the API.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// The pods' network plug-in. Without it: the distribution's own default.
    #[serde(default)]
    pub cni: Cni,
    /// Encrypt Secrets in the datastore.
    #[serde(default)]
    pub encrypt_secrets: bool,
    /// The container runtime, where the distribution does not bring its own (kubeadm).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerd: Option<Containerd>,
    /// Settings for Talos; only with that distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talos: Option<Talos>,
    /// The token that nodes join with. Without it, one is made and kept as a secret. Those of kubeadm have a form of their own:
    /// six signs, a point, sixteen more, all of them small letters or digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_token: Option<SecretRef>,
    /// A token with which nodes join as agents and as nothing else (K3s and RKE2): `{ generate: agent-token }`. Without it
    /// agents hold the one of the servers, with which whoever is root on an agent can be it on all. A cluster keeps what it
    /// was begun with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_token: Option<SecretRef>,
    /// Where the files of releases come from in the publisher's place (K3s and RKE2): the address of a mirror from which hosts
    /// download, or `file:` and a folder of this computer, from which they are sent over SSH. A relative one begins in
    /// the folder of this file. Below it lies a folder for each version, with the publisher's files and lists of digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Mirror>")]
    pub mirror: Option<String>,
    /// Load images from an archive on each host instead of pulling them (K3s and RKE2).
    #[serde(default)]
    pub airgap_images: bool,
    /// What hosts and cluster are hardened to (RKE2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What the API server writes into its audit log (RKE2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_policy: Option<AuditPolicy>,
    /// Registries that images come from, by name; `*` stands for all others (K3s and RKE2; on kubeadm `mirrors` and `caFile`).
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub registries: IndexMap<String, Registry>,
    /// Further settings for the distribution's own configuration file on servers (of kubeadm: its ClusterConfiguration), in
    /// its own words. They may not set what kubewright sets itself.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub server_config: IndexMap<String, Value>,
    /// Further settings for the distribution's own configuration file on agents, in its own words.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub agent_config: IndexMap<String, Value>,
}

/// What a cluster is hardened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The benchmark of the Center for Internet Security: kernel settings, a user for etcd, and pods that may do little
    /// unless their namespace says otherwise.
    Cis,
}

/// What the API server writes into its audit log, in Kubernetes' own words.
/// <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditPolicy {
    /// Rules of which the first that fits a request decides: `level: Metadata`, and what it is for.
    #[schemars(extend("minItems" = 1))]
    pub rules: Vec<IndexMap<String, Value>>,
    /// Stages of a request of which nothing is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omit_stages: Vec<String>,
}

/// A registry of images.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// Addresses that are asked in its place, one after the other; it is asked itself last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::WebAddress>")]
    pub mirrors: Vec<String>,
    /// What names of images are at the mirrors: regular expressions, and what takes their place.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rewrite: IndexMap<String, String>,
    /// Who asks, where it lets in only whom it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<RegistryLogin>,
    /// The file on every host with the certificate of the authority that vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub ca_file: Option<String>,
}

/// A user of a registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryLogin {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: SecretRef,
}

fn default_pod_network() -> Cidr {
    Cidr::known("10.42.0.0/16")
}

fn default_service_network() -> Cidr {
    Cidr::known("10.43.0.0/16")
}

fn default_cluster_domain() -> String {
    "cluster.local".into()
}

/// Where clients reach the API. Without it: the address of a server, where there is one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// The address or DNS name that clients use. Without it, it is that of the load balancer or of the only server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Host>")]
    pub host: Option<String>,
    /// The port.
    #[serde(default = "default_api_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The load balancer of this file that stands before the API, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<String>,
    /// A virtual IP that the servers hand on among themselves: by kube-vip on K3s and RKE2, on Talos by itself; not yet on
    /// kubeadm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_ip: Option<VirtualIp>,
    /// Further names and addresses in the API's certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::Host>")]
    pub alternative_names: Vec<String>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { host: None, port: API_PORT, load_balancer: None, virtual_ip: None, alternative_names: Vec::new() }
    }
}

/// The Kubernetes API's usual port.
pub const API_PORT: u16 = 6443;

fn default_api_port() -> u16 {
    API_PORT
}

/// An address that moves among the servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualIp {
    /// The address. It belongs to no machine.
    pub address: AddressRange,
    /// The network interface that holds it. Without it: the one with the default route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Interface>")]
    pub interface: Option<String>,
}

/// The pods' network plug-in: at most one of these.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cni {
    /// Flannel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flannel: Option<Flannel>,
    /// Cilium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cilium: Option<Cilium>,
    /// Canal, RKE2's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canal: Option<Canal>,
    /// Calico, as RKE2 brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calico: Option<Calico>,
}

/// How Flannel carries packets between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlannelBackend {
    /// UDP port 8472, works everywhere.
    #[default]
    Vxlan,
    /// Plain routes; the hosts must be in one network.
    HostGw,
    /// Encrypted, UDP port 51820.
    WireguardNative,
}

/// Flannel. On K3s and RKE2 it is built in; on kubeadm it is a release of its chart.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Flannel {
    /// The version of its chart, where it is not built in: `v0.28.9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// How packets are carried.
    #[serde(default)]
    pub backend: FlannelBackend,
    /// The interface for the traffic between nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Interface>")]
    pub interface: Option<String>,
}

/// Canal: Flannel's network with Calico's policies.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canal {
    /// The interface for the traffic between nodes. Without it: the one with the default route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Interface>")]
    pub interface: Option<String>,
}

/// Calico: its own network and its policies.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calico {}

/// Cilium, from its Helm chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cilium {
    /// The chart's version, which is Cilium's own.
    pub version: Version,
    /// Cilium does kube-proxy's work.
    #[serde(default = "yes")]
    pub kube_proxy_replacement: bool,
    /// Announce LoadBalancer addresses in the local network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2_announcements: Option<L2Announcements>,
    /// Hubble, the view into the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hubble: Option<Hubble>,
    /// Further chart values.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// Addresses for LoadBalancer Services, announced by ARP and NDP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct L2Announcements {
    /// Pools of addresses, by name.
    #[schemars(extend("minProperties" = 1))]
    #[schemars(with = "forms::ByName<PoolName, Vec<AddressRange>>")]
    pub pools: IndexMap<PoolName, Vec<AddressRange>>,
    /// The interfaces to announce on, as regular expressions. Without it: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
}

/// Hubble's parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hubble {
    /// The relay that joins the nodes' flows.
    #[serde(default = "yes")]
    pub relay: bool,
    /// The web page.
    #[serde(default = "yes")]
    pub ui: bool,
}

pub(crate) fn yes() -> bool {
    true
}

/// containerd, where the distribution does not bring it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Containerd {
    /// The exact version.
    pub version: Version,
}

/// Talos' own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Talos {
    /// The version of Talos.
    pub version: Version,
    /// The disk that Talos is installed on.
    #[serde(default = "default_install_disk")]
    #[schemars(with = "forms::Device")]
    pub install_disk: String,
    /// The image factory's schematic id, for system extensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Sha256>")]
    pub schematic: Option<String>,
    /// System extensions, in the image factory's words: `siderolabs/iscsi-tools`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::TalosExtension>")]
    pub extensions: Vec<String>,
    /// The image factory, which makes images with extensions.
    #[serde(default = "default_factory")]
    #[schemars(with = "forms::WebAddress")]
    pub factory: String,
    /// The network interface that has the node's addresses. Without it: the only physical one there is; from Talos v1.12
    /// on it is needed where nodes have addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Interface>")]
    pub interface: Option<String>,
    /// The cluster's PKI and tokens, as `talosctl gen secrets` writes them into a file. Without it, they are made and kept in
    /// the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretRef>,
    /// Patches to the machine configuration of all nodes, in Talos' own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<IndexMap<String, Value>>,
}

/// What of Talos differs on a pool's nodes.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TalosPool {
    /// The disk that Talos is installed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Device>")]
    pub install_disk: Option<String>,
    /// The network interface that has the node's addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Interface>")]
    pub interface: Option<String>,
    /// Patches to the machine configuration of the pool's nodes, after those of all nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<IndexMap<String, Value>>,
    /// What differs on single nodes, by their names.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<crate::ids::NodeName, TalosNode>")]
    pub nodes: IndexMap<crate::ids::NodeName, TalosNode>,
}

/// What of Talos differs on one node.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TalosNode {
    /// The disk that Talos is installed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Device>")]
    pub install_disk: Option<String>,
    /// The network interface that has the node's addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Interface>")]
    pub interface: Option<String>,
    /// Patches to the node's machine configuration, after those of its pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<IndexMap<String, Value>>,
}

fn default_factory() -> String {
    "https://factory.talos.dev".into()
}

fn default_install_disk() -> String {
    "/dev/sda".into()
}
