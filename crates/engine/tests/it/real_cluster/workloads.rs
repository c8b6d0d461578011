//! Workloads, claims and Services that wait for an address, and what is said of them.

use kubewright_engine::cluster::{ClusterApi, RealCluster};
use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::plan::WorkloadImage;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::verify::{WorkloadCheck, WorkloadKind};
use serde_json::{Value, json};

use super::conditions::check;
use crate::plane::Plane;

const SPACE: &str = "workloads";

fn workload(kind: WorkloadKind, name: &str) -> Condition {
    let name = (!name.is_empty()).then(|| name.into());
    Condition::Workload(WorkloadCheck { kind, namespace: SPACE.into(), name })
}

/// A workload whose pods nobody starts.
fn create(plane: &Plane, kind: &str, name: &str, spec: &Value) {
    let mut spec = spec.clone();
    let pod = json!({ "restartPolicy": if kind == "Job" { "Never" } else { "Always" },
        "containers": [{ "name": "web", "image": "registry.lab/web:2" }] });
    let labels = json!({ "app": name });
    spec["template"] = json!({ "metadata": { "labels": labels }, "spec": pod });
    if kind != "Job" {
        spec["selector"] = json!({ "matchLabels": labels });
    }
    let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    plane.create(&[
        json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": SPACE }, "spec": spec }),
    ]);
}

fn names(plane: &Plane, selector: &str) -> Vec<String> {
    let names = plane.get(&["pods", "-n", SPACE, "-l", selector], "{.items[*].metadata.name}");
    names.split_whitespace().map(String::from).collect()
}

/// Its pods as their kubelets would tell of them.
fn tell(plane: &Plane, selector: &str, count: usize, status: &Value) {
    plane.until("pods", |plane| names(plane, selector).len() == count);
    for pod in names(plane, selector) {
        plane.status(&["pod", &pod, "-n", SPACE], status);
    }
}

fn ready() -> Value {
    json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }] })
}

fn event(plane: &Plane, kind: &str, name: &str, reason: &str, message: &str) {
    plane.create(&[json!({ "apiVersion": "v1", "kind": "Event",
        "metadata": { "name": format!("{name}.{}", reason.to_lowercase()), "namespace": SPACE },
        "involvedObject": { "kind": kind, "name": name, "namespace": SPACE }, "type": "Warning", "reason": reason, "message": message })]);
}

