//! Whole lives.

use kubewright_engine::Engine;
use kubewright_engine::rehearse::{Script, rehearse};
use kubewright_engine::sim::{self, Fault};
use kubewright_model::desired::Desired;

const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");
const VALASKJALF: &str = include_str!("../../../../examples/valaskjalf/cluster.yaml");

/// One server that keeps its state in SQLite, so that no member of etcd tells that it serves.
const WITHOUT_ETCD: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1, datastore: sqlite }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 } }
  pools:
    server: { role: both, name: server, addresses: [10.0.0.10], existing: {} }
    agent: { role: agent, name: "agent-{n}", addresses: [10.0.0.20-21], existing: {} }
"#;

fn desired(text: &str) -> Desired {
    Engine::load(text).expect("the spec is right").desired
}

fn whole_life(desired: &Desired, before: Option<&Desired>, faults: &[Fault]) -> kubewright_engine::rehearse::Rehearsal {
    let script = Script { desired, before, seed: 1, faults };
    sim::run(async { rehearse(&script, &mut |_| {}).await }).expect("a runtime").expect("something to rehearse")
}

#[test]
fn devboard_lives_well() {
    let before = desired(&DEVBOARD.replace("v1.31.4+k3s1", "v1.31.3+k3s1"));
    let life = whole_life(&desired(DEVBOARD), Some(&before), &[]);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
}

#[test]
fn valaskjalf_lives_well() {
    let before = desired(&VALASKJALF.replace("v1.33.5+rke2r1", "v1.33.4+rke2r1"));
    let life = whole_life(&desired(VALASKJALF), Some(&before), &["etcd-stuck".parse().expect("a fault")]);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
}

#[test]
fn agents_join_a_server_that_came_back_by_itself() {
    let life = whole_life(&desired(WITHOUT_ETCD), None, &[]);
    let wrong: Vec<_> = life.phases.iter().filter(|phase| !phase.good).collect();
    assert!(life.good(), "{wrong:#?}\n{:#?}\n{:#?}", life.leftovers, life.breaches);
}
