//! Machines and who makes them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Way;
use crate::digest::Digest;
use crate::ids::{HoleName, NodeName, PlaceName, PoolName, ProviderName, Vmid};
use crate::net::NumberRange;
use crate::setting::{Setting, Settings};
use crate::spec::pools::{HighAvailability, Mount, Startup, TemplateDownload};
use crate::units::{Balloon, Size};

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredMachine {
    /// The machine's name.
    pub name: NodeName,
    /// Its pool.
    pub pool: PoolName,
    /// Its provider.
    pub provider: ProviderName,
    /// The provider's place for it: a Proxmox node, a Hetzner location.
    pub place: PlaceName,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Processor cores.
    pub cores: Option<u32>,
    /// Memory.
    pub memory: Option<Size>,
    /// The system disk.
    pub disk: Option<Size>,
    /// What it is made of.
    pub body: Arc<Body>,
    /// The provider's number for it, where the spec chooses it.
    pub vmid: Option<Vmid>,
    /// Tags or labels beside our own.
    pub tags: Vec<String>,
    /// Started with its hypervisor.
    pub on_boot: bool,
    /// When it starts and stops among the others of its hypervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Startup>,
    /// What its provider shows people beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How its provider keeps it available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha: Option<HighAvailability>,
}

impl DesiredMachine {
    /// What is wished to be set of it. What exists already is not ours to set.
    pub fn settings(&self) -> Settings {
        let own = match &*self.body {
            Body::Existing => return Settings::default(),
            Body::Lxc(lxc) => lxc.settings(self.address),
            Body::Vm(vm) => vm.settings(self.address),
            Body::Server(server) => server.settings(),
            Body::Local => Vec::new(),
        };
        // What a cloud's server is like its type says, and its cloud starts it with whatever it is on.
        let sized = !matches!(&*self.body, Body::Server(_));
        let sizes = [
            self.cores.filter(|_| sized).map(Setting::Cores),
            self.memory.filter(|_| sized).map(Setting::Memory),
            self.disk.filter(|_| sized).map(Setting::Disk),
            Some(Setting::tags(&self.tags)),
            sized.then_some(Setting::OnBoot(self.on_boot)),
            self.startup.map(Setting::Startup),
            self.description.clone().map(Setting::Description),
            self.ha.as_ref().map(|_| Setting::Ha(true)),
            self.ha.as_ref().and_then(|ha| ha.group.clone()).map(Setting::HaGroup),
        ];
        sizes.into_iter().flatten().chain(own).collect()
    }

    /// What is wished of it where it is. Who moved it to another place has found it what it needs there.
    pub fn settings_at(&self, place: &PlaceName) -> Settings {
        let of_its_place = |it: &Setting| matches!(it, Setting::Storage(_) | Setting::Bridge(_) | Setting::Vlan(_));
        self.settings().iter().filter(|it| *place == self.place || !of_its_place(it)).cloned().collect()
    }
}

/// The provider of hosts that were there before us. Nothing is made or deleted there.
pub const EXISTING: &str = "existing";

/// What a machine is made of: the part that is the same for a whole pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// A Proxmox container.
    Lxc(LxcBody),
    /// A Proxmox virtual machine.
    Vm(VmBody),
    /// A Hetzner server.
    Server(ServerBody),
    /// A host that exists already, at the provider [`EXISTING`].
    Existing,
    /// A virtual machine on this computer.
    Local,
}

impl Body {
    /// Whether it is a guest of Proxmox, which takes snapshots of it and changes it where it is.
    pub fn is_guest(&self) -> bool {
        matches!(self, Self::Lxc(_) | Self::Vm(_))
    }
}

/// The first network card of a machine of Proxmox, and what the machine is told of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The bridge that it is at.
    pub bridge: String,
    /// The VLAN tag.
    pub vlan: Option<u16>,
    /// The network's prefix length, where it is said.
    pub prefix: Option<u8>,
    /// The default gateway.
    pub gateway: Option<IpAddr>,
    /// DNS servers.
    pub nameservers: Vec<IpAddr>,
    /// DNS search domains.
    pub search_domains: Vec<String>,
}

