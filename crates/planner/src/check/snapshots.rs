//! Snapshots of machines: one before what may break a machine, and none gone before it has shown that it works; ours only.

use kubewright_model::desired::Desired;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Observed, SNAPSHOT_MARK, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation};
use kubewright_model::recipe::Effect;

use super::{ancestors, index, violation};

const FIRST: &str = "a snapshot comes first";
const OURS: &str = "only ours is deleted";
const PROVEN: &str = "snapshots stay until it works";

pub(super) fn check(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let starts_nothing_new =
        matches!(plan.ask, Ask::Destroy | Ask::Rebuild | Ask::Backup | Ask::Reboot(_) | Ask::Restore | Ask::Rotate(_));
    if plan.is_blocked() || starts_nothing_new {
        return;
    }
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let is_node = |name: &NodeName| cluster.is_some_and(|cluster| cluster.nodes.contains_key(name));
    let steps = index(plan);
    for step in &plan.steps {
        let before = || ancestors(&steps, step).into_iter().filter_map(|id| steps.get(id).copied());
        let takes = |it: &Step, of: &NodeName| matches!(&it.action, Action::TakeSnapshot { name, .. } if name == of);
        if let Some(name) = risks(step).filter(|name| is_node(name))
            && desired.keep_snapshots.is_some()
            && desired.machine(name).is_some_and(|it| it.body.is_guest())
            && !before().any(|it| takes(it, name))
        {
            found.push(violation(FIRST, step, format!("{name} has no snapshot from before")));
        }
        let Action::DeleteSnapshots { provider, name, snapshots } = &step.action else { continue };
        let inventory = observed.providers.get(provider).and_then(Seen::present);
        let there = inventory.and_then(|inventory| inventory.snapshots.get(name));
        let taken = |wanted: &String| {
            before().any(|it| matches!(&it.action, Action::TakeSnapshot { snapshot, .. } if snapshot == wanted && takes(it, name)))
        };
        let ours =
            |it: &&String| it.starts_with(SNAPSHOT_MARK) && (there.is_some_and(|all| all.contains(it)) || taken(it));
        if let Some(other) = snapshots.iter().find(|it| !ours(it)) {
            found.push(violation(OURS, step, format!("{name} has no snapshot {other} of ours")));
        }
        let risk = plan.steps.iter().find(|it| risks(it) == Some(name));
        let proven = |risk: &Step| {
            before().any(|wait| wait.readies().contains(name) && ancestors(&steps, wait).contains(&risk.id))
        };
        if is_node(name) && risk.is_some_and(|risk| !proven(risk)) {
            found.push(violation(PROVEN, step, format!("nobody waits until {name} is Ready")));
        }
    }
}

/// The node that a step may break.
fn risks(step: &Step) -> Option<&NodeName> {
    match &step.action {
        Action::RunRecipe { host, recipe, .. } if recipe.effect == Effect::Upgrade => Some(host),
        Action::RestartMachine { name, .. } => Some(name),
        _ => None,
    }
}
