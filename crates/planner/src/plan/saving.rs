//! The datastore is saved: when somebody asks for it, and before an upgrade, and before everything is made anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, DesiredHost, DesiredMember};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::recipe::{Effect, Recipe};

use super::draft::Draft;

/// Saves the datastore from a server that is healthy.
pub(super) fn backup<'a>(desired: &'a Desired, observed: &Observed) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    match healthy(desired, observed, snapshot) {
        None => {
            let message = "no server of the cluster is healthy, so there is nothing to save from";
            draft.note(Weight::Blocks, Subject::Cluster, message, "`kubewright status` tells what is wrong");
        }
        Some((member, host, recipe)) => drop(draft.add(step(member, host, recipe, Reason::Asked("backup".into())))),
    }
    draft
}

/// Nothing is taken away before the datastore is saved to where it outlives the cluster. Where it cannot be, that is said,
/// and the rebuild goes ahead only when somebody has said that it may.
pub(super) fn first(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    if draft.steps.is_empty() || desired.without_backup {
        return;
    }
    let recipes = || desired.servers().filter_map(|member| member.recipes.snapshot.as_ref());
    if !recipes().any(|recipe| recipe.leaves_the_host()) {
        let message =
            "nothing is saved before: snapshots of this datastore stay on the hosts that go, or there are none";
        draft.note(Weight::Warns, Subject::Cluster, message, "save by hand what has to outlive the cluster");
        return;
    }
    if matches!(observed.cluster, None | Some(Seen::Absent)) && crate::holders::nobody(desired, observed) {
        return;
    }
    let Some((member, host, recipe)) = healthy(desired, observed, snapshot) else {
        // One that goes on was let begin; where the old cluster still answers, it is saved as it is now.
        if observed.unfinished.is_some() {
            return;
        }
        let message = "no server is healthy, so nothing can be saved before everything goes";
        let help =
            "mend one server first (`kubewright status`); or `--without-backup`, and what the cluster holds is lost";
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
        return;
    };
    let saves = step(member, host, recipe, Reason::Asked("rebuild".into()));
    for step in draft.steps.iter_mut().filter(|step| step.needs.is_empty()) {
        step.needs.push(saves.id.clone());
    }
    draft.add_first(saves);
}

/// Nothing of the control plane gets another version before the datastore is saved.
pub(super) fn before_upgrades(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    let upgraded: BTreeSet<&NodeName> = draft.steps.iter().filter_map(upgraded).collect();
    let servers: BTreeSet<NodeName> =
        desired.servers().map(|member| &member.name).filter(|name| upgraded.contains(name)).cloned().collect();
    let saves = desired.servers().any(|member| member.recipes.snapshot.is_some());
    if servers.is_empty() || !saves || desired.without_backup {
        return;
    }
    let Some((member, host, recipe)) = healthy(desired, observed, snapshot) else {
        let message = "nothing is saved before the upgrade: no server is healthy";
        draft.note(
            Weight::Warns,
            Subject::Cluster,
            message,
            "mend one server first: `kubewright status` tells what is wrong",
        );
        return;
    };
    let saves = step(member, host, recipe, Reason::Follows("the control plane is about to get another version".into()));
    // They come one after the other, so the first one is enough.
    let first = draft.steps.iter_mut().find(|step| step.subject.node().is_some_and(|node| servers.contains(node)));
    if let Some(first) = first {
        first.needs.push(saves.id.clone());
    }
    draft.add_first(saves);
}

/// What is there is saved before another state is put in its place, where a server still can. A cluster that is dead has
/// nothing to lose by that.
pub(super) fn while_it_answers(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    if draft.steps.is_empty() || desired.without_backup || observed.unfinished.is_some() {
        return;
    }
    let Some((member, host, recipe)) = healthy(desired, observed, snapshot) else {
        let message = "no server is healthy, so what is there now is not saved first";
        let help = "etcd's data are put aside on the servers' disks, where there is room";
        draft.note(Weight::Warns, Subject::Cluster, message, help);
        return;
    };
    let saves = step(member, host, recipe, Reason::Asked("restore".into()));
    for step in draft.steps.iter_mut().filter(|step| step.needs.is_empty()) {
        step.needs.push(saves.id.clone());
    }
    draft.add_first(saves);
}

/// The node that gets another version in a step.
fn upgraded(step: &Step) -> Option<&NodeName> {
    match &step.action {
        Action::RunRecipe { host, recipe, .. } if recipe.effect == Effect::Upgrade => Some(host),
        _ => None,
    }
}

fn snapshot(member: &DesiredMember) -> Option<Arc<Recipe>> {
    member.recipes.snapshot.clone()
}

/// A server that is Ready and that has a recipe for what is to be done.
pub(super) fn healthy<'a>(
    desired: &'a Desired,
    observed: &Observed,
    recipe: impl Fn(&DesiredMember) -> Option<Arc<Recipe>>,
) -> Option<(&'a DesiredMember, &'a DesiredHost, Arc<Recipe>)> {
    desired.servers().find_map(|member| {
        let recipe = recipe(member)?;
        let node = observed.cluster.as_ref()?.present()?.nodes.get(&member.name)?;
        let host = desired.hosts.iter().find(|host| host.name == member.name)?;
        // Nobody does anything on a host that was not looked at.
        observed.hosts.get(&member.name)?.present()?;
        let ours = crate::diff::host::of_another(&member.name, desired, observed).is_none();
        let votes = observed.cluster.as_ref()?.present()?.members.get(&member.name).is_none_or(|member| member.healthy);
        (node.ready && votes && ours).then_some((member, host, recipe))
    })
}

pub(super) fn step(member: &DesiredMember, host: &DesiredHost, recipe: Arc<Recipe>, reason: Reason) -> Step {
    let action = Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe };
    Step {
        id: StepId::new(format!("save/{}", member.name)),
        stage: Stage::Backup,
        subject: Subject::Member(member.name.clone()),
        action,
        fields: Vec::new(),
        reason,
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    }
}