impl Card {
    /// The length of an address' prefix. Networks of six are cut at 64 unless somebody says otherwise, as Linux' own
    /// autoconfiguration has it; those of four at 24.
    pub fn prefix_of(&self, address: IpAddr) -> u8 {
        self.prefix.unwrap_or(if address.is_ipv6() { 64 } else { 24 })
    }

    /// The gateway, if it can be reached from an address.
    pub fn gateway_of(&self, address: IpAddr) -> Option<IpAddr> {
        self.gateway.filter(|gateway| gateway.is_ipv6() == address.is_ipv6())
    }

    fn settings(&self, address: Option<IpAddr>) -> Vec<Setting> {
        let settings = [
            Some(Setting::Bridge(self.bridge.clone())),
            self.vlan.map(Setting::Vlan),
            address.map(|address| Setting::Prefix(self.prefix_of(address))),
            address.and_then(|address| self.gateway_of(address)).map(Setting::Gateway),
            Setting::nameservers(&self.nameservers),
            Setting::search_domains(&self.search_domains),
        ];
        settings.into_iter().flatten().collect()
    }
}

/// A Proxmox container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LxcBody {
    /// The container template's volume.
    pub template: String,
    /// The storage for the root disk.
    pub storage: String,
    /// Its network card.
    pub card: Card,
    /// Root of the hypervisor's user namespace.
    pub privileged: bool,
    /// `fuse`, `keyctl`, `mknod`, `nesting`.
    pub features: Vec<String>,
    /// Raw lines of the configuration, which the API accepts from nobody.
    pub raw: Vec<String>,
    /// Swap.
    pub swap: Option<Size>,
    /// Where the template comes from, where Proxmox' own list has none of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<TemplateDownload>,
    /// Further volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
}

impl LxcBody {
    /// Whether only root may give the features, so that they are lines that go over SSH: the API accepts nothing but
    /// `nesting` from a token, and that only for a container that is not privileged.
    pub fn features_need_root(&self) -> bool {
        !self.features.is_empty() && (self.privileged || self.features.iter().any(|feature| feature != "nesting"))
    }

    fn settings(&self, address: Option<IpAddr>) -> Vec<Setting> {
        // Those that go over SSH are lines of the hypervisor's, and of a privileged container none goes another way.
        let features = !self.privileged && !self.features_need_root();
        let settings = [
            Some(Setting::Storage(self.storage.clone())),
            Some(Setting::Privileged(self.privileged)),
            features.then(|| Setting::features(&self.features)),
            Some(Setting::Swap(self.swap)),
        ];
        let mounts = self.mounts.iter().map(|mount| Setting::Mount(mount.path.clone(), mount.size));
        self.card.settings(address).into_iter().chain(settings.into_iter().flatten()).chain(mounts).collect()
    }
}

/// A Proxmox virtual machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmBody {
    /// What its system disk is made from.
    pub source: VmSource,
    /// The storage for disks.
    pub storage: String,
    /// Its network card.
    pub card: Card,
    /// The CPU type.
    pub cpu: String,
    /// The bus and number of the system disk: `scsi0`, `virtio0`.
    pub disk_slot: String,
    /// The disk's format.
    pub format: String,
    /// The SCSI controller.
    pub scsi_controller: String,
    /// How little memory it may be left with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Balloon>,
    /// An I/O thread of its own.
    pub io_thread: bool,
    /// The guest agent is in the template.
    pub agent: bool,
    /// Queues of the network card.
    pub network_queues: Option<u32>,
    /// Further disks.
    pub extra_disks: Vec<Size>,
    /// The secret that is the hash of the user's password, for the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<HoleName>,
    /// The storage for the image of our own that tells cloud-init everything. Without it, the provider's drive does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso: Option<String>,
}

