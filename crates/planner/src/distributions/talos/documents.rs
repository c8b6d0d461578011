//! The machine configuration as a document for each part, from v1.14 on.
//!
//! What Talos itself writes into a new one is in `pkg/machinery/config/generate` of v1.14: `init.go`, `kubernetes.go`,
//! `network.go`, `security_profile.go` and `block.go`.

use kubewright_model::spec::kubernetes::FlannelBackend;
use kubewright_model::talos::KUBEPRISM;
use serde_json::{Map, Value, json};

use super::config::{DOCUMENTS, Facts, audit_policy, pod_security, secret};
use super::network::{Addresses, Link};
use crate::context::nodes::CONTROL_PLANE_TAINT;
use crate::distributions::rancher::api_port;

/// All documents, the one that is left of old first.
pub(super) fn documents(facts: &Facts<'_>) -> Vec<Value> {
    let mut documents = vec![first(facts)];
    documents
        .push(of("DiscoveryServiceConfig", json!({ "name": "default", "endpoint": "https://discovery.talos.dev/" })));
    documents.push(of(
        "DiscoveryIdentityConfig",
        json!({ "clusterID": secret("cluster.id"), "clusterSecret": secret("cluster.secret") }),
    ));
    documents.push(of(
        "UnattendedInstallConfig",
        json!({
            "installer": { "image": facts.installer() },
            "provisioning": { "diskSelector": { "match": format!("disk.dev_path == {:?}", facts.disk) }, "wipe": false },
        }),
    ));
    documents.extend(network(facts));
    documents.push(of("VolumeConfig", json!({ "name": "EPHEMERAL", "mount": { "secure": true } })));
    documents.push(of("FilesystemTrimConfig", json!({ "interval": "168h0m0s" })));
    documents.push(of("SecurityProfileConfig", json!({ "workloadIsolation": true })));
    documents.extend(of_nodes(facts));
    if facts.node.is_server() {
        documents.extend(of_servers(facts));
        documents.extend(addons(facts));
    }
    documents
}

/// A document of a kind.
fn of(kind: &str, rest: Value) -> Value {
    let mut document =
        Map::from_iter([("apiVersion".to_string(), Value::from("v1alpha1")), ("kind".to_string(), Value::from(kind))]);
    if let Value::Object(rest) = rest {
        document.extend(rest);
    }
    Value::Object(document)
}

/// What has no document of its own.
fn first(facts: &Facts<'_>) -> Value {
    let server = facts.node.is_server();
    let mut machine = json!({
        "type": if server { "controlplane" } else { "worker" },
        "token": secret("machine.token"),
        "ca": { "crt": secret("machine.ca.crt") },
        "certSANs": facts.talos_names(),
        "features": { "diskQuotaSupport": true },
    });
    let mut cluster = json!({ "token": secret("cluster.token") });
    if server {
        machine["ca"]["key"] = secret("machine.ca.key").into();
        let mut etcd = json!({ "ca": { "crt": secret("cluster.etcd.ca.crt"), "key": secret("cluster.etcd.ca.key") } });
        if let Some(subnets) = facts.subnets() {
            etcd["advertisedSubnets"] = json!(subnets);
        }
        cluster["etcd"] = etcd;
    }
    json!({ "version": "v1alpha1", "debug": false, "machine": machine, "cluster": cluster })
}

/// The node's name and its addresses.
pub(super) fn network(facts: &Facts<'_>) -> Vec<Value> {
    let mut documents = vec![of("HostnameConfig", json!({ "hostname": facts.node.name }))];
    let mut resolver = json!({});
    if facts.talos.version.minor() >= DOCUMENTS {
        resolver["hostDNS"] = json!({ "enabled": true, "forwardKubeDNSToHost": true });
    }
    if let Some(addresses) = &facts.addresses {
        if !addresses.nameservers.is_empty() {
            let servers: Vec<Value> = addresses.nameservers.iter().map(|it| json!({ "address": it })).collect();
            resolver["nameservers"] = Value::from(servers);
        }
        if !addresses.search_domains.is_empty() {
            resolver["searchDomains"] = json!({ "domains": addresses.search_domains });
        }
        documents.extend(links(addresses));
    }
    if resolver != json!({}) {
        documents.push(of("ResolverConfig", resolver));
    }
    documents
}

fn links(addresses: &Addresses) -> Vec<Value> {
    // The rules ask for its name from this version on.
    let name = addresses.interface.as_deref().unwrap_or_default();
    let mut documents = vec![link("LinkConfig", json!({ "name": name }), &addresses.plain)];
    documents.extend(virtual_ip(name, &addresses.plain));
    if let Some((tag, behind)) = &addresses.tagged {
        let tagged = format!("{name}.{tag}");
        documents.push(link("VLANConfig", json!({ "name": tagged, "vlanID": tag, "parent": name }), behind));
        documents.extend(virtual_ip(&tagged, behind));
    }
    documents
}

fn link(kind: &str, mut document: Value, link: &Link) -> Value {
    let addresses: Vec<Value> = link.addresses.iter().map(|address| json!({ "address": address })).collect();
    document["addresses"] = Value::from(addresses);
    if let Some(gateway) = link.gateway {
        document["routes"] = json!([{ "gateway": gateway }]);
    }
    of(kind, document)
}

