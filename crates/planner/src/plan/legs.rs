//! An upgrade over several versions, in one plan: a leg for each version on the way, and then all that the spec wishes.
//!
//! A leg is what an ordinary plan would do if the spec named that version, as far as it upgrades nodes; it is planned for the
//! world that the leg before leaves behind. All else waits for the last version.
//!
//! Servers that leave do so with the first leg, and so do agents that are out of service already. Nodes that are lost, off or new come with it and its version: nobody knows a
//! host that is not there well enough to plan what lies behind it, and a server that stayed away would skip versions. The legs
//! after it are planned by the next run.
//!
//! Servers of kubeadm join with the version that the others run, in a leg of its own before any upgrade: kubeadm lets nobody
//! in with a newer one than the cluster's `ClusterConfiguration` names, and that is the version of the static pods that it
//! writes. <https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/create-cluster-kubeadm/#kubeadm-s-skew-against-kubeadm>

use std::borrow::Cow;
use std::collections::BTreeSet;

use kubewright_model::change::Subject;
use kubewright_model::desired::Desired;
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{CORDONED, FileSeen, HostSeen, NodeSeen, Observed, Seen};
use kubewright_model::plan::{Action, Ask, Note, Plan, Stage, Step, Weight};
use kubewright_model::recipe::{Effect, Recipe, RecipeStep};
use kubewright_model::spec::Distribution;
use kubewright_model::version::Version;

use crate::diff::machine::inventories;
use crate::upgrades::{charts, way, with_version};

/// What the spec means with each version on the way to its own; none where that is one step away, or where no way is known.
pub(crate) fn legs(desired: &Desired, observed: &Observed, ask: &Ask) -> Vec<Desired> {
    let way = match ask {
        Ask::Apply => way(desired, observed).unwrap_or_default(),
        Ask::Replace(_) | Ask::ReplaceOutdated => Vec::new(),
        _ => return Vec::new(),
    };
    let legs: Vec<Desired> =
        way.iter().map(|version| with_version(desired, version)).collect::<Option<_>>().unwrap_or_default();
    let first = joins_first(desired, observed, ask, legs.first().unwrap_or(desired));
    first.into_iter().chain(legs).collect()
}

/// What the spec means with the version that servers of kubeadm run, where another one is about to join them or one of them is
/// brought back, and the next version is newer: kubeadm begins no upgrade while a server is not Ready
/// (`ControlPlaneNodesReady` in its `phases/upgrade/health.go`).
fn joins_first(desired: &Desired, observed: &Observed, ask: &Ask, next: &Desired) -> Option<Desired> {
    if desired.kubernetes.distribution != Distribution::Kubeadm {
        return None;
    }
    let cluster = observed.cluster.as_ref().and_then(Seen::present)?;
    // The first server that is upgraded takes the cluster's configuration along.
    let runs = cluster.nodes.values().filter(|node| node.server).map(|node| &node.version).max()?;
    if *runs >= next.kubernetes.version {
        return None;
    }
    let leg = with_version(desired, runs)?;
    let joins =
        |step: &Step| matches!(&step.action, Action::RunRecipe { recipe, .. } if recipe.effect == Effect::JoinServer);
    let sick = |name: &NodeName| cluster.nodes.get(name).is_some_and(|node| node.server && !node.ready);
    let comes = |step: &Step| joins(step) || step.readies().iter().any(sick);
    super::at_once(&leg, observed, ask).steps.iter().any(comes).then_some(leg)
}

