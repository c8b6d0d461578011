//! What a host must be before anything is done to it.
//!
//! Only a host that answers and holds nothing of Kubernetes yet is judged: on one that works, the cluster itself is the
//! judge; but what a change would name and the host has not fails on any. What would certainly fail blocks, so that nobody
//! finds out halfway; what would work badly warns. A host that is to be made is judged by nobody: the spec gives it what it
//! needs.

use std::collections::BTreeMap;
use std::fmt::Display;

use kubewright_model::change::Subject;
use kubewright_model::desired::{Body, Desired};
use kubewright_model::facts::{HostFacts, Lack, Virtualisation};
use kubewright_model::host::{DirectoryWish, FileWish, HostResource, UnitRun};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, Observed};
use kubewright_model::plan::Weight;
use kubewright_model::spec::Distribution;

use super::draft::Draft;
use super::standing::{Node, Standings};
use crate::diff::host::differing;

/// K3s' own measurements are 1,606 MB for a server with etcd and 275 MB for an agent, and it asks for 2 GB and 512 MB. A
/// kernel keeps some of a machine's memory, so a machine that has as much shows less; with half of it nothing starts.
/// <https://docs.k3s.io/reference/resource-profiling>
const SERVER_MIB: (u64, u64) = (1024, 1800);
const AGENT_MIB: (u64, u64) = (256, 460);
/// RKE2 asks for 4 GB on every node. <https://docs.rke2.io/install/requirements#hardware>
const RKE2_MIB: (u64, u64) = (2048, 3600);
/// kubeadm begins nothing with less (`ControlPlaneMem`, in `cmd/kubeadm/app/constants`).
const KUBEADM_MIB: (u64, u64) = (1700, 1800);
/// <https://docs.k3s.io/installation/requirements#hardware>
const SERVER_CPUS: u32 = 2;
/// The program, its images unpacked and the first pods take about two of them; the kubelet evicts pods below a tenth.
const DISK_MIB: (u64, u64) = (2 * 1024, 8 * 1024);
/// RKE2's control plane and network are images too, which take more than five unpacked.
const RKE2_DISK_MIB: (u64, u64) = (6 * 1024, 15 * 1024);
/// etcd warns when the clocks of its members differ by more than a second.
const SKEW_WARNS: u64 = 1;
/// Tokens and certificates are good from now on: a clock that is late by more finds them not valid yet.
const SKEW_BLOCKS: u64 = 60;
/// etcd wants a flushed write within ten milliseconds. <https://etcd.io/docs/v3.5/op-guide/hardware/>
const FLUSH_US: u64 = 10_000;
/// The first version whose kubelet refuses to start on control groups of version 1.
/// <https://git.k8s.io/enhancements/keps/sig-node/5573-cgroup-v1-unsupported>
const NO_CGROUP_V1: (u64, u64) = (1, 35);
/// Keys that are named.
const KEYS: usize = 5;
/// Systems that packages, units and paths are known for.
const SYSTEMS: [&str; 11] = [
    "Debian",
    "Ubuntu",
    "Raspbian",
    "Rocky Linux",
    "AlmaLinux",
    "Red Hat Enterprise Linux",
    "CentOS Stream",
    "Fedora",
    "openSUSE",
    "SLES",
    "Oracle Linux",
];

/// A host that is judged.
struct Judged<'n> {
    node: &'n Node<'n>,
    seen: &'n HostSeen,
    facts: &'n HostFacts,
}

