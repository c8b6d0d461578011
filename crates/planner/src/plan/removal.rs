//! What has to go: nodes that are replaced, what is ours and not in the spec any more, and everything at the end.
//!
//! The order is always cordon, drain, forget, delete. A destruction skips the first three: what they protect goes too.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Body, Desired};
use kubewright_model::ids::{NodeName, ProviderName, StepId};
use kubewright_model::observed::{ClusterSeen, MachineSeen, Observed};
use kubewright_model::plan::{Action, Lease, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::quorum::Voters;
use super::standing::{ClusterView, Standing, Standings};
use crate::diff::cluster::{unwanted_nodes, unwanted_objects, unwanted_releases};
use crate::diff::machine;

/// Deletions at once at one place: each holds the storage's lock for a moment.
const DELETES_PER_PLACE: u16 = 4;

/// Whether the machines of a provider were there before us.
pub(super) fn is_existing(desired: &Desired, provider: &ProviderName) -> bool {
    desired.machines.iter().any(|machine| machine.provider == *provider && *machine.body == Body::Existing)
}

/// The nodes that are made anew go first; their joins need them forgotten.
pub(super) fn replaced_nodes(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    anew: &BTreeSet<NodeName>,
) {
    let machines = draft.desired.machines.iter().filter(|machine| anew.contains(&machine.name));
    for machine in machines.collect::<Vec<_>>() {
        let reason = Reason::Asked(format!("replace {}", machine.name));
        let gone = leave_cluster(draft, standings.cluster_seen(), &machine.name, &reason, Vec::new());
        if let Some(seen) = machine::seen(machine, observed).present() {
            delete(draft, &machine.name, &machine.provider, seen, reason, gone);
        }
    }
}

/// Nodes whose machine is gone leave the books before one of their name joins again: Kubernetes refuses a second node
/// of a name, and etcd counts a dead member against its quorum.
pub(super) fn lost_nodes(draft: &mut Draft<'_>, standings: &Standings<'_>, anew: &BTreeSet<NodeName>) {
    let Some(cluster) = standings.cluster_seen() else { return };
    let mut voters = Voters::new(cluster);
    for node in standings.nodes.iter().filter(|node| !anew.contains(node.name())) {
        let name = node.name();
        let why = match node.standing {
            Standing::ToMake => "its machine is gone",
            Standing::Answers(..) if node.is_blank() => "its host holds nothing of the cluster",
            _ => continue,
        };
        if !cluster.nodes.contains_key(name) && !cluster.members.contains_key(name) {
            continue;
        }
        if !voters.can_lose(name) {
            let message = format!("{why} and it cannot leave the cluster: {}", voters.words(name));
            let help = "bring the sick members back first, or `kubewright rebuild`";
            draft.note(Weight::Blocks, Subject::Member(name.clone()), message, help);
            continue;
        }
        voters.all.remove(name);
        voters.healthy.remove(name);
        let reason = Reason::Follows(why.into());
        // Its pods are gone with it, so there is nothing to drain.
        forget(draft, name, &reason, Vec::new());
    }
    // A dead member that is to go anyway goes first: it counts against the quorum of everything that follows.
    for name in unwanted_nodes(draft.desired, cluster) {
        let dead = cluster.members.get(name).is_some_and(|member| !member.healthy);
        if dead && voters.can_lose(name) {
            voters.all.remove(name);
            forget(draft, name, &Reason::NotInSpec, Vec::new());
        }
    }
}

/// What carries our mark and is not in the spec any more.
pub(super) fn unwanted(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) {
    releases_and_objects(draft, standings);
    let doomed = machine::doomed(draft.desired, observed);
    let mut leaving = Leaving::new(draft, standings);
    for (name, provider, seen) in &doomed {
        let subject = Subject::Machine((*name).clone());
        if let ClusterView::Unknown(why) = &standings.cluster {
            let message = format!("is not in the spec and stays: the cluster cannot be looked at: {why}");
            let nodes: Vec<_> = standings.nodes.iter().collect();
            let mended = super::members::brings_back(draft, &nodes);
            draft.note(if mended { Weight::Warns } else { Weight::Blocks }, subject, message, "");
            continue;
        }
        if let Some(gone) = leaving.leave(draft, standings.cluster_seen(), name, subject) {
            delete(draft, name, provider, seen, Reason::NotInSpec, gone);
        }
    }
    let Some(seen) = standings.cluster_seen() else { return };
    for name in unwanted_nodes(draft.desired, seen) {
        if !doomed.iter().any(|(other, ..)| *other == name) {
            leaving.leave(draft, Some(seen), name, Subject::Member(name.clone()));
        }
    }
}

/// Servers that leave, one after the other, and what etcd comes to meanwhile.
struct Leaving<'a> {
    voters: Voters<'a>,
    /// New servers join, and those that are sick come back, before others leave.
    before: Vec<StepId>,
    coming: Vec<&'a NodeName>,
    last: Option<StepId>,
}

