//! Machines whose place is offline: they are left alone, and the rest of the plan goes on.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::change::Subject;
use kubewright_model::desired::{Desired, DesiredMachine};
use kubewright_model::ids::{NodeName, PlaceName, ProviderName};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Note, Weight};
use kubewright_model::unread::Unread;

use super::draft::Draft;
use crate::diff::machine::inventories;

fn note(weight: Weight, subject: Subject, message: String, help: &str) -> Note {
    Note { weight, subject, message, help: Some(help.into()), stages: Vec::new() }
}

/// What cannot be read, by its provider and place.
fn places(observed: &Observed) -> BTreeMap<(&ProviderName, &PlaceName), Vec<String>> {
    let mut places: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (provider, inventory) in inventories(observed) {
        for it in &inventory.unread {
            places.entry((provider, &it.place)).or_default().push(it.title());
        }
    }
    places.values_mut().for_each(|titles| titles.sort());
    places
}

/// One note for each place that is offline, and one for each machine there without which the rest may not go on.
pub(super) fn notes(desired: &Desired, observed: &Observed, anew: &BTreeSet<NodeName>) -> Vec<Note> {
    let told = places(observed).into_iter().map(|((provider, place), titles)| {
        let are = if titles.len() == 1 { "is" } else { "are" };
        let message = format!("node {place} of {provider} is offline, so {} {are} left alone", titles.join(", "));
        note(Weight::Warns, Subject::Cluster, message, "the rest goes on; plan again when it is back")
    });
    let unread = desired.machines.iter().filter_map(|machine| Some((machine, unread(machine, observed)?)));
    let blocks = unread.filter_map(|(machine, it)| {
        let (why, help) = match older(desired, observed, &machine.name) {
            _ if anew.contains(&machine.name) => {
                ("it cannot be made anew".to_string(), "replace others, or bring it back first")
            }
            Some(version) => {
                let why = format!("it is a server that runs {version}, and agents may not be newer");
                (why, "upgrade when it is back; or take the server out of the cluster first")
            }
            None => return None,
        };
        let subject = Subject::Machine(machine.name.clone());
        Some(note(Weight::Blocks, subject, format!("{why}: {}", it.why()), help))
    });
    told.chain(blocks).collect()
}

fn unread<'a>(machine: &DesiredMachine, observed: &'a Observed) -> Option<&'a Unread> {
    let inventory = observed.providers.get(&machine.provider)?.present()?;
    inventory.unread(&machine.name, machine.vmid).filter(|_| !inventory.machines.contains_key(&machine.name))
}

/// The version of a server that is to be upgraded.
fn older(desired: &Desired, observed: &Observed, name: &NodeName) -> Option<String> {
    let node = observed.cluster.as_ref().and_then(Seen::present)?.nodes.get(name)?;
    (node.server && node.version < desired.kubernetes.version).then(|| node.version.to_string())
}

/// Where everything is to go, nothing may be left over.
pub(super) fn left_over(draft: &mut Draft<'_>, observed: &Observed) {
    for ((provider, place), titles) in places(observed) {
        let message = format!("node {place} of {provider} is offline, and {} cannot be deleted", titles.join(", "));
        draft.note(Weight::Blocks, Subject::Cluster, message, "bring the node back first: they would be left over");
    }
}
