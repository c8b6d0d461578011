//! The example at Hetzner: three masters and five workers behind two load balancers, and many more of them.

use std::collections::BTreeSet;

use kubewright_engine::Engine;
use kubewright_engine::sim;
use kubewright_model::desired::{Desired, HETZNER};
use kubewright_model::event::Event;
use kubewright_model::facts::{HostAddress, HostFacts};
use kubewright_model::ids::NodeName;
use kubewright_model::observed::Power;
use kubewright_model::plan::{Action, Ask};

use crate::yard::{Yard, words};

const KEYBUZZ: &str = include_str!("../../../../examples/keybuzz/cluster.yaml");

fn desired(text: &str) -> Desired {
    Engine::load(text).expect("the spec is right").desired
}

/// What a load balancer sends to.
fn targets(yard: &Yard, balancer: &str) -> BTreeSet<NodeName> {
    let mut targets = BTreeSet::new();
    yard.centre.alter(|state| {
        let balancers = state.balancers.get(HETZNER).expect("it has load balancers");
        targets = balancers[balancer].targets.keys().cloned().collect();
    });
    targets
}

#[test]
fn each_member_is_lost_in_turn_and_comes_back_behind_its_load_balancers() {
    let yard = Yard::new(desired(KEYBUZZ), 3);
    let names: Vec<NodeName> = yard.desired.members.iter().map(|member| member.name.clone()).collect();
    let masters: BTreeSet<NodeName> = yard.desired.servers().map(|member| member.name.clone()).collect();
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        for name in &names {
            assert!(yard.centre.lose(name), "{name} is there");
            assert!(!targets(&yard, "ingress").contains(name), "Hetzner forgets a server that is gone");
            let (ended, records) = yard.run(&Ask::Apply, &[]).await;
            assert_eq!(words(&ended), "complete", "{name}");
            let steps = records.iter().filter(|record| matches!(record.event, Event::StepStarted { .. })).count();
            assert!(steps < 12, "{name} alone is made, in {steps} steps");
            assert_eq!(targets(&yard, "api"), masters, "{name}");
            assert_eq!(targets(&yard, "ingress").len(), names.len(), "{name}");
        }
        // Quorum lost, a voter that joins beside another, something of others that is touched: each would be a breach.
        assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0]);
    })
    .expect("a runtime");
}

#[test]
fn of_two_dead_masters_nobody_takes_the_third_away() {
    let yard = Yard::new(desired(KEYBUZZ), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        for name in ["k3s-master-01", "k3s-master-02"] {
            assert!(yard.centre.lose(&name.into()));
        }
        let (_, plan) = yard.plan(&Ask::Apply, &[]).await;
        let touched = plan.steps.iter().filter(|step| {
            matches!(step.action, Action::ForgetMember(_) | Action::DeleteMachine { .. } | Action::RunRecipe { .. })
        });
        let touched: Vec<String> = touched.map(|step| step.title()).collect();
        assert!(plan.is_blocked() || touched.is_empty(), "{touched:?}");
        assert_eq!(yard.centre.breaches(), []);
    })
    .expect("a runtime");
}

/// The example with so many more workers. Their load balancer finds them by their labels: no type of it has so many targets
/// that are named.
fn with_workers(last: &str, cidr: &str) -> Desired {
    let text = KEYBUZZ
        .replace("addresses: [10.0.0.110-114]", &format!("addresses: [10.0.1.0-{last}]"))
        .replace("    encryptSecrets: true\n", "    encryptSecrets: true\n    podNetwork: 10.64.0.0/14\n")
        .replace("network: { cidr: 10.0.0.0/24 }", &format!("network: {{ cidr: {cidr} }}"))
        .replace("      targets: [master, worker]", "      byLabel: true\n      targets: [master, worker]")
        .replace("name: k3s-worker-{nn}", "name: k3s-worker-{n}");
    desired(&text)
}

#[test]
fn three_masters_and_497_workers_are_planned_and_built() {
    let yard = Yard::new(with_workers("10.0.2.240", "10.0.0.0/22"), 7);
    assert_eq!(yard.desired.members.len(), 500);
    sim::run(async {
        let (ended, _) = yard.run(&Ask::Apply, &[]).await;
        assert_eq!(words(&ended), "complete");
        assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0]);
    })
    .expect("a runtime");
    let calls = yard.centre.calls();
    let of_provider =
        |call: &&String| ["machine", "load balancer", "resource", "provider"].iter().any(|it| call.starts_with(it));
    let made: u64 = calls.iter().filter(|(call, _)| of_provider(call)).map(|(_, times)| times).sum();
    // Each server is made once and started once; the rest is looks, and what is around them.
    assert!(made < 2 * 500 + 40, "{made} calls: {calls:?}");
}

#[test]
fn a_server_without_its_private_card_is_told_before_kubernetes_is_started_on_it() {
    let yard = Yard::new(desired(KEYBUZZ), 9);
    let outside =
        HostAddress { interface: "eth0".into(), mac: None, address: "198.18.0.99".parse().expect("an address") };
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        yard.centre.alter(|state| {
            let worker = state.machine_mut(&"k3s-worker-01".into()).expect("it is there");
            worker.seen.power = Power::Stopped;
            worker.host.units.values_mut().for_each(|unit| unit.active = false);
            worker.host.facts = Some(HostFacts { addresses: vec![outside], ..HostFacts::default() });
        });
        let (ended, _) = yard.run(&Ask::Apply, &[]).await;
        let told = words(&ended);
        assert!(told.contains("k3s-worker-01 did not come into its private network within 10 minutes"), "{told}");
    })
    .expect("a runtime");
}