/// Judges every host that is about to be set up for the first time.
pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) {
    for node in &standings.nodes {
        expected_system(draft, node);
        other_keys(draft, node);
    }
    let all: Vec<Judged<'_>> = standings.nodes.iter().filter_map(judged).collect();
    for host in &all {
        lacks(draft, observed, host);
    }
    for host in all.iter().filter(|host| host.is_new()) {
        system(draft, host);
        size(draft, host);
        network(draft, host);
        clock(draft, host);
        if host.node.member.is_some() {
            kernel(draft, host);
            guards(draft, host);
        }
    }
    // One that the books have under its name works, whatever it shares.
    let books = standings.cluster_seen().is_some();
    let works = |host: &Judged<'_>| match host.node.member {
        Some(_) if books => host.node.seen.is_some(),
        _ => !host.is_new(),
    };
    alike(draft, &all, works, "machine ID", |host| host.facts.machine_id.as_deref());
    alike(draft, &all, works, "hardware address", |host| host.mac());
}

fn judged<'n>(node: &'n Node<'n>) -> Option<Judged<'n>> {
    let seen = node.answers()?;
    Some(Judged { node, seen, facts: seen.facts.as_ref()? })
}

impl<'n> Judged<'n> {
    /// Nothing that we start runs on it, and it never was a member.
    fn is_new(&self) -> bool {
        !self.seen.serves()
            && !self.seen.is_member()
            && !self.seen.units.values().any(|unit| unit.active && unit.reads.is_some())
    }

    /// The hardware address of the interface that has the address of the spec.
    fn mac(&self) -> Option<&'n str> {
        let address = self.node.machine.address?;
        self.facts.addresses.iter().find(|there| there.address == address)?.mac.as_deref()
    }

    fn is_server(&self) -> bool {
        self.node.member.is_some_and(|member| member.role.is_server())
    }

    fn note(&self, draft: &mut Draft<'_>, weight: Weight, message: impl Into<String>, help: impl Display) {
        draft.note(weight, Subject::Host(self.node.name().clone()), message, &help.to_string());
    }
}

/// The system that the spec expects. One that works already is left to work.
fn expected_system(draft: &mut Draft<'_>, node: &Node<'_>) {
    let (Some(expected), Some(seen)) = (&node.host.os, node.answers()) else { return };
    // A host tells `Ubuntu 24.04` where the spec has `Ubuntu 24.04.3`; and nobody takes Debian 1 for Debian 12.
    let begins = |longer: &str, shorter: &str| {
        longer.strip_prefix(shorter).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
    };
    if begins(&seen.os, expected) || begins(expected, &seen.os) {
        return;
    }
    let weight = if seen.is_member() { Weight::Warns } else { Weight::Blocks };
    let message = format!("it runs {}, and the spec expects {expected}", seen.os);
    draft.note(weight, Subject::Host(node.name().clone()), message, "`hosts.os` is checked, never changed");
}

/// Who comes in as a user of the spec by a key that is not in it. It may be ourselves, so nobody takes such a key away.
fn other_keys(draft: &mut Draft<'_>, node: &Node<'_>) {
    let users = node.answers().into_iter().flat_map(|seen| &seen.users);
    for (user, there) in users.filter(|(_, there)| !there.other_keys.is_empty()) {
        let keys = there.other_keys.iter().take(KEYS).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if there.other_keys.len() > KEYS { ", …" } else { "" };
        let message = format!("keys that are not in the spec let in as {user}, and stay: {keys}{more}");
        let help = "who is not to come in is taken out of its ~/.ssh/authorized_keys by hand";
        draft.note(Weight::Tells, Subject::Host(node.name().clone()), message, help);
    }
}

/// Its system and its processor.
fn system(draft: &mut Draft<'_>, host: &Judged<'_>) {
    let os = host.seen.os.as_str();
    if !SYSTEMS.iter().any(|system| os.starts_with(system)) {
        let help = "Debian, Ubuntu, Fedora, openSUSE and the family of Red Hat are known to work";
        host.note(draft, Weight::Warns, format!("it runs {os}, which was never tried"), help);
    }
    let downloads = host.node.host.resources.iter().any(|resource| matches!(resource, HostResource::Download(_)));
    if downloads && !matches!(host.seen.arch.as_str(), "amd64" | "arm64") {
        let message = format!("its processor is {}, for which there are no programs", host.seen.arch);
        host.note(draft, Weight::Blocks, message, "amd64 and arm64 are built for");
    }
}

