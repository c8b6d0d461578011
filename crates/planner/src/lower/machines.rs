//! Nodes become machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubewright_model::desired::{
    Body, Card, DesiredMachine, EXISTING, LxcBody, PROXMOX, ProxmoxCluster, ProxmoxIdentity, ProxmoxTrust, Reserve,
    ServerBody, VmBody, VmSource, VmTemplate,
};
use kubewright_model::ids::{HoleName, PlaceName, PoolName, ProviderName, Vmid};
use kubewright_model::net::NumberRange;
use kubewright_model::spec::pools::{CloudInit, DiskBus, DiskFormat, HetznerMachines, Lxc, ProxmoxMachines, Vm};
use kubewright_model::spec::providers::{Hetzner, Proxmox};
use kubewright_model::spec::{ClusterFile, Pool};

use super::cloud;
use super::templates::Built;
use crate::context::nodes::{MAX_NODES, NodePlan};
use crate::context::{Context, console_password};

/// Every node as a machine, and the numbers that those get whose pool has none for them.
pub(super) fn machines(context: &Context<'_>, built: &Built<'_>) -> (Vec<DesiredMachine>, Reserves) {
    let mut reserves = reserves(context);
    let mut shared: Option<(&PoolName, Arc<Body>)> = None;
    let machines = context.nodes.iter().map(|node| {
        let body = match &shared {
            Some((pool, body)) if *pool == node.pool_name => body.clone(),
            _ => Arc::new(body(context.file, node, built)),
        };
        shared = Some((node.pool_name, body.clone()));
        let proxmox = node.pool.proxmox.as_ref();
        let vmid = proxmox.and_then(|machines| {
            vmid(machines, node.index).or_else(|| reserves.get_mut(&provider(node.pool))?.next(node))
        });
        DesiredMachine {
            name: node.name.clone(),
            pool: node.pool_name.clone(),
            provider: provider(node.pool),
            place: place(context.file, node),
            address: node.address,
            cores: node.pool.cores,
            memory: node.pool.memory,
            disk: node.pool.disk,
            body,
            vmid,
            tags: tags(node.pool),
            on_boot: proxmox.is_some_and(|machines| machines.on_boot),
            startup: proxmox.and_then(|machines| machines.startup),
            ha: proxmox.and_then(|machines| machines.ha.clone()),
            description: proxmox.and_then(|machines| described(context.file, machines)),
        }
    });
    (machines.collect(), reserves)
}

pub(super) fn provider(pool: &Pool) -> ProviderName {
    if let Some(machines) = &pool.proxmox {
        return machines.cluster.clone().unwrap_or_else(|| PROXMOX.into());
    }
    let name = if pool.hetzner.is_some() {
        "hetzner"
    } else if pool.local.is_some() {
        "local"
    } else {
        EXISTING
    };
    name.into()
}

/// Proxmox nodes take turns, so that a pool spreads over all of them.
fn place(file: &ClusterFile, node: &NodePlan<'_>) -> PlaceName {
    let providers = &file.spec.providers;
    if let Some(machines) = &node.pool.proxmox {
        let turn = machines.nodes.get(node.index % machines.nodes.len().max(1));
        let own = providers.proxmox_of(machines).map(|proxmox| &proxmox.node);
        return turn.or(own).map_or_else(|| "unknown".into(), |place| place.as_str().into());
    }
    if let Some(machines) = &node.pool.hetzner {
        let own = providers.hetzner.as_ref().map(|hetzner| &hetzner.location);
        return machines.location.as_ref().or(own).map_or_else(|| "unknown".into(), |place| place.as_str().into());
    }
    if node.pool.local.is_some() { "here".into() } else { "there".into() }
}

fn tags(pool: &Pool) -> Vec<String> {
    // Proxmox writes tags in small letters, unless its administrator says otherwise.
    let proxmox = pool.proxmox.iter().flat_map(|machines| machines.tags.iter().map(|tag| tag.to_lowercase()));
    let hetzner = pool.hetzner.iter().flat_map(|machines| &machines.labels);
    proxmox.chain(hetzner.map(|(key, value)| format!("{key}={value}"))).collect()
}

/// What Proxmox shows people beside a machine, and below it whose the machine is.
fn described(file: &ClusterFile, machines: &ProxmoxMachines) -> Option<String> {
    let text = machines.description.as_ref()?.trim();
    Some(format!("{text}\n\nA machine of the cluster {}, kept by kubewright.", file.metadata.name))
}

/// The pool's n-th VMID, by arithmetic: walking the ranges for each node would be quadratic.
fn vmid(machines: &ProxmoxMachines, index: usize) -> Option<Vmid> {
    let mut index = u64::try_from(index).ok()?;
    for range in &machines.vmids {
        if index < range.count() {
            return Some(Vmid(range.first + u32::try_from(index).ok()?));
        }
        index -= range.count();
    }
    None
}

