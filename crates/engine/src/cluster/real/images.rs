//! Images of what a distribution has made in the cluster, and upgrades no more.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kubewright_model::plan::WorkloadImage;
use kubewright_model::programs::KUBE_PROXY;
use serde_json::json;

use super::failure::failed;
use super::marks::FIELD_MANAGER;
use crate::cluster::ClusterError;

/// The image of kube-proxy; none where there is none.
pub(super) async fn kube_proxy(client: &Client) -> Result<Option<String>, ClusterError> {
    let (namespace, name) = KUBE_PROXY;
    let found = Api::<DaemonSet>::namespaced(client.clone(), namespace).get_opt(name).await;
    let found = found.map_err(|error| failed(&format!("DaemonSet {namespace}/{name}"), &error))?;
    Ok(found.and_then(|it| image(&it, name)))
}

/// Has a DaemonSet run from another image, and leaves all else of it as it is.
pub(super) async fn set(client: &Client, wish: &WorkloadImage) -> Result<bool, ClusterError> {
    let api = Api::<DaemonSet>::namespaced(client.clone(), wish.namespace.as_str());
    let told = |error: kube::Error| failed(&wish.to_string(), &error);
    let there = api.get(wish.name.as_str()).await.map_err(told)?;
    if image(&there, &wish.container).as_ref() == Some(&wish.image) {
        return Ok(false);
    }
    // Containers are merged by their names.
    let container = json!({ "name": wish.container, "image": wish.image });
    let patch = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    api.patch(wish.name.as_str(), &params, &Patch::Strategic(&patch)).await.map_err(told)?;
    Ok(true)
}

/// The image of one of its containers.
fn image(it: &DaemonSet, container: &str) -> Option<String> {
    let pods = it.spec.as_ref()?.template.spec.as_ref()?;
    pods.containers.iter().find(|it| it.name == container)?.image.clone()
}
