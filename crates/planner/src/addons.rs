//! Add-ons compile: each becomes a Helm release with values that can be read, and the objects beside it.
//!
//! The versions are those that this program knows to work together; the file may name others. Every value that is set
//! here exists in the chart of that version; the user's values are put on top of ours and win.

mod alerts;
mod alloy;
pub(crate) mod argocd;
mod cert_manager;
mod cilium;
mod csr_approver;
mod elasticsearch;
pub(crate) mod external_secrets;
mod flannel;
mod fluentd;
mod hetzner;
mod loki;
mod metallb;
mod monitoring;
mod nfs_csi;
mod nginx;
mod sealed_secrets;
mod small;
mod storage;
mod synology;
mod vault;

use indexmap::IndexMap;
use kubewright_model::applications::DesiredApplications;
use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{Namespace, ObjectName, ReleaseName};
use kubewright_model::object::ObjectKey;
use kubewright_model::spec::addons::OnFailure;
use kubewright_model::spec::verify::PodCheck;
use kubewright_model::spec::{AddOns, ClusterFile, HostSettings};
use kubewright_model::vault::DesiredVault;
use kubewright_model::version::Version;
use serde_json::{Map, Value};

use crate::context::{Context, SecretNames};

/// All releases, in the order in which people would install them: network, addresses, certificates, ingress, storage,
/// and what uses them.
pub(crate) fn releases(context: &Context<'_>, secrets: &mut SecretNames) -> Vec<DesiredRelease> {
    let addons = &context.file.spec.addons;
    let mut releases = Vec::new();
    releases.extend(context.file.spec.kubernetes.cni.cilium.as_ref().map(|cilium| cilium::release(context, cilium)));
    releases.extend(flannel::release(context));
    releases.extend(csr_approver::release(context));
    releases.extend(hetzner::releases(context));
    releases.extend(addons.metallb.as_ref().map(|metallb| metallb::release(context, metallb)));
    releases.extend(addons.cert_manager.as_ref().filter(|it| !it.by_argocd).map(cert_manager::release));
    releases.extend(addons.cert_manager.as_ref().filter(|it| !it.by_argocd).and_then(cert_manager::gandi));
    releases.extend(context.file.spec.ingress.nginx.as_ref().map(nginx::release));
    releases.extend(addons.metrics_server.as_ref().map(|plain| small::metrics_server(context, plain)));
    releases.extend(addons.storage.nfs.as_ref().map(storage::nfs));
    releases.extend(addons.storage.nfs_csi.as_ref().map(nfs_csi::release));
    releases
        .extend(addons.storage.synology.as_ref().filter(|it| !it.by_argocd).map(|it| synology::release(context, it)));
    releases.extend(addons.monitoring.as_ref().map(|monitoring| monitoring::release(context, monitoring, secrets)));
    releases.extend(addons.loki.iter().flat_map(|loki| loki::releases(context, loki)));
    releases.extend(addons.elasticsearch.iter().flat_map(|it| [elasticsearch::operator(it), fluentd::release(it)]));
    releases.extend(addons.vault.as_ref().map(vault::release));
    releases.extend(addons.external_secrets.as_ref().map(external_secrets::release));
    releases.extend(addons.sealed_secrets.as_ref().map(sealed_secrets::release));
    releases.extend(addons.argocd.as_ref().map(|it| argocd::release(context, it, secrets)));
    releases.iter_mut().for_each(|release| release.on_failure = addons.on_failure);
    releases.extend(addons.charts.iter().map(|(name, chart)| small::chart(name, chart, addons.on_failure, secrets)));
    releases
}

/// What add-ons want beside their charts.
pub(crate) fn objects(context: &Context<'_>, secrets: &mut SecretNames) -> Vec<DesiredObjects> {
    let addons = &context.file.spec.addons;
    let mut groups = Vec::new();
    groups.extend(hetzner::objects(context, secrets));
    groups.extend(context.file.spec.kubernetes.cni.cilium.as_ref().and_then(cilium::objects));
    groups.extend(addons.metallb.as_ref().map(metallb::objects));
    groups.extend(addons.cert_manager.as_ref().and_then(cert_manager::objects));
    groups.extend(addons.storage.nfs_csi.as_ref().map(nfs_csi::objects));
    groups.extend(addons.storage.synology.iter().flat_map(|it| synology::objects(it, secrets)));
    groups.extend(addons.monitoring.as_ref().map(monitoring::objects));
    groups.extend(addons.loki.as_ref().and_then(|loki| loki::objects(context, loki)));
    groups.extend(addons.elasticsearch.as_ref().map(|it| elasticsearch::objects(it, secrets)));
    groups.extend(addons.external_secrets.as_ref().map(|it| external_secrets::objects(addons, it)));
    groups.extend(addons.sealed_secrets.as_ref().and_then(|it| sealed_secrets::objects(it, secrets)));
    groups.extend(addons.argocd.iter().flat_map(|it| argocd::objects(it, secrets)));
    groups
}

/// Argo CD's applications that a run waits for: those that the file asks for, or the one that holds all others.
pub(crate) fn applications(file: &ClusterFile) -> Option<DesiredApplications> {
    let argocd = file.spec.addons.argocd.as_ref()?;
    argocd::applications(argocd, file.spec.verify.applications.as_ref())
}

/// Vault, where it runs on the cluster and keeps what it is told.
pub(crate) fn vault(addons: &AddOns) -> Option<DesiredVault> {
    addons.vault.as_ref().and_then(vault::wish)
}

/// Pods that no release of ours has, but what it makes: each with the name of their check.
pub(crate) fn pods(addons: &AddOns) -> Vec<(&'static str, PodCheck)> {
    addons.elasticsearch.as_ref().map(elasticsearch::pods).unwrap_or_default()
}

