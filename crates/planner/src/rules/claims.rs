//! Who claims which addresses, and where two claims meet.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use kubewright_model::diagnostic::SpecPath;
use kubewright_model::ids::{ClusterName, PoolName};
use kubewright_model::net::AddressRange;
use kubewright_model::spec::load_balancers::Floating;

use super::{Facts, at, templates};

/// Who claims an address.
#[derive(Clone, Debug)]
pub(super) enum Holder<'a> {
    /// Nodes of a pool.
    Node(&'a PoolName),
    /// Nodes of a pool while they wait for their configuration.
    Waiting(&'a PoolName),
    /// The machine that a template is set up on.
    Template,
    /// Services of type LoadBalancer.
    Balanced(&'a PoolName),
    /// The hosts' gateway.
    Gateway,
    /// Hosts of a load balancer, which hand it on.
    Floating(&'a ClusterName),
    /// The API, by its own address.
    Endpoint,
    /// The API, by an address that the servers hand on.
    VirtualIp,
}

impl Holder<'_> {
    /// The holder in words.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Node(pool) => format!("the address of a node of the pool `{pool}`"),
            Self::Waiting(pool) => format!("a maintenance address of the pool `{pool}`"),
            Self::Template => "the address of a template's machine".into(),
            Self::Balanced(pool) => format!("in the LoadBalancer pool `{pool}`"),
            Self::Gateway => "the gateway's address".into(),
            Self::Floating(balancer) => format!("the floating address of the load balancer `{balancer}`"),
            Self::Endpoint => "the address of the API".into(),
            Self::VirtualIp => "the API's virtual IP".into(),
        }
    }
}

/// Addresses, who claims them, and where that is written.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    /// The addresses.
    pub(super) range: AddressRange,
    /// Who claims them.
    pub(super) holder: Holder<'a>,
    /// Where it is written.
    pub(super) path: SpecPath,
    /// Its place in the file's order.
    order: usize,
}

impl Claim<'_> {
    /// Whether the claim stands after another one in the file.
    pub(super) fn is_after(&self, other: &Self) -> bool {
        self.order > other.order
    }
}

/// Every claim of the file, in its order.
pub(super) fn claims<'a>(facts: &Facts<'a>) -> Vec<Claim<'a>> {
    let one = |address| AddressRange::new(address, address);
    let mut claims = Vec::new();
    let mut claim = |range, holder, path| {
        let order = claims.len();
        claims.push(Claim { range, holder, path, order });
    };
    let endpoint = &facts.spec.kubernetes.endpoint;
    if let Some(range) = facts.spec.network.gateway.and_then(one) {
        claim(range, Holder::Gateway, at("network/gateway"));
    }
    for (name, other) in &facts.spec.network.others {
        if let Some(range) = other.gateway.and_then(one) {
            claim(range, Holder::Gateway, at("network/others").then(name).then("gateway"));
        }
    }
    if let Some(virtual_ip) = &endpoint.virtual_ip {
        claim(virtual_ip.address, Holder::VirtualIp, at("kubernetes/endpoint/virtualIp/address"));
    }
    if let Some(range) = endpoint.host.as_ref().and_then(|host| one(host.parse().ok()?)) {
        claim(range, Holder::Endpoint, at("kubernetes/endpoint/host"));
    }
    for (name, pool) in &facts.spec.pools {
        for (index, range) in pool.addresses.iter().enumerate() {
            claim(*range, Holder::Node(name), at("pools").then(name).then("addresses").then(index));
        }
        // A node may wait where it will be later.
        let waiting = pool.existing.iter().flat_map(|existing| existing.maintenance_addresses.iter().enumerate());
        for (index, range) in waiting.filter(|(_, range)| !pool.addresses.contains(range)) {
            let path = at("pools").then(name).then("existing").then("maintenanceAddresses").then(index);
            claim(*range, Holder::Waiting(name), path);
        }
    }
    let mut shared: Vec<(&Floating, Option<&PoolName>)> = Vec::new();
    for (name, balancer) in &facts.spec.load_balancers {
        let Some(floating) = &balancer.floating else { continue };
        // Load balancers on the same hosts may share it.
        let whose = (floating, balancer.pool.as_ref());
        if let Some(range) = one(floating.address).filter(|_| !shared.contains(&whose)) {
            shared.push(whose);
            claim(range, Holder::Floating(name), at("loadBalancers").then(name).then("floating").then("address"));
        }
    }
    let mut seen = BTreeSet::new();
    for (name, vm) in templates::of(facts) {
        let address = vm.build.as_ref().and_then(|build| one(build.address));
        // Pools that name the same template share it.
        if let Some(range) = address.filter(|_| seen.insert(vm.template)) {
            let path = at("pools").then(name).then("proxmox").then("vm").then("build").then("address");
            claim(range, Holder::Template, path);
        }
    }
    for (path, name, ranges) in balanced(facts) {
        for (index, range) in ranges.iter().enumerate() {
            claim(*range, Holder::Balanced(name), path.then(name).then(index));
        }
    }
    claims
}

/// The pools of addresses for LoadBalancer Services, MetalLB's and Cilium's, with the path of the map they stand in.
pub(super) fn balanced<'a>(
    facts: &Facts<'a>,
) -> impl Iterator<Item = (SpecPath, &'a PoolName, &'a Vec<AddressRange>)> + use<'a> {
    let metallb = facts.spec.addons.metallb.as_ref().map(|metallb| (at("addons/metallb/pools"), &metallb.pools));
    let cilium = facts.spec.kubernetes.cni.cilium.as_ref().and_then(|cilium| cilium.l2_announcements.as_ref());
    let cilium = cilium.map(|l2| (at("kubernetes/cni/cilium/l2Announcements/pools"), &l2.pools));
    let maps = metallb.into_iter().chain(cilium);
    maps.flat_map(|(path, pools)| pools.iter().map(move |(name, ranges)| (path.clone(), name, ranges)))
}

/// Every claim that shares an address with an earlier one, with one of those: later in address first.
///
/// Sorted by their first address, wide ones first, a claim that overlaps any earlier claim overlaps the one that
/// reaches farthest; so one sweep finds at least one partner for each.
pub(super) fn conflicts<'a>(mut claims: Vec<Claim<'a>>, mut say: impl FnMut(&Claim<'a>, &Claim<'a>)) {
    claims.sort_by_key(|claim| (claim.range.first(), Reverse(claim.range.last())));
    let mut farthest: Option<&Claim<'a>> = None;
    for claim in &claims {
        match farthest {
            Some(earlier) if earlier.range.overlaps(&claim.range) => {
                say(claim, earlier);
                if claim.range.last() > earlier.range.last() {
                    farthest = Some(claim);
                }
            }
            _ => farthest = Some(claim),
        }
    }
}
