//! cert-manager and its ClusterIssuers.
//! <https://cert-manager.io/docs/configuration/>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::addons::{Acme, CertManager};
use serde_json::{Value, json};

use super::Recommended;
use crate::context::groups::group_after;

pub(super) const NAMESPACE: &str = "cert-manager";

/// What the webhook serves its solver as.
const GROUP: &str = "acme.bwolf.me";

pub(super) const CHART: Recommended = Recommended {
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

/// What answers ACME servers at Gandi, where an issuer wants it. <https://github.com/SINTEF/cert-manager-webhook-gandi>
pub(super) const GANDI: Recommended = Recommended {
    name: "cert-manager-webhook-gandi",
    repository: "https://sintef.github.io/cert-manager-webhook-gandi",
    chart: "cert-manager-webhook-gandi",
    version: "v0.5.1",
};

/// Its certificates are cert-manager's, whose kinds it needs.
pub(super) fn gandi(cert_manager: &CertManager) -> Option<DesiredRelease> {
    let mut issuers = cert_manager.issuers.values().filter_map(|issuer| issuer.acme.as_ref());
    issuers.any(|acme| acme.gandi.is_some()).then(|| {
        let values = json!({ "groupName": GROUP, "certManager": { "namespace": NAMESPACE } });
        let mut release = GANDI.release(NAMESPACE.into(), "cert-manager", None, values, &Default::default());
        release.after.push(CHART.name.into());
        release
    })
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
        None if !acme.dns01.is_empty() => json!({ "dns01": acme.dns01 }),
        Some(secret) => json!({ "dns01": { "webhook": {
            "groupName": GROUP,
            "solverName": "gandi",
            // It takes the second where the first is not in the Secret (`main.go`).
            "config": {
                "apiKeySecretRef": { "name": secret, "key": "api-token" },
                "patSecretRef": { "name": secret, "key": "pat" },
            },
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
