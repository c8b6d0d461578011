//! 03xx: what nodes are made of.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::{PoolName, ProviderName};
use kubewright_model::net::NumberRange;
use kubewright_model::spec::pools::{Lxc, LxcFeature, ProxmoxMachines};
use kubewright_model::spec::{Distribution, Pool};
use kubewright_model::units::Size;

use super::{Facts, addresses, at, counted, hetzner, proxmox, size};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, pool) in &facts.spec.pools {
        let path = at("pools").then(name);
        made_of(facts, name, pool, &path, found);
        memory(facts, pool, &path, found);
        sizes(pool, &path, found);
        if let Some(machines) = &pool.proxmox {
            at_proxmox(facts, name, pool, machines, &path, found);
        }
        if let Some(existing) = &pool.existing {
            let nodes = size(pool);
            let given =
                existing.maintenance_addresses.iter().fold(0u128, |sum, range| sum.saturating_add(range.count()));
            if given != 0 && given != nodes {
                let message = format!(
                    "the pool `{name}` has {} and {}",
                    counted(nodes, "node"),
                    counted(given, "maintenance address")
                );
                let path = path.then("existing").then("maintenanceAddresses");
                let help = "write one for each node";
                found.push(Diagnostic::new(codes::MAINTENANCE_DISAGREES, path, message).help(help));
            }
            if addresses(pool) == 0 && nodes != 0 {
                let message = format!("the hosts of the pool `{name}` exist already, and nothing says where");
                let help = "write their `addresses`";
                found.push(Diagnostic::new(codes::EXISTING_WITHOUT_ADDRESS, path.clone(), message).help(help));
            }
        }
    }
    hypervisor_user(facts, found);
    templates(facts, found);
    reserve(facts, found);
    proxmox::rules(facts, found);
    super::templates::rules(facts, found);
    hetzner::rules(facts, found);
}

/// Exactly one kind of machine, from a provider that is defined.
fn made_of(facts: &Facts<'_>, name: &PoolName, pool: &Pool, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let providers = &facts.spec.providers;
    let kinds = [
        // A cluster with a name has a rule of its own.
        ("proxmox", pool.proxmox.is_some(), {
            pool.proxmox.as_ref().is_none_or(|it| it.cluster.is_some() || providers.proxmox.is_some())
        }),
        ("hetzner", pool.hetzner.is_some(), providers.hetzner.is_some()),
        ("existing", pool.existing.is_some(), true),
        ("local", pool.local.is_some(), providers.local.is_some()),
    ];
    let given: Vec<_> = kinds.into_iter().filter(|(_, given, _)| *given).collect();
    match given.as_slice() {
        [] => {
            let message = format!("nothing says what the nodes of the pool `{name}` are made of");
            let help = "write `existing: {}` for hosts that are there already, or `proxmox`, `hetzner` or `local`";
            found.push(Diagnostic::new(codes::MACHINES_MISSING, path.clone(), message).help(help));
        }
        [(_, _, true)] => {}
        [(kind, ..)] => {
            let message = format!("the pool `{name}` is made at `{kind}`, and `providers.{kind}` is not there");
            let help = format!("write `providers.{kind}` with its address and credentials");
            found.push(Diagnostic::new(codes::PROVIDER_MISSING, path.then(kind), message).help(help));
        }
        [_, (kind, ..), ..] => {
            let all: Vec<&str> = given.iter().map(|(kind, ..)| *kind).collect();
            let message = format!("the pool `{name}` is made of {} at once", all.join(" and "));
            let help = "keep one of them, and make a pool of its own for each other one";
            found.push(Diagnostic::new(codes::MACHINES_SEVERAL, path.then(kind), message).help(help));
        }
    }
}

/// The least memory that each distribution's makers name, for servers and for agents.
/// <https://docs.k3s.io/installation/requirements>, <https://docs.rke2.io/install/requirements>,
/// <https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/>,
/// <https://www.talos.dev/v1.9/introduction/system-requirements/>
fn least_memory(distribution: Distribution, server: bool) -> Size {
    match (distribution, server) {
        (Distribution::K3s | Distribution::Talos, true) | (Distribution::Kubeadm, _) => Size::from_gib(2),
        (Distribution::K3s, false) => Size::from_mib(512),
        (Distribution::Rke2, _) => Size::from_gib(4),
        (Distribution::Talos, false) => Size::from_gib(1),
    }
}

fn memory(facts: &Facts<'_>, pool: &Pool, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let Some(memory) = pool.memory.filter(|_| pool.role.is_node()) else { return };
    let distribution = facts.spec.kubernetes.distribution;
    let least = least_memory(distribution, pool.role.is_server());
    if memory < least {
        let what = if pool.role.is_server() { "server" } else { "agent" };
        let title = distribution.title();
        let message = format!("{memory} of memory is too little for a {title} {what}, which needs {least} at least");
        let help = format!("write `memory: {least}` or more");
        found.push(Diagnostic::new(codes::MEMORY_TOO_SMALL, path.then("memory"), message).help(help));
    }
}

