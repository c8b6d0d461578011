//! What an earlier spec put on a host and this one does not say any more: it goes, and what was there before comes back.
//!
//! The host itself remembers what is ours there. What others may have come to rely on meanwhile, the way in and what a
//! kubelet needs, stays as it is, and a note says so.

use std::collections::BTreeSet;

use kubewright_model::change::{Reason, Subject};
use kubewright_model::desired::{Desired, DesiredHost};
use kubewright_model::host::{Before, HostResource};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::observed::{HostSeen, Observed, Seen};
use kubewright_model::plan::{Action, Stage, Step, Weight};
use kubewright_model::recipe::RecipeStep;

use super::clean::{Left, login, put_back};
use super::draft::Draft;
use crate::diff::host::of_another;

/// Keys that say where something is. It is not taken away under what is wished in the same place, or below it.
const PLACED: [&str; 5] = ["file ", "link ", "directory ", "block in ", "download "];
/// Other keys of what goes.
const GOES: [&str; 8] = ["unit ", "module ", "sysctl ", "package ", "hold ", "repository ", "time zone", "locale"];
/// Keys of what stays.
const STAYS: [&str; 3] = ["swap", "time service", "ssh daemon"];

/// Takes back on every host what the spec does not say any more, when everything else is done there.
pub(super) fn plan(draft: &mut Draft<'_>, desired: &Desired, observed: &Observed) {
    let mut others: BTreeSet<NodeName> = draft.steps.iter().filter_map(made_anew).cloned().collect();
    let blocked = draft.notes.iter().filter(|note| note.weight == Weight::Blocks);
    others.extend(blocked.filter_map(|note| note.subject.node()).cloned());
    let before = draft.steps.len();
    let by_recipes = by_recipes(desired);
    for host in desired.hosts.iter().filter(|host| host.machine.is_some() && !others.contains(&host.name)) {
        let Some(seen) = observed.hosts.get(&host.name).and_then(Seen::present) else { continue };
        if seen.ours.is_empty() || of_another(&host.name, desired, observed).is_some() {
            continue;
        }
        let wish = Wish::of(host);
        tell(draft, host, &wish, seen);
        let mut goes = wish.lacks(seen);
        goes.retain(|key| !by_recipes.iter().any(|path| is_of(key, path)));
        if !goes.is_empty() {
            let needs = needs(&draft.steps[..before], &host.name, &goes);
            let owner = Some(desired.owner.clone());
            let left = Left { deed: "drop", stage: Stage::Hosts, owner, reason: Reason::NotInSpec, needs };
            put_back(draft, host, goes.into_iter().map(|key| (key, seen.ours[key])), left);
        }
    }
}

/// Whose machine is made in this plan, so that nothing of what is on it now is left.
fn made_anew(step: &Step) -> Option<&NodeName> {
    match &step.action {
        Action::CreateMachine(machine) => Some(&machine.name),
        Action::DeleteMachine { name, .. } => Some(name),
        _ => None,
    }
}

/// What a distribution takes away by itself, when a node leaves or changes its role.
fn by_recipes(desired: &Desired) -> BTreeSet<&str> {
    let recipes = desired.leaving.iter().flat_map(|leaving| [&leaving.server, &leaving.agent]);
    let removed = recipes.flat_map(|recipe| &recipe.steps).filter_map(|step| match step {
        RecipeStep::Remove(path) => Some(path.as_str()),
        _ => None,
    });
    removed.collect()
}

/// Whether something is at a path, by its key. Below it there may be what the user has put there.
fn is_of(key: &str, path: &str) -> bool {
    match key.strip_prefix("unit ") {
        Some(unit) => path.strip_prefix("/etc/systemd/system/") == Some(unit),
        None => place(key) == Some(path),
    }
}

