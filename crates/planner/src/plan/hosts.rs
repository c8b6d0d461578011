//! Hosts are set up: everything that differs on a host in one step.
//!
//! A host on which that restarts Kubernetes is left to [`super::members`], which does so in an order that the cluster
//! survives.

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::{Body, Desired};
use kubewright_model::host::HostResource;
use kubewright_model::ids::StepId;
use kubewright_model::observed::{HostSeen, Observed};
use kubewright_model::plan::{Action, HostChange, Stage, Step};
use kubewright_model::recipe::Effect;
use kubewright_model::spec::Distribution;

use super::cloud;
use super::draft::{Draft, id};
use super::members::role_is_server;
use super::roles;
use super::standing::{ClusterView, Node, Standing, Standings};
use super::updates;
use crate::diff::host::{Differing, differing, disturbs_kubernetes, restarts_kubernetes};
use crate::holders::Holders;

pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>, holders: &Holders<'_>) {
    let balancers: Vec<&Node<'_>> =
        standings.nodes.iter().filter(|node| node.member.is_none() && updates::waits(draft, node)).collect();
    let alone = updates::lonely(draft, &balancers, observed);
    let mut last: Vec<StepId> = Vec::new();
    for node in &standings.nodes {
        match &node.standing {
            // What wakes with a cluster that nobody can look at stays as it was until somebody can.
            Standing::Off(_) if node.member.is_some() && holders.may_sleep() => {}
            // A kubelet may not be newer than an API server, so this one waits for the servers.
            Standing::Off(_) if upgrades(draft.desired, node) && !role_is_server(node) => {}
            // A server leaves when others have joined, and is set up afterwards.
            Standing::Rejoins(_) if roles::was_server(node, standings) => {}
            Standing::Blocked => {}
            Standing::ToMake | Standing::Off(_) | Standing::Rejoins(_) => drop(set_up(draft, node, Vec::new())),
            Standing::Answers(_, host) => {
                if disturbs(draft.desired, node, observed) {
                    continue;
                }
                let mut found = differing(&node.host.resources, host, &observed.filled);
                if standings.cluster_seen().is_none() && sleeps_at_another_version(draft.desired, host) {
                    found.retain(|difference| !matches!(difference.resource, HostResource::Download(_)));
                }
                // Nobody restarts what may be the last server that answers.
                let blind = matches!(standings.cluster, ClusterView::Unknown(_)) && restarts_kubernetes(&found, host);
                // A balancer is upgraded when the one before it is done.
                let balances = node.member.is_none() && !alone.contains(node.name());
                let mut needs = ["update", "restart", "clear"].map(|deed| id(deed, node.name())).to_vec();
                if !blind && (balances || node.seen.is_none() && !found.is_empty()) {
                    let before = if balances { std::mem::take(&mut last) } else { Vec::new() };
                    let upgraded = updates::first(draft, node, needs.iter().cloned().chain(before).collect());
                    last.extend(upgraded.clone().filter(|_| balances));
                    needs.extend(upgraded);
                }
                if found.is_empty() || blind {
                    continue;
                }
                let (make, fields) = split(found);
                let changed = change(draft, node, make, fields, Reason::Differs, needs);
                if balances && draft.has(&id("packages", node.name())) {
                    last = vec![changed];
                }
            }
        }
    }
}

/// The step that sets a host up whose machine was just started, or on which Kubernetes was just ended.
pub(super) fn set_up(draft: &mut Draft<'_>, node: &Node<'_>, mut needs: Vec<StepId>) -> StepId {
    let (deeds, reason) = match node.standing {
        Standing::Rejoins(_) => (["update", "restart", "leave"].as_slice(), "nothing of Kubernetes is left on it"),
        _ => (["start"].as_slice(), "its machine was just started"),
    };
    if node.member.is_none() {
        // Where it is to balance, nobody looks for the node any more.
        needs.push(id("forget", node.name()));
    }
    needs.extend(deeds.iter().map(|deed| id(deed, node.name())));
    needs.extend(updates::first(draft, node, needs.clone()));
    let reason = Reason::Follows(reason.into());
    change(draft, node, node.host.resources.clone(), Vec::new(), reason, needs)
}

/// A Talos that works runs from the new image before it is told what the old one may not understand. What a machine was
/// installed from before it was reset shows only when it has its configuration.
fn in_order(node: &Node<'_>, mut make: Vec<HostResource>) -> Vec<HostResource> {
    let works = node.answers().and_then(|host| host.talos.as_ref()).is_some_and(|talos| !talos.maintenance);
    if !works {
        make.sort_by_key(|resource| matches!(resource, HostResource::TalosImage(_)));
    }
    make
}

