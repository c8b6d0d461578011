//! Whose turn it is to be out of service: agents that are drained are so in turns, and no more at once than the spec
//! allows.
//!
//! A turn ends when its nodes are back: uncordoned, or joined anew, or what takes their place is Ready. One that nothing
//! replaces is out of the books, and counts no more.
//!
//! `plan` goes by it when it puts the turns one after the other, and `check` once more when the plan is finished.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::ClusterSeen;
use kubewright_model::plan::{Action, Step};
use kubewright_model::recipe::Effect;

/// Nodes that are out of service together.
#[derive(Debug, Default)]
pub(crate) struct Turn<'p> {
    /// The nodes that go.
    pub(crate) nodes: Vec<&'p NodeName>,
    /// The nodes that join in their place, perhaps under the same names.
    pub(crate) back: BTreeSet<&'p NodeName>,
}

/// Whether turns are told by a step; all others may be left out.
pub(crate) fn tells(step: &Step) -> bool {
    matches!(step.action, Action::Cordon(_) | Action::Drain { .. } | Action::CreateMachine(_))
        || joining(step).is_some()
}

/// The turns of a plan, in its order, but first of those that are out of service already, since a run that was cut: they come
/// back, or leave for good, before another one goes. Nodes that one machine takes the place of go together.
pub(crate) fn turns<'p>(steps: &'p [Step], cluster: &ClusterSeen) -> Vec<Turn<'p>> {
    let agent = |name: &NodeName| cluster.nodes.get(name).is_some_and(|node| !node.server && node.ready);
    let arrivals = Arrivals::of(steps);
    let mut turns: Vec<Turn<'p>> = Vec::new();
    let mut known: BTreeSet<&NodeName> = BTreeSet::new();
    for step in steps {
        let (Action::Cordon(node) | Action::Drain { node, .. }) = &step.action else { continue };
        if !agent(node) || !known.insert(node) {
            continue;
        }
        let mut turn = Turn { nodes: vec![node], back: arrivals.in_place_of(node) };
        // A node that nobody takes the place of shares its turn with nobody.
        if turn.back.is_empty() {
            turns.push(turn);
            continue;
        }
        let mut at = turns.len();
        for i in (0..turns.len()).rev().filter(|i| !turns[*i].back.is_disjoint(&turn.back)).collect::<Vec<_>>() {
            let other = turns.remove(i);
            turn.nodes.splice(0..0, other.nodes);
            turn.back.extend(other.back);
            at = i;
        }
        turns.insert(at, turn);
    }
    let is_out = |name: &&NodeName| cluster.nodes.get(*name).is_some_and(|node| node.cordoned);
    turns.sort_by_key(|turn| !turn.nodes.iter().any(is_out));
    turns
}

/// Who comes: the nodes that join, and the machines that wait for another to be gone.
struct Arrivals<'p> {
    joins: BTreeSet<&'p NodeName>,
    waits: BTreeMap<&'p StepId, Vec<&'p NodeName>>,
}

impl<'p> Arrivals<'p> {
    fn of(steps: &'p [Step]) -> Self {
        let mut waits: BTreeMap<&StepId, Vec<&NodeName>> = BTreeMap::new();
        for step in steps {
            let Action::CreateMachine(machine) = &step.action else { continue };
            step.needs.iter().for_each(|need| waits.entry(need).or_default().push(&machine.name));
        }
        Self { joins: steps.iter().filter_map(joining).collect(), waits }
    }

    /// The nodes that join in the place of one that goes: itself, and those whose machines wait for its machine to be gone.
    fn in_place_of(&self, gone: &'p NodeName) -> BTreeSet<&'p NodeName> {
        let made = self.waits.get(&StepId::new(format!("delete/{gone}"))).into_iter().flatten().copied();
        made.chain([gone]).filter(|name| self.joins.contains(name)).collect()
    }
}

/// The node that joins in this step.
pub(crate) fn joining(step: &Step) -> Option<&NodeName> {
    match &step.action {
        Action::RunRecipe { host, recipe, .. } if matches!(recipe.effect, Effect::JoinServer | Effect::JoinAgent) => {
            Some(host)
        }
        _ => None,
    }
}
