//! Nodes as members of the cluster: labels, taints, and what their distribution does with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::desired::{DesiredMember, Leaving};
use kubewright_model::ids::PoolName;

use crate::context::Context;
use crate::context::nodes::{labels, taints};
use crate::distributions;

/// The members, in the order of the file, and what ends the distribution on hosts that are not among them any more.
pub(super) fn members(context: &Context<'_>) -> (Vec<DesiredMember>, Leaving) {
    type Marks = (Arc<BTreeMap<String, String>>, Arc<Vec<String>>);
    let mut shared: BTreeMap<&PoolName, Marks> = BTreeMap::new();
    let recipes = distributions::recipes(context);
    let members = context.nodes.iter().filter(|node| node.is_node()).map(|node| {
        let marks = shared.entry(node.pool_name);
        let (labels, taints) =
            marks.or_insert_with(|| (Arc::new(labels(node.pool_name, node.pool)), Arc::new(taints(node.pool)))).clone();
        DesiredMember {
            name: node.name.clone(),
            pool: node.pool_name.clone(),
            role: node.pool.role,
            labels,
            taints,
            recipes: recipes.of(context, node),
        }
    });
    (members.collect(), recipes.leaving())
}