/// What is to be set and names what the host has not. A package that is to come may bring it, and a module a setting.
fn lacks(draft: &mut Draft<'_>, observed: &Observed, host: &Judged<'_>) {
    let resources = &host.node.host.resources;
    let found = differing(resources, host.seen, &observed.filled);
    let container = matches!(host.facts.virtualisation, Some(Virtualisation::Lxc | Virtualisation::Container(_)));
    // Our own brings nobody and no shell.
    let brings = |it: &HostResource, lack| match (it, lack) {
        (HostResource::Package(name), Lack::Zone) => name.starts_with("tzdata"),
        (HostResource::Package(name), Lack::Shell | Lack::User | Lack::Group) => name != "iptables",
        (HostResource::Module(_), Lack::Setting) => true,
        _ => false,
    };
    for resource in found.iter().map(|it| it.resource) {
        if let Some(message) = no_number(resource, host.seen) {
            host.note(draft, Weight::Blocks, message, "the kernel takes numbers there");
        }
        let Some(lack) = host.facts.lacks.get(&resource.key()) else { continue };
        let Some((thing, name)) = lacking(*lack, resource) else { continue };
        let made = |it: &HostResource| match (it, lack) {
            (HostResource::User(user), Lack::User) => user.name == name,
            (HostResource::User(user), Lack::Group) => user.name == name || user.groups.iter().any(|it| it == name),
            _ => false,
        };
        if resources.iter().any(made) {
            continue;
        }
        let message = match lack {
            Lack::Zone | Lack::Setting => format!("it knows no {thing} {name}"),
            Lack::Folder | Lack::File => format!("{} cannot be there: {thing} is", resource.key()),
            Lack::Shell | Lack::User | Lack::Group => {
                format!("{} wants the {thing} {name}, which it has not", resource.key())
            }
        };
        // A container has the modules of its hypervisor, which come with other steps.
        let may_come = found.iter().any(|it| brings(it.resource, *lack)) || (container && *lack == Lack::Setting);
        let (weight, help) = match lack {
            Lack::Setting if may_come => (Weight::Warns, "a module that is to be loaded may bring it"),
            _ if may_come => (Weight::Warns, "a package that is to be installed may bring it"),
            Lack::Zone => (Weight::Blocks, "`timedatectl list-timezones` lists those that it has"),
            Lack::Shell => (Weight::Blocks, "write the package of it too, or another shell"),
            Lack::Setting => {
                (Weight::Blocks, "correct the name, or write the module that brings it under `hosts.modules`")
            }
            Lack::Folder | Lack::File => (Weight::Blocks, "take it away by hand, or write another path"),
            Lack::User | Lack::Group => (
                Weight::Blocks,
                "correct the name, or write the user under `hosts.users`, or the package that brings it",
            ),
        };
        host.note(draft, weight, message, help);
    }
}

/// What a resource names that is lacking.
fn lacking(lack: Lack, resource: &HostResource) -> Option<(&'static str, &str)> {
    match lack {
        Lack::Folder => return Some(("a folder", "")),
        Lack::File => return Some(("something else", "")),
        _ => {}
    }
    let owner = match resource {
        HostResource::Timezone(zone) => return Some(("time zone", zone)),
        HostResource::Sysctl { key, .. } => return Some(("kernel setting", key)),
        HostResource::User(user) => return Some(("shell", &user.shell)),
        HostResource::File(FileWish { owner, .. }) | HostResource::Directory(DirectoryWish { owner, .. }) => owner,
        _ => return None,
    };
    let (user, group) = owner.split_once(':')?;
    Some(if lack == Lack::User { ("user", user) } else { ("group", group) })
}

