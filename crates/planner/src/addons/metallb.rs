//! MetalLB in layer 2 mode.
//! <https://metallb.io/configuration/>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::addons::Metallb;
use serde_json::json;

use super::Recommended;
use crate::context::Context;
use crate::context::groups::group_after;

pub(super) const NAMESPACE: &str = "metallb-system";

pub(super) const CHART: Recommended = Recommended {
    name: "metallb",
    repository: "https://metallb.github.io/metallb",
    chart: "metallb",
    version: "0.14.8",
};

pub(super) fn release(context: &Context<'_>, metallb: &Metallb) -> DesiredRelease {
    // Layer 2 needs no routing daemon beside the speaker.
    let mut values = json!({ "speaker": { "frr": { "enabled": false } } });
    // kubeadm labels servers as nodes that no balancer sends to, and MetalLB announces nothing from such.
    let kubeadm = context.file.spec.kubernetes.distribution == Distribution::Kubeadm;
    if kubeadm && context.nodes.iter().filter(|node| node.is_node()).all(|node| node.is_server()) {
        values["speaker"]["ignoreExcludeLB"] = true.into();
    }
    CHART.release(NAMESPACE.into(), "metallb", metallb.version.as_ref(), values, &metallb.values)
}

/// The pools, and one advertisement for all of them. The chart's webhook judges both, so they come after it.
pub(super) fn objects(metallb: &Metallb) -> DesiredObjects {
    let pools = metallb.pools.iter().map(|(name, addresses)| {
        // MetalLB wants both ends of a range in full.
        let addresses = addresses.iter().map(|range| format!("{}-{}", range.first(), range.last()));
        Manifest(json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": { "addresses": addresses.collect::<Vec<_>>() },
        }))
    });
    let name = metallb.advertisement.clone().unwrap_or_else(|| "default-l2-adv".into());
    let names: Vec<_> = metallb.pools.keys().collect();
    let advertisement = Manifest(json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": { "ipAddressPools": names },
    }));
    group_after("metallb-pools", "metallb", CHART.name.into(), pools.chain([advertisement]).collect())
}
