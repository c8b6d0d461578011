//! What a cluster of kubeadm tells of its control plane: nothing on its nodes, but there is a pod in the books for each
//! container that a kubelet starts from a file.
//!
//! A member of etcd that only learns is not Ready, and neither is one that is ill. Both count as one that votes: who takes
//! a learner for a voter waits for it, and who takes a voter for a learner loses the quorum.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use kubewright_model::ids::NodeName;
use kubewright_model::version::Version;

use super::failure::failed;
use super::look::all;
use crate::cluster::ClusterError;

/// kubeadm puts both labels on what it starts so.
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.0/cmd/kubeadm/app/util/staticpod/utils.go>
const OF_CONTROL_PLANE: &str = "tier=control-plane";
const COMPONENT: &str = "component";

/// The control plane, by its pods.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plane {
    /// Nodes with a member of etcd, and whether that is Ready.
    pub(super) etcd: BTreeMap<NodeName, bool>,
    /// The oldest version of what a server runs, which the kubelet beside it need not have.
    pub(super) versions: BTreeMap<NodeName, Version>,
}

/// Looks at it.
pub(super) async fn plane(client: &Client) -> Result<Plane, ClusterError> {
    let pods = Api::<Pod>::namespaced(client.clone(), "kube-system");
    let listed = all(&pods, &ListParams::default().labels(OF_CONTROL_PLANE)).await;
    Ok(read(&listed.map_err(|error| failed("list of the control plane's pods", &error))?))
}

fn read(pods: &[Pod]) -> Plane {
    let mut plane = Plane::default();
    for pod in pods {
        let spec = pod.spec.as_ref();
        let Some(node) = spec.and_then(|spec| spec.node_name.as_deref()).map(NodeName::from) else { continue };
        match pod.labels().get(COMPONENT).map(String::as_str) {
            Some("etcd") => drop(plane.etcd.insert(node, is_ready(pod))),
            // They are replaced one after the other.
            Some("kube-apiserver" | "kube-controller-manager" | "kube-scheduler") => {
                let image = spec.and_then(|spec| spec.containers.first()?.image.as_deref());
                let version = image.and_then(|image| image.rsplit_once(':')?.1.parse::<Version>().ok());
                let Some(version) = version else { continue };
                let known = plane.versions.entry(node).or_insert_with(|| version.clone());
                *known = version.min(known.clone());
            }
            _ => {}
        }
    }
    plane
}

fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(component: &str, node: &str, image: &str, ready: &str) -> Pod {
        let pod = json!({
            "metadata": { "name": format!("{component}-{node}"), "labels": { "component": component, "tier": "control-plane" } },
            "spec": { "nodeName": node, "containers": [{ "name": component, "image": image }] },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        });
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn pods_tell_of_etcd_and_of_versions() {
        let pods = [
            pod("etcd", "a", "registry.k8s.io/etcd:3.5.15-0", "True"),
            pod("etcd", "b", "registry.k8s.io/etcd:3.5.15-0", "False"),
            pod("kube-apiserver", "a", "mirror.test:5000/kube-apiserver:v1.31.4", "True"),
            pod("kube-scheduler", "a", "registry.k8s.io/kube-scheduler:v1.30.9", "True"),
        ];
        let plane = read(&pods);
        assert_eq!(plane.etcd, [("a".into(), true), ("b".into(), false)].into());
        assert_eq!(plane.versions, [("a".into(), Version::known("v1.30.9"))].into());
    }
}
