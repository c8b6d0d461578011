//! The engine on the real hands on the pretend Hetzner Cloud.

use std::path::Path;
use std::sync::Arc;

use kubewright_engine::sim::MemoryStore;
use kubewright_engine::world::World;
use kubewright_engine::{Engine, Planned};
use kubewright_model::desired::{Desired, HETZNER};
use kubewright_model::ids::ProviderName;
use kubewright_model::plan::{Action, Ask};
use kubewright_providers::{Doomed, Provider, Wanted};

use crate::hcloud_hands::{KEY, quick};
use crate::hetzner::{Fake, TOKEN};
use crate::yard::desired;

/// Two servers behind a load balancer, one of them without a public address.
fn lab(fake: &Fake) -> Desired {
    desired(&format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.33.5+k3s1, cni: {{ flannel: {{ interface: enp7s0 }} }} }}
  providers:
    hetzner:
      token: {{ file: token }}
      endpoint: {url}
      location: fsn1
      network: {{ name: lab, ipRange: 10.0.0.0/16, nat: master-1 }}
      firewall:
        allow:
          - {{ protocol: tcp, ports: 22, from: [0.0.0.0/0, '::/0'] }}
          - {{ protocol: icmp, from: [0.0.0.0/0] }}
      certificates:
        site: {{ domains: [lab.example.org] }}
      protect: true
      keepAddresses: true
  network: {{ cidr: 10.0.0.0/24 }}
  hosts: {{ ssh: {{ user: root, keyFile: key }} }}
  pools:
    masters:
      role: server
      name: master-{{n}}
      addresses: [10.0.0.100]
      hetzner: {{ type: cx33, labels: {{ team: web }} }}
    workers:
      role: agent
      name: worker-{{n}}
      addresses: [10.0.0.110]
      hetzner: {{ type: cx23, fallbackTypes: [cx33], fallbackLocations: [nbg1], publicIpv4: false, publicIpv6: false }}
  loadBalancers:
    web:
      by: hetzner
      targets: [workers]
      listen:
        - {{ port: 80, to: 31695, protocol: http, health: {{ protocol: http, path: /healthz, status: [404, 200] }} }}
        - {{ port: 443, to: 31695, protocol: https, certificate: site }}
    ssh: {{ by: hetzner, byLabel: true, targets: [masters], listen: [{{ port: 22, to: 22 }}] }}
",
        url = fake.url,
    ))
}

fn real(desired: &Desired, folder: &Path) -> World {
    let prompt = Arc::new(|_: &str| Err("nobody is asked".into()));
    World::real(folder, None, &folder.join("kept"), desired, prompt, Arc::new(|_| {})).unwrap()
}

async fn plan(desired: &Desired, folder: &Path) -> Planned {
    let engine = Engine::new(real(desired, folder), Arc::new(MemoryStore::default()));
    engine.plan(desired, &Ask::Apply, &[]).await.unwrap()
}

/// What of a plan is for the cloud.
fn of_cloud(planned: &Planned) -> Vec<Action> {
    let steps = planned.plan.steps.iter().map(|step| step.action.clone());
    let of_cloud = |action: &Action| {
        matches!(
            action,
            Action::SetResource(_)
                | Action::CreateMachine(_)
                | Action::UpdateMachine(_)
                | Action::SetLoadBalancer(_)
                | Action::DeleteResource { .. }
                | Action::DeleteLoadBalancer { .. }
        )
    };
    steps.filter(of_cloud).collect()
}

async fn done(hands: &dyn Provider, desired: &Desired, actions: &[Action]) {
    for action in actions {
        let did = match action {
            Action::SetResource(wish) => hands.set_resource(wish, &desired.owner).await.map(drop),
            Action::CreateMachine(wish) => hands.create(wish, &desired.owner).await.map(drop),
            Action::UpdateMachine(wish) => hands.update(wish, &desired.owner).await.map(drop),
            Action::SetLoadBalancer(wish) => hands.set_load_balancer(wish, &desired.owner).await.map(drop),
            other => panic!("{other:?}"),
        };
        did.unwrap_or_else(|error| panic!("{action:?}: {error}"));
    }
}

#[tokio::test]
async fn the_real_world_asks_the_project_and_makes_what_is_wished() {
    let (fake, folder) = (quick(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let desired = lab(&fake);
    let unknown =
        |planned: Planned| planned.observed.unknown().iter().map(|(name, why)| why.of(name)).collect::<String>();
    write("key.pub", &format!("{KEY}\n"));
    let silent = unknown(plan(&desired, folder).await);
    assert!(silent.contains("hetzner: the API token (file token): No such file or directory"), "{silent}");
    write("token", "another\n");
    let refused = unknown(plan(&desired, folder).await);
    assert!(refused.contains("401 unauthorized: ") && refused.contains("the token is at file token"), "{refused}");

    write("token", &format!("{TOKEN}\n"));
    let planned = plan(&desired, folder).await;
    let told: Vec<&str> = planned.plan.notes.iter().map(|note| note.message.as_str()).collect();
    assert!(!told.iter().any(|it| it.contains("Hetzner")), "nothing is refused: {told:?}");
    let actions = of_cloud(&planned);
    let count = |of: fn(&Action) -> bool| actions.iter().filter(|action| of(action)).count();
    let counts =
        (count(|it| matches!(it, Action::CreateMachine(_))), count(|it| matches!(it, Action::SetLoadBalancer(_))));
    assert_eq!(counts, (2, 2));
    let world = real(&desired, folder);
    let hands = &*world.providers[&ProviderName::from(HETZNER)];
    let machines: Vec<_> = desired.machines.iter().collect();
    assert_eq!(
        hands.preflight(Wanted { machines: &machines, resources: &[], ..Wanted::default() }).await.unwrap().len(),
        1
    );
    done(hands, &desired, &actions).await;

    let left = of_cloud(&plan(&desired, folder).await);
    assert!(left.is_empty(), "what was made is what is wished: {left:#?}");

    let engine = Engine::new(real(&desired, folder), Arc::new(MemoryStore::default()));
    let planned = engine.plan(&desired, &Ask::Destroy, &[]).await.unwrap();
    for step in &planned.plan.steps {
        let did = match &step.action {
            Action::DeleteMachine { name, place, vmid, owner, .. } => {
                hands.delete(Doomed { name, place, vmid: *vmid, owner }).await
            }
            Action::DeleteLoadBalancer { name, .. } => hands.delete_load_balancer(name, &desired.owner).await,
            Action::DeleteResource { resource, .. } => hands.delete_resource(resource, &desired.owner).await,
            _ => Ok(()),
        };
        did.unwrap_or_else(|error| panic!("{:?}: {error}", step.action));
    }
    let inventory = hands.observe(&desired.owner).await.unwrap();
    let kept = (inventory.machines.len(), inventory.load_balancers.len(), inventory.resources.len());
    assert_eq!(kept, (0, 0, 0), "{inventory:?}");
}
