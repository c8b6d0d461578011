//! 02xx: networks, and who lies in them.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use kubewright_model::codes::{self, Code};
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::net::{AddressRange, Cidr};

use super::claims::{Holder, balanced, claims, conflicts};
use super::{Facts, at};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    outside(facts, found);
    reserved(facts, found);
    taken_twice(facts, found);
    gateway(facts, found);
    networks(facts, found);
    pools_apart(facts, found);
    sizes(facts, found);
    cilium(facts, found);
}

/// What Cilium is to do has the parts of it that it needs.
/// <https://docs.cilium.io/en/v1.18/network/l2-announcements/#prerequisites>; of Hubble the chart itself says it
/// (`templates/validate.yaml`).
fn cilium(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let Some(cilium) = &facts.spec.kubernetes.cni.cilium else { return };
    let path = at("kubernetes/cni/cilium");
    if cilium.l2_announcements.is_some() && !cilium.kube_proxy_replacement {
        let message = "nobody announces addresses while kube-proxy does its own work";
        let path = path.then("l2Announcements");
        let help = "write `kubeProxyReplacement: true`, or let MetalLB announce them";
        found.push(Diagnostic::new(codes::CILIUM_HALVES, path, message).help(help));
    }
    if cilium.hubble.as_ref().is_some_and(|hubble| hubble.ui && !hubble.relay) {
        let message = "Hubble's page has no relay to ask";
        let path = path.then("hubble").then("ui");
        found.push(Diagnostic::new(codes::CILIUM_HALVES, path, message).help("write `relay: true`"));
    }
}

/// Every node and every LoadBalancer pool lies in a network of the file, where the file has one.
fn outside(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let network = &facts.spec.network;
    let Some(own) = network.cidr else { return };
    let others: Vec<Cidr> = network.others.values().map(|other| other.cidr).collect();
    let inside = |range: AddressRange| {
        std::iter::once(&own).chain(&others).any(|net| net.contains(range.first()) && net.contains(range.last()))
    };
    for claim in claims(facts) {
        let (code, what) = match claim.holder {
            Holder::Node(_) | Holder::Template => (codes::ADDRESS_OUTSIDE_NETWORK, "the address"),
            // Without a tag it has a rule of its own.
            Holder::Waiting(_) if network.vlan.is_some() => (codes::ADDRESS_OUTSIDE_NETWORK, "the maintenance address"),
            Holder::Balanced(_) => (codes::POOL_OUTSIDE_NETWORK, "the pool"),
            Holder::Floating(_) => (codes::FLOATING_ADDRESS, "the floating address"),
            Holder::Gateway | Holder::Endpoint | Holder::VirtualIp | Holder::Waiting(_) => continue,
        };
        if inside(claim.range) {
            continue;
        }
        let ends = (own.contains(claim.range.first()), own.contains(claim.range.last()));
        let which = match ends {
            (true, false) => format!(": {} is outside", claim.range.last()),
            (false, true) => format!(": {} is outside", claim.range.first()),
            _ => String::new(),
        };
        let message = format!("{what} {} does not lie in the network {own}{which}", claim.range);
        let help = "correct it, correct `network.cidr`, or name its network under `network.others`";
        found.push(Diagnostic::new(code, claim.path, message).help(help));
    }
}

/// The network's own address and its broadcast address are no host's.
fn reserved(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let network = &facts.spec.network;
    let nets: Vec<Cidr> = network.cidr.into_iter().chain(network.others.values().map(|other| other.cidr)).collect();
    for claim in claims(facts) {
        let whose = match claim.holder {
            Holder::Node(_) | Holder::Waiting(_) => "the node",
            Holder::Template => "the template's machine",
            Holder::Gateway => "the gateway",
            Holder::VirtualIp => "the virtual IP",
            Holder::Floating(_) => "the load balancer",
            // What is balanced may hold them, and the endpoint may be an address of somewhere else.
            Holder::Balanced(_) | Holder::Endpoint => continue,
        };
        for net in nets.iter().map(Cidr::net).filter(|net| net.addr().is_ipv4() && net.prefix_len() < 31) {
            let (name, address) = match (claim.range.contains(net.network()), claim.range.contains(net.broadcast())) {
                (true, _) => ("network's own", net.network()),
                (_, true) => ("broadcast", net.broadcast()),
                _ => continue,
            };
            let message = format!("{address} is the {name} address of {net}");
            let help = format!("choose another address for {whose}");
            found.push(Diagnostic::new(codes::ADDRESS_RESERVED, claim.path.clone(), message).help(help));
        }
    }
}

