//! What was saved of a datastore is put back on the machines that are there, and where it is cut, it goes on.

use kubewright_engine::sim;
use kubewright_engine::store::Store as _;
use kubewright_model::desired::{Desired, Saved};
use kubewright_model::event::RunEnd;
use kubewright_model::observed::Power;
use kubewright_model::plan::{Action, Ask, Plan, Stage, Weight};

use crate::yard::{Cut, Yard, desired};

pub(crate) const K3S: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes: { distribution: k3s, version: v1.34.1+k3s1, endpoint: { host: 10.0.0.11 } }
  pools:
    plane: { role: both, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one, two], addresses: [10.0.0.21-22], existing: {}, labels: { disk: ssd } }
"#;

const TALOS: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes:
    distribution: talos
    version: v1.34.0
    talos: { version: v1.11.5 }
    endpoint: { virtualIp: { address: 10.0.0.5 } }
    cni: { cilium: { version: 1.18.3 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  pools:
    plane: { role: server, names: [red, green, blue], addresses: [10.0.0.11-13], existing: {} }
    work: { role: agent, names: [one, two], addresses: [10.0.0.21-22], existing: {}, labels: { disk: ssd } }
"#;

/// One cluster of each distribution, whose machines were there before us.
pub(crate) fn all() -> [String; 4] {
    let of = |words: &str| K3S.replace("distribution: k3s, version: v1.34.1+k3s1", words);
    let kubeadm = of("distribution: kubeadm, version: v1.34.1, encryptSecrets: true, cni: { flannel: {} }");
    [K3S.into(), of("distribution: rke2, version: v1.34.1+rke2r1"), kubeadm, TALOS.into()]
}

/// What somebody wrote before it was saved, and after that.
pub(crate) const CANARY: &str = "canary";
pub(crate) const LATER: &str = "later";

pub(crate) fn writes(yard: &Yard, what: &str) {
    yard.centre.alter(|state| {
        state.cluster.set_by_others.insert(what.into(), ("somebody".into(), "all of it".into()));
    });
}

pub(crate) fn knows(yard: &Yard, what: &str) -> bool {
    yard.centre.snapshot().cluster.set_by_others.contains_key(what)
}

/// A cluster that was saved, and lived on.
async fn saved(spec: &str) -> Yard {
    let mut yard = Yard::new(desired(spec), 7);
    assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
    writes(&yard, CANARY);
    assert_eq!(yard.run_to_the_end(&Ask::Backup, &[], 1).await, ["complete"]);
    writes(&yard, LATER);
    yard.centre.announce_end();
    yard.desired.restores = Some(Saved::Latest);
    yard
}

pub(crate) fn is_as_it_was(yard: &Yard, told: &str) {
    assert!(knows(yard, CANARY) && !knows(yard, LATER), "{told}");
    let cluster = yard.centre.snapshot().cluster;
    let names: Vec<&str> = cluster.nodes.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["blue", "green", "one", "red", "two"], "{told}");
    assert_eq!(cluster.nodes["two"].labels.get("disk").map(String::as_str), Some("ssd"), "{told}");
}

fn blocks(plan: &Plan) -> String {
    let blocks = plan.notes.iter().filter(|note| note.weight == Weight::Blocks);
    blocks.map(|note| format!("{}: {}", note.subject, note.message)).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_was_saved_is_put_back_wherever_it_is_cut() {
    for spec in all() {
        sim::run(async {
            let yard = saved(&spec).await;
            let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
            assert_eq!(plan.steps[0].stage, Stage::Backup, "what is there is saved first");
            let makes = |action: &Action| matches!(action, Action::CreateMachine(_) | Action::DeleteMachine { .. });
            assert!(!plan.steps.iter().any(|step| makes(&step.action)), "nothing is made anew");
            let cuts = (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]);
            for cut in cuts {
                let twin = yard.twin();
                twin.centre.announce_end();
                let was_cut = twin.run_until(cut, &Ask::Restore, &[]).await;
                if was_cut {
                    let told = twin.run_to_the_end(&Ask::Restore, &[], 3).await;
                    assert_eq!(told.last().map(String::as_str), Some("complete"), "{cut:?}: {told:?}");
                }
                let told = format!("{:?} {cut:?}", yard.desired.kubernetes.distribution);
                assert_eq!(twin.complaints(&Ask::Restore, &[]).await, [""; 0], "{told}");
                is_as_it_was(&twin, &told);
            }
        })
        .unwrap();
    }
}

/// Kubelets run as they are, whatever version the books that come back know of them.
#[test]
fn what_was_saved_before_an_upgrade_is_put_back_after_it() {
    for spec in all() {
        sim::run(async {
            let mut yard = saved(&spec).await;
            yard.centre.announce_life();
            yard.wish(desired(&spec.replace("v1.34.1", "v1.34.2").replace("v1.34.0", "v1.34.2")));
            assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
            yard.centre.announce_end();
            yard.desired.restores = Some(Saved::Latest);
            let told = format!("{:?}", yard.desired.kubernetes.distribution);
            assert_eq!(yard.run_to_the_end(&Ask::Restore, &[], 1).await, ["complete"], "{told}");
            assert_eq!(yard.complaints(&Ask::Restore, &[]).await, [""; 0], "{told}");
        })
        .unwrap();
    }
}

/// No server serves any more, and the hosts answer.
fn dies(yard: &Yard) {
    yard.centre.alter(|state| state.cluster.nodes.values_mut().for_each(|node| node.serves_at = u64::MAX));
}

#[test]
fn a_dead_cluster_is_put_back_without_its_api() {
    for spec in all() {
        sim::run(async {
            let yard = saved(&spec).await;
            dies(&yard);
            let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
            assert_eq!(blocks(&plan), "");
            let tells = |words: &str| plan.notes.iter().any(|note| note.message.contains(words));
            assert!(tells("no server is healthy, so what is there now is not saved first"), "{:#?}", plan.notes);
            assert_eq!(yard.run_to_the_end(&Ask::Restore, &[], 1).await, ["complete"]);
            assert_eq!(yard.complaints(&Ask::Restore, &[]).await, [""; 0]);
            is_as_it_was(&yard, &format!("{:?}", yard.desired.kubernetes.distribution));
        })
        .unwrap();
    }
}

#[test]
fn who_restores_is_told_what_is_lost_and_nothing_is_put_back_from_nothing() {
    sim::run(async {
        let mut yard = saved(K3S).await;
        let plan = yard.engine().plan(&yard.desired, &Ask::Restore, &[]).await.unwrap().plan;
        let lost = plan.notes.iter().find(|note| note.weight == Weight::Warns && note.message.contains("is lost"));
        assert!(lost.is_some_and(|note| note.message.starts_with("goes back to etcd-")), "{:#?}", plan.notes);
        yard.desired.restores = Some(Saved::File("elsewhere.db".into()));
        let plan = yard.engine().plan(&yard.desired, &Ask::Restore, &[]).await.unwrap().plan;
        assert!(blocks(&plan).contains("elsewhere.db was saved by nobody"), "{}", blocks(&plan));
        let never = Yard::new(yard.desired.clone(), 8);
        let desired = Desired { restores: Some(Saved::Latest), ..yard.desired.clone() };
        let plan = never.engine().plan(&desired, &Ask::Restore, &[]).await.unwrap().plan;
        assert!(blocks(&plan).contains("nothing was saved of this cluster from here"), "{}", blocks(&plan));
    })
    .unwrap();
}

#[test]
fn nothing_that_would_not_fit_is_put_back() {
    sim::run(async {
        let mut yard = saved(K3S).await;
        for (from, to, why) in [
            ("v1.34.1+k3s1", "v1.33.5+k3s1", "what is saved cannot be restored: it runs v1.34.1+k3s1, newer than"),
            ("version: v1.34.1+k3s1", "version: v1.34.1+k3s1, podNetwork: 10.99.0.0/16", "begun with pod network"),
            (
                "k3s, version: v1.34.1+k3s1",
                "rke2, version: v1.34.1+rke2r1",
                "what is there was begun with distribution K3s",
            ),
        ] {
            yard.wish(Desired { restores: Some(Saved::Latest), ..desired(&K3S.replacen(from, to, 1)) });
            let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
            assert!(blocks(&plan).contains(why), "{}", blocks(&plan));
        }
        let skips = K3S.replace("v1.34.1+k3s1", "v1.36.1+k3s1");
        yard.wish(Desired { restores: Some(Saved::Latest), ..desired(&skips) });
        for dead in [false, true] {
            if dead {
                dies(&yard);
            }
            let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
            let why = "what is saved cannot be restored: it runs v1.34.1+k3s1, more than one minor version before";
            assert!(blocks(&plan).contains(why), "{}", blocks(&plan));
        }
    })
    .unwrap();
}

#[test]
fn who_cannot_be_reached_is_named() {
    sim::run(async {
        let yard = saved(K3S).await;
        let (agent, server) = (yard.twin(), yard.twin());
        agent.centre.strike("unreachable=two".parse().unwrap());
        let (_, plan) = agent.plan(&Ask::Restore, &[]).await;
        assert_eq!(blocks(&plan), "", "an agent is left out");
        assert!(plan.notes.iter().any(|note| note.message.contains("is left out")), "{:#?}", plan.notes);
        assert!(!plan.steps.iter().any(|step| step.id.as_str().ends_with("/two")), "{:#?}", plan.steps);
        server.centre.strike("unreachable=blue".parse().unwrap());
        let (_, plan) = server.plan(&Ask::Restore, &[]).await;
        assert!(blocks(&plan).contains("blue: may hold the cluster's data and cannot be reached"), "{}", blocks(&plan));
    })
    .unwrap();
}

#[test]
fn an_apply_begins_no_empty_cluster_where_a_restore_was_cut() {
    sim::run(async {
        let mut yard = saved(K3S).await;
        let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
        let down = plan.steps.iter().filter(|step| matches!(step.stage, Stage::Backup | Stage::Removal)).count();
        assert!(yard.run_until(Cut::Ended(down), &Ask::Restore, &[]).await);
        yard.desired.restores = None;
        let (report, _) = yard.run(&Ask::Apply, &[]).await;
        let told = report.unwrap_err().told();
        assert!(told.contains("a restore that was cut is to restore this cluster"), "{told}");
        yard.desired.restores = Some(Saved::Latest);
        let (report, _) = yard.run(&Ask::Restore, &[]).await;
        assert_eq!(report.unwrap().end, RunEnd::Complete);
        is_as_it_was(&yard, "what was settled on, and not what was saved first");
        // One that ended well is over: the next one goes back to what was saved before it.
        writes(&yard, "again");
        assert_eq!(yard.run_to_the_end(&Ask::Restore, &[], 1).await, ["complete"]);
        assert!(!knows(&yard, "again") && knows(&yard, LATER), "the state that the first one saved before it began");
    })
    .unwrap();
}

#[test]
fn a_server_that_its_provider_can_delete_goes_first_and_is_made_anew() {
    const MADE: &str = include_str!("../scenarios/003-fresh-three-servers-etcd.txt");
    let spec = MADE.split_once("--- spec\n").and_then(|(_, rest)| rest.split_once("--- world")).unwrap().0;
    sim::run(async {
        let mut yard = saved(spec).await;
        yard.centre.strike("unreachable=server-3".parse().unwrap());
        let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
        assert!(blocks(&plan).contains("cannot be reached"), "{}", blocks(&plan));
        yard.desired.without = vec!["server-3".into()];
        let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
        assert_eq!(blocks(&plan), "");
        let step = |id: &str| plan.steps.iter().find(|step| step.id.as_str() == id).unwrap();
        assert!(matches!(step("delete/server-3").action, Action::DeleteMachine { .. }));
        assert!(step("init/server-1").needs.iter().any(|need| need.as_str() == "delete/server-3"), "it goes before");
        assert!(step("create/server-3").needs.iter().any(|need| need.as_str() == "delete/server-3"), "and comes after");
        let told = yard.run_to_the_end(&Ask::Restore, &[], 2).await;
        assert_eq!(told.last().map(String::as_str), Some("complete"), "{told:?}");
        assert!(knows(&yard, CANARY) && !knows(&yard, LATER));
        assert_eq!(yard.complaints(&Ask::Restore, &[]).await, [""; 0]);
    })
    .unwrap();
}

/// One server and an agent, whose machines are ours.
const OURS: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: fleet }
spec:
  kubernetes: { distribution: k3s, version: v1.34.1+k3s1, datastore: etcd, endpoint: { host: 10.0.0.10 } }
  providers: { proxmox: { endpoint: "https://pve:8006", tokenId: root@pam!kubewright, tokenSecret: { env: TOKEN }, node: pve, ssh: { keyFile: ~/.ssh/id_ed25519 } } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 } }
  pools:
    plane: { role: both, names: [red], addresses: [10.0.0.10], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: ["110"], lxc: { template: "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst" } } }
    work: { role: agent, names: [one], addresses: [10.0.0.20], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: ["120"], lxc: { template: "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst" } } }
