//! 04xx, the part about the API's address.

use std::net::IpAddr;

use kubewright_model::codes;
use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::spec::kubernetes::API_PORT;
use kubewright_model::spec::{Distribution, Role};

use super::{Facts, at, near};

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let endpoint = &facts.spec.kubernetes.endpoint;
    let servers = facts.servers().count();
    if servers > 1 && endpoint.host.is_none() && endpoint.load_balancer.is_none() && endpoint.virtual_ip.is_none() {
        let message = format!("{servers} servers, and nothing says where clients reach the API");
        let help =
            format!("write {}, or `endpoint.host` with a name or address that you keep yourself", outlives(facts));
        found.push(Diagnostic::new(codes::ENDPOINT_MISSING, at("kubernetes/endpoint"), message).help(help));
    }
    port(facts, found);
    host(facts, servers, found);
    virtual_ip(facts, found);
    balancer(facts, found);
}

/// RKE2's API servers know no other port, so another one must be a load balancer's.
/// <https://docs.rke2.io/reference/server_config>
fn port(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let (port, host) = (kubernetes.endpoint.port, kubernetes.endpoint.host.as_deref());
    let is_it = |node: &&crate::context::nodes::NodePlan<'_>| {
        host.is_none_or(|host| node.name.as_str() == host || node.address == host.parse().ok())
    };
    let direct = kubernetes.endpoint.load_balancer.is_none() && facts.servers().any(|node| is_it(&node));
    if kubernetes.distribution == Distribution::Rke2 && port != API_PORT && direct {
        let message = format!("RKE2 serves the API on port {API_PORT}, not on {port}");
        let path = at("kubernetes/endpoint/port");
        found.push(Diagnostic::new(codes::NOT_OF_DISTRIBUTION, path, message).help("remove `port`"));
    }
}

/// A host that is a node must be one where the API answers.
fn host(facts: &Facts<'_>, servers: usize, found: &mut Vec<Diagnostic>) {
    let Some(host) = &facts.spec.kubernetes.endpoint.host else { return };
    let address = host.parse().ok();
    let is_it = |node: &&crate::context::nodes::NodePlan<'_>| {
        node.name.as_str() == host || (address.is_some() && node.address == address)
    };
    let path = at("kubernetes/endpoint/host");
    let Some(node) = facts.nodes.iter().find(is_it) else { return nobody(facts, address, found) };
    if node.pool.role == Role::Agent {
        let message = format!("`{host}` is the agent `{}`, where no API answers", node.name);
        let help = match facts.servers().next() {
            Some(server) if servers == 1 => format!("remove `host`: the server `{}` is taken then", server.name),
            _ => "write a load balancer, a virtual IP, or a server".to_string(),
        };
        found.push(Diagnostic::new(codes::ENDPOINT_NOT_SERVER, path, message).help(help));
    } else if node.is_server() && servers > 1 {
        let message = format!("`{host}` is one of {servers} servers; without it the API is out of reach");
        let help = format!("write {} in its place", outlives(facts));
        found.push(Diagnostic::new(codes::ENDPOINT_ONE_SERVER, path, message).help(help));
    }
}

/// What clients may use that outlives each server. Before kubeadm nothing that announces a virtual IP is built.
fn outlives(facts: &Facts<'_>) -> &'static str {
    match facts.spec.kubernetes.distribution {
        Distribution::Kubeadm => "`endpoint.loadBalancer` with one of `loadBalancers`",
        _ => "`endpoint.virtualIp`, or `endpoint.loadBalancer` with one of `loadBalancers`",
    }
}

/// An address of the hosts' own network that the spec gives to nobody was perhaps that of a server which is gone.
fn nobody(facts: &Facts<'_>, address: Option<IpAddr>, found: &mut Vec<Diagnostic>) {
    let endpoint = &facts.spec.kubernetes.endpoint;
    let inside = |address: &IpAddr| facts.spec.network.cidr.is_some_and(|cidr| cidr.contains(*address));
    let Some(address) = address.filter(inside) else { return };
    if endpoint.virtual_ip.as_ref().is_some_and(|virtual_ip| virtual_ip.address.first() == address) {
        return;
    }
    let message = format!("nobody of the spec answers at {address}");
    let outlives = outlives(facts);
    let help = format!(
        "write a server's address, {outlives}; leave it if a load balancer that you keep yourself answers there"
    );
    found.push(Diagnostic::new(codes::ENDPOINT_NOBODY, at("kubernetes/endpoint/host"), message).help(help));
}

fn virtual_ip(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let endpoint = &facts.spec.kubernetes.endpoint;
    let Some(virtual_ip) = &endpoint.virtual_ip else { return };
    let path = at("kubernetes/endpoint/virtualIp/address");
    let address = virtual_ip.address;
    if address.count() > 1 {
        let message = format!("{address} are {} addresses, and a virtual IP is one", address.count());
        let help = format!("write `{}`", address.first());
        found.push(Diagnostic::new(codes::VIRTUAL_IP_RANGE, path, message).help(help));
    } else if let Some(cidr) = facts.spec.network.cidr.filter(|cidr| !cidr.contains(address.first())) {
        let message = format!("the virtual IP {address} does not lie in the hosts' network {cidr}");
        let help = format!("choose a free address of {cidr}");
        found.push(Diagnostic::new(codes::VIRTUAL_IP_OUTSIDE, path, message).help(help));
    }
    if endpoint.load_balancer.is_some() {
        let message = "a load balancer and a virtual IP, and clients can use only one of them";
        let path = at("kubernetes/endpoint/virtualIp");
        let help = "remove `loadBalancer` or `virtualIp`";
        found.push(Diagnostic::new(codes::ENDPOINT_TWO_WAYS, path, message).help(help));
    }
}

fn balancer(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let endpoint = &facts.spec.kubernetes.endpoint;
    let Some(name) = &endpoint.load_balancer else { return };
    let path = at("kubernetes/endpoint/loadBalancer");
    let Some(balancer) = facts.spec.load_balancers.get(name.as_str()) else {
        let message = format!("there is no load balancer `{name}`");
        let known = facts.spec.load_balancers.keys().map(|known| known.as_str());
        let help = near(name, known, "describe it under `loadBalancers`");
        found.push(Diagnostic::new(codes::ENDPOINT_BALANCER_UNKNOWN, path, message).help(help));
        return;
    };
    let registration = facts.spec.kubernetes.distribution.registration_port(endpoint.port);
    let mut needed = vec![(endpoint.port, API_PORT, "clients look for the API")];
    if registration != endpoint.port {
        needed.push((registration, registration, "nodes register"));
    }
    for (port, to, why) in needed {
        let elsewhere = balancer.listen.iter().enumerate().find(|(_, it)| it.port == port && it.to != to);
        if let Some((index, listener)) = elsewhere {
            let message = format!("{why} behind port {port}, and servers do not listen on {}", listener.to);
            let path = at("loadBalancers").then(name.as_str()).then("listen").then(index).then("to");
            found.push(Diagnostic::new(codes::ENDPOINT_BALANCER_PORT, path, message).help(format!("write `to: {to}`")));
        }
        if !balancer.listen.iter().any(|listener| listener.port == port) {
            let message = format!("the load balancer `{name}` does not listen on port {port}, where {why}");
            let help = format!("add {{ port: {port}, to: {to} }} to `loadBalancers.{name}.listen`");
            found.push(Diagnostic::new(codes::ENDPOINT_BALANCER_PORT, path.clone(), message).help(help));
        }
    }
}
