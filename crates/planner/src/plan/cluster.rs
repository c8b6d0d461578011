//! Objects and releases, as soon as the cluster can take them.

use std::collections::BTreeSet;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredObjects, DesiredRelease};
use kubewright_model::ids::{Namespace, NodeName, ReleaseName, StepId};
use kubewright_model::object::Manifest;
use kubewright_model::observed::ClusterSeen;
use kubewright_model::plan::{Action, Lease, Stage, Step, Weight};
use kubewright_model::units::Span;

use super::draft::{Draft, id};
use super::standing::{ClusterView, Standings};
use crate::diff::cluster::{differing_objects, release_fields, unwanted_releases};

/// Up to so many nodes, add-ons wait for all of them, so that their pods spread; beyond that a slow node would hold
/// everything up.
const WAIT_FOR_ALL: usize = 10;
/// Of more nodes, add-ons wait for this many percent.
const WAIT_PERCENT: usize = 90;
/// Nodes are started within a few minutes; the rest is for slow links and long chains of joins.
const NODES_TIMEOUT: Span = Span::from_secs(30 * 60);
/// Releases that install at once: each pulls its images over the same link.
const RELEASES: u16 = 4;

/// What a cluster that sleeps has of these shows when it is awake: the next plan goes on from there.
pub(super) fn plan(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let nothing = ClusterSeen::default();
    let seen = match &standings.cluster {
        ClusterView::Unknown(_) => return,
        ClusterView::Absent => &nothing,
        ClusterView::Present(seen) => *seen,
    };
    if standings.cluster_seen().is_none() && !draft.begins {
        return;
    }
    let desired = draft.desired;
    let differs = |group: &&DesiredObjects| {
        !differing_objects(&group.manifests, seen).is_empty() || !taken(desired, group).is_empty()
    };
    let groups: Vec<&DesiredObjects> = desired.objects.iter().filter(differs).collect();
    let releases: Vec<&DesiredRelease> = desired
        .releases
        .iter()
        .filter(|release| is_ours(draft, release, seen))
        .filter(|release| !release_fields(release, seen.release(release)).is_empty())
        .collect();
    let (early, late): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.after.is_empty());
    let before: Vec<_> = early
        .into_iter()
        .flat_map(|group| objects(draft, group, seen).into_iter().map(move |step| (group, step)))
        .collect();
    let mut gate: Option<Option<StepId>> = None;
    for release in in_order(releases) {
        let opened = match release.before_ready {
            true => None,
            false => gate.get_or_insert_with(|| nodes_gate(draft, standings)).clone(),
        };
        let beside = before.iter().filter(|(group, _)| is_beside(group, release)).map(|(_, step)| step.clone());
        install(draft, release, seen, beside.chain(opened));
    }
    late.into_iter().for_each(|group| drop(objects(draft, group, seen)));
}

/// Whether a release may look for an object of the group: one of its own namespace, or of none.
fn is_beside(group: &DesiredObjects, release: &DesiredRelease) -> bool {
    let of = |manifest: &Manifest| manifest.id().ok().and_then(|id| id.namespace);
    group.manifests.iter().any(|manifest| of(manifest).is_none_or(|namespace| namespace == release.namespace))
}

/// What is said of kinds that cannot be listed: nothing is done to their objects. The rest of the plan may mend what serves
/// them; where nothing else is to be done, the spec is held up by that.
pub(super) fn unlisted(draft: &mut Draft<'_>, standings: &Standings<'_>) {
    let Some(seen) = standings.cluster_seen() else { return };
    let ids = draft.desired.objects.iter().flat_map(|group| &group.manifests).filter_map(|it| it.id().ok());
    let wished: BTreeSet<String> = ids.map(|id| id.kind_of_group()).collect();
    let held = if draft.steps.is_empty() { Weight::Blocks } else { Weight::Warns };
    for (kind, why) in &seen.unlisted {
        let (weight, message) = match wished.contains(kind) {
            true => (held, format!("every {kind} stays as it is, for nobody knows which are there: {why}")),
            false => (
                Weight::Warns,
                format!("what there is of ours among all {kind} stays, for they cannot be listed: {why}"),
            ),
        };
        draft.note(weight, Subject::Cluster, message, "mend what serves them, then plan again");
    }
}

