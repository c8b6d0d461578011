//! The objects that doctor judges: one list for each kind, and nothing one by one. Secrets and ConfigMaps are not among them;
//! of Helm's records only the labels are asked for.

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kubewright_model::doctor::Lists;
use serde_json::{Value, json};

use super::failure::failed;
use super::look::{all, all_metadata};

/// Lists that are asked for together.
const TOGETHER: usize = 8;
/// So many events are kept, for one that has gone wild makes them without end. Of other kinds, what is left out would not be there.
const EVENTS: usize = 20_000;

/// A kind.
#[derive(Clone, Copy)]
struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const fn kind(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind { group, version, kind, plural }
}

/// What is listed.
const KINDS: [Kind; 30] = [
    kind("", "v1", "Node", "nodes"),
    kind("", "v1", "Namespace", "namespaces"),
    kind("", "v1", "Pod", "pods"),
    kind("", "v1", "Event", "events"),
    kind("", "v1", "Service", "services"),
    kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    kind("", "v1", "PersistentVolume", "persistentvolumes"),
    kind("apps", "v1", "Deployment", "deployments"),
    kind("apps", "v1", "StatefulSet", "statefulsets"),
    kind("apps", "v1", "DaemonSet", "daemonsets"),
    kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
    kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses"),
    kind("storage.k8s.io", "v1", "StorageClass", "storageclasses"),
    kind("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments"),
    kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    kind("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
    kind("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
    kind("apiregistration.k8s.io", "v1", "APIService", "apiservices"),
    kind("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests"),
    kind("", "v1", "ResourceQuota", "resourcequotas"),
    kind("metallb.io", "v1beta1", "IPAddressPool", "ipaddresspools"),
    kind("metallb.io", "v1beta1", "L2Advertisement", "l2advertisements"),
    kind("metallb.io", "v1beta2", "BGPPeer", "bgppeers"),
    kind("metallb.io", "v1beta1", "BGPAdvertisement", "bgpadvertisements"),
    kind("argoproj.io", "v1alpha1", "Application", "applications"),
    kind("cert-manager.io", "v1", "Certificate", "certificates"),
    kind("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers"),
    kind("cert-manager.io", "v1", "Issuer", "issuers"),
    kind("cilium.io", "v2alpha1", "CiliumLoadBalancerIPPool", "ciliumloadbalancerippools"),
];

/// What a list came to.
enum Listed {
    Items(Vec<Value>),
    /// The cluster does not have the kind.
    NoSuchKind,
    Unlisted(String),
}

/// All lists.
pub(super) async fn lists(client: &Client) -> Lists {
    let asked = stream::iter(KINDS).map(|kind| async move { (kind.plural, list(client, kind).await) }.boxed());
    let mut answers: Vec<(&str, Listed)> = asked.buffer_unordered(TOGETHER).collect().await;
    answers.push(("helmreleases", releases(client).await));
    let mut lists = Lists::default();
    for (plural, listed) in answers {
        match listed {
            Listed::Items(items) => drop(lists.items.insert(plural.into(), items)),
            Listed::Unlisted(why) => drop(lists.unlisted.insert(plural.into(), why)),
            Listed::NoSuchKind => {}
        }
    }
    lists
}

async fn list(client: &Client, Kind { group, version, kind, plural }: Kind) -> Listed {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    match all(&api, &ListParams::default()).await {
        Ok(items) => {
            let most = if plural == "events" { EVENTS } else { usize::MAX };
            Listed::Items(items.iter().take(most).filter_map(|it| serde_json::to_value(it).ok()).map(lean).collect())
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => Listed::NoSuchKind,
        Err(error) => Listed::Unlisted(failed(&format!("list of {plural}"), &error).to_string()),
    }
}

/// Helm keeps a release in a Secret, and tells on its labels what is asked for here.
async fn releases(client: &Client) -> Listed {
    let params = ListParams::default().labels("owner=helm").fields("type=helm.sh/release.v1");
    match all_metadata(&Api::<Secret>::all(client.clone()), &params).await {
        Ok(items) => Listed::Items(items.iter().map(|it| lean(json!({ "metadata": it.metadata }))).collect()),
        Err(error) => Listed::Unlisted(failed("list of releases", &error).to_string()),
    }
}

/// Without what nobody judges and what may hold what was applied with secrets in it.
fn lean(mut object: Value) -> Value {
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}
