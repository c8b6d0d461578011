//! What an earlier spec put on a host and this one does not say any more stays there, and is told.
//!
//! The host itself remembers what is ours. It is not taken away by itself: others may have come to rely on it, a package
//! takes its data along, and a kernel setting of before Kubernetes would take the pods' network.

use std::collections::BTreeSet;
use std::path::Path;

use kubewright_model::change::Subject;
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::host::HostResource;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, Observed, Seen};
use kubewright_model::plan::{Action, Step, Weight};
use kubewright_model::recipe::RecipeStep;

use super::draft::Draft;

/// Keys that say where something is. What a later spec wishes in the same place, or below it, is not left over.
const PLACED: [&str; 6] = ["file ", "link ", "directory ", "block in ", "download ", "unit "];
/// Other keys that are told. Groups and folders came along with something else.
const TOLD: [&str; 11] = [
    "module ",
    "sysctl ",
    "package ",
    "hold ",
    "repository ",
    "user ",
    "time zone",
    "locale",
    "swap",
    "time service",
    "ssh daemon",
];
/// How many things are named.
const NAMED: usize = 5;

/// Tells of every host of ours what the spec does not say any more.
pub(super) fn tell(draft: &mut Draft<'_>, observed: &Observed) {
    let desired = draft.desired;
    let others = by_recipes(desired);
    let busy: BTreeSet<NodeName> = draft.steps.iter().filter_map(turned_over).cloned().collect();
    for host in desired.hosts.iter().filter(|host| host.machine.is_some() && !busy.contains(&host.name)) {
        let seen = observed.hosts.get(&host.name).and_then(Seen::present);
        let Some(seen) = seen.filter(|seen| seen.owner.as_ref() == Some(&desired.owner)) else { continue };
        let mut left = left_over(host, seen);
        left.retain(|key| !others.iter().any(|path| is_of(key, path)));
        if left.is_empty() {
            continue;
        }
        let mut named = left.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        if left.len() > NAMED {
            named.push_str(&format!(" and {} more", left.len() - NAMED));
        }
        let message = format!("of earlier specs it keeps: {named}");
        let help = "nothing is taken away by itself: do it by hand where nobody needs it; `kubewright destroy` puts back \
                    what was there before";
        draft.note(Weight::Tells, Subject::Host(host.name.clone()), message, help);
    }
}

/// Whose machine or place in the cluster changes in this plan: what is left over there is to be seen afterwards.
fn turned_over(step: &Step) -> Option<&NodeName> {
    match &step.action {
        Action::CreateMachine(machine) => Some(&machine.name),
        Action::DeleteMachine { name, .. } => Some(name),
        Action::RunRecipe { host, .. } => Some(host),
        _ => None,
    }
}

/// What a distribution takes away by itself, when a node leaves or changes its role.
fn by_recipes(desired: &Desired) -> BTreeSet<&str> {
    let recipes = [&desired.leaving.server, &desired.leaving.agent].into_iter();
    let removed = recipes.flat_map(|recipe| &recipe.steps).filter_map(|step| match step {
        RecipeStep::Remove(path) => Some(path.as_str()),
        _ => None,
    });
    removed.collect()
}

/// Whether something is at a path or below it, by its key.
fn is_of(key: &str, path: &str) -> bool {
    match key.strip_prefix("unit ") {
        Some(unit) => path.strip_prefix("/etc/systemd/system/") == Some(unit),
        None => {
            let place = PLACED.iter().find_map(|start| key.strip_prefix(start));
            place.is_some_and(|place| Path::new(place).starts_with(path))
        }
    }
}

/// The keys of what is ours on a host, and wished no more.
fn left_over<'s>(host: &DesiredHost, seen: &'s HostSeen) -> Vec<&'s str> {
    let keys: BTreeSet<String> = host.resources.iter().map(HostResource::key).collect();
    let paths: BTreeSet<&str> = host.resources.iter().filter_map(path).collect();
    let ours = seen.ours.keys().map(String::as_str).filter(|key| !keys.contains(*key));
    let left = ours.filter(|key| match PLACED.iter().find_map(|start| key.strip_prefix(start)) {
        Some(place) => !paths.iter().any(|path| Path::new(path).starts_with(place)),
        None => TOLD.iter().any(|start| key.starts_with(start)),
    });
    left.collect()
}

/// Where something is.
fn path(resource: &HostResource) -> Option<&str> {
    match resource {
        HostResource::File(file) => Some(&file.path),
        HostResource::Directory(directory) => Some(&directory.path),
        HostResource::Block { path, .. } | HostResource::Link { path, .. } => Some(path),
        HostResource::HostsEntries(_) => Some("/etc/hosts"),
        HostResource::Download(download) => Some(&download.path),
        _ => None,
    }
}