/// A release of the same name that others installed is not taken over silently.
fn is_ours(draft: &mut Draft<'_>, release: &DesiredRelease, seen: &ClusterSeen) -> bool {
    let foreign = seen.release(release).is_some_and(|there| there.owner.as_ref() != Some(&draft.desired.owner));
    if foreign {
        let message = "a release of this name is there and not ours";
        let help = "give yours another name, or remove the other one";
        draft.note(Weight::Blocks, Subject::Release(release.name.clone()), message, help);
    }
    !foreign
}

/// Releases with those that they need before them; the order of the file otherwise.
fn in_order(releases: Vec<&DesiredRelease>) -> Vec<&DesiredRelease> {
    let waiting: BTreeSet<&ReleaseName> = releases.iter().map(|release| &release.name).collect();
    let mut done: BTreeSet<&ReleaseName> = BTreeSet::new();
    let mut ordered = Vec::new();
    let mut rest = releases;
    loop {
        let ready =
            |release: &&DesiredRelease| release.after.iter().all(|name| done.contains(name) || !waiting.contains(name));
        let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(ready);
        if now.is_empty() {
            // Releases that need each other in a circle go in the order of the file.
            ordered.extend(later);
            return ordered;
        }
        done.extend(now.iter().map(|release| &release.name));
        ordered.extend(now);
        rest = later;
    }
}

/// Those of a group that are to be taken from whoever else has set them.
fn taken<'g>(desired: &Desired, group: &'g DesiredObjects) -> Vec<&'g Manifest> {
    let asked = |object: &&Manifest| object.id().is_ok_and(|id| desired.take.contains(&id));
    group.manifests.iter().filter(asked).collect()
}

/// What is taken was asked for by name, whether it differs or not: nobody sees what others have set since.
fn take(draft: &mut Draft<'_>, group: &DesiredObjects, seen: &ClusterSeen) -> Option<StepId> {
    let objects = taken(draft.desired, group);
    let unseen = |object: &&Manifest| object.id().is_ok_and(|id| seen.why_unknown(&id).is_some());
    let objects: Vec<Manifest> = objects.into_iter().filter(|it| !unseen(it)).cloned().collect();
    if objects.is_empty() {
        return None;
    }
    let names: Vec<String> = objects.iter().filter_map(|it| Some(format!("--take '{}'", it.id().ok()?))).collect();
    Some(draft.add(Step {
        id: id("take", &group.name),
        stage: Stage::Addons,
        subject: Subject::Objects(group.name.clone()),
        action: Action::TakeObjects(objects),
        fields: Vec::new(),
        reason: Reason::Asked(names.join(" ")),
        needs: needs(draft, group),
        takes: Vec::new(),
        part: group.part.clone(),
    }))
}

fn needs(draft: &Draft<'_>, group: &DesiredObjects) -> Vec<StepId> {
    let mut needs = draft.api.clone();
    needs.push(id("objects", "namespaces"));
    needs.extend(group.after.iter().map(|release| id("release", release)));
    needs
}

/// The steps of a group: what is taken is there already, and may be what the rest needs.
fn objects(draft: &mut Draft<'_>, group: &DesiredObjects, seen: &ClusterSeen) -> Vec<StepId> {
    let taken: Vec<StepId> = take(draft, group, seen).into_iter().collect();
    let asked = draft.desired.take.clone();
    let found = differing_objects(&group.manifests, seen);
    let rest = |object: &Manifest| !object.id().is_ok_and(|id| asked.contains(&id));
    let found: Vec<_> = found.into_iter().filter(|(object, _)| rest(object)).collect();
    if found.is_empty() {
        return taken;
    }
    let (manifests, fields): (Vec<_>, Vec<_>) =
        found.into_iter().map(|(manifest, field)| (manifest.clone(), field)).unzip();
    let missing = fields.iter().all(|field| field.from.is_none());
    let mut needs = needs(draft, group);
    needs.extend(taken.iter().cloned());
    let applied = draft.add(Step {
        id: id("objects", &group.name),
        stage: Stage::Addons,
        subject: Subject::Objects(group.name.clone()),
        action: Action::ApplyObjects(manifests),
        fields,
        reason: if missing { Reason::Missing } else { Reason::Differs },
        needs,
        takes: Vec::new(),
        part: group.part.clone(),
    });
    taken.into_iter().chain([applied]).collect()
}

