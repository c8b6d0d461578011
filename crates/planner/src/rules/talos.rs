//! Talos: what it is told, and what nobody can tell it.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use kubewright_model::codes;
use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::Talos;
use kubewright_model::spec::pools::Pool;
use kubewright_model::version::Version;
use serde_json::Value;

use super::machines::refuse;
use super::{Facts, at};
use crate::upgrades::known::{NEWEST_TALOS as NEWEST, run_by_talos};

/// The oldest minor version of Talos whose configuration is known here.
const OLDEST: (u64, u64) = (1, 9);
/// The first version whose network has documents of its own, which name their interface.
const NAMED_INTERFACES: (u64, u64) = (1, 12);

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    match &facts.spec.kubernetes.talos {
        Some(talos) if facts.spec.kubernetes.distribution == Distribution::Talos => {
            without_shell(facts, found);
            versions(facts, talos, found);
            interfaces(facts, talos, found);
            pools(facts, found);
            way_out(facts, talos, found);
        }
        _ if facts.spec.kubernetes.distribution == Distribution::Talos => without_shell(facts, found),
        _ => elsewhere(facts, found),
    }
}

/// Talos is no Linux to log into.
fn without_shell(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (path, settings) in super::settings(facts) {
        let fields = [
            ("ssh", settings.ssh.is_some()),
            ("os", settings.os.is_some()),
            ("repositories", !settings.repositories.is_empty()),
            ("packages", !settings.packages.is_empty()),
            ("holds", !settings.holds.is_empty()),
            ("files", !settings.files.is_empty()),
            ("sysctls", !settings.sysctls.is_empty()),
            ("modules", !settings.modules.is_empty()),
            ("users", !settings.users.is_empty()),
            ("locale", settings.locale.is_some()),
            ("timezone", settings.timezone.is_some()),
            ("etcHosts", settings.etc_hosts.is_some()),
            ("hostAliases", !settings.host_aliases.is_empty()),
            ("swapOff", settings.swap_off.is_some()),
            ("timeSync", settings.time_sync.is_some()),
        ];
        for (field, _) in fields.into_iter().filter(|(_, given)| *given) {
            let help = "remove it, or write what you need as `kubernetes.talos.patches`";
            refuse(codes::TALOS_HOST_SETTINGS, path.then(field), format!("Talos has no `{field}`"), help, found);
        }
    }
    for (name, pool) in facts.spec.pools.iter().filter(|(_, pool)| pool.role.is_node()) {
        if pool.proxmox.as_ref().is_some_and(|machines| machines.lxc.is_some()) {
            let path = at("pools").then(name).then("proxmox").then("lxc");
            let message = format!("the nodes of the pool `{name}` are containers, and Talos brings its own kernel");
            refuse(codes::TALOS_IN_CONTAINER, path, message, "make them virtual machines: write `vm`", found);
        }
    }
}

/// Each Talos runs six minor versions of Kubernetes.
fn versions(facts: &Facts<'_>, talos: &Talos, found: &mut Vec<Diagnostic>) {
    let path = at("kubernetes/talos/version");
    let (major, minor) = talos.version.minor();
    if (major, minor) < OLDEST {
        let message = format!("`{}` is older than v1.9, the oldest whose configuration is known here", talos.version);
        return refuse(codes::TALOS_OLD, path, message, "write v1.9 or newer", found);
    }
    if (major, minor) > NEWEST {
        let message = format!("`{}` is newer than v1.14, the newest that this program knows", talos.version);
        return refuse(codes::VERSION_UNKNOWN, path, message, "compare it with the releases of Talos", found);
    }
    let runs = run_by_talos(minor);
    let kubernetes = &facts.spec.kubernetes.version;
    if !runs.contains(&kubernetes.minor().1) {
        let (oldest, newest) = (runs.start(), runs.end());
        let message = format!("Talos v1.{minor} runs Kubernetes v1.{oldest} to v1.{newest}, and this is {kubernetes}");
        let help = "write another version of one of them";
        refuse(codes::TALOS_KUBERNETES, at("kubernetes/version"), message, help, found);
    }
}

/// A version of Talos that runs this Kubernetes: the first one whose newest Kubernetes it is.
pub(super) fn fitting(kubernetes: &Version) -> String {
    format!("v1.{}.0", kubernetes.minor().1.saturating_sub(23).clamp(OLDEST.1, NEWEST.1))
}

/// Documents of the network begin with the name of an interface.
fn interfaces(facts: &Facts<'_>, talos: &Talos, found: &mut Vec<Diagnostic>) {
    let of_endpoint = facts.spec.kubernetes.endpoint.virtual_ip.as_ref().and_then(|it| it.interface.as_ref());
    if talos.version.minor() < NAMED_INTERFACES || talos.interface.is_some() {
        return;
    }
    let pools = facts.spec.pools.iter().filter(|(_, pool)| pool.role.is_node() && pool.hetzner.is_none());
    for (name, pool) in pools.filter(|(_, pool)| !pool.addresses.is_empty()) {
        let own = pool.talos.as_ref();
        let of_pool = own.is_some_and(|own| own.interface.is_some());
        let of_each = own.is_some_and(|own| {
            own.nodes.len() == pool.addresses.len() && own.nodes.values().all(|node| node.interface.is_some())
        });
        if of_pool || of_each || pool.role.is_server() && of_endpoint.is_some() {
            continue;
        }
        let message = format!("the nodes of the pool `{name}` have addresses, and nothing says on which interface");
        let help = "write `kubernetes.talos.interface: eth0`, or `talos.interface` in the pool";
        refuse(codes::TALOS_INTERFACE, at("pools").then(name).then("addresses"), message, help, found);
    }
}

