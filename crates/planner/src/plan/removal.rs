//! What has to go while the cluster lives on: nodes that are replaced, and what is ours and not in the spec any more.
//!
//! How one node leaves is [`super::leaving`]'s; everything at once is [`super::destroy`]'s.

use std::collections::BTreeSet;

use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::{Body, Desired, Halfway};
use kubewright_model::ids::{NodeName, ProviderName, StepId};
use kubewright_model::object::ObjectId;
use kubewright_model::observed::{ClusterSeen, HostSeen, MachineSeen, Observed};
use kubewright_model::plan::{Action, Lease, Stage, Step, Weight};
use kubewright_model::spec::Distribution;

use super::draft::{Draft, id};
use super::leaving::{Leaver, forget, leave, silence, silences, way_like_others};
use super::members::{recipes, run};
use super::roles;
use super::standing::{ClusterView, Node, Standing, Standings};
use crate::diff::cluster::{unwanted_namespaces, unwanted_nodes, unwanted_objects, unwanted_releases};
use crate::diff::machine;
use crate::holders::Holders;

/// Deletions at once at one place: each holds the storage's lock for a moment.
const DELETES_PER_PLACE: u16 = 4;

/// The nodes that are made anew go first; their joins need them forgotten.
pub(super) fn replaced_nodes(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    holders: &mut Holders<'_>,
    anew: &BTreeSet<NodeName>,
) {
    for node in standings.nodes.iter().filter(|node| anew.contains(node.name()) && !node.blocked()) {
        let existing = *node.machine.body == Body::Existing;
        let machine = machine::seen(node.machine, observed).present().copied().filter(|_| !existing);
        let reason = Reason::Asked(format!("replace {}", node.name()));
        let host = observed.hosts.get(node.name()).and_then(|seen| seen.present());
        let stays = existing && host.is_some_and(|host| host.kubernetes.is_some());
        let cluster = standings.cluster_seen();
        let books = cluster.and_then(|seen| Some(seen.nodes.get(node.name())?.server));
        let server = books.unwrap_or_else(|| node.member.is_some_and(|member| member.role.is_server()));
        let way = Some(node.host.way.clone());
        let leaver = Leaver { name: node.name(), server, machine, way, stays, reason };
        let unseen = observed.hosts.get(node.name()).and_then(|seen| seen.why_unknown());
        let runs = standings.cluster_seen().is_some_and(|seen| silences(seen, holders, &leaver));
        if let Some(why) = unseen.filter(|_| runs) {
            let message = format!("Kubernetes runs on it and cannot be ended there: {why}");
            draft.note(
                Weight::Blocks,
                Subject::Member(node.name().clone()),
                message,
                "turn it off by hand, then run again",
            );
            continue;
        }
        if node.member.is_none() {
            let message = "what goes through it, as the API may, is away until it is back";
            draft.note(Weight::Warns, Subject::Machine(node.name().clone()), message, "");
        }
        let gone = match host.filter(|host| !host.is_member()).and_then(|host| halfway(node, host)) {
            Some(half) => {
                taken_back(draft, holders, node, half);
                let gone = draft.left.clone();
                if stays { silence(draft, &leaver, gone) } else { gone }
            }
            None => leave(draft, standings.cluster_seen(), holders, &leaver),
        };
        if let Some(seen) = machine {
            delete(draft, leaver.name, &node.machine.provider, seen, leaver.reason, gone);
        }
    }
}

/// Nodes whose machine is gone leave the books before one of their name joins again: Kubernetes refuses a second node
/// of a name, and etcd counts a dead member against its quorum.
pub(super) fn lost_nodes(
    draft: &mut Draft<'_>,
    standings: &Standings<'_>,
    holders: &mut Holders<'_>,
    anew: &BTreeSet<NodeName>,
) {
    let Some(cluster) = standings.cluster_seen() else { return };
    for node in standings.nodes.iter().filter(|node| !anew.contains(node.name())) {
        let name = node.name();
        let why = match node.standing {
            Standing::ToMake => "its machine is gone",
            Standing::Answers(..) if node.is_blank() => "its host holds nothing of the cluster",
            _ => continue,
        };
        if let Some(half) = node.answers().and_then(|host| halfway(node, host)) {
            taken_back(draft, holders, node, half);
            continue;
        }
        if !cluster.nodes.contains_key(name) && !cluster.members.contains_key(name) {
            continue;
        }
        if let Some(kept) = holders.keeps(name) {
            let message = format!("{why} and it cannot leave the cluster: {kept}");
            let help = "bring the sick members back first, or `kubewright rebuild`";
            draft.note(Weight::Blocks, Subject::Member(name.clone()), message, help);
            continue;
        }
        lost(draft, holders, name, &Reason::Follows(why.into()));
    }
    // A dead member that is to go anyway goes first: it counts against the quorum of everything that follows.
    for name in strangers(draft.desired, standings) {
        let dead = cluster.members.get(name).is_some_and(|member| !member.healthy);
        if dead && holders.keeps(name).is_none() {
            lost(draft, holders, name, &Reason::NotInSpec);
        }
    }
}