/// Holds after a while, as its controller comes to it.
async fn comes(hands: &RealCluster, condition: Condition) -> String {
    for _ in 0..100 {
        let said = check(hands, condition.clone()).await;
        if said.holds {
            return said.saw;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("{:?}", check(hands, condition).await);
}

/// kube-proxy as Talos has made it: its image is told and set, and nothing else of it.
pub(super) async fn kube_proxy_runs_from_another_image(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let mut of_talos = desired.clone();
    of_talos.kubernetes.distribution = Distribution::Talos;
    let told = async || hands.observe(&of_talos).await.present().unwrap().kube_proxy.clone();
    assert_eq!(told().await, None);
    let containers = json!([
        { "name": "kube-proxy", "image": "registry.k8s.io/kube-proxy:v1.33.4", "command": ["/usr/local/bin/kube-proxy"] },
        { "name": "other", "image": "other:1" },
    ]);
    let labels = json!({ "k8s-app": "kube-proxy" });
    plane.create(&[json!({ "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": { "name": "kube-proxy", "namespace": "kube-system" },
        "spec": { "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels },
            "spec": { "hostNetwork": true, "containers": containers } } } })]);
    assert_eq!(told().await.as_deref(), Some("registry.k8s.io/kube-proxy:v1.33.4"));
    assert_eq!(hands.observe(desired).await.present().unwrap().kube_proxy, None, "others upgrade theirs themselves");
    let new = "registry.k8s.io/kube-proxy:v1.34.0".to_string();
    let (namespace, name) = ("kube-system".into(), "kube-proxy".into());
    let wish = WorkloadImage { namespace, name, container: "kube-proxy".into(), image: new.clone() };
    assert!(hands.set_image(&wish).await.unwrap() && !hands.set_image(&wish).await.unwrap());
    assert_eq!(told().await, Some(new));
    let pods = ["daemonset", "kube-proxy", "-n", "kube-system"];
    let spec = "{.spec.template.spec.containers[*].image} {.spec.template.spec.containers[0].command[0]}";
    assert_eq!(plane.get(&pods, spec), "registry.k8s.io/kube-proxy:v1.34.0 other:1 /usr/local/bin/kube-proxy");
    plane.kubectl(&["delete", "daemonset", "kube-proxy", "-n", "kube-system"]);
}

/// Not there, on their way with the cause of their pods, and rolled out.
pub(super) async fn workloads_say_how_far_they_are(plane: &Plane, hands: &RealCluster) {
    plane.kubectl(&["create", "namespace", SPACE]);
    let said = check(hands, workload(WorkloadKind::Deployment, "web")).await;
    assert_eq!((said.holds, said.saw.as_str()), (false, "Deployment workloads/web is not there"));
    let said = check(hands, workload(WorkloadKind::StatefulSet, "")).await;
    assert_eq!(said.saw, "there is no StatefulSet in workloads");
    create(plane, "Deployment", "web", &json!({ "replicas": 2 }));
    let pull = json!({ "phase": "Pending", "containerStatuses": [{ "name": "web", "image": "registry.lab/web:2", "imageID": "",
        "ready": false, "restartCount": 0, "state": { "waiting": { "reason": "ImagePullBackOff",
        "message": "failed to resolve reference \"registry.lab/web:2\": registry.lab/web:2: not found" } } }] });
    tell(plane, "app=web", 2, &pull);
    let said = check(hands, workload(WorkloadKind::Deployment, "web")).await;
    assert!(said.saw.starts_with("Deployment web: 0 of 2 pods are available; web-"), "{said:?}");
    assert!(said.saw.contains("ImagePullBackOff: registry.lab/web:2: failed to resolve reference"), "{said:?}");
    assert_eq!(said.hint.as_deref(), Some("no such image: look at its name and its tag"));
    tell(plane, "app=web", 2, &ready());
    assert_eq!(
        comes(hands, workload(WorkloadKind::Deployment, "web")).await,
        "Deployment web: 2 of 2 pods are available"
    );
    create(plane, "StatefulSet", "db", &json!({ "replicas": 1, "serviceName": "db" }));
    tell(plane, "app=db", 1, &ready());
    assert_eq!(
        comes(hands, workload(WorkloadKind::StatefulSet, "")).await,
        "StatefulSet db: 1 of 1 pods are available"
    );
    // What a quota forbids has no pods that could say so.
    plane.create(&[
        json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "none", "namespace": SPACE },
        "spec": { "hard": { "pods": "0" } } }),
    ]);
    plane.kubectl(&[
        "patch",
        "resourcequota",
        "none",
        "-n",
        SPACE,
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"hard":{"pods":"0"},"used":{"pods":"0"}}}"#,
    ]);
    create(plane, "Deployment", "none", &json!({ "replicas": 1 }));
    let none = || workload(WorkloadKind::Deployment, "none");
    for _ in 0..100 {
        if check(hands, none()).await.saw.contains("exceeded quota") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let said = check(hands, none()).await;
    assert!(said.saw.contains("is forbidden: exceeded quota: none"), "{said:?}");
    assert!(said.hint.unwrap().contains("a quota"));
    let all = check(hands, workload(WorkloadKind::Deployment, "")).await;
    assert!(all.saw.starts_with("Deployment none: "), "the one that is stuck is told: {all:?}");
    plane.kubectl(&["delete", "resourcequota", "none", "-n", SPACE]);
}

/// A Job that failed, and one that is done.
pub(super) async fn jobs_are_done_or_say_why_not(plane: &Plane, hands: &RealCluster) {
    create(plane, "Job", "backup", &json!({ "backoffLimit": 0 }));
    let said = check(hands, workload(WorkloadKind::Job, "backup")).await;
    assert!(said.saw.starts_with("Job backup: 0 of 1 pods have done their work"), "{said:?}");
    let status = json!({ "phase": "Failed", "containerStatuses": [{ "name": "web", "image": "registry.lab/web:2", "imageID": "",
        "ready": false, "restartCount": 0, "state": { "terminated": { "exitCode": 3, "reason": "Error" } } }] });
    tell(plane, "app=backup", 1, &status);
    plane.until("a failed Job", |plane| {
        plane.get(&["job", "backup", "-n", SPACE], "{.status.conditions[?(@.type==\"Failed\")].status}") == "True"
    });
    let said = check(hands, workload(WorkloadKind::Job, "backup")).await;
    assert!(said.saw.starts_with("Job backup: it failed: BackoffLimitExceeded: "), "{said:?}");
    assert!(said.log.iter().any(|line| line.starts_with("BackoffLimitExceeded: ")), "no kubelet has its log: {said:?}");
    assert!(said.hint.unwrap().contains("made anew"));
    create(plane, "Job", "once", &json!({}));
    tell(plane, "app=once", 1, &json!({ "phase": "Succeeded" }));
    assert_eq!(comes(hands, workload(WorkloadKind::Job, "once")).await, "Job once: 1 of 1 pods have done their work");
}

