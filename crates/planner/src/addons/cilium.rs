//! Cilium as the pods' network.
//! <https://docs.cilium.io/en/v1.18/helm-reference/>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::{API_PORT, Cilium};
use kubewright_model::talos::KUBEPRISM;
use serde_json::json;

use super::Recommended;
use crate::context::Context;
use crate::context::groups::group_after;

pub(super) const CHART: Recommended =
    Recommended { name: "cilium", repository: "https://helm.cilium.io/", chart: "cilium", version: "1.18.3" };

/// The domain of clusters that say nothing of it.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// The first version that serves pools as v2; v2alpha1 is deprecated since the one after it. Policies have no v2 yet.
/// <https://docs.cilium.io/en/v1.19/operations/upgrade/#upgrade-notes>
const POOLS_V2: (u64, u64, u64) = (1, 18, 0);

pub(super) fn release(context: &Context<'_>, cilium: &Cilium) -> DesiredRelease {
    let distribution = context.file.spec.kubernetes.distribution;
    let talos = distribution == Distribution::Talos;
    let mut values = json!({
        // The nodes' own ranges are cut from the pod network of the file, not from Cilium's default.
        "ipam": { "mode": "kubernetes" },
        "kubeProxyReplacement": cilium.kube_proxy_replacement,
    });
    if cilium.kube_proxy_replacement {
        // Through one server's address, all nodes would lose the API with it. Agents of RKE2 have a balancer of their own
        // on the API's usual port. <https://docs.rke2.io/networking/basic_network_options>
        let (host, port) = match distribution {
            Distribution::Talos => ("localhost".to_string(), KUBEPRISM),
            Distribution::Rke2 => ("localhost".to_string(), API_PORT),
            Distribution::K3s | Distribution::Kubeadm => (context.endpoint.host.clone(), context.endpoint.port),
        };
        values["k8sServiceHost"] = host.into();
        values["k8sServicePort"] = port.into();
    }
    if cilium.l2_announcements.is_some() {
        values["l2announcements"] = json!({ "enabled": true });
        // Each announced Service keeps a lease alive; the default rate is soon used up.
        values["k8sClientRateLimit"] = json!({ "qps": 50, "burst": 100 });
    }
    if let Some(hubble) = &cilium.hubble {
        values["hubble"] = json!({ "relay": { "enabled": hubble.relay }, "ui": { "enabled": hubble.ui } });
    }
    // The relay asks the agents by a name of the cluster's domain, and the chart knows only the usual one.
    let domain = &context.file.spec.kubernetes.cluster_domain;
    if domain != CLUSTER_DOMAIN {
        values["hubble"]["peerService"] = json!({ "clusterDomain": domain });
    }
    if talos {
        // <https://docs.siderolabs.com/kubernetes-guides/cni/deploying-cilium>
        values["cgroup"] = json!({ "autoMount": { "enabled": false }, "hostRoot": "/sys/fs/cgroup" });
        // Talos gives no pod SYS_MODULE, which the chart asks for by default.
        values["securityContext"] = json!({ "capabilities": {
            "ciliumAgent": [
                "CHOWN", "KILL", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "SYS_ADMIN", "SYS_RESOURCE", "DAC_OVERRIDE",
                "FOWNER", "SETGID", "SETUID",
            ],
            "cleanCiliumState": ["NET_ADMIN", "SYS_ADMIN", "SYS_RESOURCE"],
        } });
    }
    let nodes = context.nodes.iter().filter(|node| node.is_node()).count();
    if nodes == 1 {
        // Two replicas want two nodes.
        values["operator"] = json!({ "replicas": 1 });
    }
    let mut release = CHART.release("kube-system".into(), "cni", Some(&cilium.version), values, &cilium.values);
    release.before_ready = true;
    release
}

/// Pools of addresses and the policy that announces them. The operator brings their CRDs when it runs.
pub(super) fn objects(cilium: &Cilium) -> Option<DesiredObjects> {
    let l2 = cilium.l2_announcements.as_ref()?;
    let pools = l2.pools.iter().map(|(name, addresses)| {
        let blocks: Vec<_> = addresses
            .iter()
            .map(|range| json!({ "start": range.first().to_string(), "stop": range.last().to_string() }))
            .collect();
        Manifest(json!({
            "apiVersion": if cilium.version.patch() < POOLS_V2 { "cilium.io/v2alpha1" } else { "cilium.io/v2" },
            "kind": "CiliumLoadBalancerIPPool",
            "metadata": { "name": name },
            "spec": { "blocks": blocks },
        }))
    });
    let mut policy = json!({
        "apiVersion": "cilium.io/v2alpha1",
        "kind": "CiliumL2AnnouncementPolicy",
        "metadata": { "name": "default" },
        "spec": { "loadBalancerIPs": true },
    });
    if !l2.interfaces.is_empty() {
        policy["spec"]["interfaces"] = json!(l2.interfaces);
    }
    let manifests = pools.chain([Manifest(policy)]).collect();
    Some(group_after("cilium-pools", "cni", CHART.name.into(), manifests))
}
