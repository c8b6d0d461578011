//! Everything that is ours goes: the cluster ends, so nothing of how a node leaves one that lives on is kept to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Body, DesiredHost, DesiredMember, EXISTING};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{HostSeen, Observed, Seen};
use kubewright_model::plan::{Action, Stage, Weight};
use kubewright_model::recipe::Recipe;

use super::draft::{Draft, id};
use super::leaving::{Leaver, silence, step, way_like_others};
use super::removal::delete;
use super::{backups, cautions, leaving, unread};
use crate::diff::cluster::unwanted_nodes;
use crate::diff::host::of_another;
use crate::diff::machine;

/// Everything that is ours goes: agents before servers, so that nothing talks to an API that is gone. Those stay that were
/// made since.
pub(super) fn plan<'a>(mut draft: Draft<'a>, observed: &Observed, made: &BTreeSet<NodeName>) -> Draft<'a> {
    let desired = draft.desired;
    if draft.protects(Subject::Cluster) {
        return draft;
    }
    for (name, seen) in &observed.providers {
        if let Some(why) = seen.why_unknown() {
            let message = format!("provider {name} could not be looked at: {why}");
            draft.note(Weight::Blocks, Subject::Cluster, message, "what it has of ours would be left over");
        }
    }
    unread::left_over(&mut draft, observed);
    let servers: BTreeSet<&NodeName> = desired.servers().map(|member| &member.name).collect();
    let reason = Reason::Asked("destroy".into());
    let strangers = strangers_on_hosts(&mut draft, observed);
    let cleaned = end_on_existing(&mut draft, observed, strangers, made);
    let mut agents_gone = Vec::new();
    for pass in [false, true] {
        for (provider, inventory) in machine::inventories(observed) {
            if provider.as_str() == EXISTING {
                continue;
            }
            let ours = inventory.machines.iter().filter(|(_, seen)| seen.owner == desired.owner);
            let goes = |name: &NodeName| servers.contains(name) == pass && !made.contains(name);
            for (name, seen) in ours.filter(|(name, _)| goes(name)) {
                let needs: Vec<StepId> = if pass { agents_gone.clone() } else { cleaned.clone() };
                delete(&mut draft, name, provider, seen, reason.clone(), needs);
                if !pass {
                    agents_gone.push(id("delete", name));
                }
            }
        }
    }
    for (provider, inventory) in machine::inventories(observed) {
        if inventory.backups.as_ref().is_some_and(|job| job.present().is_some()) {
            backups::delete(&mut draft, provider, reason.clone());
        }
    }
    draft
}

/// What is left out where machines go: nothing waits for an API, for a release or for a finalizer.
pub(super) fn tell(draft: &mut Draft<'_>, observed: &Observed) {
    cautions::volumes(draft, observed);
    let gone = match &observed.cluster {
        Some(Seen::Unknown(why)) => why,
        Some(Seen::Present(_) | Seen::Absent) | None => return,
    };
    let message = format!(
        "the API is not asked for anything ({gone}): releases, objects and their finalizers end with the machines"
    );
    let help =
        "what the cluster has made outside of them (volumes on a NAS, addresses) stays there; look for it by hand";
    draft.note(Weight::Warns, Subject::Cluster, message, help);
}

/// Nodes of ours that the spec does not know any more and whose machine no provider has: hosts that were there before us
/// and that only the cluster's books tell of.
fn strangers_on_hosts(draft: &mut Draft<'_>, observed: &Observed) -> Vec<StepId> {
    let Some(cluster) = observed.cluster.as_ref().and_then(|seen| seen.present()) else { return Vec::new() };
    let has = |name: &NodeName| {
        machine::inventories(observed)
            .any(|(provider, inventory)| provider.as_str() != EXISTING && inventory.machines.contains_key(name))
    };
    let nodes =
        unwanted_nodes(draft.desired, cluster).into_iter().filter(|name| cluster.nodes[*name].ready && !has(name));
    let mut steps = Vec::new();
    for name in nodes {
        let node = &cluster.nodes[name];
        let way = way_like_others(draft.desired, None, Some(node));
        let reason = Reason::Asked("destroy".into());
        let leaver = Leaver { name, server: node.server, machine: None, way, stays: false, reason };
        steps.extend(silence(draft, &leaver, Vec::new()));
    }
    steps
}

/// Kubernetes ends on hosts that were there before us, on servers last: they know of what others lead to. The hosts stay.
fn end_on_existing(
    draft: &mut Draft<'_>,
    observed: &Observed,
    strangers: Vec<StepId>,
    made: &BTreeSet<NodeName>,
) -> Vec<StepId> {
    let desired = draft.desired;
    let hosts: BTreeMap<_, _> = desired.hosts.iter().map(|host| (&host.name, host)).collect();
    let members: BTreeMap<_, _> = desired.members.iter().map(|member| (&member.name, member)).collect();
    let stays = |name: &NodeName| made.contains(name);
    let there_before =
        desired.machines.iter().filter(|machine| *machine.body == Body::Existing && !stays(&machine.name));
    let mut ends: Vec<(&DesiredHost, Arc<Recipe>, bool)> = Vec::new();
    for name in there_before.map(|machine| &machine.name) {
        let seen = observed.hosts.get(name);
        if let Some(why) = seen.and_then(Seen::why_unknown) {
            let message = format!("the host cannot be looked at: {why}");
            let first = why.help.as_ref().map_or_else(String::new, |help| format!("{help}; "));
            let help = "what is ours on it would be left over; taken out of the spec, the host stays as it is";
            draft.note(Weight::Blocks, Subject::Host(name.clone()), message, &(first + help));
        }
        if let Some((message, help)) = of_another(name, desired, observed) {
            draft.note(Weight::Blocks, Subject::Host(name.clone()), message, &help);
        } else if let (Some(host), Some(seen)) = (hosts.get(name), seen.and_then(Seen::present)) {
            let ending = match members.get(name) {
                Some(member) => of_member(member, host, seen),
                None => leaving::ends(desired, seen)
                    .filter(|_| seen.is_member() || seen.is_half_a_member() || seen.serves()),
            };
            ends.extend(ending.map(|(recipe, server)| (*host, recipe, server)));
        }
    }
    let mut steps = strangers;
    for pass in [false, true] {
        let before = if pass { steps.clone() } else { Vec::new() };
        for (host, recipe, _) in ends.iter().filter(|(_, _, server)| *server == pass) {
            if draft.has(&id("leave", &host.name)) {
                continue;
            }
            let action = Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe: recipe.clone() };
            let reason = Reason::Asked("destroy".into());
            steps.push(draft.add(step("leave", &host.name, Stage::Removal, action, reason, before.clone())));
        }
    }
    steps
}

/// What ends a member, and whether it is a server, where there is something to end.
fn of_member(member: &DesiredMember, host: &DesiredHost, seen: &HostSeen) -> Option<(Arc<Recipe>, bool)> {
    has_begun(host, seen).then(|| (member.recipes.leave.clone(), member.role.is_server()))
}

/// Whether Kubernetes was ever started on a host. Where it was not, what we put there goes by itself, and what others had
/// in its folders stays. A host that remembers nothing was set up before hosts did.
fn has_begun(host: &DesiredHost, seen: &HostSeen) -> bool {
    let units = host.resources.iter().filter_map(|it| seen.units.get(&it.kubernetes()?.name));
    let started = units.into_iter().any(|unit| unit.active || unit.reads.is_some());
    seen.kubernetes.is_some()
        && (started || seen.is_member() || seen.is_half_a_member() || seen.serves() || seen.ours.is_empty())
}
