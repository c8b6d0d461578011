//! `/etc/rancher/k3s/config.yaml`: the command line's flags without their dashes.
//! <https://docs.k3s.io/cli/server>, <https://docs.k3s.io/cli/agent>

use kubewright_model::spec::kubernetes::{API_PORT, Datastore, FlannelBackend};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::context::endpoint::certificate_names;
use crate::context::nodes::NodePlan;
use crate::context::nodes::{labels, taints};

use super::TOKEN;

/// The file's text.
pub(super) fn text(context: &Context<'_>, node: &NodePlan<'_>) -> String {
    let config = if node.is_server() { server(context, node) } else { agent(context, node) };
    // A map of plain values always has a YAML text.
    serde_saphyr::to_string(&Value::Object(config)).unwrap_or_default()
}

fn server(context: &Context<'_>, node: &NodePlan<'_>) -> Map<String, Value> {
    let kubernetes = &context.file.spec.kubernetes;
    let mut config = common(context, node);
    let mut set = |key: &str, value: Value| {
        config.insert(key.to_string(), value);
    };
    set("write-kubeconfig-mode", "0600".into());
    let mut names = certificate_names(context.file, &context.endpoint);
    if let Some(address) = node.address.map(|address| address.to_string())
        && !names.contains(&address)
    {
        names.push(address);
    }
    set("tls-san", names.into());
    let port = api_port(context, node);
    if port != API_PORT {
        set("https-listen-port", port.into());
    }
    set("cluster-cidr", kubernetes.pod_network.to_string().into());
    set("service-cidr", kubernetes.service_network.to_string().into());
    // K3s' own default for its default network; another network needs it said.
    if let Some(dns) = kubernetes.service_network.nth(10) {
        set("cluster-dns", dns.to_string().into());
    }
    if kubernetes.cluster_domain != "cluster.local" {
        set("cluster-domain", kubernetes.cluster_domain.clone().into());
    }
    network(context, &mut set);
    let disabled = disabled(context);
    if !disabled.is_empty() {
        set("disable", disabled.into());
    }
    if kubernetes.encrypt_secrets {
        set("secrets-encryption", true.into());
    }
    snapshots(context, &mut set);
    for (key, value) in &kubernetes.server_config {
        set(key, value.clone());
    }
    config
}

/// Where a server serves the API: where clients look for it, if they look for it there.
pub(super) fn api_port(context: &Context<'_>, node: &NodePlan<'_>) -> u16 {
    let endpoint = &context.file.spec.kubernetes.endpoint;
    if context.endpoint.address() == node.address { endpoint.port } else { API_PORT }
}

fn agent(context: &Context<'_>, node: &NodePlan<'_>) -> Map<String, Value> {
    let mut config = common(context, node);
    config.insert("server".into(), format!("https://{}", context.endpoint).into());
    for (key, value) in &context.file.spec.kubernetes.agent_config {
        config.insert(key.clone(), value.clone());
    }
    config
}

/// What servers and agents both take.
fn common(context: &Context<'_>, node: &NodePlan<'_>) -> Map<String, Value> {
    let mut config = Map::new();
    config.insert("node-name".into(), node.name.as_str().into());
    if let Some(address) = node.address {
        config.insert("node-ip".into(), address.to_string().into());
    }
    config.insert("token-file".into(), TOKEN.into());
    let labels = labels(node.pool_name, node.pool).into_iter().map(|(key, value)| format!("{key}={value}"));
    config.insert("node-label".into(), labels.collect::<Vec<String>>().into());
    let taints = taints(node.pool);
    if !taints.is_empty() {
        let taints = taints.into_iter().map(with_value);
        config.insert("node-taint".into(), taints.collect::<Vec<String>>().into());
    }
    if let Some(interface) = context.file.spec.kubernetes.cni.flannel.as_ref().and_then(|cni| cni.interface.clone()) {
        config.insert("flannel-iface".into(), interface.into());
    }
    config
}

/// The kubelet wants `key=value:effect`, with an empty value where there is none.
fn with_value(taint: String) -> String {
    match taint.rsplit_once(':') {
        Some((key, effect)) if !key.contains('=') => format!("{key}=:{effect}"),
        _ => taint,
    }
}

/// Cilium takes Flannel's, the network policies' and, if wished, kube-proxy's place.
fn network(context: &Context<'_>, set: &mut impl FnMut(&str, Value)) {
    let cni = &context.file.spec.kubernetes.cni;
    if let Some(cilium) = &cni.cilium {
        set("flannel-backend", "none".into());
        set("disable-network-policy", true.into());
        if cilium.kube_proxy_replacement {
            set("disable-kube-proxy", true.into());
        }
    } else if let Some(flannel) = &cni.flannel {
        set("flannel-backend", backend(flannel.backend).into());
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
pub(super) fn disabled(context: &Context<'_>) -> Vec<String> {
    let spec = &context.file.spec;
    let ingress = &spec.ingress;
    let l2 = spec.kubernetes.cni.cilium.as_ref().is_some_and(|cilium| cilium.l2_announcements.is_some());
    let host_ports = ingress.nginx.as_ref().is_some_and(|nginx| nginx.host_network);
    let mut disabled = Vec::new();
    if ingress.none || ingress.nginx.is_some() {
        disabled.push("traefik".to_string());
    }
    // Its pods would listen on the very ports that the other one announces or that NGINX holds.
    if spec.addons.metallb.is_some() || l2 || host_ports {
        disabled.push("servicelb".to_string());
    }
    if spec.addons.metrics_server.is_some() {
        disabled.push("metrics-server".to_string());
    }
    disabled
}

fn snapshots(context: &Context<'_>, set: &mut impl FnMut(&str, Value)) {
    let spec = &context.file.spec;
    let Some(backup) = spec.backup.as_ref().filter(|backup| backup.datastore) else { return };
    if spec.kubernetes.datastore != Datastore::Etcd {
        return;
    }
    set("etcd-snapshot-schedule-cron", backup.schedule.clone().into());
    set("etcd-snapshot-retention", json!(backup.keep.last));
}
