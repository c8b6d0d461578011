//! Argo CD and the application that holds all others.
//! <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/>

use kubewright_model::applications::DesiredApplications;
use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::{Manifest, ObjectKey};
use kubewright_model::spec::addons::ArgoCd;
use kubewright_model::spec::verify::ApplicationCheck;
use kubewright_model::units::Span;
use serde_json::json;

use super::{Recommended, balanced};
use crate::context::groups::group_after;

/// A dozen applications pull their images over one link, and each may wait for another one.
const TIMEOUT: Span = Span::from_secs(20 * 60);

const NAMESPACE: &str = "argocd";

const CHART: Recommended = Recommended {
    name: "argocd",
    repository: "https://argoproj.github.io/argo-helm",
    chart: "argo-cd",
    version: "7.7.7",
};

pub(super) fn release(argocd: &ArgoCd) -> DesiredRelease {
    let mut service = json!({ "type": argocd.service });
    if let Some(address) = argocd.address {
        service["loadBalancerIP"] = address.first().to_string().into();
    }
    let values = json!({
        "server": { "service": service },
        // The key holds a dot: it is the parameter's whole name.
        "configs": { "params": { "server.insecure": argocd.insecure } },
    });
    CHART.release(NAMESPACE.into(), "argocd", Some(&argocd.version), values, &argocd.values)
}

pub(super) fn objects(argocd: &ArgoCd) -> Option<DesiredObjects> {
    let root = argocd.root.as_ref()?;
    let application = Manifest(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": { "name": root.name, "namespace": NAMESPACE },
        "spec": {
            "project": "default",
            "source": { "repoURL": root.repository, "targetRevision": root.revision, "path": root.path },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": NAMESPACE },
            "syncPolicy": {
                "automated": { "prune": true, "selfHeal": true },
                // Charts that do not make their own namespace find it made.
                "syncOptions": ["CreateNamespace=true"],
            },
        },
    }));
    Some(group_after("argocd-root", "argocd", CHART.name.into(), vec![application]))
}

/// What a run waits for: what `verify` asks of applications, or that the one that holds all others is Synced.
pub(super) fn applications(argocd: &ArgoCd, asked: Option<&ApplicationCheck>) -> Option<DesiredApplications> {
    let root = || {
        let names = vec![argocd.root.as_ref()?.name.clone()];
        Some(ApplicationCheck { count: 1, names, healthy: Vec::new(), progressing: Vec::new() })
    };
    let check = asked.cloned().or_else(root)?;
    Some(DesiredApplications { check, timeout: TIMEOUT })
}

/// The server's Service, where it wants an address (`templates/_helpers.tpl`: the release has the chart's own name).
pub(super) fn service(release: &DesiredRelease) -> Option<ObjectKey> {
    balanced(release, "/server/service/type", "argocd-server")
}
