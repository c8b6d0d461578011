//! When it is worth looking again: the API tells what changes of the objects that a condition is about.
//!
//! What is remembered between two looks is only how far a collection has been heard, its `resourceVersion`. It is taken
//! down before the look that follows, so nothing that happens in between is missed. Where the API has forgotten it (410
//! Gone), one looks again and begins anew. <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::select_all;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, Resource};
use kubewright_model::bundle::Canary;
use kubewright_model::condition::Condition;
use kubewright_model::spec::verify::WorkloadKind;
use tokio::time::{sleep, timeout};

/// How long nothing may be heard before one looks all the same. A load balancer on the way may forget a connection
/// without a word, and conditions depend a little on what no object tells: whether an API server answers.
const NET: Duration = Duration::from_secs(20);
/// Changes come in swarms: those that come within this time are one.
const SETTLES: Duration = Duration::from_millis(500);

/// Objects that tell of a condition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Collection {
    group: &'static str,
    version: &'static str,
    kind: String,
    plural: String,
    namespace: Option<String>,
    labels: Option<String>,
    fields: Option<String>,
}

/// The API does not tell any more: the connection is gone, or the server.
pub(super) struct Lost;

/// How far each collection has been heard.
#[derive(Default)]
pub(super) struct Watches {
    heard: Mutex<BTreeMap<Collection, String>>,
}

/// The collections that tell of a condition; none where nothing in the API does.
pub(super) fn collections(condition: &Condition) -> Vec<Collection> {
    match condition {
        // An API server that begins to serve, or ends, enters itself among the endpoints of the Service `kubernetes`.
        Condition::NodesReady { .. } => vec![
            of::<Node>(None),
            of::<EndpointSlice>(Some("default")).labelled("kubernetes.io/service-name=kubernetes"),
        ],
        Condition::SystemPods => vec![of::<Pod>(Some("kube-system"))],
        Condition::Pods(check) => {
            let pods = of::<Pod>(check.namespace.as_ref().map(|namespace| namespace.as_str()));
            vec![Collection { labels: check.selector.clone(), ..pods }]
        }
        Condition::Workload(check) => {
            let space = Some(check.namespace.as_str());
            let all = match check.kind {
                WorkloadKind::Deployment => of::<Deployment>(space),
                WorkloadKind::DaemonSet => of::<DaemonSet>(space),
                WorkloadKind::StatefulSet => of::<StatefulSet>(space),
                WorkloadKind::Job => of::<Job>(space),
                WorkloadKind::PersistentVolumeClaim => of::<PersistentVolumeClaim>(space),
            };
            vec![check.name.as_ref().map_or(all.clone(), |name| all.named(name.as_str()))]
        }
        Condition::Address(key) | Condition::NodePorts { service: key, .. } => {
            vec![of::<Service>(Some(key.namespace.as_str())).named(key.name.as_str())]
        }
        Condition::Certificates(_) => vec![
            custom("cert-manager.io", "v1", "Certificate", "certificates"),
            custom("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers"),
        ],
        Condition::Applications(_) => vec![custom("argoproj.io", "v1alpha1", "Application", "applications")],
        Condition::Release { namespace, .. } => {
            let space = Some(namespace.as_str());
            vec![of::<Deployment>(space), of::<StatefulSet>(space), of::<DaemonSet>(space)]
        }
        Condition::Route { .. } => vec![of::<Ingress>(None)],
        Condition::Vault(wish) => vec![of::<Pod>(Some(wish.namespace.as_str()))],
        Condition::Canary(_) => {
            let id = Canary::id();
            vec![of::<ConfigMap>(id.namespace.as_ref().map(|name| name.as_str())).named(id.name.as_str())]
        }
        Condition::Api(_)
        | Condition::Url(_)
        | Condition::EachNode { .. }
        | Condition::Service { .. }
        // Which of a cluster's kinds is meant is looked up each time.
        | Condition::Objects(_)
        | Condition::Targets(_) => Vec::new(),
    }
}

fn of<K: k8s_openapi::Resource + k8s_openapi::ListableResource + Resource<DynamicType = ()>>(
    namespace: Option<&str>,
) -> Collection {
    Collection {
        group: K::GROUP,
        version: K::VERSION,
        kind: K::KIND.into(),
        plural: K::plural(&()).into_owned(),
        namespace: namespace.map(String::from),
        labels: None,
        fields: None,
    }
}

