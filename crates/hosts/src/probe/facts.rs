//! What is known of a host beside what a cluster wants of it: what checks before a first change go by.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// Facts about a host. What a host did not tell is none, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// The kernel's release: `6.1.0-28-amd64`.
    pub(crate) kernel: Option<String>,
    /// Processors that are switched on.
    pub(crate) cpus: Option<u32>,
    /// Memory in MiB.
    pub(crate) memory_mib: Option<u64>,
    /// What is free on the file system of `/` for those who are not root, in MiB.
    pub(crate) free_disk_mib: Option<u64>,
    /// What the host is.
    pub(crate) virtualisation: Option<Virtualisation>,
    /// The id that must be unique among machines.
    pub(crate) machine_id: Option<String>,
    /// Addresses that others can reach, in the kernel's order.
    pub(crate) addresses: Vec<HostAddress>,
    /// TCP ports on which something listens, on any address.
    pub(crate) listening: BTreeSet<u16>,
    /// The version of control groups: 1 or 2.
    pub(crate) cgroup: Option<u8>,
    /// `/dev/kmsg` is there; the kubelet does not start without.
    pub(crate) kmsg: bool,
    /// Kernel settings can be written.
    pub(crate) proc_sys_writable: bool,
    /// What packages are managed with.
    pub(crate) package_manager: Option<Packaging>,
    /// Programs of Kubernetes distributions that are there, ours or not: `/usr/local/bin/k3s`.
    pub(crate) kubernetes: Vec<String>,
}

/// What a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Virtualisation {
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostAddress {
    /// The interface that has it.
    pub(crate) interface: String,
    /// The address.
    pub(crate) address: IpAddr,
}

/// What packages are managed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packaging {
    /// Debian, Ubuntu.
    Dpkg,
    /// Rocky, Fedora, openSUSE.
    Rpm,
}