fn virtual_ip(name: &str, link: &Link) -> Option<Value> {
    link.virtual_ip.map(|address| of("Layer2VIPConfig", json!({ "name": address, "link": name })))
}

/// What all nodes know of Kubernetes.
fn of_nodes(facts: &Facts<'_>) -> Vec<Value> {
    let (server, kubernetes) = (facts.node.is_server(), facts.kubernetes);
    let mut node = json!({ "nodeIP": {}, "labels": facts.labels() });
    if let Some(subnets) = facts.subnets() {
        node["nodeIP"]["validSubnets"] = json!(subnets);
    }
    let mut taints = facts.taints();
    if server {
        node["labels"]["node-role.kubernetes.io/control-plane"] = "".into();
        if let Some((key, effect)) = CONTROL_PLANE_TAINT.split_once(':').filter(|_| !facts.works()) {
            taints.insert(key.into(), effect.into());
        }
    }
    if !taints.is_empty() {
        node["taints"] = Value::Object(taints);
    }
    let mut ca = json!({ "acceptedCAs": [secret("cluster.ca.crt.pem")] });
    if server {
        ca = json!({ "issuingCA": { "cert": secret("cluster.ca.crt.pem"), "key": secret("cluster.ca.key.pem") } });
    }
    let cluster = json!({ "clusterName": facts.context.file.metadata.name, "endpoint": facts.endpoint() });
    let kubelet = json!({ "image": facts.kubernetes_image("kubelet"), "defaultRuntimeSeccompProfileEnabled": true });
    let network = json!({
        "dnsDomain": kubernetes.cluster_domain,
        "podSubnets": [kubernetes.pod_network],
        "serviceSubnets": [kubernetes.service_network],
    });
    vec![
        of("KubeClusterConfig", cluster),
        of("KubeNodeConfig", node),
        of("KubeletConfig", kubelet),
        of("KubeNetworkConfig", network),
        of("KubeAPIServerCAConfig", ca),
        of("KubePrismConfig", json!({ "port": KUBEPRISM })),
    ]
}

fn of_servers(facts: &Facts<'_>) -> Vec<Value> {
    let aggregator =
        json!({ "cert": secret("cluster.aggregatorCA.crt.pem"), "key": secret("cluster.aggregatorCA.key.pem") });
    let secretbox = json!([{ "secretbox": { "keys": [
        { "name": "key2", "secret": secret("cluster.secretboxEncryptionSecret") },
    ] } }]);
    let probes: Vec<Value> = ["/livez", "/readyz", "/healthz"].iter().map(|path| json!({ "path": path })).collect();
    let issuer = json!({ "privateKey": secret("cluster.serviceAccount.key.pem"), "issuerURL": facts.endpoint() });
    let mut api_server = json!({ "image": facts.kubernetes_image("kube-apiserver"), "certExtraSANs": facts.names() });
    let port = api_port(facts.context, facts.node);
    if port != kubewright_model::spec::kubernetes::API_PORT {
        api_server["apiPort"] = port.into();
    }
    vec![
        of("KubeAggregatorCAConfig", json!({ "issuingCA": aggregator })),
        of("KubeAdmissionControlConfig", json!({ "name": "PodSecurity", "configuration": pod_security() })),
        of("KubeAuditPolicyConfig", json!({ "configuration": audit_policy(facts) })),
        of(
            "KubeAuthenticationConfig",
            json!({ "configuration": { "anonymous": { "enabled": true, "conditions": probes }, "jwt": [] } }),
        ),
        of("KubeAuthorizerConfig", json!({ "name": "node", "type": "Node" })),
        of("KubeAuthorizerConfig", json!({ "name": "rbac", "type": "RBAC" })),
        of(
            "KubeEtcdEncryptionConfig",
            json!({ "config": { "resources": [{ "resources": ["secrets"], "providers": secretbox }] } }),
        ),
        of("KubeServiceAccountConfig", json!({ "issuer": issuer })),
        of("KubeAPIServerConfig", api_server),
        of("KubeControllerManagerConfig", json!({ "image": facts.kubernetes_image("kube-controller-manager") })),
        of("KubeSchedulerConfig", json!({ "image": facts.kubernetes_image("kube-scheduler"), "config": {} })),
    ]
}

/// What Talos itself applies to the cluster. Without a document for it, there is no Flannel.
fn addons(facts: &Facts<'_>) -> Vec<Value> {
    let mut proxy = json!({ "image": facts.kubernetes_image("kube-proxy"), "config": {} });
    if facts.no_kube_proxy() {
        proxy["enabled"] = false.into();
    }
    let mut documents = vec![of("KubeProxyConfig", proxy), of("KubeCoreDNSConfig", json!({ "enabled": true }))];
    if !facts.other_plug_in() {
        let backend = facts.kubernetes.cni.flannel.as_ref().map(|flannel| flannel.backend).unwrap_or_default();
        let flannel = match backend {
            FlannelBackend::HostGw => json!({ "backendType": "host-gw" }),
            FlannelBackend::Vxlan | FlannelBackend::WireguardNative => {
                json!({ "backendType": "vxlan", "backendPort": 4789 })
            }
        };
        documents.push(of("KubeFlannelCNIConfig", flannel));
    }
    documents
}
