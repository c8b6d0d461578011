//! Servers, their private network, and their way to the world.

use std::net::{IpAddr, Ipv4Addr};

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::kubernetes::FlannelBackend;
use kubewright_model::spec::pools::HetznerMachines;
use kubewright_model::spec::providers::{Hetzner, HetznerNetwork};
use kubewright_model::spec::{Distribution, Pool, Role};

use super::super::{Facts, addresses, at, near};
use crate::context::nodes::NodePlan;

/// Which zone a location is in. <https://docs.hetzner.com/cloud/general/locations>
const ZONES: [(&str, &str); 6] = [
    ("fsn1", "eu-central"),
    ("nbg1", "eu-central"),
    ("hel1", "eu-central"),
    ("ash", "us-east"),
    ("hil", "us-west"),
    ("sin", "ap-southeast"),
];

/// Servers of one placement group. <https://docs.hetzner.com/cloud/placement-groups/overview>
const SPREAD: usize = 10;

/// The gateway of servers' public side. <https://docs.hetzner.com/cloud/networks/overview>
const PUBLIC_GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 31, 1, 1));

pub(super) fn rules(facts: &Facts<'_>, hetzner: &Hetzner, found: &mut Vec<Diagnostic>) {
    for (name, pool) in &facts.spec.pools {
        let Some(machines) = &pool.hetzner else { continue };
        let path = at("pools").then(name);
        placed(hetzner, pool, &path, found);
        enters(facts, pool, &path, found);
        locations(hetzner, machines, &path.then("hetzner"), found);
        labels(machines, &path.then("hetzner").then("labels"), found);
    }
    zone(hetzner, &hetzner.location, at("providers/hetzner/location"), found);
    layer_2(facts, found);
    spread(facts, hetzner, found);
    if let Some(network) = &hetzner.network {
        reserved(facts, network, found);
        interface(facts, hetzner, found);
        nat(facts, hetzner, network, found);
        ways_out(facts, hetzner, network, found);
    }
}

fn placed(hetzner: &Hetzner, pool: &Pool, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let (message, help, path) = match (&hetzner.network, addresses(pool)) {
        (None, _) => {
            let help = "write `network: { name: NAME, ipRange: 10.0.0.0/16 }` in `providers.hetzner`";
            ("no private network is there for these servers", help, path.then("hetzner"))
        }
        (Some(_), 0) => {
            ("nothing says where these servers are in the private network", "write their `addresses`", path.clone())
        }
        _ => return,
    };
    found.push(Diagnostic::new(codes::HETZNER_NETWORK, path, message).help(help));
}

/// A server is made with a key of ours, or nobody ever comes in.
fn enters(facts: &Facts<'_>, pool: &Pool, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let own = pool.hosts.as_ref().and_then(|hosts| hosts.ssh.as_ref());
    let ssh = own.or(facts.spec.hosts.ssh.as_ref());
    if ssh.is_none_or(|ssh| ssh.key_file.is_none()) {
        let message = "no key opens these servers";
        let help = "write `hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 } }`";
        found.push(Diagnostic::new(codes::HETZNER_KEY, path.then("hetzner"), message).help(help));
    }
}

fn locations(hetzner: &Hetzner, machines: &HetznerMachines, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    if let Some(location) = &machines.location {
        zone(hetzner, location, path.then("location"), found);
    }
    for (index, location) in machines.fallback_locations.iter().enumerate() {
        zone(hetzner, location, path.then("fallbackLocations").then(index), found);
    }
}

/// A location that came after this program is Hetzner's to judge.
fn zone(hetzner: &Hetzner, location: &str, path: SpecPath, found: &mut Vec<Diagnostic>) {
    let known = ZONES.iter().find(|(name, _)| *name == location);
    if let Some((_, zone)) = known.filter(|(_, zone)| *zone != hetzner.network_zone) {
        let message = format!("{location} is in {zone}, and the network is in {}", hetzner.network_zone);
        let fitting = ZONES.iter().filter(|(_, zone)| *zone == hetzner.network_zone).map(|(name, _)| *name);
        let help = format!("choose one of {}, or another `networkZone`", fitting.collect::<Vec<_>>().join(", "));
        found.push(Diagnostic::new(codes::HETZNER_ZONE, path, message).help(help));
    }
}

fn spread(facts: &Facts<'_>, hetzner: &Hetzner, found: &mut Vec<Diagnostic>) {
    let servers = facts.servers().filter(|node| node.pool.hetzner.is_some()).count();
    if hetzner.spread_servers && servers > SPREAD {
        let message = format!("{servers} servers are to be on different physical machines, and {SPREAD} can be");
        let path = at("providers/hetzner/spreadServers");
        found.push(Diagnostic::new(codes::HETZNER_SPREAD, path, message).help("write `spreadServers: false`"));
    }
}

fn reserved(facts: &Facts<'_>, network: &HetznerNetwork, found: &mut Vec<Diagnostic>) {
    let gateway = network.ip_range.net().hosts().next();
    for node in facts.nodes.iter().filter(|node| node.pool.hetzner.is_some()) {
        if node.address.is_some() && (node.address == gateway || node.address == Some(PUBLIC_GATEWAY)) {
            let address = node.address.map(|address| address.to_string()).unwrap_or_default();
            let message = format!("{address} is not for servers: Hetzner's network has it itself");
            let path = at("pools").then(node.pool_name).then("addresses");
            found.push(Diagnostic::new(codes::HETZNER_RESERVED, path, message).help("choose another address"));
        }
    }
}