impl<'a> Leaving<'a> {
    fn new(draft: &Draft<'a>, standings: &Standings<'a>) -> Self {
        let Some(cluster) = standings.cluster_seen().filter(|cluster| !cluster.members.is_empty()) else {
            return Self { voters: Voters::default(), before: Vec::new(), coming: Vec::new(), last: None };
        };
        let mut voters = Voters::new(cluster);
        let left = |name: &&NodeName| draft.has(&id("forget", name));
        voters.all.retain(|name| !left(name));
        voters.healthy.retain(|name| !left(name));
        let servers = draft.desired.servers().map(|member| &member.name);
        let joining: Vec<&NodeName> = servers.filter(|name| draft.has(&id("join", name))).collect();
        let sick = |name: &NodeName| cluster.members.get(name).is_some_and(|member| !member.voter || !member.healthy);
        let there = standings.nodes.iter().filter(|node| node.seen.is_some() && !node.blocked());
        let coming: Vec<&NodeName> = there.map(|node| &node.machine.name).filter(|name| sick(name)).collect();
        voters.all.extend(joining.iter().chain(&coming));
        voters.healthy.extend(joining.iter().chain(&coming));
        Self { voters, before: joining.into_iter().map(|name| id("join", name)).collect(), coming, last: None }
    }

    /// Takes a node out of the cluster, unless that would cost the quorum. Returns the last step.
    fn leave(
        &mut self,
        draft: &mut Draft<'_>,
        cluster: Option<&ClusterSeen>,
        name: &NodeName,
        subject: Subject,
    ) -> Option<Vec<StepId>> {
        if draft.has(&id("forget", name)) {
            return Some(vec![id("forget", name)]);
        }
        if !self.voters.can_lose(name) {
            let message = format!("is not in the spec and stays: {}", self.voters.words(name));
            draft.note(Weight::Blocks, subject, message, "bring the sick members back first");
            return None;
        }
        let is_voter = self.voters.all.remove(name);
        self.voters.healthy.remove(name);
        let mut after = Vec::new();
        if is_voter {
            for name in std::mem::take(&mut self.coming) {
                self.before.push(super::members::recovered(draft, name, "before others leave"));
            }
            after = self.before.iter().cloned().chain(self.last.take()).collect();
        }
        let gone = leave_cluster(draft, cluster, name, &Reason::NotInSpec, after);
        if is_voter {
            self.last = gone.last().cloned();
        }
        Some(gone)
    }
}

/// Takes a node out of the cluster; returns the last step, if the cluster knows the node at all.
fn leave_cluster(
    draft: &mut Draft<'_>,
    cluster: Option<&ClusterSeen>,
    name: &NodeName,
    reason: &Reason,
    after: Vec<StepId>,
) -> Vec<StepId> {
    let Some(cluster) = cluster else { return after };
    let member = cluster.members.contains_key(name);
    let Some(node) = cluster.nodes.get(name) else {
        return if member { vec![forget(draft, name, reason, after)] } else { after };
    };
    let mut needs = after;
    if !node.cordoned {
        needs = vec![cordon(draft, name, Stage::Removal, needs)];
    }
    // A node that does not answer cannot be drained: its pods are gone with it.
    if node.ready {
        needs = vec![drain(draft, name, Stage::Removal, needs)];
    }
    vec![forget(draft, name, reason, needs)]
}

