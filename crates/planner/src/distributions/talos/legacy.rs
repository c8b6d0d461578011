//! The machine configuration as one document, until v1.13; from v1.12 on the network has documents of its own.
//!
//! What Talos itself writes into a new one is in `pkg/machinery/config/generate/init.go` and `worker.go`; which version
//! wants what, in `contract.go`.

use kubewright_model::talos::KUBEPRISM;
use serde_json::{Map, Value, json};

use super::config::{Facts, audit_policy, pod_security, secret};
use super::documents;
use super::network::{Addresses, Link};
use crate::distributions::rancher::api_port;

/// The first version whose network has documents of its own (`MultidocNetworkConfigSupported`).
const NETWORK_DOCUMENTS: (u64, u64) = (1, 12);

/// The one document, and those of the network.
pub(super) fn documents(facts: &Facts<'_>) -> Vec<Value> {
    let apart = if minor(facts) < NETWORK_DOCUMENTS { Vec::new() } else { documents::network(facts) };
    std::iter::once(document(facts)).chain(apart).collect()
}

fn document(facts: &Facts<'_>) -> Value {
    json!({
        "version": "v1alpha1",
        "debug": false,
        "machine": machine(facts),
        "cluster": cluster(facts),
    })
}

fn minor(facts: &Facts<'_>) -> (u64, u64) {
    facts.talos.version.minor()
}

fn machine(facts: &Facts<'_>) -> Value {
    let server = facts.node.is_server();
    let mut ca = json!({ "crt": secret("machine.ca.crt") });
    if server {
        ca["key"] = secret("machine.ca.key").into();
    }
    let mut kubelet = json!({
        "image": facts.kubernetes_image("kubelet"),
        "defaultRuntimeSeccompProfileEnabled": true,
        "disableManifestsDirectory": true,
    });
    if let Some(subnets) = facts.subnets() {
        kubelet["nodeIP"] = json!({ "validSubnets": subnets });
    }
    let mut install = json!({ "disk": facts.disk, "image": facts.installer(), "wipe": false });
    if minor(facts) >= (1, 12) {
        install["grubUseUKICmdline"] = true.into();
    }
    let mut features = json!({
        "diskQuotaSupport": true,
        "kubePrism": { "enabled": true, "port": KUBEPRISM },
        "hostDNS": { "enabled": true, "forwardKubeDNSToHost": true },
    });
    if minor(facts) < (1, 12) {
        features["rbac"] = true.into();
        features["apidCheckExtKeyUsage"] = true.into();
    }
    let mut machine = json!({
        "type": if server { "controlplane" } else { "worker" },
        "token": secret("machine.token"),
        "ca": ca,
        "certSANs": facts.talos_names(),
        "kubelet": kubelet,
        "install": install,
        "features": features,
        "nodeLabels": facts.labels(),
    });
    if minor(facts) < NETWORK_DOCUMENTS {
        machine["network"] = network(facts);
    }
    let taints = facts.taints();
    if taints.is_empty() {
        return machine;
    }
    match server {
        true => machine["nodeTaints"] = Value::Object(taints),
        // A worker sets what is said there with its kubelet's own right, and that may change no taint of its node; but it may
        // bring them along (`node_apply.go` and `kubelet_spec.go` of Talos; NodeRestriction of Kubernetes).
        false => machine["kubelet"]["extraConfig"] = json!({ "registerWithTaints": registered(&taints) }),
    }
    machine
}

/// Taints as a kubelet takes them.
fn registered(taints: &Map<String, Value>) -> Vec<Value> {
    let taint = |(key, said): (&String, &Value)| {
        let (value, effect) = said.as_str()?.split_once(':')?;
        let mut taint = json!({ "key": key, "effect": effect });
        if !value.is_empty() {
            taint["value"] = value.into();
        }
        Some(taint)
    };
    taints.iter().filter_map(taint).collect()
}

fn network(facts: &Facts<'_>) -> Value {
    let mut network = json!({ "hostname": facts.node.name });
    let Some(addresses) = &facts.addresses else { return network };
    if !addresses.nameservers.is_empty() {
        network["nameservers"] = json!(addresses.nameservers);
    }
    if !addresses.search_domains.is_empty() {
        network["searchDomains"] = json!(addresses.search_domains);
    }
    network["interfaces"] = json!([interface(addresses)]);
    network
}

