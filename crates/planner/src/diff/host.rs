//! Hosts: which resources are not true, and why.

use std::collections::BTreeMap;

use kubewright_model::change::FieldChange;
use kubewright_model::desired::Desired;
use kubewright_model::digest::Digest;
use kubewright_model::host::{FileWish, HostResource, Proof, UnitRun, UnitWish};
use kubewright_model::ids::{NodeName, Owner};
use kubewright_model::observed::{HostSeen, Observed, UnitSeen};

use super::talos;

/// Why a host that another cluster has set up is left alone, and what to do; nothing where it is ours, or nobody's yet.
pub(crate) fn of_another(name: &NodeName, desired: &Desired, observed: &Observed) -> Option<(String, String)> {
    let Owner(other) = observed.hosts.get(name)?.present()?.owner.as_ref().filter(|owner| **owner != desired.owner)?;
    let message = format!("its host belongs to the cluster {other}");
    let help = format!(
        "take it out of the spec of {other} and apply that, then remove /var/lib/kubewright/owner on it; what {other} has \
         set up there is ours from then on"
    );
    Some((message, help))
}

/// A resource that is not true of a host.
#[derive(Clone, Debug)]
pub struct Differing<'a> {
    /// The resource.
    pub resource: &'a HostResource,
    /// For people.
    pub field: FieldChange,
    /// Everything is as wished but a running unit that read something older.
    pub stale: bool,
}

/// The resources that are not true, in the order of the wish.
pub fn differing<'a>(
    resources: &'a [HostResource],
    seen: &HostSeen,
    filled: &BTreeMap<Digest, Digest>,
) -> Vec<Differing<'a>> {
    let differing = resources.iter().filter_map(|resource| {
        let (from, to, stale) = difference(resource, seen, filled)?;
        Some(Differing { resource, field: FieldChange { field: resource.key(), from, to: Some(to) }, stale })
    });
    differing.collect()
}

type Difference = (Option<String>, String, bool);

fn difference(resource: &HostResource, seen: &HostSeen, filled: &BTreeMap<Digest, Digest>) -> Option<Difference> {
    let plain = |from: Option<&str>, to: &str| Some((from.map(str::to_string), to.to_string(), false));
    match resource {
        HostResource::Package(name) => (!seen.packages.contains(name)).then(|| (None, "installed".into(), false)),
        HostResource::Module(name) => (!seen.modules.contains(name)).then(|| (None, "loaded".into(), false)),
        HostResource::Sysctl { key, value } => {
            let there = seen.sysctls.get(key).map(String::as_str);
            if there == Some(value) { None } else { plain(there, value) }
        }
        HostResource::File(file) => file_difference(file, seen, filled),
        HostResource::Block { path, lines } | HostResource::Lines { path, lines } => {
            lines_difference(seen.blocks.get(path), lines)
        }
        HostResource::HostsEntries(entries) => {
            let lines: Vec<String> = entries.iter().map(|entry| entry.line()).collect();
            lines_difference(seen.blocks.get("/etc/hosts"), &lines)
        }
        HostResource::Download(wish) => {
            let there = seen.files.get(&wish.path);
            let known = seen.settings.get(&resource.key()) == resource.setting().as_ref();
            let right = match (&wish.artifact.proof, there) {
                (Proof::Sha256(digest), Some(file)) => *digest == file.digest,
                (Proof::Checksums { .. }, Some(_)) => known,
                (_, None) => false,
            };
            let moded = there.is_some_and(|file| file.mode == wish.mode);
            if right && moded { None } else { plain(there.map(|_| "another one"), &wish.artifact.name) }
        }
        HostResource::Repository(wish) => {
            let there = seen.settings.get(&resource.key());
            let same = there.map(String::as_str) == Some(wish.mark().as_str());
            if same { None } else { plain(there.map(|_| "differs"), &wish.url) }
        }
        HostResource::Link { path, target } => {
            let there = seen.links.get(path).map(String::as_str);
            if there == Some(target) { None } else { plain(there, target) }
        }
        HostResource::Unit(unit) => {
            let begun = seen.is_member() || seen.is_half_a_member();
            unit_difference(unit, seen.units.get(&unit.name), filled, begun)
        }
        HostResource::User(user) => {
            let wanted = user.lines();
            let there = seen.users.get(&user.name).map(|there| there.lines(user));
            let same = there.as_ref() == Some(&wanted);
            (!same).then(|| (there.map(|there| there.join("\n")), wanted.join("\n"), false))
        }
        HostResource::TalosImage(wish) => talos::image(wish, seen).map(|(from, to)| (from, to, false)),
        HostResource::MachineConfig(wish) => talos::config(wish, seen).map(|(from, to)| (from, to, false)),
        HostResource::Hold(_)
        | HostResource::Directory(_)
        | HostResource::Hostname(_)
        | HostResource::Timezone(_)
        | HostResource::Locale(_)
        | HostResource::SwapOff
        | HostResource::TimeSync
        | HostResource::SshDaemon(_) => {
            let wanted = resource.setting()?;
            let there = seen.settings.get(&resource.key()).map(String::as_str);
            if there == Some(wanted.as_str()) { None } else { plain(there, &wanted) }
        }
    }
}

