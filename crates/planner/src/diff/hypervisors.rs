//! Hypervisors and the raw lines of their containers.
//!
//! The spec puts a container on a hypervisor; afterwards it may be moved, and its lines are where it is. So hypervisors
//! are looked at, and written to, by what their provider says of the containers.

use kubewright_model::desired::{Body, Desired, DesiredHost, DesiredMachine, Way};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, PlaceName, Vmid};

/// Hypervisors that need a word from us, each with the lines of its containers. `place` tells where a machine is; what is
/// nowhere yet will be made where the spec puts it.
pub fn hypervisors<'a>(
    desired: &Desired,
    place: impl Fn(&DesiredMachine) -> Option<&'a PlaceName>,
) -> Vec<DesiredHost> {
    let mut hosts: Vec<DesiredHost> = desired.hosts.iter().filter(|host| host.machine.is_none()).cloned().collect();
    for machine in &desired.machines {
        let (Some(path), Some(place)) = (lines_file(machine), place(machine)) else { continue };
        if *place == machine.place {
            continue;
        }
        let from = hosts.iter_mut().find(|host| host.name.as_str() == machine.place.as_str());
        let Some(from) = from else { continue };
        let like = from.way.clone();
        let Some(lines) = take(&mut from.resources, &path) else { continue };
        // What it holds for all of its containers, the other one needs too.
        let shared = from.resources.iter().filter(|it| !matches!(it, HostResource::Lines { .. })).cloned();
        let shared: Vec<HostResource> = shared.collect();
        match hosts.iter_mut().find(|host| host.name.as_str() == place.as_str()) {
            Some(there) => {
                let missing = shared.into_iter().filter(|it| !there.resources.contains(it));
                let missing: Vec<HostResource> = missing.collect();
                there.resources.splice(0..0, missing);
                there.resources.push(lines);
            }
            None => hosts.push(DesiredHost {
                name: NodeName::new(place.as_str()),
                machine: None,
                way: match desired.proxmox.get(&machine.provider) {
                    Some(cluster) => cluster.way_to(place, like),
                    None => Way { address: None, name: Some(place.to_string()), ..like },
                },
                os: None,
                resources: shared.into_iter().chain([lines]).collect(),
                listens: Vec::new(),
            }),
        }
    }
    hosts
}

/// The file of a container's configuration on the hypervisor where it is.
pub(crate) fn lines_file(machine: &DesiredMachine) -> Option<String> {
    match &*machine.body {
        Body::Lxc(_) => Some(container_file(machine.vmid?)),
        Body::Vm(_) | Body::Server(_) | Body::Existing | Body::Local => None,
    }
}

/// The file of a container on its hypervisor. <https://pve.proxmox.com/pve-docs/pct.conf.5.html>
pub(crate) fn container_file(vmid: Vmid) -> String {
    format!("/etc/pve/lxc/{vmid}.conf")
}

fn take(resources: &mut Vec<HostResource>, path: &str) -> Option<HostResource> {
    let at =
        resources.iter().position(|resource| matches!(resource, HostResource::Lines { path: it, .. } if it == path));
    at.map(|at| resources.remove(at))
}
