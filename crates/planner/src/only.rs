//! Parts of a plan: what was a playbook's tag.

use std::collections::BTreeSet;

use kubewright_model::change::Subject;
use kubewright_model::desired::Desired;
use kubewright_model::diagnostic::nearest;
use kubewright_model::ids::StepId;
use kubewright_model::plan::{Action, Note, Plan, Stage, Step, Weight};
use kubewright_model::recipe::Effect;

/// The part that hosts before the cluster are.
pub(crate) const HAPROXY: &str = "haproxy";
/// What is done to nodes, as steps are called by it: `host/k3s-agent-1`.
const DEEDS: [&str; 25] = [
    "create",
    "update",
    "raw",
    "start",
    "restart",
    "host",
    "init",
    "admit",
    "join",
    "belong",
    "ended",
    "clear",
    "labels",
    "cordon",
    "drain",
    "save",
    "snapshot",
    "upgrade",
    "ready",
    "uncordon",
    "unsnapshot",
    "settle",
    "leave",
    "forget",
    "delete",
];

/// The plan with only the chosen parts: stages (`control-plane`), nodes (`k3s-agent-1`), parts (`monitoring`) or single
/// steps (`host/k3s-agent-1`).
///
/// What keeps none of them from being done blocks no more. What a chosen step needs and was not chosen is not smuggled in:
/// a note names it and blocks the plan.
pub fn only(plan: Plan, chosen: &[String], desired: &Desired) -> Plan {
    if chosen.is_empty() {
        return plan;
    }
    let Plan { cluster, ask, steps, mut notes, mut rendered, .. } = plan;
    let needed: BTreeSet<StepId> =
        steps.iter().filter(|step| is_chosen(step, chosen)).flat_map(|step| step.needs.iter().cloned()).collect();
    // What a hypervisor holds for its containers belongs to each of them, that it is let in to each who joins, a namespace
    // to what lies in it, and what is saved before to what comes after.
    let belongs = |step: &Step| {
        needed.contains(&step.id) && (is_of_hypervisor(step) || lets_in(step) || makes_namespaces(step) || saves(step))
    };
    // Whom a part of the control plane lets in may be of another part, and then nobody is.
    let itself = |step: &Step| !lets_in(step) || chosen.iter().any(|word| step.id.as_str() == word);
    let (mut kept, left): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| is_chosen(step, chosen) && itself(step) || belongs(step));
    notes.extend(lacking(&mut kept, &left));
    for note in notes.iter_mut().filter(|note| note.weight == Weight::Blocks) {
        let of_others = note.subject.node().is_some_and(|node| !concerns(chosen, desired, node.as_str()));
        let of_later = !note.stages.is_empty() && !kept.iter().any(|step| note.stages.contains(&step.stage));
        if of_others || of_later {
            note.weight = Weight::Tells;
        }
    }
    notes.extend(chosen.iter().filter_map(|word| whole_node(&kept, word)));
    let known: BTreeSet<&str> = Stage::ALL.iter().map(|stage| stage.word()).collect();
    for word in chosen.iter().filter(|word| !known.contains(word.as_str())) {
        let meant = kept.iter().any(|step| is_chosen(step, std::slice::from_ref(word)));
        if !meant {
            notes.push(Note {
                weight: Weight::Tells,
                subject: Subject::Cluster,
                message: format!("nothing is to be done for `{word}`"),
                help: Some(format!("stages are {}", known.iter().copied().collect::<Vec<_>>().join(", "))),
                stages: Vec::new(),
            });
        }
    }
    rendered.retain(|id, _| kept.iter().any(|step| step.id == *id));
    Plan { rendered, ..Plan::new(cluster, ask, kept, notes) }
}

/// What kept steps need and was not chosen; they do without it from here on.
fn lacking(kept: &mut [Step], left: &[Step]) -> Vec<Note> {
    // A cluster that nobody begins answers already: what runs on it comes there past its balancers too.
    let lives = !kept.iter().chain(left).any(begins);
    let fronts: BTreeSet<&StepId> = left.iter().filter(|step| is_front(step)).map(|step| &step.id).collect();
    let left: BTreeSet<&StepId> = left.iter().map(|step| &step.id).collect();
    let mut notes = Vec::new();
    for step in kept {
        let past = |need: &StepId| lives && step.stage == Stage::Addons && fronts.contains(need);
        let missing = step.needs.iter().filter(|need| left.contains(need) && !past(need));
        let missing: Vec<String> = missing.map(ToString::to_string).collect();
        if !missing.is_empty() {
            notes.push(Note {
                weight: Weight::Blocks,
                subject: step.subject.clone(),
                message: format!("`{}` needs what was not chosen: {}", step.id, missing.join(", ")),
                help: Some("choose that too, or leave `--only` out".into()),
                stages: Vec::new(),
            });
        }
        step.needs.retain(|need| !left.contains(need));
    }
    notes
}

