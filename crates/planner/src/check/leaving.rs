//! Hosts that were there before us are left as they were, and not before Kubernetes has ended on them.

use std::collections::BTreeSet;

use kubewright_model::desired::{Body, Desired};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation};
use kubewright_model::recipe::Effect;

use super::{ancestors, index, violation};

pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    ended_first(plan, observed, found);
    nothing_left(plan, desired, observed, found);
}

/// What a running Kubernetes reads is not taken away under it.
fn ended_first(plan: &Plan, observed: &Observed, found: &mut Vec<Violation>) {
    let index = index(plan);
    let runs = |host: &NodeName| {
        let seen = observed.hosts.get(host).and_then(Seen::present);
        seen.is_some_and(|seen| seen.is_member() || seen.serves())
    };
    for step in &plan.steps {
        let Action::ChangeHost(change) = &step.action else { continue };
        if change.unmake.is_empty() || !runs(&change.host) {
            continue;
        }
        let ends = |step: &&Step| match &step.action {
            Action::RunRecipe { host, recipe, .. } => *host == change.host && recipe.effect == Effect::Leave,
            _ => false,
        };
        let before = ancestors(&index, step);
        if !before.iter().filter_map(|id| index.get(*id).copied()).any(|step| ends(&step)) {
            found.push(violation("Kubernetes ends before its host is left", step, "nothing before it ends it there"));
        }
    }
}

/// Where everything goes, nothing of ours stays on a host that was there before us.
fn nothing_left(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    if plan.ask != Ask::Destroy || plan.is_blocked() {
        return;
    }
    let gone = plan.steps.iter().filter_map(|step| match &step.action {
        Action::ChangeHost(change) => Some(change.unmake.iter().map(|key| (&change.host, key))),
        _ => None,
    });
    let gone: BTreeSet<(&NodeName, &String)> = gone.flatten().collect();
    for machine in desired.machines.iter().filter(|machine| *machine.body == Body::Existing) {
        let seen = observed.hosts.get(&machine.name).and_then(Seen::present);
        let left = seen.iter().flat_map(|seen| seen.ours.keys()).filter(|key| !gone.contains(&(&machine.name, *key)));
        found.extend(left.map(|key| Violation {
            rule: "nothing of ours is left".into(),
            step: None,
            message: format!("{key} stays on {}", machine.name),
        }));
    }
}