/// Services of type LoadBalancer that charts of ours bring. Those of charts that the file alone knows are not known.
pub(crate) fn services(releases: &[DesiredRelease]) -> Vec<ObjectKey> {
    let brought = releases.iter().filter_map(|release| match release.part.as_str() {
        "ingress" => nginx::service(release),
        "argocd" => argocd::service(release),
        _ => None,
    });
    brought.collect()
}

/// The ingress controller's Service with the ports that it has on every node, where the file says which.
pub(crate) fn node_ports(releases: &[DesiredRelease]) -> Option<(ObjectKey, Vec<u16>)> {
    releases.iter().filter(|release| release.part == "ingress").find_map(nginx::node_ports)
}

/// The Service of a release by its name, where the values at a path make it one of type LoadBalancer.
fn balanced(release: &DesiredRelease, values: &str, name: &str) -> Option<ObjectKey> {
    let kind = release.values.pointer(values)?.as_str()?;
    (kind == "LoadBalancer").then(|| ObjectKey { namespace: release.namespace.clone(), name: name.into() })
}

/// Namespaces of add-ons that Argo CD installs, which their charts do not make.
pub(crate) fn namespaces(addons: &AddOns) -> Vec<Namespace> {
    let cert_manager = addons.cert_manager.as_ref();
    cert_manager.filter(|it| it.by_argocd).map(|_| cert_manager::NAMESPACE.into()).into_iter().collect()
}

/// Namespaces whose pods use the host's network or its devices.
pub(crate) fn privileged_namespaces(context: &Context<'_>) -> Vec<Namespace> {
    let addons = &context.file.spec.addons;
    let mut names: Vec<Namespace> = Vec::new();
    names.extend(flannel::wished(context).map(|_| flannel::NAMESPACE.into()));
    names.extend(addons.metallb.as_ref().map(|_| metallb::NAMESPACE.into()));
    names.extend(context.file.spec.ingress.nginx.as_ref().map(|_| nginx::NAMESPACE.into()));
    names.extend(addons.monitoring.as_ref().map(monitoring::namespace));
    names.extend(addons.loki.as_ref().map(loki::namespace));
    names.extend(addons.elasticsearch.as_ref().map(elasticsearch::namespace));
    names.extend(addons.storage.synology.as_ref().map(|_| synology::NAME.into()));
    names
}

/// StorageClasses that we make, by name.
pub(crate) fn classes(addons: &AddOns) -> Vec<ObjectName> {
    storage::classes(&addons.storage)
}

/// What add-ons need on the host of every node, of Linux that has packages.
pub(crate) fn host_resources(addons: &AddOns, settings: &HostSettings) -> Vec<HostResource> {
    storage::host_resources(&addons.storage, settings)
}

/// Every chart that this program knows a version of.
const RECOMMENDED: [Recommended; 23] = [
    alloy::CHART,
    argocd::CHART,
    cert_manager::CHART,
    cert_manager::GANDI,
    cilium::CHART,
    csr_approver::CHART,
    elasticsearch::OPERATOR,
    external_secrets::CHART,
    flannel::CHART,
    fluentd::CHART,
    hetzner::CONTROLLER,
    hetzner::CSI,
    loki::CHART,
    loki::STACK,
    metallb::CHART,
    monitoring::CHART,
    nfs_csi::CHART,
    nginx::CHART,
    sealed_secrets::CHART,
    small::METRICS_SERVER,
    storage::NFS,
    synology::CHART,
    vault::CHART,
];

/// The version of a release's chart that this program knows to work with the rest; none of a chart that it does not know.
pub(crate) fn recommended(release: &DesiredRelease) -> Option<Version> {
    let same =
        |known: &&Recommended| known.chart == release.chart && release.repository.as_deref() == Some(known.repository);
    RECOMMENDED.iter().find(same).map(|known| Version::known(known.version))
}

/// A chart of a repository, as an add-on wants it.
struct Recommended {
    name: &'static str,
    repository: &'static str,
    chart: &'static str,
    version: &'static str,
}

impl Recommended {
    /// The release, with the user's version and values in the place of ours.
    fn release(
        &self,
        namespace: Namespace,
        part: &str,
        version: Option<&Version>,
        ours: Value,
        theirs: &IndexMap<String, Value>,
    ) -> DesiredRelease {
        DesiredRelease {
            name: ReleaseName::new(self.name),
            namespace,
            part: part.into(),
            chart: self.chart.into(),
            repository: Some(self.repository.into()),
            version: Some(version.cloned().unwrap_or_else(|| Version::known(self.version))),
            values: with(ours, theirs),
            after: Vec::new(),
            before_ready: false,
            on_failure: OnFailure::Leave,
            timeout: None,
            digest: None,
        }
    }
}

/// Values with others on top: maps are joined level by level, everything else is replaced, `null` takes away. It is
/// what Helm does with several `--values`.
fn with(under: Value, over: &IndexMap<String, Value>) -> Value {
    let over: Map<String, Value> = over.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    merged(under, &Value::Object(over))
}

fn merged(under: Value, over: &Value) -> Value {
    match (under, over) {
        (Value::Object(mut under), Value::Object(over)) => {
            for (key, value) in over {
                let below = under.shift_remove(key).unwrap_or(Value::Null);
                if !value.is_null() {
                    under.insert(key.clone(), merged(below, value));
                }
            }
            Value::Object(under)
        }
        (_, over) => over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_joined_as_helm_does() {
        let theirs = json!({ "a": { "c": 3, "d": null }, "e": [2] });
        let merged = merged(json!({ "a": { "b": 1, "c": 2, "d": 4 }, "e": [1] }), &theirs);
        assert_eq!(merged, json!({ "a": { "b": 1, "c": 3 }, "e": [2] }));
    }
}
