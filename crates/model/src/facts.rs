//! What is known of a host beside what a cluster wants of it: what checks before a first change go by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Facts about a host. What a host did not tell is none, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostFacts {
    /// Who came in: the user whose sudo made it root, or root itself.
    pub login: Option<String>,
    /// The kernel's release: `6.1.0-28-amd64`.
    pub kernel: Option<String>,
    /// Processors that are switched on.
    pub cpus: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// What is free on the file system of `/var/lib/rancher`, or where that will be, for those who are not root, in MiB.
    pub free_disk_mib: Option<u64>,
    /// What the host is.
    pub virtualisation: Option<Virtualisation>,
    /// The id that must be unique among machines.
    pub machine_id: Option<String>,
    /// Addresses that others can reach, in the kernel's order.
    pub addresses: Vec<HostAddress>,
    /// A route leads out of its own networks.
    pub default_route: Option<bool>,
    /// TCP ports on which something listens, on any address.
    pub listening: BTreeSet<u16>,
    /// The version of control groups: 1 or 2.
    pub cgroup: Option<u8>,
    /// `/dev/kmsg` is there; the kubelet does not start without.
    pub kmsg: bool,
    /// Kernel settings can be written.
    pub proc_sys_writable: bool,
    /// firewalld runs.
    pub firewalld: bool,
    /// The policies for Kubernetes distributions that are installed, by the distribution's name, where SELinux is enforcing.
    pub selinux: Option<BTreeSet<String>>,
    /// What packages are managed with.
    pub package_manager: Option<Packaging>,
    /// Programs of Kubernetes distributions that are there, ours or not: `/usr/local/bin/k3s`.
    pub kubernetes: Vec<String>,
    /// How long a write takes until it is on the disk, on average, in microseconds. Only a host that is to hold a
    /// datastore and holds none yet is asked.
    pub flush_us: Option<u64>,
    /// Where downloads that the host does not have yet come from, and why it cannot fetch anything there; none when it
    /// can. Only hosts without Kubernetes are asked. Of files that we would send, those that we do not have.
    pub sources: BTreeMap<String, Option<String>>,
    /// What resources name and the host has not, by their keys.
    pub lacks: BTreeMap<String, Lack>,
}

/// Packages that the host's own lists know newer versions of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Updates {
    /// Their names, as an upgrade would take them now: what is held, or kept back, is not among them.
    pub waiting: BTreeSet<String>,
    /// When the lists were fetched last, in seconds since 1970, where the host tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
}

impl Updates {
    /// Some of the names, and how many more there are.
    pub fn named(&self) -> String {
        const SHOWN: usize = 3;
        let first: Vec<&str> = self.waiting.iter().take(SHOWN).map(String::as_str).collect();
        match self.waiting.len() {
            many if many > SHOWN => format!("{} and {} more", first.join(", "), many - SHOWN),
            _ => first.join(", "),
        }
    }
}

/// How a host was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Boot {
    /// Another one after each start.
    pub id: String,
    /// Why it has to be started again, in its own words: packages that were upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What of Kubernetes does not run yet since this start, where the host itself tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
}

/// What a resource names and a host has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lack {
    /// A time zone, on a host that knows others.
    Zone,
    /// The shell of a user.
    Shell,
    /// The user who a file or folder is to belong to.
    User,
    /// The group that a file or folder is to belong to.
    Group,
    /// A setting of the kernel.
    Setting,
    /// Room for a file: a folder is there.
    Folder,
    /// Room for a folder: something else is there.
    File,
}

/// What a host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Virtualisation {
    /// A machine of its own.
    None,
    /// A virtual machine.
    Vm,
    /// A container of Proxmox, LXD or Incus.
    Lxc,
    /// A container of another kind: `docker`, `systemd-nspawn`.
    Container(String),
}

/// An address of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddress {
    /// The interface that has it.
    pub interface: String,
    /// The interface's hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The address.
    pub address: IpAddr,
}

/// What packages are managed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packaging {
    /// Debian, Ubuntu.
    Dpkg,
    /// Rocky, Fedora, openSUSE.
    Rpm,
}
