//! The datastore goes back to what was saved of it, on the machines that are there. Every member stands down, one server
//! begins again with what was saved, and the others join it as they join any cluster: nothing is made anew, and no machine
//! and no host that is set up is touched otherwise. One that was cut goes on, as a rebuild does.
//!
//! The order is that of the vendors: no server runs while another state is put back, and of all but the first the data are
//! taken away. <https://docs.k3s.io/cli/etcd-snapshot#restoring-snapshots>,
//! <https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/#restoring-an-etcd-cluster>

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_model::bundle::Canary;
use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Body, Desired, DesiredHost, DesiredMachine, DesiredMember, Saved};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, KubernetesSeen, Observed, Power, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::recipe::Recipe;
use kubewright_model::spec::{Distribution, Role};
use kubewright_model::talos::TalosSeen;

use super::draft::{Draft, id};
use super::leaving::step;
use super::{build, bundle, rebuild, removal, saving, standing};
use crate::diff::machine;

/// What is wished without agents that nobody can reach, and without servers that are left out on purpose: the cluster is
/// restored without them, and they are told of.
pub(super) fn without_silent<'a>(desired: &'a Desired, observed: &Observed) -> Cow<'a, Desired> {
    let left_out = given_up(desired, observed).filter(|machine| *machine.body == Body::Existing);
    let agents = silent(desired, observed).map(|member| member.name.clone());
    let silent: BTreeSet<NodeName> = agents.chain(left_out.map(|machine| machine.name.clone())).collect();
    if silent.is_empty() {
        return Cow::Borrowed(desired);
    }
    let mut without = desired.clone();
    without.machines.retain(|machine| !silent.contains(&machine.name));
    without.hosts.retain(|host| !silent.contains(&host.name));
    without.members.retain(|member| !silent.contains(&member.name));
    Cow::Owned(without)
}

/// Agents whose machines are there and whose hosts do not let us look.
fn silent<'a>(desired: &'a Desired, observed: &'a Observed) -> impl Iterator<Item = &'a DesiredMember> {
    let agents = desired.members.iter().filter(|member| !member.role.is_server());
    agents.filter(|member| matches!(observed.hosts.get(&member.name), Some(Seen::Unknown(_))))
}

/// Machines whose hosts do not answer, and that somebody has named to go on without them.
fn given_up<'a>(desired: &'a Desired, observed: &'a Observed) -> impl Iterator<Item = &'a DesiredMachine> {
    let named = desired.machines.iter().filter(|machine| desired.without.contains(&machine.name));
    named.filter(|machine| !answers(&machine.name, observed))
}

fn answers(name: &NodeName, observed: &Observed) -> bool {
    observed.hosts.get(name).is_some_and(|seen| seen.present().is_some())
}

/// A machine that its provider can end goes with its disk, and another one comes in its place: nothing of it can come back.
fn ends_given_up(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    for machine in given_up(desired, observed).filter(|machine| *machine.body != Body::Existing) {
        let Seen::Present(seen) = machine::seen(machine, observed) else { continue };
        removal::delete(draft, &machine.name, &machine.provider, seen, Reason::Asked("restore".into()), Vec::new());
        draft.before_machines.push(id("delete", &machine.name));
    }
}

/// Saves what is there while it answers, has every member stand down, and builds on what is left. `reached` is what is
/// wished without those that nobody can reach.
pub(super) fn plan<'a>(reached: &'a Desired, desired: &Desired, observed: &Observed) -> Draft<'a> {
    let mut draft = Draft::new(reached);
    if let Some(other) = crate::foundation::of_another_kind(desired, observed) {
        draft.note(Weight::Blocks, Subject::Cluster, other.message, &other.help);
        return draft;
    }
    draft.notes.extend(standing::blind_providers(desired, observed));
    tell_silent(&mut draft, desired, observed);
    strangers(&mut draft, observed);
    all_stand_down(&mut draft, observed);
    ends_given_up(&mut draft, observed);
    saving::while_it_answers(&mut draft, observed);
    leaves_its_canary(&mut draft);
    tell_wiped(&mut draft);
    rebuild::restores(&mut draft, observed);
    if observed.unfinished.is_some() {
        let message = "goes on with the restore that was cut: members that have stood down are left as they are";
        draft.note(Weight::Tells, Subject::Cluster, message, rebuild::OVER);
    }
    if draft.notes.iter().any(|note| note.weight == Weight::Blocks) {
        return draft;
    }
    build(draft, &after(reached, observed), &BTreeSet::new())
}

