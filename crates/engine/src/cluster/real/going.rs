//! Objects that were told to go: until they are gone, or who does not let them.
//!
//! A finalizer is a name on an object; whoever put it there takes it off when it is done. Who that is nobody writes down
//! as such, so it is put together: what Kubernetes itself uses, who wrote it according to the object's managed fields, and
//! whose kinds have the name's domain as their group.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ObjectMeta;
use kube::{Client, ResourceExt as _};
use kubewright_model::object::ObjectId;
use tokio::time::{Instant, sleep};

use super::failure::failed;
use super::look::{all, all_metadata};
use super::objects::conditions;
use crate::cluster::ClusterError;

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_secs(1);
/// Helm puts it on everything that a release has made.
const OF_RELEASE: &str = "meta.helm.sh/release-name";
/// What a namespace says of what keeps it, and how each begins.
const OF_NAMESPACE: &str = "Namespace";
/// How a namespace names the finalizers that are left in it (`pkg/controller/namespace/deletion`).
const REMAINING: &str = "NamespaceFinalizersRemaining";
/// A kind whose server does not answer cannot be emptied.
const UNDISCOVERED: &str = "NamespaceDeletionDiscoveryFailure";
/// Finalizers of Kubernetes' own and of what many clusters have, and what each waits for.
const KNOWN: [(&str, &str); 9] = [
    ("foregroundDeletion", "the garbage collector: what belongs to it goes first"),
    ("kubernetes.io/pvc-protection", "Kubernetes: a pod still uses the claim"),
    ("kubernetes.io/pv-protection", "Kubernetes: a claim is still bound to the volume"),
    (
        "service.kubernetes.io/load-balancer-cleanup",
        "whoever has given the Service its address: the cloud's controller",
    ),
    ("batch.kubernetes.io/job-tracking", "the controller of Jobs, in kube-controller-manager"),
    ("customresourcecleanup.apiextensions.k8s.io", "the API: objects of this kind are still there"),
    ("resources-finalizer.argocd.argoproj.io", "Argo CD: it takes away first what the application has made"),
    ("wrangler.cattle.io", "K3s or RKE2: its own controllers on the servers"),
    ("external-provisioner.volume.kubernetes.io/finalizer", "the provisioner of the volume's StorageClass"),
];

/// Waits until an object is gone, or another one stands in its place.
pub(super) async fn gone(
    client: &Client,
    api: &Api<DynamicObject>,
    id: &ObjectId,
    uid: Option<&str>,
    deadline: Instant,
) -> Result<(), ClusterError> {
    loop {
        let there = api.get_opt(id.name.as_str()).await.map_err(|error| failed(&id.to_string(), &error))?;
        let Some(there) = there.filter(|there| there.metadata.uid.as_deref() == uid) else { return Ok(()) };
        if Instant::now() > deadline {
            let why = format!("it was told to go and is still there: {}", holders(&there.metadata));
            return Err(ClusterError::Refused {
                what: format!("delete {id}"),
                why,
                log: held(client, id, &there).await,
            });
        }
        sleep(LOOK).await;
    }
}

/// Who keeps an object that is to go.
pub(super) fn holders(there: &ObjectMeta) -> String {
    match there.finalizers.as_deref() {
        None | Some([]) => "what is in it goes first".into(),
        Some(finalizers) => format!("whoever set {} has not let it go", finalizers.join(", ")),
    }
}

/// Who each of them is, what a namespace says is left in it, and what to do.
async fn held(client: &Client, id: &ObjectId, there: &DynamicObject) -> Vec<String> {
    let said: Vec<(&str, &str)> = conditions(&there.data)
        .filter(|(kind, holds, _)| *holds && kind.starts_with(OF_NAMESPACE))
        .map(|(kind, _, message)| (kind, message))
        .collect();
    let mut log: Vec<String> = said.iter().map(|(_, message)| (*message).to_string()).collect();
    let own = there.metadata.finalizers.clone().unwrap_or_default();
    let within = said.iter().filter(|(kind, _)| *kind == REMAINING).flat_map(|(_, message)| named(message));
    let all: Vec<String> = own.iter().cloned().chain(within).collect();
    for finalizer in &all {
        log.push(format!("{finalizer}: {}", owner(client, &there.metadata, finalizer).await));
    }
    if said.iter().any(|(kind, _)| *kind == UNDISCOVERED) {
        log.extend(silent(client).await);
    }
    if !all.is_empty() {
        log.push(format!("→ bring back who holds it, and it goes by itself. {}", by_hand(id, &own)));
    }
    log
}

