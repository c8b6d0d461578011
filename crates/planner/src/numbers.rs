//! Which number of a reserve a machine has.
//!
//! [`lower`](crate::lower) deals the numbers of a reserve out in the order of nodes, which is right for a cluster that is not there
//! yet. Of one that is there, a machine keeps the number that it has, wherever the spec has it now; who is new gets one that nobody has.
//! So one more server moves no agent's number.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use kubewright_model::desired::{Desired, DesiredMachine, ProxmoxCluster};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, PlaceName, ProviderName, Vmid};
use kubewright_model::observed::{Inventory, Seen};

use crate::diff::hypervisors::container_file;

/// What is wished, with the numbers that machines have or can have where they take them from a reserve.
///
/// Where a provider could not be looked at, it is as it was.
pub fn numbered<'d>(desired: &'d Desired, providers: &BTreeMap<ProviderName, Seen<Inventory>>) -> Cow<'d, Desired> {
    let mut given: BTreeMap<NodeName, Vmid> = BTreeMap::new();
    for (name, cluster) in &desired.proxmox {
        if let Some(inventory) = providers.get(name).and_then(Seen::present) {
            given.extend(dealt(desired, name, cluster, inventory));
        }
    }
    with(desired, &given)
}

/// What is wished, with the numbers that another wish for the same cluster has from a reserve.
pub(crate) fn like(mut desired: Desired, other: &Desired) -> Desired {
    let reserved: BTreeSet<&NodeName> = other
        .proxmox
        .values()
        .filter_map(|cluster| cluster.reserve.as_ref())
        .flat_map(|reserve| &reserve.takers)
        .collect();
    let theirs = other.machines.iter().filter(|machine| reserved.contains(&machine.name));
    let given = theirs.filter_map(|machine| Some((machine.name.clone(), machine.vmid?))).collect();
    if let Cow::Owned(changed) = with(&desired, &given) {
        desired = changed;
    }
    desired
}

/// The numbers of one reserve: who is there keeps the one that it has, others keep theirs where nobody has it, or get the next one.
fn dealt(
    desired: &Desired,
    provider: &ProviderName,
    cluster: &ProxmoxCluster,
    inventory: &Inventory,
) -> BTreeMap<NodeName, Vmid> {
    let Some(reserve) = &cluster.reserve else { return BTreeMap::new() };
    let there = |name: &NodeName| inventory.machines.get(name).filter(|seen| seen.owner == desired.owner)?.vmid;
    let unread = |name: &NodeName| inventory.unread.iter().find(|unread| unread.name.as_ref() == Some(name))?.vmid;
    let kept = reserve.takers.iter().filter_map(|name| Some((name.clone(), there(name).or_else(|| unread(name))?)));
    let mut given: BTreeMap<NodeName, Vmid> = kept.collect();
    let mut taken: BTreeSet<Vmid> = inventory.machines.values().filter_map(|seen| seen.vmid).collect();
    taken.extend(inventory.templates.values().filter_map(|seen| seen.vmid));
    taken.extend(inventory.unread.iter().filter_map(|unread| unread.vmid));
    let (being_made, foreign): (Vec<_>, Vec<_>) = inventory.taken.iter().partition(|taken| taken.being_made);
    taken.extend(foreign.iter().filter_map(|taken| taken.vmid));
    let new = desired.machines.iter().filter(|machine| machine.provider == *provider);
    let new: Vec<_> =
        new.filter(|machine| reserve.takers.contains(&machine.name) && !given.contains_key(&machine.name)).collect();
    // Those that keep the number of their place have it before others look for one.
    let free = |machine: &&DesiredMachine| machine.vmid.filter(|vmid| !taken.contains(vmid));
    let stay: Vec<(NodeName, Vmid)> =
        new.iter().filter_map(|machine| Some((machine.name.clone(), free(machine)?))).collect();
    taken.extend(stay.iter().map(|(_, vmid)| *vmid));
    // What is being made may be ours, of a run that was cut: who waits for it keeps its number, and nobody else gets it.
    taken.extend(being_made.iter().filter_map(|taken| taken.vmid));
    given.extend(stay);
    let mut left =
        reserve.range.iter().map(Vmid).filter(|vmid| !reserve.except.contains(vmid) && !taken.contains(vmid));
    for machine in new {
        if !given.contains_key(&machine.name)
            && let Some(vmid) = left.next()
        {
            given.insert(machine.name.clone(), vmid);
        }
    }
    given
}

/// What is wished, with these numbers; and what hypervisors hold for containers lies where they have them.
fn with<'d>(desired: &'d Desired, given: &BTreeMap<NodeName, Vmid>) -> Cow<'d, Desired> {
    let changes = |name: &NodeName, vmid: Option<Vmid>| given.get(name).copied().filter(|number| vmid != Some(*number));
    if desired.machines.iter().all(|machine| changes(&machine.name, machine.vmid).is_none()) {
        return Cow::Borrowed(desired);
    }
    let mut changed = desired.clone();
    let mut files: BTreeMap<(PlaceName, String), String> = BTreeMap::new();
    for machine in &mut changed.machines {
        let Some(number) = changes(&machine.name, machine.vmid) else { continue };
        if let Some(before) = machine.vmid.replace(number) {
            files.insert((machine.place.clone(), container_file(before)), container_file(number));
        }
    }
    for host in changed.hosts.iter_mut().filter(|host| host.machine.is_none()) {
        let place = PlaceName::new(host.name.as_str());
        for resource in &mut host.resources {
            if let HostResource::Lines { path, .. } = resource
                && let Some(now) = files.get(&(place.clone(), path.clone()))
            {
                path.clone_from(now);
            }
        }
    }
    Cow::Owned(changed)
}

#[cfg(test)]
mod tests;
