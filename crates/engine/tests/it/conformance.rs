//! The contracts of the four seams: what documents say, what checks hold, and that our own hands keep them.

use std::net::IpAddr;
use std::sync::Arc;

use kubewright_engine::conformance::{self, Broken, cluster, hosts, provider, store};
use kubewright_engine::sim::{self, MemoryStore};
use kubewright_engine::store::folder::FolderStore;
use kubewright_hosts::{Password, RealHosts, User};
use kubewright_model::desired::{DesiredMachine, Way};
use kubewright_model::host::{FileWish, HostResource};
use kubewright_model::ids::{NodeName, Owner, Vmid};
use kubewright_model::observed::Power;
use kubewright_model::plan::Ask;
use kubewright_providers::existing::Existing;
use kubewright_providers::{Doomed, ErrorKind, Provider as _};

use crate::fake::Fake;
use crate::hcloud_hands;
use crate::lab::{Lab, PORT};
use crate::taught::{GETS_IMAGES, GROWS};
use crate::wishes;
use crate::yard::{Yard, desired};

pub(crate) const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");

pub(crate) fn holds(broken: &[Broken]) {
    let told: Vec<String> =
        broken.iter().map(|it| format!("{} {}: {}", it.rule.number, it.rule.words, it.how)).collect();
    assert!(broken.is_empty(), "{}", told.join("\n"));
}

#[test]
fn documents_and_checks_hold_the_same_rules() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/contracts");
    for (page, rules) in conformance::rules() {
        let text = std::fs::read_to_string(folder.join(format!("{page}.md"))).unwrap();
        let written: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("- **")).collect();
        let checked: Vec<String> = rules.iter().map(|rule| format!("{}** {}.", rule.number, rule.words)).collect();
        assert_eq!(written, checked, "docs/contracts/{page}.md");
        for rule in rules {
            let words = rule.words;
            assert!(words.contains("MUST") || words.contains("MAY"), "{} obliges nobody", rule.number);
        }
    }
}

#[test]
fn the_simulated_provider_keeps_its_contract() {
    let yard = Yard::new(desired(DEVBOARD), 1);
    let (name, hands) = yard.centre.world(&yard.desired).providers.pop_first().unwrap();
    let machine = &yard.desired.machines[0];
    let foreign = NodeName::from("somebody-vm");
    yard.centre.put_foreign(&name, &machine.place, &foreign, Vmid(900));
    let case = provider::Case {
        hands: &*hands,
        owner: &Owner("conformance".into()),
        machine,
        clashing: &DesiredMachine { name: "another".into(), ..machine.clone() },
        foreign: &foreign,
        template: Some(&DesiredMachine {
            place: machine.place.clone(),
            provider: name,
            ..wishes::unbuilt("noble-1a2b", 90011)
        }),
    };
    holds(&sim::run(provider::check(case)).unwrap());
}

#[tokio::test]
async fn proxmox_keeps_the_contract_of_providers() {
    let mut fake = Fake::start();
    fake.tell(GETS_IMAGES);
    fake.tell(GROWS);
    for wish in [wishes::container("agent-1", 400, "pve1"), wishes::virtual_machine("master-1", 1001, "pve1")] {
        let case = provider::Case {
            hands: &fake.hands(),
            owner: &wishes::owner(),
            machine: &wish,
            clashing: &DesiredMachine { name: "another".into(), ..wish.clone() },
            foreign: &"somebody-elses".into(),
            template: Some(&wishes::unbuilt("noble-1a2b", 90011)),
        };
        holds(&provider::check(case).await);
    }
}

#[tokio::test]
async fn hetzner_keeps_the_contract_of_providers() {
    let fake = hcloud_hands::quick();
    let hands = hcloud_hands::hands(&fake);
    hcloud_hands::surround(&hands).await.unwrap();
    fake.seed("somebody-elses", 1, &serde_json::json!({}));
    let wish = hcloud_hands::server("agent-1", "10.0.0.5", hcloud_hands::body());
    let case = provider::Case {
        hands: &hands,
        owner: &hcloud_hands::owner(),
        machine: &wish,
        clashing: &DesiredMachine { name: "another".into(), ..wish.clone() },
        foreign: &"somebody-elses-1".into(),
        template: None,
    };
    holds(&provider::check(case).await);
}

#[test]
fn simulated_hosts_keep_their_contract() {
    let yard = Yard::new(desired(DEVBOARD), 1);
    let machine = &yard.desired.machines[1];
    let host = yard.desired.hosts.iter().find(|host| host.name == machine.name).unwrap();
    let resources = [
        HostResource::Package("curl".into()),
        HostResource::Sysctl { key: "net.ipv4.ip_forward".into(), value: "1".into() },
        HostResource::File(FileWish::new("/etc/kubewright.d/one", "one\n", 0o640)),
        HostResource::Block { path: "/etc/profile".into(), lines: vec!["# ours".into()] },
        HostResource::Link { path: "/opt/one".into(), target: "/etc/kubewright.d/one".into() },
        HostResource::Hostname("one".into()),
        HostResource::Timezone("Europe/Paris".into()),
        HostResource::SwapOff,
    ];
    let broken = sim::run(async {
        let world = yard.centre.world(&yard.desired);
        let (name, provider) = world.providers.first_key_value().unwrap();
        provider.create(machine, &yard.desired.owner).await.unwrap();
        provider.start(&machine.name, &yard.desired.owner).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let hands = world.hosts.unwrap();
        let silent = NodeName::from("nobody");
        let way: &Way = &host.way;
        assert_eq!(yard.centre.snapshot().machines[name][&machine.name].seen.power, Power::Running);
        let case = hosts::Case {
            hands: &*hands,
            host: &host.name,
            way,
            silent: &silent,
            silent_way: way,
            resources: &resources,
        };
        hosts::check(case).await
    });
    holds(&broken.unwrap());
}