/// The rest of one that was cut when everybody had stood down: an ordinary plan, of those that are not left out.
pub(super) fn goes_on<'a>(reached: &'a Desired, desired: &Desired, observed: &Observed) -> Draft<'a> {
    let mut draft = rebuild::goes_on(
        reached,
        &beside(reached, desired, observed),
        "restore that was cut: everybody had stood down",
    );
    tell_silent(&mut draft, desired, observed);
    draft
}

/// What was seen without those that are left out: who is wished is no stranger, whose machine would go.
fn beside<'o>(reached: &Desired, desired: &Desired, observed: &'o Observed) -> Cow<'o, Observed> {
    let machines = |desired: &Desired| desired.machines.iter().map(|it| it.name.clone()).collect::<BTreeSet<_>>();
    let left_out: BTreeSet<NodeName> = &machines(desired) - &machines(reached);
    if left_out.is_empty() {
        return Cow::Borrowed(observed);
    }
    let mut seen = observed.clone();
    seen.hosts.retain(|name, _| !left_out.contains(name));
    for inventory in seen.providers.values_mut() {
        if let Seen::Present(inventory) = inventory {
            inventory.machines.retain(|name, _| !left_out.contains(name));
        }
    }
    Cow::Owned(seen)
}

/// The canary of a cluster that lives says another thing before it goes back to a bundle: when it says the bundle's name
/// again, what was written since is gone. Where nothing can be saved, nothing can be written either.
fn leaves_its_canary(draft: &mut Draft<'_>) {
    let desired = draft.desired;
    let Some(bundle) = desired.restores.as_ref().and_then(Saved::canary) else { return };
    let Some(saves) = draft.steps.first().filter(|step| step.stage == Stage::Backup).map(|step| step.id.clone()) else {
        return;
    };
    let action = Action::ApplyObjects(vec![Canary::left_behind(bundle).object(&desired.owner)]);
    let marks = Step { needs: vec![saves.clone()], ..bundle::canary_step(action, "restore") };
    for step in draft.steps.iter_mut().filter(|step| step.needs.contains(&saves)) {
        step.needs.push(marks.id.clone());
    }
    draft.add_after(&saves, marks);
}

/// A node of Talos is rid of etcd by a reset alone, which wipes the disk that pods keep their files on too.
/// <https://www.talos.dev/v1.11/talos-guides/resetting-a-machine/>
fn tell_wiped(draft: &mut Draft<'_>) {
    let desired = draft.desired;
    if desired.kubernetes.distribution != Distribution::Talos {
        return;
    }
    let resets = |member: &&DesiredMember| draft.steps.iter().any(|step| step.id == id("leave", &member.name));
    let takes_pods = desired.servers().filter(|member| member.role == Role::Both);
    let names: Vec<NodeName> = takes_pods.filter(resets).map(|member| member.name.clone()).collect();
    for name in names {
        let message =
            "pods run on it, and what they keep on its own disk is wiped: all of /var, with local and hostPath volumes";
        let help = "copy away what somebody wants back first; volumes on other disks and outside of it stay";
        draft.note(Weight::Warns, Subject::Member(name), message, help);
    }
}

