//! What of a plan is a difference from the spec. Most steps mend one; others only follow from those: somebody is drained
//! before, saved before, and waited for after.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::Reason;
use kubewright_model::ids::NodeName;
use kubewright_model::plan::{Action, Plan, Step};
use kubewright_model::recipe::Effect;

use crate::plan::without_leg;

/// Something that differs from the spec.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'p> {
    /// The step after which it does not differ any more.
    pub step: &'p Step,
    /// What is found now.
    pub why: &'p Reason,
}

impl Difference<'_> {
    /// In few words: what mends it, and why.
    pub fn words(&self) -> String {
        format!("{}: {}", self.step.title(), self.why)
    }
}

/// What differs, in the order in which it would be mended. An upgrade that goes through other versions is one difference: the spec's
/// version, and the one that runs. Of a plan that mends nothing and waits, what it waits for.
pub fn differences(plan: &Plan) -> Vec<Difference<'_>> {
    let away: BTreeSet<&NodeName> = plan.steps.iter().filter_map(|step| cordons(&step.action)).collect();
    let mut found: Vec<Difference<'_>> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| differs(step, &away)) {
        match at.get(without_leg(&step.id)) {
            Some(before) => found[*before].step = step,
            None => {
                at.insert(without_leg(&step.id), found.len());
                found.push(Difference { step, why: &step.reason });
            }
        }
    }
    let all = || plan.steps.iter().map(|step| Difference { step, why: &step.reason }).collect();
    if found.is_empty() { all() } else { found }
}

fn cordons(action: &Action) -> Option<&NodeName> {
    match action {
        Action::Cordon(node) => Some(node),
        _ => None,
    }
}

/// Whether a step mends something by itself. `away` are nodes that the plan itself takes out of service.
fn differs(step: &Step, away: &BTreeSet<&NodeName>) -> bool {
    match &step.action {
        Action::Cordon(_)
        | Action::Drain { .. }
        | Action::Wait { .. }
        | Action::SettleApplications(_)
        | Action::TakeSnapshot { .. }
        | Action::DeleteSnapshots { .. } => false,
        Action::RunRecipe { recipe, .. } => recipe.effect != Effect::Snapshot,
        // A run that was cut has left it so.
        Action::Uncordon(node) => !away.contains(node),
        Action::StartMachine { .. }
        | Action::RestartMachine { .. }
        | Action::RebootHost { .. }
        | Action::FenceMachine { .. }
        | Action::ChangeHost(_) => !matches!(step.reason, Reason::Follows(_)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use kubewright_model::plan::Ask;
    use serde_json::{Value, json};

    use super::*;

    fn found(steps: &[(&str, Value, Value)]) -> Vec<String> {
        let step = |(id, action, reason): &(&str, Value, Value)| {
            serde_json::from_value(json!({
                "id": id, "stage": "workers", "subject": { "member": "n" }, "action": action, "fields": [], "reason": reason,
                "needs": [], "takes": [],
            }))
            .unwrap_or_else(|error| panic!("{id}: {error}"))
        };
        let plan = Plan::new("lab".into(), Ask::Apply, steps.iter().map(step).collect(), Vec::new());
        differences(&plan).iter().map(Difference::words).collect()
    }

    fn follows(why: &str) -> Value {
        json!({ "follows": why })
    }

    fn wait() -> Value {
        json!({ "wait": { "condition": { "nodesReady": { "nodes": ["n"], "at_least": 1 } }, "timeout": "1m" } })
    }

    fn upgrade(version: &str) -> Value {
        json!({ "runRecipe": { "host": "n", "way": { "address": "10.0.0.1", "port": 22, "user": "root" }, "recipe": {
            "title": format!("run K3s {version}"), "effect": "upgrade", "version": version, "steps": [], "gives": [] } } })
    }

    #[test]
    fn what_only_follows_is_no_difference() {
        let moved = follows("its pods are about to move");
        let drain = json!({ "drain": { "node": "n", "timeout": "1m" } });
        let told = found(&[
            ("cordon/n", json!({ "cordon": "n" }), moved.clone()),
            ("drain/n", drain, moved),
            ("uncordon/n", json!({ "uncordon": "n" }), follows("it was drained")),
            ("uncordon/m", json!({ "uncordon": "m" }), follows("it was drained")),
            ("ready/n", wait(), follows("nodes were started")),
        ]);
        assert_eq!(told, ["uncordon m: it was drained"], "a run before has left it so");
    }

    #[test]
    fn an_upgrade_through_other_versions_is_one_difference() {
        let told = found(&[
            ("v1.33.10/upgrade/n", upgrade("v1.33.10"), follows("it runs v1.32.1")),
            ("upgrade/n", upgrade("v1.34.1"), follows("it runs v1.33.10")),
        ]);
        assert_eq!(told, ["run K3s v1.34.1 on n: it runs v1.32.1"]);
    }

    #[test]
    fn a_plan_that_only_waits_differs_by_what_it_waits_for() {
        let told = found(&[("ready/n", wait(), follows("it is not Ready"))]);
        assert_eq!(told, ["wait until node n Ready: it is not Ready"]);
    }
}
