//! Agents are out of service a few at a time: each turn waits for one before it to be over.

use kubewright_model::ids::{NodeName, StepId};

use super::draft::{Draft, id};
use super::members;
use super::standing::Standings;
use crate::turns::{Turn, turns};

/// Puts the turns of agents one after the other, as many at once as may be.
pub(super) fn slide(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let Some(cluster) = standings.cluster_seen() else { return };
    let window = draft.desired.max_unavailable.max(1) as usize;
    let steps = draft.steps.clone();
    let turns = turns(&steps, cluster);
    if turns.len() <= window {
        return;
    }
    for (before, turn) in turns.iter().zip(turns.iter().skip(window)) {
        let over = over(draft, standings, before);
        for name in &turn.nodes {
            let first = ["cordon", "drain"].map(|deed| id(deed, name)).into_iter().find(|step| draft.has(step));
            first.into_iter().for_each(|step| draft.also_needs(&step, &over));
        }
    }
    draft.sort();
}

/// The steps after which a turn is over.
fn over(draft: &mut Draft<'_>, standings: &Standings<'_>, turn: &Turn<'_>) -> Vec<StepId> {
    let back: Vec<&NodeName> = turn.back.iter().copied().collect();
    if !back.is_empty() {
        let nodes = standings.nodes.iter().filter(|node| back.contains(&node.name()));
        return nodes.map(|node| members::back(draft, node)).collect();
    }
    let ends = |name: &NodeName| {
        let ends = ["uncordon", "forget", "leave"].map(|deed| id(deed, name));
        let ends: Vec<StepId> = ends.into_iter().filter(|step| draft.has(step)).collect();
        // What somebody else has cordoned stays so, and is as it was when it is Ready.
        if ends.is_empty() { vec![id("ready", name)] } else { ends }
    };
    turn.nodes.iter().flat_map(|name| ends(name)).filter(|step| draft.has(step)).collect()
}
