//! Proof that a finished plan keeps its promises. It knows nothing of how plans are made, so a mistake there is found
//! here, before anything is touched.

mod balancers;
mod keys;
mod leaving;
mod ownership;
mod restarts;
mod roles;
mod servers;
mod service;
mod snapshots;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::Subject;
use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::object::ObjectId;
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Action, Ask, Plan, Step, Violation, Weight};
use kubewright_model::recipe::Effect;
use kubewright_model::text::Text;

use crate::plan::apart;

/// Everything that the plan promises and does not keep; empty, or a bug of ours. An upgrade over several versions is proven
/// version by version.
pub fn check(plan: &Plan, desired: &Desired, observed: &Observed) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Ask::Repair(repairs) = &plan.ask
        && repairs.apply.is_some()
    {
        // What a repair takes of an apply is chosen from one, which is proven as a whole.
        found.extend(check(&crate::plan::plan(desired, observed, &Ask::Apply), desired, observed));
    }
    order(plan, &mut found);
    let parts = apart(plan, desired, observed);
    one_after_the_other(plan, &parts, &mut found);
    found.extend(parts.iter().flat_map(|(plan, desired, observed)| of_one(plan, desired, observed)));
    found
}

/// The parts of a plan over several versions wait for one another.
fn one_after_the_other(
    plan: &Plan,
    parts: &[(Cow<'_, Plan>, Cow<'_, Desired>, Cow<'_, Observed>)],
    found: &mut Vec<Violation>,
) {
    let steps = index(plan);
    for pair in parts.windows(2) {
        let [(before, ..), (next, ..)] = pair else { continue };
        let Some(last) = before.steps.last() else { continue };
        for step in next.steps.iter().filter_map(|step| steps.get(&step.id)) {
            if !ancestors(&steps, step).contains(&last.id) {
                let message = format!("it does not wait for {}, of the version before", last.id);
                found.push(violation("one version after the other", step, message));
            }
        }
    }
}

fn of_one(plan: &Plan, desired: &Desired, observed: &Observed) -> Vec<Violation> {
    let mut found = Vec::new();
    ownership::check(plan, desired, observed, &mut found);
    unknown_is_untouched(plan, observed, &mut found);
    servers::check(plan, desired, observed, &mut found);
    restarts::check(plan, desired, observed, &mut found);
    service::check(plan, desired, observed, &mut found);
    snapshots::check(plan, desired, observed, &mut found);
    balancers::check(plan, desired, observed, &mut found);
    roles::check(plan, desired, observed, &mut found);
    foundation_is_kept(plan, desired, observed, &mut found);
    nothing_forgotten(plan, desired, observed, &mut found);
    leaving::check(plan, desired, observed, &mut found);
    keys::check(plan, desired, observed, &mut found);
    secrets_are_closed(plan, &mut found);
    found
}

/// The steps of a plan by their ids.
type Index<'p> = BTreeMap<&'p StepId, &'p Step>;

fn index(plan: &Plan) -> Index<'_> {
    plan.steps.iter().map(|step| (&step.id, step)).collect()
}

/// All that must be done before a step, as far back as it goes.
fn ancestors<'p>(index: &Index<'p>, step: &'p Step) -> BTreeSet<&'p StepId> {
    let mut found = BTreeSet::new();
    let mut open = vec![step];
    while let Some(step) = open.pop() {
        let fresh = step.needs.iter().filter(|need| found.insert(*need));
        open.extend(fresh.filter_map(|need| index.get(need).copied()));
    }
    found
}

/// Whether a host was looked at and holds nothing of any cluster, whatever the books say of it.
fn is_blank(name: &NodeName, observed: &Observed) -> bool {
    let host = observed.hosts.get(name).and_then(Seen::present);
    host.is_some_and(|host| !host.is_member())
}

fn violation(rule: &str, step: &Step, message: impl Into<String>) -> Violation {
    Violation { rule: rule.into(), step: Some(step.id.clone()), message: message.into() }
}

/// A step needs only earlier steps, its id is its own, and a lease has one width.
fn order(plan: &Plan, found: &mut Vec<Violation>) {
    let mut before: BTreeSet<&StepId> = BTreeSet::new();
    let mut widths = BTreeMap::new();
    for step in &plan.steps {
        for need in step.needs.iter().filter(|need| !before.contains(need)) {
            found.push(violation("needs are earlier", step, format!("needs {need}, which is not before it")));
        }
        if !before.insert(&step.id) {
            found.push(violation("ids are unique", step, "a step of this id is there already"));
        }
        for lease in &step.takes {
            let width = *widths.entry(&lease.thing).or_insert(lease.width);
            if width != lease.width || width == 0 {
                found.push(violation("a lease has one width", step, format!("{} has several widths", lease.thing)));
            }
        }
    }
}

/// Nothing is done to what could not be seen.
fn unknown_is_untouched(plan: &Plan, observed: &Observed, found: &mut Vec<Violation>) {
    let mut made: BTreeSet<&NodeName> = BTreeSet::new();
    for step in &plan.steps {
        if let Action::CreateMachine(machine) = &step.action {
            made.insert(&machine.name);
        }
        let provider = match &step.action {
            Action::CreateMachine(machine) | Action::UpdateMachine(machine) => Some(&machine.provider),
            Action::StartMachine { provider, .. }
            | Action::DeleteMachine { provider, .. }
            | Action::RestartMachine { provider, .. }
            | Action::TurnIntoTemplate { provider, .. }
            | Action::FenceMachine { provider, .. }
            | Action::DeleteBackupJob { provider }
            | Action::TakeSnapshot { provider, .. }
            | Action::DeleteSnapshots { provider, .. }
            | Action::DeleteResource { provider, .. }
            | Action::DeleteStray { provider, .. }
            | Action::DeleteLoadBalancer { provider, .. } => Some(provider),
            Action::SetBackupJob(job) => Some(&job.provider),
            Action::SetLoadBalancer(wish) => Some(&wish.provider),
            Action::SetResource(wish) => Some(&wish.provider),
            _ => None,
        };
        if let Some(provider) = provider
            && observed.providers.get(provider).is_none_or(|seen| seen.why_unknown().is_some())
        {
            found.push(violation("unknown is untouched", step, format!("provider {provider} was not seen")));
        }
        if let Some(name) = touched(&step.action).filter(|name| is_unread(name, observed)) {
            found.push(violation("unknown is untouched", step, format!("machine {name} was not seen")));
        }
        let host = match &step.action {
            Action::ChangeHost(change) => Some(&change.host),
            Action::RunRecipe { host, .. } | Action::RebootHost { host, .. } | Action::UpdateHost { host, .. } => {
                Some(host)
            }
            Action::RotateKey { part, .. } => part.host(),
            _ => None,
        };
        // What was not seen of a machine went with it when this plan makes it anew.
        if let Some(host) = host.filter(|host| !made.contains(host))
            && matches!(observed.hosts.get(host), Some(Seen::Unknown(_)))
        {
            found.push(violation("unknown is untouched", step, format!("host {host} was not seen")));
        }
        if !matches!(plan.ask, Ask::Rebuild | Ask::Restore | Ask::Rotate(_))
            && let Some(why) = untold(&step.action, observed)
        {
            found.push(violation("unknown is untouched", step, why));
        }
    }
}

/// The machine that its provider does something to.
fn touched(action: &Action) -> Option<&NodeName> {
    match action {
        Action::CreateMachine(machine) | Action::UpdateMachine(machine) => Some(&machine.name),
        Action::StartMachine { name, .. }
        | Action::DeleteMachine { name, .. }
        | Action::RestartMachine { name, .. }
        | Action::TurnIntoTemplate { name, .. }
        | Action::FenceMachine { name, .. }
        | Action::TakeSnapshot { name, .. }
        | Action::DeleteSnapshots { name, .. } => Some(name),
        _ => None,
    }
}

fn is_unread(name: &NodeName, observed: &Observed) -> bool {
    let mut unread = crate::diff::machine::inventories(observed).flat_map(|(_, inventory)| &inventory.unread);
    unread.any(|it| it.name.as_ref() == Some(name))
}

/// What is not known of the cluster, and would have to be for this.
fn untold(action: &Action, observed: &Observed) -> Option<String> {
    let seen = match &observed.cluster {
        Some(Seen::Present(seen)) => Some(seen),
        Some(Seen::Absent) => None,
        Some(Seen::Unknown(_)) | None => return touches_cluster(action).then(|| "the cluster was not seen".into()),
    };
    let ids: Vec<ObjectId> = match action {
        Action::ApplyObjects(manifests) | Action::TakeObjects(manifests) => {
            manifests.iter().filter_map(|manifest| manifest.id().ok()).collect()
        }
        Action::DeleteObjects(ids) => ids.clone(),
        _ => Vec::new(),
    };
    let hidden = ids.into_iter().find(|id| seen.is_some_and(|seen| seen.why_unknown(id).is_some()));
    hidden.map(|id| format!("whether {id} is there was not seen"))
}

fn touches_cluster(action: &Action) -> bool {
    match action {
        Action::RunRecipe { recipe, .. } => !matches!(recipe.effect, Effect::Leave | Effect::Clean | Effect::Mend),
        Action::ForgetMember(_)
        | Action::ApplyObjects(_)
        | Action::TakeObjects(_)
        | Action::SetImage(_)
        | Action::DeleteObjects(_)
        | Action::InstallRelease(_)
        | Action::RemoveRelease { .. }
        | Action::SettleApplications(_)
        | Action::ConfigureVault(_) => true,
        _ => false,
    }
}

/// A cluster that lives is not given other networks, another datastore, another domain or another join token.
fn foundation_is_kept(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    let lives = observed.cluster.as_ref().and_then(Seen::present).is_some();
    let stays = matches!(plan.ask, Ask::Apply | Ask::Replace(_));
    let shaken = crate::foundation::shaken(desired, observed).into_iter().chain(crate::foundation::pending(observed));
    for shaken in shaken.filter(|_| lives && stays) {
        if !plan.is_blocked() {
            let message = format!("the plan goes on, and {}", shaken.message);
            found.push(Violation { rule: "a cluster keeps its foundation".into(), step: None, message });
        }
    }
}

/// A machine that is wished and is not there is made, or a note says why not.
fn nothing_forgotten(plan: &Plan, desired: &Desired, observed: &Observed, found: &mut Vec<Violation>) {
    if plan.ask != Ask::Apply {
        return;
    }
    let noted: BTreeSet<&NodeName> =
        plan.notes.iter().filter(|note| note.weight == Weight::Blocks).filter_map(|note| note.subject.node()).collect();
    let made: BTreeSet<&NodeName> = plan
        .steps
        .iter()
        .filter_map(|step| match (&step.action, &step.subject) {
            (Action::CreateMachine(_), Subject::Machine(name)) => Some(name),
            _ => None,
        })
        .collect();
    for machine in &desired.machines {
        let absent = matches!(crate::diff::machine::seen(machine, observed), Seen::Absent);
        // One that a restore leaves out on purpose was told of by name.
        let left_out = desired.without.contains(&machine.name);
        if absent && !left_out && !made.contains(&machine.name) && !noted.contains(&machine.name) {
            found.push(Violation {
                rule: "nothing is forgotten".into(),
                step: None,
                message: format!("machine {} is neither made nor noted", machine.name),
            });
        }
    }
}

/// Files that hold a secret are for their owner and their group at most.
fn secrets_are_closed(plan: &Plan, found: &mut Vec<Violation>) {
    let is_secret = |text: &Text| text.holes().any(|hole| hole.secret().is_some());
    for step in &plan.steps {
        let Action::ChangeHost(change) = &step.action else { continue };
        for resource in &change.make {
            if let HostResource::File(file) = resource
                && is_secret(&file.content)
                && file.mode.0 & 0o007 != 0
            {
                found.push(violation("secrets are closed", step, format!("{} can be read by others", file.path)));
            }
        }
    }
}
