//! From the spec to what it means in full.

use kubewright_model::desired::DesiredMember;
use kubewright_model::object::Manifest;

/// A Node's labels and taints as an object for server-side apply: it owns only what it names.
pub fn node_manifest(member: &DesiredMember) -> Manifest {
    let taints: Vec<serde_json::Value> = member.taints.iter().filter_map(|taint| taint_object(taint)).collect();
    let mut node = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": member.name, "labels": *member.labels },
    });
    if !taints.is_empty() {
        node["spec"] = serde_json::json!({ "taints": taints });
    }
    Manifest(node)
}

/// `key=value:Effect` as Kubernetes' API wants it.
fn taint_object(taint: &str) -> Option<serde_json::Value> {
    let (left, effect) = taint.rsplit_once(':')?;
    let (key, value) = left.split_once('=').unwrap_or((left, ""));
    let mut object = serde_json::json!({ "key": key, "effect": effect });
    if !value.is_empty() {
        object["value"] = value.into();
    }
    Some(object)
}