fn custom(group: &'static str, version: &'static str, kind: &str, plural: &str) -> Collection {
    let (kind, plural) = (kind.into(), plural.into());
    Collection { group, version, kind, plural, namespace: None, labels: None, fields: None }
}

impl Collection {
    fn labelled(self, labels: &str) -> Self {
        Self { labels: Some(labels.into()), ..self }
    }

    fn named(self, name: &str) -> Self {
        Self { fields: Some(format!("metadata.name={name}")), ..self }
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(self.group, self.version, &self.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &self.plural);
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    }
}

impl Watches {
    /// Returns when something has changed in one of these collections, or when nothing was heard for long.
    ///
    /// # Errors
    ///
    /// [`Lost`] where another server, or the same one once more, is to be looked for.
    pub(super) async fn changed(&self, client: &Client, collections: &[Collection]) -> Result<(), Lost> {
        let all = collections.iter().map(|collection| self.one(client, collection).boxed());
        match timeout(NET, select_all(all)).await {
            Ok((first, ..)) => first,
            Err(_) => Ok(()),
        }
    }

    fn heard(&self, collection: &Collection) -> Option<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(collection).cloned()
    }

    /// So far it has been heard; nothing where one has to begin anew.
    fn note(&self, collection: &Collection, version: Option<String>) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match version.filter(|version| !version.is_empty()) {
            Some(version) => drop(heard.insert(collection.clone(), version)),
            None => drop(heard.remove(collection)),
        }
    }

    async fn one(&self, client: &Client, collection: &Collection) -> Result<(), Lost> {
        let api = collection.api(client);
        let Some(version) = self.heard(collection) else {
            // Since the last look something may have changed already: this only takes down where to begin.
            return match api.list_metadata(&ListParams::default().limit(1)).await {
                Ok(list) => {
                    self.note(collection, list.metadata.resource_version);
                    Ok(())
                }
                Err(error) => self.failed(collection, &error).await,
            };
        };
        let (label_selector, field_selector) = (collection.labels.clone(), collection.fields.clone());
        let params = WatchParams { label_selector, field_selector, ..WatchParams::default() };
        // A little longer than one listens to it.
        let params = params.timeout(u32::try_from(NET.as_secs()).unwrap_or(u32::MAX).saturating_add(5));
        let mut told = match api.watch_metadata(&params, &version).await {
            Ok(told) => told.boxed(),
            Err(error) => return self.failed(collection, &error).await,
        };
        let mut changed = false;
        loop {
            let next = match changed {
                false => told.next().await,
                true => match timeout(SETTLES, told.next()).await {
                    Ok(next) => next,
                    Err(_) => return Ok(()),
                },
            };
            match next {
                Some(Ok(WatchEvent::Added(it) | WatchEvent::Modified(it) | WatchEvent::Deleted(it))) => {
                    self.note(collection, it.metadata.resource_version);
                    changed = true;
                }
                Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                    self.note(collection, Some(bookmark.metadata.resource_version));
                }
                // It is too long ago for the server to tell what came since.
                Some(Ok(WatchEvent::Error(_))) => {
                    self.note(collection, None);
                    return Ok(());
                }
                Some(Err(_)) | None if changed => return Ok(()),
                Some(Err(_)) | None => return Err(Lost),
            }
        }
    }

    /// What it means that the API does not tell of a collection.
    async fn failed(&self, collection: &Collection, error: &kube::Error) -> Result<(), Lost> {
        self.note(collection, None);
        match error {
            kube::Error::Api(status) if status.code == 410 => Ok(()),
            // There is no such kind yet, or nobody may watch it: the other collections may tell, and the net is below.
            kube::Error::Api(status) if matches!(status.code, 403..=405) => {
                sleep(NET).await;
                Ok(())
            }
            _ => Err(Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use kubewright_model::net::HostPort;
    use kubewright_model::spec::verify::WorkloadCheck;

    use super::*;

    #[test]
    fn what_no_object_tells_is_not_watched() {
        assert!(collections(&Condition::Api(HostPort::new("10.0.0.10", 6443))).is_empty());
        let check = WorkloadCheck { kind: WorkloadKind::Job, namespace: "jobs".into(), name: Some("backup".into()) };
        let watched = collections(&Condition::Workload(check));
        let [job] = watched.as_slice() else { panic!("{watched:?}") };
        assert_eq!((job.group, job.plural.as_str()), ("batch", "jobs"));
        assert_eq!((job.namespace.as_deref(), job.fields.as_deref()), (Some("jobs"), Some("metadata.name=backup")));
    }
}