/// One leg after the other, and then what the spec says.
pub(super) fn plan(desired: &Desired, observed: &Observed, ask: &Ask, legs: &[Desired]) -> Plan {
    let mut seen = Cow::Borrowed(observed);
    let (mut steps, mut notes) = (Vec::new(), vec![goes_through(legs)]);
    for (at, leg) in legs.iter().enumerate() {
        let plan = super::at_once(leg, &seen, ask);
        let back = come_back(&plan.steps, &seen);
        if at == 0 && !back.is_empty() {
            return first_alone(plan, desired, leg, &back);
        }
        let untested = charts::doubts(leg, &seen);
        let kept = upgrades(plan.steps, leg, &seen);
        seen = Cow::Owned(after(&seen, &kept));
        append(&mut steps, kept, &prefix(&leg.kubernetes.version));
        notes.extend(plan.notes.into_iter().filter(|note| note.weight == Weight::Blocks));
        notes.extend(untested);
    }
    let last = super::at_once(desired, &seen, &Ask::Apply);
    append(&mut steps, last.steps, "");
    for note in last.notes {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    Plan { rendered: last.rendered, ..Plan::new(desired.cluster.clone(), Ask::Apply, steps, notes) }
}

/// Nodes that a leg has to make or to bring back: until they are there, nobody can tell what the next leg finds. And servers that
/// leave: one that stayed to the end would serve the oldest version to kubelets that are newer by then. So do agents that a run
/// which was cut has left out of service: others go out of service in each leg.
fn come_back(steps: &[Step], observed: &Observed) -> BTreeSet<NodeName> {
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let node = |name: &NodeName| cluster.and_then(|cluster| cluster.nodes.get(name));
    // Of one that is out of the books already, nobody can tell any more: its etcd may run, and come back.
    let is_out = |node: &NodeSeen| node.cordoned && node.labels.contains_key(CORDONED);
    let goes_first = |name: &NodeName| node(name).is_none_or(|node| node.server || is_out(node));
    let is_machine =
        |name: &NodeName| inventories(observed).any(|(_, inventory)| inventory.machines.contains_key(name));
    let brings = |step: &&Step| match &step.action {
        Action::CreateMachine(_) | Action::StartMachine { .. } => true,
        Action::ForgetMember(name) => goes_first(name),
        Action::DeleteMachine { name, .. } => is_machine(name) && goes_first(name),
        Action::RunRecipe { host, recipe, .. } => match recipe.effect {
            Effect::JoinServer | Effect::JoinAgent => true,
            Effect::Leave => goes_first(host),
            _ => false,
        },
        _ => false,
    };
    steps.iter().filter(brings).filter_map(|step| step.subject.node()).cloned().collect()
}

/// The first leg as an ordinary plan, as far as it is about nodes; the others wait for the next run.
fn first_alone(plan: Plan, desired: &Desired, leg: &Desired, back: &BTreeSet<NodeName>) -> Plan {
    let of_nodes = |step: &Step| match step.stage {
        Stage::Addons => false,
        Stage::Removal => step.subject.node().is_some(),
        _ => true,
    };
    let kept: Vec<Step> = plan.steps.iter().filter(|step| of_nodes(step)).cloned().collect();
    let mut steps = Vec::new();
    append(&mut steps, alone(&plan, &kept).steps, &prefix(&leg.kubernetes.version));
    let names: Vec<&str> = back.iter().map(|name| name.as_str()).collect();
    let message = format!(
        "first, with {1}: {0}; the rest of the way to {2} is planned when that is done",
        names.join(", "),
        leg.kubernetes.version,
        desired.kubernetes.version
    );
    let help = match plan.ask {
        Ask::Replace(_) => "then `kubewright apply`; who asks for the same again gets the same nodes anew once more",
        _ => "apply once more then",
    };
    let help = Some(help.to_string());
    let mut notes = vec![Note { weight: Weight::Warns, subject: Subject::Cluster, message, help, stages: Vec::new() }];
    notes.extend(plan.notes.into_iter().filter(|note| note.weight == Weight::Blocks));
    Plan::new(desired.cluster.clone(), plan.ask, steps, notes)
}

/// What the ids of a leg's steps begin with.
fn prefix(version: &Version) -> String {
    format!("{version}/")
}

/// The id of a step without the version that its leg goes to.
pub(crate) fn without_leg(id: &StepId) -> &str {
    match id.as_str().split_once('/') {
        Some((leg, rest)) if leg.parse::<Version>().is_ok() => rest,
        _ => id.as_str(),
    }
}

/// A plan over several versions as the plans that it is made of, each with what it is for and what it finds; a plan over
/// none is one.
pub(crate) fn apart<'a>(
    plan: &'a Plan,
    desired: &'a Desired,
    observed: &'a Observed,
) -> Vec<(Cow<'a, Plan>, Cow<'a, Desired>, Cow<'a, Observed>)> {
    let legs = match &plan.ask {
        Ask::Repair(repairs) if repairs.apply.is_some() => legs(desired, observed, &Ask::Apply),
        ask => legs(desired, observed, ask),
    };
    let mut rest: &[Step] = &plan.steps;
    let mut seen = Cow::Borrowed(observed);
    let mut found = Vec::new();
    for leg in legs {
        let prefix = prefix(&leg.kubernetes.version);
        let is_next = |step: &Step| !step.id.as_str().starts_with(&prefix);
        let (of_leg, others) = rest.split_at(rest.iter().position(is_next).unwrap_or(rest.len()));
        let part = alone(plan, of_leg);
        let next = Cow::Owned(after(&seen, &part.steps));
        // Where somebody is brought back or leaves first, that is the whole plan.
        let is_all = found.is_empty() && !come_back(&part.steps, &seen).is_empty();
        found.push((Cow::Owned(part), Cow::Owned(leg), std::mem::replace(&mut seen, next)));
        rest = others;
        if is_all {
            return found;
        }
    }
    match found.is_empty() {
        true => found.push((Cow::Borrowed(plan), Cow::Borrowed(desired), seen)),
        false => found.push((Cow::Owned(alone(plan, rest)), Cow::Borrowed(desired), seen)),
    }
    found
}