/// Puts no new pods on the node.
pub(super) fn cordon(draft: &mut Draft<'_>, name: &NodeName, stage: Stage, needs: Vec<StepId>) -> StepId {
    let action = Action::Cordon(name.clone());
    let reason = Reason::Follows("its pods are about to move".into());
    draft.add(step("cordon", name, stage, action, reason, needs))
}

/// Moves the node's pods away.
pub(super) fn drain(draft: &mut Draft<'_>, name: &NodeName, stage: Stage, needs: Vec<StepId>) -> StepId {
    let action = Action::Drain { node: name.clone(), timeout: draft.desired.drain_timeout };
    let reason = Reason::Follows("it is about to go out of service".into());
    draft.add(step("drain", name, stage, action, reason, needs))
}

fn forget(draft: &mut Draft<'_>, name: &NodeName, reason: &Reason, needs: Vec<StepId>) -> StepId {
    let mut step = step("forget", name, Stage::Removal, Action::ForgetMember(name.clone()), reason.clone(), needs);
    step.takes = vec![Lease::new("etcd", 1)];
    draft.add(step)
}

fn step(deed: &str, name: &NodeName, stage: Stage, action: Action, reason: Reason, needs: Vec<StepId>) -> Step {
    Step {
        id: id(deed, name),
        stage,
        subject: Subject::Member(name.clone()),
        action,
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    }
}

fn delete(
    draft: &mut Draft<'_>,
    name: &NodeName,
    provider: &ProviderName,
    seen: &MachineSeen,
    reason: Reason,
    needs: Vec<StepId>,
) {
    if seen.protected {
        let message = format!("{provider} protects it from being deleted");
        draft.note(Weight::Blocks, Subject::Machine(name.clone()), message, "take the protection off by hand first");
        return;
    }
    let action = Action::DeleteMachine {
        provider: provider.clone(),
        place: seen.place.clone(),
        name: name.clone(),
        vmid: seen.vmid,
        owner: seen.owner.clone(),
    };
    draft.add(Step {
        id: id("delete", name),
        stage: Stage::Removal,
        subject: Subject::Machine(name.clone()),
        action,
        fields: Vec::new(),
        reason,
        needs,
        takes: vec![Lease::new(format!("delete/{}", seen.place), DELETES_PER_PLACE)],
        part: String::new(),
    });
}

fn releases_and_objects(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let Some(seen) = standings.cluster_seen() else { return };
    let mut removed = Vec::new();
    for (name, release) in unwanted_releases(draft.desired, seen) {
        removed.push(draft.add(Step {
            id: id("remove", name),
            stage: Stage::Removal,
            subject: Subject::Release(name.clone()),
            action: Action::RemoveRelease { name: name.clone(), namespace: release.namespace.clone() },
            fields: Vec::new(),
            reason: Reason::NotInSpec,
            needs: Vec::new(),
            takes: Vec::new(),
            part: String::new(),
        }));
    }
    let objects: Vec<_> = unwanted_objects(draft.desired, seen).into_iter().cloned().collect();
    for namespace in objects.iter().filter(|object| object.kind == "Namespace") {
        let message = format!("namespace {} goes with everything in it, also what is not ours", namespace.name);
        draft.note(Weight::Warns, Subject::Cluster, message, "put it back into the spec to keep it");
    }
    if objects.is_empty() {
        return;
    }
    let fields = objects
        .iter()
        .map(|object| kubewright_model::change::FieldChange {
            field: object.to_string(),
            from: Some("there".into()),
            to: None,
        })
        .collect();
    draft.add(Step {
        id: id("remove", "objects not in the spec"),
        stage: Stage::Removal,
        subject: Subject::Objects("not in the spec".into()),
        action: Action::DeleteObjects(objects),
        fields,
        reason: Reason::NotInSpec,
        // A release may need its namespace while it goes.
        needs: removed,
        takes: Vec::new(),
        part: String::new(),
    });
}