/// Whether a node's server has a public IPv4 address.
fn is_public(hetzner: &Hetzner, node: &NodePlan<'_>) -> bool {
    node.pool.hetzner.as_ref().is_some_and(|machines| machines.public_ipv4.unwrap_or(hetzner.public_ipv4))
}

/// Whether the pods' network is told which side of a server to take.
fn interface(facts: &Facts<'_>, hetzner: &Hetzner, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let cni = &kubernetes.cni;
    let told = match (&cni.flannel, &cni.canal) {
        (Some(flannel), _) => flannel.interface.is_some(),
        (None, Some(canal)) => canal.interface.is_some(),
        (None, None) => cni.cilium.is_some() || cni.calico.is_some() || kubernetes.distribution == Distribution::Talos,
    };
    let public = facts.nodes.iter().find(|node| node.is_node() && is_public(hetzner, node));
    if let Some(node) = public.filter(|_| !told) {
        let message = format!("pods of `{}` would speak to others by its public address", node.name);
        let plug_in = if kubernetes.distribution == Distribution::Rke2 { "canal" } else { "flannel" };
        let help = format!("write `cni: {{ {plug_in}: {{ interface: enp7s0 }} }}`");
        found.push(Diagnostic::new(codes::HETZNER_INTERFACE, at("kubernetes"), message).help(help));
    }
}

/// What needs a network in which whoever answers first has an address.
fn layer_2(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    if !facts.nodes.iter().any(|node| node.pool.hetzner.is_some()) {
        return;
    }
    let (spec, cni) = (facts.spec, &facts.spec.kubernetes.cni);
    let mut say = |path: SpecPath, what: &str, help: &str| {
        let message = format!("{what} carries nothing in a network of Hetzner's");
        found.push(Diagnostic::new(codes::HETZNER_LAYER_2, path, message).help(help));
    };
    if spec.kubernetes.endpoint.virtual_ip.is_some() {
        let help = "write `endpoint.loadBalancer`, and that load balancer `by: hetzner`";
        say(at("kubernetes/endpoint/virtualIp"), "a virtual IP", help);
    }
    if cni.flannel.as_ref().is_some_and(|flannel| flannel.backend == FlannelBackend::HostGw) {
        say(at("kubernetes/cni/flannel/backend"), "`host-gw`", "write `vxlan` or `wireguard-native`");
    }
    if cni.cilium.as_ref().is_some_and(|cilium| cilium.l2_announcements.is_some()) {
        say(
            at("kubernetes/cni/cilium/l2Announcements"),
            "an announcement by ARP",
            "write `addons.hetzner.cloudController`",
        );
    }
    if spec.addons.metallb.is_some() {
        say(at("addons/metallb"), "an announcement by ARP", "write `addons.hetzner.cloudController`");
    }
    for (name, _) in spec.load_balancers.iter().filter(|(_, balancer)| balancer.floating.is_some()) {
        let path = at("loadBalancers").then(name).then("floating");
        say(path, "an address that hosts hand on", "write `by: hetzner`");
    }
}

fn nat(facts: &Facts<'_>, hetzner: &Hetzner, network: &HetznerNetwork, found: &mut Vec<Diagnostic>) {
    let Some(name) = &network.nat else { return };
    let path = at("providers/hetzner/network/nat");
    let (message, help) = match facts.nodes.iter().find(|node| node.name == *name) {
        None => {
            let known = facts.nodes.iter().map(|node| node.name.as_str());
            let help = near(name.as_str(), known, "write the name of a node with a public address");
            (format!("there is no node `{name}`"), help)
        }
        Some(node) if !is_public(hetzner, node) => {
            let help = "write `hetzner: { publicIpv4: true }` in its pool".to_string();
            (format!("`{name}` has no public IPv4 address itself"), help)
        }
        Some(_) if network.existing => {
            let help = "remove `nat`, and keep the route and the server yourself".to_string();
            ("the network is not ours, and so its routes are not either".to_string(), help)
        }
        Some(_) => return,
    };
    found.push(Diagnostic::new(codes::HETZNER_NAT, path, message).help(help));
}

fn ways_out(facts: &Facts<'_>, hetzner: &Hetzner, network: &HetznerNetwork, found: &mut Vec<Diagnostic>) {
    let routed = network.routes.keys().any(|range| range.net().prefix_len() == 0);
    if network.existing || network.nat.is_some() || routed {
        return;
    }
    for (name, pool) in &facts.spec.pools {
        let node = facts.nodes.iter().find(|node| node.pool_name == name);
        let shut = pool.hetzner.is_some() && node.is_some_and(|node| !is_public(hetzner, node));
        if shut {
            let what = if pool.role == Role::LoadBalancer { "load balancers" } else { "nodes" };
            let message =
                format!("the {what} of the pool `{name}` have no public IPv4 address, and no way to the world");
            let help = "write `nat: NODE` in `providers.hetzner.network`, the node through which they reach it";
            let path = at("pools").then(name).then("hetzner");
            found.push(Diagnostic::new(codes::HETZNER_NO_WAY_OUT, path, message).help(help));
        }
    }
}

/// Their form is judged with that of all labels.
fn labels(machines: &HetznerMachines, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let ours = |key: &&String| ["kubewright.dev/", "hetzner.cloud/"].iter().any(|prefix| key.starts_with(prefix));
    for key in machines.labels.keys().filter(ours) {
        let message = format!("`{key}` is not yours to give");
        let help = "choose a key with another beginning";
        found.push(Diagnostic::new(codes::HETZNER_LABEL, path.then(key), message).help(help));
    }
}
