//! What the pretend data centre refuses because the real one does, so that no plan is proven by a kinder world.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_engine::sim;
use kubewright_hosts::{Holes, HostError, Hosts, Probe};
use kubewright_model::condition::Condition;
use kubewright_model::desired::DesiredHost;
use kubewright_model::digest::Digest;
use kubewright_model::host::{FileWish, HostResource, UnitWish};
use kubewright_model::ids::NodeName;
use kubewright_model::object::Manifest;
use kubewright_model::observed::Power;
use kubewright_model::plan::{Ask, HostChange};
use kubewright_model::secret::Secret;
use kubewright_model::units::Span;
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
    HostChange { host: host.name.clone(), way: host.way.clone(), owner: None, make: vec![resource], unmake: Vec::new() }
}

#[test]
fn an_api_token_sets_no_feature_of_a_privileged_container() {
    let yard = yard();
    let machine = &yard.desired.machines[0];
    let features = || yard.centre.snapshot().machine(&machine.name).unwrap().seen.settings.features().to_vec();
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
        let seen = hosts(&yard)
            .observe(Probe { host: &host.name, way: &host.way, resources: &asked, holds_data: false, updates: false })
            .await;
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
        let seen = hands
            .observe(Probe {
                host: &host.name,
                way: &host.way,
                resources: &[module()],
                holds_data: false,
                updates: false,
            })
            .await;
        assert!(seen.present().unwrap().modules.contains("overlay"));
    })
    .unwrap();
}

fn breaches(yard: &Yard) -> Vec<String> {
    yard.centre.breaches().into_iter().map(|breach| breach.what).collect()
}

/// A cluster that was built, of three servers behind HAProxy and two agents, in containers.
async fn built() -> Yard {
    let yard = Yard::new(desired(include_str!("refusals/lab.yaml")), 3);
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    assert_eq!(breaches(&yard), [""; 0]);
    yard
}

/// The unit of a node's Kubernetes, wished anew so that it is restarted.
fn restarted(yard: &Yard, name: &str) -> HostChange {
    let host = host(yard, name);
    let unit = host.resources.iter().find_map(|resource| match resource {
        HostResource::Unit(unit) if unit.name.starts_with("k3s") => Some(unit.clone()),
        _ => None,
    });
    change(host, HostResource::Unit(UnitWish { reads: Digest::of("something newer"), ..unit.unwrap() }))
}

fn host<'y>(yard: &'y Yard, name: &str) -> &'y DesiredHost {
    yard.desired.hosts.iter().find(|host| host.name.as_str() == name).unwrap()
}

#[test]
fn two_servers_are_not_restarted_at_once() {
    sim::run(async {
        let yard = built().await;
        let hands = hosts(&yard);
        let restart = async |name: &str| hands.change(&restarted(&yard, name), &Holes::new()).await;
        restart("server-1").await.unwrap();
        assert_eq!(breaches(&yard), [""; 0]);
        let (one, two) = tokio::join!(restart("server-2"), restart("server-3"));
        assert!(one.is_ok() && two.is_ok());
        let [only] = breaches(&yard).try_into().unwrap_or_else(|all| panic!("{all:?}"));
        assert!(only.ends_with("was restarted while 2 of 3 members of etcd answered"), "{only}");
    })
    .unwrap();
}

#[test]
fn an_agent_ends_at_once_with_a_flag_of_servers() {
    sim::run(async {
        let yard = built().await;
        let hands = hosts(&yard);
        let text = "node-name: agent-1\ntoken-file: /etc/rancher/k3s/token\nserver: https://10.0.0.5:6443\nnode-label: []\ntls-san: [x]\n";
        let file = FileWish::new("/etc/rancher/k3s/config.yaml", text, 0o600);
        hands.change(&change(host(&yard, "agent-1"), HostResource::File(file)), &Holes::new()).await.unwrap();
        let error = hands.change(&restarted(&yard, "agent-1"), &Holes::new()).await.unwrap_err();
        let HostError::Failed { log, .. } = &error else { panic!("{error}") };
        assert!(log[0].contains("tls-san"), "{log:?}");
        // The next run mends it.
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    })
    .unwrap();
}

#[test]
fn the_kernels_log_must_be_there_after_every_start() {
    sim::run(async {
        let yard = built().await;
        let name = NodeName::from("agent-1");
        yard.centre.alter(|state| {
            let machine = state.machine_mut(&name).unwrap();
            machine.seen.power = Power::Stopped;
            machine.host.units.get_mut("kubewright-kmsg.service").unwrap().enabled = false;
        });
        provider(&yard).start(&name, &yard.desired.owner).await.unwrap();
        let unit = |unit: &str| {
            let state = yard.centre.snapshot();
            state.machine(&name).unwrap().host.units[unit].active
        };
        assert!(!unit("kubewright-kmsg.service") && !unit("k3s-agent.service"));
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        assert!(unit("kubewright-kmsg.service") && unit("k3s-agent.service"));
    })
    .unwrap();
}

