//! Targets of load balancers of a provider: healthy as it says, and when they are not, what they answer themselves.

use kubewright_engine::sim;
use kubewright_engine::verify::CheckResult;
use kubewright_model::desired::Body;
use kubewright_model::ids::NodeName;

use crate::yard::{Yard, desired};

const KEYBUZZ: &str = include_str!("../../../../examples/keybuzz/cluster.yaml");

/// The example's data centre with its servers and its load balancers, and nothing on them yet.
async fn furnished() -> Yard {
    let yard = Yard::new(desired(KEYBUZZ), 1);
    let owner = &yard.desired.owner;
    let world = yard.centre.world(&yard.desired);
    let (_, hetzner) = world.providers.first_key_value().unwrap();
    for machine in &yard.desired.machines {
        assert!(matches!(*machine.body, Body::Server(_)));
        hetzner.create(machine, owner).await.unwrap();
        hetzner.start(&machine.name, owner).await.unwrap();
    }
    for balancer in &yard.desired.load_balancers {
        hetzner.set_load_balancer(balancer, owner).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    yard
}

async fn checked(yard: &Yard, name: &str) -> CheckResult {
    let results = yard.engine().verify(&yard.desired).await;
    results.into_iter().find(|result| result.name == name).unwrap()
}

#[test]
fn each_target_is_told_with_its_health_and_why() {
    sim::run(async {
        let yard = furnished().await;
        let ingress = checked(&yard, "targets of ingress").await;
        assert_eq!(ingress.checked.parts.len(), 8, "{ingress:#?}");
        assert!(ingress.checked.holds, "{ingress:#?}");
        assert_eq!(ingress.checked.saw, "8 targets are healthy");
        assert_eq!(ingress.checked.parts[0].address, "10.0.0.100:31695");
        // One is gone.
        let gone = NodeName::from("k3s-worker-03");
        assert!(yard.centre.lose(&gone));
        let ingress = checked(&yard, "targets of ingress").await;
        assert!(!ingress.checked.holds);
        let unwell: Vec<_> = ingress.checked.parts.iter().filter(|part| !part.holds).collect();
        let [part] = unwell.as_slice() else { panic!("{ingress:#?}") };
        assert_eq!(part.name, "k3s-worker-03");
        assert!(
            part.saw.starts_with("hetzner says unhealthy; asked from another node, http://10.0.0.112:31695/healthz: "),
            "{part:?}"
        );
        assert!(ingress.checked.saw.contains("k3s-worker-03"), "{ingress:#?}");
        assert!(ingress.checked.hint.is_some());
        let api = checked(&yard, "targets of api").await;
        assert_eq!((api.checked.holds, api.checked.parts.len()), (true, 3), "workers serve no API");
    })
    .unwrap();
}

#[test]
fn a_load_balancer_that_is_not_there_is_no_healthy_one() {
    sim::run(async {
        let yard = Yard::new(desired(KEYBUZZ), 1);
        let api = checked(&yard, "targets of api").await;
        assert!(!api.checked.holds);
        assert_eq!(api.checked.saw, "hetzner has no load balancer api");
        assert_eq!(api.checked.hint.as_deref(), Some("`kubewright apply` makes it"));
    })
    .unwrap();
}
