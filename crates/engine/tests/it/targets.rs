//! Targets of load balancers of a provider: healthy as it says, and when they are not, what they answer themselves.

use kubewright_engine::sim;
use kubewright_engine::verify::CheckResult;
use kubewright_model::event::RunEnd;
use kubewright_model::observed::Power;
use kubewright_model::plan::Ask;

use crate::yard::{Yard, desired};

const KEYBUZZ: &str = include_str!("../../../../examples/keybuzz/cluster.yaml");

async fn checked(yard: &Yard, name: &str) -> CheckResult {
    let results = yard.engine().verify(&yard.desired).await;
    results.into_iter().find(|result| result.name == name).unwrap()
}

#[test]
fn each_target_is_told_with_its_health_and_why() {
    let yard = Yard::new(desired(KEYBUZZ), 1);
    sim::run(async {
        let (ended, _) = yard.run(&Ask::Apply, &[]).await;
        assert_eq!(ended.unwrap().end, RunEnd::Complete);
        let ingress = checked(&yard, "targets of ingress").await.checked;
        assert!(ingress.holds, "{ingress:#?}");
        assert_eq!((ingress.saw.as_str(), ingress.parts.len()), ("8 targets are healthy", 8));
        assert_eq!(ingress.parts[0].address, "10.0.0.100:31695");
        // One is off.
        yard.centre.alter(|state| {
            let machines = state.machines.values_mut().find_map(|all| all.get_mut("k3s-worker-03"));
            machines.unwrap().seen.power = Power::Stopped;
        });
        let ingress = checked(&yard, "targets of ingress").await.checked;
        let unwell: Vec<_> = ingress.parts.iter().filter(|part| !part.holds).collect();
        let [part] = unwell.as_slice() else { panic!("{ingress:#?}") };
        assert_eq!(part.name, "k3s-worker-03");
        let why =
            "hetzner says unhealthy; asked from another node, http://10.0.0.112:31695/healthz: no answer within 5 s";
        assert_eq!(part.saw, why);
        assert_eq!(ingress.saw, format!("k3s-worker-03: {why}"));
        assert!(!ingress.holds && ingress.hint.is_some(), "{ingress:#?}");
        let api = checked(&yard, "targets of api").await.checked;
        assert_eq!((api.holds, api.parts.len()), (true, 3), "workers serve no API");
        // The same of a URL on every node, and of the services that are asked from the servers.
        let healthz = checked(&yard, "healthz").await.checked;
        assert_eq!(healthz.saw, "k3s-worker-03: no answer within 5 s");
        assert!(checked(&yard, "mariadb").await.checked.holds);
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
