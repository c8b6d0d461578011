//! What works is changed one after the other: servers as the quorum allows, agents in a sliding window.

use std::collections::BTreeSet;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{CORDONED, Observed};
use kubewright_model::plan::{Action, Step, Weight};
use kubewright_model::spec::Distribution;

use super::draft::{Draft, id};
use super::members::{recipes, recovered, role_is_server, run, stage, wait_ready};
use super::standing::{Node, Standings};
use super::{hosts, leaving, machines, quorum, snapshots, updates};
use crate::diff::cluster::{label_fields, marks};

/// The nodes that work and that a change disturbs, and whether it is an upgrade.
fn disturbed<'n, 'a>(
    draft: &Draft<'_>,
    observed: &Observed,
    members: &[&'n Node<'a>],
    servers: bool,
) -> Vec<(&'n Node<'a>, bool)> {
    let desired = draft.desired;
    let nodes = members.iter().filter(|node| role_is_server(node) == servers);
    let disturbed = nodes.filter(|node| {
        let changes = hosts::disturbs(desired, node, observed) || evicts(node);
        changes || starts_again(draft, node) || node.seen.is_some() && updates::waits(draft, node)
    });
    disturbed.map(|node| (*node, hosts::upgrades(desired, node))).collect()
}

/// Servers are changed one after the other, each Ready again before the next. Returns the last step, or nothing when
/// none may be restarted.
pub(super) fn roll_servers(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    members: &[&Node<'_>],
    new: &[&Node<'_>],
) -> Option<Vec<StepId>> {
    let servers = disturbed(draft, observed, members, true);
    let names: Vec<&NodeName> = servers.iter().map(|(node, _)| node.name()).collect();
    let settled = quorum::settle(draft, observed, members, &names);
    if servers.is_empty() {
        return Some(settled);
    }
    let sick = quorum::before_restart(draft, observed, standings, &names);
    let hopeless = |name: &&NodeName| !members.iter().any(|node| node.name() == *name);
    if sick.iter().any(hopeless) {
        let why = quorum::waiting(observed, standings, &sick);
        draft.note(Weight::Blocks, Subject::Cluster, why, "bring the sick server back first, or replace it");
        return None;
    }
    let sick: BTreeSet<&NodeName> = sick.into_iter().chain(unready(draft, members, &servers)).collect();
    let others: BTreeSet<&NodeName> =
        sick.iter().copied().filter(|name| !names.contains(name)).chain(new.iter().map(|node| node.name())).collect();
    let mut last: Vec<StepId> =
        others.into_iter().map(|name| recovered(draft, name, "before others restart")).collect();
    let cluster = standings.cluster_seen().into_iter().flat_map(|seen| seen.members.keys());
    last.extend(cluster.map(|name| id("forget", name)).chain(settled));
    // What is sick is changed first: that costs no vote, and may be what brings it back.
    let (first, then): (Vec<_>, Vec<_>) = servers.into_iter().partition(|(node, _)| sick.contains(node.name()));
    for (node, upgrade) in first.into_iter().chain(then) {
        let drain = evicts(node) || (moves_pods(draft, node, upgrade) && has_others(standings, node));
        last = vec![roll_one(draft, node, observed, upgrade, drain, last)];
    }
    Some(last)
}

/// Servers that have to be Ready before another one is upgraded: kubeadm begins no upgrade otherwise (`ControlPlaneNodesReady` in
/// its `phases/upgrade/health.go`).
fn unready<'a>(draft: &Draft<'_>, members: &[&Node<'a>], disturbed: &[(&Node<'a>, bool)]) -> Vec<&'a NodeName> {
    let kubeadm = draft.desired.kubernetes.distribution == Distribution::Kubeadm;
    if !kubeadm || !disturbed.iter().any(|(_, upgrade)| *upgrade) {
        return Vec::new();
    }
    let servers = members.iter().filter(|node| role_is_server(node));
    servers.filter(|node| node.seen.is_some_and(|seen| !seen.ready)).map(|node| &node.machine.name).collect()
}

/// Agents are changed in a sliding window, and drained when their version changes.
pub(super) fn roll_agents(draft: &mut Draft<'_>, observed: &Observed, members: &[&Node<'_>], last: &[StepId]) {
    let window = draft.desired.max_unavailable.max(1) as usize;
    let mut ends: Vec<StepId> = Vec::new();
    let mut agents = disturbed(draft, observed, members, false);
    // Who is out of service since a run that was cut comes back before another one goes.
    agents.sort_by_key(|(node, _)| node.seen.is_some_and(|seen| seen.ready && !seen.cordoned));
    for (i, (node, upgrade)) in agents.into_iter().enumerate() {
        let before = if i < window { last.to_vec() } else { vec![ends[i - window].clone()] };
        // A node that does not answer has no pods to move.
        let moves = upgrade || starts_again(draft, node) || boots_anew(node) || updates::waits(draft, node);
        let drain = evicts(node) || moves && node.seen.is_some_and(|seen| seen.ready);
        ends.push(roll_one(draft, node, observed, upgrade, drain, before));
    }
}

