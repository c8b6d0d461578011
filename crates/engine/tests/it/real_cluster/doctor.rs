//! What doctor lists of a real API server, and what its checks make of the objects as that server writes them.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kubewright_engine::cluster::ClusterApi;
use kubewright_model::desired::Desired;
use kubewright_model::doctor::{Diagnosis, Evidence, Lists};
use kubewright_model::observed::Seen;
use kubewright_planner::doctor::diagnose;
use serde_json::{Value, json};

use crate::plane::Plane;

const NAMESPACE: &str = "doctor";

fn object(version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut object =
        json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": NAMESPACE } });
    let (Value::Object(fields), Some(all)) = (rest, object.as_object_mut()) else { panic!("{name} is no object") };
    all.extend(fields);
    object
}

/// A pod on the first node that runs and is ready, or waits.
fn pod(plane: &Plane, desired: &Desired, namespace: &str, name: &str, labels: &Value, waits: Option<&str>) {
    let node = &desired.members[0].name;
    plane.create(&[json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace, "labels": labels },
        "spec": { "nodeName": node, "containers": [{ "name": "web", "image": "web:1", "ports": [{ "name": "http", "containerPort": 80 }] }] },
    })]);
    let ready = if waits.is_some() { "False" } else { "True" };
    let state = match waits {
        Some(reason) => {
            json!({ "waiting": { "reason": reason, "message": "back-off 5m0s restarting failed container" } })
        }
        None => json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } }),
    };
    let container = json!({ "name": "web", "image": "web:1", "imageID": "", "ready": waits.is_none(), "restartCount": 7, "state": state });
    plane.status(
        &["-n", namespace, "pod", name],
        &json!({
            "phase": "Running", "podIP": "10.42.0.9", "podIPs": [{ "ip": "10.42.0.9" }], "containerStatuses": [container],
            "conditions": [{ "type": "Ready", "status": ready }, { "type": "PodScheduled", "status": "True" }],
        }),
    );
}

fn ingress(name: &str, service: &str) -> Value {
    let backend = json!({ "service": { "name": service, "port": { "number": 80 } } });
    let paths = json!([{ "path": "/", "pathType": "Prefix", "backend": backend }]);
    let rules = json!([{ "host": format!("{name}.example.org"), "http": { "paths": paths } }]);
    object(
        "networking.k8s.io/v1",
        "Ingress",
        name,
        json!({ "spec": { "ingressClassName": "traefik", "rules": rules } }),
    )
}

fn service(name: &str, app: &str) -> Value {
    let ports = json!([{ "name": "http", "port": 80, "targetPort": "http" }]);
    object("v1", "Service", name, json!({ "spec": { "selector": { "app": app }, "ports": ports } }))
}

