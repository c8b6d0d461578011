//! Agents out of service: no more at once than the spec allows, and none whose pods are driven away before they were
//! moved.

use std::collections::BTreeMap;

use kubewright_model::desired::Desired;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{ClusterSeen, Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Violation};

use super::{ancestors, index, violation};
use crate::turns::{Turn, joining, turns};

/// Proves in which turns agents are out of service.
pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let Some(cluster) = observed.cluster.as_ref().and_then(Seen::present) else { return };
    if plan.is_blocked() || !matches!(plan.ask, Ask::Apply | Ask::Replace(_) | Ask::Reboot(_) | Ask::UpdateOs(_)) {
        return;
    }
    at_once(plan, cluster, desired.max_unavailable.max(1) as usize, found);
    let steps = index(plan);
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
fn at_once(plan: &Plan, cluster: &ClusterSeen, most: usize, found: &mut Vec<Violation>) {
    let turns = turns(&plan.steps, cluster);
    if turns.len() <= most {
        return;
    }
    let ends = Ends::of(plan);
    let mut lanes: Vec<&Turn<'_>> = Vec::new();
    for turn in &turns {
        let begins = turn.nodes.iter().flat_map(|node| ends.begins.get(node).into_iter().flatten());
        let before: Vec<Vec<bool>> = begins.map(|step| ends.before(*step)).collect();
        let over = |last: &&Turn<'_>| before.iter().all(|before| ends.is_over(last, before));
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

/// Steps by their place in the plan, by the node that they are about.
type ByNode<'p> = BTreeMap<&'p NodeName, Vec<usize>>;

/// Where nodes go out of service, and where they are certainly back. A plan of a thousand turns is walked once for each
/// of them, so steps are numbers here.
struct Ends<'p> {
    needs: Vec<Vec<usize>>,
    /// It is cordoned or drained.
    begins: ByNode<'p>,
    /// It is uncordoned, or out of the books.
    ends: ByNode<'p>,
    /// It is Ready after it was drained: what somebody else has cordoned stays so, and is as it was then.
    returns: ByNode<'p>,
    /// It is Ready after it joined.
    ready: ByNode<'p>,
}

impl<'p> Ends<'p> {
    fn of(plan: &'p Plan) -> Self {
        let at: BTreeMap<&StepId, usize> = plan.steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
        let needs = plan.steps.iter().map(|step| step.needs.iter().filter_map(|need| at.get(need).copied()).collect());
        let (needs, none) = (needs.collect(), ByNode::new);
        let mut ends = Self { needs, begins: none(), ends: none(), returns: none(), ready: none() };
        let (mut drains, mut joins) = (none(), none());
        for (at, step) in plan.steps.iter().enumerate() {
            if let Some(node) = joining(step) {
                joins.entry(node).or_default().push(at);
            }
            match &step.action {
                Action::Cordon(node) => ends.begins.entry(node).or_default().push(at),
                Action::Drain { node, .. } => {
                    ends.begins.entry(node).or_default().push(at);
                    drains.entry(node).or_default().push(at);
                }
                Action::Uncordon(node) | Action::ForgetMember(node) => ends.ends.entry(node).or_default().push(at),
                Action::Wait { .. } => {
                    let before = ends.before(at);
                    let after = |them: &ByNode<'_>, node: &NodeName| happened(them, node, &before);
                    for node in step.readies().iter().filter(|node| after(&joins, node)) {
                        ends.ready.entry(node).or_default().push(at);
                    }
                    if let [node] = step.readies()
                        && after(&drains, node)
                    {
                        ends.returns.entry(node).or_default().push(at);
                    }
                }
                _ => {}
            }
        }
        ends
    }

    /// The steps that are done before one begins.
    fn before(&self, step: usize) -> Vec<bool> {
        let mut found = vec![false; self.needs.len()];
        let mut open = vec![step];
        while let Some(step) = open.pop() {
            for need in &self.needs[step] {
                if !std::mem::replace(&mut found[*need], true) {
                    open.push(*need);
                }
            }
        }
        found
    }

    /// Whether a turn is over when these steps are done.
    fn is_over(&self, turn: &Turn<'_>, done: &[bool]) -> bool {
        if !turn.back.is_empty() {
            return turn.back.iter().all(|name| happened(&self.ready, name, done));
        }
        turn.nodes.iter().all(|name| match self.ends.contains_key(name) {
            true => happened(&self.ends, name, done),
            false => happened(&self.returns, name, done),
        })
    }
}

/// Whether any of a node's steps is among those that are done.
fn happened(them: &ByNode<'_>, node: &NodeName, done: &[bool]) -> bool {
    them.get(node).is_some_and(|steps| steps.iter().any(|step| done[*step]))
}
