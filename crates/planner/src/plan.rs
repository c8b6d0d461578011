//! What to do, in which order, and what not to do and why.
//!
//! The list is built layer by layer in the order in which a person would do it; a step needs only steps that stand
//! before it, so there is no graph and no cycle. Every rule that keeps a cluster alive (one voter at a time, quorum,
//! version skew, a sliding window of agents) is here, or in `holders`, `foundation` and `turns`, which `check` goes by too.

mod airgap;
mod applications;
mod backups;
mod balancing;
mod bundle;
mod cautions;
mod clean;
mod cloud;
mod cluster;
mod destroy;
mod draft;
mod dropped;
mod fencing;
mod hosts;
mod keys;
mod leaving;
mod legs;
mod machines;
mod members;
mod moved;
mod preflight;
mod quorum;
mod reboot;
mod rebuild;
mod removal;
mod repair;
mod restore;
mod roles;
mod rolling;
mod rotate;
mod saving;
mod snapshots;
mod standing;
mod talos;
mod templates;
mod turnover;
mod unread;
mod updates;
mod vault;
mod window;

use std::collections::BTreeSet;

use kubewright_model::change::Subject;
use kubewright_model::desired::Desired;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::Observed;
use kubewright_model::plan::{Ask, Note, Plan, Weight};

use crate::holders::Holders;
use crate::upgrades;
use draft::Draft;
pub use leaving::way_like_others;
pub(crate) use legs::{apart, without_leg};
use standing::{ClusterView, Standings};
pub(crate) use templates::outdated as older_than_their_template;

/// Plans what is asked. The world decides nothing but what it shows; the answer is the same for the same inputs.
pub fn plan(desired: &Desired, observed: &Observed, ask: &Ask) -> Plan {
    if let Ask::Repair(repairs) = ask {
        return repair::plan(desired, observed, repairs);
    }
    let mut plan = match legs::legs(desired, observed, ask) {
        legs if legs.is_empty() => at_once(desired, observed, ask),
        legs => legs::plan(desired, observed, ask, &legs),
    };
    if *ask == Ask::Apply {
        plan.notes.extend(upgrades::etcd_of_kubeadm(desired, observed));
    }
    if matches!(ask, Ask::Apply | Ask::Replace(_) | Ask::ReplaceOutdated) {
        plan.notes.extend(upgrades::etcd_of_talos(desired, observed));
    }
    airgap::names_the_way(&mut plan.notes, desired, observed);
    plan
}

/// Plans what is asked, where it is one upgrade at most.
fn at_once(desired: &Desired, observed: &Observed, ask: &Ask) -> Plan {
    let interim = balancing::meanwhile(desired, observed);
    let reached = restore::without_silent(desired, observed);
    let mut asked = ask.clone();
    let mut draft = match ask {
        Ask::Apply => build(Draft::new(&interim), observed, &BTreeSet::new()),
        Ask::Replace(nodes) => replace(&interim, observed, nodes),
        Ask::ReplaceOutdated => {
            let nodes = templates::turn(desired, observed);
            let draft = replace(&interim, observed, &nodes);
            asked = Ask::Replace(nodes);
            draft
        }
        Ask::Rebuild if rebuild::only_builds(observed) => {
            asked = Ask::Apply;
            rebuild::goes_on(&interim, observed, "rebuild that was cut: everything was gone")
        }
        Ask::Rebuild => {
            let mut draft = rebuild::plan(desired, observed);
            cloud::strays(&mut draft, observed);
            draft
        }
        Ask::Destroy => {
            let mut draft = destroy::plan(Draft::new(desired), observed, &BTreeSet::new());
            destroy::tell(&mut draft, observed);
            cloud::destroy(&mut draft, observed);
            templates::destroy(&mut draft, observed);
            clean::plan(&mut draft, observed);
            draft
        }
        Ask::Backup => match &desired.bundle {
            Some(bundle) => bundle::plan(desired, observed, bundle),
            None => saving::backup(desired, observed),
        },
        Ask::Reboot(nodes) => reboot::plan(desired, observed, nodes),
        Ask::RebootNeeded(nodes) => {
            let (draft, those) = reboot::needed(desired, observed, nodes);
            asked = those;
            draft
        }
        Ask::UpdateOs(nodes) => {
            let (draft, those) = updates::plan(desired, observed, nodes);
            asked = those;
            draft
        }
        // It was planned above.
        Ask::Repair(_) => Draft::new(desired),
        Ask::Restore if rebuild::only_builds(observed) => {
            asked = Ask::Apply;
            restore::goes_on(&reached, desired, observed)
        }
        Ask::Restore => restore::plan(&reached, desired, observed),
        Ask::Rotate(what) => rotate::plan(desired, observed, *what),
    };
    talos::resets(&mut draft, observed);
    if matches!(asked, Ask::Apply | Ask::Replace(_)) {
        balancing::settle(&mut draft, desired, observed, &interim);
    }
    if asked == Ask::Apply {
        dropped::tell(&mut draft, observed);
        rotate::tell_what_ends(&mut draft, observed);
        draft.notes.extend(crate::upgrades::charts::doubts(desired, observed));
    }
    if asked != Ask::Destroy {
        draft.notes.splice(0..0, missing_hands(desired));
    }
    if let Some(gap) = &desired.airgap {
        draft.notes.extend(airgap::notes(gap, &draft.steps, desired, observed));
    }
    let rendered = crate::diff::rendered::of_steps(&draft.steps, observed);
    Plan { rendered, ..Plan::new(desired.cluster.clone(), asked, draft.steps, draft.notes) }
}