fn file_difference(file: &FileWish, seen: &HostSeen, filled: &BTreeMap<Digest, Digest>) -> Option<Difference> {
    // A text with holes that nobody filled yet names a secret that does not exist yet.
    let wanted = file.content.digest().or_else(|| filled.get(&file.content.fingerprint()).cloned());
    let to = |digest: Option<&Digest>| {
        let digest = digest.map_or("a secret that is not made yet", Digest::short);
        format!("{} {} {digest}", file.mode, file.owner)
    };
    let there = seen.files.get(&file.path);
    let same = there.is_some_and(|there| {
        Some(&there.digest) == wanted.as_ref() && there.mode == file.mode && there.owner == file.owner
    });
    if same {
        return None;
    }
    // What differs is shown line by line where it may be.
    if let Some((there, text)) = there.and_then(|there| Some((there, there.text.as_ref()?)))
        && file.content.is_complete()
        && Some(&there.digest) != wanted.as_ref()
    {
        let owned = |mode, owner: &str, text: &str| {
            let alike = there.mode == file.mode && there.owner == file.owner;
            if alike { text.to_string() } else { format!("{mode} {owner}\n{text}") }
        };
        let from = owned(there.mode, &there.owner, text);
        return Some((Some(from), owned(file.mode, &file.owner, &file.content.to_string()), false));
    }
    let from = there.map(|there| format!("{} {} {}", there.mode, there.owner, there.digest.short()));
    Some((from, to(wanted.as_ref()), false))
}

fn lines_difference(there: Option<&Vec<String>>, wanted: &[String]) -> Option<Difference> {
    (there.map(Vec::as_slice) != Some(wanted)).then(|| (there.map(|lines| lines.join("\n")), wanted.join("\n"), false))
}

/// A unit that was never started and waits for its recipe differs only in its file; whether it starts with its host is
/// the recipe's as well, from when that has begun.
fn unit_difference(
    unit: &UnitWish,
    seen: Option<&UnitSeen>,
    filled: &BTreeMap<Digest, Digest>,
    begun: bool,
) -> Option<Difference> {
    let should_run = runs_after(unit, seen);
    // What its recipe did not start yet must not start by itself after a power cut either.
    let enabled = unit.enabled && should_run;
    let Some(seen) = seen else { return Some((None, state(enabled, should_run), false)) };
    let written = unit.content.as_ref().is_none_or(|content| content.digest() == seen.content);
    // What it read is written down by the recipe that starts it.
    let recipes = unit.run == UnitRun::ByRecipe && seen.reads.is_none();
    let placed = written && (enabled == seen.enabled || begun && recipes) && (!should_run || seen.active);
    let reads = filled.get(&unit.reads).unwrap_or(&unit.reads);
    let fresh = unit.run == UnitRun::Oneshot || !seen.active || recipes || seen.reads.as_ref() == Some(reads);
    match (placed, fresh) {
        (true, true) => None,
        (true, false) => {
            let how = if unit.run == UnitRun::Reloading { "reads it again" } else { "restarted" };
            Some((Some("runs with what it read before".into()), how.into(), true))
        }
        (false, _) => Some((Some(state(seen.enabled, seen.active)), state(enabled, should_run), false)),
    }
}

fn runs_after(unit: &UnitWish, seen: Option<&UnitSeen>) -> bool {
    match unit.run {
        UnitRun::Running | UnitRun::Reloading | UnitRun::Oneshot => true,
        // The host remembers what it read only if it was started before.
        UnitRun::ByRecipe => seen.is_some_and(|seen| seen.reads.is_some()),
    }
}

fn state(enabled: bool, active: bool) -> String {
    let enabled = if enabled { "enabled" } else { "disabled" };
    format!("{enabled}, {}", if active { "runs" } else { "does not run" })
}

/// Whether making these resources true disturbs a Kubernetes that works: it restarts its unit, or starts it again under a
/// control plane that has gone on without it and is made anew by that.
pub(crate) fn disturbs_kubernetes(differing: &[Differing<'_>], seen: &HostSeen) -> bool {
    let wakes = seen.serves() && units(differing, seen).any(|(_, there)| !there.active);
    wakes || restarts_kubernetes(differing, seen)
}

/// Whether making these resources true restarts what Kubernetes runs in: a unit, or parts of Talos.
pub(crate) fn restarts_kubernetes(differing: &[Differing<'_>], seen: &HostSeen) -> bool {
    differing.iter().any(|difference| talos::disturbs(difference.resource, seen))
        || units(differing, seen).any(|(unit, there)| there.active && there.reads.as_ref() != Some(&unit.reads))
}

/// The units that Kubernetes runs in, of those that differ and are there.
fn units<'a>(differing: &'a [Differing<'_>], seen: &'a HostSeen) -> impl Iterator<Item = (&'a UnitWish, &'a UnitSeen)> {
    let units = differing.iter().filter_map(|difference| difference.resource.kubernetes());
    units.filter_map(|unit| Some((unit, seen.units.get(&unit.name)?)))
}