/// The Proxmox clusters of the spec.
pub(super) fn proxmox(
    file: &ClusterFile,
    machines: &[DesiredMachine],
    mut reserves: Reserves,
) -> BTreeMap<ProviderName, ProxmoxCluster> {
    let clusters = file.spec.providers.proxmox_clusters().map(|(name, proxmox)| {
        let places = machines.iter().filter(|machine| machine.provider == name).map(|machine| &machine.place);
        let reserve = reserves.remove(&name).map(|dealing| dealing.reserve);
        let cluster = ProxmoxCluster { reserve, ..proxmox_cluster(proxmox, &places.collect()) };
        (name, cluster)
    });
    clusters.collect()
}

/// Where the hosts of nodes are reached: as the spec says, or at the API's address that has the node's name, or, where all
/// machines are on one node, at the only address of the API. That it is that node is seen when it is looked at.
fn doors(proxmox: &Proxmox, places: &BTreeSet<&PlaceName>) -> BTreeMap<PlaceName, String> {
    let Some(ssh) = &proxmox.ssh else { return BTreeMap::new() };
    let apis: Vec<&str> = [&proxmox.endpoint]
        .into_iter()
        .chain(proxmox.others.iter().map(|other| &other.endpoint))
        .map(|endpoint| host_of(endpoint))
        .collect();
    let guessed = places.iter().filter_map(|place| {
        let named = |api: &&&str| api.split('.').next() == Some(place.as_str());
        let only = apis.first().filter(|_| places.len() == 1 && apis.len() == 1);
        Some(((*place).clone(), (*apis.iter().find(named).or(only)?).to_string()))
    });
    let said = ssh.addresses.iter().map(|(node, address)| (PlaceName::new(node.as_str()), address.clone()));
    guessed.chain(said).filter(|(place, door)| place.as_str() != door).collect()
}

/// The host of a web address.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    }
}

fn proxmox_cluster(proxmox: &Proxmox, places: &BTreeSet<&PlaceName>) -> ProxmoxCluster {
    let others = || proxmox.others.iter();
    let fingerprints: Vec<String> =
        proxmox.fingerprint.iter().chain(others().filter_map(|other| other.fingerprint.as_ref())).cloned().collect();
    let trust = match &proxmox.ca_file {
        _ if proxmox.insecure => ProxmoxTrust::Anything,
        Some(file) => ProxmoxTrust::Authority(file.clone()),
        None if !fingerprints.is_empty() => ProxmoxTrust::Fingerprints(fingerprints),
        None => ProxmoxTrust::System,
    };
    let identity = match (&proxmox.token_id, &proxmox.user) {
        (None, Some(user)) => ProxmoxIdentity::User(user.clone()),
        (token, _) => ProxmoxIdentity::Token(token.clone().unwrap_or_default()),
    };
    let endpoints = [&proxmox.endpoint].into_iter().chain(others().map(|other| &other.endpoint)).cloned().collect();
    ProxmoxCluster {
        endpoints,
        identity,
        trust,
        pool: proxmox.pool.clone(),
        doors: doors(proxmox, places),
        reserve: None,
    }
}

/// The reserve of each cluster that has one.
pub(super) type Reserves = BTreeMap<ProviderName, Dealing>;

/// A reserve whose numbers are dealt out.
pub(super) struct Dealing {
    reserve: Reserve,
    left: std::ops::RangeInclusive<u32>,
}

impl Dealing {
    fn next(&mut self, node: &NodePlan<'_>) -> Option<Vmid> {
        self.reserve.takers.insert(node.name.clone());
        self.left.by_ref().map(Vmid).find(|vmid| !self.reserve.except.contains(vmid))
    }
}

fn reserves(context: &Context<'_>) -> Reserves {
    let spec = &context.file.spec;
    let except = |cluster: &ProviderName, range: NumberRange| {
        let pools = spec.pools.values().filter(|pool| provider(pool) == *cluster);
        // A template may lie in the range, or come to, and is nobody's machine.
        let vmids = pools.filter_map(|pool| pool.proxmox.as_ref()).flat_map(|machines| {
            let built = machines.vm.iter().filter_map(|vm| vm.built_as()).flatten();
            let templates = machines.vm.iter().map(|vm| vm.template).chain(built);
            machines.vmids.iter().flat_map(|range| range.iter()).take(MAX_NODES).chain(templates)
        });
        vmids.filter(|vmid| range.iter().contains(vmid)).map(Vmid).collect()
    };
    let reserved = spec.providers.proxmox_clusters().filter_map(|(name, proxmox)| {
        let range = proxmox.vmids?;
        let reserve = Reserve { range, except: except(&name, range), takers: BTreeSet::new() };
        Some((name, Dealing { reserve, left: range.iter() }))
    });
    reserved.collect()
}

fn body(file: &ClusterFile, node: &NodePlan<'_>, built: &Built<'_>) -> Body {
    let (name, pool) = (node.pool_name, node.pool);
    if let Some(machines) = &pool.proxmox {
        if let Some(lxc) = &machines.lxc {
            return Body::Lxc(lxc_body(file, machines, lxc));
        }
        if let Some(vm) = &machines.vm {
            return Body::Vm(VmBody { password_hash: password_hole(name, vm), ..vm_body(file, machines, vm, built) });
        }
    }
    if let Some(machines) = &pool.hetzner {
        return Body::Server(server_body(file, node, machines));
    }
    if pool.local.is_some() { Body::Local } else { Body::Existing }
}