/// Makes the world as the spec says. `anew` names the nodes that are to be made again although they are there.
fn build<'a>(mut draft: Draft<'a>, observed: &Observed, anew: &BTreeSet<NodeName>) -> Draft<'a> {
    let desired = draft.desired;
    let holders = Holders::new(desired, observed);
    let standings = Standings::new(desired, observed, &holders, anew);
    draft.notes.extend(standings.notes());
    draft.finds(observed, &standings);
    kept_foundation(&mut draft, observed, &standings);
    preflight::plan(&mut draft, observed, &standings);
    talos::plan(&mut draft, &standings);
    cautions::plan(&mut draft, observed, &standings);
    // It follows the plan: each step that takes a server away is judged by what the steps before it have left.
    let mut holders = holders;
    removal::replaced_nodes(&mut draft, observed, &standings, &mut holders, anew);
    removal::lost_nodes(&mut draft, &standings, &mut holders, anew);
    removal::in_the_way(&mut draft, observed, &standings, &mut holders);
    roles::promoted(&mut draft, &standings, &mut holders);
    templates::plan(&mut draft, observed, anew);
    cloud::plan(&mut draft, observed);
    machines::plan(&mut draft, observed, &standings);
    fencing::plan(&mut draft, observed, &standings);
    hosts::plan(&mut draft, observed, &standings, &holders);
    machines::load_balancers(&mut draft, observed);
    members::plan(&mut draft, observed, &standings, &mut holders);
    saving::before_upgrades(&mut draft, observed);
    cluster::plan(&mut draft, &standings);
    talos::kube_proxy(&mut draft, &standings);
    vault::plan(&mut draft, &standings);
    applications::plan(&mut draft, &standings);
    removal::unwanted(&mut draft, observed, &standings, &mut holders);
    cautions::redundancy(&mut draft, &standings);
    machines::unwanted_balancers(&mut draft, observed);
    cloud::leftover(&mut draft, observed);
    templates::unwanted(&mut draft, observed);
    templates::tell(&mut draft, observed);
    snapshots::left_over(&mut draft, observed, &standings);
    backups::plan(&mut draft, observed);
    window::slide(&mut draft, &standings);
    templates::first(&mut draft, anew);
    cluster::unlisted(&mut draft, &standings);
    draft
}

/// What a cluster was begun with it keeps: another wish is refused, never rolled out.
fn kept_foundation(draft: &mut Draft<'_>, observed: &Observed, standings: &Standings<'_>) {
    if matches!(standings.cluster, ClusterView::Absent) && crate::holders::nobody(draft.desired, observed) {
        return;
    }
    let shaken = crate::foundation::shaken(draft.desired, observed);
    for shaken in shaken.into_iter().chain(crate::foundation::pending(observed)) {
        draft.note(Weight::Blocks, Subject::Cluster, shaken.message, &shaken.help);
    }
}

fn replace<'a>(desired: &'a Desired, observed: &Observed, nodes: &[NodeName]) -> Draft<'a> {
    let mut draft = Draft::new(desired);
    if nodes.is_empty() {
        draft.notes = standing::blind_providers(desired, observed);
        draft.notes.extend(unread::notes(desired, observed, &BTreeSet::new()));
        if draft.notes.is_empty() {
            let message = "no node that may go was made from another template than the spec has now";
            draft.note(Weight::Tells, Subject::Cluster, message, "");
        }
        templates::tell(&mut draft, observed);
        return draft;
    }
    if draft.protects(Subject::Cluster) {
        return draft;
    }
    let known: BTreeSet<&NodeName> = desired.machines.iter().map(|machine| &machine.name).collect();
    for name in nodes.iter().filter(|name| !known.contains(name)) {
        let message = format!("there is no node `{name}` in the spec");
        draft.note(Weight::Blocks, Subject::Member(name.clone()), message, "`kubewright status` lists the nodes");
    }
    let anew = quorum::replaceable(&mut draft, observed, nodes);
    build(draft, observed, &anew)
}

/// What this version of the program has no hands for, by name: it never pretends.
fn missing_hands(desired: &Desired) -> Vec<Note> {
    let notes = desired.missing.iter().map(|missing| Note {
        weight: if missing.blocks { Weight::Blocks } else { Weight::Tells },
        subject: Subject::Cluster,
        message: format!("not built yet: {} ({})", missing.what, missing.effect),
        help: None,
        stages: Vec::new(),
    });
    notes.collect()
}

#[cfg(test)]
mod tests {
    use kubewright_model::observed::{Inventory, Seen};
    use kubewright_model::spec::load;

    use super::*;

    #[test]
    fn no_node_is_new_that_nobody_could_look_at() {
        let loaded = load(include_str!("lower/demands/lab.yaml")).unwrap_or_else(|found| panic!("{found:#?}"));
        let desired = crate::lower::lower(&loaded.file).0;
        let planned = |proxmox| {
            let observed = Observed { providers: [("proxmox".into(), proxmox)].into(), ..Observed::default() };
            plan(&desired, &observed, &Ask::ReplaceOutdated)
        };
        let blind = planned(Seen::unknown("nobody answers"));
        assert!(blind.is_blocked() && !blind.notes.iter().any(|note| note.message.contains("no node")));
        let seen = planned(Seen::Present(Inventory::default()));
        assert!(!seen.is_blocked() && seen.notes.iter().any(|note| note.message.contains("no node")));
    }
}
