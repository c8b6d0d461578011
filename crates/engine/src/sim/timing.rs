//! How long things take in the pretend data centre, in simulated milliseconds.
//!
//! The numbers are what the real things take on a single Proxmox host with one NVMe disk and a 200 Mbit/s line, so that
//! a rehearsal's durations are of the right size. They prove nothing about anybody's hardware.

/// A provider's API answers a list or starts a task.
pub(super) const API_CALL: u64 = 60;
/// A container template is unpacked onto a thin volume.
pub(super) const CREATE_LXC: u64 = 14_000;
/// A template is cloned in full and its cloud-init drive written.
pub(super) const CREATE_VM: u64 = 38_000;
/// 600 MB of a cloud image over the line, with its checksum.
pub(super) const IMAGE: u64 = 27_000;
/// A cloud makes a server.
pub(super) const CREATE_SERVER: u64 = 9_000;
/// A disk is grown or a setting written.
pub(super) const UPDATE: u64 = 1_500;
/// A machine with its disks is removed.
pub(super) const DELETE: u64 = 6_000;
/// The start task itself.
pub(super) const START: u64 = 2_000;
/// A system with Kubernetes ends its units one after the other.
pub(super) const SHUT_DOWN: u64 = 12_000;
/// A container's init reaches its SSH daemon.
pub(super) const BOOT_LXC: u64 = 5_000;
/// Firmware, kernel, cloud-init, SSH daemon.
pub(super) const BOOT_VM: u64 = 28_000;
/// A load balancer is made and has its address.
pub(super) const BALANCER: u64 = 8_000;
/// A connection is made and one script answers.
pub(super) const LOOK: u64 = 400;
/// One package with what it needs.
pub(super) const PACKAGE: u64 = 3_500;
/// 65 MB over the line.
pub(super) const DOWNLOAD: u64 = 3_000;
/// A unit is started or restarted.
pub(super) const UNIT: u64 = 700;
/// Anything small on a host: a file, a setting, a link.
pub(super) const SMALL: u64 = 20;
/// How much longer a slow line takes.
pub(super) const SLOW_LINK: u64 = 20;
/// The first server makes its certificates, its datastore and its API.
pub(super) const INIT: u64 = 24_000;
/// A further server fetches the certificates and catches up with the datastore as a learner.
pub(super) const JOIN_SERVER: u64 = 21_000;
/// An agent is let in.
pub(super) const JOIN_AGENT: u64 = 7_000;
/// A node that was let in pulls the images of its network and is Ready.
pub(super) const NODE_READY: u64 = 14_000;
/// 150 MB of an installer over the line, written to the disk, and its boot loader.
pub(super) const TALOS_INSTALL: u64 = 70_000;
/// Kubernetes on a host comes back after a restart.
pub(super) const RESTART: u64 = 9_000;
/// A machine's disks are marked by their storage.
pub(super) const DISK_SNAPSHOT: u64 = 2_500;
/// RKE2 puts a new etcd and a new API server in the place of the old ones when its kubelet is back.
pub(super) const SWAP: u64 = 20_000;
/// How long a recipe holds on to a restart, and a change of a host.
pub(super) const RESTART_TIMEOUT: u64 = 120_000;
pub(super) const CHANGE_TIMEOUT: u64 = 900_000;
/// A datastore is saved.
pub(super) const SNAPSHOT: u64 = 4_000;
/// The Kubernetes API answers a list or a patch.
pub(super) const KUBE_CALL: u64 = 30;
/// Helm renders and sends a chart.
pub(super) const HELM: u64 = 4_000;
/// A release's images are pulled and its pods pass their probes.
pub(super) const RELEASE_READY: u64 = 48_000;
/// Pods leave a node within their grace period.
pub(super) const DRAIN: u64 = 26_000;
/// A call that nobody answers is given up.
pub(super) const CALL_TIMEOUT: u64 = 30_000;
/// How long Proxmox tries for a storage's lock before it gives up.
pub(super) const LOCK_TIMEOUT: u64 = 10_000;
/// How long an unreachable host stays so.
pub(super) const UNREACHABLE: u64 = 90_000;
/// From the first machine's creation to the power cut: most of a small cluster stands by then, and nothing is finished.
pub(super) const UNTIL_POWER_CUT: u64 = 75_000;
/// How long the power is away, with the hypervisor's own start.
pub(super) const POWER_CUT: u64 = 100_000;
/// Argo CD renders what Git holds of an application and applies it.
pub(super) const SYNC: u64 = 20_000;
/// Its repo-server starts.
pub(super) const REPO_SERVER: u64 = 25_000;