fn tell_silent(draft: &mut Draft<'_>, desired: &Desired, observed: &Observed) {
    for member in silent(desired, observed) {
        let why = observed.hosts.get(&member.name).and_then(Seen::why_unknown);
        let message =
            format!("cannot be reached and is left out: {}", why.map_or("nobody knows why", |why| &why.words));
        let help = "when it is back, its node is in no book: `kubewright replace` makes it anew";
        draft.note(Weight::Warns, Subject::Member(member.name.clone()), message, help);
    }
    let named = |name: &NodeName| desired.without.contains(name);
    for member in desired.servers().filter(|member| !named(&member.name)) {
        // Started behind the others' backs it would go on with what was there before. One that is off when a restore goes on
        // is new: that restore has begun with nobody off.
        let begins = observed.unfinished.is_none() && !rebuild::only_builds(observed);
        if begins && is_off(desired, observed, &member.name) {
            let help = format!(
                "`kubewright apply --only machines` starts it; or, where it is lost for good, go on with `--without {}`",
                member.name
            );
            let message = "its machine is off, and it may hold the cluster's data";
            draft.note(Weight::Blocks, Subject::Member(member.name.clone()), message, &help);
            continue;
        }
        let Some(why) = observed.hosts.get(&member.name).and_then(Seen::why_unknown) else { continue };
        let message = format!("may hold the cluster's data and cannot be reached: {why}");
        let help = format!(
            "bring it back; or, where it is lost for good, go on with `--without {}`, and see to it that it never comes back with \
             its disk: it would go on with what was there before",
            member.name
        );
        draft.note(Weight::Blocks, Subject::Member(member.name.clone()), message, &help);
    }
    tell_given_up(draft, desired, observed);
}

fn is_off(desired: &Desired, observed: &Observed, name: &NodeName) -> bool {
    let there = desired.machine(name).map(|wished| machine::seen(wished, observed));
    matches!(there, Some(Seen::Present(seen)) if seen.power == Power::Stopped)
}

/// What must not happen to those that are left out, or why they cannot be.
fn tell_given_up(draft: &mut Draft<'_>, desired: &Desired, observed: &Observed) {
    for name in &desired.without {
        let subject = Subject::Member(name.clone());
        let Some(machine) = desired.machine(name) else {
            let message = format!("there is no node `{name}` in the spec");
            draft.note(Weight::Blocks, subject, message, "`kubewright status` lists the nodes");
            continue;
        };
        // One that was cut has ended it already, and it is new.
        let is_new = observed.unfinished.as_ref().is_some_and(|left| !left.contains(name));
        if answers(name, observed) && !is_new {
            let message = "it answers, so it cannot be left out: it would go on with what was there before";
            draft.note(Weight::Blocks, subject, message, "leave `--without` out, and it stands down with the others");
        } else if answers(name, observed) {
            continue;
        } else if *machine.body == Body::Existing {
            let message = "is left out, and may hold the cluster's data: it must never come back with its disk";
            let help = "wipe its disk before it is started again, then `kubewright apply` takes it in; nothing here can see to that";
            draft.note(Weight::Warns, subject, message, help);
        } else if matches!(machine::seen(machine, observed), Seen::Present(_)) {
            let message =
                "does not answer, so its machine is deleted with its disk before the cluster is begun, and made anew";
            let help = "its provider says that it is gone: it cannot come back with what was there before";
            draft.note(Weight::Warns, subject, message, help);
        }
    }
}

/// Servers that the spec does not know would go on with what they have.
fn strangers(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    let known =
        |name: &NodeName| desired.members.iter().any(|member| member.name == *name) || desired.without.contains(name);
    let books = observed.cluster.as_ref().and_then(Seen::present);
    let servers = books.iter().flat_map(|seen| seen.nodes.iter()).filter(|(_, node)| node.server).map(|(name, _)| name);
    let doomed = machine::doomed(desired, observed).into_iter().map(|(name, ..)| name);
    let strangers: BTreeSet<&NodeName> = servers.chain(doomed).filter(|name| !known(name)).collect();
    for name in strangers {
        let message = "may hold the cluster's data, and the spec does not know it";
        let help = "put it back into the spec; or take its machine away first, so that it does not go on beside what is restored";
        draft.note(Weight::Blocks, Subject::Member(name.clone()), message, help);
    }
}

