//! K3s: what is its own. The rest is in [`super::rancher`]. Facts are its documentation's (<https://docs.k3s.io>) and its
//! `install.sh`'s, for v1.31 and later.

use kubewright_model::host::HostResource;
use kubewright_model::programs::K3S;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::{API_PORT, FlannelBackend};

use super::rancher::{Config, Program, Unit, api_port};
use crate::context::Context;
use crate::context::nodes::NodePlan;

const BINARY: &str = K3S.path;

/// One program is everything, kubectl among it.
pub(super) static PROGRAM: Program = Program {
    distribution: Distribution::K3s,
    is: &K3S,
    releases: "https://github.com/k3s-io/k3s/releases/download",
    file: "k3s{-arch}",
    member: None,
    images: |_| vec!["k3s-airgap-images-{arch}.tar.zst"],
    kubectl: &[BINARY, "kubectl"],
    units: [unit(K3S.units[0], "/usr/local/bin/k3s server"), unit(K3S.units[1], "/usr/local/bin/k3s agent")],
    // It keeps its data in SQLite unless it is told.
    begins: Some("cluster-init: true\n"),
    configure,
    prepare: |_, _| links(),
    files: |_, _| Vec::new(),
    first: &[],
    // Its own parts' way to the API.
    listens: [&[6444], &[6444]],
    leftovers: &LEFTOVERS,
};

const fn unit(name: &'static str, command: &'static str) -> Unit {
    Unit { name, description: ["Lightweight Kubernetes", "https://k3s.io"], command, further: "" }
}

/// What K3s is by other names.
const TOOLS: [&str; 3] = ["/usr/local/bin/kubectl", "/usr/local/bin/crictl", "/usr/local/bin/ctr"];

/// What stays where its data are removed. With its password a node would be let in under its old name before that is free.
const LEFTOVERS: [&str; 4] = [TOOLS[0], TOOLS[1], TOOLS[2], "/etc/rancher/node"];

fn links() -> Vec<HostResource> {
    TOOLS.map(|tool| HostResource::Link { path: tool.into(), target: BINARY.into() }).into()
}

fn configure(context: &Context<'_>, node: &NodePlan<'_>, config: &mut Config) {
    let kubernetes = &context.file.spec.kubernetes;
    if has_cloud_controller(context) {
        config.also("kubelet-arg", "cloud-provider=external");
    }
    if let Some(interface) = kubernetes.cni.flannel.as_ref().and_then(|cni| cni.interface.clone()) {
        config.set("flannel-iface", interface);
    }
    if !node.is_server() {
        return;
    }
    let port = api_port(context, node);
    if port != API_PORT {
        config.set("https-listen-port", port);
    }
    if has_cloud_controller(context) {
        config.set("disable-cloud-controller", true);
    }
    network(context, config);
    config.list("disable", disabled(context));
    if kubernetes.encrypt_secrets {
        config.set("secrets-encryption", true);
    }
}

/// Whether nodes are told by their cloud what they are. K3s has a controller for that of its own.
/// <https://docs.k3s.io/networking/networking-services#deploying-an-external-cloud-controller-manager>
fn has_cloud_controller(context: &Context<'_>) -> bool {
    context.file.spec.addons.hetzner.cloud_controller.is_some()
}

/// Cilium takes Flannel's, the network policies' and, if wished, kube-proxy's place.
fn network(context: &Context<'_>, config: &mut Config) {
    let cni = &context.file.spec.kubernetes.cni;
    if let Some(cilium) = &cni.cilium {
        config.set("flannel-backend", "none");
        config.set("disable-network-policy", true);
        if cilium.kube_proxy_replacement {
            config.set("disable-kube-proxy", true);
        }
    } else if let Some(flannel) = &cni.flannel {
        config.set("flannel-backend", backend(flannel.backend));
    }
}

fn backend(backend: FlannelBackend) -> &'static str {
    match backend {
        FlannelBackend::Vxlan => "vxlan",
        FlannelBackend::HostGw => "host-gw",
        FlannelBackend::WireguardNative => "wireguard-native",
    }
}

/// The packaged components that something else of the spec stands in for.
/// <https://docs.k3s.io/installation/packaged-components>
fn disabled(context: &Context<'_>) -> Vec<String> {
    let spec = &context.file.spec;
    let ingress = &spec.ingress;
    let l2 = spec.kubernetes.cni.cilium.as_ref().is_some_and(|cilium| cilium.l2_announcements.is_some());
    let host_ports = ingress.nginx.as_ref().is_some_and(|nginx| nginx.host_network);
    let mut disabled = Vec::new();
    if ingress.none || ingress.nginx.is_some() {
        disabled.push("traefik".to_string());
    }
    // Its pods would listen on the very ports that the other one announces or that NGINX holds.
    if spec.addons.metallb.is_some() || l2 || host_ports || has_cloud_controller(context) {
        disabled.push("servicelb".to_string());
    }
    if spec.addons.metrics_server.is_some() {
        disabled.push("metrics-server".to_string());
    }
    disabled
}
