//! Parts of a plan: what was a playbook's tag.

use std::collections::BTreeSet;

use kubewright_model::ids::StepId;
use kubewright_model::plan::{Note, Plan, Stage, Step, Weight};

/// The plan with only the chosen parts: stages (`control-plane`), nodes (`k3s-agent-1`) or parts (`monitoring`).
///
/// What a chosen step needs and was not chosen is not smuggled in: a note names it and blocks the plan.
pub fn only(plan: Plan, chosen: &[String]) -> Plan {
    if chosen.is_empty() {
        return plan;
    }
    let Plan { cluster, ask, steps, mut notes, .. } = plan;
    let (mut kept, left): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| is_chosen(step, chosen));
    let left: BTreeSet<StepId> = left.into_iter().map(|step| step.id).collect();
    for step in &mut kept {
        let missing: Vec<String> =
            step.needs.iter().filter(|need| left.contains(*need)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            notes.push(Note {
                weight: Weight::Blocks,
                subject: step.subject.clone(),
                message: format!("`{}` needs what was not chosen: {}", step.id, missing.join(", ")),
                help: Some("choose that too, or leave `--only` out".into()),
            });
        }
        step.needs.retain(|need| !left.contains(need));
    }
    let known: BTreeSet<&str> = Stage::ALL.iter().map(|stage| stage.word()).collect();
    for word in chosen.iter().filter(|word| !known.contains(word.as_str())) {
        let meant = kept.iter().any(|step| is_chosen(step, std::slice::from_ref(word)));
        if !meant {
            notes.push(Note {
                weight: Weight::Tells,
                subject: kubewright_model::change::Subject::Cluster,
                message: format!("nothing is to be done for `{word}`"),
                help: Some(format!("stages are {}", known.iter().copied().collect::<Vec<_>>().join(", "))),
            });
        }
    }
    Plan::new(cluster, ask, kept, notes)
}

fn is_chosen(step: &Step, chosen: &[String]) -> bool {
    chosen.iter().any(|word| {
        step.stage.word() == word || step.part == *word || step.subject.node().is_some_and(|node| node.as_str() == word)
    })
}
