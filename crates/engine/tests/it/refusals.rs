//! What the pretend data centre refuses because the real one does, so that no plan is proven by a kinder world.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_engine::sim;
use kubewright_hosts::{Holes, Hosts, Probe};
use kubewright_model::desired::DesiredHost;
use kubewright_model::host::HostResource;
use kubewright_model::plan::HostChange;
use kubewright_providers::Provider;

use crate::yard::{Yard, desired};

const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");

fn yard() -> Yard {
    Yard::new(desired(DEVBOARD), 1)
}

fn provider(yard: &Yard) -> Arc<dyn Provider> {
    yard.centre.world(&yard.desired).providers.pop_first().unwrap().1
}

fn hosts(yard: &Yard) -> Arc<dyn Hosts> {
    yard.centre.world(&yard.desired).hosts.unwrap()
}

fn hypervisor(yard: &Yard) -> &DesiredHost {
    yard.desired.hosts.iter().find(|host| host.machine.is_none()).unwrap()
}

/// A change of one thing on a host.
fn change(host: &DesiredHost, resource: HostResource) -> HostChange {
    HostChange { host: host.name.clone(), way: host.way.clone(), make: vec![resource], unmake: Vec::new() }
}

#[test]
fn an_api_token_sets_no_feature_of_a_privileged_container() {
    let yard = yard();
    let machine = &yard.desired.machines[0];
    let features = || yard.centre.snapshot().machine(&machine.name).unwrap().seen.features.clone();
    sim::run(async {
        provider(&yard).create(machine, &yard.desired.owner).await.unwrap();
        provider(&yard).update(machine, &yard.desired.owner).await.unwrap();
        assert_eq!(features(), [""; 0]);
        let file = |resource: &&HostResource| matches!(resource, HostResource::Lines { path, .. } if path.ends_with("/400.conf"));
        let lines = hypervisor(&yard).resources.iter().find(file).unwrap();
        hosts(&yard).change(&change(hypervisor(&yard), lines.clone()), &Holes::new()).await.unwrap();
        provider(&yard).update(machine, &yard.desired.owner).await.unwrap();
        assert_eq!(features(), ["fuse", "keyctl", "mknod", "nesting"]);
    })
    .unwrap();
}

#[test]
fn a_container_that_is_not_there_has_no_file_to_write_into() {
    let yard = yard();
    let host = hypervisor(&yard);
    let lines = |path: &str| HostResource::Lines { path: path.into(), lines: vec!["lxc.cap.drop:".into()] };
    sim::run(async {
        let hands = hosts(&yard);
        let write = async |path: &str| hands.change(&change(host, lines(path)), &Holes::new()).await;
        let error = write("/etc/pve/lxc/400.conf").await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
        let machine = &yard.desired.machines[0];
        provider(&yard).create(machine, &yard.desired.owner).await.unwrap();
        assert!(write("/etc/pve/lxc/400.conf").await.unwrap().changed);
        assert!(write("/etc/pve/storage.cfg").await.is_err());
        // A machine takes its file along, whoever removes it.
        yard.centre.lose(&machine.name);
        assert_eq!(yard.centre.leftovers(), [""; 0]);
    })
    .unwrap();
}

#[test]
fn a_hypervisor_tells_what_it_was_asked_and_no_more() {
    let yard = yard();
    let host = hypervisor(&yard);
    sim::run(async {
        for machine in &yard.desired.machines {
            provider(&yard).create(machine, &yard.desired.owner).await.unwrap();
        }
        let whole = HostChange { make: host.resources.clone(), ..change(host, HostResource::SwapOff) };
        hosts(&yard).change(&whole, &Holes::new()).await.unwrap();
        let asked: Vec<HostResource> = host.resources.iter().rev().take(1).cloned().collect();
        let seen = hosts(&yard).observe(Probe { host: &host.name, way: &host.way, resources: &asked }).await;
        let seen = seen.present().unwrap();
        assert_eq!((seen.blocks.len(), seen.modules.clone()), (1, BTreeSet::new()));
    })
    .unwrap();
}

#[test]
fn a_container_loads_no_module_and_has_those_of_its_hypervisor() {
    let yard = yard();
    let machine = &yard.desired.machines[0];
    let host = yard.desired.hosts.iter().find(|host| host.name == machine.name).unwrap();
    let module = || HostResource::Module("overlay".into());
    sim::run(async {
        provider(&yard).create(machine, &yard.desired.owner).await.unwrap();
        provider(&yard).start(&machine.name, &yard.desired.owner).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let hands = hosts(&yard);
        let error = hands.change(&change(host, module()), &Holes::new()).await.unwrap_err();
        assert!(error.to_string().contains("loaded by the hypervisor"), "{error}");
        hands.change(&change(hypervisor(&yard), module()), &Holes::new()).await.unwrap();
        assert!(!hands.change(&change(host, module()), &Holes::new()).await.unwrap().changed);
        let seen = hands.observe(Probe { host: &host.name, way: &host.way, resources: &[module()] }).await;
        assert!(seen.present().unwrap().modules.contains("overlay"));
    })
    .unwrap();
}