/// Addresses that two hold.
fn taken_twice(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    conflicts(claims(facts), |one, two| {
        let (later, earlier) = if one.is_after(two) { (one, two) } else { (two, one) };
        let Some((code, at_later)) = verdict(&later.holder, &earlier.holder) else { return };
        let (bad, other) = if at_later { (later, earlier) } else { (earlier, later) };
        let shared = later.range.first().max(earlier.range.first());
        let message = format!("{} covers {shared}, which is {}", bad.range, other.holder.title());
        let message = match bad.range.count() {
            1 => format!("{shared} is also {}", other.holder.title()),
            _ => message,
        };
        found.push(Diagnostic::new(code, bad.path.clone(), message).help(help(code)));
    });
}

/// Which rule two holders of one address break, and whether the later of them is the one to mend.
fn verdict(later: &Holder<'_>, earlier: &Holder<'_>) -> Option<(Code, bool)> {
    use Holder::{Balanced, Endpoint, Floating, Gateway, Node, Template, VirtualIp, Waiting};
    Some(match (later, earlier) {
        (Template, _) => (codes::TEMPLATE_ADDRESS, true),
        (_, Template) => (codes::TEMPLATE_ADDRESS, false),
        // The endpoint may be such an address.
        (Floating(_), Endpoint) | (Endpoint, Floating(_)) => return None,
        (Floating(_), _) => (codes::FLOATING_ADDRESS, true),
        (_, Floating(_)) => (codes::FLOATING_ADDRESS, false),
        (Node(_), Node(_)) | (Waiting(_), Waiting(_)) => (codes::DUPLICATE_ADDRESS, true),
        // A node may wait where it, or another one, will be later.
        (Waiting(_), Node(_)) | (Node(_), Waiting(_)) => return None,
        (Node(_) | Waiting(_), Gateway) => (codes::ADDRESS_OF_GATEWAY, true),
        (Gateway, Node(_) | Waiting(_)) => (codes::ADDRESS_OF_GATEWAY, false),
        (Balanced(_), Balanced(_)) => (codes::POOLS_OVERLAP, true),
        (Balanced(_), Node(_) | Waiting(_)) => (codes::POOL_COVERS_NODE, true),
        (Node(_) | Waiting(_), Balanced(_)) => (codes::POOL_COVERS_NODE, false),
        (Balanced(_), Endpoint | VirtualIp) => (codes::POOL_COVERS_ENDPOINT, true),
        (Endpoint | VirtualIp, Balanced(_)) => (codes::POOL_COVERS_ENDPOINT, false),
        (Balanced(_), Gateway) => (codes::POOL_COVERS_GATEWAY, true),
        (Gateway, Balanced(_)) => (codes::POOL_COVERS_GATEWAY, false),
        (VirtualIp, Node(_) | Waiting(_) | Gateway) => (codes::VIRTUAL_IP_TAKEN, true),
        (Node(_) | Waiting(_) | Gateway, VirtualIp) => (codes::VIRTUAL_IP_TAKEN, false),
        // The endpoint may be a node or the virtual IP.
        (Endpoint, _) | (_, Endpoint) | (Gateway, Gateway) | (VirtualIp, VirtualIp) => return None,
    })
}

fn help(code: Code) -> &'static str {
    match code {
        codes::DUPLICATE_ADDRESS => "give each node an address of its own",
        codes::ADDRESS_OF_GATEWAY => "choose another address for the node, or correct `network.gateway`",
        codes::VIRTUAL_IP_TAKEN | codes::TEMPLATE_ADDRESS | codes::FLOATING_ADDRESS => {
            "choose an address that belongs to nobody"
        }
        codes::POOLS_OVERLAP => "give each pool addresses of its own",
        _ => "end the pool before that address, or split it in two around it",
    }
}

