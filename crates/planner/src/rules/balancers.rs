//! 05xx, the part about load balancers before the cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::ids::ClusterName;
use kubewright_model::spec::load_balancers::{Balancer, HealthProtocol, ListenProtocol, Listener};
use kubewright_model::spec::{LoadBalancer, Role};

use super::{Facts, at, near};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    // HAProxy's ports are those of its hosts, which several load balancers may share.
    let mut taken: BTreeMap<(&str, u16), SpecPath> = BTreeMap::new();
    for (name, balancer) in &facts.spec.load_balancers {
        let path = at("loadBalancers").then(name);
        let pool = balancer.pool.as_ref().filter(|_| balancer.by == Balancer::Haproxy);
        let owner = pool.map_or(name.as_str(), |pool| pool.as_str());
        let listeners = balancer.listen.iter().enumerate();
        let ports = listeners.map(|(index, listener)| (listener.port, path.then("listen").then(index).then("port")));
        let statistics = balancer.statistics.as_ref().map(|page| (page.port, path.then("statistics").then("port")));
        for (port, place) in ports.chain(statistics) {
            match taken.get(&(owner, port)) {
                Some(other) => {
                    let message = format!("port {port} is already that of `{}`", other.parent().unwrap_or_default());
                    let help = "choose another port";
                    found.push(Diagnostic::new(codes::LISTENER_TWICE, place, message).help(help));
                }
                None => drop(taken.insert((owner, port), place)),
            }
        }
        hosts(facts, balancer, &path, found);
        floating(facts, balancer, &path, found);
        targets(facts, balancer, &path, found);
        private(facts, name, balancer, &path, found);
        by_label(facts, balancer, &path, found);
        for (index, listener) in balancer.listen.iter().enumerate() {
            listens(balancer, listener, &path.then("listen").then(index), found);
            speaks(facts, listener, &path.then("listen").then(index), found);
        }
    }
}

/// HAProxy has hosts of its own.
fn hosts(facts: &Facts<'_>, balancer: &LoadBalancer, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    if balancer.by != Balancer::Haproxy {
        return;
    }
    let pools = &facts.spec.pools;
    let fitting = || pools.iter().filter(|(_, pool)| pool.role == Role::LoadBalancer).map(|(name, _)| name.as_str());
    let named = balancer.pool.as_ref().and_then(|name| Some((name, pools.get(name)?)));
    let message = match (&balancer.pool, named) {
        (_, Some((_, pool))) if pool.role == Role::LoadBalancer => return,
        (_, Some((name, _))) => format!("the pool `{name}` has another role than `loadBalancer`"),
        (Some(name), None) => format!("there is no pool `{name}`"),
        (None, _) => "nothing says on which hosts HAProxy runs".to_string(),
    };
    let help = match fitting().next() {
        Some(name) => format!("write `pool: {name}`"),
        None => "add a pool with `role: loadBalancer`, and name it in `pool`".to_string(),
    };
    found.push(Diagnostic::new(codes::BALANCER_POOL, path.then("pool"), message).help(help));
}

/// What is handed on needs somebody to take it.
fn floating(facts: &Facts<'_>, balancer: &LoadBalancer, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    if balancer.floating.is_none() {
        return;
    }
    let path = path.then("floating");
    if balancer.by != Balancer::Haproxy {
        let message = "only hosts that run HAProxy hand an address on";
        found.push(Diagnostic::new(codes::FLOATING_ADDRESS, path, message).help("remove `floating`"));
        return;
    }
    let hosts = facts.nodes.iter().filter(|node| Some(node.pool_name) == balancer.pool.as_ref()).count();
    if hosts == 1 {
        let message = "the pool has one host, and nobody takes the address when it fails";
        let help = "add a host to the pool, or remove `floating`";
        found.push(Diagnostic::new(codes::FLOATING_ALONE, path, message).help(help));
    }
}

/// A load balancer at Hetzner has the address that the spec gives it, or any; the API's has to be known to every node.
fn private(
    facts: &Facts<'_>,
    name: &ClusterName,
    balancer: &LoadBalancer,
    path: &SpecPath,
    found: &mut Vec<Diagnostic>,
) {
    let before_api = facts.spec.kubernetes.endpoint.load_balancer.as_deref() == Some(name.as_str());
    let written = facts.spec.kubernetes.endpoint.host.is_some();
    let network = facts.spec.providers.hetzner.as_ref().is_some_and(|hetzner| hetzner.network.is_some());
    let outside = |address: IpAddr| facts.spec.network.cidr.filter(|cidr| !cidr.contains(address));
    let taken = |address| facts.nodes.iter().find(|node| node.address == Some(address));
    let (message, help) = match balancer.private_address {
        _ if balancer.by != Balancer::Hetzner && balancer.private_address.is_none() => return,
        Some(_) if balancer.by != Balancer::Hetzner => (
            "HAProxy has the addresses of its hosts".to_string(),
            "remove `privateAddress`, or write `floating`".into(),
        ),
        None if before_api && !written => {
            let help = "write `privateAddress`, a free one of `network.cidr`".to_string();
            ("it stands before the API, and no node knows where".to_string(), help)
        }
        Some(_) if !balancer.private_network || !network => {
            let help = "write `privateNetwork: true`, and the network in `providers.hetzner`".to_string();
            ("an address in a private network that it is not in".to_string(), help)
        }
        Some(address) if reserved(facts, address) => {
            (format!("{address} is Hetzner's own, or the network's"), "choose a free one".to_string())
        }
        Some(address) => match (outside(address), taken(address)) {
            (Some(cidr), _) => {
                (format!("{address} does not lie in the hosts' network {cidr}"), format!("choose a free one of {cidr}"))
            }
            (_, Some(node)) => (format!("{address} is that of `{}`", node.name), "choose a free one".to_string()),
            (None, None) => return,
        },
        None => return,
    };
    let field = if balancer.private_address.is_some() { path.then("privateAddress") } else { path.then("by") };
    found.push(Diagnostic::new(codes::BALANCER_ADDRESS, field, message).help(help));
}