/// What must be done before: what is done to this host, and what may need something of it while it goes. Others may need
/// what runs on it until they are all as wished.
fn needs(steps: &[Step], name: &NodeName, goes: &[&String]) -> Vec<StepId> {
    let any = |kinds: &[&str]| goes.iter().any(|key| kinds.iter().any(|kind| key.starts_with(kind)));
    let (stops, lacks) = (any(&["unit "]), any(&["package ", "module "]));
    let needs = steps.iter().filter(|step| {
        let goes = lacks && matches!(step.action, Action::RemoveRelease { .. } | Action::DeleteObjects(_));
        let here = matches!(step.stage, Stage::Machines | Stage::Hosts | Stage::Removal);
        stops || goes || here && step.subject.node() == Some(name)
    });
    needs.map(|step| step.id.clone()).collect()
}

/// What is lost with something, and what stays.
fn tell(draft: &mut Draft<'_>, host: &DesiredHost, wish: &Wish<'_>, seen: &HostSeen) {
    let subject = || Subject::Host(host.name.clone());
    let stays: Vec<&str> = STAYS.into_iter().filter(|key| seen.ours.contains_key(*key) && !wish.has(key)).collect();
    if !stays.is_empty() {
        let message = format!("what an earlier spec has set stays: {}", stays.join(", "));
        let help = "set it by hand where it should be another; `kubewright destroy` puts back what was there before";
        draft.note(Weight::Tells, subject(), message, help);
    }
    for (key, before) in &seen.ours {
        if let Some(user) = key.strip_prefix("user ").filter(|user| *user != login(host, seen))
            && *before == Before::Absent
            && !wish.has(key)
        {
            let message = format!("the user {user} goes, and its home with all that is in it");
            draft.note(Weight::Warns, subject(), message, "put it back into the spec to keep it");
        }
    }
}

/// What is wished of a host.
struct Wish<'a> {
    keys: BTreeSet<String>,
    paths: BTreeSet<&'a str>,
    /// Groups and who is in them.
    members: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Wish<'a> {
    fn of(host: &'a DesiredHost) -> Self {
        let members = host.resources.iter().filter_map(|resource| match resource {
            HostResource::User(user) => Some(user.groups.iter().map(|group| (group.as_str(), user.name.as_str()))),
            _ => None,
        });
        Self {
            keys: host.resources.iter().map(HostResource::key).collect(),
            paths: host.resources.iter().filter_map(path).collect(),
            members: members.flatten().collect(),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whether something is wished at a path or below it.
    fn holds(&self, path: &str) -> bool {
        self.paths.iter().any(|wished| is_at_or_below(wished, path))
    }

    /// The keys of what goes.
    fn lacks<'s>(&self, seen: &'s HostSeen) -> Vec<&'s String> {
        let goes: BTreeSet<&String> = seen.ours.keys().filter(|key| !self.has(key) && self.goes(key)).collect();
        let places: Vec<&str> = goes.iter().filter_map(|key| place(key)).collect();
        // A folder that was made for something goes with it.
        let empty = seen.ours.keys().filter(|key| {
            let folder = key.strip_prefix("folder ").filter(|folder| !self.holds(folder));
            folder.is_some_and(|folder| places.iter().any(|place| is_at_or_below(place, folder)))
        });
        goes.iter().copied().chain(empty).collect()
    }

    fn goes(&self, key: &str) -> bool {
        if key.starts_with("user ") {
            return true;
        }
        if let Some((user, group)) = key.strip_prefix("membership of ").and_then(|key| key.split_once(" in ")) {
            return !self.members.contains(&(group, user));
        }
        if let Some(group) = key.strip_prefix("group ") {
            return !self.has(&format!("user {group}")) && !self.members.iter().any(|(other, _)| *other == group);
        }
        match place(key) {
            Some(path) => !self.holds(path),
            None => GOES.iter().any(|start| key.starts_with(start)),
        }
    }
}

/// Where something is, by its key.
fn place(key: &str) -> Option<&str> {
    PLACED.iter().find_map(|start| key.strip_prefix(start))
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

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