fn gateway(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let network = &facts.spec.network;
    if let (Some(cidr), Some(gateway)) = (network.cidr, network.gateway)
        && !cidr.contains(gateway)
    {
        let message = format!("the gateway {gateway} does not lie in the network {cidr}");
        let help = "write the router's address in the hosts' own network";
        found.push(Diagnostic::new(codes::GATEWAY_OUTSIDE_NETWORK, at("network/gateway"), message).help(help));
    }
    for (name, other) in &network.others {
        if let Some(gateway) = other.gateway.filter(|gateway| !other.cidr.contains(*gateway)) {
            let message = format!("the gateway {gateway} does not lie in the network {}", other.cidr);
            let path = at("network/others").then(name).then("gateway");
            let help = "write the router's address in that network";
            found.push(Diagnostic::new(codes::GATEWAY_OUTSIDE_NETWORK, path, message).help(help));
        }
    }
    // Hetzner hands out addresses and gateways itself, and existing hosts have theirs.
    let made = facts.spec.pools.iter().find(|(_, pool)| pool.proxmox.is_some() && !pool.addresses.is_empty());
    let Some((name, _)) = made else { return };
    let missing = match (network.cidr, network.gateway) {
        (None, _) => Some((codes::NETWORK_MISSING, "network.cidr", "192.168.1.0/24")),
        (_, None) => Some((codes::GATEWAY_MISSING, "network.gateway", "192.168.1.1")),
        _ => None,
    };
    if let Some((code, field, example)) = missing {
        let message = format!("the machines of the pool `{name}` get fixed addresses, and `{field}` is missing");
        let help = format!("write `{field}`, for example {example}");
        found.push(Diagnostic::new(code, at("network"), message).help(help));
    }
}

/// Pod, Service and host networks are apart.
fn networks(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let network = &facts.spec.network;
    let mut all: Vec<(String, Cidr, SpecPath)> = Vec::new();
    all.extend(network.cidr.map(|cidr| ("the hosts' network".to_string(), cidr, at("network/cidr"))));
    all.extend(network.others.iter().map(|(name, other)| {
        (format!("the network `{name}`"), other.cidr, at("network/others").then(name).then("cidr"))
    }));
    all.push(("the pods' network".into(), kubernetes.pod_network, at("kubernetes/podNetwork")));
    all.push(("the Services' network".into(), kubernetes.service_network, at("kubernetes/serviceNetwork")));
    // Sorted by their first address, wide ones first, a network that overlaps any earlier one overlaps the last wide one.
    let order = |net: &Cidr| (net.net().network(), net.net().prefix_len());
    let mut sorted: Vec<usize> = (0..all.len()).collect();
    sorted.sort_by_key(|index| order(&all[*index].1));
    let mut wide: Option<usize> = None;
    for index in sorted {
        match wide.filter(|wide| all[*wide].1.overlaps(&all[index].1)) {
            Some(other) => {
                let (later, earlier) = (&all[index.max(other)], &all[index.min(other)]);
                let message = format!("{} {} overlaps {} {}", later.0, later.1, earlier.0, earlier.1);
                let help = "choose networks that share no address";
                found.push(Diagnostic::new(codes::NETWORKS_OVERLAP, later.2.clone(), message).help(help));
            }
            None => wide = Some(index),
        }
    }
}

/// LoadBalancer pools hold no address of a pod or a Service: whoever asks for it on the line would be answered by MetalLB,
/// and every node sends it elsewhere.
fn pools_apart(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let (kubernetes, network) = (&facts.spec.kubernetes, &facts.spec.network);
    let hosts: Vec<&Cidr> = network.cidr.iter().chain(network.others.values().map(|other| &other.cidr)).collect();
    // Where these networks lie in each other, that is said already.
    let apart =
        |range: &AddressRange| !hosts.iter().any(|net| net.contains(range.first()) && net.contains(range.last()));
    let inside = [("the pods' network", kubernetes.pod_network), ("the Services' network", kubernetes.service_network)];
    for (path, name, ranges) in balanced(facts) {
        for (index, range) in ranges.iter().enumerate().filter(|(_, range)| apart(range)) {
            let touches = |net: &Cidr| {
                net.contains(range.first()) || net.contains(range.last()) || range.contains(net.net().network())
            };
            for (what, net) in inside.iter().filter(|(_, net)| touches(net)) {
                let message = format!("the pool {range} touches {what} {net}");
                let help = "choose addresses of the hosts' own network that nobody has";
                let path = path.then(name).then(index);
                found.push(Diagnostic::new(codes::POOL_OF_CLUSTER, path, message).help(help));
            }
        }
    }
}