#[tokio::test]
async fn real_hosts_keep_their_contract() {
    let Some(lab) = Lab::open() else { return };
    let lab = lab.host("one");
    let home = tempfile::tempdir().unwrap();
    let hands = RealHosts::new(User {
        home: home.path().to_path_buf(),
        agent: None,
        known_hosts: home.path().join("known"),
        ask: Arc::new(|_: &Password| Err("nobody is asked".into())),
    });
    let hands = hands.unwrap();
    let resources = [
        HostResource::File(FileWish::new("/etc/kubewright.d/one", "one\n", 0o640)),
        HostResource::Block { path: "/etc/profile".into(), lines: vec!["# ours".into()] },
        HostResource::Link { path: "/opt/one".into(), target: "/etc/kubewright.d/one".into() },
        HostResource::Timezone("Europe/Paris".into()),
    ];
    let way = Way {
        address: Some(IpAddr::V4(lab.address)),
        name: None,
        port: PORT,
        port_before: None,
        user: "admin".into(),
        key_file: Some(lab.at("user").display().to_string().into()),
        jump: None,
        host_key: None,
        first: None,
        sudo: None,
        talos: None,
    };
    let case = hosts::Case {
        hands: &hands,
        host: &lab.name,
        way: &way,
        silent: &"nobody".into(),
        silent_way: &Way { port: 1, ..way.clone() },
        resources: &resources,
    };
    holds(&hosts::check(case).await);
    assert_eq!(lab.sh("ls -d /etc/kubewright.d /opt/one /var/lib/kubewright 2>/dev/null || :"), "");
}

#[tokio::test]
async fn hosts_that_exist_already_are_neither_made_nor_deleted() {
    let text = include_str!("../../../../examples/mlops/cluster.yaml");
    let desired = desired(text);
    let hands = Existing::new(&desired);
    let (machine, owner) = (&desired.machines[0], &desired.owner);
    let inventory = hands.observe(owner).await.unwrap();
    assert!(desired.machines.iter().map(|machine| &machine.name).eq(inventory.machines.keys()));
    assert!(hands.observe(&Owner("another".into())).await.unwrap().machines.is_empty());
    assert!(!hands.can().machines);
    assert_eq!(hands.create(machine, owner).await.unwrap(), inventory.machines[&machine.name]);
    let unknown = DesiredMachine { name: "nobody".into(), ..machine.clone() };
    let refused = hands.create(&unknown, owner).await.unwrap_err();
    assert_eq!(refused.to_string(), "existing: no host nobody is there, and nobody makes one here");
    let doomed = Doomed { name: &machine.name, place: &machine.place, vmid: None, owner };
    let refused = hands.delete(doomed).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert!(refused.to_string().ends_with("was there before us, and it is not ours to delete"), "{refused}");
}

#[test]
fn the_simulated_cluster_keeps_its_contract() {
    let yard = Yard::new(desired(DEVBOARD), 1);
    let broken = sim::run(async {
        let asleep = Yard::new(yard.desired.clone(), 1);
        let told = yard.run_to_the_end(&Ask::Apply, &[], 1).await;
        assert_eq!(told, ["complete"]);
        let cut_off = yard.twin();
        cut_off.centre.alter(|state| {
            let unit = state.machine_mut(&"k3s-server".into()).and_then(|it| it.host.units.get_mut("k3s.service"));
            unit.unwrap().active = false;
        });
        cut_off.centre.strike("unreachable=k3s-server".parse().unwrap());
        cut_off.engine().status(&cut_off.desired).await;
        let mut release = yard.desired.releases[0].clone();
        release.name = "conformance".into();
        let hands = |yard: &Yard| yard.centre.world(&yard.desired).cluster.unwrap();
        let (answers, sleeps, cut) = (hands(&yard), hands(&asleep), hands(&cut_off));
        release.values = serde_json::json!({ "replicas": 1 });
        let case = cluster::Case {
            hands: &*answers,
            asleep: &*sleeps,
            cut_off: &*cut,
            desired: &yard.desired,
            release: &release,
        };
        cluster::check(case).await
    });
    holds(&broken.unwrap());
}

#[test]
fn both_stores_keep_their_contract() {
    holds(&store::check(&MemoryStore::default(), &"lab".into(), &"another".into()));
    let folder = tempfile::tempdir().unwrap();
    holds(&store::check(&FolderStore::new(folder.path()), &"lab".into(), &"another".into()));
}
