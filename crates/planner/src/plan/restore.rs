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

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, DesiredHost, DesiredMember};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, KubernetesSeen, Observed, Seen};
use kubewright_model::plan::{Action, Stage, Weight};
use kubewright_model::recipe::Recipe;
use kubewright_model::talos::TalosSeen;

use super::draft::{Draft, id};
use super::leaving::step;
use super::{build, rebuild, saving, standing};

/// What is wished without agents that nobody can reach: the cluster is restored without them, and they are told of.
pub(super) fn without_silent<'a>(desired: &'a Desired, observed: &Observed) -> Cow<'a, Desired> {
    let silent: BTreeSet<NodeName> = silent(desired, observed).map(|member| member.name.clone()).collect();
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
    saving::while_it_answers(&mut draft, observed);
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

fn tell_silent(draft: &mut Draft<'_>, desired: &Desired, observed: &Observed) {
    for member in silent(desired, observed) {
        let why = observed.hosts.get(&member.name).and_then(Seen::why_unknown);
        let message =
            format!("cannot be reached and is left out: {}", why.map_or("nobody knows why", |why| &why.words));
        let help = "when it is back, its node is in no book: `kubewright replace` makes it anew";
        draft.note(Weight::Warns, Subject::Member(member.name.clone()), message, help);
    }
    for member in desired.servers() {
        let Some(why) = observed.hosts.get(&member.name).and_then(Seen::why_unknown) else { continue };
        let message = format!("may hold the cluster's data and cannot be reached: {why}");
        let help = "bring it back; or, where it is lost for good, take it out of the spec and see to it that it never comes back \
                    with its disk: it would go on with what was there before";
        draft.note(Weight::Blocks, Subject::Member(member.name.clone()), message, help);
    }
}

/// Servers that the spec does not know would go on with what they have.
fn strangers(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    let known = |name: &NodeName| desired.members.iter().any(|member| member.name == *name);
    let books = observed.cluster.as_ref().and_then(Seen::present);
    let servers = books.iter().flat_map(|seen| seen.nodes.iter()).filter(|(_, node)| node.server).map(|(name, _)| name);
    let doomed = crate::diff::machine::doomed(desired, observed).into_iter().map(|(name, ..)| name);
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
