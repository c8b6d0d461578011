//! 05xx, the part about ports of the nodes.

use std::collections::BTreeMap;

use kubewright_model::codes;
use kubewright_model::diagnostic::{Diagnostic, SpecPath};
use kubewright_model::spec::Distribution;
use kubewright_model::spec::addons::MonitoringTarget;
use kubewright_model::spec::ingress::ServiceType;
use kubewright_model::spec::kubernetes::API_PORT;

use super::{Facts, at};

/// What Kubernetes gives out unless it is told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    node_ports(facts, found);
    let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
    let mut said = "";
    for (port, what, path) in host_ports(facts) {
        // Whoever wants 80 wants 443 too, and once is enough.
        if let Some(other) = taken.insert(port, what).filter(|_| said != what) {
            said = what;
            let message = format!("{what} wants port {port} of the hosts, which {other} has");
            let help = "let MetalLB or Cilium give out addresses, or choose another port or type";
            found.push(Diagnostic::new(codes::HOST_PORT_TAKEN, path, message).help(help));
        }
    }
}

fn node_ports(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let spec = facts.spec;
    let mut ports: Vec<(u16, SpecPath)> = Vec::new();
    if let Some(given) = spec.ingress.nginx.as_ref().and_then(|nginx| nginx.node_ports.as_ref()) {
        ports.push((given.http, at("ingress/nginx/nodePorts/http")));
        ports.push((given.https, at("ingress/nginx/nodePorts/https")));
    }
    if let Some(monitoring) = &spec.addons.monitoring {
        ports.extend(monitoring.prometheus_node_port.map(|port| (port, at("addons/monitoring/prometheusNodePort"))));
        ports.extend(monitoring.grafana_node_port.map(|port| (port, at("addons/monitoring/grafanaNodePort"))));
    }
    // Whoever moves the range knows what he does.
    let moved = ["service-node-port-range", "kube-apiserver-arg", "apiServer"]
        .iter()
        .any(|key| spec.kubernetes.server_config.contains_key(*key));
    let mut taken: BTreeMap<u16, SpecPath> = BTreeMap::new();
    for (port, path) in ports {
        if !moved && !NODE_PORTS.contains(&port) {
            let message = format!("{port} is no node port");
            let help = format!("choose from {} to {}", NODE_PORTS.start(), NODE_PORTS.end());
            found.push(Diagnostic::new(codes::NODE_PORT_RANGE, path.clone(), message).help(help));
        }
        if let Some(other) = taken.get(&port) {
            let message = format!("the node port {port} is already that of `{other}`");
            found.push(Diagnostic::new(codes::NODE_PORT_TWICE, path, message).help("choose another port"));
        } else {
            taken.insert(port, path);
        }
    }
}

/// The ports that are taken on the nodes themselves, and by whom.
fn host_ports(facts: &Facts<'_>) -> Vec<(u16, &'static str, SpecPath)> {
    let spec = facts.spec;
    let addons = &spec.addons;
    let mut ports = Vec::new();
    let mut take = |numbers: &[u16], what, path: SpecPath| {
        ports.extend(numbers.iter().map(|number| (*number, what, path.clone())));
    };
    // A load balancer or virtual IP may have the endpoint's port on another host or address.
    let endpoint = &spec.kubernetes.endpoint;
    let api = if endpoint.load_balancer.is_some() { API_PORT } else { endpoint.port };
    take(&[api], "the API", at("kubernetes/endpoint/port"));
    let nginx = spec.ingress.nginx.as_ref();
    if nginx.is_some_and(|nginx| nginx.host_network) {
        take(&[80, 443], "NGINX on the host network", at("ingress/nginx/hostNetwork"));
    }
    let announced = addons.metallb.is_some()
        || spec.kubernetes.cni.cilium.as_ref().is_some_and(|cilium| cilium.l2_announcements.is_some());
    // K3s' own load balancer works with ports of the hosts; lowering turns it off beside NGINX on the host network.
    if spec.kubernetes.distribution != Distribution::K3s || announced || nginx.is_some_and(|nginx| nginx.host_network) {
        return ports;
    }
    if !spec.ingress.none && nginx.is_none() {
        take(&[80, 443], "Traefik", at("ingress"));
    }
    if nginx.is_some_and(|nginx| nginx.service == ServiceType::LoadBalancer) {
        take(&[80, 443], "NGINX", at("ingress/nginx/service"));
    }
    if addons.argocd.as_ref().is_some_and(|argocd| argocd.service == ServiceType::LoadBalancer) {
        take(&[80, 443], "Argo CD", at("addons/argocd/service"));
    }
    for (name, target) in addons.monitoring.iter().flat_map(|monitoring| &monitoring.load_balancers) {
        let what = match target {
            MonitoringTarget::Prometheus => "Prometheus",
            MonitoringTarget::Grafana => "Grafana",
            MonitoringTarget::Alertmanager => "Alertmanager",
        };
        take(&[target.port()], what, at("addons/monitoring/loadBalancers").then(name));
    }
    ports
}
