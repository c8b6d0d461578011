//! The cluster's networks, the ports that are open and why, and the load balancers.

use std::collections::BTreeMap;

use kubewright_model::condition::Condition;
use kubewright_model::desired::{Body, Desired};
use kubewright_model::net::{AddressRange, Cidr};
use kubewright_model::object::ObjectKey;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::{API_PORT, Datastore};
use serde_json::Value;

use super::facts::{Door, Facts};
use super::{code, codes};
use crate::page::{Line, Page, Piece};
use crate::words::{Words, fill};

/// Networks, ports, load balancers.
pub(super) fn network(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let kubernetes = &facts.desired.kubernetes;
    let mut rows = machines(facts, words);
    rows.extend([
        vec![words.about.pods.into(), code(kubernetes.pod_network)],
        vec![words.about.services.into(), code(kubernetes.service_network)],
    ]);
    rows.extend(pools(facts, words));
    page.table(&[words.heads.name, words.heads.range], rows);
    page.part(words.sections.ports, |page| {
        page.paragraph(words.ports.intro);
        let heads = [words.heads.port, words.heads.on, words.heads.purpose];
        page.table(&heads, ports(facts, words));
    });
    page.part(words.sections.balancers, |page| balancers(page, facts, words));
    page.part(words.sections.given, |page| given(page, facts, words));
}

/// The networks that machines are in, as the spec or their cards have them, and who has which addresses.
fn machines(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let say = &words.manual;
    let mut rows: Vec<Vec<Line>> = Vec::new();
    let mut tell = |name: Line, value: Line| {
        let row = vec![name, value];
        if !row[1].is_empty() && !rows.contains(&row) {
            rows.push(row);
        }
    };
    if let Some(network) = facts.desired.spec.as_ref().map(|file| &file.spec.network) {
        let tagged = |vlan: Option<u16>| vlan.map(|vlan| format!(" (VLAN {vlan})")).unwrap_or_default().into();
        tell(say.machines.into(), network.cidr.map(|cidr| code(cidr).join(tagged(network.vlan))).unwrap_or_default());
        tell(say.gateway.into(), network.gateway.map(code).unwrap_or_default());
        tell(say.nameserver.into(), codes(&network.nameservers));
        for (name, other) in &network.others {
            let purpose = other.purpose.as_ref().map(|purpose| format!(" ({purpose})")).unwrap_or_default();
            tell(code(name).join(purpose.into()), code(other.cidr).join(tagged(other.vlan)));
        }
    }
    for machine in &facts.desired.machines {
        let card = match &*machine.body {
            Body::Lxc(lxc) => &lxc.card,
            Body::Vm(vm) => &vm.card,
            Body::Server(_) | Body::Existing | Body::Local => continue,
        };
        let Some(address) = machine.address else { continue };
        if facts.desired.spec.as_ref().is_none_or(|file| file.spec.network.cidr.is_none()) {
            tell(say.machines.into(), Cidr::around(address, card.prefix_of(address)).map(code).unwrap_or_default());
        }
        tell(say.gateway.into(), card.gateway_of(address).map(code).unwrap_or_default());
        tell(say.nameserver.into(), codes(&card.nameservers));
    }
    for (pool, machines) in facts.pools() {
        let ranges = AddressRange::of(machines.iter().filter_map(|machine| machine.address));
        let role = machines.first().map_or("", |machine| facts.role_word(&machine.name, words));
        if !ranges.is_empty() {
            rows.push(vec![code(pool).join(format!(" ({role})").into()), codes(ranges)]);
        }
    }
    rows
}

fn objects<'d>(facts: &Facts<'d>, kind: &str) -> impl Iterator<Item = &'d Value> {
    let all = facts.desired.objects.iter().flat_map(|group| &group.manifests).map(|manifest| &manifest.0);
    all.filter(move |object| object["kind"] == kind)
}