/// A word where the kernel has a number.
fn no_number(resource: &HostResource, seen: &HostSeen) -> Option<String> {
    let HostResource::Sysctl { key, value } = resource else { return None };
    let there = seen.sysctls.get(key)?;
    let numbers =
        |text: &str| text.split_whitespace().all(|word| word.parse::<i64>().is_ok()) && !text.trim().is_empty();
    let words = value.split_whitespace().any(|word| !word.starts_with("0x") && word.contains(char::is_alphabetic));
    (numbers(there) && words).then(|| format!("sysctl {key} is the number {there}, and cannot be `{value}`"))
}

/// Memory and disk.
fn size(draft: &mut Draft<'_>, host: &Judged<'_>) {
    if host.node.member.is_none() {
        return;
    }
    let (memory, disk) = match draft.desired.kubernetes.distribution {
        Distribution::Rke2 => (RKE2_MIB, RKE2_DISK_MIB),
        Distribution::Kubeadm if host.is_server() => (KUBEADM_MIB, DISK_MIB),
        _ if host.is_server() => (SERVER_MIB, DISK_MIB),
        _ => (AGENT_MIB, DISK_MIB),
    };
    let what = if host.is_server() { "a server" } else { "an agent" };
    if let Some(cpus) = host.facts.cpus.filter(|cpus| host.is_server() && *cpus < SERVER_CPUS) {
        let message = format!("it has {cpus} processor, and a server wants {SERVER_CPUS}");
        // It looks at that before it begins, and does not.
        let kubeadm = draft.desired.kubernetes.distribution == Distribution::Kubeadm;
        let weight = if kubeadm { Weight::Blocks } else { Weight::Warns };
        host.note(draft, weight, message, "give it another, or put another host in its place");
    }
    let more = "give it more, or put another host in its place";
    let room = match draft.desired.kubernetes.distribution {
        Distribution::K3s | Distribution::Rke2 => "make room where `/var/lib/rancher` is or will be",
        Distribution::Kubeadm | Distribution::Talos => "make room where `/var/lib` is",
    };
    let sizes = [("memory", host.facts.memory_mib, memory, more), ("free disk", host.facts.free_disk_mib, disk, room)];
    for (thing, there, (least, good), help) in sizes {
        let Some(there) = there.filter(|there| *there < good) else { continue };
        let weight = if there < least { Weight::Blocks } else { Weight::Warns };
        host.note(draft, weight, format!("it has {there} MiB of {thing}, and {what} wants {good} MiB"), help);
    }
    // Told only of who is to hold etcd's data.
    if let Some(took) = host.facts.flush_us.filter(|took| *took > FLUSH_US) {
        let message = format!("its disk takes {} ms for a flushed write, and etcd wants 10 ms", took / 1000);
        host.note(draft, Weight::Warns, message, "put the datastore on an SSD, or expect elections under load");
    }
}

/// Its addresses, its ports and what it can reach.
fn network(draft: &mut Draft<'_>, host: &Judged<'_>) {
    let facts = host.facts;
    if let Some(address) = host.node.machine.address.filter(|address| !address.is_loopback())
        && !facts.addresses.is_empty()
        && !facts.addresses.iter().any(|there| there.address == address)
    {
        let has: Vec<String> =
            facts.addresses.iter().map(|there| format!("{} on {}", there.address, there.interface)).collect();
        let message = format!("no interface of it has {address}; it has {}", has.join(", "));
        host.note(draft, Weight::Blocks, message, "Kubernetes binds to the node's address: write the one that it has");
    }
    let own = host.node.host.resources.iter().any(|resource| match resource {
        HostResource::Unit(unit) if matches!(unit.run, UnitRun::Running | UnitRun::Reloading) => {
            host.seen.units.get(&unit.name).is_some_and(|there| there.active)
        }
        _ => false,
    });
    for port in host.node.host.listens.iter().filter(|port| !own && facts.listening.contains(port)) {
        let help = format!("`ss -ltnp sport = :{port}` tells who it is");
        host.note(draft, Weight::Blocks, format!("something listens on port {port}, which is needed"), help);
    }
    if facts.default_route == Some(false) && host.node.member.is_some() {
        // <https://docs.k3s.io/installation/airgap#default-network-route>
        let help = "add one; where there is no way out, one that leads nowhere will do";
        host.note(draft, Weight::Warns, "it has no default route, and Services are not reached without one", help);
    }
    for (source, why) in facts.sources.iter().filter_map(|(source, why)| Some((source, why.as_ref()?))) {
        let (message, help) = if source.starts_with("file:") {
            let help = "put what the publisher's release holds there, or correct `kubernetes.mirror`";
            (format!("what it needs is not at {source}: {why}"), help)
        } else {
            let help = "look at its name servers, its gateway and its proxy";
            (format!("it cannot fetch anything from {source}: {why}"), help)
        };
        host.note(draft, Weight::Blocks, message, help);
    }
}

