//! The engine on a real adapter: the pretend Proxmox VE cluster, by itself and beside our own pretend world.

mod both;
mod clusters;
mod lives;
mod mirror;
mod mishaps;

use std::path::Path;
use std::sync::Arc;

use kubewright_engine::sim::MemoryStore;
use kubewright_engine::world::World;
use kubewright_engine::{Engine, Planned};
use kubewright_model::desired::Desired;
use kubewright_model::ids::ProviderName;
use kubewright_model::plan::{Action, Ask, Weight};

use crate::fake::{Fake, TOKEN, TOKEN_SECRET};
use crate::yard::desired;

/// Two containers and a virtual machine on the pretend cluster.
fn lab(fake: &Fake) -> Desired {
    let spec = format!(
        "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.33.5+k3s1 }}
  providers:
    proxmox:
      endpoint: {url}
      tokenId: {TOKEN}
      tokenSecret: {{ file: token }}
      fingerprint: {fingerprint}
      node: pve1
      ssh: {{}}
  network: {{ cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }}
  hosts: {{ ssh: {{ keyFile: key }} }}
  pools:
    server:
      role: both
      name: server
      addresses: [10.0.0.10]
      cores: 2
      memory: 4Gi
      disk: 20Gi
      proxmox: {{ vmids: [400], lxc: {{ template: 'local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst' }} }}
    agents:
      role: agent
      name: agent-{{n}}
      addresses: [10.0.0.11-12]
      cores: 2
      memory: 2Gi
      proxmox: {{ vmids: [401-402], nodes: [pve1], vm: {{ template: 90001, agent: true }} }}
",
        url = fake.url,
        fingerprint = fake.fingerprint,
    );
    desired(&spec)
}

fn real(desired: &Desired, folder: &Path) -> World {
    let prompt = Arc::new(|_: &str| Err("nobody is asked".into()));
    World::real(folder, None, &folder.join("kept"), desired, prompt, Arc::new(|_| {})).unwrap()
}

#[tokio::test]
async fn the_real_world_asks_the_proxmox_cluster() {
    let (mut fake, folder) = (Fake::start(), tempfile::tempdir().unwrap());
    let desired = lab(&fake);
    let plan = async || {
        let engine = Engine::new(real(&desired, folder.path()), Arc::new(MemoryStore::default()));
        engine.plan(&desired, &Ask::Apply, &[]).await.unwrap()
    };
    let unknown =
        |planned: Planned| planned.observed.unknown().iter().map(|(name, why)| why.of(name)).collect::<String>();
    let silent = unknown(plan().await);
    assert!(silent.contains("proxmox: the API token (file token): No such file or directory"), "{silent}");

    std::fs::write(folder.path().join("token"), "another\n").unwrap();
    let refused = unknown(plan().await);
    assert!(refused.contains("is not let in with the secret at file token (401 authentication failure)"), "{refused}");

    std::fs::write(folder.path().join("token"), format!("{TOKEN_SECRET}\n")).unwrap();
    let planned = plan().await;
    let taken = &planned.observed.providers[&ProviderName::from("proxmox")].present().unwrap().taken;
    assert_eq!(taken.len(), 3, "{taken:?}");
    // Nobody reaches the hypervisor over SSH here, and a container needs what only root may do there.
    let made: Vec<&str> = planned
        .plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::CreateMachine(machine) => Some(machine.name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(made, ["agent-1", "agent-2"]);
    let notes: Vec<&str> = planned.plan.notes.iter().map(|note| note.message.as_str()).collect();
    assert!(notes.iter().any(|note| note.starts_with("its hypervisor pve1 could not be looked at: ")), "{notes:?}");

    // Who may not even look is told everything at once.
    fake.tell("pve.grant('kubewright@pve', '/nodes', 'Sys.Audit')");
    let planned = plan().await;
    let lacking = planned.plan.notes.iter().find(|note| note.message.contains("lacks Datastore.AllocateSpace"));
    let lacking = lacking.unwrap_or_else(|| panic!("{:?}", planned.plan.notes));
    assert_eq!((lacking.weight, planned.plan.is_blocked()), (Weight::Blocks, true));
    assert!(lacking.help.as_deref().is_some_and(|help| help.contains("pveum acl modify /storage/local-lvm --roles ")));
    fake.tell("pve.acl = None");

    // A machine is made only when somebody can log into it.
    let world = real(&desired, folder.path());
    let hands = &world.providers[&ProviderName::from("proxmox")];
    let nobody = hands.create(&desired.machines[0], &desired.owner).await.unwrap_err();
    assert!(nobody.message.contains("nobody could log in: ") && nobody.message.contains("key.pub"), "{nobody}");
}

#[tokio::test]
async fn the_spec_says_as_whom_and_by_which_certificate_and_through_which_node() {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("token", TOKEN_SECRET);
    write("password", "secret\n");
    write("ca.pem", &fake.authority);
    let access = |endpoint: &str, more: &str| {
        desired(&format!(
            "apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {{ name: lab }}
spec:
  kubernetes: {{ distribution: k3s, version: v1.33.5+k3s1 }}
  providers: {{ proxmox: {{ node: pve1, endpoint: \"{endpoint}\", {more} }} }}
  network: {{ cidr: 10.0.0.0/24, gateway: 10.0.0.1 }}
  pools:
    server:
      {{ role: both, name: server, addresses: [10.0.0.10], cores: 2, memory: 4Gi, proxmox: {{ vm: {{ template: 90001 }} }} }}
"
        ))
    };
    let look = async |desired: Desired| {
        let world = real(&desired, folder.path());
        let hands = world.providers.get(&ProviderName::from("proxmox")).ok_or_else(|| format!("{:?}", world.silent))?;
        hands.observe(&desired.owner).await.map(|seen| seen.taken.len()).map_err(|error| error.to_string())
    };
    let user = "user: root@pam, password: { file: password }";
    let token = format!("tokenId: '{TOKEN}', tokenSecret: {{ file: token }}");
    let pin = format!("fingerprint: '{}'", fake.fingerprint);
    // Nobody listens at the first address; both nodes of the pretend cluster show one certificate.
    let others = format!("others: [{{ endpoint: '{}', {pin} }}]", fake.url);
    assert_eq!(look(access(&fake.url, &format!("{user}, {pin}"))).await, Ok(3));
    assert_eq!(look(access(&fake.url, &format!("{token}, caFile: ca.pem"))).await, Ok(3));
    assert_eq!(look(access(&fake.url, &format!("{token}, insecure: true"))).await, Ok(3));
    assert_eq!(look(access("https://127.0.0.1:9", &format!("{token}, {pin}, {others}"))).await, Ok(3));
    let strange = look(access(&fake.url, &token)).await.unwrap_err();
    assert!(strange.contains("is not trusted"), "{strange}");
    let nowhere = look(access(&fake.url, &format!("{token}, caFile: nowhere.pem"))).await.unwrap_err();
    assert!(nowhere.contains("nowhere.pem: No such file"), "{nowhere}");
}