impl VmBody {
    /// The template that it is cloned from, where it is.
    pub fn template(&self) -> Option<&VmTemplate> {
        match &self.source {
            VmSource::Clone(template) => Some(template),
            VmSource::Image(_) => None,
        }
    }

    /// Whether it is tied to its template.
    pub fn is_linked(&self) -> bool {
        self.template().is_some_and(|template| template.linked)
    }

    fn settings(&self, address: Option<IpAddr>) -> Vec<Setting> {
        // A linked clone is where its template is.
        let storage = (!self.is_linked()).then(|| Setting::Storage(self.storage.clone()));
        let disks = (1..).zip(&self.extra_disks).map(|(number, size)| Some(Setting::ExtraDisk(number, *size)));
        let settings = [
            storage,
            self.network_queues.map(Setting::Queues),
            // Flags behind it are the virtual machine's from its beginning.
            self.cpu.split(',').next().map(|kind| Setting::Cpu(kind.into())),
            self.balloon.map(Setting::Balloon),
            Some(Setting::ScsiController(self.scsi_controller.clone())),
            Some(Setting::IoThread(self.io_thread)),
            Some(Setting::Agent(self.agent)),
        ];
        self.card.settings(address).into_iter().chain(settings.into_iter().chain(disks).flatten()).collect()
    }
}

/// What a virtual machine's system disk is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VmSource {
    /// A template is cloned.
    Clone(VmTemplate),
    /// An image is imported.
    Image(VmImage),
}

/// A template that virtual machines are cloned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmTemplate {
    /// Its VMID.
    pub vmid: Vmid,
    /// Its name.
    pub name: Option<String>,
    /// Clones are linked.
    pub linked: bool,
    /// We build it ([`super::DesiredTemplate`]), so it is the one with that name and our marks, whatever its VMID is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub built: bool,
}

/// An image of a disk, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmImage {
    /// Where it comes from.
    pub url: String,
    /// Its SHA-256.
    pub sha256: Digest,
    /// The storage for its file.
    pub storage: String,
}

/// A Hetzner server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerBody {
    /// The server type.
    pub server_type: String,
    /// Types to take in its place where none of it is left, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_types: Vec<String>,
    /// Locations to go to where the machine's own has none left, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_locations: Vec<PlaceName>,
    /// The image.
    pub image: String,
    /// The private network.
    pub network: Option<String>,
    /// A public IPv4 address.
    pub public_ipv4: bool,
    /// A public IPv6 address.
    pub public_ipv6: bool,
    /// The placement group.
    pub placement_group: Option<String>,
    /// The firewall.
    pub firewall: Option<String>,
    /// The SSH keys that it is made with, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// Its public addresses are kept when it goes, as [`primary_ip`] names them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_addresses: bool,
    /// The provider refuses to delete it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Where a server without public addresses sends what is for the world: the gateway of its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// DNS servers, where the image's own cannot be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<IpAddr>,
}

impl ServerBody {
    /// Whether it has an address that the world can reach.
    pub fn is_public(&self) -> bool {
        self.public_ipv4 || self.public_ipv6
    }

    fn settings(&self) -> Vec<Setting> {
        // What somebody else protects stays so: a spec only adds to it.
        let protected = self.protected.then_some(Setting::Protected(true));
        [Some(Setting::ServerType(self.server_type.clone())), protected].into_iter().flatten().collect()
    }

    /// Whether a server of this type is what is wished, or what may be taken in its place.
    pub fn may_be(&self, server_type: &str) -> bool {
        self.server_type == server_type || self.fallback_types.iter().any(|other| other == server_type)
    }
}

/// The provider of Hetzner's servers.
pub const HETZNER: &str = "hetzner";

/// The secret that is the API token of the Hetzner project.
pub const HETZNER_TOKEN: &str = "hetzner-token";