/// Sizes that can only be slips of the unit.
fn sizes(pool: &Pool, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    // The images of the system's own pods and the system itself; HAProxy's hosts hold only the system.
    let least = Size::from_gib(if pool.role.is_node() { 4 } else { 1 });
    let limits = [
        // Proxmox gives a virtual machine 4 TiB at the most (`$MAX_MEM` of qemu-server), and 4096 counts MiB.
        ("memory", pool.memory, Size::from_mib(1), Size::from_gib(4095)),
        ("disk", pool.disk, least, Size::from_gib(1024 * 1024)),
    ];
    for (field, size, least, most) in limits {
        let (message, help) = match size {
            Some(size) if size < least => {
                (format!("no system fits on a disk of {size}"), format!("write `{field}: {least}` or more"))
            }
            Some(size) if size > most => {
                let help = match Size::from_mib(size.gib()) {
                    meant if meant <= most => format!("write `{field}: {meant}` if you count in MiB"),
                    _ => "write it in Mi or Gi, for example `16Gi`".to_string(),
                };
                (format!("no machine has {size} of {field}"), help)
            }
            _ => continue,
        };
        found.push(Diagnostic::new(codes::SIZE_ODD, path.then(field), message).help(help));
    }
}

fn at_proxmox(
    facts: &Facts<'_>,
    name: &PoolName,
    pool: &Pool,
    machines: &ProxmoxMachines,
    path: &SpecPath,
    found: &mut Vec<Diagnostic>,
) {
    let own = path.then("proxmox");
    if machines.lxc.is_some() == machines.vm.is_some() {
        let what = if machines.vm.is_some() {
            "both container and virtual machine"
        } else {
            "neither container nor virtual machine"
        };
        let message = format!("the machines of the pool `{name}` are {what}");
        let help = "write exactly one of `lxc` and `vm`";
        found.push(Diagnostic::new(codes::LXC_OR_VM, own.clone(), message).help(help));
    }
    let needed = [
        ("cores", pool.cores.is_none(), "cores: 2"),
        ("memory", pool.memory.is_none(), "memory: 4Gi"),
        // A virtual machine may keep its template's disk as it is.
        ("disk", pool.disk.is_none() && machines.lxc.is_some(), "disk: 32Gi"),
    ];
    for (field, _, example) in needed.into_iter().filter(|(_, missing, _)| *missing) {
        let message = format!("`{field}` is missing for the machines of the pool `{name}`");
        let help = format!("write for example `{example}`");
        found.push(Diagnostic::new(codes::SIZE_MISSING, path.clone(), message).help(help));
    }
    for (index, range) in machines.vmids.iter().enumerate() {
        vmids(*range, own.then("vmids").then(index), found);
    }
    super::settings::rules(pool, machines, path, found);
    if let Some(lxc) = &machines.lxc {
        container(facts, machines, lxc, &own.then("lxc"), found);
    }
}

/// VMIDs as Proxmox has them.
pub(super) fn vmids(range: NumberRange, path: SpecPath, found: &mut Vec<Diagnostic>) {
    let out = [range.first, range.last].into_iter().find(|vmid| !(100..=999_999_999).contains(vmid));
    if let Some(vmid) = out {
        let message = format!("Proxmox does not accept the VMID {vmid}");
        refuse(codes::VMID_OUT_OF_RANGE, path, message, "choose from 100 to 999999999", found);
    }
}

/// The features that only root may give a container.
fn features_for_root(lxc: &Lxc) -> Vec<&'static str> {
    let for_root = |feature: &&LxcFeature| lxc.privileged || **feature != LxcFeature::Nesting;
    lxc.features.iter().filter(for_root).map(|feature| feature.word()).collect()
}

/// What only root on the Proxmox host may do needs a way in for root.
fn container(facts: &Facts<'_>, machines: &ProxmoxMachines, lxc: &Lxc, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    // Without the provider there is a diagnostic already, and this one would say the same in other words.
    if facts.spec.providers.proxmox_of(machines).is_none_or(|provider| provider.ssh.is_some()) {
        return;
    }
    let ssh = match &machines.cluster {
        None => "providers.proxmox.ssh: {}".to_string(),
        Some(name) => format!("providers.proxmoxClusters.{name}.ssh: {{}}"),
    };
    let features = features_for_root(lxc);
    if !features.is_empty() {
        let what = if lxc.privileged { "a privileged container" } else { "a container" };
        let message = format!("no API token may set {} of {what}", features.join(", "));
        let help = format!("write `{ssh}` with root's key, or remove these `features`");
        refuse(codes::FEATURES_NEED_ROOT, path.then("features"), message, &help, found);
    }
    if !lxc.raw.is_empty() || lxc.kmsg {
        let (what, field) = if lxc.raw.is_empty() { ("the device /dev/kmsg", "kmsg") } else { ("raw lines", "raw") };
        let message = format!("{what} of a container cannot be set through the Proxmox API");
        let help = format!("write `{ssh}` with root's key, or write `raw: []` and `kmsg: false`");
        refuse(codes::RAW_NEEDS_SSH, path.then(field), message, &help, found);
    }
}