"#;

#[test]
fn an_agent_that_was_off_is_a_node_again_wherever_the_restore_is_cut() {
    sim::run(async {
        let yard = saved(OURS).await;
        yard.centre.alter(|state| {
            let machine = state.machine_mut(&"one".into()).unwrap();
            machine.seen.power = Power::Stopped;
            machine.host.units.values_mut().for_each(|unit| unit.active = false);
        });
        let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
        let join = plan.steps.iter().find(|step| step.id.as_str() == "join/one").unwrap();
        assert!(join.needs.iter().any(|need| need.as_str() == "again/one"), "a kubelet that runs tells of itself once");
        let cuts = (1..=plan.steps.len()).flat_map(|many| [Cut::Started(many), Cut::Ended(many)]);
        for cut in cuts {
            let twin = yard.twin();
            twin.centre.announce_end();
            twin.run_until(cut, &Ask::Restore, &[]).await;
            let told = twin.run_to_the_end(&Ask::Restore, &[], 1).await;
            assert_eq!(told, ["complete"], "{cut:?}");
            assert_eq!(twin.complaints(&Ask::Restore, &[]).await, [""; 0], "{cut:?}");
        }
    })
    .unwrap();
}

/// What a cut restore has settled on, and what is named then.
#[test]
fn another_file_than_that_of_a_restore_that_was_cut_is_not_put_back_in_its_name() {
    for spec in all() {
        sim::run(async {
            let mut yard = saved(&spec).await;
            let first = yard.store.secret(&yard.desired.cluster, "snapshot").unwrap().unwrap().expose().clone();
            assert_eq!(yard.run_to_the_end(&Ask::Backup, &[], 1).await, ["complete"]);
            let second = yard.store.secret(&yard.desired.cluster, "snapshot").unwrap().unwrap().expose().clone();
            assert_ne!(first, second);
            yard.desired.restores = Some(Saved::File(first.clone()));
            let (_, plan) = yard.plan(&Ask::Restore, &[]).await;
            let of = |stages: &[Stage]| plan.steps.iter().filter(|step| stages.contains(&step.stage)).count();
            let down = of(&[Stage::Backup, Stage::Removal]);
            let all = plan.steps.len();
            for (cut, settled) in [(Cut::Started(1), false), (Cut::Ended(down), true), (Cut::Ended(all - 1), true)] {
                let mut twin = yard.twin();
                twin.centre.announce_end();
                assert!(twin.run_until(cut, &Ask::Restore, &[]).await);
                twin.desired.restores = Some(Saved::File(second.clone()));
                let told = twin.engine().plan(&twin.desired, &Ask::Restore, &[]).await.unwrap().plan;
                assert_eq!(blocks(&told).contains(&format!("puts back {first}, and {second} is another one")), settled);
                if settled {
                    let help =
                        told.notes.iter().find(|note| note.weight == Weight::Blocks).unwrap().help.clone().unwrap();
                    assert!(
                        help.contains("`kubewright restore latest` goes on with") && help.contains("--from-scratch")
                    );
                    let (report, _) = twin.run(&Ask::Restore, &[]).await;
                    assert!(report.is_err(), "{cut:?}: nothing is touched");
                    // The same one is no other.
                    let same = Desired { restores: Some(Saved::File(first.clone())), ..twin.desired.clone() };
                    let told = twin.engine().plan(&same, &Ask::Restore, &[]).await.unwrap().plan;
                    assert_eq!(blocks(&told), "", "{cut:?}");
                }
                twin.desired.from_scratch = true;
                assert_eq!(twin.run_to_the_end(&Ask::Restore, &[], 1).await, ["complete"], "{cut:?}");
                assert!(knows(&twin, LATER), "{cut:?}: the second one holds it");
            }
        })
        .unwrap();
    }
}