/// Steps of a plan as a plan of their own.
fn alone(plan: &Plan, steps: &[Step]) -> Plan {
    let ids: BTreeSet<&StepId> = steps.iter().map(|step| &step.id).collect();
    let kept = steps.iter().cloned().map(|mut step| {
        step.needs.retain(|need| ids.contains(need));
        step
    });
    Plan { steps: kept.collect(), ..plan.clone() }
}

fn goes_through(legs: &[Desired]) -> Note {
    let versions: Vec<String> = legs.iter().map(|leg| leg.kubernetes.version.to_string()).collect();
    let help = "the version before each minor version matters to what runs on the cluster: \
                https://kubernetes.io/docs/reference/using-api/deprecation-guide/";
    Note {
        weight: Weight::Tells,
        subject: Subject::Cluster,
        message: format!("the upgrade goes through {}", versions.join(" and ")),
        help: Some(help.into()),
        stages: Vec::new(),
    }
}

/// Adds steps that begin when all before them are done.
fn append(all: &mut Vec<Step>, steps: Vec<Step>, prefix: &str) {
    let needed: BTreeSet<&StepId> = all.iter().flat_map(|step| &step.needs).collect();
    let ends: Vec<StepId> = all.iter().map(|step| &step.id).filter(|id| !needed.contains(id)).cloned().collect();
    let named = |id: &StepId| StepId::new(format!("{prefix}{id}"));
    for mut step in steps {
        step.id = named(&step.id);
        step.needs = if step.needs.is_empty() { ends.clone() } else { step.needs.iter().map(named).collect() };
        all.push(step);
    }
}

/// The steps of a plan that upgrade nodes of the cluster, and save it before. A step that needed another one needs what
/// that needed.
fn upgrades(steps: Vec<Step>, leg: &Desired, observed: &Observed) -> Vec<Step> {
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let nodes = || cluster.into_iter().flat_map(|cluster| &cluster.nodes);
    let there: BTreeSet<&NodeName> = nodes().map(|(name, _)| name).collect();
    // Who leaves is drained when it leaves, and upgraded no more.
    let stay: BTreeSet<&NodeName> = leg.members.iter().map(|member| &member.name).collect();
    let old = nodes().filter(|(name, node)| node.version != leg.kubernetes.version && stay.contains(name));
    let old: BTreeSet<&NodeName> = old.map(|(name, _)| name).collect();
    let mut left_out: std::collections::BTreeMap<StepId, Vec<StepId>> = Default::default();
    let mut kept = Vec::new();
    for mut step in steps {
        let mut needs: Vec<StepId> = Vec::new();
        for need in &step.needs {
            match left_out.get(need) {
                Some(before) => needs.extend(before.iter().cloned()),
                None => needs.push(need.clone()),
            }
        }
        needs.sort();
        needs.dedup();
        if belongs(&step, &old, &there) {
            step.needs = needs;
            kept.push(step);
        } else {
            left_out.insert(step.id, needs);
        }
    }
    kept
}