fn pools(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, pool) in &facts.spec.pools {
        let path = at("pools").then(name);
        let known = |node: &&kubewright_model::ids::NodeName| {
            facts.nodes.iter().any(|it| it.pool_name == name && it.name == **node)
        };
        let settings = pool.talos.iter().flat_map(|talos| talos.nodes.keys());
        for node in settings.filter(|node| !known(node)) {
            let message = format!("the pool `{name}` has no node `{node}`");
            let path = path.then("talos").then("nodes").then(node);
            refuse(codes::TALOS_NODE_UNKNOWN, path, message, "write the name of one of its nodes", found);
        }
        let key = |taint: &'_ String| taint.split(['=', ':']).next().unwrap_or_default().to_string();
        let mut keys = BTreeSet::new();
        for (index, taint) in pool.taints.iter().enumerate().filter(|(_, taint)| !keys.insert(key(taint))) {
            let message =
                format!("the pool `{name}` has two taints with the key `{}`, and Talos keeps one", key(taint));
            let path = path.then("taints").then(index);
            refuse(codes::TALOS_TAINTS, path, message, "give each taint a key of its own", found);
        }
        let Some(existing) = &pool.existing else { continue };
        let network = &facts.spec.network;
        let apart = existing
            .maintenance_addresses
            .iter()
            .find(|range| network.cidr.is_some_and(|cidr| !cidr.contains(range.first())));
        if let Some(range) = apart.filter(|_| network.vlan.is_none()) {
            let message = format!("{range} is in another network than the nodes' own, which has no tag");
            let help = "write `network.vlan`: in maintenance mode Talos is in the untagged network of its interface";
            refuse(codes::TALOS_UNTAGGED, path.then("existing").then("maintenanceAddresses"), message, help, found);
        }
    }
}

/// Talos is told its addresses without DHCP, so somebody has to say how it gets out: every image comes from elsewhere.
fn way_out(facts: &Facts<'_>, talos: &Talos, found: &mut Vec<Diagnostic>) {
    let network = &facts.spec.network;
    let kubernetes = &facts.spec.kubernetes;
    let of_all = [&kubernetes.server_config, &kubernetes.agent_config].into_iter().chain(&talos.patches);
    if network.gateway.is_some() || of_all.flat_map(IndexMap::values).any(leads_out) {
        return;
    }
    let by_platform = |pool: &Pool| pool.hetzner.is_some() || pool.proxmox.is_some();
    let pools = facts.spec.pools.iter().filter(|(_, pool)| pool.role.is_node() && !by_platform(pool));
    for (name, pool) in pools.filter(|(_, pool)| !pool.addresses.is_empty()) {
        let own =
            pool.talos.iter().flat_map(|own| own.patches.iter().chain(own.nodes.values().flat_map(|it| &it.patches)));
        let waits = pool.existing.iter().flat_map(|existing| &existing.maintenance_addresses);
        let mut elsewhere =
            waits.filter_map(|range| network.others.values().find(|other| other.cidr.contains(range.first())));
        if own.flat_map(IndexMap::values).any(leads_out) || elsewhere.any(|other| other.gateway.is_some()) {
            continue;
        }
        let message = format!(
            "the nodes of the pool `{name}` get fixed addresses without DHCP, and nothing says how they get out"
        );
        let help = "write `network.gateway`, or `gateway` in the network of `network.others` that has their maintenance addresses";
        refuse(codes::GATEWAY_MISSING, at("pools").then(name).then("addresses"), message, help, found);
    }
}

/// Whether a patch says how nodes get out, or that they need not.
fn leads_out(patch: &Value) -> bool {
    match patch {
        Value::Object(map) => map.iter().any(|(key, value)| {
            ["gateway", "dhcp", "mirrors"].contains(&key.as_str()) && *value != Value::Bool(false) || leads_out(value)
        }),
        Value::Array(items) => items.iter().any(leads_out),
        Value::String(kind) => ["DHCPv4Config", "DHCPv6Config", "RegistryMirrorConfig"].contains(&kind.as_str()),
        _ => false,
    }
}

/// Settings that only Talos reads.
fn elsewhere(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    for (name, pool) in &facts.spec.pools {
        let path = at("pools").then(name);
        let maintained = pool.existing.as_ref().is_some_and(|it| !it.maintenance_addresses.is_empty());
        let given = [
            (pool.talos.is_some(), path.then("talos")),
            (maintained, path.then("existing").then("maintenanceAddresses")),
        ];
        for (_, path) in given.into_iter().filter(|(given, _)| *given) {
            let message = "settings for Talos, and the distribution is another one".into();
            refuse(codes::TALOS_SETTINGS, path, message, "remove it", found);
        }
    }
}
