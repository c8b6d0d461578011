//! What is where: machines in their places, what stands before the cluster, its networks.

use std::collections::BTreeMap;

use kubewright_model::desired::{Body, Desired, DesiredMachine, EXISTING};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::spec::pools::Role;

use super::sight::power;
use crate::api::shapes::{Balancer, Link, Machine, Named, Network, Provider, Spot, State, Topology};

pub(super) fn topology(desired: &Desired, observed: &Observed) -> Topology {
    let balancers = balancers(desired, observed);
    let links = balancers.iter().flat_map(|balancer| {
        let to = balancer.targets.iter().map(|target| (balancer.name.clone(), target.clone()));
        to.map(|(from, to)| Link { from, to, kind: "balances" })
    });
    let links = links.collect();
    Topology { providers: providers(desired, observed), balancers, networks: networks(desired, observed), links }
}

fn providers(desired: &Desired, observed: &Observed) -> Vec<Provider> {
    let roles: BTreeMap<&NodeName, Role> = desired.members.iter().map(|member| (&member.name, member.role)).collect();
    let mut providers: BTreeMap<String, (String, BTreeMap<String, Vec<Machine>>)> = BTreeMap::new();
    for wish in &desired.machines {
        let seen = observed.providers.get(&wish.provider).and_then(Seen::present);
        let seen = seen.and_then(|inventory| inventory.machines.get(&wish.name));
        let place = seen.map_or(&wish.place, |seen| &seen.place);
        let kind = match &*wish.body {
            Body::Lxc(_) | Body::Vm(_) => "proxmox",
            Body::Server(_) => "hetzner",
            Body::Existing => EXISTING,
            Body::Local => "local",
        };
        let (state, words) = machine_state(wish, observed);
        let machine = Machine {
            name: wish.name.to_string(),
            role: roles.get(&wish.name).map_or_else(|| "host".to_string(), |role| role_word(*role).to_string()),
            kind: match &*wish.body {
                Body::Lxc(_) => "container",
                Body::Vm(_) => "vm",
                Body::Server(_) => "server",
                Body::Existing => "host",
                Body::Local => "local",
            },
            address: seen.and_then(|seen| seen.address).or(wish.address).map(|address| address.to_string()),
            number: seen.and_then(|seen| seen.vmid).or(wish.vmid).map(|vmid| vmid.0),
            cpus: wish.cores,
            memory: wish.memory.map(|size| size.to_string()),
            disk: wish.disk.map(|size| size.to_string()),
            state,
            words,
        };
        let (_, places) =
            providers.entry(wish.provider.to_string()).or_insert_with(|| (kind.to_string(), BTreeMap::new()));
        places.entry(place.to_string()).or_default().push(machine);
    }
    let shown = providers.into_iter().map(|(name, (kind, places))| {
        let places = places.into_iter().map(|(name, machines)| Spot { name, machines }).collect();
        Provider { name, kind, places }
    });
    shown.collect()
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Agent => "agent",
        Role::Both => "both",
        Role::LoadBalancer => "balancer",
    }
}

/// How a machine is, and in words: what Kubernetes says of its node where it says anything.
pub(super) fn machine_state(wish: &DesiredMachine, observed: &Observed) -> (State, String) {
    let machine = match observed.providers.get(&wish.provider) {
        None | Some(Seen::Unknown(_)) => return (State::Unknown, "nobody could look".into()),
        Some(Seen::Absent) => return (State::Bad, "not there".into()),
        Some(Seen::Present(inventory)) => match inventory.machine(&wish.name, wish.vmid) {
            Seen::Present(machine) => machine,
            Seen::Absent => return (State::Bad, "not there".into()),
            Seen::Unknown(why) => return (State::Unknown, why.words),
        },
    };
    let (state, words) = power(machine.power);
    if state != State::Good {
        return (state, words.into());
    }
    if let Some(Seen::Unknown(why)) = observed.hosts.get(&wish.name) {
        return (State::Bad, why.words.clone());
    }
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    match cluster.and_then(|cluster| cluster.nodes.get(&wish.name)) {
        Some(node) if !node.ready => (State::Bad, format!("NotReady · {}", node.version)),
        Some(node) if node.cordoned => (State::Care, format!("Ready, cordoned · {}", node.version)),
        Some(node) => (State::Good, format!("Ready · {}", node.version)),
        None => (State::Good, words.into()),
    }
}

