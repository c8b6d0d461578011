//! Nodes as members of the cluster: labels, taints, and what their distribution does with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::desired::{DesiredMember, Leaving};
use kubewright_model::ids::PoolName;
use kubewright_model::spec::{Distribution, Pool, Role};

use super::Context;
use crate::diff::cluster::POOL_LABEL;
use crate::distributions::k3s;

/// The taint that keeps work off the control plane, as Kubernetes itself names it.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#node-role-kubernetes-io-control-plane-taint>
const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/control-plane:NoSchedule";

/// The members, in the order of the file, and what ends the distribution on hosts that are not among them any more.
pub(super) fn members(context: &Context<'_>) -> (Vec<DesiredMember>, Option<Leaving>) {
    type Marks = (Arc<BTreeMap<String, String>>, Arc<Vec<String>>);
    let mut shared: BTreeMap<&PoolName, Marks> = BTreeMap::new();
    let recipes = k3s::Recipes::new(context);
    let members = context.nodes.iter().filter(|node| node.is_node()).map(|node| {
        let marks = shared.entry(node.pool_name);
        let (labels, taints) =
            marks.or_insert_with(|| (Arc::new(labels(node.pool_name, node.pool)), Arc::new(taints(node.pool)))).clone();
        let recipes = match context.file.spec.kubernetes.distribution {
            Distribution::K3s => Some(recipes.of(context, node)),
            Distribution::Rke2 | Distribution::Kubeadm | Distribution::Talos => None,
        };
        DesiredMember {
            name: node.name.clone(),
            pool: node.pool_name.clone(),
            role: node.pool.role,
            labels,
            taints,
            recipes,
        }
    });
    let leaving = (context.file.spec.kubernetes.distribution == Distribution::K3s).then(|| recipes.leaving());
    (members.collect(), leaving)
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