/// Talos joins by itself as soon as it has its configuration: an old cluster that still lives would take it in again, and
/// who is taken out of etcd is taken out by the name that it has in it. So whoever leaves has left before.
fn those_that_leave(draft: &Draft<'_>, node: &Node<'_>) -> Vec<StepId> {
    let by_itself = draft.desired.kubernetes.distribution == Distribution::Talos && node.member.is_some();
    // A host that was there before us may be that of a node with another name, which has still to be saved and ended.
    let unseen = matches!(node.standing, Standing::Off(_)) && *node.machine.body == Body::Existing;
    let may_be_another = unseen && !draft.has(&id("leave", node.name()));
    if node.seen.is_some() || !(by_itself || may_be_another) {
        return Vec::new();
    }
    let leaves = |step: &&Step| match &step.action {
        Action::RunRecipe { recipe, .. } => recipe.effect == Effect::Leave,
        Action::ForgetMember(_) | Action::DeleteMachine { .. } => true,
        _ => false,
    };
    draft.steps.iter().filter(leaves).map(|step| step.id.clone()).collect()
}

/// Whether a member of a cluster that nobody can look at has another version than is wished. It wakes with the one that it has:
/// which versions lie between, and who has to go over first, shows when the cluster answers.
fn sleeps_at_another_version(desired: &Desired, host: &HostSeen) -> bool {
    let has = host.kubernetes.as_ref().and_then(|kubernetes| kubernetes.version.as_ref());
    host.is_member() && has.is_some_and(|has| *has != desired.kubernetes.version)
}

/// Whether a node that is there runs another version of Kubernetes than is wished.
pub(super) fn upgrades(desired: &Desired, node: &Node<'_>) -> bool {
    node.seen.is_some_and(|seen| seen.version != desired.kubernetes.version)
}

/// Whether setting the host up disturbs a node that works: another version of Kubernetes, or a restart of it.
pub(super) fn disturbs(desired: &Desired, node: &Node<'_>, observed: &Observed) -> bool {
    let (Some(host), Some(_)) = (node.answers(), node.seen) else { return false };
    let found = differing(&node.host.resources, host, &observed.filled);
    upgrades(desired, node) || disturbs_kubernetes(&found, host)
}

/// The step that changes a host that works, as part of a rolling change. When another version follows, its recipe does
/// the restart, so a unit that only needs one is left out here.
pub(super) fn rolling_change(
    draft: &mut Draft<'_>,
    node: &Node<'_>,
    observed: &Observed,
    upgrade: bool,
    needs: Vec<StepId>,
) -> Option<StepId> {
    let found = differing(&node.host.resources, node.answers()?, &observed.filled);
    let found: Vec<_> = found
        .into_iter()
        .filter(|difference| !(upgrade && difference.stale && difference.resource.kubernetes().is_some()))
        .collect();
    if found.is_empty() {
        return None;
    }
    let stale = found.iter().all(|difference| difference.stale);
    let (make, fields) = split(found);
    Some(change(draft, node, make, fields, if stale { Reason::Stale } else { Reason::Differs }, needs))
}

/// The step that waits until a unit of Kubernetes that was started says that it is ready.
pub(super) fn settle(draft: &mut Draft<'_>, node: &Node<'_>) -> Option<StepId> {
    let resources = node.host.resources.iter();
    let make: Vec<HostResource> = resources.filter(|it| it.kubernetes().is_some()).cloned().collect();
    let (from, to) = (Some("starts".to_string()), Some("ready".to_string()));
    let field = |it: &HostResource| FieldChange { field: it.key(), from: from.clone(), to: to.clone() };
    let fields = make.iter().map(field).collect();
    let reason = Reason::Follows("it was started and is not ready yet".into());
    match draft.has(&id("host", node.name())) {
        true => Some(id("host", node.name())),
        false => (!make.is_empty()).then(|| change(draft, node, make, fields, reason, Vec::new())),
    }
}

/// What is to be made of a host, and the same for people.
pub(super) fn split(found: Vec<Differing<'_>>) -> (Vec<HostResource>, Vec<FieldChange>) {
    found.into_iter().map(|difference| (difference.resource.clone(), difference.field)).unzip()
}

fn change(
    draft: &mut Draft<'_>,
    node: &Node<'_>,
    make: Vec<HostResource>,
    fields: Vec<FieldChange>,
    reason: Reason,
    needs: Vec<StepId>,
) -> StepId {
    let change = HostChange::making(node.host, Some(&draft.desired.owner), in_order(node, make));
    // What it is set up with comes from the world.
    let gate = cloud::gate(draft.desired, node.machine).map(|gate| id("host", gate));
    let needs = needs.into_iter().chain(gate).chain(those_that_leave(draft, node)).collect();
    draft.add(Step {
        id: id("host", node.name()),
        stage: Stage::Hosts,
        subject: Subject::Host(node.name().clone()),
        action: Action::ChangeHost(change),
        fields,
        reason,
        needs,
        takes: Vec::new(),
        part: if node.member.is_some() { String::new() } else { crate::only::HAPROXY.into() },
    })
}
