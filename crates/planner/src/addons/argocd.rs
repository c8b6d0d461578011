//! Argo CD and the application that holds all others.
//! <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/>

mod plugins;

use kubewright_model::applications::DesiredApplications;
use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::ids::ObjectName;
use kubewright_model::object::{Manifest, ObjectKey};
use kubewright_model::spec::addons::{ArgoCd, ArgoRepository, ArgoRepositoryKind, ArgoSops, RootApplication};
use kubewright_model::spec::verify::ApplicationCheck;
use kubewright_model::units::Span;
use serde_json::json;

use super::{Recommended, balanced};
use crate::context::groups::{group, group_after};
use crate::context::{Context, SecretNames};

/// A dozen applications pull their images over one link, and each may wait for another one.
const TIMEOUT: Span = Span::from_secs(20 * 60);

const NAMESPACE: &str = "argocd";

pub(super) const CHART: Recommended = Recommended {
    name: "argocd",
    repository: "https://argoproj.github.io/argo-helm",
    chart: "argo-cd",
    version: "7.7.7",
};

/// Services ask Cilium for an address by an annotation; the Service's own field, which the others read, is deprecated.
/// <https://docs.cilium.io/en/v1.18/network/lb-ipam/#requesting-ips>
const PINNED: &str = "lbipam.cilium.io/ips";

pub(super) fn release(context: &Context<'_>, argocd: &ArgoCd, secrets: &mut SecretNames) -> DesiredRelease {
    let mut service = json!({ "type": argocd.service });
    if let Some(address) = argocd.address {
        let address = address.first().to_string();
        match &context.file.spec.kubernetes.cni.cilium {
            Some(cilium) if cilium.l2_announcements.is_some() => service["annotations"] = json!({ PINNED: address }),
            _ => service["loadBalancerIP"] = address.into(),
        }
    }
    let mut values = json!({
        "server": { "service": service },
        "configs": {
            // The key holds a dot: it is the parameter's whole name.
            "params": { "server.insecure": argocd.insecure },
            // With it, Argo CD makes no password of its own.
            "secret": { "argocdServerAdminPassword": secrets.hashed("argocd-admin", argocd.admin_password.as_ref()) },
        },
    });
    plugins::values(&context.file.spec.addons, argocd, &mut values);
    CHART.release(NAMESPACE.into(), "argocd", Some(&argocd.version), values, &argocd.values)
}

pub(super) fn objects(argocd: &ArgoCd, secrets: &mut SecretNames) -> Vec<DesiredObjects> {
    let mut repositories: Vec<Manifest> =
        argocd.repositories.iter().map(|(name, repository)| of_repository(name, repository, secrets)).collect();
    repositories.extend(argocd.root.as_ref().and_then(|root| of_root(root, secrets)));
    repositories.extend(argocd.sops.as_ref().map(|sops| sops_key(sops, secrets)));
    let repositories = group("argocd-repositories", "argocd", repositories);
    let root = argocd
        .root
        .as_ref()
        .map(|root| group_after("argocd-root", "argocd", CHART.name.into(), vec![application(root)]));
    std::iter::once(repositories).chain(root).collect()
}

fn application(root: &RootApplication) -> Manifest {
    Manifest(json!({
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
    }))
}

/// The key that opens SOPS files, as age's own programs keep it.
fn sops_key(sops: &ArgoSops, secrets: &mut SecretNames) -> Manifest {
    let key = secrets.value("argocd-sops", Some(&sops.age_key));
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": plugins::SOPS_KEY, "namespace": NAMESPACE },
        "stringData": { plugins::SOPS_FILE: format!("{key}\n") },
    }))
}

/// The repository of the application that holds all others, where it lets nobody in as anybody.
fn of_root(root: &RootApplication, secrets: &mut SecretNames) -> Option<Manifest> {
    let credentials = root.credentials.as_ref()?;
    let ssh = is_ssh(&root.repository);
    let repository = ArgoRepository {
        url: root.repository.clone(),
        kind: ArgoRepositoryKind::Git,
        oci: false,
        prefix: false,
        username: None,
        password: (!ssh).then(|| credentials.clone()),
        ssh_key: ssh.then(|| credentials.clone()),
        insecure: false,
        project: None,
    };
    Some(of_repository(&root.name, &repository, secrets))
}

/// Whether an address is one of SSH: `ssh://git@host/path`, or `git@host:path`.
pub(crate) fn is_ssh(url: &str) -> bool {
    url.starts_with("ssh://") || !url.contains("://") && url.contains('@')
}

/// A repository is a Secret with a label. <https://argo-cd.readthedocs.io/en/release-2.13/operator-manual/declarative-setup/#repositories>
fn of_repository(name: &ObjectName, repository: &ArgoRepository, secrets: &mut SecretNames) -> Manifest {
    let kind = match repository.kind {
        ArgoRepositoryKind::Git => "git",
        ArgoRepositoryKind::Helm => "helm",
    };
    let mut fields = json!({ "type": kind, "url": repository.url });
    if repository.kind == ArgoRepositoryKind::Helm && !repository.prefix {
        fields["name"] = name.as_str().into();
    }
    if let Some(password) = &repository.password {
        fields["username"] = repository.username.clone().unwrap_or_else(|| "git".into()).into();
        fields["password"] = secrets.value(&format!("argocd-repository-{name}"), Some(password)).into();
    }
    if let Some(key) = &repository.ssh_key {
        // What reads a key wants its last line to end.
        let key = secrets.value(&format!("argocd-repository-{name}"), Some(key));
        fields["sshPrivateKey"] = format!("{key}\n").into();
    }
    if repository.insecure {
        fields["insecure"] = "true".into();
    }
    if repository.oci {
        fields["enableOCI"] = "true".into();
    }
    if let Some(project) = &repository.project {
        fields["project"] = project.as_str().into();
    }
    let label = if repository.prefix { "repo-creds" } else { "repository" };
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("repository-{name}"),
            "namespace": NAMESPACE,
            "labels": { "argocd.argoproj.io/secret-type": label },
        },
        "stringData": fields,
    }))
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