/// What is done where nobody comes back: what was still to be done for the object never is.
fn by_hand(id: &ObjectId, own: &[String]) -> String {
    let within = id.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    match own.is_empty() {
        true => "Where it is gone for good, take its finalizers off the objects that are left".into(),
        false => format!(
            "Where it is gone for good: `kubectl patch {} {}{within} --type=merge -p \
             '{{\"metadata\":{{\"finalizers\":null}}}}'`, and what it would have cleaned up stays",
            id.kind_of_group(),
            id.name
        ),
    }
}

/// The names in `Some content in the namespace has finalizers remaining: a/b in 2 resource instances, c/d in 1 resource
/// instances`.
fn named(message: &str) -> Vec<String> {
    let list = message.rsplit_once(": ").map_or("", |(_, list)| list);
    list.split(", ").filter_map(|part| part.split_once(" in ")).map(|(name, _)| name.to_string()).collect()
}

/// Whose a finalizer is.
async fn owner(client: &Client, there: &ObjectMeta, finalizer: &str) -> String {
    if let Some((_, who)) = KNOWN.iter().find(|(known, _)| finalizer.starts_with(known)) {
        return (*who).to_string();
    }
    let told: Vec<String> = setter(there, finalizer)
        .map(|manager| format!("set by `{manager}`"))
        .into_iter()
        .chain(kinds_of(client, finalizer).await)
        .collect();
    match told.is_empty() {
        true => "nobody in this cluster has kinds of that name: what set it may be gone".into(),
        false => told.join("; "),
    }
}

/// Who wrote it, as the API keeps it.
fn setter(there: &ObjectMeta, finalizer: &str) -> Option<String> {
    let key = format!("v:\"{finalizer}\"");
    let mut managed = there.managed_fields.iter().flatten();
    let wrote = managed.find(|entry| {
        let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.pointer("/f:metadata/f:finalizers"));
        fields.is_some_and(|fields| fields.get(&key).is_some())
    });
    wrote?.manager.clone()
}

/// The kinds whose group the finalizer's domain is or lies in, and the release that brought them.
async fn kinds_of(client: &Client, finalizer: &str) -> Option<String> {
    let domain = finalizer.split('/').next().unwrap_or(finalizer);
    let listed = all_metadata(&Api::<CustomResourceDefinition>::all(client.clone()), &ListParams::default()).await;
    let listed = listed.unwrap_or_default();
    let of = |name: &str| {
        let group = name.split_once('.').map_or("", |(_, group)| group);
        !group.is_empty() && (domain == group || domain.ends_with(&format!(".{group}")))
    };
    let kind = listed.iter().find(|it| it.metadata.name.as_deref().is_some_and(of))?;
    let release = kind.annotations().get(OF_RELEASE).map(|name| format!(" of the release {name}"));
    Some(format!("its domain is that of {}{}", kind.name_any(), release.unwrap_or_default()))
}

/// Servers of kinds that do not answer, which the API asks on its way.
async fn silent(client: &Client) -> Vec<String> {
    let listed = all(&Api::<APIService>::all(client.clone()), &ListParams::default()).await.unwrap_or_default();
    let unwell = listed.iter().filter_map(|service| {
        let conditions = service.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let not = conditions.into_iter().find(|it| it.type_ == "Available" && it.status != "True")?;
        let why = not.message.clone().or_else(|| not.reason.clone()).unwrap_or_default();
        Some(format!("APIService {} does not answer: {why}", service.name_any()))
    });
    unwell.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finalizers_are_read_from_what_a_namespace_says() {
        let said = "Some content in the namespace has finalizers remaining: lab.test/holder in 2 resource instances, \
                    kubernetes.io/pvc-protection in 1 resource instances";
        assert_eq!(named(said), ["lab.test/holder", "kubernetes.io/pvc-protection"]);
        assert!(named("nothing of the kind").is_empty());
    }
}