fn storage(file: &ClusterFile, machines: &ProxmoxMachines) -> String {
    let own = file.spec.providers.proxmox_of(machines).map(|proxmox| proxmox.storage.clone());
    machines.storage.clone().or(own).unwrap_or_default()
}

fn card(file: &ClusterFile, machines: &ProxmoxMachines) -> Card {
    let network = &file.spec.network;
    let bridge = file.spec.providers.proxmox_of(machines).map(|proxmox| proxmox.bridge.clone());
    Card {
        bridge: bridge.unwrap_or_default(),
        vlan: network.vlan,
        prefix: network.cidr.map(|cidr| cidr.net().prefix_len()),
        gateway: network.gateway,
        nameservers: network.nameservers.clone(),
        search_domains: network.search_domains.clone(),
    }
}

fn lxc_body(file: &ClusterFile, machines: &ProxmoxMachines, lxc: &Lxc) -> LxcBody {
    LxcBody {
        template: lxc.template.clone(),
        storage: storage(file, machines),
        card: card(file, machines),
        privileged: lxc.privileged,
        features: lxc.features.iter().map(|feature| feature.word().to_string()).collect(),
        raw: lxc.raw.clone(),
        swap: lxc.swap,
        download: lxc.download.clone(),
        mounts: lxc.mounts.clone(),
    }
}

pub(super) fn vm_body(file: &ClusterFile, machines: &ProxmoxMachines, vm: &Vm, built: &Built<'_>) -> VmBody {
    let cluster = machines.cluster.clone().unwrap_or_else(|| PROXMOX.into());
    let ours = built.get(&(cluster, Vmid(vm.template))).filter(|_| vm.build.is_some());
    let bus = match vm.bus {
        DiskBus::Scsi => "scsi0",
        DiskBus::Virtio => "virtio0",
    };
    let format = match vm.format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    };
    VmBody {
        source: VmSource::Clone(VmTemplate {
            vmid: Vmid(vm.template),
            name: ours.map(|name| name.to_string()).or_else(|| vm.template_name.clone()),
            linked: vm.linked,
            built: ours.is_some(),
        }),
        storage: storage(file, machines),
        card: card(file, machines),
        cpu: vm.cpu.clone(),
        disk_slot: bus.into(),
        format: format.into(),
        scsi_controller: vm.scsi_controller.clone(),
        balloon: vm.balloon,
        io_thread: vm.io_thread,
        agent: vm.agent,
        network_queues: vm.network_queues,
        extra_disks: vm.extra_disks.clone(),
        password_hash: None,
        iso: file
            .spec
            .providers
            .proxmox_of(machines)
            .filter(|_| vm.cloud_init == CloudInit::Iso)
            .map(|proxmox| proxmox.iso_storage.clone()),
    }
}

/// The hole for the hash of the password with which a pool's user comes in by the console.
fn password_hole(pool: &PoolName, vm: &Vm) -> Option<HoleName> {
    vm.password_hash.as_ref().map(|_| HoleName::of_secret(&console_password(pool)))
}

fn server_body(file: &ClusterFile, node: &NodePlan<'_>, machines: &HetznerMachines) -> ServerBody {
    let hetzner = file.spec.providers.hetzner.as_ref();
    let cluster = &file.metadata.name;
    let spread = hetzner.is_some_and(|hetzner| hetzner.spread_servers) && node.pool.role.is_server();
    let network = hetzner.and_then(|hetzner| hetzner.network.as_ref());
    let public = |own: Option<bool>, all: fn(&Hetzner) -> bool| own.unwrap_or_else(|| hetzner.is_none_or(all));
    let public_ipv4 = public(machines.public_ipv4, |hetzner| hetzner.public_ipv4);
    // What has an address of six alone reaches no mirror of four: it goes the way of those that have none.
    let gateway = network.filter(|_| !public_ipv4).and_then(|network| network.ip_range.net().hosts().next());
    ServerBody {
        server_type: machines.server_type.clone(),
        fallback_types: machines.fallback_types.clone(),
        fallback_locations: machines.fallback_locations.iter().map(|place| place.as_str().into()).collect(),
        image: machines.image.clone().or_else(|| hetzner.map(|hetzner| hetzner.image.clone())).unwrap_or_default(),
        network: network.map(|network| network.name.clone()),
        public_ipv4,
        public_ipv6: public(machines.public_ipv6, |hetzner| hetzner.public_ipv6),
        placement_group: spread.then(|| format!("{cluster}-servers")),
        firewall: hetzner.and_then(|hetzner| hetzner.firewall.as_ref()).map(|_| cluster.to_string()),
        ssh_keys: cloud::key_of(file, node),
        keeps_addresses: hetzner.is_some_and(|hetzner| hetzner.keep_addresses),
        protected: hetzner.is_some_and(|hetzner| hetzner.protect),
        gateway,
        nameservers: file.spec.network.nameservers.clone(),
    }
}
