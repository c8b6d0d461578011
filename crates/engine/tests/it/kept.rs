//! What is kept beside the spec, and what becomes of a cluster when that is lost or broken.

use std::sync::Arc;

use kubewright_engine::sim;
use kubewright_engine::store::Store as _;
use kubewright_engine::store::folder::FolderStore;
use kubewright_engine::{Engine, EngineError, Stop};
use kubewright_model::observed::{Power, Seen};
use kubewright_model::plan::Ask;
use kubewright_model::secret::Secret;

use crate::yard::{Yard, desired};

/// Three servers with etcd.
const SERVERS: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes: { distribution: k3s, version: v1.31.4+k3s1, endpoint: { host: 10.0.0.10 } }
  providers:
    proxmox: { endpoint: "https://pve:8006", tokenId: root@pam!kubewright, tokenSecret: { env: TOKEN }, node: pve, ssh: { keyFile: ~/.ssh/id_ed25519 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts: { ssh: { keyFile: ~/.ssh/id_ed25519 } }
  pools:
    server: { role: both, name: "server-{n}", addresses: [10.0.0.10-12], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: [400-402], vm: { template: 9000 } } }
"#;

fn turn_off(yard: &Yard) {
    yard.centre.alter(|state| {
        for name in ["server-1", "server-2", "server-3"] {
            let machine = state.machine_mut(&name.into()).unwrap();
            machine.seen.power = Power::Stopped;
            machine.host.units.values_mut().for_each(|unit| unit.active = false);
        }
    });
}

#[test]
fn a_lost_store_wakes_a_cluster_and_begins_none() {
    let yard = Yard::new(desired(SERVERS), 5);
    let cluster = yard.desired.cluster.clone();
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let token = yard.store.secret(&cluster, "join-token").unwrap().unwrap();
        yard.store.forget_secrets(&cluster).unwrap();
        turn_off(&yard);
        let told = yard.run_to_the_end(&Ask::Apply, &[], 3).await;
        assert!(
            told[2].starts_with("blocked: cluster: the cluster lives, and its join token is not kept"),
            "{told:#?}"
        );
        assert_eq!(yard.store.secret(&cluster, "join-token").unwrap(), None, "none was made");
        let (observed, _) = yard.plan(&Ask::Apply, &[]).await;
        let seen = observed.cluster.as_ref().and_then(Seen::present).unwrap();
        assert_eq!((seen.nodes.len(), seen.members.len()), (3, 3), "it woke");
        yard.store.keep_secret(&cluster, "join-token", &token).unwrap();
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0]);
    })
    .unwrap();
}

#[test]
fn a_kept_kubeconfig_is_tried_though_the_foundation_is_lost() {
    let yard = Yard::new(desired(SERVERS), 5);
    let lists = || yard.centre.calls().get("kubernetes list").copied().unwrap_or_default();
    sim::run(async {
        yard.plan(&Ask::Apply, &[]).await;
        assert_eq!(lists(), 0, "nothing speaks for a cluster");
        yard.store.keep_secret(&yard.desired.cluster, "kubeconfig", &Secret::new("a way in".to_string())).unwrap();
        yard.plan(&Ask::Apply, &[]).await;
        assert!(lists() > 0, "{:?}", yard.centre.calls());
    })
    .unwrap();
}

#[test]
fn a_kept_kubeconfig_is_given_for_the_endpoint_and_tried_first() {
    let yard = Yard::new(desired(SERVERS), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let engine = Engine::new(yard.centre.world(&yard.desired), Arc::new(yard.store.clone()));
        let mut moved = yard.desired.clone();
        moved.kubernetes.endpoint.host = "api.lab".into();
        let given = engine.kubeconfig(&moved).await.unwrap().unwrap();
        assert_eq!(given.untried, None);
        assert!(given.kubeconfig.expose().contains("https://api.lab:6443"), "{}", given.kubeconfig.expose());
        turn_off(&yard);
        let given = engine.kubeconfig(&yard.desired).await.unwrap().unwrap();
        assert!(given.untried.is_some() && given.kubeconfig.expose().contains("https://10.0.0.10:6443"));
    })
    .unwrap();
}

#[test]
fn a_foundation_that_cannot_be_read_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let yard = Yard::new(desired(SERVERS), 5);
    let engine = Engine::new(yard.centre.world(&yard.desired), Arc::new(FolderStore::new(folder.path())));
    let file = folder.path().join("lab/foundation.json");
    sim::run(async {
        engine.apply(&yard.request(&Ask::Apply, &[]), &Stop::default(), &mut |_| {}).await.unwrap();
        let whole = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        for off in [false, true] {
            if off {
                turn_off(&yard);
            }
            let blocked =
                engine.apply(&yard.request(&Ask::Apply, &[]), &Stop::default(), &mut |_| {}).await.unwrap_err();
            let why = blocked.told();
            assert!(matches!(blocked, EngineError::Blocked(_)), "{why}");
            let begun = format!("what the cluster was begun with cannot be read: {}, line 1", file.display());
            assert!(why.contains(&begun), "{why}");
        }
        // What an older version wrote down lacks what that version did not know.
        let older: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&whole).unwrap();
        let older: serde_json::Map<_, _> = older.into_iter().filter(|(name, _)| name != "network plug-in").collect();
        std::fs::write(&file, serde_json::to_string(&older).unwrap()).unwrap();
        let report = engine.apply(&yard.request(&Ask::Apply, &[]), &Stop::default(), &mut |_| {}).await.unwrap();
        assert_eq!(report.remaining, [""; 0]);
    })
    .unwrap();
}

#[test]
fn a_kind_that_cannot_be_listed_is_told() {
    let yard = Yard::new(desired(SERVERS), 5);
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let (mut observed, _) = yard.plan(&Ask::Apply, &[]).await;
        let Some(Seen::Present(seen)) = &mut observed.cluster else { panic!("{:?}", observed.cluster) };
        seen.unlisted = [("bills.shop.lab".to_string(), "its webhook is down".to_string())].into();
        let plan = kubewright_planner::plan::plan(&yard.desired, &observed, &Ask::Apply);
        let told: Vec<&str> = plan.notes.iter().map(|note| note.message.as_str()).collect();
        assert!(
            told.iter().any(|told| told.contains("bills.shop.lab") && told.contains("cannot be listed")),
            "{told:?}"
        );
    })
    .unwrap();
}
