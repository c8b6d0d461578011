//! Templates of virtual machines are built before what is cloned from them, and go when nothing needs them any more.
//!
//! A template is the right one when its name is, for the name ends in the digest of all that it is built from. Another
//! version is built under the VMID that the old one does not have, and the old one goes once the new one is there: whoever
//! takes a change back has it still. A build that was cut off is not gone on with: nobody gets into a machine that is
//! cleaned, and what was half done to another cannot be told. It goes, and is built again; its image is there already.

use std::collections::BTreeSet;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Body, Desired, DesiredMachine, DesiredTemplate};
use kubewright_model::ids::{NodeName, ProviderName, StepId, Vmid};
use kubewright_model::observed::{Inventory, Observed, Seen, TemplateSeen};
use kubewright_model::plan::{Action, HostChange, Stage, Step, Weight};

use super::draft::{Draft, id};
use super::machines;
use super::standing::BEING_MADE;
use crate::diff::machine;
use crate::holders::Holders;

/// Names of nodes that a note tells one by one.
const TOLD: usize = 5;

/// Builds what is not there, before any node is made.
pub(super) fn plan(draft: &mut Draft<'_>, observed: &Observed, anew: &BTreeSet<NodeName>) {
    // Where everything goes, what hangs on an old version goes with it.
    let gone = if anew.is_empty() { deletions(draft) } else { Vec::new() };
    let half: Vec<_> = ours(draft.desired, observed).filter(|(.., seen)| !seen.finished).collect();
    for (name, provider, seen) in half {
        delete(draft, name, provider, seen, Reason::Follows("it was not finished".into()), Vec::new());
    }
    for template in &draft.desired.templates {
        let provider = &template.machine.provider;
        let Some(inventory) = observed.providers.get(provider).and_then(Seen::present) else { continue };
        if inventory.templates.get(template.name()).is_some_and(|seen| seen.finished) {
            continue;
        }
        // It may be there already; the note is that of its place.
        if template.vmids.iter().any(|vmid| inventory.unread(template.name(), Some(*vmid)).is_some()) {
            continue;
        }
        match number(draft.desired, template, observed, inventory) {
            Ok((vmid, None)) => build(draft, template, vmid, Vec::new()),
            Ok((vmid, Some((name, seen)))) => {
                delete(draft, name, provider, seen, Reason::NotInSpec, gone.clone());
                build(draft, template, vmid, vec![id("delete", name)]);
            }
            Err((message, help)) => {
                draft.note(Weight::Blocks, Subject::Machine(template.name().clone()), message, &help);
            }
        }
    }
}

/// Templates of ours, and machines that were to become one.
fn ours<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a NodeName, &'a ProviderName, &'a TemplateSeen)> {
    machine::inventories(observed)
        .flat_map(|(provider, inventory)| inventory.templates.iter().map(move |(name, seen)| (name, provider, seen)))
        .filter(|(.., seen)| seen.owner == desired.owner)
}

/// A template that stands where another one is to be built, and goes before.
type InTheWay<'a> = Option<(&'a NodeName, &'a TemplateSeen)>;

/// The VMID for a new template: the first of the two that is free, or that a version has which nothing needs any more.
fn number<'a>(
    desired: &Desired,
    template: &DesiredTemplate,
    observed: &Observed,
    inventory: &'a Inventory,
) -> Result<(Vmid, InTheWay<'a>), (String, String)> {
    let mut old = Vec::new();
    for vmid in template.vmids {
        let node = inventory.machines.iter().find(|(_, seen)| seen.vmid == Some(vmid)).map(|(name, _)| name.as_str());
        let taken = inventory.taken.iter().find(|taken| taken.vmid == Some(vmid));
        if taken.is_some_and(|taken| taken.being_made) {
            return Err((
                format!("it cannot be built yet: VMID {vmid} is being made at this moment"),
                BEING_MADE.into(),
            ));
        }
        let taken = taken.map(|taken| taken.name.as_str());
        if let Some(name) = taken.or(node) {
            let whose = if taken.is_some() { ", which is not ours" } else { "" };
            let help = match vmid == template.vmids[0] {
                true => "choose another `template`; or take `build` out of the spec, which clones what is there",
                false => "choose another VMID for new versions: `build.spare`",
            };
            return Err((format!("it cannot be built: VMID {vmid} belongs to `{name}`{whose}"), help.into()));
        }
        match inventory.templates.iter().find(|(_, seen)| seen.vmid == Some(vmid) && seen.finished) {
            None => return Ok((vmid, None)),
            Some(there) => old.push((vmid, there)),
        }
    }
    let mut free = old.iter().rev().filter(|_| inventory.unread.is_empty());
    let free = free.find(|(_, (name, seen))| hanging(name, observed).is_empty() && !seen.protected);
    if let Some((vmid, (name, seen))) = free.filter(|(_, (name, _))| !is_wished(desired, name)) {
        return Ok((*vmid, Some((name, seen))));
    }
    let nodes: BTreeSet<&NodeName> = old.iter().flat_map(|(_, (name, _))| hanging(name, observed)).collect();
    let help = format!("write a third VMID as `build.spare`; the old versions go when {} are new", listed(&nodes));
    let [one, two] = template.vmids;
    Err((format!("it cannot be built: VMIDs {one} and {two} have versions that are still needed"), help))
}

