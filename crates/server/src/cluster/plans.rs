//! A plan as people read it.

use std::collections::BTreeSet;

use kubewright_engine::drift::differences;
use kubewright_model::change::{FieldChange, Reason};
use kubewright_model::desired::Desired;
use kubewright_model::plan::{self, Action, Ask, Plan, Rendering, Weight};
use kubewright_model::recipe::Effect;
use kubewright_model::rotation::KeyPart;

use crate::api::shapes::{Change, Field, Note, PlanShown, Step};

/// A plan, with a name here.
pub(crate) fn shown(id: String, at: u64, plan: &Plan, desired: &Desired) -> PlanShown {
    let disturbed: BTreeSet<String> = plan.steps.iter().filter_map(disturbs).collect();
    PlanShown {
        id,
        fingerprint: plan.fingerprint.0.to_string(),
        ask: plan.ask.to_string(),
        at,
        steps: plan.steps.iter().map(|step| of(step, plan)).collect(),
        notes: plan.notes.iter().map(note).collect(),
        blocked: plan.is_blocked(),
        empty: plan.is_empty(),
        deletes: plan.steps.iter().filter(|step| is_lost(step)).map(plan::Step::title).collect(),
        disturbs: disturbed.into_iter().collect(),
        takes: takes(plan).then(|| desired.cluster.to_string()),
    }
}

/// Whether it deletes what nobody can bring back.
pub(crate) fn takes(plan: &Plan) -> bool {
    matches!(plan.ask, Ask::Destroy | Ask::Rebuild | Ask::Restore) || plan.steps.iter().any(is_lost)
}

fn is_lost(step: &plan::Step) -> bool {
    matches!(
        step.action,
        Action::DeleteMachine { .. }
            | Action::DeleteStray { .. }
            | Action::DeleteResource { .. }
            | Action::DeleteLoadBalancer { .. }
            | Action::DeleteBackupJob { .. }
            | Action::DeleteSnapshots { .. }
            | Action::DeleteObjects(_)
            | Action::PruneBundles { .. }
            | Action::RemoveRelease { .. }
    )
}

/// What is left to do, as what differs.
pub(crate) fn drift(plan: &Plan) -> Vec<Change> {
    let changes = differences(plan).into_iter().map(|difference| Change {
        subject: difference.step.subject.to_string(),
        fields: difference.step.fields.iter().map(field).collect(),
        words: difference.words(),
    });
    changes.collect()
}

fn of(step: &plan::Step, plan: &Plan) -> Step {
    let (rendered, text) = match plan.rendered.get(&step.id) {
        Some(Rendering::Fields(fields)) => (fields.as_slice(), None),
        Some(Rendering::Unknown(why)) => {
            (&[][..], Some(format!("nobody could say what becomes of its objects: {why}")))
        }
        None => (&[][..], None),
    };
    Step {
        id: step.id.to_string(),
        stage: step.stage.word().into(),
        subject: step.subject.to_string(),
        title: step.title(),
        part: step.part.clone(),
        reason: step.reason.to_string(),
        needs: step.needs.iter().map(ToString::to_string).collect(),
        weight: weight(step),
        changes: step.fields.iter().chain(rendered).map(field).chain(things(step)).collect(),
        text,
    }
}

/// What is made and taken away on a host, where no field tells.
fn things(step: &plan::Step) -> Vec<Field> {
    match &step.action {
        Action::ChangeHost(change) if step.fields.is_empty() => {
            let made = change.make.iter().map(|it| Field { path: it.key(), from: None, to: Some("made".into()) });
            let gone = change.unmake.iter().map(|it| Field { path: it.clone(), from: Some("there".into()), to: None });
            made.chain(gone).collect()
        }
        _ => Vec::new(),
    }
}

fn field(change: &FieldChange) -> Field {
    Field { path: change.field.clone(), from: change.from.clone(), to: change.to.clone() }
}

fn note(note: &plan::Note) -> Note {
    Note {
        subject: note.subject.to_string(),
        message: note.message.clone(),
        hint: note.help.clone(),
        blocks: note.weight == Weight::Blocks,
    }
}

/// Who is out of service for a while.
fn disturbs(step: &plan::Step) -> Option<String> {
    match &step.action {
        Action::Drain { node, .. } => Some(node.to_string()),
        Action::RestartMachine { name, .. } => Some(name.to_string()),
        Action::RebootHost { host, .. } => Some(host.to_string()),
        Action::RunRecipe { host, recipe, .. }
            if matches!(recipe.effect, Effect::Upgrade | Effect::Renew | Effect::Restore) =>
        {
            Some(host.to_string())
        }
        _ => None,
    }
}

/// What a step does to the world.
fn weight(step: &plan::Step) -> &'static str {
    match &step.action {
        Action::DeleteMachine { .. }
        | Action::DeleteLoadBalancer { .. }
        | Action::DeleteResource { .. }
        | Action::DeleteStray { .. }
        | Action::DeleteBackupJob { .. }
        | Action::DeleteSnapshots { .. }
        | Action::PruneBundles { .. }
        | Action::DeleteObjects(_)
        | Action::RemoveRelease { .. }
        | Action::ForgetMember(_) => "removes",
        Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Leave => "removes",
        Action::ChangeHost(change) if change.make.is_empty() => "removes",
        Action::RestartMachine { becomes: Some(_), .. } | Action::UpdateMachine(_) | Action::UpdateHost { .. } => {
            "changes"
        }
        Action::RotateKey { part: KeyPart::Withdraw { .. } | KeyPart::Drop, .. } => "removes",
        Action::RotateKey { part: KeyPart::TakeOver, .. } => "changes",
        Action::RunRecipe { recipe, .. } if matches!(recipe.effect, Effect::Upgrade | Effect::Renew) => "changes",
        Action::StartMachine { .. }
        | Action::RestartMachine { .. }
        | Action::RebootHost { .. }
        | Action::FenceMachine { .. }
        | Action::Cordon(_)
        | Action::Drain { .. }
        | Action::Uncordon(_)
        | Action::Wait { .. }
        | Action::SettleApplications(_) => "moves",
        Action::CreateMachine(_) | Action::TakeSnapshot { .. } | Action::PackBundle(_) => "adds",
        _ if matches!(step.reason, Reason::Differs | Reason::Stale) => "changes",
        _ => "adds",
    }
}
