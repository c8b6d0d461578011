//! Everything anew: saved, taken away and built in one plan. A rebuild that was cut goes on where it was: what it has taken
//! away already, and perhaps built again, is not taken away once more.

use std::collections::BTreeSet;

use kubewright_model::change::Subject;
use kubewright_model::desired::{Desired, EXISTING};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{Inventory, Observed, Seen};
use kubewright_model::plan::Weight;

use super::draft::{self, Draft};
use super::{build, destroy, saving, standing};

/// What starts a rebuild over that was cut.
pub(super) const OVER: &str = "`--from-scratch` takes away what was built since, and begins again";

/// Whether a rebuild was cut after everything was gone: what is left of it is to build.
pub(super) fn only_builds(observed: &Observed) -> bool {
    observed.unfinished.as_ref().is_some_and(BTreeSet::is_empty)
}

/// The rest of a rebuild that has nothing left to take away. It is an ordinary plan, and is proven as one.
pub(super) fn goes_on<'a>(desired: &'a Desired, observed: &Observed, was_cut: &str) -> Draft<'a> {
    let mut draft = build(Draft::new(desired), observed, &BTreeSet::new());
    let message = format!("goes on with the {was_cut}, and what is missing is built");
    draft.note(Weight::Tells, Subject::Cluster, message, OVER);
    if draft.begins {
        restores(&mut draft, observed);
    } else if desired.restores.is_some() {
        let message = "nothing is restored: the cluster was begun already";
        draft.note(Weight::Warns, Subject::Cluster, message, OVER);
    }
    draft
}

/// Saves, destroys and builds in one plan: what is built needs what stood in its place to be gone.
pub(super) fn plan<'a>(desired: &'a Desired, observed: &Observed) -> Draft<'a> {
    let kept = kept(desired, observed);
    let mut draft = destroy::plan(Draft::new(desired), observed, &kept);
    if let Some(other) = crate::foundation::of_another_kind(desired, observed) {
        draft.note(Weight::Blocks, Subject::Cluster, other.message, &other.help);
        return draft;
    }
    saving::first(&mut draft, observed);
    restores(&mut draft, observed);
    if observed.unfinished.is_some() {
        let names: Vec<&str> = kept.iter().map(NodeName::as_str).collect();
        let stay = if names.is_empty() { "nothing".into() } else { names.join(", ") };
        let message =
            format!("goes on with the rebuild that was cut: {stay} was taken away by it, and is not once more");
        draft.note(Weight::Tells, Subject::Cluster, message, OVER);
    }
    if draft.notes.iter().any(|note| note.weight == Weight::Blocks) {
        return draft;
    }
    destroy::tell(&mut draft, observed);
    // A new machine waits for the one of its own name, and for those that are not in the spec any more: they may hold
    // its address or its number.
    let unwanted = crate::diff::machine::doomed(desired, observed);
    draft.before_machines = unwanted.into_iter().map(|(name, ..)| draft::id("delete", name)).collect();
    build(draft, &after_destroy(desired, observed, &kept), &BTreeSet::new())
}

/// What was saved holds what the cluster was begun with, and objects as its version writes them: neither can become just
/// anything.
pub(super) fn restores(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    if desired.restores.is_none() {
        return;
    }
    for shaken in crate::foundation::shaken(desired, observed) {
        let help = "take the change back; or leave `--restore` out, and the cluster begins empty";
        draft.note(Weight::Blocks, Subject::Cluster, shaken.message, help);
    }
    let cluster = observed.cluster.as_ref().and_then(Seen::present);
    let newest =
        cluster.and_then(|seen| seen.nodes.values().filter(|node| node.server).map(|node| &node.version).max());
    // Of one that does not answer, its servers tell what ran there.
    let hosts = desired.servers().filter_map(|member| observed.hosts.get(&member.name)?.present()?.kubernetes.as_ref());
    let ran = hosts.filter_map(|kubernetes| kubernetes.version.as_ref()).max();
    if let Some(there) = newest.or(ran)
        && let Err((why, _)) = standing::follows(&desired.kubernetes.version, there)
    {
        let message = format!("what is saved cannot be restored: {why}");
        let help =
            format!("write {there}, and upgrade afterwards; or leave `--restore` out, and the cluster begins empty");
        draft.note(Weight::Blocks, Subject::Cluster, message, &help);
    }
}

/// The nodes that a rebuild has taken away before it was cut. What stands in their place now is new; but while some of the
/// old cluster is left, who is a member is one of that, however it came back.
fn kept(desired: &Desired, observed: &Observed) -> BTreeSet<NodeName> {
    let Some(left) = &observed.unfinished else { return BTreeSet::new() };
    let host = |name: &NodeName| observed.hosts.get(name).and_then(Seen::present);
    let old = |name: &NodeName| !left.is_empty() && host(name).is_some_and(|host| host.is_member() || host.may_vote());
    let names = desired.machines.iter().map(|machine| &machine.name);
    names.filter(|name| !left.contains(*name) && !old(name)).cloned().collect()
}

/// The world as the destruction leaves it: hosts that were there before us stay, and so do hypervisors and templates.
fn after_destroy(desired: &Desired, observed: &Observed, made: &BTreeSet<NodeName>) -> Observed {
    let providers = observed.providers.iter().map(|(name, seen)| {
        let kept = seen.present().filter(|_| name.as_str() == EXISTING);
        let taken = seen.present().map(|inventory| inventory.taken.clone()).unwrap_or_default();
        let jobs = seen.present().and_then(|inventory| inventory.backups.as_ref());
        let backups = jobs.map(|job| if job.why_unknown().is_some() { job.clone() } else { Seen::Absent });
        let templates = seen.present().map(|inventory| inventory.templates.clone()).unwrap_or_default();
        let mut machines = seen.present().map(|inventory| inventory.machines.clone()).unwrap_or_default();
        machines.retain(|name, _| made.contains(name));
        // Addresses that the world knows stay, and so does what servers are put into.
        let resources = seen.present().map(|inventory| inventory.resources.clone()).unwrap_or_default();
        let mut load_balancers = seen.present().map(|inventory| inventory.load_balancers.clone()).unwrap_or_default();
        load_balancers.values_mut().for_each(|balancer| balancer.targets.clear());
        let left =
            || Inventory { machines, taken, backups, templates, resources, load_balancers, ..Inventory::default() };
        (name.clone(), Seen::Present(kept.cloned().unwrap_or_else(left)))
    });
    // A host whose machine stays was cleaned; what it still has is looked at when its turn comes.
    let stays = |name: &NodeName, machine: bool| !machine || made.contains(name);
    let hosts = desired.hosts.iter().filter(|host| stays(&host.name, host.machine.is_some()));
    let hosts = hosts.filter_map(|host| Some((host.name.clone(), observed.hosts.get(&host.name)?.clone())));
    Observed {
        providers: providers.collect(),
        hosts: hosts.collect(),
        cluster: Some(Seen::Absent),
        ..Observed::default()
    }
}
