//! No secret gets anywhere but to its use.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use kubewright_engine::sim::{self, Fault, FaultKind};
use kubewright_engine::store::Store;
use kubewright_engine::store::folder::FolderStore;
use kubewright_engine::{Engine, Stop};
use kubewright_model::event::Record;
use kubewright_model::ids::ClusterName;
use kubewright_model::plan::Ask;
use kubewright_model::secret::Secret;

use crate::yard::{Yard, desired};

/// Everything that takes a secret.
const EVERYTHING: &str = r#"apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: { name: lab }
spec:
  kubernetes:
    distribution: k3s
    version: v1.31.4+k3s1
    joinToken: { env: JOIN_TOKEN }
    encryptSecrets: true
  providers:
    proxmox: { endpoint: "https://pve:8006", tokenId: root@pam!kubewright, tokenSecret: { env: TOKEN }, node: pve, ssh: { keyFile: ~/.ssh/id_ed25519 } }
  network: { cidr: 10.0.0.0/24, gateway: 10.0.0.1, nameservers: [10.0.0.1] }
  hosts:
    ssh: { keyFile: ~/.ssh/id_ed25519, sudoPassword: { env: SUDO } }
    files: { /etc/secret: { from: { env: FILE_SECRET }, mode: "0600" } }
    users: { ops: { passwordHash: { env: OPS_HASH } } }
  pools:
    server: { role: both, name: server, addresses: [10.0.0.10], cores: 2, memory: 4Gi, disk: 20Gi, proxmox: { vmids: ["400"], vm: { template: 9000 } } }
    front: { role: loadBalancer, name: front, addresses: [10.0.0.5], cores: 1, memory: 1Gi, disk: 8Gi, proxmox: { vmids: ["500"], vm: { template: 9000 } } }
  loadBalancers:
    web:
      by: haproxy
      pool: front
      listen: [{ port: 80, to: 80 }]
      statistics: { password: { env: STATISTICS } }
  addons:
    monitoring: { grafanaPassword: { env: GRAFANA } }
    loki: { collector: promtail }
    vault: { mode: dev }
    certManager: {}
    metricsServer: {}
    argocd: { version: 7.7.5 }
    metallb: { pools: { lab: [10.0.0.200-210] } }
"#;

/// Every secret that a store keeps, by the name of its file.
fn kept(folder: &std::path::Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder.join("lab/secrets")).unwrap();
    let read = entries.map(|entry| {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} can be read by others", path.display());
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())
    });
    read.collect()
}

#[test]
fn no_secret_is_in_a_record_a_plan_a_note_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path());
    let yard = Yard::new(desired(EVERYTHING), 2);
    let engine = Engine::new(yard.centre.world(&yard.desired), Arc::new(store.clone()));
    let mut seen = String::new();
    sim::run(async {
        // The first runs fail in every way that tells something; the last ends well.
        let kinds = [FaultKind::DiskFull, FaultKind::PowerCut, FaultKind::Api500, FaultKind::SlowLink];
        for kind in kinds.into_iter().map(Some).chain([None]) {
            kind.into_iter().for_each(|kind| yard.centre.strike(Fault { kind, target: None }));
            for ask in [Ask::Apply, Ask::Backup, Ask::Apply] {
                match engine.plan(&yard.desired, &ask, &[]).await {
                    Ok(planned) => {
                        seen += &serde_json::to_string(&planned.plan).unwrap();
                        seen += &serde_json::to_string(&planned.observed).unwrap();
                        seen += &format!("{planned:?}");
                    }
                    Err(error) => seen += &format!("{} {error:?}", error.told()),
                }
                let mut sink = |record: &Record| seen += &serde_json::to_string(record).unwrap();
                match engine.apply(&yard.request(&ask, &[]), &Stop::default(), &mut sink).await {
                    Ok(report) => seen += &format!("{report:?}"),
                    Err(error) => seen += &format!("{} {error:?}", error.told()),
                }
            }
            yard.centre.mend();
        }
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 2).await.len(), 1);
    })
    .unwrap();
    let secrets = kept(folder.path());
    let names: Vec<&str> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"join-token") && names.len() >= 5, "{names:?}");
    for (name, value) in &secrets {
        assert!(value.len() >= 16, "{name} is no secret");
        assert!(!seen.contains(value.as_str()), "the value of {name} got out");
    }
    assert!(seen.contains("secret/join-token"), "holes are there by name");
    // The spec says where to look, never what is there.
    let spec = serde_json::to_string(&yard.desired).unwrap();
    assert!(secrets.iter().all(|(_, value)| !spec.contains(value.as_str())));
}

#[test]
fn a_destruction_forgets_the_secrets_of_its_cluster_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path());
    let other = ClusterName::from("another");
    store.keep_secret(&other, "join-token", &Secret::new("kept".into())).unwrap();
    let yard = Yard::new(desired(EVERYTHING), 2);
    let engine = Engine::new(yard.centre.world(&yard.desired), Arc::new(store.clone()));
    sim::run(async {
        for ask in [Ask::Apply, Ask::Destroy] {
            yard.centre.announce_end();
            engine.apply(&yard.request(&ask, &[]), &Stop::default(), &mut |_| {}).await.unwrap();
        }
    })
    .unwrap();
    assert_eq!(store.secret(&yard.desired.cluster, "join-token").unwrap(), None);
    assert_eq!(store.secret(&other, "join-token").unwrap(), Some(Secret::new("kept".into())));
}

#[test]
fn a_secret_that_is_another_now_restarts_what_reads_it() {
    let yard = Yard::new(desired(EVERYTHING), 3);
    let read = || {
        let state = yard.centre.snapshot();
        state.machine(&"front".into()).unwrap().host.units["haproxy.service"].reads.clone().unwrap()
    };
    sim::run(async {
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        let before = read();
        let another = Secret::new("another password".into());
        yard.store.keep_secret(&yard.desired.cluster, "statistics-web", &another).unwrap();
        let (_, plan) = yard.plan(&Ask::Apply, &[]).await;
        let fields: Vec<&str> = plan.steps.iter().flat_map(|step| &step.fields).map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["file /etc/haproxy/haproxy.cfg", "unit haproxy.service"]);
        assert_eq!(yard.run_to_the_end(&Ask::Apply, &[], 1).await, ["complete"]);
        assert_ne!(read(), before);
        assert_eq!(yard.complaints(&Ask::Apply, &[]).await, [""; 0]);
    })
    .unwrap();
}
