//! Members whose role changes: each is out of the cluster as what it was before it joins as what it is to be, and none is
//! left in the wrong role without a word.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::{Desired, DesiredMachine, DesiredMember};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{NodeSeen, Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation};
use kubewright_model::recipe::Effect;

use super::{ancestors, index, is_blank};
use crate::diff::cluster::other_role;
use crate::diff::machine;

const RULE: &str = "a role is changed all the way";

/// Proves that whatever has the wrong role gets the right one.
pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    if plan.is_blocked() || !matches!(plan.ask, Ask::Apply | Ask::Replace(_)) {
        return;
    }
    let steps = index(plan);
    let machines: BTreeMap<&NodeName, &DesiredMachine> =
        desired.machines.iter().map(|machine| (&machine.name, machine)).collect();
    let changes = |member: &&DesiredMember| {
        machines.get(&member.name).is_some_and(|machine| changes_on(Some(member), machine, observed))
    };
    balancers(plan, desired, observed, found);
    for member in desired.members.iter().filter(changes) {
        let name = &member.name;
        let join = plan.steps.iter().find(|step| joins(step, member));
        let before = join.map(|step| ancestors(&steps, step)).unwrap_or_default();
        let done = |deed: fn(&Step, &NodeName) -> bool| before.iter().any(|id| deed(steps[*id], name));
        let missing = match join {
            None => "does not join in its new role",
            Some(_) if node(name, observed).is_some() && !done(forgets) => {
                "joins in its new role while the books have it in the old one"
            }
            Some(_) if !done(ends) => "joins in its new role while the old one may still run on it",
            Some(_) => continue,
        };
        let step = join.map(|step| step.id.clone());
        found.push(Violation { rule: RULE.into(), step, message: format!("{name} {missing}") });
    }
}

/// What is to balance and was a node is set up for that when nothing of Kubernetes runs on it any more.
fn balancers(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let steps = index(plan);
    let members: BTreeSet<&NodeName> = desired.members.iter().map(|member| &member.name).collect();
    let others = desired.machines.iter().filter(|machine| !members.contains(&machine.name));
    for machine in others.filter(|machine| changes_on(None, machine, observed)) {
        let name = &machine.name;
        let set_up = plan.steps.iter().find(|step| matches!(&step.action, Action::ChangeHost(it) if it.host == *name));
        let before = set_up.map(|step| ancestors(&steps, step)).unwrap_or_default();
        let done = |deed: fn(&Step, &NodeName) -> bool| before.iter().any(|id| deed(steps[*id], name));
        if !done(forgets) || !done(ends) {
            let message = format!("{name} is not out of the cluster before it is set up as a balancer");
            found.push(Violation { rule: RULE.into(), step: set_up.map(|step| step.id.clone()), message });
        }
    }
}

/// Whether a node that lives has another role than is wished, or is to be none.
pub(super) fn changes(name: &NodeName, desired: &Desired, observed: &Observed) -> bool {
    let member = desired.members.iter().find(|member| member.name == *name);
    desired.machine(name).is_some_and(|machine| changes_on(member, machine, observed))
}

fn changes_on(member: Option<&DesiredMember>, machine: &DesiredMachine, observed: &Observed) -> bool {
    let name = &machine.name;
    let differs = match node(name, observed) {
        Some(seen) => other_role(member, seen),
        None => member.is_some_and(|member| !member.role.is_server()) && serves(name, observed),
    };
    differs && !is_blank(name, observed) && machine::seen(machine, observed).present().is_some()
}

/// Whether a server runs there that is in nobody's books any more.
fn serves(name: &NodeName, observed: &Observed) -> bool {
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let host = observed.hosts.get(name).and_then(Seen::present).filter(|_| cluster.is_some());
    host.and_then(|host| host.kubernetes.as_ref()).is_some_and(|kubernetes| kubernetes.serving)
}

fn node<'a>(name: &NodeName, observed: &'a Observed) -> Option<&'a NodeSeen> {
    observed.cluster.as_ref().and_then(Seen::present)?.nodes.get(name)
}

fn joins(step: &Step, member: &DesiredMember) -> bool {
    let wished = if member.role.is_server() { Effect::JoinServer } else { Effect::JoinAgent };
    matches!(&step.action, Action::RunRecipe { host, recipe, .. } if *host == member.name && recipe.effect == wished)
}

fn forgets(step: &Step, name: &NodeName) -> bool {
    matches!(&step.action, Action::ForgetMember(it) if it == name)
}

/// What ran on it is ended, or its machine is gone with it.
fn ends(step: &Step, name: &NodeName) -> bool {
    match &step.action {
        Action::RunRecipe { host, recipe, .. } => host == name && recipe.effect == Effect::Leave,
        Action::DeleteMachine { name: it, .. } => it == name,
        _ => false,
    }
}
