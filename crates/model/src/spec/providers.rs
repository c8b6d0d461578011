//! Where machines come from, and with which credentials.

use std::net::IpAddr;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::desired::PROXMOX;
use crate::ids::{NodeName, ProviderName};
use crate::net::{Cidr, NumberRange};
use crate::spec::forms;
use crate::spec::pools::ProxmoxMachines;
use crate::spec::secrets::SecretRef;

/// Where machines come from. Hosts that exist already need nothing here.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Providers {
    /// Proxmox VE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxmox: Option<Proxmox>,
    /// Further Proxmox VE clusters, by names of your own. Pools choose one by `proxmox.cluster`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub proxmox_clusters: IndexMap<ProviderName, Proxmox>,
    /// Hetzner Cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hetzner: Option<Hetzner>,
    /// Virtual machines on this computer, by QEMU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Local>,
}

impl Providers {
    /// Every Proxmox cluster by the name that machines know it by, the one without a name of its own first.
    pub fn proxmox_clusters(&self) -> impl Iterator<Item = (ProviderName, &Proxmox)> {
        let own = self.proxmox.iter().map(|proxmox| (PROXMOX.into(), proxmox));
        own.chain(self.proxmox_clusters.iter().map(|(name, proxmox)| (name.clone(), proxmox)))
    }

    /// The Proxmox cluster that a pool's machines are at.
    pub fn proxmox_of(&self, machines: &ProxmoxMachines) -> Option<&Proxmox> {
        match &machines.cluster {
            Some(name) => self.proxmox_clusters.get(name),
            None => self.proxmox.as_ref(),
        }
    }
}

/// A Proxmox VE node or cluster, and its defaults for machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proxmox {
    /// The API's address: `https://proxade:8006`.
    #[schemars(with = "forms::HttpsAddress")]
    pub endpoint: String,
    /// Other nodes of the same Proxmox cluster, asked in turn while the one before cannot be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ProxmoxEndpoint>,
    /// The API token's id: `root@pam!kubewright`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::TokenId>")]
    pub token_id: Option<String>,
    /// The API token's secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<SecretRef>,
    /// The user, in the place of a token: `root@pam`. Kubewright logs in and gets a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::ProxmoxUser>")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// The SHA-256 fingerprint of the API's certificate, where no CA that this computer knows has signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Fingerprint>")]
    pub fingerprint: Option<String>,
    /// The file with the certificate of the CA that has signed the API's: Proxmox' own is `/etc/pve/pve-root-ca.pem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub ca_file: Option<String>,
    /// Accept whatever certificate the API shows. Whoever is in between then reads the token or the password.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The Proxmox node for machines.
    #[schemars(with = "forms::ProxmoxNode")]
    pub node: String,
    /// The storage for disks.
    #[serde(default = "default_storage")]
    #[schemars(with = "forms::Storage")]
    pub storage: String,
    /// The storage for ISO files and container templates.
    #[serde(default = "default_iso_storage")]
    #[schemars(with = "forms::Storage")]
    pub iso_storage: String,
    /// The bridge for network cards.
    #[serde(default = "default_bridge")]
    #[schemars(with = "forms::Bridge")]
    pub bridge: String,
    /// The VMIDs to choose from, for machines without one of their own. A machine that is there keeps the one that it has; a new one
    /// gets the next that nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmids: Option<NumberRange>,
    /// Root's way into the Proxmox hosts by SSH, for what the API does not accept: raw `lxc.*` lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<ProxmoxSsh>,
    /// The pool of Proxmox that machines are put into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::ProxmoxPool>")]
    pub pool: Option<String>,
}

/// Another node of a Proxmox cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxmoxEndpoint {
    /// The address of its API.
    #[schemars(with = "forms::HttpsAddress")]
    pub endpoint: String,
    /// The SHA-256 fingerprint of its own certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Fingerprint>")]
    pub fingerprint: Option<String>,
}

fn default_storage() -> String {
    "local-lvm".into()
}

fn default_iso_storage() -> String {
    "local".into()
}

fn default_bridge() -> String {
    "vmbr0".into()
}

