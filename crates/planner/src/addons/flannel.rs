//! Flannel, where no distribution brings it.
//! <https://github.com/flannel-io/flannel/tree/v0.28.9/chart/kube-flannel>

use indexmap::IndexMap;
use kubewright_model::desired::DesiredRelease;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::{Flannel, FlannelBackend};
use serde_json::json;

use super::Recommended;
use crate::context::Context;

/// Its pods belong to the host.
pub(super) const NAMESPACE: &str = "kube-flannel";

pub(super) const CHART: Recommended = Recommended {
    name: "flannel",
    repository: "https://flannel-io.github.io/flannel/",
    chart: "flannel",
    version: "v0.28.9",
};

/// Flannel as the file has it, where it is a release: kubeadm brings no network, and Flannel is the usual one.
pub(super) fn wished(context: &Context<'_>) -> Option<Flannel> {
    let kubernetes = &context.file.spec.kubernetes;
    let ours = kubernetes.distribution == Distribution::Kubeadm && kubernetes.cni.cilium.is_none();
    ours.then(|| kubernetes.cni.flannel.clone().unwrap_or_default())
}

pub(super) fn release(context: &Context<'_>) -> Option<DesiredRelease> {
    let flannel = wished(context)?;
    let backend = match flannel.backend {
        FlannelBackend::Vxlan => "vxlan",
        FlannelBackend::HostGw => "host-gw",
        FlannelBackend::WireguardNative => "wireguard",
    };
    let mut args = vec!["--ip-masq".to_string(), "--kube-subnet-mgr".into()];
    args.extend(flannel.interface.map(|interface| format!("--iface={interface}")));
    let pods = context.file.spec.kubernetes.pod_network;
    let [four, six] =
        if pods.net().addr().is_ipv6() { [String::new(), pods.to_string()] } else { [pods.to_string(), String::new()] };
    let values = json!({
        "podCidr": four,
        "podCidrv6": six,
        "flannel": { "backend": backend, "args": args },
    });
    let version = flannel.version.as_ref();
    let mut release = CHART.release(NAMESPACE.into(), "cni", version, values, &IndexMap::new());
    release.before_ready = true;
    Some(release)
}
