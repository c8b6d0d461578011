//! Nodes as members of the cluster: labels, taints, and what their distribution does with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::desired::{DesiredMember, Leaving};
use kubewright_model::ids::PoolName;
use kubewright_model::spec::Distribution;

use crate::context::Context;
use crate::context::nodes::{labels, taints};
use crate::distributions::k3s;

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
