//! Pools: groups of nodes that are alike.

use std::net::IpAddr;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::ProviderName;
use crate::names::NamePattern;
use crate::net::{AddressRange, NumberRange};
use crate::spec::forms;
use crate::spec::hosts::HostSettings;
use crate::units::{Balloon, Size, Span};

/// What the nodes of a pool do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// The control plane, kept free of other work by a taint.
    Server,
    /// Work only.
    Agent,
    /// The control plane, and work.
    Both,
    /// No part of Kubernetes: a host that runs HAProxy before it.
    LoadBalancer,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Server => "server",
            Self::Agent => "agent",
            Self::Both => "server and agent",
            Self::LoadBalancer => "load balancer",
        })
    }
}

impl Role {
    /// Whether nodes of this role are members of the control plane.
    pub fn is_server(self) -> bool {
        matches!(self, Self::Server | Self::Both)
    }

    /// Whether nodes of this role are nodes of Kubernetes.
    pub fn is_node(self) -> bool {
        self != Self::LoadBalancer
    }
}

/// A group of nodes that are alike. Exactly one of `proxmox`, `hetzner`, `existing` and `local` says what they are
/// made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// What the nodes do.
    pub role: Role,
    /// The nodes' names: a pattern with a counter (`k3s-agent-{n}` counts 1, 2, 3 and `{nn}` 01, 02, 03), or one name.
    /// Without it: the cluster's name, the pool's name and a counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NamePattern>,
    /// The nodes' names one by one, where they follow no pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<crate::ids::NodeName>,
    /// The nodes' addresses: one, a range, or a list of both. They say how many nodes there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<AddressRange>,
    /// How many nodes there are, where no addresses say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 20000))]
    pub count: Option<u32>,
    /// Processor cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 512))]
    pub cores: Option<u32>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// The system disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Size>,
    /// Kubernetes labels.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub labels: IndexMap<String, String>,
    /// Kubernetes taints: `key=value:NoSchedule`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<String>,
    /// Host settings for this pool, on top of the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostSettings>,
    /// Machines at Proxmox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxmox: Option<ProxmoxMachines>,
    /// Servers at Hetzner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hetzner: Option<HetznerMachines>,
    /// Hosts that exist already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<ExistingMachines>,
    /// Virtual machines on this computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalMachines>,
    /// What of Talos differs on these nodes; only with that distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talos: Option<crate::spec::kubernetes::TalosPool>,
}

/// Machines at Proxmox: exactly one of `lxc` and `vm`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxmoxMachines {
    /// One of `providers.proxmoxClusters`, by its name. Without it: `providers.proxmox`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ProviderName>,
    /// The machines' VMIDs: one, a range, or a list of both. The first node has the first; what is left over is for nodes
    /// that are to come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vmids: Vec<NumberRange>,
    /// The Proxmox nodes that the machines are placed on, in turn. Without it: the cluster's `node`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::ProxmoxNode>")]
    pub nodes: Vec<String>,
    /// The storage for disks. Without it: the cluster's `storage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Storage>")]
    pub storage: Option<String>,
    /// Tags beside our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::ProxmoxTag>")]
    pub tags: Vec<String>,
    /// Start the machines when the Proxmox host starts.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub on_boot: bool,
    /// When the machines start and stop among the others of their Proxmox host. Without it: after those that have a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Startup>,
    /// What Proxmox shows people beside the machines. Whose they are is put below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub description: Option<String>,
    /// Have Proxmox' HA keep the machines: what fails with its host is started on another one. Their disks have to be on a
    /// storage that the other hosts see. `{}` is enough. Taken out of the file, HA lets go of them, and they run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha: Option<HighAvailability>,
    /// Containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lxc: Option<Lxc>,
    /// Virtual machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<Vm>,
}

/// How Proxmox' HA keeps machines.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HighAvailability {
    /// The group that says which hosts they run on, as it is at Proxmox. Since Proxmox VE 9 it is a rule of node affinity,
    /// of this name or `ha-group-` and this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Storage>")]
    pub group: Option<String>,
}

/// When a machine starts and stops among the others of its Proxmox host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Startup {
    /// Its place: the lowest starts first and stops last. Machines without a place come after those that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub order: Option<u32>,
    /// How long the host waits before it starts the next one, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<Span>,
    /// How long the host waits for it to stop, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Span>,
}

/// As Proxmox writes it: `order=2,up=30`.
impl std::fmt::Display for Startup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = |span: Option<Span>| span.map(|span| span.duration().as_secs());
        let parts = [("order", self.order.map(u64::from)), ("up", seconds(self.up)), ("down", seconds(self.down))];
        let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