/// Pod and Service networks are large enough, and not too large.
fn sizes(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let (pods, services) = (kubernetes.pod_network.net(), kubernetes.service_network.net());
    // What kube-controller-manager and the distributions cut out for each node.
    let each = if pods.addr().is_ipv4() { 24 } else { 64 };
    let room = 1u128.checked_shl(u32::from(each).saturating_sub(u32::from(pods.prefix_len()))).unwrap_or(u128::MAX);
    let room = if pods.prefix_len() > each { 0 } else { room };
    let nodes = facts.nodes.iter().filter(|node| node.is_node()).count() as u128;
    if room < nodes {
        let message =
            format!("the pod network {pods} has room for {room} nodes of /{each} each, and there are {nodes}");
        let longest = u32::from(each).saturating_sub(nodes.next_power_of_two().ilog2());
        let help = match free(facts, &kubernetes.service_network, 0..=longest) {
            Some(free) => format!("choose a larger network, for example {free}"),
            None => format!("choose a network of /{longest} or larger"),
        };
        found.push(Diagnostic::new(codes::POD_NETWORK_TOO_SMALL, at("kubernetes/podNetwork"), message).help(help));
    }
    let path = at("kubernetes/serviceNetwork");
    let (limit, smallest) = if services.addr().is_ipv4() { (12, 27) } else { (108, 123) };
    let dns: Option<IpAddr> = kubernetes.service_network.nth(10).filter(|dns| *dns != services.broadcast());
    if dns.is_none() {
        let message = format!("the service network {services} ends before the address of the cluster's DNS");
        let help = match free(facts, &kubernetes.pod_network, limit..=smallest) {
            Some(free) => format!("choose a larger network, for example {free}"),
            None => format!("choose a network of /{smallest} or larger"),
        };
        found.push(Diagnostic::new(codes::SERVICE_NETWORK_TOO_SMALL, path.clone(), message).help(help));
    } else if u32::from(services.prefix_len()) < limit {
        let message = format!("the service network {services} is larger than /{limit}");
        let help = match free(facts, &kubernetes.pod_network, limit..=smallest) {
            Some(free) => format!("choose a smaller network, for example {free}"),
            None => format!("choose a network of /{limit} or smaller"),
        };
        found.push(Diagnostic::new(codes::SERVICE_NETWORK_TOO_LARGE, path.clone(), message).help(help));
    }
    if pods.addr().is_ipv4() != services.addr().is_ipv4() {
        let message = format!("pods are in {pods} and Services in {services}, two address families");
        let help = "choose both networks of one family";
        found.push(Diagnostic::new(codes::NETWORK_FAMILIES, path, message).help(help));
    }
}

/// Private networks to propose, those that people expect first.
const PROPOSED: &[&str] =
    &["10.42.0.0/16", "10.43.0.0/16", "10.96.0.0/12", "172.16.0.0/12", "10.128.0.0/9", "10.0.0.0/9"];
/// The same for IPv6.
const PROPOSED_IPV6: &[&str] = &["fd42::/48", "fd43::/112", "fd42::/32"];

/// A private network with a prefix of such a length that touches neither the hosts' networks nor this one.
fn free(facts: &Facts<'_>, beside: &Cidr, lengths: RangeInclusive<u32>) -> Option<Cidr> {
    let network = &facts.spec.network;
    let taken = || network.cidr.iter().chain(network.others.values().map(|other| &other.cidr)).chain([beside]);
    let proposed = if beside.net().addr().is_ipv4() { PROPOSED } else { PROPOSED_IPV6 };
    let fits = |free: &Cidr| {
        lengths.contains(&u32::from(free.net().prefix_len())) && taken().all(|other| !free.overlaps(other))
    };
    proposed.iter().map(|text| Cidr::known(text)).find(fits)
}