/// What goes with a snapshot of kubeadm's etcd is looked at before anybody stands down.
#[test]
fn nobody_stands_down_for_a_snapshot_that_lacks_its_keys() {
    sim::run(async {
        let yard = saved(&all()[2]).await;
        let refused = async |yard: &Yard| {
            let before = yard.centre.snapshot().cluster.nodes.len();
            let plan = yard.engine().plan(&yard.desired, &Ask::Restore, &[]).await.unwrap().plan;
            assert!(yard.run(&Ask::Restore, &[]).await.0.is_err());
            assert_eq!(yard.centre.snapshot().cluster.nodes.len(), before, "nothing was touched");
            blocks(&plan)
        };
        let alone = yard.twin();
        alone.centre.alter(|state| state.beside.clear());
        assert!(refused(&alone).await.contains("there is no pki.tar beside etcd-"), "{}", refused(&alone).await);
        let cut = yard.twin();
        cut.centre.alter(|state| {
            state.beside.values_mut().for_each(|beside| beside.holds.retain(|file| file != "pki/etcd/ca.key"));
        });
        assert!(refused(&cut).await.contains("lacks pki/etcd/ca.key"), "{}", refused(&cut).await);
        let other = yard.twin();
        let locks = |yard: &Yard| {
            let other =
                |state: &mut sim::State| state.beside.values_mut().for_each(|it| it.locked = Some("other".into()));
            yard.centre.alter(other);
        };
        locks(&other);
        assert!(refused(&other).await.contains("another `encryption-key` than the one that is here"));
        let open = saved(&all()[2].replace(", encryptSecrets: true", "")).await;
        let (_, plan) = open.plan(&Ask::Restore, &[]).await;
        assert_eq!(blocks(&plan), "");
        locks(&open);
        assert!(refused(&open).await.contains("the spec has no `encryptSecrets`"), "{}", refused(&open).await);
    })
    .unwrap();
}