/// Claims without a class, with one that nobody has, and with one that says why.
pub(super) async fn claims_say_why_they_are_not_bound(plane: &Plane, hands: &RealCluster) {
    let claim = |name: &str, class: Value| {
        let mut spec = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
        spec["storageClassName"] = class;
        plane.create(&[json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": name, "namespace": SPACE }, "spec": spec })]);
    };
    let bound = |name: &str| workload(WorkloadKind::PersistentVolumeClaim, name);
    claim("data", Value::Null);
    let said = check(hands, bound("data")).await;
    assert_eq!(said.saw, "data is Pending: it names no StorageClass, and none is the default");
    plane.create(&[json!({ "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": { "name": "slow" }, "provisioner": "lab.test/nfs", "volumeBindingMode": "Immediate" })]);
    claim("typo", "slwo".into());
    let said = check(hands, bound("typo")).await;
    assert_eq!(said.saw, "typo is Pending: there is no StorageClass slwo");
    assert_eq!(said.hint.as_deref(), Some("those that are there: slow"));
    claim("full", "slow".into());
    event(plane, "PersistentVolumeClaim", "full", "ProvisioningFailed", "no space left on nas.lab:/volumes");
    let said = check(hands, bound("full")).await;
    assert_eq!(said.saw, "full is Pending: no space left on nas.lab:/volumes");
    assert_eq!(said.hint.as_deref(), Some("look at the provisioner lab.test/nfs of its StorageClass"));
    plane.status(&["pvc", "full", "-n", SPACE], &json!({ "phase": "Bound" }));
    assert_eq!(check(hands, bound("full")).await.saw, "full is bound");
}

/// What MetalLB, Cilium and K3s say, and nobody at all; and what a look shows.
pub(super) async fn services_say_why_they_have_no_address(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let service = |name: &str, kind: &str| {
        let spec =
            json!({ "type": kind, "selector": { "app.kubernetes.io/name": "grafana" }, "ports": [{ "port": 3000 }] });
        plane.create(&[json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": SPACE }, "spec": spec })]);
    };
    let address = |name: &str| Condition::Address(format!("{SPACE}/{name}").parse().unwrap());
    assert_eq!(check(hands, address("grafana-lb")).await.saw, "Service workloads/grafana-lb is not there");
    service("inside", "ClusterIP");
    let said = check(hands, address("inside")).await.saw;
    assert_eq!(said, "Service workloads/inside is a ClusterIP: it asks for no address");
    service("grafana-lb", "LoadBalancer");
    let said = check(hands, address("grafana-lb")).await;
    assert_eq!(said.saw, "workloads/grafana-lb has no address: nobody gives addresses in this cluster");
    let full = "Failed to allocate IP for \"workloads/grafana-lb\": no available IPs";
    event(plane, "Service", "grafana-lb", "AllocationFailed", full);
    let said = check(hands, address("grafana-lb")).await;
    assert_eq!(said.saw, format!("workloads/grafana-lb has no address: {full}"));
    assert_eq!(said.hint.as_deref(), Some("every address of the pools is taken: give them more"));
    let key = "workloads/grafana-lb".parse().unwrap();
    let seen = hands.observe(desired).await.present().unwrap().services[&key].clone();
    assert_eq!((seen.addresses.len(), seen.ports.as_slice(), seen.title()), (0, &[3000][..], "Grafana"));
    assert_eq!(seen.why.as_deref(), Some(full));
    service("cilium", "LoadBalancer");
    let refused = json!({ "conditions": [{ "type": "cilium.io/IPAMRequestSatisfied", "status": "False", "reason": "no_pool",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "message": "There are no enabled CiliumLoadBalancerIPPools that match this service" }] });
    plane.status(&["service", "cilium", "-n", SPACE], &refused);
    let said = check(hands, address("cilium")).await;
    assert_eq!(said.hint.as_deref(), Some("no pool is for it: give it one"), "{said:?}");
    plane.status(
        &["service", "grafana-lb", "-n", SPACE],
        &json!({ "loadBalancer": { "ingress": [{ "ip": "10.0.0.100" }] } }),
    );
    assert_eq!(check(hands, address("grafana-lb")).await.saw, "workloads/grafana-lb has 10.0.0.100");
    let services = hands.observe(desired).await.present().unwrap().services.clone();
    assert_eq!(services[&key].addresses, ["10.0.0.100"]);
    assert_eq!(services.len(), 2, "only those of type LoadBalancer: {services:?}");
}
