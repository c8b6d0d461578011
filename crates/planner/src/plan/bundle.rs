//! Everything that a cluster is made anew from goes into one file: first a mark in the cluster, by which a restore can
//! tell what it restored, then the snapshot that holds it, then the rest.

use kubewright_model::bundle::{Canary, DesiredBundle};
use kubewright_model::change::{FieldChange, Reason, Subject};
use kubewright_model::desired::{Desired, DesiredMember};
use kubewright_model::ids::StepId;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::spec::kubernetes::Datastore;

use super::draft::Draft;
use super::saving;

/// Packs a bundle of a cluster that answers.
pub(super) fn plan<'a>(desired: &'a Desired, observed: &Observed, bundle: &DesiredBundle) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    if observed.cluster.as_ref().and_then(Seen::present).is_none() {
        let message = "the cluster does not answer, so there is nothing to save from";
        draft.note(Weight::Blocks, Subject::Cluster, message, "`kubewright status` tells what is wrong");
        return draft;
    }
    let mut needs = vec![draft.add(canary(desired, bundle))];
    match saving::healthy(desired, observed, |member| member.recipes.snapshot.clone()) {
        Some((member, host, recipe)) => {
            let saves =
                Step { needs: needs.clone(), ..saving::step(member, host, recipe, Reason::Asked("backup".into())) };
            needs.push(draft.add(saves));
        }
        None if desired.kubernetes.datastore != Datastore::Etcd => {
            let message =
                "the datastore is not in the bundle: SQLite is a file that must not be copied while it is written";
            draft.note(
                Weight::Warns,
                Subject::Cluster,
                message,
                "objects, keys and the spec are; save the machine too",
            );
        }
        None => unsaved(&mut draft, "no server of the cluster is healthy, so there is nothing to save from"),
    }
    let keys = |member: &DesiredMember| member.recipes.keys.clone();
    match saving::healthy(desired, observed, keys) {
        Some((member, host, recipe)) => {
            let action = Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe };
            let subject = Subject::Member(member.name.clone());
            needs.push(draft.add(step(format!("keys/{}", member.name), subject, action, &[])));
        }
        None if desired.servers().any(|member| keys(member).is_some()) => {
            unsaved(&mut draft, "no server of the cluster is healthy, so its keys cannot be saved");
        }
        // They are on this computer, or come with the snapshot.
        None => {}
    }
    let pack = Action::PackBundle(Box::new(bundle.clone()));
    let packed = draft.add(Step { fields: told(bundle), ..step("bundle".into(), Subject::Cluster, pack, &needs) });
    if let Some(keep) = &bundle.keep {
        let action = Action::PruneBundles { from: bundle.to.clone(), keep: keep.clone(), newest: bundle.name.clone() };
        draft.add(step("prune/bundles".into(), Subject::Cluster, action, &[packed]));
    }
    draft
}

fn unsaved(draft: &mut Draft<'_>, message: &str) {
    draft.note(Weight::Blocks, Subject::Cluster, message, "`kubewright status` tells what is wrong");
}

fn canary(desired: &Desired, bundle: &DesiredBundle) -> Step {
    let canary = Canary::of(&bundle.name);
    canary_step(Action::ApplyObjects(vec![canary.object(&desired.owner)]), "backup")
}

/// The canary is written, because of what somebody has asked for.
pub(super) fn canary_step(action: Action, asked: &str) -> Step {
    let reason = Reason::Asked(asked.into());
    Step { reason, ..step("objects/canary".into(), Subject::Objects("the canary".into()), action, &[]) }
}

/// What is known of a bundle before it is made.
fn told(bundle: &DesiredBundle) -> Vec<FieldChange> {
    let field = |field: &str, to: String| FieldChange { field: field.into(), from: None, to: Some(to) };
    let recipients = bundle.recipients.iter().map(|recipient| field("opens with", recipient.clone()));
    let files = bundle.files.iter().map(|(path, _)| field("file", path.clone()));
    recipients.chain(files).collect()
}

fn step(id: String, subject: Subject, action: Action, needs: &[StepId]) -> Step {
    Step {
        id: StepId::new(id),
        stage: Stage::Backup,
        subject,
        action,
        fields: Vec::new(),
        reason: Reason::Asked("backup".into()),
        needs: needs.to_vec(),
        takes: Vec::new(),
        part: String::new(),
    }
}
