//! Conditions, and what is said of those that do not hold.

use kubewright_engine::cluster::{Checked, ClusterApi, RealCluster};
use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::net::HostPort;
use kubewright_model::object::ObjectKey;
use kubewright_model::spec::verify::{CertificateCheck, PodCheck, ServiceProtocol};
use serde_json::{Value, json};

use crate::plane::Plane;

pub(super) async fn check(hands: &RealCluster, condition: Condition) -> Checked {
    hands.check(&condition).await.unwrap()
}

fn pods(namespace: &str) -> Condition {
    Condition::Pods(PodCheck { namespace: Some(namespace.into()), selector: None, at_least: 1, per_node: false })
}

/// A pod in a namespace of its own, as its kubelet tells of it.
fn pod(plane: &Plane, namespace: &str, status: &Value) {
    plane.kubectl(&["create", "namespace", namespace]);
    let spec = json!({ "containers": [{ "name": "web", "image": "registry.lab/web:2" }] });
    let metadata = json!({ "name": "web", "namespace": namespace });
    plane.create(&[json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })]);
    plane.status(&["pod", "web", "-n", namespace], status);
}

fn container(state: &Value) -> Value {
    json!({ "phase": "Pending", "containerStatuses": [{ "name": "web", "image": "registry.lab/web:2", "imageID": "",
        "ready": false, "restartCount": 7, "state": state,
        "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } } }] })
}

/// The registry's answer, the scheduler's words, how a program ended; and what is likely to help.
pub(super) async fn pods_say_why_they_do_not_run(plane: &Plane, hands: &RealCluster) {
    let nothing = check(hands, pods("nowhere")).await;
    assert_eq!((nothing.holds, nothing.saw.as_str()), (false, "0 pods run in nowhere, 1 are needed"));
    let pull = "Back-off pulling image \"registry.lab/web:2\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and \
        unpack image \"registry.lab/web:2\": failed to resolve reference \"registry.lab/web:2\": registry.lab/web:2: not found";
    pod(plane, "pull", &container(&json!({ "waiting": { "reason": "ImagePullBackOff", "message": pull } })));
    let said = check(hands, pods("pull")).await;
    assert_eq!(
        said.saw,
        "web: ImagePullBackOff: registry.lab/web:2: failed to resolve reference \"registry.lab/web:2\": registry.lab/web:2: not found"
    );
    assert_eq!(said.hint.as_deref(), Some("no such image: look at its name and its tag"));
    let room = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available";
    let unscheduled =
        json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": room }]);
    pod(plane, "room", &json!({ "phase": "Pending", "conditions": unscheduled }));
    let said = check(hands, pods("room")).await;
    assert_eq!(said.saw, format!("web: Pending: {room}"));
    assert!(said.hint.unwrap().contains("memory"));
    pod(plane, "crash", &container(&json!({ "waiting": { "reason": "CrashLoopBackOff" } })));
    let event = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "web.1", "namespace": "crash" },
        "involvedObject": { "kind": "Pod", "name": "web", "namespace": "crash" }, "type": "Warning",
        "reason": "BackOff", "message": "Back-off restarting failed container web" });
    plane.create(&[event]);
    let said = check(hands, pods("crash")).await;
    assert_eq!(said.saw, "web: CrashLoopBackOff: web was ended for using more memory than its limit, 7 times by now");
    assert_eq!(said.log, ["BackOff: Back-off restarting failed container web"]);
    plane.status(
        &["pod", "web", "-n", "crash"],
        &json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] }),
    );
    assert_eq!(check(hands, pods("crash")).await.saw, "1 pods run in crash");
}

/// What the API itself knows.
pub(super) async fn routes_services_and_nodes(plane: &Plane, desired: &Desired, hands: &RealCluster) {
    let at = |host: &str, port| HostPort::new(host, port);
    let route = || Condition::Route { host: "web.lab".into() };
    assert_eq!(check(hands, route()).await.saw, "no Ingress routes web.lab");
    let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
    let rules = json!([{ "host": "web.lab", "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] } }]);
    plane.create(&[json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": "web", "namespace": "default" }, "spec": { "rules": rules } })]);
    assert!(check(hands, route()).await.holds);
    let service = |name: &str, port| Condition::Service {
        at: at(&format!("{name}.default.svc.cluster.local"), port),
        protocol: ServiceProtocol::Http,
        from: Vec::new(),
        tls: false,
    };
    assert_eq!(check(hands, service("nobody", 80)).await.saw, "Service default/nobody is not there");
    assert_eq!(check(hands, service("web", 81)).await.saw, "Service default/web has no port 81");
    assert_eq!(check(hands, service("web", 80)).await.saw, "no pod behind Service default/web is ready");
    assert!(check(hands, service("kubernetes", 443)).await.holds, "the API's own");
    let door = |ports: &[u16]| {
        let service = ObjectKey { namespace: "default".into(), name: "door".into() };
        Condition::NodePorts { service, ports: ports.to_vec() }
    };
    assert_eq!(check(hands, door(&[31695])).await.saw, "Service default/door is not there");
    plane.create(&[
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "door", "namespace": "default" },
        "spec": { "type": "NodePort", "selector": { "app": "door" }, "ports": [{ "port": 80, "nodePort": 31695 }] } }),
    ]);
    let both = check(hands, door(&[31695, 31696])).await;
    assert_eq!((both.holds, both.saw.as_str()), (false, "default/door has 80:31695, and no port 31696"));
    let one = check(hands, door(&[31695])).await;
    assert_eq!((one.holds, one.saw.as_str()), (true, "default/door is a NodePort with 80:31695"));
    let api = check(hands, Condition::Api(desired.kubernetes.endpoint.clone())).await;
    assert!(api.holds, "{api:?}");
    let dead = check(hands, Condition::Api(at("127.0.0.1", 1))).await;
    assert!(dead.saw.starts_with("127.0.0.1:1: ") && dead.saw.contains("refused"), "{dead:?}");
    let nodes: Vec<_> = desired.members.iter().map(|member| member.name.clone()).collect();
    let wait = Condition::NodesReady { at_least: nodes.len(), nodes };
    let waits = check(hands, wait.clone()).await;
    assert_eq!(waits.saw, "2 of 3 nodes Ready; k3s-agent-2 has not joined");
    let told: Vec<_> = waits.parts.iter().map(|part| (part.name.as_str(), part.address.as_str(), part.holds)).collect();
    let there = |name| (name, "127.0.0.1", true);
    assert_eq!(told, [there("k3s-server"), there("k3s-agent-1"), ("k3s-agent-2", "", false)]);
    let status =
        json!({ "conditions": [{ "type": "Ready", "status": "False", "message": "container runtime is down" }] });
    plane.status(&["node", "k3s-agent-1"], &status);
    let said = check(hands, wait).await.saw;
    assert_eq!(said, "1 of 3 nodes Ready; k3s-agent-1: container runtime is down, k3s-agent-2 has not joined");
    let certificates = Condition::Certificates(CertificateCheck { at_least: 1, issuers: Vec::new() });
    assert_eq!(check(hands, certificates).await.saw, "cert-manager is not installed");
    let release = Condition::Release { name: "web".into(), namespace: "default".into() };
    assert_eq!(check(hands, release).await.saw, "release web is not installed");
    assert_eq!(check(hands, Condition::SystemPods).await.saw, "no pod runs in kube-system");
}