fn install(draft: &mut Draft<'_>, release: &DesiredRelease, seen: &ClusterSeen, before: impl Iterator<Item = StepId>) {
    let there = seen.release(release);
    let mut needs = draft.api.clone();
    needs.extend(moved(draft, release, seen));
    needs.extend(before);
    needs.extend(release.after.iter().map(|name| id("release", name)));
    draft.add(Step {
        id: id("release", &release.name),
        stage: Stage::Addons,
        subject: Subject::Release(release.name.clone()),
        action: Action::InstallRelease(Box::new(release.clone())),
        fields: release_fields(release, there),
        reason: if there.is_some() { Reason::Differs } else { Reason::Missing },
        needs,
        takes: vec![Lease::new("releases", RELEASES)],
        part: release.part.clone(),
    });
}

/// A release of ours that was in another namespace goes first: what it has beside namespaces has one owner at a time, and
/// Helm refuses to take it over.
fn moved(draft: &mut Draft<'_>, release: &DesiredRelease, seen: &ClusterSeen) -> Vec<StepId> {
    let unwanted = unwanted_releases(draft.desired, seen);
    let before = unwanted.into_iter().filter(|(_, name)| **name == release.name);
    let removed = before.filter_map(|(namespace, name)| {
        if draft.protects(Subject::Release(name.clone())) {
            return None;
        }
        let message =
            format!("it moves from {namespace} to {}; what it keeps in {namespace} does not", release.namespace);
        let help = "save what it keeps, or put its namespace back";
        draft.note(Weight::Warns, Subject::Release(name.clone()), message, help);
        Some(remove(draft, namespace, name))
    });
    removed.collect()
}

/// Takes a release away.
pub(super) fn remove(draft: &mut Draft<'_>, namespace: &Namespace, name: &ReleaseName) -> StepId {
    draft.add(Step {
        id: id("remove", format!("{namespace}/{name}")),
        stage: Stage::Removal,
        subject: Subject::Release(name.clone()),
        action: Action::RemoveRelease { name: name.clone(), namespace: namespace.clone() },
        fields: Vec::new(),
        reason: Reason::NotInSpec,
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    })
}

/// The wait before pods are put on nodes; none when no node is on its way.
fn nodes_gate(draft: &mut Draft<'_>, standings: &Standings<'_>) -> Option<StepId> {
    let members = standings.nodes.iter().filter(|node| node.member.is_some() && !node.blocked());
    let (nodes, ready): (Vec<NodeName>, Vec<bool>) =
        members.map(|node| (node.name().clone(), node.seen.is_some_and(|seen| seen.ready))).unzip();
    if ready.iter().all(|ready| *ready) {
        return None;
    }
    let at_least = match nodes.len() {
        few if few <= WAIT_FOR_ALL => few,
        many => (many * WAIT_PERCENT).div_ceil(100),
    };
    let mut needs = draft.api.clone();
    // What makes nodes Ready in the first place, a network for pods, comes before the wait for them.
    needs.extend(
        draft
            .desired
            .releases
            .iter()
            .filter(|release| release.before_ready)
            .map(|release| id("release", &release.name)),
    );
    Some(draft.add(Step {
        id: id("ready", "nodes for add-ons"),
        stage: Stage::Addons,
        subject: Subject::Cluster,
        action: Action::Wait { condition: Condition::NodesReady { nodes, at_least }, timeout: NODES_TIMEOUT },
        fields: Vec::new(),
        reason: Reason::Follows("pods need nodes to run on".into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    }))
}