/// A server that was cut off while it joined, whatever it is to be now.
fn halfway<'n>(node: &'n Node<'_>, host: &HostSeen) -> Option<&'n Halfway> {
    recipes(node)?.halfway.as_ref().filter(|_| host.may_vote())
}

/// A server that was cut off while it joined is taken out of etcd, where it may vote already without being in the books, and
/// only then cleared. Whether etcd can do without it, nobody but etcd knows, and it refuses where it cannot.
fn taken_back(draft: &mut Draft<'_>, holders: &mut Holders<'_>, node: &Node<'_>, half: &Halfway) {
    let reason = Reason::Follows("kubeadm was cut off on it".into());
    let ended = run(draft, node, "ended", half.ended.clone(), reason.clone(), draft.left.clone(), Vec::new());
    let forgotten = forget(draft, node.name(), &reason, vec![ended]);
    let cleared = run(draft, node, "clear", half.clear.clone(), reason, vec![forgotten], Vec::new());
    draft.left = vec![cleared];
    holders.left(node.name());
}

/// Takes a node out of the books whose pods are gone with it, so there is nothing to drain.
fn lost(draft: &mut Draft<'_>, holders: &mut Holders<'_>, name: &NodeName, reason: &Reason) {
    if !holders.all.contains(name) {
        forget(draft, name, reason, Vec::new());
        return;
    }
    let gone = forget(draft, name, reason, draft.left.clone());
    draft.left = vec![gone];
    holders.left(name);
}

/// Agents that are not in the spec any more and hold the number or the address of a machine that is to be made.
pub(super) fn in_the_way<'a>(
    draft: &mut Draft<'_>,
    observed: &'a Observed,
    standings: &Standings<'a>,
    holders: &mut Holders<'_>,
) {
    let desired = draft.desired;
    let new = standings.nodes.iter().filter(|node| matches!(node.standing, Standing::ToMake));
    let ways = new.filter_map(|node| standings.in_the_way.get(node.name())).flatten();
    let names: BTreeSet<&NodeName> = ways.map(|(name, _)| *name).collect();
    for (name, provider, seen) in machine::doomed(desired, observed) {
        if names.contains(name) {
            unwanted_machine(draft, standings, holders, name, provider, seen);
        }
    }
}

/// What carries our mark and is not in the spec any more.
pub(super) fn unwanted(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    holders: &mut Holders<'_>,
) {
    releases_and_objects(draft, standings);
    unwanted_nodes_that(draft, observed, standings, holders, |server| !server || standings.cluster_seen().is_none());
}

/// Servers that the spec does not know any more, and those that become agents, leave once others have joined: before any
/// agent is newer than they are.
pub(super) fn servers<'a, 'd: 'a>(
    draft: &mut Draft<'d>,
    observed: &'a Observed,
    standings: &Standings<'a>,
    holders: &mut Holders<'a>,
) {
    let demoted = standings.nodes.iter().filter(|node| roles::rejoins(node)).map(|node| node.name());
    let unwanted = machine::doomed(draft.desired, observed).into_iter().map(|(name, ..)| name);
    let books = strangers(draft.desired, standings);
    let mut leaving = demoted.chain(unwanted).chain(books);
    if leaving.any(|name| holders.all.contains(name) && !draft.has(&id("forget", name))) {
        others_first(draft, standings, holders);
    }
    unwanted_nodes_that(draft, observed, standings, holders, |server| server);
    roles::demoted(draft, standings, holders);
}

