//! Nodes and the pods on them.

use std::sync::Mutex;
use std::time::Duration;

use kubewright_engine::cluster::{ClusterApi, ClusterError, RealCluster};
use kubewright_model::desired::Desired;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::MemberSeen;
use kubewright_model::units::Span;
use serde_json::json;

use crate::plane::Plane;

/// Marks, members of etcd and a cordon, as K3s and kubectl put them there.
pub(super) async fn what_k3s_tells_of_nodes_is_seen(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let server = desired.servers().next().unwrap().name.clone();
    let name = server.as_str();
    let args = r#"["server","--node-label","size=large","--node-taint","only=:NoSchedule","--token","********"]"#;
    plane.kubectl(&["annotate", "node", name, &format!("k3s.io/node-args={args}")]);
    plane.kubectl(&["label", "node", name, "size=large", "node-role.kubernetes.io/etcd=true"]);
    plane.kubectl(&["taint", "node", name, "only=:NoSchedule", "other=x:NoExecute"]);
    plane.kubectl(&["cordon", name]);
    let etcd = |status: &str, reason: &str| {
        let kinds = json!([{ "type": "Ready", "status": "True" }, { "type": "EtcdIsVoter", "status": status, "reason": reason }]);
        plane.status(&["node", name], &json!({ "conditions": kinds }));
    };
    let members = async || hands.observe(desired).await.present().unwrap().members.clone();
    for (status, reason, seen) in [
        ("True", "MemberNotLearner", Some(MemberSeen { voter: true, healthy: true })),
        ("False", "MemberIsLearner", Some(MemberSeen { voter: false, healthy: true })),
        ("False", "Unhealthy", Some(MemberSeen { voter: true, healthy: false })),
        ("False", "NotAMember", None),
    ] {
        etcd(status, reason);
        assert_eq!(members().await.get(&server).cloned(), seen, "{reason}");
    }
    let seen = hands.observe(desired).await.present().unwrap().nodes[&server].clone();
    assert_eq!(seen.given, ["label size".to_string(), "taint only:NoSchedule".into()].into());
    assert!(
        seen.taints.contains(&"only:NoSchedule".to_string()) && seen.taints.contains(&"other=x:NoExecute".to_string())
    );
    assert!(seen.server && seen.ready && seen.cordoned, "{seen:?}");
    assert_eq!(seen.version, desired.kubernetes.version);
    // RKE2 tells the same by a name of its own.
    let args = r#"["server","--node-label","disk=fast","--cni","canal"]"#;
    plane.kubectl(&["annotate", "node", name, "k3s.io/node-args-", &format!("rke2.io/node-args={args}")]);
    let given = hands.observe(desired).await.present().unwrap().nodes[&server].given.clone();
    assert_eq!(given, ["label disk".to_string()].into());
    hands.cordon(&server, false).await.unwrap();
    assert_eq!(plane.get(&["node", name], "{.spec.unschedulable}"), "");
    plane.kubectl(&["label", "node", name, "node-role.kubernetes.io/etcd-"]);
}

/// A Deployment's pods put on a node, as a scheduler and a kubelet would.
fn pods_on(plane: &Plane, node: &str, replicas: usize) {
    let container = json!({ "name": "web", "image": "web:1" });
    let template = json!({ "metadata": { "labels": { "app": "moves" } }, "spec": { "containers": [container],
        "volumes": [{ "name": "scratch", "emptyDir": {} }] } });
    let spec = json!({ "replicas": replicas, "selector": { "matchLabels": { "app": "moves" } }, "template": template });
    plane.create(&[json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "moves", "namespace": "default" }, "spec": spec })]);
    let names = || plane.get(&["pods", "-l", "app=moves"], "{.items[*].metadata.name}");
    plane.until("pods", |_| names().split_whitespace().count() == replicas);
    for pod in names().split_whitespace() {
        let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": pod },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node } });
        plane.create_raw(&format!("/api/v1/namespaces/default/pods/{pod}/binding"), &binding);
        plane.status(
            &["pod", pod],
            &json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] }),
        );
    }
}