/// Whether what was chosen may concern a host: it does but where every word names other hosts, or steps of theirs.
pub fn concerns(chosen: &[String], desired: &Desired, host: &str) -> bool {
    let named = |name: &str| desired.hosts.iter().any(|host| host.name.as_str() == name);
    let of = |word: &str| {
        let name = word.split_once('/').map_or(word, |(_, name)| name);
        if !named(name) {
            return true;
        }
        // What a hypervisor holds for its containers belongs to each of them.
        let machine = desired.machines.iter().find(|machine| machine.name.as_str() == name);
        name == host || machine.is_some_and(|machine| machine.place.as_str() == host)
    };
    chosen.is_empty() || chosen.iter().any(|word| of(word))
}

/// Words that choose nothing, for they are no stage, node or part of this spec, no deed that may have to be done to a node
/// of it, nor of this plan of it; each with the word that was perhaps meant.
pub fn unknown(chosen: &[String], desired: &Desired, plan: &Plan) -> Vec<(String, Option<String>)> {
    let stages = Stage::ALL.iter().map(|stage| stage.word());
    let nodes = desired.machines.iter().map(|machine| machine.name.as_str());
    let parts = desired.releases.iter().map(|release| release.part.as_str());
    let parts = parts.chain(desired.objects.iter().map(|group| group.part.as_str()));
    let members: BTreeSet<_> = desired.members.iter().map(|member| &member.name).collect();
    let fronts = desired.machines.iter().filter(|machine| !members.contains(&machine.name)).map(|_| HAPROXY);
    let known: BTreeSet<&str> =
        stages.chain(nodes).chain(parts).chain(fronts).filter(|word| !word.is_empty()).collect();
    // What is not in the spec any more is chosen by its name, too.
    let meant = |word: &String| plan.steps.iter().any(|step| is_chosen(step, std::slice::from_ref(word)));
    // That there is nothing to do just now makes it no other word.
    let names: BTreeSet<&str> = desired.machines.iter().map(|machine| machine.name.as_str()).collect();
    let may_come =
        |word: &String| word.split_once('/').is_some_and(|(deed, node)| DEEDS.contains(&deed) && names.contains(node));
    let strange = chosen.iter().filter(|word| !known.contains(word.as_str()) && !meant(word) && !may_come(word));
    let near = |word: &str| match word.split_once('/') {
        Some((deed, node)) => Some(format!("{}/{}", nearest(deed, DEEDS)?, nearest(node, names.iter().copied())?)),
        None => nearest(word, known.iter().copied()).map(str::to_string),
    };
    strange.map(|word| (word.clone(), near(word))).collect()
}

/// A node is more than its host; who chose it by name may have meant that alone.
fn whole_node(kept: &[Step], word: &str) -> Option<Note> {
    let of = |step: &&Step| step.subject.node().is_some_and(|node| node.as_str() == word);
    let joins = |step: &Step| match &step.action {
        Action::RunRecipe { recipe, .. } => recipe.effect.makes_a_member(),
        _ => false,
    };
    let joins = kept.iter().filter(of).find(|step| joins(step))?;
    let host = kept.iter().filter(of).find(|step| step.id.as_str() == format!("host/{word}"))?;
    Some(Note {
        weight: Weight::Tells,
        subject: joins.subject.clone(),
        message: "a node is its machine, its host and its place in the cluster".into(),
        help: Some(format!("`--only {}` sets up its host alone", host.id)),
        stages: Vec::new(),
    })
}

fn is_of_hypervisor(step: &Step) -> bool {
    step.stage == Stage::Machines && matches!(step.subject, Subject::Host(_))
}

fn begins(step: &Step) -> bool {
    matches!(&step.action, Action::RunRecipe { recipe, .. } if recipe.effect.begins())
}

fn is_front(step: &Step) -> bool {
    step.part == HAPROXY || step.stage == Stage::LoadBalancers
}

/// Whether it saves the datastore.
fn saves(step: &Step) -> bool {
    matches!(&step.action, Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Snapshot)
}

fn makes_namespaces(step: &Step) -> bool {
    step.stage == Stage::Addons && step.id.as_str() == "objects/namespaces"
}

fn lets_in(step: &Step) -> bool {
    matches!(&step.action, Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Admit)
}

fn is_chosen(step: &Step, chosen: &[String]) -> bool {
    chosen.iter().any(|word| {
        // What belongs to no part has none to be chosen by.
        let part = !word.is_empty() && step.part == *word;
        step.stage.word() == word
            || step.id.as_str() == word
            || part
            || step.subject.node().is_some_and(|node| node.as_str() == word)
    })
}
