//! The life of a Talos cluster over its API, on pretend nodes.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use kubewright_hosts::talos::{
    ApplyMode, Bundle, ClientIdentity, Code, EtcdMember, PORT, Talos, TalosError, TalosLayer, Trust, UpgradeHow, Wipe,
};
use kubewright_model::digest::Digest;
use kubewright_model::secret::Secret;

use crate::talos::{Node, Site, Stage};

/// The schematic of the guest agent for QEMU.
const SCHEMATIC: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

/// Secrets are made once: a key of 4096 bits takes its time.
pub(crate) fn bundle() -> Bundle {
    static MADE: std::sync::OnceLock<Bundle> = std::sync::OnceLock::new();
    MADE.get_or_init(|| Bundle::generate(SystemTime::now()).unwrap()).clone()
}

pub(crate) fn admin(bundle: &Bundle) -> ClientIdentity {
    bundle.admin(SystemTime::now()).unwrap()
}

/// The least that a node takes for its configuration.
pub(crate) fn configuration(bundle: &Bundle, kind: &str, name: &str) -> Secret {
    let part = |name: &str| bundle.part(name).unwrap().expose().clone();
    let keys = |path: &str| match kind {
        "controlplane" => format!("{{ crt: {}, key: {} }}", part(&format!("{path}.crt")), part(&format!("{path}.key"))),
        _ => format!("{{ crt: {}, key: '' }}", part(&format!("{path}.crt"))),
    };
    Secret::new(format!(
        "version: v1alpha1\nmachine:\n  type: {kind}\n  token: {}\n  ca: {}\n  network: {{ hostname: {name} }}\n  \
         install: {{ disk: /dev/sda }}\n  sysctls: {{ net.core.somaxconn: '1024' }}\ncluster:\n  clusterName: lab\n  id: {}\n  \
         secret: {}\n  token: {}\n  ca: {}\n  controlPlane: {{ endpoint: 'https://10.0.0.10:6443' }}\n",
        part("machine.token"),
        keys("machine.ca"),
        part("cluster.id"),
        part("cluster.secret"),
        part("cluster.token"),
        keys("cluster.ca"),
    ))
}

