//! Argo CD's applications on a real API server. There is no Argo CD: the test says what its controller would.

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_engine::cluster::{ClusterApi as _, RealCluster};
use kubewright_model::applications::Remedy;
use kubewright_model::condition::Condition;
use kubewright_model::spec::verify::ApplicationCheck;
use kubewright_planner::applications::{Tried, Verdict, verdict};
use serde_json::{Value, json};

use super::conditions::check;
use super::{Quiet, furnished, hands};
use crate::plane::{Plane, assets};

const EOF: &str = "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = \
                   Unavailable desc = error reading from server: EOF";
const MISSING: &str = "one or more objects failed to apply, reason: namespaces \"cert-manager\" not found";

fn wish() -> ApplicationCheck {
    ApplicationCheck { count: 3, names: Vec::new(), healthy: vec!["cert-manager".into()], progressing: Vec::new() }
}

/// The kind as Argo CD defines it, as far as the API server goes by it: its status is no subresource.
fn define(plane: &Plane) {
    let names = json!({ "kind": "Application", "listKind": "ApplicationList", "plural": "applications", "singular": "application" });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    plane.create(&[
        json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": "applications.argoproj.io" },
            "spec": { "group": "argoproj.io", "scope": "Namespaced", "names": names,
                "versions": [{ "name": "v1alpha1", "served": true, "storage": true, "schema": schema }] } }),
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "argocd" } }),
    ]);
    plane.kubectl(&["wait", "--for=condition=Established", "crd/applications.argoproj.io"]);
}

fn application(name: &str, status: &Value) -> Value {
    json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": { "name": name, "namespace": "argocd" },
        "spec": { "syncPolicy": { "automated": { "prune": true }, "syncOptions": ["ServerSideApply=true"] } },
        "status": status })
}

fn good() -> Value {
    json!({ "sync": { "status": "Synced" }, "health": { "status": "Healthy" }, "operationState": { "phase": "Succeeded" },
        "conditions": [] })
}

/// The controller has synced it.
fn becomes_good(plane: &Plane, name: &str) {
    let patch = json!({ "operation": null, "status": good() }).to_string();
    plane.kubectl(&["-n", "argocd", "patch", "applications.argoproj.io", name, "--type=merge", "-p", &patch]);
}

fn of(plane: &Plane, name: &str, field: &str) -> String {
    plane.get(&["applications.argoproj.io", name, "-n", "argocd"], field)
}

async fn decided(hands: &RealCluster, done: &BTreeMap<Remedy, Tried>) -> Verdict {
    verdict(&wish(), &hands.applications().await.unwrap(), done)
}

#[tokio::test]
async fn applications_that_are_stuck_are_helped() {
    let Some(assets) = assets(&[]) else { return };
    let plane = Plane::start(assets);
    let desired = furnished(&plane);
    let folder = tempfile::tempdir().unwrap();
    let (hands, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    let condition = || Condition::Applications(wish());
    assert_eq!(check(&hands, condition()).await.saw, "Argo CD is not installed");
    assert_eq!(hands.applications().await.unwrap(), []);

    define(&plane);
    let resources = json!([{ "kind": "Issuer", "name": "lab", "status": "SyncFailed", "message": MISSING }]);
    let failed = json!({ "sync": { "status": "OutOfSync" }, "health": { "status": "Missing" },
        "operationState": { "phase": "Failed", "message": "one or more tasks failed", "syncResult": { "resources": resources } } });
    let broken = json!({ "sync": { "status": "Unknown" }, "health": { "status": "Healthy" },
        "conditions": [{ "type": "ComparisonError", "message": EOF }, { "type": "OrphanedResourceWarning", "message": "2" }] });
    let repo_server = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "repo-0", "namespace": "argocd", "labels": { "app.kubernetes.io/name": "argocd-repo-server" } },
        "spec": { "containers": [{ "name": "repo-server", "image": "argocd:1" }] } });
    let other = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "redis-0", "namespace": "argocd" },
        "spec": { "containers": [{ "name": "redis", "image": "redis:1" }] } });
    plane.create(&[
        application("cert-manager", &failed),
        application("traefik", &broken),
        application("whoami", &good()),
        repo_server,
        other,
    ]);
    let said = check(&hands, condition()).await;
    assert!(!said.holds && said.saw.starts_with("1 of 3 applications Synced, 2 Healthy, 1 Missing"), "{said:?}");
    assert!(said.saw.contains("namespaces \"cert-manager\" not found"), "{said:?}");
    assert_eq!(said.parts.len(), 3);

    let make = Remedy::MakeNamespace("cert-manager".into());
    let restart = Remedy::RestartRepoServer("argocd".into());
    let sync = |name: &str| Remedy::Sync { namespace: "argocd".into(), name: name.into() };
    let remedies = vec![make.clone(), restart.clone(), sync("cert-manager")];
    assert_eq!(decided(&hands, &BTreeMap::new()).await, Verdict::Mend(remedies.clone()));
    for remedy in &remedies {
        hands.mend(remedy).await.unwrap();
        // A run that was cut off does it again.
        hands.mend(remedy).await.unwrap();
    }
    assert_eq!(plane.get(&["namespace", "cert-manager"], "{.metadata.labels.kubewright\\.dev/cluster}"), "");
    assert_eq!(plane.get(&["pods", "-n", "argocd"], "{.items[*].metadata.name}"), "redis-0");
    assert_eq!(
        of(&plane, "cert-manager", "{.operation.sync}"),
        r#"{"prune":true,"syncOptions":["ServerSideApply=true"]}"#
    );
    assert_eq!(of(&plane, "cert-manager", "{.metadata.annotations.argocd\\.argoproj\\.io/refresh}"), "normal");

    let tried = |times, seconds| Tried { times, ago: Duration::from_secs(seconds) };
    let done = |seconds| {
        BTreeMap::from([make.clone(), restart.clone(), sync("cert-manager")].map(|it| (it, tried(1, seconds))))
    };
    assert_eq!(decided(&hands, &done(5)).await, Verdict::Waits, "what was asked for has not begun");
    assert_eq!(decided(&hands, &done(40)).await, Verdict::Mend(vec![sync("traefik")]));
    hands.mend(&sync("traefik")).await.unwrap();
    hands.mend(&sync("nobody")).await.unwrap();
    becomes_good(&plane, "cert-manager");
    becomes_good(&plane, "traefik");
    assert_eq!(decided(&hands, &done(50)).await, Verdict::Good);
    let said = check(&hands, condition()).await;
    assert!(said.holds, "{said:?}");
    assert_eq!(said.saw, "3 of 3 applications Synced, 3 Healthy");
}