fn webhook(name: &str, service: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": { "name": name },
        "webhooks": [{
            "name": format!("{name}.example.org"), "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": { "service": { "name": service, "namespace": NAMESPACE } },
            "rules": [{ "apiGroups": ["example.org"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"] }],
        }],
    })
}

fn claim(name: &str, class: &str) -> Value {
    let spec = json!({ "storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
    object("v1", "PersistentVolumeClaim", name, json!({ "spec": spec }))
}

async fn lists(desired: &Desired, hands: &dyn ClusterApi) -> Lists {
    match hands.lists(desired).await {
        Seen::Present(lists) => lists,
        other => panic!("nothing is listed: {other:?}"),
    }
}

async fn judged(desired: &Desired, hands: &dyn ClusterApi) -> Diagnosis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let lists = lists(desired, hands).await;
    diagnose(&Evidence { now, cluster: Some(Seen::Present(lists)), ..Evidence::default() }, desired)
}

/// What stands there as it should is no finding, whatever a real server puts into its objects.
pub(super) async fn healthy_objects_are_found_healthy(plane: &Plane, desired: &Desired, hands: &dyn ClusterApi) {
    plane.kubectl(&["create", "namespace", NAMESPACE]);
    pod(plane, desired, "kube-system", "coredns-1", &json!({ "k8s-app": "kube-dns" }), None);
    pod(plane, desired, NAMESPACE, "web-1", &json!({ "app": "web" }), None);
    let template = json!({ "metadata": { "labels": { "app": "idle" } }, "spec": { "containers": [{ "name": "web", "image": "web:1" }] } });
    let selector = json!({ "matchLabels": { "app": "idle" } });
    let hpa = json!({ "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "idle" }, "maxReplicas": 3 });
    plane.create(&[
        service("web", "web"),
        ingress("web", "web"),
        json!({ "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": { "name": "traefik" }, "spec": { "controller": "traefik.io/ingress-controller" } }),
        webhook("asks", "web"),
        object("apps/v1", "Deployment", "idle", json!({ "spec": { "replicas": 0, "selector": selector, "template": template } })),
        object("autoscaling/v2", "HorizontalPodAutoscaler", "idle", json!({ "spec": hpa })),
        object("policy/v1", "PodDisruptionBudget", "idle", json!({ "spec": { "maxUnavailable": 1, "selector": selector } })),
        object("v1", "ResourceQuota", "pods", json!({ "spec": { "hard": { "pods": "50" } } })),
        json!({ "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": { "name": "kata" }, "handler": "kata" }),
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.org/none",
            "metadata": { "name": "local", "annotations": { "storageclass.kubernetes.io/is-default-class": "true" } },
        }),
        claim("data", "local"),
    ]);
    plane.status(&["-n", NAMESPACE, "pvc", "data"], &json!({ "phase": "Bound" }));
    let slices = ["-n", NAMESPACE, "endpointslices", "-l", "kubernetes.io/service-name=web"];
    plane.until("end points", |plane| plane.get(&slices, "{.items[*].endpoints[*].conditions.ready}") == "true");
    let lists = lists(desired, hands).await;
    assert!(lists.unlisted.is_empty(), "{:?}", lists.unlisted);
    for kind in
        ["pods", "services", "endpointslices", "ingresses", "persistentvolumeclaims", "apiservices", "deployments"]
    {
        assert!(!lists.of(kind).is_empty(), "no {kind}");
    }
    assert!(!lists.has("ipaddresspools") && !lists.has("applications"), "the cluster has no such kinds");
    let diagnosis = judged(desired, hands).await;
    let found: Vec<String> =
        diagnosis.findings().map(|it| format!("{}: {}: {}", it.check, it.place, it.cause)).collect();
    assert!(found.is_empty() && diagnosis.answered, "{found:#?}");
}

/// What is broken is found, by the fields as a real server writes them.
pub(super) async fn broken_ones_are_found(plane: &Plane, desired: &Desired, hands: &dyn ClusterApi) {
    pod(plane, desired, NAMESPACE, "dead-1", &json!({ "app": "dead" }), Some("CrashLoopBackOff"));
    pod(plane, desired, NAMESPACE, "mounts-1", &json!({ "app": "mounts" }), Some("ContainerCreating"));
    let event = json!({
        "involvedObject": { "apiVersion": "v1", "kind": "Pod", "namespace": NAMESPACE, "name": "mounts-1" },
        "type": "Warning", "reason": "FailedMount", "reportingComponent": "kubelet",
        "message": "MountVolume.SetUp failed for volume \"tls-secret\" : secret \"web-tls\" not found",
    });
    plane.create(&[
        service("dead", "dead"),
        ingress("gone", "gone"),
        webhook("refuses", "dead"),
        claim("waits", "nowhere"),
        object("v1", "Event", "mounts-1.1", event),
    ]);
    let node = desired.members[0].name.as_str();
    plane.kubectl(&["cordon", node]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let diagnosis = judged(desired, hands).await;
    let found: BTreeSet<(String, String)> =
        diagnosis.findings().map(|it| (it.check.clone(), it.place.to_string())).collect();
    for (check, place) in [
        ("pod-crash-loop", "Pod doctor/dead-1".to_string()),
        ("service-without-endpoints", "Service doctor/dead".to_string()),
        ("ingress-service-missing", "Ingress doctor/gone".to_string()),
        ("webhook-without-endpoints", "ValidatingWebhookConfiguration refuses".to_string()),
        ("storage-class-missing", "PersistentVolumeClaim doctor/waits".to_string()),
        ("secret-missing", "Pod doctor/mounts-1".to_string()),
        ("node-cordoned", format!("node {node}")),
    ] {
        assert!(found.contains(&(check.to_string(), place.clone())), "{check}: {place} is not in {found:#?}");
    }
    let others: Vec<_> = found.iter().filter(|(_, place)| place.contains("/web") || place.contains("/data")).collect();
    assert!(others.is_empty(), "what is healthy stays so: {others:?}");
    plane.kubectl(&["uncordon", node]);
}

/// A service account's token is one that a real kubectl comes in with.
pub(super) async fn a_token_opens_what_its_account_may(plane: &Plane, hands: &dyn ClusterApi) {
    plane.kubectl(&["-n", NAMESPACE, "create", "serviceaccount", "deployer"]);
    let (token, until) = hands.token(&(NAMESPACE.into(), "deployer".into()), 3600).await.unwrap();
    assert!(until.starts_with("20"), "{until}");
    // The flag stands over the kubeconfig's own way in.
    let who = ["--token", token.expose(), "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"];
    assert_eq!(plane.kubectl(&who), format!("system:serviceaccount:{NAMESPACE}:deployer"));
}