/// What stands before the cluster: HAProxy on hosts of ours, and load balancers of a provider.
pub(super) fn balancers(desired: &Desired, observed: &Observed) -> Vec<Balancer> {
    let hosts = desired.proxies.iter().flat_map(|proxy| {
        let state = match observed.hosts.get(&proxy.host) {
            Some(Seen::Present(_)) => State::Good,
            Some(Seen::Unknown(_)) => State::Unknown,
            Some(Seen::Absent) | None => State::Bad,
        };
        proxy.balancers.iter().map(move |balancer| {
            let floating = balancer.spec.floating.as_ref().map(|floating| floating.address.to_string());
            Balancer {
                name: format!("{} on {}", balancer.name, proxy.host),
                kind: "haproxy".into(),
                address: floating.or_else(|| proxy.address.map(|address| address.to_string())),
                targets: balancer.targets.iter().map(|(name, _)| name.to_string()).collect(),
                state,
            }
        })
    });
    let rented = desired.load_balancers.iter().map(|balancer| {
        let inventory = observed.providers.get(&balancer.provider);
        let seen = inventory.and_then(Seen::present).and_then(|it| it.load_balancers.get(&balancer.name));
        let state = match (inventory, seen) {
            (None | Some(Seen::Unknown(_)), _) => State::Unknown,
            (_, None) => State::Bad,
            (_, Some(seen)) if seen.targets.values().any(|healthy| !healthy) => State::Care,
            _ => State::Good,
        };
        Balancer {
            name: balancer.name.to_string(),
            kind: balancer.provider.to_string(),
            address: seen.and_then(|seen| seen.address).map(|address| address.to_string()),
            targets: balancer.targets.iter().map(ToString::to_string).collect(),
            state,
        }
    });
    hosts.chain(rented).collect()
}

fn networks(desired: &Desired, observed: &Observed) -> Vec<Network> {
    let spec = desired.spec.as_ref().map(|file| &file.spec.network);
    let machines = desired.machines.iter().filter_map(|machine| Some((machine.address?, machine.name.to_string())));
    let mut named: Vec<(std::net::IpAddr, String)> = machines.collect();
    named.extend(desired.kubernetes.endpoint.address().map(|address| (address, "the API".to_string())));
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    for (service, seen) in cluster.iter().flat_map(|cluster| &cluster.services) {
        let at = seen.addresses.iter().filter_map(|address| address.parse().ok());
        named.extend(at.map(|address| (address, format!("Service {service}"))));
    }
    named.sort();
    named.dedup();
    let hosts = spec.into_iter().flat_map(|spec| {
        let main = spec.cidr.as_ref().map(|cidr| ("machines".to_string(), cidr));
        main.into_iter().chain(spec.others.iter().map(|(name, other)| (name.to_string(), &other.cidr)))
    });
    let hosts = hosts.map(|(name, cidr)| {
        let inside = named.iter().filter(|(address, _)| cidr.contains(*address));
        let addresses = inside.map(|(address, name)| Named { address: address.to_string(), name: name.clone() });
        Network { name, cidr: cidr.to_string(), kind: "hosts", addresses: addresses.collect() }
    });
    let inner = |name: &str, cidr: String, kind| Network { name: name.into(), cidr, kind, addresses: Vec::new() };
    let pods = inner("pods", desired.kubernetes.pod_network.to_string(), "pods");
    let services = inner("services", desired.kubernetes.service_network.to_string(), "services");
    hosts.chain([pods, services]).collect()
}
