//! Nodes: cordoned, marked, and taken out of the books.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Client, ResourceExt as _};
use kubewright_model::ids::NodeName;
use kubewright_model::object::ObjectId;
use kubewright_model::observed::CORDONED;
use kubewright_model::plan::NodeMarks;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::failure::{failed, refused};
use super::going::gone;
use super::look::taint_text;
use super::marks::FIELD_MANAGER;
use crate::cluster::ClusterError;

/// How often a node is read again that others change meanwhile: its kubelet writes to it every few seconds, and a
/// controller now and then.
const READS: u32 = 8;
/// What K3s needs to take a member out of etcd, with a leader's election in between.
const FORGETS: Duration = Duration::from_secs(120);

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() }
}

/// Cordons a node with our label, or takes both away, in one request.
pub(super) async fn cordon(client: &Client, node: &NodeName, cordoned: bool) -> Result<(), ClusterError> {
    let patch = match cordoned {
        true => json!({ "metadata": { "labels": { CORDONED: "true" } }, "spec": { "unschedulable": true } }),
        false => json!({ "metadata": { "labels": { CORDONED: null } }, "spec": { "unschedulable": null } }),
    };
    let patched = Api::<Node>::all(client.clone()).patch(node.as_str(), &params(), &Patch::Merge(&patch)).await;
    patched.map(drop).map_err(|error| failed(&format!("node {node}"), &error))
}

/// Sets and takes away labels and taints. Taints are one list, so that it is written only as it was read.
pub(super) async fn mark(client: &Client, marks: &NodeMarks) -> Result<bool, ClusterError> {
    let api = Api::<Node>::all(client.clone());
    let what = format!("node {}", marks.node);
    for _ in 0..READS {
        let node = api.get(marks.node.as_str()).await.map_err(|error| failed(&what, &error))?;
        let Some(patch) = difference(&node, marks).map_err(|why| refused(what.as_str(), why))? else {
            return Ok(false);
        };
        match api.patch(marks.node.as_str(), &params(), &Patch::Merge(&patch)).await {
            Ok(_) => return Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(failed(&what, &error)),
        }
    }
    Err(ClusterError::Busy(format!("{what} was changed by others each time that it was read")))
}

/// What is to be written to a node; none when it is as it should be.
pub(super) fn difference(node: &Node, marks: &NodeMarks) -> Result<Option<Value>, String> {
    let mut labels: Map<String, Value> = Map::new();
    let has = |key: &String| node.labels().get(key);
    labels.extend(marks.without_labels.iter().filter(|key| has(key).is_some()).map(|key| (key.clone(), Value::Null)));
    let set = marks.labels.iter().filter(|(key, value)| has(key) != Some(*value));
    labels.extend(set.map(|(key, value)| (key.clone(), value.as_str().into())));
    let there: Vec<&Taint> = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).collect();
    let stays = |taint: &&&Taint| !marks.without_taints.contains(&taint_text(taint));
    let kept: Vec<&Taint> = there.iter().filter(stays).copied().collect();
    let new = marks.taints.iter().filter(|wish| !kept.iter().any(|taint| taint_text(taint) == **wish));
    let new: Vec<Taint> = new.map(|text| taint(text)).collect::<Result<_, _>>()?;
    if labels.is_empty() && new.is_empty() && kept.len() == there.len() {
        return Ok(None);
    }
    let mut patch = json!({ "metadata": { "resourceVersion": node.resource_version(), "labels": labels } });
    if !new.is_empty() || kept.len() < there.len() {
        // A taint of the same key and effect takes the other one's place: the API refuses both.
        let replaced = |old: &&Taint| new.iter().any(|new| new.key == old.key && new.effect == old.effect);
        let taints: Vec<&Taint> = kept.into_iter().filter(|old| !replaced(old)).chain(&new).collect();
        patch["spec"] = json!({ "taints": taints });
    }
    Ok(Some(patch))
}

/// `KEY=VALUE:EFFECT`, `KEY:EFFECT`.
fn taint(text: &str) -> Result<Taint, String> {
    let (rest, effect) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` is no taint: its effect is missing"))?;
    let (key, value) = rest.split_once('=').map_or((rest, None), |(key, value)| (key, Some(value.to_string())));
    Ok(Taint { key: key.into(), effect: effect.into(), value: value.filter(|it| !it.is_empty()), time_added: None })
}

/// Takes a node out of the books. K3s takes its member out of etcd by itself, and holds the node until that is done
/// (`pkg/etcd/member_controller.go`).
pub(super) async fn forget(client: &Client, node: &NodeName) -> Result<(), ClusterError> {
    let resource = ApiResource::erase::<Node>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let what = format!("node {node}");
    let there = api.get_metadata_opt(node.as_str()).await.map_err(|error| failed(&what, &error))?;
    let Some(there) = there else { return Ok(()) };
    match api.delete(node.as_str(), &DeleteParams::background()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(failed(&what, &error)),
    }
    let id = ObjectId { api_version: "v1".into(), kind: "Node".into(), namespace: None, name: node.as_str().into() };
    gone(client, &api, &id, there.metadata.uid.as_deref(), Instant::now() + FORGETS).await
}
