//! What doctor has found is repaired: what the spec says already by the steps of an apply, and the rest by deeds of its own.
//!
//! Whoever restarts what makes hosts nodes does so on one host after the other, each Ready before the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::doctor::{Mend, Repairs};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::Observed;
use kubewright_model::plan::{Action, Ask, HostChange, NodeMarks, Plan, Stage, Step, Weight};
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::units::Span;

use super::draft::Draft;

/// A kubelet that was restarted reports within a minute; a server's API takes its time after a sick disk.
const BACK: Span = Span::from_secs(600);

pub(super) fn plan(desired: &Desired, observed: &Observed, repairs: &Repairs) -> Plan {
    let wished = repairs.apply.as_ref().map(|only| {
        let plan = super::plan(desired, observed, &Ask::Apply);
        crate::only::only(plan, only, desired)
    });
    let (steps, notes) = wished.map_or_else(Default::default, |plan| (plan.steps, plan.notes));
    let mut draft = Draft::new(desired);
    draft.notes = notes;
    for step in steps {
        draft.add(step);
    }
    let mut one_by_one: Option<StepId> = None;
    let mut told = BTreeSet::new();
    for (at, mend) in repairs.mends.iter().enumerate() {
        let Some(step) = step(desired, mend, at) else {
            if told.insert(mend.to_string()) {
                let message = format!("nobody knows how to reach what it is about: {mend}");
                draft.note(
                    Weight::Warns,
                    Subject::Cluster,
                    message,
                    "it is in the spec no more, or is none of its hosts",
                );
            }
            continue;
        };
        let host = step.subject.node().cloned();
        let needs = draft.steps.iter().filter(|it| host.is_some() && it.subject.node() == host.as_ref());
        let mut needs: Vec<StepId> = needs.map(|it| it.id.clone()).collect();
        let waits = ready(desired, mend);
        needs.extend(waits.as_ref().and(one_by_one.take()));
        needs.sort();
        needs.dedup();
        let id = draft.add(Step { needs, ..step });
        if let Some(node) = waits {
            one_by_one = Some(draft.add(wait(&node, id)));
        }
    }
    Plan::new(desired.cluster.clone(), Ask::Repair(Box::new(repairs.clone())), draft.steps, draft.notes)
}

/// The node that has to be Ready before the next one is restarted: one whose own unit is.
fn ready(desired: &Desired, mend: &Mend) -> Option<NodeName> {
    let Mend::Restart { host, unit } = mend else { return None };
    let makes_node = ["k3s", "rke2", "kubelet", "containerd"].iter().any(|it| unit.starts_with(it));
    desired.members.iter().find(|member| makes_node && member.name == *host).map(|member| member.name.clone())
}

fn wait(node: &NodeName, after: StepId) -> Step {
    Step {
        id: StepId::new(format!("mended/{node}")),
        stage: Stage::ControlPlane,
        subject: Subject::Member(node.clone()),
        action: Action::Wait {
            condition: Condition::NodesReady { nodes: vec![node.clone()], at_least: 1 },
            timeout: BACK,
        },
        fields: Vec::new(),
        reason: Reason::Follows("one after the other".into()),
        needs: vec![after],
        takes: Vec::new(),
        part: String::new(),
    }
}

fn step(desired: &Desired, mend: &Mend, at: usize) -> Option<Step> {
    let find = |name: &NodeName| desired.hosts.iter().find(|host| host.name == *name);
    let (stage, subject, action) = match mend {
        Mend::Restart { host, unit } => {
            let host = find(host)?;
            let commands = vec![systemctl("reset-failed", unit), systemctl("restart", unit)];
            (Stage::Hosts, Subject::Host(host.name.clone()), runs(host, format!("restart {unit}"), commands))
        }
        Mend::Run { host, title, commands } => {
            let host = find(host)?;
            (Stage::Hosts, Subject::Host(host.name.clone()), runs(host, title.clone(), commands.clone()))
        }
        Mend::Make { host, resources } => {
            let host = find(host)?;
            let change = HostChange::making(host, Some(&desired.owner), resources.clone());
            (Stage::Hosts, Subject::Host(host.name.clone()), Action::ChangeHost(change))
        }
        Mend::Uncordon(node) => (Stage::Workers, Subject::Member(node.clone()), Action::Uncordon(node.clone())),
        Mend::Untaint { node, taints } => {
            let marks = NodeMarks {
                node: node.clone(),
                labels: Default::default(),
                without_labels: Vec::new(),
                taints: Vec::new(),
                without_taints: taints.clone(),
            };
            (Stage::Workers, Subject::Member(node.clone()), Action::MarkNode(Box::new(marks)))
        }
    };
    let name = subject.node().map(ToString::to_string).unwrap_or_default();
    Some(Step {
        id: StepId::new(format!("mend/{name}-{}", at + 1)),
        stage,
        subject,
        action,
        fields: Vec::new(),
        reason: Reason::Asked("doctor --fix".into()),
        needs: Vec::new(),
        takes: Vec::new(),
        part: String::new(),
    })
}

fn systemctl(verb: &str, unit: &str) -> Vec<String> {
    ["systemctl", verb, unit].map(String::from).into()
}

fn runs(host: &DesiredHost, title: String, commands: Vec<Vec<String>>) -> Action {
    let steps = commands.into_iter().map(RecipeStep::Run).collect();
    let recipe = Recipe { title, effect: Effect::Mend, version: None, steps, gives: Vec::new() };
    Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe: Arc::new(recipe) }
}