/// The gateway of Hetzner's network, and the addresses that name a network and everybody in it.
fn reserved(facts: &Facts<'_>, address: IpAddr) -> bool {
    let hetzner = facts.spec.providers.hetzner.as_ref();
    let range = hetzner.and_then(|hetzner| hetzner.network.as_ref()).map(|network| network.ip_range.net());
    let cidr = facts.spec.network.cidr.map(|cidr| cidr.net());
    range.is_some_and(|range| range.hosts().next() == Some(address))
        || cidr.is_some_and(|cidr| cidr.network() == address || cidr.broadcast() == address)
}

fn by_label(facts: &Facts<'_>, balancer: &LoadBalancer, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let elsewhere = facts.nodes.iter().find(|node| {
        let named = balancer.targets.is_empty() || balancer.targets.contains(node.pool_name);
        named && node.is_node() && node.pool.hetzner.is_none()
    });
    let message = match (balancer.by, elsewhere) {
        _ if !balancer.by_label => return,
        (Balancer::Haproxy, _) => "HAProxy knows nothing of labels".to_string(),
        (Balancer::Hetzner, Some(node)) => format!("`{}` is no server of Hetzner Cloud", node.name),
        (Balancer::Hetzner, None) => return,
    };
    found.push(Diagnostic::new(codes::BALANCER_LABELS, path.then("byLabel"), message).help("remove `byLabel`"));
}

/// What comes in plain goes to a port that speaks plain HTTP.
fn speaks(facts: &Facts<'_>, listener: &Listener, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let nginx = facts.spec.ingress.nginx.as_ref();
    let ports = nginx.and_then(|nginx| nginx.node_ports.as_ref());
    let tls = ports.map(|ports| ports.https);
    let host_port = nginx.is_some_and(|nginx| nginx.host_network) && listener.to == 443;
    if listener.protocol == ListenProtocol::Tcp || !(tls == Some(listener.to) || host_port) {
        return;
    }
    let message = format!("the targets get plain HTTP, and NGINX speaks TLS on port {}", listener.to);
    let plain = ports.map(|ports| ports.http).filter(|_| !host_port).unwrap_or(80);
    let help = format!("write `to: {plain}`, also for 443; or `protocol: tcp`, and NGINX ends TLS");
    found.push(Diagnostic::new(codes::PLAIN_TO_TLS, path.then("to"), message).help(help));
}

fn targets(facts: &Facts<'_>, balancer: &LoadBalancer, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let pools = &facts.spec.pools;
    let api = balancer.listen.iter().any(|listener| listener.to == kubewright_model::spec::kubernetes::API_PORT);
    for (index, name) in balancer.targets.iter().enumerate() {
        let path = path.then("targets").then(index);
        match pools.get(name).map(|pool| pool.role) {
            None => {
                let message = format!("there is no pool `{name}`");
                let known = pools.keys().map(|known| known.as_str());
                let help = near(name.as_str(), known, "write the name of a pool of this file");
                found.push(Diagnostic::new(codes::TARGET_UNKNOWN, path, message).help(help));
            }
            Some(Role::LoadBalancer) => {
                let message = format!("the hosts of the pool `{name}` are load balancers themselves");
                let help = "write a pool of servers or agents";
                found.push(Diagnostic::new(codes::TARGET_UNKNOWN, path, message).help(help));
            }
            Some(Role::Agent) if api => {
                let message = format!("the nodes of the pool `{name}` are agents and do not serve the API");
                let help = "remove it, or give port 6443 a load balancer of its own";
                found.push(Diagnostic::new(codes::API_TO_AGENTS, path, message).help(help));
            }
            Some(_) => {}
        }
    }
}

fn listens(balancer: &LoadBalancer, listener: &Listener, path: &SpecPath, found: &mut Vec<Diagnostic>) {
    let https = listener.protocol == ListenProtocol::Https;
    if https && (listener.certificate.is_none() || balancer.by == Balancer::Haproxy) {
        let (message, help) = match balancer.by {
            Balancer::Hetzner => ("HTTPS, and no certificate to show", "write `certificate`, its name at Hetzner"),
            Balancer::Haproxy => ("HAProxy ends no TLS here", "write `protocol: tcp`; the ingress controller ends TLS"),
        };
        found.push(Diagnostic::new(codes::CERTIFICATE_MISSING, path.then("protocol"), message).help(help));
    }
    let Some(health) = &listener.health else { return };
    let path = path.then("health");
    let same_port = health.port.is_none_or(|port| port == listener.to);
    if https && same_port && health.protocol == HealthProtocol::Https {
        let message = format!("the check speaks TLS to port {}, which gets plain HTTP from this listener", listener.to);
        let path = path.then("protocol");
        found.push(Diagnostic::new(codes::HEALTH_OVER_TLS, path, message).help("write `protocol: http`"));
    }
    if health.protocol == HealthProtocol::Tcp && (health.path.is_some() || !health.status.is_empty()) {
        let message = "a TCP check asks for no path and gets no status";
        let path = path.then(if health.path.is_some() { "path" } else { "status" });
        found.push(Diagnostic::new(codes::HEALTH_IGNORED, path, message).help("write `protocol: http`, or remove it"));
    }
}