/// Changes one node that works and waits until it is Ready; returns its last step.
fn roll_one(
    draft: &mut Draft<'_>,
    node: &Node<'_>,
    observed: &Observed,
    upgrade: bool,
    drain: bool,
    mut needs: Vec<StepId>,
) -> StepId {
    let name = node.name();
    // What the node had from us is known by what it was started with, so it is taken away before it starts with less.
    needs.push(id("labels", name));
    if drain {
        if !node.seen.is_some_and(|seen| seen.cordoned) {
            needs = vec![leaving::cordon(draft, name, stage(node), needs)];
        }
        needs = vec![leaving::drain(draft, name, stage(node), needs)];
    }
    if evicts(node) {
        needs = label(draft, node, needs).into_iter().collect();
    }
    needs = snapshots::before(draft, node, observed, upgrade, needs);
    if let Some(step) = updates::first(draft, node, needs.clone()) {
        needs = vec![step];
    }
    let host = id("host", name);
    if draft.has(&host) {
        needs.push(host);
    } else if let Some(step) = hosts::rolling_change(draft, node, observed, upgrade, needs.clone()) {
        needs = vec![step];
    }
    if upgrade && let Some(recipe) = recipes(node).map(|recipes| recipes.upgrade.clone()) {
        let from = node.seen.map(|seen| seen.version.to_string()).unwrap_or_default();
        let reason = Reason::Follows(format!("it runs {from}"));
        needs = vec![run(draft, node, "upgrade", recipe, reason, needs, Vec::new())];
    }
    if starts_again(draft, node) {
        needs = vec![machines::restart(draft, node, stage(node), needs)];
    }
    let wait = wait_ready(draft, name.to_string(), vec![name.clone()], 1, stage(node), needs);
    snapshots::after(draft, node, observed, vec![wait.clone()]);
    uncordon(draft, node, vec![wait.clone()]).unwrap_or(wait)
}

/// Whether a node's machine is to be started again, for settings of it to be in force.
pub(super) fn starts_again(draft: &Draft<'_>, node: &Node<'_>) -> bool {
    node.seen.is_some() && machines::restarts(draft, node)
}

/// Whether the pods of a server are moved before it is changed: those of kubeadm's also before another kubelet takes them
/// over, which is not said to work. <https://kubernetes.io/releases/version-skew-policy/#kubelet> Where the kubelet does not report,
/// nobody ends pods.
fn moves_pods(draft: &Draft<'_>, node: &Node<'_>, upgrade: bool) -> bool {
    let kubeadm = draft.desired.kubernetes.distribution == Distribution::Kubeadm;
    let ready = node.seen.is_some_and(|seen| seen.ready);
    ready && (starts_again(draft, node) || boots_anew(node) || updates::waits(draft, node) || kubeadm && upgrade)
}

/// Whether what differs on a node's host starts its machine again.
fn boots_anew(node: &Node<'_>) -> bool {
    node.answers().is_some_and(|seen| node.host.resources.iter().any(|it| crate::diff::talos::reboots(it, seen)))
}

/// Whether pods of a node have anywhere to go.
pub(super) fn has_others(standings: &Standings<'_>, node: &Node<'_>) -> bool {
    let cluster = standings.cluster_seen();
    cluster.is_some_and(|cluster| cluster.nodes.iter().any(|(name, seen)| name != node.name() && seen.ready))
}

/// Nodes that a run before this one cordoned and did not come to uncordon.
pub(super) fn left_cordoned(draft: &mut Draft<'_>, members: &[&Node<'_>]) {
    for node in members.iter().filter(|node| node.seen.is_some()) {
        if draft.has(&id("uncordon", node.name())) {
            continue;
        }
        uncordon(draft, node, vec![id("host", node.name()), id("start", node.name())]);
    }
}

/// Puts pods on a node again that this plan or an earlier run of ours cordoned. What others cordoned stays so.
pub(super) fn uncordon(draft: &mut Draft<'_>, node: &Node<'_>, needs: Vec<StepId>) -> Option<StepId> {
    let name = node.name();
    let before = node.seen.is_some_and(|seen| seen.cordoned && seen.labels.contains_key(CORDONED));
    if !before && !draft.has(&id("cordon", name)) {
        return None;
    }
    Some(draft.add(Step {
        id: id("uncordon", name),
        stage: stage(node),
        subject: Subject::Member(name.clone()),
        action: Action::Uncordon(name.clone()),
        fields: Vec::new(),
        reason: Reason::Follows("it was drained for the change".into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    }))
}

/// Labels and taints of nodes that are members already; new nodes bring theirs along.
pub(super) fn labels(draft: &mut Draft<'_>, members: &[&Node<'_>]) {
    for node in members.iter().filter(|node| !evicts(node)) {
        label(draft, node, Vec::new());
    }
}

/// Whether a taint that the node lacks drives pods away. It gets that when its pods have been moved, in its turn.
fn evicts(node: &Node<'_>) -> bool {
    let marks = node.member.zip(node.seen.filter(|seen| seen.ready)).map(|(member, seen)| marks(member, seen));
    marks.is_some_and(|marks| marks.evicts())
}

fn label(draft: &mut Draft<'_>, node: &Node<'_>, needs: Vec<StepId>) -> Option<StepId> {
    let (member, seen) = (node.member?, node.seen?);
    let fields = label_fields(member, seen);
    (!fields.is_empty()).then(|| {
        draft.add(Step {
            id: id("labels", node.name()),
            stage: stage(node),
            subject: Subject::Member(node.name().clone()),
            action: Action::MarkNode(Box::new(marks(member, seen))),
            fields,
            reason: Reason::Differs,
            needs,
            takes: Vec::new(),
            part: String::new(),
        })
    })
}