/// Agents before servers, so that nothing talks to an API that is gone. Whoever holds nothing has stood down already.
fn all_stand_down(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    let mut agents = Vec::new();
    for pass in [false, true] {
        for member in desired.members.iter().filter(|member| member.role.is_server() == pass) {
            let Some((host, recipe)) = stands_down(desired, member, observed) else { continue };
            let needs = if pass { agents.clone() } else { Vec::new() };
            let action = Action::RunRecipe { host: host.name.clone(), way: host.way.clone(), recipe: recipe.clone() };
            let reason = Reason::Asked("restore".into());
            draft.add(step("leave", &host.name, Stage::Removal, action, reason, needs));
            if !pass {
                agents.push(id("leave", &host.name));
            }
        }
    }
    let able = desired.servers().any(|member| member.recipes.restore.is_some());
    if !able {
        let message = "what this cluster keeps cannot be put back: its data are in no etcd";
        let help = "put back by hand what was saved of its datastore";
        draft.note(Weight::Blocks, Subject::Cluster, message, help);
    }
}

fn stands_down<'a>(
    desired: &'a Desired,
    member: &'a DesiredMember,
    observed: &Observed,
) -> Option<(&'a DesiredHost, &'a Arc<Recipe>)> {
    let host = desired.hosts.iter().find(|host| host.name == member.name)?;
    let seen = observed.hosts.get(&member.name)?.present()?;
    // One whose end nobody has written down may have stood down halfway, and look as if it held nothing.
    let was_cut = observed.unfinished.as_ref().is_some_and(|left| left.contains(&member.name));
    let holds = was_cut || seen.is_member() || seen.is_half_a_member() || seen.serves();
    member.recipes.stand_down.as_ref().filter(|_| holds).map(|recipe| (host, recipe))
}

/// The world as it is when all have stood down: what is set up stays, and nobody is a member of anything.
fn after(desired: &Desired, observed: &Observed) -> Observed {
    let mut after = observed.clone();
    after.cluster = Some(Seen::Absent);
    after.unfinished = None;
    let known: BTreeSet<&NodeName> = desired.machines.iter().map(|machine| &machine.name).collect();
    // Those that are left out are nobody's who could be taken away.
    after.providers.values_mut().for_each(|seen| {
        if let Seen::Present(inventory) = seen {
            inventory.machines.retain(|name, _| known.contains(name));
        }
    });
    after.hosts.retain(|name, _| known.contains(name));
    for machine in given_up(desired, observed) {
        if let Some(Seen::Present(inventory)) = after.providers.get_mut(&machine.provider) {
            inventory.machines.remove(&machine.name);
        }
        after.hosts.remove(&machine.name);
    }
    for member in desired.members.iter().filter(|member| member.recipes.stand_down.is_some()) {
        let host = desired.hosts.iter().find(|host| host.name == member.name);
        if let (Some(host), Some(Seen::Present(seen))) = (host, after.hosts.get_mut(&member.name)) {
            nothing_runs(host, seen);
        }
    }
    after
}

fn nothing_runs(host: &DesiredHost, seen: &mut HostSeen) {
    if let Some(talos) = &seen.talos {
        // It was reset, and waits for its configuration.
        let talos = TalosSeen { maintenance: true, config: Vec::new(), etcd: None, ..talos.clone() };
        let (os, arch) = (seen.os.clone(), seen.arch.clone());
        *seen = HostSeen { os, arch, talos: Some(talos), ..HostSeen::default() };
        return;
    }
    if let Some(kubernetes) = &mut seen.kubernetes {
        let version = kubernetes.version.take();
        *kubernetes = KubernetesSeen { version, ..Default::default() };
    }
    for unit in host.resources.iter().filter_map(|resource| resource.kubernetes()) {
        if let Some(unit) = seen.units.get_mut(&unit.name) {
            (unit.enabled, unit.active, unit.reads) = (false, false, None);
        }
    }
}
