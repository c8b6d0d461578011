//! Agents that nobody reaches are fenced, where the spec wants that: their machines are shut off, and Kubernetes is told that
//! nothing of them runs any more, so that pods with volumes may start elsewhere.
//!
//! <https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown>: the taint is put on
//! a node that is certainly off, and taken away when it is back; pods are deleted by force and their volumes detached.
//!
//! Many that are silent at once are most likely well: a switch, a firewall or the way from this computer is not. Kubernetes
//! evicts nobody then either (`--unhealthy-zone-threshold` of its controller manager).

use std::collections::BTreeMap;

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::Body;
use kubewright_model::ids::StepId;
use kubewright_model::observed::{NodeSeen, Observed, Power, Seen};
use kubewright_model::plan::{Action, NodeMarks, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::standing::{Node, Standing, Standings};

/// What tells Kubernetes that nothing of a node runs any more: generally available since 1.28.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute";

/// Whether a node was fenced, and is not back.
pub(super) fn fenced(seen: Option<&NodeSeen>) -> bool {
    seen.is_some_and(|seen| seen.taints.iter().any(|taint| taint == OUT_OF_SERVICE))
}

pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) {
    if !draft.desired.fences {
        return;
    }
    let may = may_fence(draft, observed, standings);
    for node in &standings.nodes {
        let Some(seen) = node.seen else { continue };
        let back = matches!(node.standing, Standing::Answers(..)) && seen.ready;
        if back && fenced(Some(seen)) {
            let reason = Reason::Follows("it is back".into());
            mark(draft, node, reason, false, Vec::new());
        } else if may && lost(node, seen, observed) {
            let off = shut_off(draft, node);
            let reason = Reason::Follows("nothing of it runs any more".into());
            mark(draft, node, reason, true, vec![off]);
        }
    }
}

/// Whether those that are lost may be fenced: no more at once than may be out of service, and fewer than half of the agents,
/// with those that are fenced already. Otherwise nobody is, which is said.
fn may_fence(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) -> bool {
    let nodes = || standings.nodes.iter().filter_map(|node| Some((node, node.seen?)));
    let quiet: Vec<&Node<'_>> =
        nodes().filter(|(node, seen)| silent(node, seen, observed)).map(|(node, _)| node).collect();
    if !nodes().any(|(node, seen)| lost(node, seen, observed)) {
        return true;
    }
    let out =
        nodes().filter(|(node, seen)| fenced(Some(*seen)) && !silent(node, seen, observed) && !seen.ready).count();
    let agents = draft.desired.members.iter().filter(|member| !member.role.is_server()).count();
    let most = draft.desired.max_unavailable.max(1) as usize;
    if are_few(quiet.len(), out, agents, most) {
        return true;
    }
    let names: Vec<&str> = quiet.iter().map(|node| node.name().as_str()).collect();
    let besides = if out == 0 { String::new() } else { format!(", and {out} are fenced already") };
    let message = format!(
        "{} of {agents} agents are silent at once{besides}: {}; nobody is fenced, for that is more likely the network than \
         the agents",
        quiet.len(),
        names.join(", ")
    );
    let help =
        "see to the way to them; fenced are at most `maintenance.maxUnavailable`, and fewer than half of the agents";
    draft.note(Weight::Warns, Subject::Cluster, message, help);
    false
}

/// Whether so few are silent that it is they, and not the network: beside those that are out already, of so many agents.
fn are_few(silent: usize, out: usize, agents: usize, most: usize) -> bool {
    silent <= most && (silent + out) * 2 < agents
}

/// Whether nobody reaches an agent, neither we nor Kubernetes, and its machine runs all the same.
fn lost(node: &Node<'_>, seen: &NodeSeen, observed: &Observed) -> bool {
    silent(node, seen, observed) && *node.machine.body != Body::Existing && runs(node, observed) == Some(true)
}

/// Whether nobody reaches an agent that may run.
fn silent(node: &Node<'_>, seen: &NodeSeen, observed: &Observed) -> bool {
    let agent = node.member.is_some_and(|member| !member.role.is_server()) && !seen.server;
    let silent = matches!(observed.hosts.get(node.name()), Some(Seen::Unknown(_)));
    agent && silent && node.blocked() && !seen.ready && runs(node, observed) != Some(false)
}

/// Whether a machine runs, as its provider tells.
fn runs(node: &Node<'_>, observed: &Observed) -> Option<bool> {
    let there = crate::diff::machine::seen(node.machine, observed);
    there.present().map(|there| there.power == Power::Running)
}

fn shut_off(draft: &mut Draft<'_>, node: &Node<'_>) -> StepId {
    let (provider, name) = (node.machine.provider.clone(), node.name().clone());
    draft.add(Step {
        id: id("fence", &name),
        stage: Stage::Workers,
        subject: Subject::Machine(name.clone()),
        action: Action::FenceMachine { provider, name },
        fields: Vec::new(),
        reason: Reason::Follows("nobody reaches it: `maintenance.unreachable` is fence".into()),
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    })
}

/// Puts the taint on a node, or takes it away.
fn mark(draft: &mut Draft<'_>, node: &Node<'_>, reason: Reason, set: bool, needs: Vec<StepId>) {
    let name = node.name();
    let taint = vec![OUT_OF_SERVICE.to_string()];
    let (taints, without_taints) = if set { (taint, Vec::new()) } else { (Vec::new(), taint) };
    let (labels, without_labels) = (BTreeMap::new(), Vec::new());
    let word = || Some("set".to_string());
    let (from, to) = if set { (None, word()) } else { (word(), None) };
    let fields = vec![FieldChange { field: format!("taint {OUT_OF_SERVICE}"), from, to }];
    let marks = NodeMarks { node: name.clone(), labels, without_labels, taints, without_taints };
    draft.add(Step {
        id: id(if set { "out-of-service" } else { "in-service" }, name),
        stage: Stage::Workers,
        subject: Subject::Member(name.clone()),
        action: Action::MarkNode(Box::new(marks)),
        fields,
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}

#[cfg(test)]
mod tests {
    use super::are_few;

    #[test]
    fn many_that_are_silent_at_once_are_not_dead() {
        assert!(are_few(1, 0, 3, 1) && are_few(2, 0, 5, 2));
        assert!(!are_few(2, 0, 5, 1), "no more than may be out of service");
        assert!(!are_few(3, 0, 3, 9), "all of them");
        assert!(!are_few(2, 0, 4, 9) && !are_few(1, 0, 2, 1), "half of them");
        assert!(!are_few(1, 2, 6, 1), "one after the other comes to the same");
    }
}
