//! The client and the pretend nodes, each against what betterproto made of Talos' own protos for Python.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use kubewright_hosts::talos::{ApplyMode, Code, EtcdAlarm, PORT, Talos, TalosError, Trust, UpgradeHow, Wipe};
use kubewright_model::secret::Secret;
use serde_json::{Value, json};

use crate::talos::{Site, pem_of_member};
use crate::talos_life::{admin, back, bundle, configuration};

/// The package of protos, which asks for more than is needed; and what it stands on.
const PROTOS: &str = "talos-linux-api-v1-6-0==0.1.0";
const BELOW: &[&str] = &["betterproto==2.0.0b7", "grpclib==0.4.9"];

/// A Python with the stubs; it is put below the target folder once.
fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("talos-python");
    let turn = std::fs::File::create(home.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let done = home.join("installed");
    if !done.is_file() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home));
        run(Command::new(home.join("bin/pip")).args(["install", "--quiet", "--no-deps", PROTOS]));
        run(Command::new(home.join("bin/pip")).args(["install", "--quiet"]).args(BELOW));
        std::fs::File::create(&done).unwrap();
    }
    home.join("bin/python")
}

fn run(command: &mut Command) {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// OpenSSL knows keys of Ed25519 by the usual label alone.
fn usual(key: &str) -> String {
    key.replace("ED25519 PRIVATE KEY", "PRIVATE KEY")
}

#[tokio::test]
async fn a_pretend_node_is_understood_by_the_stub_of_the_vendors_protos() {
    let site = Site::start();
    let node = site.node("v1.11.5");
    let bundle = bundle();
    let admin = admin(&bundle);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("configuration", configuration(&bundle, "controlplane", "c1").expose());
    write("ca", admin.authority());
    write("crt", admin.certificate());
    write("key", &usual(admin.key().expose()));
    let life = |part: &str| {
        let mut command = Command::new(python());
        run(command.arg(script("talos_client.py")).arg(node.address.to_string()).arg(folder.path()).arg(part));
    };
    life("maintenance");
    back(node.address, Trust::Ours(&admin)).await;
    life("member");
    let talos = back(node.address, Trust::Maintenance).await;
    assert_eq!(talos.machine_status().await.unwrap().unwrap().stage, "maintenance");
    let calls = node.with(|state| state.calls.clone());
    assert!(
        ["EtcdRecover", "Kubeconfig", "Reset"].iter().all(|call| calls.iter().any(|other| other == call)),
        "{calls:?}"
    );
}

/// A server of the vendor's protos, and what it has understood.
struct Theirs {
    process: Child,
    folder: tempfile::TempDir,
    address: Ipv4Addr,
}

impl Theirs {
    async fn start(address: Ipv4Addr, authority: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = pem_of_member(&bundle(), address);
        std::fs::write(folder.path().join("crt"), certificate).unwrap();
        std::fs::write(folder.path().join("key"), key).unwrap();
        if let Some(authority) = authority {
            std::fs::write(folder.path().join("ca"), authority).unwrap();
        }
        let mut command = Command::new(python());
        let process =
            command.arg(script("talos_server.py")).arg(address.to_string()).arg(folder.path()).spawn().unwrap();
        let theirs = Self { process, folder, address };
        for _ in 0..1000 {
            if theirs.folder.path().join("ready").exists() {
                return theirs;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("their server does not start");
    }

    async fn connect(&self, trust: Trust<'_>) -> Result<Talos, TalosError> {
        Talos::connect(&self.address.to_string(), PORT, trust).await
    }

    fn asked(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(self.folder.path().join("asked")).unwrap();
        let line = |line: &str| {
            line.split_once(' ').map(|(name, json)| (name.to_string(), serde_json::from_str(json).unwrap()))
        };
        text.lines().filter_map(line).collect()
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn our_client_is_understood_by_a_server_of_the_vendors_protos() {
    let admin = admin(&bundle());
    let address = Site::address();
    let theirs = Theirs::start(address, Some(admin.authority())).await;
    assert_eq!(theirs.connect(Trust::Maintenance).await.unwrap_err(), TalosError::NotInMaintenance);
    let talos = theirs.connect(Trust::Ours(&admin)).await.unwrap();
    let version = talos.version().await.unwrap();
    assert_eq!([version.tag, version.arch, version.platform, version.mode], ["v1.6.0", "amd64", "metal", "metal"]);
    let applied = talos.apply(&Secret::new("version: v1alpha1\n".into()), ApplyMode::Auto, true).await.unwrap();
    assert_eq!(
        (applied.mode, applied.warnings.len(), applied.details.expose().as_str()),
        (ApplyMode::NoReboot, 1, "done")
    );
    talos.bootstrap().await.unwrap();
    assert_eq!(talos.bootstrap_from_snapshot(true).await.unwrap_err().code(), Some(Code::AlreadyExists));
    assert_eq!(talos.kubeconfig().await.unwrap().expose(), "apiVersion: v1\nkind: Config\n");
    let members = talos.etcd_members(true).await.unwrap();
    assert_eq!((members[0].id, members[0].hostname.as_str(), members[0].learner), ((1 << 63) + 1, "c1", true));
    assert_eq!(members[0].peer_urls, ["https://10.0.0.1:2380"]);
    talos.etcd_remove_member(members[0].id).await.unwrap();
    assert_eq!(talos.etcd_forfeit_leadership().await.unwrap().as_deref(), Some("c2"));
    talos.etcd_leave().await.unwrap();
    let status = talos.etcd_status().await.unwrap();
    assert_eq!((status.member, status.leader, status.size, status.in_use, status.index), (11, 12, 100, 50, (9, 8)));
    assert_eq!((status.version.as_str(), status.learner, status.errors.len()), ("3.5.11", true, 1));
    assert_eq!(talos.etcd_alarms().await.unwrap(), [EtcdAlarm::NoSpace(11), EtcdAlarm::Corrupt(12)]);
    let mut snapshot = Vec::new();
    assert_eq!(talos.etcd_snapshot(&mut snapshot).await.unwrap().size, 16384 + 32);
    talos.etcd_recover(std::io::Cursor::new(snapshot.clone())).await.unwrap();
    assert_eq!(std::fs::read(theirs.folder.path().join("recovered")).unwrap(), snapshot);
    talos.upgrade("installer:v1.6.1", UpgradeHow { preserve: true, stage: true, force: true }).await.unwrap();
    talos.reboot().await.unwrap();
    talos.reset(true, true, Wipe::Partitions(vec!["STATE".into()])).await.unwrap();
    talos.reset(false, false, Wipe::SystemDisk).await.unwrap();
    let services = talos.services().await.unwrap();
    assert_eq!(
        (services[0].id.as_str(), services[0].healthy, services[0].said.as_str()),
        ("etcd", Some(false), "connection refused")
    );
    assert_eq!(talos.log("etcd", 5).await.unwrap(), ["one", "two"]);
    let expected = [
        ("apply", json!({"data": "dmVyc2lvbjogdjFhbHBoYTEK", "mode": "AUTO", "dryRun": true})),
        ("bootstrap", json!({})),
        ("bootstrap", json!({"recoverEtcd": true, "recoverSkipHashCheck": true})),
        ("members", json!({"queryLocal": true})),
        ("remove", json!({"memberId": "9223372036854775809"})),
        ("upgrade", json!({"image": "installer:v1.6.1", "preserve": true, "stage": true, "force": true})),
        ("reboot", json!({})),
        (
            "reset",
            json!({"graceful": true, "reboot": true, "systemPartitionsToWipe": [{"label": "STATE", "wipe": true}]}),
        ),
        ("reset", json!({"mode": "SYSTEM_DISK"})),
        ("logs", json!({"namespace": "system", "id": "etcd", "tailLines": 5})),
    ];
    assert_eq!(theirs.asked(), expected.map(|(name, message)| (name.to_string(), message)));
    // A call that is not there: their stub of State is not in the package.
    let missing = talos.machine_status().await.unwrap_err();
    assert_eq!(missing.code(), Some(Code::Unimplemented), "{missing}");
}

#[tokio::test]
async fn their_server_without_a_question_is_a_node_in_maintenance_mode() {
    let other = kubewright_hosts::talos::Bundle::generate(std::time::SystemTime::now()).unwrap();
    let theirs = Theirs::start(Site::address(), None).await;
    let talos = theirs.connect(Trust::Maintenance).await.unwrap();
    assert_eq!(talos.version().await.unwrap().tag, "v1.6.0");
    assert_eq!(theirs.connect(Trust::Ours(&admin(&other))).await.unwrap_err(), TalosError::InMaintenance);
}