/// Connects as soon as the node is back as what it is taken for.
pub(crate) async fn back(address: Ipv4Addr, trust: Trust<'_>) -> Talos {
    for _ in 0..2000 {
        match Talos::connect(&address.to_string(), PORT, trust).await {
            Ok(talos) => return talos,
            Err(TalosError::Unreachable { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(TalosError::InMaintenance | TalosError::NotInMaintenance) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("{address} does not come back");
}

/// Waits until a node has started so often, and perhaps answers.
async fn started(node: &Node, times: u32, answers: bool) {
    while node.with(|state| state.starts < times || (answers && state.stage == Stage::Away)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn connected(address: Ipv4Addr, trust: Trust<'_>) -> Result<Talos, TalosError> {
    Talos::connect(&address.to_string(), PORT, trust).await
}

/// What a call was refused with.
fn refusal<T: std::fmt::Debug>(result: Result<T, TalosError>) -> (Code, String, Option<&'static str>) {
    match result {
        Err(TalosError::Refused { code, message, help }) => (code, message, help),
        other => panic!("it was not refused: {other:?}"),
    }
}

async fn a_worker_is_upgraded(worker: &Node, ours: Trust<'_>) {
    let talos = back(worker.address, ours).await;
    let (code, _, help) = refusal(talos.etcd_members(false).await);
    assert_eq!((code, help), (Code::Unimplemented, Some("the node is a worker")));
    assert_eq!(refusal(talos.bootstrap().await).2, Some("the node is a worker"));
    talos
        .upgrade(&format!("factory.talos.dev/metal-installer/{SCHEMATIC}:v1.11.6"), UpgradeHow::default())
        .await
        .unwrap();
    started(worker, 3, true).await;
    let talos = back(worker.address, ours).await;
    assert_eq!(talos.version().await.unwrap().tag, "v1.11.6");
    let extensions = talos.extensions().await.unwrap();
    assert_eq!((extensions[1].name.as_str(), extensions[1].version.as_str()), ("schematic", SCHEMATIC));
}

#[tokio::test]
async fn a_cluster_is_begun_grows_is_changed_and_taken_back() {
    let site = Site::start();
    let (bundle, nodes) = (bundle(), ["v1.11.5", "v1.13.2", "v1.11.5"].map(|version| site.node(version)));
    let admin = admin(&bundle);
    let ours = Trust::Ours(&admin);
    for (node, (kind, name)) in nodes.iter().zip([("controlplane", "c1"), ("controlplane", "c2"), ("worker", "w1")]) {
        let talos = connected(node.address, Trust::Maintenance).await.unwrap();
        assert_eq!(talos.machine_status().await.unwrap().unwrap().stage, "maintenance");
        let text = configuration(&bundle, kind, name);
        assert!(
            talos.apply(&text, ApplyMode::Auto, true).await.unwrap().details.expose().starts_with("Dry run summary:")
        );
        talos.apply(&text, ApplyMode::Auto, false).await.unwrap();
        back(node.address, ours).await;
    }
    let [first, second, worker] = [&nodes[0], &nodes[1], &nodes[2]];
    let talos = back(first.address, ours).await;
    assert_eq!(talos.system_disk().await.unwrap().as_deref(), Some("/dev/sda"));
    let status = talos.machine_status().await.unwrap().unwrap();
    assert_eq!((status.stage.as_str(), status.status.ready), ("booting", false));
    assert_eq!(status.status.unmet_conditions.unwrap()[0].name, "services");
    let (code, _, help) = refusal(talos.etcd_members(false).await);
    assert_eq!((code, help.unwrap().contains("does not run")), (Code::Unknown, true));

    talos.bootstrap().await.unwrap();
    let (code, _, help) = refusal(talos.bootstrap().await);
    assert_eq!((code, help.unwrap()), (Code::AlreadyExists, "the cluster was begun on this node before"));
    assert_eq!(talos.machine_status().await.unwrap().unwrap().stage, "running");
    let members = talos.etcd_members(false).await.unwrap();
    let names: Vec<&str> = members.iter().map(|member| member.hostname.as_str()).collect();
    assert_eq!(names, ["c1", "c2"]);
    let status = talos.etcd_status().await.unwrap();
    assert_eq!((status.leader, status.member, status.errors.len()), (members[0].id, members[0].id, 0));
    assert_eq!(talos.etcd_forfeit_leadership().await.unwrap().unwrap(), format!("{:016x}", members[1].id));
    assert_eq!(talos.etcd_forfeit_leadership().await.unwrap(), None);
    assert!(talos.etcd_alarms().await.unwrap().is_empty());
    assert!(talos.kubeconfig().await.unwrap().expose().contains("server: https://10.0.0.10:6443"));
    assert_eq!(talos.log("etcd", 2).await.unwrap(), ["etcd: line 29", "etcd: line 30"]);
    talos.restart("kubelet").await.unwrap();
    let (_, refused, _) = refusal(talos.restart("machined").await);
    assert!(refused.contains("doesn't support restart"), "{refused}");
    let etcd = talos.services().await.unwrap().into_iter().find(|service| service.id == "etcd").unwrap();
    assert_eq!((etcd.state.as_str(), etcd.healthy), ("Running", Some(true)));
    let known = talos.members().await.unwrap();
    assert_eq!(
        known.iter().map(|member| member.machine_type.as_str()).collect::<Vec<_>>(),
        ["controlplane", "controlplane", "worker"]
    );

    a_worker_is_upgraded(worker, ours).await;
    let talos = back(second.address, ours).await;
    talos.reset(true, true, Wipe::Partitions(vec!["STATE".into(), "EPHEMERAL".into()])).await.unwrap();
    let talos = back(second.address, Trust::Maintenance).await;
    assert_eq!(talos.machine_status().await.unwrap().unwrap().stage, "maintenance");
    let left = back(first.address, ours).await.etcd_members(false).await.unwrap();
    assert_eq!(left.iter().map(|member| member.hostname.as_str()).collect::<Vec<_>>(), ["c1"]);
}

#[tokio::test]
async fn a_node_in_maintenance_mode_tells_what_is_not_secret() {
    let site = Site::start();
    for (version, unified) in [("v1.9.6", false), ("v1.11.5", false), ("v1.14.0", true)] {
        let node = site.node(version);
        let talos = connected(node.address, Trust::Maintenance).await.unwrap();
        assert_eq!(talos.fingerprint().len(), 44);
        let disks = talos.disks().await.unwrap();
        let paths: Vec<(&str, u64)> = disks.iter().map(|disk| (disk.dev_path.as_str(), disk.size >> 30)).collect();
        assert_eq!(paths, [("/dev/sda", 20), ("/dev/sdb", 100), ("/dev/sr0", 0)]);
        assert!(disks[2].cdrom && disks[0].transport == "virtio");
        assert_eq!(talos.system_disk().await.unwrap(), None);
        assert_eq!(talos.addresses().await.unwrap(), [format!("{}/24", node.address)]);
        assert!(talos.hostname().await.unwrap().unwrap().starts_with("talos-"));
        let links = talos.links().await.unwrap();
        assert_eq!((links[1].id.as_str(), links[1].spec.hardware_addr.as_str()), ("ens18", "bc:24:11:00:00:01"));
        let (code, _, help) = refusal(talos.configuration().await);
        assert_eq!(code, Code::PermissionDenied);
        assert!(help.unwrap().contains("maintenance"));
        match version {
            "v1.9.6" => assert_eq!(refusal(talos.version_in_maintenance().await).0, Code::PermissionDenied),
            _ => assert_eq!(talos.version_in_maintenance().await.unwrap().as_deref(), Some(version)),
        }
        match unified {
            true => assert_eq!(talos.version().await.unwrap().tag, version),
            false => assert!(refusal(talos.version().await).2.unwrap().contains("configuration")),
        }
        let code = if unified { Code::PermissionDenied } else { Code::Unimplemented };
        let (refused, _, help) = refusal(talos.bootstrap().await);
        assert_eq!((refused, help.is_some()), (code, true));
    }
}

#[tokio::test]
async fn a_configuration_is_refused_with_what_is_wrong_in_it() {
    let site = Site::start();
    let bundle = bundle();
    let good = configuration(&bundle, "controlplane", "c1").expose().clone();
    let cases: [(&str, String, &str, Option<&str>); 6] = [
        ("no YAML", good.replace("machine:", "machine: ["), "decode error", None),
        ("unknown", good.replace("  type:", "  typo: 1\n  type:"), "machine:\n  typo: 1", Some("does not know")),
        (
            "newer",
            format!("{good}---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\n"),
            "not registered",
            None,
        ),
        ("no disk", good.replace("  install: { disk: /dev/sda }\n", ""), "install instructions are required", None),
        ("role", good.replace("controlplane\n", "server\n"), "unknown machine type \"server\"", None),
        (
            "no key",
            good.replace(bundle.part("machine.ca.key").unwrap().expose(), "''"),
            "issuing CA key is required",
            None,
        ),
    ];
    for version in ["v1.11.5", "v1.13.0"] {
        let node = site.node(version);
        let talos = connected(node.address, Trust::Maintenance).await.unwrap();
        for (name, text, words, help) in &cases {
            if (*name, version) == ("newer", "v1.13.0") {
                continue;
            }
            let refused = talos.apply(&Secret::new(text.clone()), ApplyMode::Auto, false).await;
            let (_, message, told) = refusal(refused);
            assert!(message.contains(words), "{name}, {version}: {message}");
            assert!(help.is_none_or(|help| told.is_some_and(|told| told.contains(help))), "{name}: {told:?}");
        }
    }
    let node = site.node("v1.11.5");
    let talos = connected(node.address, Trust::Maintenance).await.unwrap();
    let (code, _, help) = refusal(talos.apply(&Secret::new(good.clone()), ApplyMode::Staged, false).await);
    assert_eq!((code, help.is_some()), (Code::Unimplemented, true));
    // The disk is not there: the node takes the configuration, and comes back without.
    let missing = Secret::new(good.replace("/dev/sda", "/dev/nvme0n1"));
    talos.apply(&missing, ApplyMode::Auto, false).await.unwrap();
    started(&node, 2, true).await;
    let talos = back(node.address, Trust::Maintenance).await;
    assert_eq!(talos.machine_status().await.unwrap().unwrap().stage, "maintenance");
}

#[tokio::test]
async fn who_a_node_is_is_told_apart() {
    let site = Site::start();
    let (bundle, other) = (bundle(), Bundle::generate(SystemTime::now()).unwrap());
    let (admin, stranger) = (admin(&bundle), admin(&other));
    let node = site.node("v1.11.5");
    let wrong = connected(node.address, Trust::Ours(&admin)).await.unwrap_err();
    assert_eq!(wrong, TalosError::InMaintenance);
    let talos = connected(node.address, Trust::Maintenance).await.unwrap();
    let text = configuration(&bundle, "controlplane", "c1");
    let text = Secret::new(text.expose().replace("  network:", "  certSANs: [localhost]\n  network:"));
    talos.apply(&text, ApplyMode::Auto, false).await.unwrap();
    back(node.address, Trust::Ours(&admin)).await;
    assert_eq!(connected(node.address, Trust::Maintenance).await.unwrap_err(), TalosError::NotInMaintenance);
    let wrong = connected(node.address, Trust::Ours(&stranger)).await.unwrap_err();
    assert!(matches!(&wrong, TalosError::OtherCluster { why } if why.contains("another authority")), "{wrong}");
    assert!(wrong.to_string().contains("reset it with that cluster's own talosconfig"), "{wrong}");
    // It trusts the node's authority, and shows a certificate of another one.
    let authority = admin.authority().to_string();
    let mixed = ClientIdentity::new(authority, stranger.certificate().into(), stranger.key().clone()).unwrap();
    let wrong = connected(node.address, Trust::Ours(&mixed)).await.unwrap_err();
    assert!(matches!(&wrong, TalosError::OtherCluster { why } if why.contains("does not take our")), "{wrong}");
    // Another address leads there than its certificate names.
    let stream = tokio::net::TcpStream::connect((node.address, PORT)).await.unwrap();
    let wrong = Talos::over(stream, "10.9.8.7", Trust::Ours(&admin)).await.unwrap_err();
    assert!(
        matches!(&wrong, TalosError::Unreachable { layer: TalosLayer::Tls, why } if why.contains("certSANs")),
        "{wrong}"
    );
    let stream = tokio::net::TcpStream::connect((node.address, PORT)).await.unwrap();
    let talos = Talos::over(stream, "localhost", Trust::Ours(&admin)).await.unwrap();
    assert_eq!(talos.hostname().await.unwrap().as_deref(), Some("c1"));
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_by_how_far_we_came() {
    let layer = |wrong: TalosError| match wrong {
        TalosError::Unreachable { layer, why } if !why.contains("transport error") => layer,
        other => panic!("{other}"),
    };
    let gone = Talos::connect("127.0.0.1", 1, Trust::Maintenance).await.unwrap_err();
    assert_eq!(layer(gone), TalosLayer::Tcp);
    let unknown = Talos::connect("no-such-host.invalid", PORT, Trust::Maintenance).await.unwrap_err();
    assert_eq!(layer(unknown), TalosLayer::Name);
    // Somebody else answers there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let other = Talos::connect("127.0.0.1", port, Trust::Maintenance).await.unwrap_err();
    assert_eq!(layer(other), TalosLayer::Tls);
    // A node whose power goes while we are connected.
    let site = Site::start();
    let node = site.node("v1.13.0");
    let talos = connected(node.address, Trust::Maintenance).await.unwrap();
    talos.version().await.unwrap();
    node.power_off();
    let lost = talos.version().await.unwrap_err();
    assert!(lost.may_pass(), "{lost}");
    assert_eq!(layer(lost), TalosLayer::Connection);
    assert_eq!(layer(connected(node.address, Trust::Maintenance).await.unwrap_err()), TalosLayer::Tcp);
    node.power_on(&site);
    back(node.address, Trust::Maintenance).await;
}

#[tokio::test]
async fn a_member_that_is_silent_is_forgotten_and_a_cluster_comes_back_from_its_snapshot() {
    let site = Site::start();
    let (bundle, nodes) = (bundle(), [0, 1, 2].map(|_| site.node("v1.11.5")));
    let admin = admin(&bundle);
    let ours = Trust::Ours(&admin);
    for (node, name) in nodes.iter().zip(["c1", "c2", "c3"]) {
        let talos = connected(node.address, Trust::Maintenance).await.unwrap();
        talos.apply(&configuration(&bundle, "controlplane", name), ApplyMode::Auto, false).await.unwrap();
    }
    for node in &nodes {
        back(node.address, ours).await;
    }
    let talos = back(nodes[0].address, ours).await;
    talos.bootstrap().await.unwrap();
    let mut snapshot = Vec::new();
    let taken = talos.etcd_snapshot(&mut snapshot).await.unwrap();
    assert_eq!((taken.size, &taken.digest), (snapshot.len() as u64, &Digest::of(&snapshot)));

    nodes[2].power_off();
    let image = "ghcr.io/siderolabs/installer:v1.11.6";
    let (_, message, help) = refusal(talos.upgrade(image, UpgradeHow::default()).await);
    assert!(message.contains("etcd member is not healthy") && help.unwrap().contains("quorum"), "{message}");
    let find = |members: Vec<EtcdMember>| members.into_iter().find(|member| member.hostname == "c3");
    let silent = find(talos.etcd_members(true).await.unwrap()).unwrap();
    talos.etcd_remove_member(silent.id).await.unwrap();
    assert_eq!(refusal(talos.etcd_remove_member(silent.id).await).0, Code::NotFound);
    assert_eq!(find(talos.etcd_members(false).await.unwrap()), None);
    assert!(refusal(talos.upgrade("installer", UpgradeHow::default()).await).2.unwrap().contains("installer's image"));

    nodes[1].power_off();
    let lost = talos.etcd_status().await.unwrap_err();
    assert!(lost.may_pass() && lost.code() == Some(Code::Unavailable), "{lost}");
    talos.reset(false, true, Wipe::Partitions(vec!["EPHEMERAL".into()])).await.unwrap();
    started(&nodes[0], 3, true).await;
    let talos = back(nodes[0].address, ours).await;
    let damaged = snapshot[..snapshot.len() - 1].to_vec();
    talos.etcd_recover(std::io::Cursor::new(damaged)).await.unwrap();
    assert!(refusal(talos.bootstrap_from_snapshot(false).await).1.contains("hash"));
    talos.etcd_recover(std::io::Cursor::new(snapshot.clone())).await.unwrap();
    assert_eq!(nodes[0].given(), Some(snapshot));
    talos.bootstrap_from_snapshot(false).await.unwrap();
    assert_eq!(talos.etcd_members(false).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_configuration_is_changed_at_once_staged_or_with_a_restart() {
    let site = Site::start();
    let bundle = bundle();
    let admin = admin(&bundle);
    for (version, restarts) in [("v1.11.5", true), ("v1.14.0", false)] {
        let node = site.node(version);
        let text = configuration(&bundle, "controlplane", "c1").expose().clone();
        let talos = connected(node.address, Trust::Maintenance).await.unwrap();
        talos.apply(&Secret::new(text.clone()), ApplyMode::Auto, false).await.unwrap();
        let talos = back(node.address, Trust::Ours(&admin)).await;
        let small = Secret::new(text.replace("1024", "4096"));
        let applied = talos.apply(&small, ApplyMode::Auto, false).await.unwrap();
        assert_eq!(applied.mode, ApplyMode::NoReboot);
        assert!(!format!("{applied:?}").contains("without a reboot"));
        assert_eq!(talos.configuration().await.unwrap(), Some(small));
        let large = Secret::new(text.replace("  type:", "  udev: { rules: [a] }\n  type:"));
        talos.apply(&large, ApplyMode::Staged, false).await.unwrap();
        assert_eq!(talos.stored_configuration().await.unwrap(), Some(large.clone()));
        assert_ne!(talos.configuration().await.unwrap(), Some(large.clone()));
        let at_once = talos.apply(&large, ApplyMode::NoReboot, false).await;
        if restarts {
            let (_, message, _) = refusal(at_once);
            assert_eq!(message, "this config change can't be applied in immediate mode");
            assert_eq!(talos.apply(&large, ApplyMode::Auto, false).await.unwrap().mode, ApplyMode::Reboot);
        } else {
            at_once.unwrap();
            assert!(refusal(talos.apply(&large, ApplyMode::Reboot, false).await).2.unwrap().contains("1.14"));
            talos.reboot().await.unwrap();
        }
        started(&node, 3, true).await;
        let talos = back(node.address, Trust::Ours(&admin)).await;
        assert_eq!(talos.configuration().await.unwrap(), Some(large));
        assert_eq!(node.with(|state| (state.starts, state.stage)), (3, Stage::Running));
    }
}

#[tokio::test]
async fn refusals_tell_what_to_do_and_whether_they_pass() {
    let site = Site::start();
    let node = site.node("v1.13.0");
    let talos = connected(node.address, Trust::Maintenance).await.unwrap();
    let cases = [
        (Code::FailedPrecondition, "time is not in sync yet", true, Some("time servers")),
        (Code::FailedPrecondition, "bootstrap is not available yet", true, Some("still starting")),
        (Code::Unknown, "failed to acquire upgrade mutex: locked", true, Some("another node")),
        (
            Code::FailedPrecondition,
            "configuration was already applied and node is rebooting, cannot apply more configuration changes until next \
             reboot",
            true,
            Some("starts again"),
        ),
        (Code::Unavailable, "etcdserver: request timed out", true, Some("not well")),
        (Code::PermissionDenied, "not authorized", false, Some("role")),
        (Code::Unimplemented, "unknown service machine.MachineService", false, Some("does not have this call")),
        (Code::Unimplemented, "API is not implemented in maintenance mode", false, Some("first wants a configuration")),
        (Code::Internal, "something else", false, None),
    ];
    for (code, message, passes, help) in cases {
        node.fault("Version", code, message);
        let refused = talos.version().await.unwrap_err();
        assert_eq!((refused.code(), refused.may_pass()), (Some(code), passes), "{refused}");
        let told = refused.to_string();
        assert!(told.contains(message) && help.is_none_or(|help| told.contains(help)), "{told}");
    }
    // A stream that is refused, and a status of gRPC that our side gives.
    node.fault("List", Code::Unavailable, "starting");
    assert!(talos.disks().await.unwrap_err().may_pass());
}

#[tokio::test]
async fn a_worker_waits_for_a_control_plane_that_knows_its_token() {
    let site = Site::start();
    let (bundle, other) = (bundle(), Bundle::generate(SystemTime::now()).unwrap());
    let admin = admin(&bundle);
    let (worker, stranger) = (site.node("v1.11.5"), site.node("v1.11.5"));
    let text = configuration(&bundle, "worker", "w").expose().clone();
    let token = |bundle: &Bundle| bundle.part("machine.token").unwrap().expose().clone();
    let wrong = text.replace(&token(&bundle), &token(&other));
    for (node, text) in [(&worker, text), (&stranger, wrong)] {
        let talos = connected(node.address, Trust::Maintenance).await.unwrap();
        talos.apply(&Secret::new(text), ApplyMode::Auto, false).await.unwrap();
    }
    started(&worker, 2, false).await;
    started(&stranger, 2, false).await;
    let away = connected(worker.address, Trust::Ours(&admin)).await.unwrap_err();
    assert!(matches!(away, TalosError::Unreachable { layer: TalosLayer::Tcp, .. }), "{away}");
    let control = site.node("v1.11.5");
    let talos = connected(control.address, Trust::Maintenance).await.unwrap();
    talos.apply(&configuration(&bundle, "controlplane", "c"), ApplyMode::Auto, false).await.unwrap();
    back(worker.address, Trust::Ours(&admin)).await;
    assert!(connected(stranger.address, Trust::Ours(&admin)).await.is_err());
}
