//! Whole lives.

use kubewright_engine::Engine;
use kubewright_engine::rehearse::{Script, rehearse};
use kubewright_engine::sim::{self, Fault};
use kubewright_model::desired::Desired;

const DEVBOARD: &str = include_str!("../../../../examples/devboard/cluster.yaml");

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
