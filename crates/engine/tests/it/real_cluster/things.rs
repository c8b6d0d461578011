//! Checks of objects of any kind, of certificates and of applications, on a real API server. There are no controllers: the test
//! says what theirs would.

use kubewright_engine::cluster::{Checked, RealCluster};
use kubewright_model::condition::Condition;
use kubewright_model::spec::verify::{ApplicationCheck, CertificateCheck, ObjectCheck};
use serde_json::{Value, json};

use super::conditions::check;
use super::{Quiet, furnished, hands};
use crate::plane::{Plane, assets};

/// A kind of cert-manager's or of Argo CD's, as far as the API server goes by it.
fn define(plane: &Plane, group: &str, version: &str, kind: &str, scope: &str) {
    let plural = format!("{}s", kind.to_lowercase());
    let names =
        json!({ "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase() });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    plane.create(&[json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": { "group": group, "scope": scope, "names": names,
            "versions": [{ "name": version, "served": true, "storage": true, "schema": schema }] } })]);
    plane.kubectl(&["wait", "--for=condition=Established", &format!("crd/{plural}.{group}")]);
}

/// An object of cert-manager's, and how its controller finds it.
fn thing(kind: &str, namespace: Option<&str>, name: &str, ready: Option<(bool, &str)>) -> Value {
    let condition = |(ready, message): (bool, &str)| {
        let status = if ready { "True" } else { "False" };
        json!([{ "type": "Ready", "status": status, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z" }])
    };
    let mut thing = json!({ "apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": { "name": name } });
    if let Some(namespace) = namespace {
        thing["metadata"]["namespace"] = namespace.into();
    }
    if let Some(ready) = ready {
        thing["status"] = json!({ "conditions": condition(ready) });
    }
    thing
}

fn objects(kind: &str, namespace: Option<&str>, names: &[&str], at_least: u32, ready: bool) -> Condition {
    let names = names.iter().map(|name| (*name).into()).collect();
    Condition::Objects(ObjectCheck { kind: kind.into(), namespace: namespace.map(Into::into), names, at_least, ready })
}

async fn said(hands: &RealCluster, condition: Condition) -> (bool, String) {
    let Checked { holds, saw, .. } = check(hands, condition).await;
    (holds, saw)
}

fn is(holds: bool, saw: &str) -> (bool, String) {
    (holds, saw.to_string())
}

#[tokio::test]
async fn objects_certificates_and_applications_are_read_as_they_are() {
    let Some(assets) = assets(&[]) else { return };
    let plane = Plane::start(assets);
    let desired = furnished(&plane);
    let folder = tempfile::tempdir().unwrap();
    let (hands, _) = hands(&desired, Some(&plane.kubeconfig), Quiet::default(), folder.path());
    objects_are_there_and_ready(&plane, &hands).await;
    certificates_are_ready_and_their_issuers(&plane, &hands).await;
    applications_are_synced(&plane, &hands).await;
}

async fn objects_are_there_and_ready(plane: &Plane, hands: &RealCluster) {
    let secret = |name| objects("Secret", Some("cert-manager"), &[name], 1, false);
    assert_eq!(said(hands, secret("gandi-credentials")).await, is(false, "Secret gandi-credentials is not there"));
    let metadata = |name: &str, namespace: &str| json!({ "name": name, "namespace": namespace });
    plane.create(&[
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "cert-manager" } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata("gandi-credentials", "cert-manager"),
            "stringData": { "api-token": "s3cret" } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata("elsewhere", "default") }),
    ]);
    assert_eq!(said(hands, secret("gandi-credentials")).await, is(true, "1 Secret is there"));
    assert_eq!(said(hands, secret("elsewhere")).await, is(false, "Secret elsewhere is not there"));
    let two = objects("Secret", Some("cert-manager"), &[], 2, false);
    assert_eq!(said(hands, two).await, is(false, "1 of 2 secrets are there"));
    assert_eq!(said(hands, objects("Secret", None, &[], 2, false)).await, is(true, "2 secrets are there"));
    assert!(!format!("{:?}", check(hands, secret("gandi-credentials")).await).contains("s3cret"), "no value is told");

    let issuers = || objects("ClusterIssuer.cert-manager.io", None, &[], 1, true);
    let unknown = "the cluster has no kind ClusterIssuer.cert-manager.io";
    assert_eq!(said(hands, issuers()).await, is(false, unknown));
    define(plane, "cert-manager.io", "v1", "ClusterIssuer", "Cluster");
    assert_eq!(said(hands, issuers()).await, is(false, "0 of 1 clusterissuers are there"));
    plane.create(&[
        thing("ClusterIssuer", None, "letsencrypt", Some((true, "registered"))),
        thing("ClusterIssuer", None, "staging", Some((false, "the account's key is refused"))),
    ]);
    let one_fails = "ClusterIssuer staging: the account's key is refused";
    assert_eq!(said(hands, issuers()).await, is(false, one_fails));
    let named = objects("ClusterIssuer", None, &["letsencrypt"], 1, true);
    assert_eq!(said(hands, named).await, is(true, "1 ClusterIssuer is there"), "only those that are named are judged");
    plane.create(&[thing("ClusterIssuer", None, "young", None)]);
    let young = objects("ClusterIssuer", None, &["young"], 1, true);
    assert_eq!(said(hands, young).await, is(false, "ClusterIssuer young: it is not Ready yet"));
}

