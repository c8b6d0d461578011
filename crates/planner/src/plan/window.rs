//! Agents are out of service a few at a time: each turn waits for one before it to be over.

use std::collections::BTreeMap;

use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::plan::Step;

use super::draft::{Draft, id};
use super::members;
use super::standing::{Node, Standings};
use crate::turns::{Turn, tells, turns};

/// Puts the turns of agents one after the other, as many at once as may be.
pub(super) fn slide(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let Some(cluster) = standings.cluster_seen() else { return };
    let window = draft.desired.max_unavailable.max(1) as usize;
    // Without the steps of hosts, which hold whole files.
    let steps: Vec<Step> = draft.steps.iter().filter(|step| tells(step)).cloned().collect();
    let turns = turns(&steps, cluster);
    if turns.len() <= window {
        return;
    }
    let nodes: BTreeMap<&NodeName, &Node<'_>> = standings.nodes.iter().map(|node| (node.name(), node)).collect();
    let mut needs: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for (before, turn) in turns.iter().zip(turns.iter().skip(window)) {
        let over = over(draft, &nodes, before);
        for name in &turn.nodes {
            let first = ["cordon", "drain"].map(|deed| id(deed, name)).into_iter().find(|step| draft.has(step));
            needs.extend(first.map(|step| (step, over.clone())));
        }
    }
    draft.also_need(needs);
}

/// The steps after which a turn is over.
fn over(draft: &mut Draft<'_>, nodes: &BTreeMap<&NodeName, &Node<'_>>, turn: &Turn<'_>) -> Vec<StepId> {
    if !turn.back.is_empty() {
        let back = turn.back.iter().filter_map(|name| nodes.get(name));
        return back.map(|node| members::back(draft, node)).collect();
    }
    let ends = |name: &NodeName| {
        let ends = ["uncordon", "forget", "leave"].map(|deed| id(deed, name));
        let ends: Vec<StepId> = ends.into_iter().filter(|step| draft.has(step)).collect();
        // What somebody else has cordoned stays so, and is as it was when it is Ready.
        if ends.is_empty() { vec![id("ready", name)] } else { ends }
    };
    turn.nodes.iter().flat_map(|name| ends(name)).filter(|step| draft.has(step)).collect()
}