/// Budgets hold pods back, DaemonSets' and the kubelet's own stay, and what nobody makes anew is not ended.
pub(super) async fn pods_move_as_their_budgets_allow(plane: &Plane, hands: &RealCluster) {
    let (node, name) = (NodeName::from("k3s-agent-1"), "k3s-agent-1");
    pods_on(plane, name, 2);
    let of_daemons = json!({ "selector": { "matchLabels": { "app": "each" } }, "template": {
        "metadata": { "labels": { "app": "each" } }, "spec": { "containers": [{ "name": "each", "image": "each:1" }] } } });
    plane.create(&[json!({ "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "each", "namespace": "default" }, "spec": of_daemons })]);
    plane.until("a DaemonSet's pod", |plane| {
        !plane.get(&["pods", "-l", "app=each"], "{.items[*].metadata.name}").is_empty()
    });
    let each = plane.get(&["pods", "-l", "app=each"], "{.items[0].metadata.name}");
    let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": each }, "target": { "kind": "Node", "name": name } });
    plane.create_raw(&format!("/api/v1/namespaces/default/pods/{each}/binding"), &binding);
    let pod = |pod: &str, annotations| {
        json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": pod, "namespace": "default", "annotations": annotations },
        "spec": { "nodeName": name, "containers": [{ "name": "one", "image": "one:1" }] } })
    };
    plane.create(&[pod("mirror", json!({ "kubernetes.io/config.mirror": "1" })), pod("alone", json!({}))]);
    let budget = json!({ "minAvailable": 2, "selector": { "matchLabels": { "app": "moves" } } });
    plane.create(&[json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "both", "namespace": "default" }, "spec": budget })]);
    plane.until("a budget", |plane| plane.get(&["pdb", "both"], "{.status.currentHealthy}") == "2");
    hands.cordon(&node, true).await.unwrap();
    let told = Mutex::new(Vec::new());
    let tell = |what: String| told.lock().unwrap().push(what);
    match hands.drain(&node, Span::from_secs(20), &tell).await {
        Err(ClusterError::Refused { what, why, .. }) => {
            assert_eq!(what, "drain of k3s-agent-1");
            assert!(why.starts_with("nobody would make default/alone anew"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    plane.kubectl(&["delete", "pod", "alone", "--grace-period=0", "--force"]);
    match hands.drain(&node, Span::from_secs(3), &tell).await {
        Err(ClusterError::Refused { why, log, .. }) => {
            assert_eq!(why, "its pods did not all go within 3s");
            assert!(log[0].contains("may not go yet: ") && log[0].contains("both"), "{log:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(
        told.lock().unwrap().iter().any(|what| what.contains("disruption budget both needs 2 healthy pods")),
        "{told:?}"
    );
    plane.kubectl(&["delete", "pdb", "both"]);
    let ends = async {
        // The kubelet ends what was told to go.
        let going = "{range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name} {end}";
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            for pod in plane.get(&["pods", "-l", "app=moves"], going).split_whitespace() {
                plane.kubectl(&["delete", "pod", pod, "--grace-period=0", "--force"]);
            }
        }
    };
    tokio::select! {
        drained = hands.drain(&node, Span::from_secs(60), &tell) => drained.unwrap(),
        () = ends => panic!("it does not end"),
    }
    let left = plane.get(&["pods", "--field-selector", "spec.nodeName=k3s-agent-1"], "{.items[*].metadata.name}");
    assert_eq!(left.split_whitespace().collect::<Vec<_>>(), [each.as_str(), "mirror"]);
}

/// K3s holds a node until its member has left etcd.
pub(super) async fn a_node_is_gone_when_its_member_is(plane: &Plane, hands: &RealCluster) {
    let node = NodeName::from("k3s-agent-2");
    let patch = r#"{"metadata":{"finalizers":["wrangler.cattle.io/managed-etcd-controller"]}}"#;
    plane.kubectl(&["patch", "node", "k3s-agent-2", "--type=merge", "-p", patch]);
    let leaves = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_ne!(plane.get(&["node", "k3s-agent-2"], "{.metadata.deletionTimestamp}"), "");
        plane.kubectl(&["patch", "node", "k3s-agent-2", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    };
    let (forgotten, ()) = tokio::join!(hands.forget(&node), leaves);
    forgotten.unwrap();
    assert!(!plane.get(&["nodes"], "{.items[*].metadata.name}").contains("k3s-agent-2"));
    hands.forget(&node).await.unwrap();
}