async fn certificates_are_ready_and_their_issuers(plane: &Plane, hands: &RealCluster) {
    let certificates = |at_least, issuers: &[&str]| {
        let issuers = issuers.iter().map(|name| (*name).into()).collect();
        Condition::Certificates(CertificateCheck { at_least, issuers })
    };
    assert_eq!(said(hands, certificates(1, &[])).await, is(false, "cert-manager is not installed"));
    define(plane, "cert-manager.io", "v1", "Certificate", "Namespaced");
    assert_eq!(said(hands, certificates(1, &[])).await, is(false, "0 of 1 certificates are there"));
    plane.create(&[thing("Certificate", Some("default"), "web", Some((true, "")))]);
    assert_eq!(said(hands, certificates(1, &["letsencrypt"])).await, is(true, "1 certificate is Ready"));
    let refused = said(hands, certificates(1, &["staging", "nobody"])).await;
    let both = "ClusterIssuer staging: the account's key is refused, ClusterIssuer nobody is not there";
    assert_eq!(refused, is(false, both));
    let waits = (false, "Issuing certificate as Secret does not exist");
    plane.create(&[thing("Certificate", Some("default"), "mail", Some(waits))]);
    let saw = "default/mail: Issuing certificate as Secret does not exist";
    assert_eq!(said(hands, certificates(1, &[])).await, is(false, saw), "all that exist must be Ready");
}

async fn applications_are_synced(plane: &Plane, hands: &RealCluster) {
    let wish = |count, healthy: &str| {
        let healthy = vec![healthy.into()];
        Condition::Applications(ApplicationCheck { count, names: Vec::new(), healthy, progressing: Vec::new() })
    };
    define(plane, "argoproj.io", "v1alpha1", "Application", "Namespaced");
    let application = |name: &str, health: &str| {
        json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": name, "namespace": "default" }, "spec": { "syncPolicy": { "automated": {} } },
            "status": { "sync": { "status": "Synced" }, "health": { "status": health } } })
    };
    plane.create(&[application("cert-manager", "Healthy"), application("traefik", "Progressing")]);
    let two = "2 of 2 applications Synced, 1 Healthy, 1 Progressing";
    assert_eq!(said(hands, wish(2, "cert-manager")).await, is(true, two));
    let (holds, saw) = said(hands, wish(3, "traefik")).await;
    assert!(!holds && saw.starts_with("2 of 3 applications Synced"), "{saw}");
    assert!(saw.contains("traefik is Synced, Progressing") && saw.ends_with("1 are not there yet"), "{saw}");
}
