//! Serving certificates of kubelets on kubeadm: each asks the cluster for one, and again before it ends, and nobody that
//! Kubernetes brings says yes. This controller does, where a kubelet asks for its own name and for an address of the
//! hosts' network. <https://github.com/postfinance/kubelet-csr-approver/tree/v1.2.14>

use indexmap::IndexMap;
use kubewright_model::desired::DesiredRelease;
use kubewright_model::spec::Distribution;
use serde_json::json;

use super::Recommended;
use crate::context::Context;

pub(super) const CHART: Recommended = Recommended {
    name: "kubelet-csr-approver",
    repository: "https://postfinance.github.io/kubelet-csr-approver",
    chart: "kubelet-csr-approver",
    version: "1.2.14",
};

/// Its release's name, for what trusts the kubelets from then on.
pub(super) const NAME: &str = CHART.name;

/// That the name asked for is the node's own is checked in any case, so every name will do. Names of nodes need not be in
/// DNS. What it does not approve of stays for a person to decide.
pub(super) fn release(context: &Context<'_>) -> Option<DesiredRelease> {
    let file = context.file;
    let kubeadm = file.spec.kubernetes.distribution == Distribution::Kubeadm;
    let mut values = json!({
        "providerRegex": "^[a-z0-9.-]+$",
        "bypassDnsResolution": true,
        "skipDenyStep": true,
    });
    if let Some(network) = &file.spec.network.cidr {
        values["providerIpPrefixes"] = json!([network]);
    }
    kubeadm.then(|| CHART.release("kube-system".into(), "kubelets", None, values, &IndexMap::new()))
}