/// Linux containers, set up so that Kubernetes runs in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lxc {
    /// The container template: `local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst`.
    #[schemars(with = "forms::ContainerTemplate")]
    pub template: String,
    /// Where the template comes from while its storage has no file of that name. Without it: from the list that Proxmox
    /// itself has (`pveam available`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<TemplateDownload>,
    /// Further volumes: each is made once, grows with its size here, and never shrinks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Run as root of the Proxmox host's user namespace. Kubernetes' kubelet needs it.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub privileged: bool,
    /// Container features. Without it: fuse, keyctl, mknod and nesting. Those that the API does not accept are written
    /// over SSH.
    #[serde(default = "default_features")]
    pub features: Vec<LxcFeature>,
    /// Raw lines for `/etc/pve/lxc/VMID.conf`, which the API does not accept; they are written over SSH. Without it:
    /// what K3s needs (`lxc.mount.auto: proc:rw sys:rw cgroup:rw`, `lxc.apparmor.profile: unconfined`,
    /// `lxc.cap.drop:`, `lxc.cgroup2.devices.allow: a`).
    #[serde(default = "default_raw_lines")]
    #[schemars(with = "Vec<forms::LxcLine>")]
    pub raw: Vec<String>,
    /// Make `/dev/kmsg`, which the kubelet reads, at every start.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub kmsg: bool,
    /// Swap; the kubelet wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<Size>,
}

/// Where a container template comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateDownload {
    /// Its address, which the Proxmox host has to reach.
    #[schemars(with = "forms::HttpsAddress")]
    pub url: String,
    /// Its SHA-256: Proxmox keeps no other file.
    #[schemars(with = "forms::Sha256")]
    pub sha256: String,
}

/// A volume of a container beside its system disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Where it is mounted: `/var/lib/rancher`.
    #[schemars(extend("pattern" = "^(/[A-Za-z0-9._-]+)+$"))]
    pub path: String,
    /// How large it is.
    pub size: Size,
    /// The storage that it is made on. Without it: that of the system disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Storage>")]
    pub storage: Option<String>,
}

/// A container feature, as `pct` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LxcFeature {
    /// Mount FUSE file systems.
    Fuse,
    /// The keyctl system call.
    Keyctl,
    /// Make device nodes.
    Mknod,
    /// Containers inside of the container.
    Nesting,
}

impl LxcFeature {
    /// The feature's word in `features:`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fuse => "fuse",
            Self::Keyctl => "keyctl",
            Self::Mknod => "mknod",
            Self::Nesting => "nesting",
        }
    }
}

fn default_features() -> Vec<LxcFeature> {
    vec![LxcFeature::Fuse, LxcFeature::Keyctl, LxcFeature::Mknod, LxcFeature::Nesting]
}

fn default_raw_lines() -> Vec<String> {
    [
        "lxc.mount.auto: proc:rw sys:rw cgroup:rw",
        "lxc.apparmor.profile: unconfined",
        "lxc.cap.drop:",
        "lxc.cgroup2.devices.allow: a",
    ]
    .map(String::from)
    .to_vec()
}

/// Virtual machines, cloned from a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vm {
    /// The template's VMID.
    pub template: u32,
    /// The template's name; checked before anything is cloned. One that is built has its version behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Domain>")]
    pub template_name: Option<String>,
    /// Build the template from a cloud image, and build it again when what it is made of changes. A template that somebody
    /// else has made is not touched, and not used either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<TemplateBuild>,
    /// A linked clone: quicker and smaller, tied to its template.
    #[serde(default)]
    pub linked: bool,
    /// The CPU type that guests see.
    #[serde(default = "default_cpu")]
    #[schemars(with = "forms::CpuType")]
    pub cpu: String,
    /// How little memory a machine is left with when its Proxmox host is short of it; `never` when it keeps all of it,
    /// which is what the kubelet reckons with. Without it: as the template has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Balloon>,
    /// The bus of the system disk.
    #[serde(default)]
    pub bus: DiskBus,
    /// The SCSI controller.
    #[serde(default = "default_scsi")]
    #[schemars(extend("enum" = ["virtio-scsi-single", "virtio-scsi-pci", "lsi", "lsi53c810", "megasas", "pvscsi"]))]
    pub scsi_controller: String,
    /// The disk's format.
    #[serde(default)]
    pub format: DiskFormat,
    /// A thread of its own for the disk's I/O.
    #[serde(default = "crate::spec::kubernetes::yes")]
    pub io_thread: bool,
    /// The guest agent is in the template.
    #[serde(default)]
    pub agent: bool,
    /// Queues of the network card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub network_queues: Option<u32>,
    /// Further disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_disks: Vec<Size>,
    /// How cloud-init is told who the machine is.
    #[serde(default)]
    pub cloud_init: CloudInit,
    /// The console's password for the user, already hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<crate::spec::SecretRef>,
}

