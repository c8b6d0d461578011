//! Pools become nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kubewright_model::ids::{NodeName, PoolName};
use kubewright_model::names::NamePattern;
use kubewright_model::spec::pools::{Lxc, Role};
use kubewright_model::spec::{ClusterFile, Pool};

use crate::diff::cluster::POOL_LABEL;

/// The taint that keeps work off the control plane, as Kubernetes itself names it.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#node-role-kubernetes-io-control-plane-taint>
pub(crate) const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/control-plane:NoSchedule";

/// A node before it is looked at as a machine, a host or a member.
pub(crate) struct NodePlan<'a> {
    /// Its name.
    pub(crate) name: NodeName,
    /// Its pool's name.
    pub(crate) pool_name: &'a PoolName,
    /// Its pool.
    pub(crate) pool: &'a Pool,
    /// Its address.
    pub(crate) address: Option<IpAddr>,
    /// Its place in the pool, from 0.
    pub(crate) index: usize,
}

impl NodePlan<'_> {
    /// Its container settings, if it is one.
    pub(crate) fn lxc(&self) -> Option<&Lxc> {
        self.pool.proxmox.as_ref().and_then(|proxmox| proxmox.lxc.as_ref())
    }

    /// Whether it is a member of the control plane.
    pub(crate) fn is_server(&self) -> bool {
        self.pool.role.is_server()
    }

    /// Whether it is a node of Kubernetes.
    pub(crate) fn is_node(&self) -> bool {
        self.pool.role != Role::LoadBalancer
    }
}

/// More nodes are not looked at, so that a slip of the pen in a range (`10.0.0.1-10.255.0.2`) ends in an error of the
/// rules and not in a full memory.
pub(crate) const MAX_NODES: usize = 20_000;

/// Every node of every pool, in the order of the file.
pub(crate) fn nodes(file: &ClusterFile) -> Vec<NodePlan<'_>> {
    file.spec.pools.iter().flat_map(|(name, pool)| pool_nodes(file, name, pool)).take(MAX_NODES).collect()
}

fn pool_nodes<'a>(file: &ClusterFile, pool_name: &'a PoolName, pool: &'a Pool) -> impl Iterator<Item = NodePlan<'a>> {
    let addresses: Vec<IpAddr> = pool.addresses.iter().flat_map(|range| range.iter()).take(MAX_NODES).collect();
    let count = match (pool.names.len(), addresses.len()) {
        (0, 0) => pool.count.unwrap_or(0) as usize,
        (0, addressed) => addressed,
        (named, _) => named,
    };
    let standard = || NamePattern::new(format!("{}-{pool_name}-{{n}}", file.metadata.name));
    let pattern = pool.name.clone().unwrap_or_else(standard);
    (0..count).map(move |index| NodePlan {
        name: pool.names.get(index).cloned().unwrap_or_else(|| pattern.name(index + 1)),
        pool_name,
        pool,
        address: addresses.get(index).copied(),
        index,
    })
}

/// The pool's labels, with the one that tells that the node is ours.
pub(crate) fn labels(name: &PoolName, pool: &Pool) -> BTreeMap<String, String> {
    let own = [(POOL_LABEL.to_string(), name.to_string())];
    pool.labels.iter().map(|(key, value)| (key.clone(), value.clone())).chain(own).collect()
}

/// The pool's taints, with the control plane's where it does no other work.
pub(crate) fn taints(pool: &Pool) -> Vec<String> {
    let own = (pool.role == Role::Server).then(|| CONTROL_PLANE_TAINT.to_string());
    own.into_iter().chain(pool.taints.iter().cloned()).collect()
}