/// Its clock.
fn clock(draft: &mut Draft<'_>, host: &Judged<'_>) {
    let skew = host.seen.clock_skew;
    if skew.unsigned_abs() <= SKEW_WARNS {
        return;
    }
    let message = format!("its clock is {} s {}", skew.unsigned_abs(), if skew > 0 { "ahead" } else { "behind" });
    let kept = host.node.host.resources.contains(&HostResource::TimeSync);
    if kept {
        host.note(draft, Weight::Warns, message, "its time service is switched on first");
    } else if skew.unsigned_abs() > SKEW_BLOCKS {
        host.note(draft, Weight::Blocks, message, "set it right, or write `hosts.timeSync: true`");
    } else {
        host.note(draft, Weight::Warns, message, "`hosts.timeSync: true` keeps it right");
    }
}

/// What runs containers for others than Kubernetes.
fn is_runtime(program: &str) -> bool {
    ["containerd", "dockerd", "crio"].iter().any(|name| program.ends_with(&format!("/{name}")))
}

/// What the kubelet wants of the kernel, and that it is the only one.
fn kernel(draft: &mut Draft<'_>, host: &Judged<'_>) {
    let facts = host.facts;
    let own = |program: &&String| {
        host.node.host.resources.iter().any(|it| matches!(it, HostResource::Download(wish) if wish.path == **program))
    };
    let (runtimes, others): (Vec<&String>, Vec<&String>) =
        facts.kubernetes.iter().filter(|program| !own(program)).partition(|program| is_runtime(program));
    // Where containerd comes with the distribution, it is another one in another place.
    if draft.desired.kubernetes.distribution == Distribution::Kubeadm {
        for program in runtimes {
            let message = format!("{program} is there, and kubeadm's containerd would take its place");
            let help = "its containers would go with this cluster: remove it with what it runs, or take another host";
            host.note(draft, Weight::Blocks, message, help);
        }
    }
    for program in others {
        let help = "two kubelets on a host fight for its ports and its containers: remove the other one";
        host.note(draft, Weight::Warns, format!("{program} is there, which is another Kubernetes"), help);
    }
    // Containers that we make get what they need with their lines.
    let container = facts.virtualisation == Some(Virtualisation::Lxc) && *host.node.machine.body == Body::Existing;
    if container && !facts.kmsg {
        let help = "the container needs it from its hypervisor, or a link to /dev/console at every start";
        host.note(draft, Weight::Blocks, "there is no /dev/kmsg, and the kubelet does not start without", help);
    }
    if container && !facts.proc_sys_writable {
        let help = "the container wants `lxc.mount.auto: proc:rw sys:rw`";
        host.note(draft, Weight::Blocks, "/proc/sys is read-only, and the kubelet writes there", help);
    }
    if facts.cgroup == Some(1) && draft.desired.kubernetes.version.minor() >= NO_CGROUP_V1 {
        let message = format!("it has control groups of version 1, and {} wants version 2", version(draft.desired));
        let help = "start its kernel with systemd.unified_cgroup_hierarchy=1, or take a newer system";
        host.note(draft, Weight::Blocks, message, help);
    }
}

