//! Load balancers: those of a provider, and those that are HAProxy on hosts.

use kubewright_model::desired::{DesiredLoadBalancer, DesiredProxy, ProxyBalancer};
use kubewright_model::ids::{ClusterName, NodeName};
use kubewright_model::spec::LoadBalancer;
use kubewright_model::spec::load_balancers::Balancer;

use crate::context::nodes::NodePlan;
use crate::context::{Context, SecretNames};
use crate::haproxy::server_ports;

/// Load balancers that a provider runs.
pub(super) fn load_balancers(context: &Context<'_>) -> Vec<DesiredLoadBalancer> {
    let of_provider = context.file.spec.load_balancers.iter().filter(|(_, balancer)| balancer.by == Balancer::Hetzner);
    let wishes = of_provider.map(|(name, balancer)| DesiredLoadBalancer {
        name: name.clone(),
        provider: "hetzner".into(),
        spec: balancer.clone(),
        targets: targets(context, balancer).map(|node| node.name.clone()).collect::<Vec<NodeName>>(),
    });
    wishes.collect()
}

/// The nodes that a load balancer sends to: the pools that it names; else servers for what only they listen on, and all
/// nodes for the rest.
fn targets<'c>(context: &'c Context<'_>, balancer: &LoadBalancer) -> impl Iterator<Item = &'c NodePlan<'c>> {
    let of_servers = server_ports(context.file.spec.kubernetes.distribution);
    let only_servers = balancer.listen.iter().all(|listener| of_servers.contains(&listener.to));
    let pools = balancer.targets.clone();
    context.nodes.iter().filter(move |node| {
        let named = pools.contains(node.pool_name);
        let standard = pools.is_empty() && if only_servers { node.is_server() } else { node.is_node() };
        named || standard
    })
}

/// The load balancers whose pool a host is in.
fn on_host<'a>(
    context: &Context<'a>,
    node: &NodePlan<'a>,
) -> impl Iterator<Item = (&'a ClusterName, &'a LoadBalancer)> {
    let pool = node.pool_name;
    let balancers = context.file.spec.load_balancers.iter();
    balancers.filter(move |(_, balancer)| balancer.by == Balancer::Haproxy && balancer.pool.as_ref() == Some(pool))
}

/// The ports that HAProxy listens on, on a host.
pub(super) fn haproxy_ports(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
    let ports = on_host(context, node).flat_map(|(_, balancer)| {
        let listeners = balancer.listen.iter().map(|listener| listener.port);
        listeners.chain(balancer.statistics.iter().map(|statistics| statistics.port))
    });
    ports.collect()
}

/// HAProxy on hosts, for every load balancer whose pool a host is in.
pub(super) fn proxies(context: &Context<'_>, secrets: &mut SecretNames) -> Vec<DesiredProxy> {
    let mut balancer = |name: &ClusterName, spec: &LoadBalancer| ProxyBalancer {
        name: name.clone(),
        spec: spec.clone(),
        targets: targets(context, spec).map(|node| (node.name.clone(), reached_at(node))).collect(),
        password: spec
            .statistics
            .as_ref()
            .map(|page| secrets.hole(&format!("statistics-{name}"), Some(&page.password))),
    };
    let proxies = context.nodes.iter().map(|node| DesiredProxy {
        host: node.name.clone(),
        address: node.address,
        peers: pool(context, node).filter(|other| other.name != node.name).filter_map(|other| other.address).collect(),
        turn: pool(context, node).position(|other| other.name == node.name).unwrap_or_default(),
        balancers: on_host(context, node).map(|(name, spec)| balancer(name, spec)).collect(),
    });
    proxies.filter(|proxy| !proxy.balancers.is_empty()).collect()
}

/// The hosts of a host's pool, itself among them.
fn pool<'c>(context: &'c Context<'_>, node: &NodePlan<'_>) -> impl Iterator<Item = &'c NodePlan<'c>> {
    let name = node.pool_name;
    context.nodes.iter().filter(move |other| other.pool_name == name)
}

fn reached_at(node: &NodePlan<'_>) -> String {
    node.address.map_or_else(|| node.name.to_string(), |address| address.to_string())
}