/// Nodes of ours that the spec does not know. One whose host stays for something else changes its role instead, and one
/// whose machine cannot be read may come back.
fn strangers<'a>(desired: &Desired, standings: &Standings<'a>) -> Vec<&'a NodeName> {
    let nodes = standings.cluster_seen().map(|seen| unwanted_nodes(desired, seen)).unwrap_or_default().into_iter();
    nodes.filter(|name| desired.machine(name).is_none() && !standings.unread.contains(name)).collect()
}

/// What of ours is not in the spec any more leaves: servers, or others.
fn unwanted_nodes_that(
    draft: &mut Draft<'_>,
    observed: &Observed,
    standings: &Standings<'_>,
    holders: &mut Holders<'_>,
    chosen: impl Fn(bool) -> bool,
) {
    let desired = draft.desired;
    let cluster = standings.cluster_seen();
    let is_chosen = |name: &NodeName| chosen(stranger(desired, standings, name, None).server);
    let doomed = machine::doomed(desired, observed);
    let nodes = strangers(desired, standings).into_iter();
    let nodes = nodes.filter(|name| is_chosen(name) && !doomed.iter().any(|(other, ..)| other == name));
    let nodes: Vec<_> = nodes.collect();
    for (name, provider, seen) in doomed.into_iter().filter(|(name, ..)| is_chosen(name)) {
        if !draft.has(&id("delete", name)) {
            unwanted_machine(draft, standings, holders, name, provider, seen);
        }
    }
    for name in nodes {
        let leaver = stranger(desired, standings, name, None);
        let answers = cluster.is_some_and(|seen| seen.nodes.get(name).is_some_and(|node| node.ready));
        if !answers {
            let message = "its host does not answer, so nothing is taken away there";
            draft.note(Weight::Tells, Subject::Member(name.clone()), message, "if it comes back, clean it by hand");
        }
        if may_leave(draft, standings, holders, &leaver, Subject::Member(name.clone())) {
            leave(draft, cluster, holders, &leaver);
            if answers && desired.kubernetes.distribution == Distribution::Talos {
                let message = "its machine is reset, and waits in maintenance mode";
                let help = "where it is to be no node any more, switch it off; its disk still holds Talos itself";
                draft.note(Weight::Tells, Subject::Member(name.clone()), message, help);
            } else if answers {
                let message =
                    "Kubernetes ends on its host; what else was set up there stays, for nobody looks at it any more";
                let help = "`/var/lib/kubewright/before` on it tells what was there before";
                draft.note(Weight::Tells, Subject::Member(name.clone()), message, help);
            }
        }
    }
}

/// A machine that is not in the spec any more leaves the cluster and is deleted, if it may go.
fn unwanted_machine(
    draft: &mut Draft<'_>,
    standings: &Standings<'_>,
    holders: &mut Holders<'_>,
    name: &NodeName,
    provider: &ProviderName,
    seen: &MachineSeen,
) {
    let leaver = stranger(draft.desired, standings, name, Some(seen));
    if may_leave(draft, standings, holders, &leaver, Subject::Machine(name.clone())) {
        let gone = leave(draft, standings.cluster_seen(), holders, &leaver);
        delete(draft, name, provider, seen, Reason::NotInSpec, gone);
    }
}

/// New servers join, and those that are sick come back, before others leave.
fn others_first<'a, 'd: 'a>(draft: &mut Draft<'d>, standings: &Standings<'a>, holders: &mut Holders<'a>) {
    let Some(cluster) = standings.cluster_seen() else { return };
    let joining = draft.desired.servers().map(|member| &member.name);
    let joining: Vec<&NodeName> = joining.filter(|name| draft.has(&id("join", name))).collect();
    let sick = |name: &NodeName| cluster.members.get(name).is_some_and(|member| !member.voter || !member.healthy);
    let there = standings.nodes.iter().filter(|node| node.seen.is_some() && !node.blocked());
    let coming: Vec<&NodeName> = there.map(|node| &node.machine.name).filter(|name| sick(name)).collect();
    for name in joining {
        holders.joined(name);
        draft.left.push(id("join", name));
    }
    for name in coming {
        holders.joined(name);
        let back = super::members::recovered(draft, name, "before others leave");
        draft.left.push(back);
    }
}