fn interface(addresses: &Addresses) -> Value {
    let mut interface = Map::new();
    match &addresses.interface {
        Some(name) => interface.insert("interface".into(), json!(name)),
        None => interface.insert("deviceSelector".into(), json!({ "physical": true })),
    };
    interface.extend(link(&addresses.plain));
    interface.insert("dhcp".into(), false.into());
    if let Some((tag, behind)) = &addresses.tagged {
        let mut vlan = Map::from_iter([("vlanId".to_string(), json!(tag))]);
        vlan.extend(link(behind));
        vlan.insert("dhcp".into(), false.into());
        interface.insert("vlans".into(), json!([vlan]));
    }
    Value::Object(interface)
}

fn link(link: &Link) -> Map<String, Value> {
    let mut map = Map::from_iter([("addresses".to_string(), json!(link.addresses))]);
    if let Some(gateway) = link.gateway {
        let everywhere = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        map.insert("routes".into(), json!([{ "network": everywhere, "gateway": gateway }]));
    }
    if let Some(address) = link.virtual_ip {
        map.insert("vip".into(), json!({ "ip": address }));
    }
    map
}

/// What all nodes know of the cluster, and what only servers may.
fn cluster(facts: &Facts<'_>) -> Value {
    let server = facts.node.is_server();
    let mut control_plane = json!({ "endpoint": facts.endpoint() });
    let port = api_port(facts.context, facts.node);
    if server && port != kubewright_model::spec::kubernetes::API_PORT {
        control_plane["localAPIServerPort"] = port.into();
    }
    let kubernetes = facts.kubernetes;
    let plug_in = if facts.other_plug_in() { "none" } else { "flannel" };
    let mut ca = json!({ "crt": secret("cluster.ca.crt") });
    if server {
        ca["key"] = secret("cluster.ca.key").into();
    }
    let mut cluster = json!({
        "id": secret("cluster.id"),
        "secret": secret("cluster.secret"),
        "controlPlane": control_plane,
        "clusterName": facts.context.file.metadata.name,
        "network": {
            "cni": { "name": plug_in },
            "dnsDomain": kubernetes.cluster_domain,
            "podSubnets": [kubernetes.pod_network],
            "serviceSubnets": [kubernetes.service_network],
        },
        "token": secret("cluster.token"),
        "ca": ca,
        "discovery": { "enabled": true, "registries": { "kubernetes": { "disabled": true }, "service": {} } },
    });
    if server && let Value::Object(cluster) = &mut cluster {
        cluster.extend(of_servers(facts));
    }
    cluster
}

fn of_servers(facts: &Facts<'_>) -> Map<String, Value> {
    let mut api_server = json!({
        "image": facts.kubernetes_image("kube-apiserver"),
        "certSANs": facts.names(),
        "admissionControl": [{ "name": "PodSecurity", "configuration": pod_security() }],
        "auditPolicy": audit_policy(facts),
    });
    if minor(facts) < (1, 12) {
        api_server["disablePodSecurityPolicy"] = true.into();
    }
    let mut proxy = json!({ "image": facts.kubernetes_image("kube-proxy") });
    if facts.no_kube_proxy() {
        proxy["disabled"] = true.into();
    }
    let mut etcd = json!({ "ca": { "crt": secret("cluster.etcd.ca.crt"), "key": secret("cluster.etcd.ca.key") } });
    if let Some(subnets) = facts.subnets() {
        etcd["advertisedSubnets"] = json!(subnets);
    }
    let mut settings = json!({
        "secretboxEncryptionSecret": secret("cluster.secretboxEncryptionSecret"),
        "aggregatorCA": {
            "crt": secret("cluster.aggregatorCA.crt"), "key": secret("cluster.aggregatorCA.key"),
        },
        "serviceAccount": { "key": secret("cluster.serviceAccount.key") },
        "apiServer": api_server,
        "controllerManager": { "image": facts.kubernetes_image("kube-controller-manager") },
        "proxy": proxy,
        "scheduler": { "image": facts.kubernetes_image("kube-scheduler") },
        "etcd": etcd,
    });
    if facts.works() {
        settings["allowSchedulingOnControlPlanes"] = true.into();
    }
    match settings {
        Value::Object(settings) => settings,
        _ => Map::new(),
    }
}
