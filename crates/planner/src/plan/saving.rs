//! The datastore is saved: when somebody asks for it, and before everything is made anew.

use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, DesiredHost, DesiredMember};
use kubewright_model::ids::StepId;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::recipe::Recipe;

use super::draft::Draft;

/// Saves the datastore from a server that is healthy.
pub(super) fn backup<'a>(desired: &'a Desired, observed: &Observed) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    match healthy(desired, observed) {
        None => {
            let message = "no server of the cluster is healthy, so there is nothing to save from";
            draft.note(Weight::Blocks, Subject::Cluster, message, "`kubewright status` tells what is wrong");
        }
        Some((member, host, recipe)) => drop(draft.add(step(member, host, recipe, "backup"))),
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
    let Some((member, host, recipe)) = healthy(desired, observed) else {
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
    let saves = step(member, host, recipe, "rebuild");
    for step in draft.steps.iter_mut().filter(|step| step.needs.is_empty()) {
        step.needs.push(saves.id.clone());
    }
    draft.add_first(saves);
}

/// A server that is Ready and that has something to be saved with.
fn healthy<'a>(desired: &'a Desired, observed: &Observed) -> Option<(&'a DesiredMember, &'a DesiredHost, Arc<Recipe>)> {
    desired.servers().find_map(|member| {
        let recipe = member.recipes.snapshot.clone()?;
        let node = observed.cluster.as_ref()?.present()?.nodes.get(&member.name)?;
        let host = desired.hosts.iter().find(|host| host.name == member.name)?;
        // Nobody does anything on a host that was not looked at.
        observed.hosts.get(&member.name)?.present()?;
        let ours = crate::diff::host::of_another(&member.name, desired, observed).is_none();
        (node.ready && ours).then_some((member, host, recipe))
    })
}

fn step(member: &DesiredMember, host: &DesiredHost, recipe: Arc<Recipe>, why: &str) -> Step {
    let action = Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe };
    Step {
        id: StepId::new(format!("snapshot/{}", member.name)),
        stage: Stage::Backup,
        subject: Subject::Member(member.name.clone()),
        action,
        fields: Vec::new(),
        reason: Reason::Asked(why.into()),
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    }
}