/// Whether a node that is not in the spec may leave; a note says why not.
fn may_leave(
    draft: &mut Draft<'_>,
    standings: &Standings<'_>,
    holders: &Holders<'_>,
    leaver: &Leaver<'_>,
    subject: Subject,
) -> bool {
    if draft.has(&id("forget", leaver.name)) {
        return true;
    }
    if draft.protects(subject.clone()) {
        return false;
    }
    let why = match &standings.cluster {
        ClusterView::Unknown(why) => Some(format!("the cluster cannot be looked at: {why}")),
        ClusterView::Present(seen) if leaver.way.is_none() && silences(seen, holders, leaver) => {
            Some("Kubernetes runs on it, and nobody knows how to reach it".into())
        }
        ClusterView::Absent | ClusterView::Present(_) => holders.keeps(leaver.name),
    };
    let Some(why) = why else { return true };
    let nodes: Vec<_> = standings.nodes.iter().collect();
    let mended = standings.cluster_seen().is_none() && super::members::brings_back(draft, &nodes);
    let weight = if mended { Weight::Warns } else { Weight::Blocks };
    let help = match mended {
        true => "",
        // SQLite takes in no other server that it could be left to.
        false if holders.voters.is_empty() => "put it back into the spec; or begin anew with `kubewright rebuild`",
        false => "keep it in the spec until other servers are there and healthy",
    };
    draft.note(weight, subject, format!("is not in the spec and stays: {why}"), help);
    false
}

/// A node that the spec does not know any more.
fn stranger<'p>(
    desired: &Desired,
    standings: &Standings<'_>,
    name: &'p NodeName,
    machine: Option<&'p MachineSeen>,
) -> Leaver<'p> {
    let cluster = standings.cluster_seen();
    let node = cluster.and_then(|seen| seen.nodes.get(name));
    let member = cluster.is_some_and(|seen| seen.members.contains_key(name));
    let server = member || node.is_some_and(|node| node.server);
    let way = way_like_others(desired, machine, node);
    Leaver { name, server, machine, way, stays: false, reason: Reason::NotInSpec }
}

/// The machine goes, unless it may not.
pub(super) fn delete(
    draft: &mut Draft<'_>,
    name: &NodeName,
    provider: &ProviderName,
    seen: &MachineSeen,
    reason: Reason,
    needs: Vec<StepId>,
) {
    if draft.protects(Subject::Machine(name.clone())) {
        return;
    }
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
        takes: vec![Lease::new(format!("delete/{provider}/{}", seen.place), DELETES_PER_PLACE)],
        part: String::new(),
    });
}

fn releases_and_objects(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let Some(seen) = standings.cluster_seen() else { return };
    let mut removed = Vec::new();
    for (namespace, name) in unwanted_releases(draft.desired, seen) {
        let step = id("remove", format!("{namespace}/{name}"));
        if !draft.has(&step) && draft.protects(Subject::Release(name.clone())) {
            continue;
        }
        // One that moves to another namespace is gone already.
        removed.push(if draft.has(&step) { step } else { super::cluster::remove(draft, namespace, name) });
    }
    for name in unwanted_namespaces(draft.desired, seen) {
        let message = format!("namespace {name} is not in the spec any more, and stays with everything in it");
        let help = format!("`kubectl delete namespace {name}` deletes it, and all that anybody has put there");
        draft.note(Weight::Warns, Subject::Cluster, message, &help);
    }
    objects(draft, seen, removed);
}

/// Objects of ours that are not in the spec any more go, unless they may not; what goes with them is told.
fn objects(draft: &mut Draft<'_>, seen: &ClusterSeen, removed: Vec<StepId>) {
    let mut objects: Vec<ObjectId> = unwanted_objects(draft.desired, seen).into_iter().cloned().collect();
    objects.retain(|object| !draft.protects(Subject::Objects(object.to_string())));
    if objects.is_empty() {
        return;
    }
    for object in &objects {
        if let Some(loss) = loss(object) {
            let help = "put it back into the spec to keep it";
            draft.note(Weight::Warns, Subject::Objects(object.to_string()), loss, help);
        }
    }
    let fields = objects
        .iter()
        .map(|object| FieldChange { field: object.to_string(), from: Some("there".into()), to: None })
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

/// What is lost with an object, where that is more than the spec can make again.
fn loss(object: &ObjectId) -> Option<&'static str> {
    match object.kind.as_str() {
        "PersistentVolumeClaim" => Some("is deleted, and what its volume holds may go with it"),
        "PersistentVolume" => Some("is deleted, and what it holds is out of reach of the cluster"),
        "CustomResourceDefinition" => Some("is deleted, and with it all objects of the kind that it defines"),
        "StatefulSet" => Some("is deleted, and its claims may go with it"),
        _ => None,
    }
}
