//! ingress-nginx.
//! <https://github.com/kubernetes/ingress-nginx/tree/main/charts/ingress-nginx>

use kubewright_model::desired::DesiredRelease;
use kubewright_model::object::ObjectKey;
use kubewright_model::spec::ingress::{Nginx, NginxMode};
use serde_json::json;

use super::{Recommended, balanced};

pub(super) const NAMESPACE: &str = "ingress-nginx";

pub(super) const CHART: Recommended = Recommended {
    name: "ingress-nginx",
    repository: "https://kubernetes.github.io/ingress-nginx",
    chart: "ingress-nginx",
    version: "4.13.3",
};

pub(super) fn release(nginx: &Nginx) -> DesiredRelease {
    let mut controller = json!({ "ingressClassResource": { "default": true } });
    if nginx.mode == NginxMode::DaemonSet {
        controller["kind"] = "DaemonSet".into();
        // One pod on each node means on servers too.
        controller["tolerations"] = json!([{ "operator": "Exists" }]);
    }
    if nginx.host_network {
        controller["hostNetwork"] = true.into();
        // With the host's network, the cluster's names are found only when asked for.
        controller["dnsPolicy"] = "ClusterFirstWithHostNet".into();
    }
    controller["service"] = json!({ "type": nginx.service });
    if let Some(ports) = &nginx.node_ports {
        controller["service"]["nodePorts"] = json!({ "http": ports.http, "https": ports.https });
    }
    let values = json!({ "controller": controller });
    CHART.release(NAMESPACE.into(), "ingress", Some(&nginx.version), values, &nginx.values)
}

/// The controller's Service, where it wants an address (`templates/_helpers.tpl`: the release has the chart's name).
pub(super) fn service(release: &DesiredRelease) -> Option<ObjectKey> {
    balanced(release, "/controller/service/type", "ingress-nginx-controller")
}

/// The controller's Service with the ports that it has on every node, where the values say which.
/// (`controller.service.nodePorts` of `values.yaml`.)
pub(super) fn node_ports(release: &DesiredRelease) -> Option<(ObjectKey, Vec<u16>)> {
    let service = release.values.pointer("/controller/service")?;
    let port = |name: &str| u16::try_from(service.pointer(name)?.as_u64()?).ok();
    let ports: Vec<u16> = ["/nodePorts/http", "/nodePorts/https"].into_iter().filter_map(port).collect();
    let opens = matches!(service.get("type")?.as_str()?, "NodePort" | "LoadBalancer") && !ports.is_empty();
    let name = "ingress-nginx-controller".into();
    opens.then(|| (ObjectKey { namespace: release.namespace.clone(), name }, ports))
}
