//! Sealed Secrets: what only its controller opens may lie in Git.
//! <https://github.com/bitnami-labs/sealed-secrets/blob/helm-v2.17.9/docs/bring-your-own-certificates.md>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::addons::SealedSecrets;
use serde_json::json;

use super::Recommended;
use crate::context::SecretNames;
use crate::context::groups::group;

/// Where `kubeseal` looks for the controller when nothing is said.
const NAMESPACE: &str = "kube-system";
/// The same of its name.
const CONTROLLER: &str = "sealed-secrets-controller";
/// The part of the spec, and the release.
const PART: &str = "sealed-secrets";

pub(super) const CHART: Recommended = Recommended {
    name: PART,
    repository: "https://bitnami-labs.github.io/sealed-secrets",
    chart: "sealed-secrets",
    version: "2.17.9",
};

pub(super) fn release(sealed: &SealedSecrets) -> DesiredRelease {
    let mut values = json!({ "fullnameOverride": CONTROLLER });
    if sealed.key.is_some() {
        // A key that it made by itself would be gone with the cluster, and what was sealed with it as well.
        values["keyrenewperiod"] = "0".into();
    }
    CHART.release(NAMESPACE.into(), PART, sealed.version.as_ref(), values, &sealed.values)
}

/// The key that is kept elsewhere. It is there before the controller, which takes every key with this label
/// (`pkg/controller/keys.go`).
pub(super) fn objects(sealed: &SealedSecrets, secrets: &mut SecretNames) -> Option<DesiredObjects> {
    let (key, certificate) = (sealed.key.as_ref()?, sealed.certificate.as_ref()?);
    let pem = |hole: String| format!("{hole}\n");
    let kept = Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": "sealed-secrets-kept",
            "namespace": NAMESPACE,
            "labels": { "sealedsecrets.bitnami.com/sealed-secrets-key": "active" },
        },
        "stringData": {
            "tls.crt": pem(secrets.value("sealed-secrets-certificate", Some(certificate))),
            "tls.key": pem(secrets.value("sealed-secrets-key", Some(key))),
        },
    }));
    Some(group("sealed-secrets-key", PART, vec![kept]))
}
