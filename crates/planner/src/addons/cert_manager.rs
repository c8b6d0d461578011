//! cert-manager and its ClusterIssuers.
//! <https://cert-manager.io/docs/configuration/>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::addons::{Acme, CertManager};
use serde_json::{Value, json};

use super::Recommended;
use crate::context::groups::group_after;

pub(super) const NAMESPACE: &str = "cert-manager";

const CHART: Recommended = Recommended {
    name: "cert-manager",
    repository: "https://charts.jetstack.io",
    chart: "cert-manager",
    version: "v1.19.1",
};

pub(super) fn release(cert_manager: &CertManager) -> DesiredRelease {
    // The chart leaves its CRDs out unless told otherwise.
    let values = json!({ "crds": { "enabled": true } });
    CHART.release(NAMESPACE.into(), "cert-manager", cert_manager.version.as_ref(), values, &cert_manager.values)
}

/// The issuers. When Argo CD installs cert-manager, they are Argo CD's too.
pub(super) fn objects(cert_manager: &CertManager) -> Option<DesiredObjects> {
    if cert_manager.by_argocd {
        return None;
    }
    let issuers = cert_manager.issuers.iter().map(|(name, issuer)| {
        let spec = match (&issuer.acme, &issuer.ca) {
            (Some(acme), _) => json!({ "acme": acme_spec(name.as_str(), acme) }),
            (None, Some(secret)) => json!({ "ca": { "secretName": secret } }),
            (None, None) => json!({ "selfSigned": {} }),
        };
        Manifest(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer",
            "metadata": { "name": name },
            "spec": spec,
        }))
    });
    Some(group_after("issuers", "cert-manager", CHART.name.into(), issuers.collect()))
}

fn acme_spec(name: &str, acme: &Acme) -> Value {
    let solver = match &acme.gandi {
        Some(secret) => json!({ "dns01": { "webhook": {
            "groupName": "acme.bwolf.me",
            "solverName": "gandi",
            "config": { "apiKeySecretRef": { "name": secret, "key": "api-token" } },
        } } }),
        None => json!({ "http01": { "ingress": {
            "ingressClassName": acme.http01.clone().unwrap_or_else(|| "traefik".into()),
        } } }),
    };
    json!({
        "server": acme.server,
        "email": acme.email,
        "privateKeySecretRef": { "name": format!("{name}-account") },
        "solvers": [solver],
    })
}