#[test]
fn no_cluster_is_begun_beside_one_whose_servers_are_off() {
    sim::run(async {
        let yard = built().await;
        for name in ["server-1", "server-2", "server-3"] {
            yard.centre.alter(|state| state.machine_mut(&name.into()).unwrap().seen.power = Power::Stopped);
        }
        yard.centre.lose(&"server-1".into());
        let world = yard.centre.world(&yard.desired);
        let machine = yard.desired.machine(&"server-1".into()).unwrap();
        provider(&yard).create(machine, &yard.desired.owner).await.unwrap();
        let files = |resource: &&HostResource| matches!(resource, HostResource::Lines { path, .. } if path.ends_with("/400.conf"));
        let lines = hypervisor(&yard).resources.iter().find(files).unwrap().clone();
        hosts(&yard).change(&change(hypervisor(&yard), lines), &Holes::new()).await.unwrap();
        provider(&yard).start(&machine.name, &yard.desired.owner).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let host = host(&yard, "server-1");
        let holes: Holes = [("secret/join-token".into(), Secret::new("token".into()))].into();
        let whole = HostChange { make: host.resources.clone(), ..change(host, HostResource::SwapOff) };
        world.hosts.as_ref().unwrap().change(&whole, &holes).await.unwrap();
        let member = yard.desired.members.iter().find(|member| member.name == machine.name).unwrap();
        let init = member.recipes.init.clone().unwrap();
        let begun = world.hosts.unwrap().run(&host.name, &host.way, &init, &holes, &|_| {}).await;
        assert!(begun.is_err());
        assert_eq!(breaches(&yard), ["server-1 was to begin a second cluster beside that of server-2"]);
    })
    .unwrap();
}

#[test]
fn no_kubelet_is_newer_than_an_api_server() {
    sim::run(async {
        let yard = built().await;
        yard.centre.alter(|state| {
            let older = "v1.31.3+k3s1".parse().unwrap();
            state.cluster.nodes.get_mut(&NodeName::from("server-2")).unwrap().version = older;
        });
        hosts(&yard).change(&restarted(&yard, "agent-1"), &Holes::new()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        yard.engine().status(&yard.desired).await;
        let what = "the kubelet of agent-1 is v1.31.4+k3s1, newer than server-2 with v1.31.3+k3s1";
        assert_eq!(breaches(&yard), [what]);
    })
    .unwrap();
}

#[test]
fn no_more_agents_are_out_of_service_than_the_spec_allows() {
    sim::run(async {
        let yard = built().await;
        let cluster = yard.centre.world(&yard.desired).cluster.unwrap();
        for name in ["agent-1", "agent-2"].map(NodeName::from) {
            cluster.cordon(&name, true).await.unwrap();
            cluster.drain(&name, Span::from_secs(60), &|_| {}).await.unwrap();
        }
        hosts(&yard).change(&restarted(&yard, "agent-1"), &Holes::new()).await.unwrap();
        assert_eq!(breaches(&yard), ["agent-1 was restarted while 2 agents were drained, and 1 may be"]);
    })
    .unwrap();
}

#[test]
fn an_address_answers_only_where_somebody_has_it_and_serves() {
    sim::run(async {
        let yard = built().await;
        let cluster = yard.centre.world(&yard.desired).cluster.unwrap();
        let saw = async |at: &str| {
            let checked = cluster.check(&Condition::Api(at.parse().unwrap())).await.unwrap();
            (checked.holds, checked.saw)
        };
        assert!(saw("10.0.0.5:6443").await.0 && saw("10.0.0.10:6443").await.0);
        let nobody = (false, "no route to host: nobody has 10.0.0.99".to_string());
        assert_eq!(saw("10.0.0.99:6443").await, nobody);
        assert!(!saw("10.0.0.5:6444").await.0 && !saw("10.0.0.20:6443").await.0);
        yard.centre.alter(|state| {
            let front = state.machine_mut(&"front".into()).unwrap();
            front.host.units.get_mut("haproxy.service").unwrap().active = false;
        });
        let refused = "connection refused: nothing listens on port 6443 of front".to_string();
        assert_eq!(saw("10.0.0.5:6443").await, (false, refused));
    })
    .unwrap();
}

#[test]
fn a_list_of_taints_is_replaced_as_a_whole_where_a_part_of_it_is_applied() {
    sim::run(async {
        let yard = built().await;
        let name = NodeName::from("agent-1");
        yard.centre.alter(|state| {
            state.cluster.nodes.get_mut(&name).unwrap().taints.push("somebody.else/busy:NoSchedule".into());
        });
        let cluster = yard.centre.world(&yard.desired).cluster.unwrap();
        let node = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": name },
            "spec": { "taints": [{ "key": "ours", "effect": "NoSchedule" }] },
        });
        cluster.apply(&[Manifest(node)], &yard.desired.owner, &Holes::new()).await.unwrap();
        let lost = "agent-1 lost the taint somebody.else/busy:NoSchedule to a list that did not hold it";
        assert_eq!(breaches(&yard), [lost]);
    })
    .unwrap();
}