/// Systems of Red Hat's family, of whose tenth version the kernel comes without what Services need.
const RED_HAT: [&str; 5] = ["Red Hat Enterprise Linux", "Rocky Linux", "AlmaLinux", "CentOS Stream", "Oracle Linux"];

/// What guards a host and knows nothing of Kubernetes, and what its kernel was built without.
/// <https://docs.rke2.io/known_issues#firewalld-conflicts-with-default-networking>,
/// <https://docs.k3s.io/installation/requirements#operating-systems>, <https://docs.rke2.io/install/requirements#linux>
fn guards(draft: &mut Draft<'_>, host: &Judged<'_>) {
    let (facts, desired) = (host.facts, draft.desired);
    let wishes = |name: &str| host.node.host.resources.contains(&HostResource::Package(name.into()));
    if facts.firewalld {
        let canal = desired.kubernetes.foundation.get("network plug-in").is_some_and(|plug_in| plug_in == "Canal");
        let weight = if canal { Weight::Blocks } else { Weight::Warns };
        let message = "firewalld runs, and refuses what nodes and pods say to each other";
        let help = "`systemctl disable --now firewalld` on it; the network plug-in has policies of its own";
        host.note(draft, weight, message, help);
    }
    let name = match desired.kubernetes.distribution {
        Distribution::K3s => "k3s",
        Distribution::Rke2 => "rke2",
        Distribution::Kubeadm | Distribution::Talos => return,
    };
    let policy = format!("{name}-selinux");
    if facts.selinux.as_ref().is_some_and(|there| !there.contains(name)) && !wishes(&policy) {
        let message = format!("SELinux is enforcing, and its policy for {name} is not there");
        let help = format!(
            "add the repository https://rpm.rancher.io and the package {policy} under `hosts`, and `selinux: true` under \
             `kubernetes.serverConfig` and `agentConfig`; or set SELinux to permissive"
        );
        host.note(draft, Weight::Warns, message, help);
    }
    let tenth = |family: &&str| host.seen.os.strip_prefix(*family).is_some_and(|rest| rest.starts_with(" 10"));
    if RED_HAT.iter().any(tenth) && !wishes("kernel-modules-extra") {
        let message = format!("{} keeps modules that Services need in a package of their own", host.seen.os);
        host.note(draft, Weight::Warns, message, "write `packages: [kernel-modules-extra]` under `hosts`");
    }
}

fn version(desired: &Desired) -> String {
    format!("Kubernetes {}", desired.kubernetes.version)
}

/// What must be each host's own: two of a kind are one host under two names, or a copy of a disk that was never made a
/// machine of its own. Flannel makes its hardware addresses from the machine ID.
fn alike<'n>(
    draft: &mut Draft<'_>,
    all: &[Judged<'n>],
    works: impl Fn(&Judged<'n>) -> bool,
    what: &str,
    of: impl Fn(&Judged<'n>) -> Option<&'n str>,
) {
    let mut owners: BTreeMap<&str, Vec<&Judged<'_>>> = BTreeMap::new();
    for host in all {
        if let Some(value) = of(host) {
            owners.entry(value).or_default().push(host);
        }
    }
    for (value, hosts) in owners {
        let names: Vec<&NodeName> = hosts.iter().map(|host| host.node.name()).collect();
        let Some((first, others)) = names.split_first() else { continue };
        if others.is_empty() || hosts.iter().all(|host| works(host)) {
            continue;
        }
        let others: Vec<&str> = others.iter().map(|name| name.as_str()).collect();
        let message = format!("{first} has the {what} {value}, and so has {}", others.join(", "));
        let help = "one host under two names, or a copied disk: empty /etc/machine-id on the copy and start it again";
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
    }
}