fn is_wished(desired: &Desired, name: &NodeName) -> bool {
    desired.templates.iter().any(|template| template.name() == name)
}

/// Nodes whose disks hang on a template.
fn hanging<'a>(name: &NodeName, observed: &'a Observed) -> Vec<&'a NodeName> {
    let nodes = machine::inventories(observed).flat_map(|(_, inventory)| &inventory.machines);
    let hangs = |origin: &kubewright_model::observed::Origin| origin.linked && origin.name == *name;
    nodes.filter(|(_, seen)| seen.template.as_ref().is_some_and(hangs)).map(|(node, _)| node).collect()
}

fn listed(nodes: &BTreeSet<&NodeName>) -> String {
    let told: Vec<&str> = nodes.iter().take(TOLD).map(|name| name.as_str()).collect();
    match nodes.len().saturating_sub(TOLD) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

/// The steps from an image to a template.
fn build(draft: &mut Draft<'_>, template: &DesiredTemplate, vmid: Vmid, mut needs: Vec<StepId>) {
    let (name, way, host) = (template.name(), &template.host.way, &template.host.name);
    let machine = DesiredMachine { vmid: Some(vmid), ..template.machine.clone() };
    let leases = machines::leases(&machine);
    needs.extend([id("delete", name)]);
    needs.extend(draft.before_machines.iter().cloned());
    let provider = machine.provider.clone();
    let start = Action::StartMachine { provider: provider.clone(), name: name.clone(), way: way.clone(), boots: false };
    let change = HostChange::making(&template.host, None, template.host.resources.clone());
    let clean = Action::RunRecipe { host: host.clone(), way: way.clone(), recipe: template.clean.clone() };
    let fields = machine::whole(&machine);
    let follows = |why: &str| Reason::Follows(why.into());
    let of = |deed: &str| id(deed, name);
    let steps = [
        ("create", Action::CreateMachine(Box::new(machine)), Reason::Missing, needs, leases),
        ("start", start, follows("it was just made"), vec![of("create")], Vec::new()),
        ("host", Action::ChangeHost(change), follows("its machine was just started"), vec![of("start")], Vec::new()),
        ("clean", clean, follows("clones make for themselves what only one may have"), vec![of("host")], Vec::new()),
        (
            "template",
            Action::TurnIntoTemplate { provider, name: name.clone() },
            follows("it is set up and clean"),
            vec![of("clean")],
            Vec::new(),
        ),
    ];
    for (deed, action, reason, needs, takes) in steps {
        let fields = if deed == "create" { fields.clone() } else { Vec::new() };
        let subject = Subject::Machine(name.clone());
        let part = String::new();
        draft.add(Step { id: of(deed), stage: Stage::Machines, subject, action, fields, reason, needs, takes, part });
    }
}

/// The step after which a machine's template is there; none where somebody else makes it.
pub(super) fn before(machine: &DesiredMachine) -> Option<StepId> {
    let Body::Vm(vm) = &*machine.body else { return None };
    let template = vm.template().filter(|template| template.built)?;
    Some(id("template", template.name.as_ref()?))
}

/// Versions that nothing needs any more go, after the new ones are there.
pub(super) fn unwanted(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    let built: Vec<StepId> = desired.templates.iter().map(|template| id("template", template.name())).collect();
    let old: Vec<_> = ours(desired, observed)
        .filter(|(name, _, seen)| seen.finished && !is_wished(desired, name) && !draft.has(&id("delete", name)))
        .collect();
    for (name, provider, seen) in old {
        let stay: BTreeSet<_> =
            hanging(name, observed).into_iter().filter(|node| !draft.has(&id("delete", node))).collect();
        let subject = Subject::Machine(name.clone());
        let inventory = observed.providers.get(provider).and_then(Seen::present);
        if inventory.is_some_and(|inventory| !inventory.unread.is_empty()) {
            let message = "the old template stays: disks of machines that cannot be read may hang on it";
            draft.note(Weight::Tells, subject, message, "");
        } else if let Some(pool) = clones(desired, seen.vmid) {
            let message = format!("the template stays: the pool {pool} clones it");
            draft.note(Weight::Tells, subject, message, "`destroy` deletes it, for it is ours");
        } else if !stay.is_empty() {
            let message = format!("the old template stays while the disks of {} hang on it", listed(&stay));
            draft.note(Weight::Tells, subject, message, "");
        } else {
            let needs = deletions(draft).into_iter().chain(built.clone()).collect();
            delete(draft, name, provider, seen, Reason::NotInSpec, needs);
        }
    }
}

/// The pool that clones a template by its VMID, as if somebody else had made it.
fn clones(desired: &Desired, vmid: Option<Vmid>) -> Option<String> {
    let by_number = |machine: &&DesiredMachine| match &*machine.body {
        Body::Vm(vm) => vm.template().is_some_and(|template| !template.built && Some(template.vmid) == vmid),
        _ => false,
    };
    desired.machines.iter().find(by_number).map(|machine| machine.pool.to_string())
}

/// Everything of ours goes, after the machines that may hang on it.
pub(super) fn destroy(draft: &mut Draft<'_>, observed: &Observed) {
    if draft.desired.protected {
        return;
    }
    let machines = deletions(draft);
    for (name, provider, seen) in ours(draft.desired, observed).collect::<Vec<_>>() {
        delete(draft, name, provider, seen, Reason::Asked("destroy".into()), machines.clone());
    }
}

/// The steps so far that delete machines, which may hang on a template.
fn deletions(draft: &Draft<'_>) -> Vec<StepId> {
    let goes = |step: &&Step| matches!(step.action, Action::DeleteMachine { .. });
    draft.steps.iter().filter(goes).map(|step| step.id.clone()).collect()
}

/// Nodes that are made anew stay until the template is there that they are made from.
pub(super) fn first(draft: &mut Draft<'_>, anew: &BTreeSet<NodeName>) {
    let nodes = draft.desired.machines.iter().filter(|machine| anew.contains(&machine.name));
    let needs = nodes.filter_map(|machine| Some((&machine.name, before(machine).filter(|step| draft.has(step))?)));
    let leaves = needs.filter_map(|(name, template)| {
        let deeds = ["cordon", "leave", "forget", "delete"].map(|deed| id(deed, name));
        Some((deeds.into_iter().find(|step| draft.has(step))?, vec![template]))
    });
    let leaves = leaves.collect();
    draft.also_need(leaves);
}

/// Nothing of the cluster lives on a template, so it goes from a protected one, too.
fn delete(
    draft: &mut Draft<'_>,
    name: &NodeName,
    provider: &ProviderName,
    seen: &TemplateSeen,
    reason: Reason,
    needs: Vec<StepId>,
) {
    let subject = Subject::Machine(name.clone());
    if seen.protected {
        let message = format!("{provider} protects the template from being deleted");
        draft.note(Weight::Warns, subject, message, "take the protection off by hand first");
        return;
    }
    let (provider, place) = (provider.clone(), seen.place.clone());
    let (name, vmid, owner) = (name.clone(), seen.vmid, seen.owner.clone());
    draft.add(Step {
        id: id("delete", &name),
        stage: if seen.finished { Stage::Removal } else { Stage::Machines },
        subject,
        action: Action::DeleteMachine { provider, place, name, vmid, owner },
        fields: Vec::new(),
        reason,
        needs,
        takes: Vec::new(),
        part: String::new(),
    });
}

/// Nodes that were not made from the template that the spec has now.
pub(crate) fn outdated<'a>(desired: &'a Desired, observed: &Observed) -> Vec<&'a NodeName> {
    let wished = |machine: &'a DesiredMachine| match &*machine.body {
        Body::Vm(vm) => vm.template().filter(|template| template.built)?.name.as_deref(),
        _ => None,
    };
    let old = |machine: &&'a DesiredMachine| {
        let Some(name) = wished(machine) else { return false };
        let Seen::Present(seen) = machine::seen(machine, observed) else { return false };
        seen.template.as_ref().is_none_or(|origin| origin.name.as_str() != name)
    };
    desired.machines.iter().filter(old).map(|machine| &machine.name).collect()
}

/// The nodes that are made anew together: agents go one after the other, and of servers that may go one goes in a run.
pub(super) fn turn(desired: &Desired, observed: &Observed) -> Vec<NodeName> {
    let servers: BTreeSet<&NodeName> = desired.servers().map(|member| &member.name).collect();
    let (servers, others): (Vec<_>, Vec<_>) =
        outdated(desired, observed).into_iter().partition(|name| servers.contains(name));
    let holders = Holders::new(desired, observed);
    let server = servers.into_iter().find(|name| holders.keeps(name).is_none());
    others.into_iter().chain(server).cloned().collect()
}

/// Tells of nodes that are older than their template.
pub(super) fn tell(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    let old: BTreeSet<&NodeName> =
        outdated(desired, observed).into_iter().filter(|name| !draft.has(&id("create", name))).collect();
    if !old.is_empty() {
        let message = format!("made from another template than the one that the spec has now: {}", listed(&old));
        let help = match turn(desired, observed).is_empty() {
            false => "`kubewright replace --outdated` makes them anew, one after the other",
            true => "add a server first, or `kubewright rebuild`: the last one cannot be made anew",
        };
        draft.note(Weight::Tells, Subject::Cluster, message, help);
    }
}
