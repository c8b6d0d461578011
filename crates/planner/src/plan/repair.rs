//! What doctor has found is repaired: what the spec says already by the steps of an apply, and the rest by deeds of its own.
//!
//! Units that do not run cost nothing to start: they are started together, and waited for together, for a server of etcd comes
//! back only when a majority does. Units that run are restarted on one host after the other, each Ready before the next.

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
    let mut one_by_one: Vec<StepId> = Vec::new();
    let (mut told, mut begun) = (BTreeSet::new(), Vec::new());
    for (at, mend) in repairs.mends.iter().enumerate() {
        if matches!(mend, Mend::Restart { .. }) {
            one_by_one.extend(together(&mut draft, std::mem::take(&mut begun)));
        }
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
        let (node, starts) = (node(desired, mend), matches!(mend, Mend::Start { .. }));
        if node.is_some() && !starts {
            needs.append(&mut one_by_one);
        }
        needs.sort();
        needs.dedup();
        let id = draft.add(Step { needs, ..step });
        match node {
            Some(node) if starts => begun.push((node, id)),
            Some(node) => one_by_one.push(draft.add(wait(format!("mended/{node}"), vec![node], vec![id]))),
            None => {}
        }
    }
    together(&mut draft, begun);
    Plan::new(desired.cluster.clone(), Ask::Repair(Box::new(repairs.clone())), draft.steps, draft.notes)
}

/// One wait for all nodes whose units were started.
fn together(draft: &mut Draft<'_>, begun: Vec<(NodeName, StepId)>) -> Option<StepId> {
    let (mut nodes, needs): (Vec<NodeName>, Vec<StepId>) = begun.into_iter().unzip();
    nodes.sort();
    nodes.dedup();
    (!nodes.is_empty()).then(|| draft.add(wait("mended/started".into(), nodes, needs)))
}

/// The node that has to be Ready afterwards: one whose own unit is started or restarted.
fn node(desired: &Desired, mend: &Mend) -> Option<NodeName> {
    let (Mend::Start { host, unit } | Mend::Restart { host, unit }) = mend else { return None };
    let makes_node = ["k3s", "rke2", "kubelet", "containerd"].iter().any(|it| unit.starts_with(it));
    desired.members.iter().find(|member| makes_node && member.name == *host).map(|member| member.name.clone())
}

fn wait(id: String, nodes: Vec<NodeName>, needs: Vec<StepId>) -> Step {
    let (subject, reason) = match nodes.as_slice() {
        [node] => (Subject::Member(node.clone()), "one after the other"),
        _ => (Subject::Cluster, "they come back together"),
    };
    Step {
        id: StepId::new(id),
        stage: Stage::ControlPlane,
        subject,
        action: Action::Wait { condition: Condition::NodesReady { at_least: nodes.len(), nodes }, timeout: BACK },
        fields: Vec::new(),
        reason: Reason::Follows(reason.into()),
        needs,
        takes: Vec::new(),
        part: String::new(),
    }
}

fn step(desired: &Desired, mend: &Mend, at: usize) -> Option<Step> {
    let find = |name: &NodeName| desired.hosts.iter().find(|host| host.name == *name);
    let (stage, subject, action) = match mend {
        Mend::Start { host, unit } => {
            let host = find(host)?;
            // Who is a member of etcd tells systemd that it has started only when a majority is there (`Type=notify`).
            let start = ["systemctl", "start", "--no-block", unit].map(String::from).into();
            let commands = vec![systemctl("reset-failed", unit), start];
            (Stage::Hosts, Subject::Host(host.name.clone()), runs(host, format!("start {unit}"), commands))
        }
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

#[cfg(test)]
mod tests {
    use kubewright_model::spec::load;

    use super::*;
    use crate::lower::lower;

    /// The plan of these deeds for an example with three servers of kubeadm.
    fn planned(mends: Vec<Mend>) -> Plan {
        let loaded = load(include_str!("../../../../examples/mlops/cluster.yaml")).unwrap();
        let desired = lower(&loaded.file).0;
        plan(&desired, &Observed::default(), &Repairs { mends, apply: None })
    }

    fn start(host: &str) -> Mend {
        Mend::Start { host: host.into(), unit: "kubelet.service".into() }
    }

    fn restart(host: &str) -> Mend {
        Mend::Restart { host: host.into(), unit: "kubelet.service".into() }
    }

    fn told(plan: &Plan) -> Vec<String> {
        let needs = |step: &Step| step.needs.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        plan.steps.iter().map(|step| format!("{} ← {}", step.id, needs(step))).collect()
    }

    #[test]
    fn who_does_not_run_is_started_at_once_and_waited_for_together() {
        let plan = planned(vec![start("k8s-master-1"), start("k8s-master-2")]);
        let wanted = [
            "mend/k8s-master-1-1 ← ",
            "mend/k8s-master-2-2 ← ",
            "mended/started ← mend/k8s-master-1-1, mend/k8s-master-2-2",
        ];
        assert_eq!(told(&plan), wanted);
        let Action::RunRecipe { recipe, .. } = &plan.steps[0].action else { panic!("{:?}", plan.steps[0]) };
        let words = |step: &RecipeStep| match step {
            RecipeStep::Run(words) => words.join(" "),
            other => panic!("{other:?}"),
        };
        let words: Vec<String> = recipe.steps.iter().map(words).collect();
        assert_eq!(words, ["systemctl reset-failed kubelet.service", "systemctl start --no-block kubelet.service"]);
    }

    #[test]
    fn who_runs_is_restarted_one_after_the_other_and_after_those_that_come_back() {
        let plan = planned(vec![start("k8s-master-1"), restart("k8s-master-2"), restart("k8s-master-3")]);
        let wanted = [
            "mend/k8s-master-1-1 ← ",
            "mended/started ← mend/k8s-master-1-1",
            "mend/k8s-master-2-2 ← mended/started",
            "mended/k8s-master-2 ← mend/k8s-master-2-2",
            "mend/k8s-master-3-3 ← mended/k8s-master-2",
            "mended/k8s-master-3 ← mend/k8s-master-3-3",
        ];
        assert_eq!(told(&plan), wanted);
    }

    #[test]
    fn what_is_set_on_a_host_comes_before_what_is_started_there() {
        let set = |host: &str| Mend::Run { host: host.into(), title: "x".into(), commands: Vec::new() };
        let plan = planned(vec![set("k8s-master-1"), set("k8s-master-2"), start("k8s-master-1")]);
        assert_eq!(told(&plan)[2], "mend/k8s-master-1-3 ← mend/k8s-master-1-1");
    }

    #[test]
    fn who_is_in_the_spec_no_more_is_told_of_and_nothing_else() {
        let plan = planned(vec![start("nobody")]);
        assert!(plan.steps.is_empty() && plan.notes.len() == 1, "{plan:?}");
    }
}