/// The addresses that MetalLB or Cilium gives out.
/// <https://metallb.io/apis/#metallb.io/v1beta1.IPAddressPoolSpec>, <https://docs.cilium.io/en/stable/network/lb-ipam/>
fn pools(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let row = |object: &Value, ranges: Vec<String>| {
        let pool = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        vec![fill(words.about.given, &[("pool", Piece::Code(pool.into()))]), codes(ranges)]
    };
    let list = |object: &Value, name: &str| object["spec"][name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let metallb = objects(facts, "IPAddressPool");
    let metallb = metallb.map(|object| row(object, list(object, "addresses").iter().map(text).collect()));
    let ends = |block: &Value| match (&block["cidr"], &block["stop"]) {
        (Value::String(cidr), _) => cidr.clone(),
        (_, Value::String(stop)) => format!("{}-{stop}", text(&block["start"])),
        _ => text(&block["start"]),
    };
    let cilium = objects(facts, "CiliumLoadBalancerIPPool");
    let cilium = cilium.map(|object| row(object, list(object, "blocks").iter().map(ends).collect()));
    metallb.chain(cilium).collect()
}

/// Services of the file that get an address; which one, the cluster tells.
fn given(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let services = objects(facts, "Service").filter(|service| service["spec"]["type"] == "LoadBalancer");
    let rows: Vec<Vec<Line>> = services
        .map(|service| {
            let word = |name: &str| service["metadata"][name].as_str().unwrap_or_default();
            let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
            let ports: Vec<String> = ports.iter().map(|port| port["port"].to_string()).collect();
            vec![code(format!("{}/{}", word("namespace"), word("name"))), codes(ports)]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    page.table(&[words.heads.name, words.heads.port], rows);
    page.code("bash", &["kubectl get services -A --field-selector spec.type=LoadBalancer".into()]);
}

/// One row: the port with its protocol, where, why.
fn row(port: impl ToString, on: impl Into<Line>, purpose: impl Into<Line>) -> Vec<Line> {
    vec![code(port), on.into(), purpose.into()]
}

/// The ports as the distributions' own pages have them.
/// <https://docs.k3s.io/installation/requirements#networking>,
/// <https://docs.rke2.io/install/requirements#networking>,
/// <https://kubernetes.io/docs/reference/networking/ports-and-protocols/>
pub(super) fn ports(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let (say, terms) = (&words.ports, &words.terms);
    let kubernetes = &facts.desired.kubernetes;
    let mut rows = ssh(facts, words);
    let api = facts.config.get("https-listen-port").and_then(|port| port.parse().ok()).unwrap_or(API_PORT);
    rows.push(row(format!("{api}/tcp"), terms.all_servers, say.api));
    if kubernetes.datastore == Datastore::Etcd {
        rows.push(row("2379-2380/tcp", terms.all_servers, say.etcd));
    }
    match kubernetes.distribution {
        Distribution::Rke2 => rows.push(row("9345/tcp", terms.all_servers, say.supervisor)),
        Distribution::Talos => {
            rows.push(row("50000/tcp", terms.all_nodes, say.talos));
            rows.push(row("50001/tcp", terms.all_servers, say.trustd));
        }
        Distribution::K3s | Distribution::Kubeadm => {}
    }
    rows.push(row("10250/tcp", terms.all_nodes, say.kubelet));
    rows.extend(pod_network(facts, words));
    rows.extend(ingress(facts, words));
    rows.extend(node_ports(facts, words));
    rows.extend(haproxy(facts, words));
    rows
}

/// Every port that some host's SSH daemon is reached at.
fn ssh(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let mut ports: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for host in facts.shells() {
        ports.entry(host.way.port).or_default().push(host.name.as_str());
    }
    let alone = ports.len() == 1;
    let on = |hosts: Vec<&str>| if alone { words.terms.every_host.into() } else { codes(hosts) };
    ports.into_iter().map(|(port, hosts)| row(format!("{port}/tcp"), on(hosts), words.ports.ssh)).collect()
}

/// What the pods' network is carried by.
/// <https://docs.cilium.io/en/stable/operations/system_requirements/#firewall-rules>,
/// <https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/backends.md>
fn pod_network(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let (say, nodes) = (&words.ports, words.terms.all_nodes);
    let release = |chart: &str| facts.desired.releases.iter().find(|release| release.chart == chart);
    if let Some(flannel) = release("flannel") {
        return match flannel.values["flannel"]["backend"].as_str() {
            Some("vxlan") => vec![row("8472/udp", nodes, say.vxlan)],
            Some("wireguard") => vec![row("51821/udp", nodes, say.wireguard)],
            _ => Vec::new(),
        };
    }
    if let Some(cilium) = release("cilium") {
        let mut rows = vec![row("4240/tcp", nodes, say.cilium_health)];
        if cilium.values["routingMode"] != "native" {
            rows.insert(0, row("8472/udp", nodes, say.vxlan));
        }
        return rows;
    }
    // Talos and RKE2 give Flannel VXLAN's registered port, and Calico takes it by itself; the others keep the kernel's own.
    let plug_in = facts.config.get("cni").map(String::as_str);
    if facts.desired.kubernetes.distribution == Distribution::Talos || matches!(plug_in, Some("calico" | "flannel")) {
        return vec![row("4789/udp", nodes, say.vxlan)];
    }
    match facts.config.get("flannel-backend").map(String::as_str) {
        None | Some("vxlan") => vec![row("8472/udp", nodes, say.vxlan)],
        Some("wireguard-native") => vec![row("51820/udp", nodes, say.wireguard)],
        Some(_) => Vec::new(),
    }
}

fn ingress(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let Some(ingress) = &facts.ingress else { return Vec::new() };
    let nodes = words.terms.all_nodes;
    let purpose = || Line::from(format!("{} ({}, HTTP)", words.ports.ingress, ingress.name));
    let secure = || Line::from(format!("{} ({}, HTTPS)", words.ports.ingress, ingress.name));
    match ingress.door {
        Door::Nodes => {
            let mut rows = vec![row("80/tcp", nodes, purpose()), row("443/tcp", nodes, secure())];
            // On the host's network its pods listen there themselves; its Service may have ports of nodes besides.
            for (service, ports) in service_ports(facts.desired) {
                let what = || fill(words.ports.node_port, &[("what", Piece::Code(service.to_string()))]);
                rows.extend(ports.iter().map(|port| row(format!("{port}/tcp"), nodes, what())));
            }
            rows
        }
        Door::NodePorts(http, https) => {
            vec![row(format!("{http}/tcp"), nodes, purpose()), row(format!("{https}/tcp"), nodes, secure())]
        }
        Door::OwnAddress => Vec::new(),
    }
}

/// Services whose ports on nodes are checked.
pub(super) fn service_ports(desired: &Desired) -> impl Iterator<Item = (&ObjectKey, &[u16])> {
    desired.checks.iter().filter_map(|check| match &check.condition {
        Condition::NodePorts { service, ports } => Some((service, ports.as_slice())),
        _ => None,
    })
}

/// Node ports that a Service or a chart's values choose.
fn node_ports(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let mut found: BTreeMap<u64, String> = BTreeMap::new();
    for manifest in facts.desired.objects.iter().flat_map(|group| &group.manifests) {
        if let (true, Ok(id)) = (manifest.0["kind"] == "Service", manifest.id()) {
            for port in chosen(&manifest.0) {
                found.entry(port).or_insert_with(|| id.to_string());
            }
        }
    }
    for release in facts.desired.releases.iter().filter(|release| release.part != "ingress") {
        // A chart of several programs has its values by their names.
        for (part, values) in release.values.as_object().into_iter().flatten() {
            for port in chosen(values) {
                found.entry(port).or_insert_with(|| format!("{}: {part}", release.name));
            }
        }
    }
    let purpose = |what: String| fill(words.ports.node_port, &[("what", Piece::Code(what))]);
    found.into_iter().map(|(port, what)| row(format!("{port}/tcp"), words.terms.all_nodes, purpose(what))).collect()
}

/// Every `nodePort` in a tree of values.
fn chosen(value: &Value) -> Vec<u64> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value.as_u64() {
                Some(port) if name == "nodePort" => vec![port],
                _ => chosen(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(chosen).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn haproxy(facts: &Facts<'_>, words: &Words) -> Vec<Vec<Line>> {
    let mut found: BTreeMap<(u16, String), Vec<&str>> = BTreeMap::new();
    for (host, ports) in facts.haproxies() {
        for port in ports {
            found.entry(port).or_default().push(host.name.as_str());
        }
    }
    let purpose = |name: &str| Line::from(format!("{} ", words.ports.haproxy)).and(Piece::Code(name.into()));
    found.into_iter().map(|((port, name), hosts)| row(format!("{port}/tcp"), codes(hosts), purpose(&name))).collect()
}

/// One row for each port of a load balancer that a provider runs.
fn balancers(page: &mut Page, facts: &Facts<'_>, words: &Words) {
    let heads = &words.heads;
    let rows = facts.desired.load_balancers.iter().flat_map(|balancer| {
        balancer.spec.listen.iter().map(|listener| {
            let address = facts.balancer_address(balancer.name.as_str(), balancer.provider.as_str());
            vec![
                code(&balancer.name),
                balancer.provider.as_str().into(),
                address.map(code).unwrap_or_default(),
                code(format!("{} → {}", listener.port, listener.to)),
                codes(&balancer.targets),
            ]
        })
    });
    page.table(&[heads.name, heads.place, heads.address, heads.port, heads.targets], rows.collect());
}