fn hypervisor_user(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, provider) in facts.spec.providers.proxmox_clusters() {
        let Some(ssh) = provider.ssh.as_ref().filter(|ssh| ssh.user != "root") else { continue };
        let mut containers = pools_at(facts, &name).filter_map(|(_, _, machines)| machines.lxc.as_ref());
        if containers.any(|lxc| !lxc.raw.is_empty() || lxc.kmsg || !features_for_root(lxc).is_empty()) {
            let message = format!("`{}` may not write the configuration of containers", ssh.user);
            let path = proxmox::place(&name).then("ssh").then("user");
            refuse(codes::HYPERVISOR_USER, path, message, "log in as root: remove `user`", found);
        }
    }
}

/// The pools whose machines are at one Proxmox cluster.
pub(super) fn pools_at<'a>(
    facts: &Facts<'a>,
    cluster: &ProviderName,
) -> impl Iterator<Item = (&'a PoolName, &'a Pool, &'a ProxmoxMachines)> {
    let pools = facts.spec.pools.iter().filter_map(|(name, pool)| Some((name, pool, pool.proxmox.as_ref()?)));
    pools.filter(move |(_, _, machines)| proxmox::cluster(machines) == *cluster)
}

/// No machine has the VMID of a template of its cluster.
fn templates(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (cluster, _) in facts.spec.providers.proxmox_clusters() {
        templates_of(facts, &cluster, found);
    }
}

fn templates_of(facts: &Facts<'_>, cluster: &ProviderName, found: &mut Vec<Diagnostic>) {
    let machines = || pools_at(facts, cluster).map(|(name, _, machines)| (name, machines));
    let numbers =
        machines().filter_map(|(name, machines)| Some((name, machines.vm.as_ref()?))).flat_map(|(name, vm)| {
            let spare = vm.built_as().map(|[_, spare]| (spare, name));
            [(vm.template, name)].into_iter().chain(spare)
        });
    let templates: BTreeMap<u32, &PoolName> = numbers.collect();
    for (name, machines) in machines() {
        for (index, range) in machines.vmids.iter().enumerate() {
            if let Some((template, other)) = templates.range(range.first..=range.last).next() {
                let message = format!("the VMID {template} is that of the template of the pool `{other}`");
                let path = at("pools").then(name).then("proxmox").then("vmids").then(index);
                let help = "choose VMIDs for machines that are no template's";
                found.push(Diagnostic::new(codes::TEMPLATE_IS_MACHINE, path, message).help(help));
            }
        }
    }
}

/// The reserve of each cluster has a VMID for each of its machines without one.
fn reserve(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (cluster, proxmox) in facts.spec.providers.proxmox_clusters() {
        proxmox.vmids.into_iter().for_each(|range| reserve_of(facts, &cluster, range, found));
    }
}

fn reserve_of(facts: &Facts<'_>, cluster: &ProviderName, range: NumberRange, found: &mut Vec<Diagnostic>) {
    let path = proxmox::place(cluster).then("vmids");
    vmids(range, path.clone(), found);
    let pools = || pools_at(facts, cluster).map(|(_, pool, machines)| (pool, machines));
    let wanted: u128 = pools().filter(|(_, machines)| machines.vmids.is_empty()).map(|(pool, _)| size(pool)).sum();
    let shared = |other: &NumberRange| match (range.first.max(other.first), range.last.min(other.last)) {
        (first, last) if first <= last => u128::from(last - first) + 1,
        _ => 0,
    };
    let taken: u128 = pools().flat_map(|(_, machines)| &machines.vmids).map(shared).sum();
    // One that is built takes a second number for its next version.
    let templates = pools().filter_map(|(_, machines)| machines.vm.as_ref());
    let templates = templates.flat_map(|vm| vm.built_as().map_or_else(|| vec![vm.template], Vec::from));
    let templates: BTreeSet<u32> = templates.filter(|template| range.iter().contains(template)).collect();
    let taken = taken + templates.len() as u128;
    let free = u128::from(range.count()).saturating_sub(taken);
    if free < wanted {
        let message = format!("{} have no VMID of their own, and {range} has {free} free", counted(wanted, "machine"));
        let help = "widen the range, or give the pools `vmids`";
        found.push(Diagnostic::new(codes::VMIDS_EXHAUSTED, path, message).help(help));
    }
}

pub(super) fn refuse(code: Code, path: SpecPath, message: String, help: &str, found: &mut Vec<Diagnostic>) {
    found.push(Diagnostic::new(code, path, message).help(help));
}
