//! Releases, by the real `helm`.

use std::process::{Command, Stdio};
use std::sync::Mutex;

use kubewright_engine::cluster::{ClusterApi, ClusterError, RealCluster};
use kubewright_hosts::Holes;
use kubewright_model::desired::{Desired, DesiredRelease};
use kubewright_model::observed::ReleaseSeen;
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
