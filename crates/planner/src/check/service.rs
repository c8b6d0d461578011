//! Agents out of service: no more at once than the spec allows, and none whose pods are driven away before they were
//! moved.

use std::collections::BTreeSet;

use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{ClusterSeen, Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation};

use super::{Index, ancestors, index, violation};
use crate::turns::{Turn, joining, turns};

/// Proves in which turns agents are out of service.
pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let Some(cluster) = observed.cluster.as_ref().and_then(Seen::present) else { return };
    if plan.is_blocked() || !matches!(plan.ask, Ask::Apply | Ask::Replace(_)) {
        return;
    }
    let steps = index(plan);
    at_once(plan, &steps, cluster, desired.max_unavailable.max(1) as usize, found);
    for step in &plan.steps {
        let Action::MarkNode(marks) = &step.action else { continue };
        let lives = cluster.nodes.get(&marks.node).is_some_and(|node| node.ready);
        let drains = |id: &&StepId| matches!(&steps[*id].action, Action::Drain { node, .. } if *node == marks.node);
        if lives && marks.evicts() && !ancestors(&steps, step).iter().any(drains) {
            found.push(violation("pods are moved, not driven away", step, "a taint drives away what was not moved"));
        }
    }
}

/// Turns that may overlap are counted as lanes: a turn goes on in the lane whose last turn is certainly over before it
/// begins, the oldest first.
fn at_once(plan: &Plan, steps: &Index<'_>, cluster: &ClusterSeen, most: usize, found: &mut Vec<Violation>) {
    let turns = turns(&plan.steps, cluster);
    let mut lanes: Vec<&Turn<'_>> = Vec::new();
    for turn in &turns {
        let begins = plan.steps.iter().filter(|step| begins(step).is_some_and(|node| turn.nodes.contains(&node)));
        let before: Vec<BTreeSet<&StepId>> = begins.map(|step| ancestors(steps, step)).collect();
        let over = |last: &&Turn<'_>| before.iter().all(|before| is_over(last, plan, steps, before));
        match lanes.iter().position(over) {
            Some(at) => drop(lanes.remove(at)),
            None if lanes.len() >= most => {
                let names: Vec<&str> = turn.nodes.iter().map(|name| name.as_str()).collect();
                let message = format!("{} may be drained while {most} others are out of service", names.join(", "));
                found.push(Violation { rule: "few are out of service at once".into(), step: None, message });
            }
            None => {}
        }
        lanes.push(turn);
    }
}

fn begins(step: &Step) -> Option<&NodeName> {
    match &step.action {
        Action::Cordon(node) | Action::Drain { node, .. } => Some(node),
        _ => None,
    }
}

/// Whether a turn is over when these steps are done.
fn is_over(turn: &Turn<'_>, plan: &Plan, steps: &Index<'_>, done: &BTreeSet<&StepId>) -> bool {
    let done: Vec<&Step> = plan.steps.iter().filter(|step| done.contains(&step.id)).collect();
    let joined = |wait: &Step, name: &NodeName| {
        ancestors(steps, wait).iter().any(|id| joining(steps[*id]).is_some_and(|it| it == name))
    };
    let ready = |name: &NodeName| {
        done.iter().any(|step| match &step.action {
            Action::Wait { condition: Condition::NodesReady { nodes, at_least }, .. } => {
                *at_least == nodes.len() && nodes.contains(name) && joined(step, name)
            }
            _ => false,
        })
    };
    let ends = |step: &Step, name: &NodeName| matches!(&step.action, Action::Uncordon(it) | Action::ForgetMember(it) if it == name);
    let over = |name: &NodeName| {
        // What somebody else has cordoned stays so, and is as it was when it is Ready.
        let stays = !plan.steps.iter().any(|step| ends(step, name));
        done.iter().any(|step| if stays { returns(step, steps, name) } else { ends(step, name) })
    };
    match turn.back.is_empty() {
        true => turn.nodes.iter().all(|name| over(name)),
        false => turn.back.iter().all(|name| ready(name)),
    }
}

/// Whether a step waits until a node is Ready that was drained before.
fn returns(step: &Step, steps: &Index<'_>, name: &NodeName) -> bool {
    let Action::Wait { condition: Condition::NodesReady { nodes, .. }, .. } = &step.action else { return false };
    let drained = |id: &StepId| matches!(&steps[id].action, Action::Drain { node, .. } if node == name);
    nodes.as_slice() == std::slice::from_ref(name) && ancestors(steps, step).into_iter().any(drained)
}
