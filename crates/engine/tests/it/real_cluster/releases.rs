//! Releases, by the real `helm`.

use std::process::{Command, Stdio};
use std::sync::Mutex;

use kubewright_engine::cluster::{ClusterApi, ClusterError, RealCluster};
use kubewright_hosts::Holes;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::observed::{ReleaseSeen, Rendered};
use kubewright_model::secret::Secret;
use kubewright_model::spec::addons::OnFailure;
use kubewright_model::units::Span;
use serde_json::{Value, json};

use crate::plane::Plane;

fn wish(values: Value) -> DesiredRelease {
    DesiredRelease {
        name: "web".into(),
        namespace: "default".into(),
        part: "web".into(),
        chart: "./chart".into(),
        repository: None,
        version: Some("1.2.3".parse().unwrap()),
        values,
        after: Vec::new(),
        before_ready: false,
        on_failure: OnFailure::Leave,
        timeout: None,
        digest: None,
    }
}

async fn seen(hands: &RealCluster, desired: &Desired) -> Option<ReleaseSeen> {
    hands.observe(desired).await.present().expect("it answers").release(&wish(json!({}))).cloned()
}

/// Installed, refused, upgraded, changed by hand, cut off, removed.
pub(super) async fn a_release_lives(plane: &Plane, desired: &Desired, hands: &RealCluster, folder: &std::path::Path) {
    let told = Mutex::new(Vec::new());
    let tell = |what: String| told.lock().unwrap().push(what);
    let install = async |wish: &DesiredRelease| hands.install(wish, &desired.owner, &Holes::new(), &tell).await;
    match install(&wish(json!({ "refuse": true }))).await {
        Err(ClusterError::Refused { what, why, .. }) => {
            assert_eq!(what, "release web");
            assert!(why.contains("refused as told"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    for replicas in [1, 2] {
        let wish = wish(json!({ "replicas": replicas }));
        assert!(install(&wish).await.unwrap());
        let there = seen(hands, desired).await.unwrap();
        assert_eq!(there.fingerprint, Some(wish.fingerprint()));
        assert_eq!((there.owner.as_ref(), there.version), (Some(&desired.owner), wish.version));
        assert_eq!(plane.get(&["configmap", "of-the-chart"], "{.data.replicas}"), replicas.to_string());
    }
    // What is not said any more is not kept from before.
    install(&wish(json!({}))).await.unwrap();
    assert_eq!(plane.get(&["configmap", "of-the-chart"], "{.data.replicas}"), "");
    let mut by_hand = Command::new(plane.programs().join("helm"));
    by_hand.args(["upgrade", "web", "./chart", "--set", "replicas=9", "--kubeconfig"]).arg(plane.at("kubeconfig"));
    assert!(by_hand.current_dir(folder).stdout(Stdio::null()).status().unwrap().success());
    let there = seen(hands, desired).await.unwrap();
    assert_eq!((there.owner.as_ref(), there.fingerprint), (Some(&desired.owner), None), "it is ours, and differs");
    // A run that was killed in the middle leaves a record that lets nobody at the release.
    let mut cut_off = Command::new(plane.programs().join("helm"));
    cut_off.args(["upgrade", "web", "./chart", "--set", "workload=true", "--wait", "--kubeconfig"]);
    cut_off.arg(plane.at("kubeconfig")).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let mut cut_off = cut_off.spawn().unwrap();
    plane.until("a pending revision", |plane| {
        !plane.get(&["secrets", "-l", "owner=helm,status=pending-upgrade"], "{.items[*].metadata.name}").is_empty()
            && !plane.get(&["deployments", "-l", "app=of-the-chart"], "{.items[*].metadata.name}").is_empty()
    });
    cut_off.kill().unwrap();
    cut_off.wait().unwrap();
    assert!(!seen(hands, desired).await.unwrap().deployed);
    assert!(install(&wish(json!({ "replicas": 3 }))).await.unwrap());
    assert!(told.lock().unwrap().iter().any(|what| what.starts_with("release web: a run was cut off")), "{told:?}");
    assert!(seen(hands, desired).await.unwrap().deployed);
    // A removal that was killed in the middle does too.
    plane.kubectl(&["patch", "configmap", "of-the-chart", "-p", r#"{"metadata":{"finalizers":["lab/held"]}}"#]);
    let mut cut_off = Command::new(plane.programs().join("helm"));
    cut_off.args(["uninstall", "web", "--wait", "--kubeconfig"]).arg(plane.at("kubeconfig"));
    let mut cut_off = cut_off.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    plane.until("a removal that has begun", |plane| {
        !plane.get(&["configmap", "of-the-chart"], "{.metadata.deletionTimestamp}").is_empty()
    });
    cut_off.kill().unwrap();
    cut_off.wait().unwrap();
    plane.kubectl(&["patch", "configmap", "of-the-chart", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    assert!(!seen(hands, desired).await.unwrap().deployed);
    assert!(install(&wish(json!({ "replicas": 3 }))).await.unwrap());
    assert!(told.lock().unwrap().iter().any(|what| what.contains("a removal was cut off")), "{told:?}");
    assert!(seen(hands, desired).await.unwrap().deployed);
    hands.remove(&"web".into(), &"default".into()).await.unwrap();
    assert_eq!(seen(hands, desired).await, None);
    hands.remove(&"web".into(), &"default".into()).await.unwrap();
}

/// A release that waits for pods which nobody runs: the first look finds one, and a kubelet would say that it crashes.
async fn fails(plane: &Plane, desired: &Desired, hands: &RealCluster, wish: &DesiredRelease) -> (String, String) {
    let crashed = Mutex::new(false);
    let tell = |_: String| {
        let pods = plane.get(&["pods", "-l", "app=of-the-chart"], "{.items[*].metadata.name}");
        let Some(pod) = pods.split_whitespace().next() else { return };
        if std::mem::replace(&mut *crashed.lock().unwrap(), true) {
            return;
        }
        let ended = json!({ "exitCode": 1, "reason": "Error" });
        let web = json!({ "name": "web", "image": "web:1", "imageID": "", "ready": false, "restartCount": 3,
            "state": { "waiting": { "reason": "CrashLoopBackOff" } }, "lastState": { "terminated": ended } });
        plane.status(&["pod", pod], &json!({ "phase": "Running", "containerStatuses": [web] }));
        plane.create(&[json!({ "apiVersion": "v1", "kind": "Event",
            "metadata": { "name": format!("{pod}.1"), "namespace": "default" },
            "involvedObject": { "kind": "Pod", "name": pod, "namespace": "default" }, "type": "Warning",
            "reason": "BackOff", "message": "Back-off restarting failed container web" })]);
    };
    match hands.install(wish, &desired.owner, &Holes::new(), &tell).await {
        Err(ClusterError::Refused { what, why, log }) if what == "release web" => (why, log.join("|")),
        other => panic!("{other:?}"),
    }
}

/// As the spec says; either way with what its pods said.
pub(super) async fn one_that_fails_is_left_or_put_back(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let wish =
        |values: Value, on_failure| DesiredRelease { on_failure, timeout: Some(Span::from_secs(18)), ..wish(values) };
    let broken = json!({ "workload": true, "replicas": 2 });
    let told = |log: &str| {
        assert!(log.starts_with("of-the-chart-") && log.contains(": CrashLoopBackOff"), "{log}");
        assert!(log.contains("|BackOff: Back-off restarting failed container web"), "{log}");
    };
    // A first one is uninstalled, and its pods with it.
    let (why, log) = fails(plane, desired, hands, &wish(broken.clone(), OnFailure::Rollback)).await;
    assert!(why.ends_with("; nothing of it is installed now"), "{why}");
    told(&log);
    assert_eq!(seen(hands, desired).await, None);
    assert_eq!(plane.get(&["deployments", "-l", "app=of-the-chart"], "{.items[*].metadata.name}"), "");
    // One that ran is put back, is ours, and differs from what is wished now alone.
    let runs = wish(json!({ "replicas": 1 }), OnFailure::Rollback);
    assert!(hands.install(&runs, &desired.owner, &Holes::new(), &drop).await.unwrap());
    let before = seen(hands, desired).await.unwrap();
    let (why, log) = fails(plane, desired, hands, &wish(broken.clone(), OnFailure::Rollback)).await;
    assert!(why.ends_with("; it was rolled back, and runs as before as revision 3"), "{why}");
    told(&log);
    assert_eq!(seen(hands, desired).await, Some(before));
    assert_eq!(plane.get(&["configmap", "of-the-chart"], "{.data.replicas}"), "1");
    // Where it is left, so are its pods.
    let (why, log) = fails(plane, desired, hands, &wish(broken, OnFailure::Leave)).await;
    assert!(why.ends_with("; revision 4 is failed, and is left so"), "{why}");
    told(&log);
    assert!(!seen(hands, desired).await.unwrap().deployed);
    assert_eq!(plane.get(&["configmap", "of-the-chart"], "{.data.replicas}"), "2");
    assert!(hands.install(&runs, &desired.owner, &Holes::new(), &drop).await.unwrap());
    hands.remove(&"web".into(), &"default".into()).await.unwrap();
}

/// By Helm itself, without a secret and without a change.
pub(super) async fn what_would_change_is_rendered(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let hole = "\u{2039}hole:secret/web\u{203a}";
    let holes: Holes = [("secret/web".into(), Secret::new("open-sesame".to_string()))].into();
    let wish = |replicas: u32| wish(json!({ "replicas": replicas, "password": hole }));
    assert!(hands.install(&wish(1), &desired.owner, &holes, &drop).await.unwrap());
    assert_eq!(plane.get(&["configmap", "with-secret"], "{.data.url}"), "https://me:open-sesame@lab");
    let Some(Rendered::Objects { there, wished }) = hands.rendered(&wish(2), &holes).await else {
        panic!("it can be rendered")
    };
    let told = |objects: &[Manifest], kind: &str, name: &str, field: &str| {
        let object = objects.iter().find(|it| it.0["kind"] == kind && it.0["metadata"]["name"] == name);
        let object = object.unwrap_or_else(|| panic!("no {kind} {name} in {objects:?}"));
        object.0.pointer(field).and_then(Value::as_str).unwrap_or_default().to_string()
    };
    let both =
        |kind: &str, name: &str, field: &str| (told(&there, kind, name, field), told(&wished, kind, name, field));
    assert_eq!(both("ConfigMap", "of-the-chart", "/data/replicas"), ("1".into(), "2".into()));
    let url = "https://me:[secret]@lab".to_string();
    assert_eq!(both("ConfigMap", "with-secret", "/data/url"), (url.clone(), url));
    let password = both("Secret", "of-the-chart", "/stringData/password");
    assert_eq!(password, ("[secret]".into(), "[secret]".into()));
    let chance = both("Secret", "of-the-chart", "/stringData/chance");
    assert_eq!(chance, ("[secret]".into(), "[another secret]".into()));
    assert_eq!(plane.get(&["configmap", "of-the-chart"], "{.data.replicas}"), "1", "nothing was changed");
    let refused = DesiredRelease { values: json!({ "refuse": true, "password": hole }), ..wish(1) };
    match hands.rendered(&refused, &holes).await {
        Some(Rendered::Unknown(why)) => assert!(why.contains("refused as told"), "{why}"),
        other => panic!("{other:?}"),
    }
    hands.remove(&"web".into(), &"default".into()).await.unwrap();
}