/// SSH to the Proxmox hosts themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxmoxSsh {
    /// The user. Only root may write `/etc/pve`.
    #[serde(default = "root")]
    #[schemars(with = "forms::LoginName")]
    pub user: String,
    /// The port.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The private key's file; without it, the SSH agent's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub key_file: Option<String>,
    /// Where Proxmox nodes are reached, by their names: `proxade: 192.168.1.2`. Without it, a node is at the `endpoint` that
    /// has its name, or at the only one where all machines are on one node, or its name is looked up.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<forms::ProxmoxNode, forms::Host>")]
    pub addresses: IndexMap<String, String>,
}

pub(crate) fn root() -> String {
    "root".into()
}

pub(crate) fn ssh_port() -> u16 {
    22
}

/// A Hetzner Cloud project, and its defaults for servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hetzner {
    /// The project's API token, one that may read and write.
    pub token: SecretRef,
    /// The address of the API, where it is not Hetzner's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::WebAddress>")]
    pub endpoint: Option<String>,
    /// The location of servers: `fsn1`, `nbg1`, `hel1`, …
    #[schemars(with = "forms::HetznerName")]
    pub location: String,
    /// The network zone of private networks and load balancers.
    #[serde(default = "default_zone")]
    #[schemars(with = "forms::HetznerName")]
    pub network_zone: String,
    /// The image of servers.
    #[serde(default = "default_image")]
    #[schemars(with = "forms::HetznerName")]
    pub image: String,
    /// The private network that the servers are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<HetznerNetwork>,
    /// Spread the servers of the control plane over different physical machines.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub spread_servers: bool,
    /// The firewall of servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<HetznerFirewall>,
    /// Certificates for load balancers that end TLS, by name. One that is not named here has to be there already.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub certificates: IndexMap<String, HetznerCertificate>,
    /// Have Hetzner refuse to delete servers and load balancers, and to build servers anew. Kubewright lifts it from what a
    /// plan deletes, and only where it has set it itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// Keep the public addresses of servers, so that one that is made anew has its own again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_addresses: bool,
    /// Public IPv4 addresses for servers.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub public_ipv4: bool,
    /// Public IPv6 addresses for servers.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub public_ipv6: bool,
}

fn default_zone() -> String {
    "eu-central".into()
}

fn default_image() -> String {
    "ubuntu-24.04".into()
}

/// A private network at Hetzner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerNetwork {
    /// The network's name.
    pub name: String,
    /// The network's whole range; `network.cidr` is its subnet.
    pub ip_range: Cidr,
    /// It is there already and stays: nothing of it is changed or deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub existing: bool,
    /// The node of this file through which servers without public addresses reach the world: it has a public address, and
    /// hands on in its own name what they send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<NodeName>,
    /// Further routes of the network: where packets for a range go.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<Cidr, IpAddr>")]
    pub routes: IndexMap<Cidr, IpAddr>,
}

/// A certificate at Hetzner: `domains` of one that Hetzner gets and renews, or the files of one that you bring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerCertificate {
    /// The domains of a certificate that Hetzner gets and renews; their DNS is at Hetzner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::Domain>")]
    pub domains: Vec<String>,
    /// The certificate and those that vouch for it, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<SecretRef>,
    /// Its private key, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
}

/// A firewall at Hetzner: what is not allowed in is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerFirewall {
    /// What may come in.
    pub allow: Vec<FirewallRule>,
}

/// What a firewall rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirewallProtocol {
    /// TCP, with a port.
    Tcp,
    /// UDP, with a port.
    Udp,
    /// ICMP, without a port.
    Icmp,
}

/// One thing that may come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FirewallRule {
    /// TCP, UDP or ICMP.
    pub protocol: FirewallProtocol,
    /// A port or a run of ports: `80`, `30000-32767`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<NumberRange>,
    /// From where.
    pub from: Vec<Cidr>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Virtual machines on this computer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Local {
    /// The folder for disks and images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub folder: Option<String>,
    /// The address of the cloud image to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::HttpsAddress>")]
    pub image: Option<String>,
}