#[test]
fn who_loses_what_is_on_the_disks_of_a_server_of_talos_is_told() {
    sim::run(async {
        let both = TALOS.replace("role: server", "role: both");
        for (spec, wiped) in [(both.as_str(), 3), (TALOS, 0), (K3S, 0)] {
            let yard = saved(spec).await;
            let plan = yard.engine().plan(&yard.desired, &Ask::Restore, &[]).await.unwrap().plan;
            let warns = plan.notes.iter().filter(|note| note.weight == Weight::Warns);
            let told = warns.clone().filter(|note| note.message.contains("its own disk is wiped"));
            assert_eq!(told.map(|note| note.subject.to_string()).collect::<Vec<_>>().len(), wiped, "{:#?}", plan.notes);
            let help = warns.clone().find(|note| note.message.contains("is lost")).unwrap().help.clone().unwrap();
            assert_eq!(help.contains("servers are reset"), spec != K3S, "{help}");
        }
    })
    .unwrap();
}

/// Between two versions, the books that are put back tell of nodes that are further behind than an upgrade may go.
#[test]
fn a_restore_in_the_middle_of_an_upgrade_goes_on_whenever_it_is_cut() {
    let one =
        K3S.replace("names: [red, green, blue], addresses: [10.0.0.11-13]", "names: [red], addresses: [10.0.0.11]");
    // Of one server and of three, the first has come to v1.33 and nobody else.
    for (text, behind) in [(one.as_str(), ["one", "two"]), (K3S, ["green", "blue"])] {
        let spec = |version: &str| text.replace("v1.34.1+k3s1", version);
        let mut was_behind = 0;
        for at in (8_000..80_000).step_by(8_000) {
            let mut yard = Yard::new(desired(&spec("v1.31.4+k3s1")), 3);
            let stands = |yard: &Yard| {
                let nodes = yard.centre.snapshot().cluster.nodes.clone();
                let minor = |name: &str| nodes.get(name).map(|node| node.version.minor().1);
                minor("red") == Some(33) && behind.iter().all(|name| minor(name) == Some(32))
            };
            let went = sim::run(async {
                assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
                yard.wish(desired(&spec("v1.34.1+k3s1")));
                for seconds in 1..100 {
                    if stands(&yard) {
                        break;
                    }
                    yard.run_until(Cut::At(seconds * 1_000), &Ask::Apply, &[]).await;
                }
                assert!(stands(&yard));
                yard.desired.restores = Some(Saved::Latest);
                yard.centre.announce_end();
                yard.run_until(Cut::At(at), &Ask::Restore, &[]).await;
                was_behind += usize::from(stands(&yard));
                let told = yard.run_to_the_end(&Ask::Restore, &[], 3).await;
                assert_eq!(told.last().map(String::as_str), Some("complete"), "{at}: {told:?}");
                yard.desired.restores = None;
                yard.centre.announce_life();
                assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 2).await.last().unwrap(), "complete");
                yard.complaints(&Ask::Apply, &[]).await
            });
            let complaints = went.unwrap();
            assert!(complaints.is_empty(), "{at}: {complaints:?}");
        }
        assert!(was_behind > 0, "{was_behind}");
    }
}
