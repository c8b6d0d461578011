//! Agents that nobody reaches are fenced, where the spec wants that: their machines are shut off, and Kubernetes is told that
//! nothing of them runs any more, so that pods with volumes may start elsewhere.
//!
//! <https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown>: the taint is put on
//! a node that is certainly off, and taken away when it is back; pods are deleted by force and their volumes detached.

use std::collections::BTreeMap;

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::Body;
use kubewright_model::ids::StepId;
use kubewright_model::observed::{NodeSeen, Observed, Power, Seen};
use kubewright_model::plan::{Action, NodeMarks, Stage, Step};

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
    for node in &standings.nodes {
        let Some(seen) = node.seen else { continue };
        let back = matches!(node.standing, Standing::Answers(..)) && seen.ready;
        if back && fenced(Some(seen)) {
            let reason = Reason::Follows("it is back".into());
            mark(draft, node, reason, false, Vec::new());
        } else if lost(node, seen, observed) {
            let off = shut_off(draft, node);
            let reason = Reason::Follows("nothing of it runs any more".into());
            mark(draft, node, reason, true, vec![off]);
        }
    }
}

/// Whether nobody reaches an agent, neither we nor Kubernetes, and its machine runs all the same.
fn lost(node: &Node<'_>, seen: &NodeSeen, observed: &Observed) -> bool {
    let agent = node.member.is_some_and(|member| !member.role.is_server()) && !seen.server;
    let silent = matches!(observed.hosts.get(node.name()), Some(Seen::Unknown(_)));
    let made = *node.machine.body != Body::Existing;
    let there = crate::diff::machine::seen(node.machine, observed);
    let runs = there.present().is_some_and(|there| there.power == Power::Running);
    agent && silent && made && runs && node.blocked() && !seen.ready
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