/// The name of the public address of a server that is kept when the server goes.
pub fn primary_ip(server: &NodeName, ipv6: bool) -> String {
    format!("{server}-{}", if ipv6 { "ipv6" } else { "ipv4" })
}

/// The secrets that are a certificate that we bring, and its private key.
pub fn certificate_secrets(name: &str) -> [String; 2] {
    [format!("certificate-{name}"), format!("certificate-key-{name}")]
}

/// A Hetzner Cloud project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HetznerProject {
    /// The address of its API, where it is not Hetzner's own.
    pub endpoint: Option<String>,
    /// The zone of its networks and load balancers.
    pub network_zone: String,
    /// The location of what belongs to no server.
    pub location: PlaceName,
    /// The node through which servers without public addresses reach the world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<NodeName>,
    /// The files of the private keys whose public halves are SSH keys there, by the keys' names.
    pub ssh_keys: BTreeMap<String, Arc<str>>,
}

/// The Proxmox cluster that has no name of its own, as machines name it.
pub const PROXMOX: &str = "proxmox";

/// The secret that is the API token of a Proxmox cluster.
pub fn proxmox_token(cluster: &ProviderName) -> String {
    of_cluster("proxmox-token", cluster)
}

/// The secret that is the password of a Proxmox cluster's user.
pub fn proxmox_password(cluster: &ProviderName) -> String {
    of_cluster("proxmox-password", cluster)
}

fn of_cluster(what: &str, cluster: &ProviderName) -> String {
    if cluster.as_str() == PROXMOX { what.into() } else { format!("{what}-{cluster}") }
}

/// How a Proxmox cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxmoxCluster {
    /// The addresses of its API: any node answers for all of them.
    pub endpoints: Vec<String>,
    /// Who we are there.
    pub identity: ProxmoxIdentity,
    /// Which certificates its nodes may show.
    pub trust: ProxmoxTrust,
    /// The pool of Proxmox that machines are put into.
    pub pool: Option<String>,
    /// Where the hosts of its nodes are reached, as far as not by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub doors: BTreeMap<PlaceName, String>,
    /// The numbers for machines whose pool has none for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Reserve>,
}

/// Numbers that machines get whose pool has none for them. `lower` deals them out in the order of nodes; a machine that is there
/// keeps the one that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// They.
    pub range: NumberRange,
    /// Those of them that pools and templates have.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub except: BTreeSet<Vmid>,
    /// The machines that get one of the others.
    pub takers: BTreeSet<NodeName>,
}

impl ProxmoxCluster {
    /// The way to the host of a node, in all but where it leads like another.
    pub fn way_to(&self, place: &PlaceName, like: Way) -> Way {
        let door = self.doors.get(place).map_or(place.as_str(), String::as_str);
        match door.parse() {
            // The user's own SSH configuration may know the node by its name all the same.
            Ok(address) => Way { address: Some(address), name: Some(place.to_string()), ..like },
            Err(_) => Way { address: None, name: Some(door.to_string()), ..like },
        }
    }
}

/// A job of a provider that backs whole machines up on a schedule. It carries our mark as its name, so there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredBackupJob {
    /// The provider.
    pub provider: ProviderName,
    /// When, in the provider's words.
    pub schedule: String,
    /// The provider's storage for the backups.
    pub storage: String,
    /// How many are kept, in the provider's words.
    pub keep: String,
    /// The machines.
    pub machines: Vec<NodeName>,
}

/// Who we are at a Proxmox cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProxmoxIdentity {
    /// The API token with this id; its secret is [`proxmox_token`].
    Token(String),
    /// The user with this name; the password is the secret [`proxmox_password`].
    User(String),
}

/// Which certificates the nodes of a Proxmox cluster may show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProxmoxTrust {
    /// Those that an authority of this computer has signed.
    System,
    /// Those that the authority has signed whose certificate is in this file.
    Authority(String),
    /// Those with these SHA-256 fingerprints.
    Fingerprints(Vec<String>),
    /// Any: the user's explicit word.
    Anything,
}