/// Whether a step is of the upgrade of an old node, or brings back one that an upgrade which was cut has left out of service.
fn belongs(step: &Step, old: &BTreeSet<&NodeName>, there: &BTreeSet<&NodeName>) -> bool {
    match &step.action {
        Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Snapshot => true,
        Action::RunRecipe { host, recipe, .. } => recipe.effect == Effect::Upgrade && old.contains(host),
        Action::ChangeHost(change) => there.contains(&change.host),
        Action::Cordon(node) | Action::Drain { node, .. } => old.contains(node),
        Action::Uncordon(node) => there.contains(node),
        Action::TakeSnapshot { name, .. } | Action::DeleteSnapshots { name, .. } => old.contains(name),
        Action::Wait { .. } => !step.readies().is_empty() && step.readies().iter().all(|node| there.contains(node)),
        Action::SetImage(_) => true,
        _ => false,
    }
}

/// The world as these steps leave it behind, as far as upgrades go.
fn after(observed: &Observed, steps: &[Step]) -> Observed {
    let mut next = observed.clone();
    for step in steps {
        match &step.action {
            Action::ChangeHost(change) => {
                let Some(host) = next.hosts.get_mut(&change.host).and_then(Seen::present_mut) else { continue };
                change.make.iter().for_each(|resource| made(host, resource, observed));
            }
            Action::RunRecipe { host, recipe, .. } if recipe.effect == Effect::Upgrade => {
                let cluster = next.cluster.as_mut().and_then(Seen::present_mut);
                let node = cluster.and_then(|cluster| cluster.nodes.get_mut(host));
                if let (Some(node), Some(version)) = (node, &recipe.version) {
                    node.version = version.clone();
                }
                if let Some(host) = next.hosts.get_mut(host).and_then(Seen::present_mut) {
                    ran(host, recipe, observed);
                }
            }
            Action::Uncordon(node) => {
                let cluster = next.cluster.as_mut().and_then(Seen::present_mut);
                if let Some(node) = cluster.and_then(|cluster| cluster.nodes.get_mut(node)) {
                    node.cordoned = false;
                }
            }
            Action::Wait { .. } => {
                for name in step.readies() {
                    let Some(cluster) = next.cluster.as_mut().and_then(Seen::present_mut) else { continue };
                    cluster.nodes.get_mut(name).into_iter().for_each(|node| node.ready = true);
                    cluster.members.get_mut(name).into_iter().for_each(|member| member.healthy = true);
                }
            }
            Action::SetImage(wish) => {
                if let Some(cluster) = next.cluster.as_mut().and_then(Seen::present_mut) {
                    cluster.kube_proxy = Some(wish.image.clone());
                }
            }
            _ => {}
        }
    }
    next
}

/// A host with a resource as it was wished.
fn made(host: &mut HostSeen, resource: &HostResource, observed: &Observed) {
    match resource {
        HostResource::File(file) => {
            let digest = file.content.digest();
            if let Some(digest) = digest.or_else(|| observed.filled.get(&file.content.fingerprint()).cloned()) {
                let seen = FileSeen { digest, mode: file.mode, owner: file.owner.clone(), text: None };
                host.files.insert(file.path.clone(), seen);
            }
        }
        HostResource::Block { path, lines } | HostResource::Lines { path, lines } => {
            host.blocks.insert(path.clone(), lines.clone());
        }
        HostResource::Package(name) => drop(host.packages.insert(name.clone())),
        HostResource::Module(name) => drop(host.modules.insert(name.clone())),
        HostResource::Sysctl { key, value } => drop(host.sysctls.insert(key.clone(), value.clone())),
        HostResource::Link { path, target } => drop(host.links.insert(path.clone(), target.clone())),
        HostResource::Unit(unit) => {
            if let Some(seen) = host.units.get_mut(&unit.name) {
                seen.content = unit.content.as_ref().and_then(|text| text.digest());
                seen.reads = Some(observed.filled.get(&unit.reads).unwrap_or(&unit.reads).clone());
            }
        }
        _ => {
            if let Some(setting) = resource.setting() {
                host.settings.insert(resource.key(), setting);
            }
        }
    }
}

/// A host on which another version was started.
fn ran(host: &mut HostSeen, recipe: &Recipe, observed: &Observed) {
    if let Some(kubernetes) = &mut host.kubernetes {
        kubernetes.version.clone_from(&recipe.version);
    }
    for step in &recipe.steps {
        if let RecipeStep::Start { unit, reads } | RecipeStep::Restart { unit, reads } = step
            && let Some(seen) = host.units.get_mut(unit)
        {
            seen.reads = Some(observed.filled.get(reads).unwrap_or(reads).clone());
        }
    }
}