fn default_cpu() -> String {
    "host".into()
}

fn default_scsi() -> String {
    "virtio-scsi-single".into()
}

/// The bus of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiskBus {
    /// VirtIO SCSI.
    #[default]
    Scsi,
    /// VirtIO block.
    Virtio,
}

/// How cloud-init is told who a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CloudInit {
    /// By the drive that Proxmox makes.
    #[default]
    Drive,
    /// By an image of ours on `providers.proxmox.isoStorage`. It gives the machine its SSH host key too, so that even the
    /// first login knows whom it speaks to.
    Iso,
}

/// The format of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiskFormat {
    /// Plain: the quickest, and the only one on ZFS and LVM.
    #[default]
    Raw,
    /// QEMU's own, with snapshots on file storages.
    Qcow2,
}

/// A template made from a cloud image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateBuild {
    /// The cloud image's address: QCOW2, or raw or VMDK where it ends in `.raw` or `.vmdk`, and not packed.
    #[schemars(with = "forms::HttpsAddress")]
    pub image: String,
    /// The image's SHA-256. Proxmox compares it.
    #[schemars(with = "forms::Sha256")]
    pub sha256: String,
    /// An address for the machine while it is set up. No node has it.
    pub address: IpAddr,
    /// The VMID of every other version: a new one is built while the old one is there. Without it: the one after
    /// `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare: Option<u32>,
    /// Processor cores of the machine while it is set up.
    #[serde(default = "build_cores")]
    #[schemars(range(min = 1, max = 512))]
    pub cores: u32,
    /// Its memory.
    #[serde(default = "build_memory")]
    pub memory: Size,
    /// Its disk: a clone has it until it grows, and none is smaller.
    #[serde(default = "build_disk")]
    pub disk: Size,
    /// The Proxmox node that the template is on. Without it: the cluster's `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::ProxmoxNode>")]
    pub node: Option<String>,
    /// The storage for its disk. Without it: the cluster's `storage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Storage>")]
    pub storage: Option<String>,
    /// The storage for the image's file, with the content type `import`. Without it: the cluster's `isoStorage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Storage>")]
    pub image_storage: Option<String>,
}

impl Vm {
    /// The VMIDs that the template may have, where we build it.
    pub fn built_as(&self) -> Option<[u32; 2]> {
        let build = self.build.as_ref()?;
        Some([self.template, build.spare.unwrap_or_else(|| self.template.saturating_add(1))])
    }
}

fn build_cores() -> u32 {
    2
}

fn build_memory() -> Size {
    Size::from_gib(2)
}

/// Cloud images of Debian and Ubuntu unpack to some 3 GiB, and packages want room.
fn build_disk() -> Size {
    Size::from_gib(8)
}

/// Servers at Hetzner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerMachines {
    /// The server type: `cx32`, `ccx23`, …
    #[serde(rename = "type")]
    #[schemars(with = "forms::HetznerName")]
    pub server_type: String,
    /// The location. Without it: `providers.hetzner.location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::HetznerName>")]
    pub location: Option<String>,
    /// The image. Without it: `providers.hetzner.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::HetznerName>")]
    pub image: Option<String>,
    /// Types to take, in this order, where Hetzner has none of `type` left. Nothing else is taken in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::HetznerName>")]
    pub fallback_types: Vec<String>,
    /// Locations to go to, in this order, where the location has none left. They are in the same network zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::HetznerName>")]
    pub fallback_locations: Vec<String>,
    /// Public IPv4 addresses. Without it: as `providers.hetzner.publicIpv4` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ipv4: Option<bool>,
    /// Public IPv6 addresses. Without it: as `providers.hetzner.publicIpv6` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ipv6: Option<bool>,
    /// Labels beside our own, at Hetzner.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub labels: IndexMap<String, String>,
}

/// Hosts that exist already: they are never made and never deleted.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExistingMachines {
    /// The one node of this pool is the computer that kubewright runs on: nothing goes over SSH.
    #[serde(default)]
    pub this_computer: bool,
    /// The keys that hosts show, by the nodes' names: the public key, or its fingerprint `SHA256:…`. A host that is not
    /// named here is known by `known_hosts`, or taken at its word at the first contact.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<crate::ids::NodeName, forms::HostKey>")]
    pub host_keys: IndexMap<crate::ids::NodeName, String>,
    /// The addresses in Talos' maintenance mode, one for each node, where they differ from the nodes' own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance_addresses: Vec<AddressRange>,
}

/// Virtual machines on this computer.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalMachines {}