/// Everything that is ours goes: agents before servers, so that nothing talks to an API that is gone.
pub(super) fn destroy<'a>(mut draft: Draft<'a>, observed: &Observed) -> Draft<'a> {
    let desired = draft.desired;
    if desired.protected {
        let help = "take `maintenance.protect` out of the spec first";
        draft.note(Weight::Blocks, Subject::Cluster, "the cluster is protected", help);
        return draft;
    }
    for (name, seen) in &observed.providers {
        if let Some(why) = seen.why_unknown() {
            let message = format!("provider {name} could not be looked at: {why}");
            draft.note(Weight::Blocks, Subject::Cluster, message, "what it has of ours would be left over");
        }
    }
    let servers: BTreeSet<&NodeName> = desired.servers().map(|member| &member.name).collect();
    let reason = Reason::Asked("destroy".into());
    let cleaned = clean_existing(&mut draft, observed, &servers);
    let mut agents_gone = Vec::new();
    for pass in [false, true] {
        for (provider, inventory) in machine::inventories(observed) {
            if is_existing(desired, provider) {
                continue;
            }
            let ours = inventory.machines.iter().filter(|(_, seen)| seen.owner == desired.owner);
            for (name, seen) in ours.filter(|(name, _)| servers.contains(name) == pass) {
                let needs: Vec<StepId> = if pass { agents_gone.clone() } else { cleaned.clone() };
                delete(&mut draft, name, provider, seen, reason.clone(), needs);
                if !pass {
                    agents_gone.push(id("delete", name));
                }
            }
        }
    }
    load_balancers(&mut draft, observed, &reason);
    draft
}

/// Hosts that were there before us are left clean: what we put there goes, the hosts stay.
fn clean_existing(draft: &mut Draft<'_>, observed: &Observed, servers: &BTreeSet<&NodeName>) -> Vec<StepId> {
    let desired = draft.desired;
    let hosts: BTreeMap<_, _> = desired.hosts.iter().map(|host| (&host.name, host)).collect();
    let mut steps: Vec<StepId> = Vec::new();
    for pass in [false, true] {
        let before = steps.clone();
        for member in desired.members.iter().filter(|member| servers.contains(&member.name) == pass) {
            let existing = desired.machine(&member.name).is_some_and(|machine| *machine.body == Body::Existing);
            if existing && let Some(why) = observed.hosts.get(&member.name).and_then(|seen| seen.why_unknown()) {
                let message = format!("the host cannot be looked at: {why}");
                let help = "what is ours on it would be left over";
                draft.note(Weight::Blocks, Subject::Host(member.name.clone()), message, help);
            }
            let (Some(host), Some(recipes)) = (hosts.get(&member.name), &member.recipes) else { continue };
            let there = observed
                .hosts
                .get(&member.name)
                .and_then(|seen| seen.present())
                .is_some_and(|seen| seen.kubernetes.is_some());
            if !existing || !there {
                continue;
            }
            let action =
                Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe: recipes.leave.clone() };
            let reason = Reason::Asked("destroy".into());
            let needs = if pass { before.clone() } else { Vec::new() };
            steps.push(draft.add(step("leave", &member.name, Stage::Removal, action, reason, needs)));
        }
    }
    steps
}

fn load_balancers(draft: &mut Draft<'_>, observed: &Observed, reason: &Reason) {
    for (provider, inventory) in machine::inventories(observed) {
        let ours = inventory.load_balancers.iter().filter(|(_, seen)| seen.owner == draft.desired.owner);
        for (name, _) in ours.collect::<Vec<_>>() {
            draft.add(Step {
                id: id("unbalance", name),
                stage: Stage::Removal,
                subject: Subject::LoadBalancer(name.clone()),
                action: Action::DeleteLoadBalancer { provider: provider.clone(), name: name.clone() },
                fields: Vec::new(),
                reason: reason.clone(),
                needs: Vec::new(),
                takes: Vec::new(),
                part: String::new(),
            });
        }
    }
}
