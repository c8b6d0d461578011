//! What was on a host before us: written down when something is touched first, and put back when it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use kubewright_hosts::HostError;
use kubewright_model::host::{Before, HostResource};
use kubewright_model::observed::HostSeen;
use kubewright_model::plan::HostChange;
use kubewright_planner::diff::host::differing;

use super::hosts::{asked_for, failed};
use super::rancher::Kind;
use super::state::{Machine, UNITS};

/// Writes down whose a host is. Nothing is done on the host of another cluster.
pub(super) fn belong(machine: &mut Machine, change: &HostChange) -> Result<(), HostError> {
    match (&machine.host.owner, &change.owner) {
        (Some(there), Some(ours)) if there != ours => {
            let why = format!("the host belongs to the cluster {}", there.0);
            Err(failed(&change.host, "changing it", why))
        }
        (None, Some(ours)) if !change.make.is_empty() => {
            machine.host.owner = Some(ours.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Writes down what is there of a resource that is about to be made true, unless that was done before.
pub(super) fn note(machine: &mut Machine, resource: &HostResource) {
    let key = resource.key();
    let was = look(machine, resource);
    let differs = !differing(std::slice::from_ref(resource), &was, &BTreeMap::new()).is_empty();
    if differs && !machine.before.contains_key(&key) {
        machine.before.insert(key, (resource.clone(), was));
    }
}

/// What we have touched, and whether it was there before.
pub(super) fn ours(machine: &Machine) -> BTreeMap<String, Before> {
    let of = |(key, (_, was)): (&String, &(HostResource, HostSeen))| {
        let before = if *was == nothing(was) { Before::Absent } else { Before::There };
        (key.clone(), before)
    };
    machine.before.iter().map(of).collect()
}

/// Puts back what was there and forgets it; returns whether there was anything to put back.
pub(super) fn put_back(machine: &mut Machine, key: &str) -> bool {
    let Some((resource, was)) = machine.before.remove(key) else { return false };
    if machine.before.is_empty() {
        machine.host.owner = None;
    }
    let now = look(machine, &resource);
    let host = &mut machine.host;
    swap_set(&mut host.packages, &now.packages, was.packages);
    swap_set(&mut host.modules, &now.modules, was.modules);
    swap(&mut host.sysctls, &now.sysctls, was.sysctls);
    swap(&mut host.files, &now.files, was.files);
    swap(&mut host.blocks, &now.blocks, was.blocks);
    swap(&mut host.links, &now.links, was.links);
    swap(&mut host.units, &now.units, was.units);
    swap(&mut host.users, &now.users, was.users);
    swap(&mut host.settings, &now.settings, was.settings.clone());
    match &resource {
        HostResource::File(file) => drop(machine.texts.remove(&file.path)),
        HostResource::Download(download) => {
            if was.settings.is_empty() {
                machine.host.files.remove(&download.path);
            }
            if Kind::of(&download.path, Kind::binary).is_some() {
                machine.host.kubernetes = was.kubernetes;
            }
        }
        HostResource::Unit(unit) => {
            machine.texts.remove(&format!("{UNITS}{}", unit.name));
            machine.reads.remove(&unit.name);
        }
        _ => {}
    }
    true
}

/// What a look shows of one resource.
fn look(machine: &Machine, resource: &HostResource) -> HostSeen {
    asked_for(&machine.host, &machine.host.modules, std::slice::from_ref(resource))
}

/// The same host without the resource.
fn nothing(was: &HostSeen) -> HostSeen {
    HostSeen {
        os: was.os.clone(),
        arch: was.arch.clone(),
        clock_skew: was.clock_skew,
        kubernetes: was.kubernetes.clone(),
        owner: was.owner.clone(),
        facts: was.facts.clone(),
        ..HostSeen::default()
    }
}

fn swap<V: Clone>(all: &mut BTreeMap<String, V>, now: &BTreeMap<String, V>, was: BTreeMap<String, V>) {
    all.retain(|key, _| !now.contains_key(key));
    all.extend(was);
}

fn swap_set(all: &mut BTreeSet<String>, now: &BTreeSet<String>, was: BTreeSet<String>) {
    all.retain(|name| !now.contains(name));
    all.extend(was);
}
