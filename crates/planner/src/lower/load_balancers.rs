//! Load balancers: those of a provider, and those that are HAProxy on hosts.

use kubewright_model::balancer::BalancerSettings;
use kubewright_model::cloud::{OWNER_LABEL, POOL_LABEL};
use kubewright_model::desired::{DesiredLoadBalancer, DesiredProxy, HETZNER, ProxyBalancer};
use kubewright_model::ids::{ClusterName, NodeName};
use kubewright_model::spec::LoadBalancer;
use kubewright_model::spec::load_balancers::Balancer;

use crate::context::nodes::NodePlan;
use crate::context::{Context, SecretNames};
use crate::haproxy::server_ports;
use crate::lower::cloud;

/// Load balancers that a provider runs.
pub(super) fn load_balancers(context: &Context<'_>) -> Vec<DesiredLoadBalancer> {
    let of_provider = context.file.spec.load_balancers.iter().filter(|(_, balancer)| balancer.by == Balancer::Hetzner);
    let hetzner = context.file.spec.providers.hetzner.as_ref();
    let network = hetzner.and_then(|hetzner| hetzner.network.as_ref()).map(|network| network.name.as_str());
    let protected = hetzner.is_some_and(|hetzner| hetzner.protect);
    let wishes = of_provider.map(|(name, balancer)| {
        let targets: Vec<_> = targets(context, balancer).collect();
        let elsewhere = targets.iter().filter(|node| node.pool.hetzner.is_none());
        DesiredLoadBalancer {
            name: name.clone(),
            provider: HETZNER.into(),
            spec: balancer.clone(),
            settings: BalancerSettings::of(balancer, network, selector(context, balancer, &targets), protected),
            location: cloud::location(context.file),
            addresses: elsewhere.filter_map(|node| Some((node.name.clone(), node.address?))).collect(),
            targets: targets.iter().map(|node| node.name.clone()).collect::<Vec<NodeName>>(),
        }
    });
    wishes.collect()
}

/// What finds the servers of the pools that a load balancer sends to, by the labels that we give them.
fn selector(context: &Context<'_>, balancer: &LoadBalancer, targets: &[&NodePlan<'_>]) -> Option<String> {
    let mut pools: Vec<&str> = targets.iter().map(|node| node.pool_name.as_str()).collect();
    pools.dedup();
    let owner = &context.file.metadata.name;
    balancer.by_label.then(|| format!("{OWNER_LABEL}={owner},{POOL_LABEL} in ({})", pools.join(",")))
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
