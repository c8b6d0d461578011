//! kubeadm's own files, in the one form that all of v1.31 to v1.36 read.
//! <https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/>
//!
//! What nodes are let in with stands in them as holes, always as the last keys of their part and between quotes: a token
//! may look like a number.

use std::collections::BTreeMap;

use kubewright_model::digest::Digest;
use kubewright_model::spec::ClusterFile;
use kubewright_model::text::Text;
use serde_json::{Map, Value, json};

use super::{api_port, containerd, encryption};
use crate::context::Context;
use crate::context::endpoint::certificate_names;
use crate::context::nodes::{NodePlan, labels, taints};
use crate::foundation::TOKEN_HOLE;

/// The authority, on every host that kubeadm has made a node.
const CA: &str = "/etc/kubernetes/pki/ca.crt";
/// The key that the cluster's certificates are locked with while servers fetch them: 32 bytes in hexadecimal.
const CERTIFICATE_KEY: &str = "secret/certificate-key";
/// What who may join as a node belongs to.
const GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";
/// What our tokens say of themselves, by which they are told from those of others.
pub(super) const DESCRIPTION: &str = "kubewright lets nodes in";
/// How long a token lets nodes in: agents join after all servers have gone over to another version, one by one. What is
/// locked with the certificate key stays two hours, by kubeadm's own choice; servers join first.
const LIFE: &str = "8h0m0s";

/// Which node this is, and what lets others in, then what is the whole cluster's.
pub(super) fn init(context: &Context<'_>, node: &NodePlan<'_>) -> Text {
    let own = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "localAPIEndpoint": local_endpoint(context, node),
        "nodeRegistration": registration(node),
        "timeouts": timeouts(),
    });
    let text = Text::known(yaml(&own)).and("certificateKey: \"").and_hole(CERTIFICATE_KEY).and("\"\n");
    let text = text.and("bootstrapTokens:\n- token: \"").and_hole(TOKEN_HOLE).and("\"\n");
    let text = text.and(format!(
        "  ttl: {LIFE}\n  description: {DESCRIPTION}\n  usages: [signing, authentication]\n  groups: [\"{GROUP}\"]\n"
    ));
    let documents = [cluster(context), kubelet(context.file)].into_iter().chain(proxy(context));
    documents.fold(text, |text, document| text.and("---\n").and(yaml(&document)))
}

/// How a node joins.
pub(super) fn join(context: &Context<'_>, node: &NodePlan<'_>) -> Text {
    let own = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "nodeRegistration": registration(node),
        "timeouts": timeouts(),
    });
    let text = Text::known(yaml(&own));
    let text = text.and(format!("discovery:\n  file:\n    kubeConfigPath: {}\n", super::recipes::DISCOVERY));
    let text = text.and("  tlsBootstrapToken: \"").and_hole(TOKEN_HOLE).and("\"\n");
    if !node.is_server() {
        return text;
    }
    let endpoint = local_endpoint(context, node);
    let text = text.and("controlPlane:\n  localAPIEndpoint: ").and(format!("{endpoint}\n"));
    text.and("  certificateKey: \"").and_hole(CERTIFICATE_KEY).and("\"\n")
}

/// Where a node finds the cluster before it trusts anything: the endpoint, and the authority that vouches for it. What a
/// kubelet is told here it keeps, so it is no single server.
pub(super) fn discovery(context: &Context<'_>) -> String {
    let cluster = json!({
        "server": format!("https://{}", context.endpoint),
        "certificate-authority": super::recipes::AUTHORITY,
    });
    yaml(&json!({ "apiVersion": "v1", "kind": "Config", "clusters": [{ "name": "", "cluster": cluster }] }))
}

/// The cluster alone, for what kubeadm is asked to do with files of the host. No secret is in it.
pub(super) fn of_the_cluster(context: &Context<'_>) -> String {
    yaml(&cluster(context))
}

/// What a kubelet asks for a certificate with: the same endpoint, the authority that the host trusts, and the token.
pub(super) fn bootstrap(context: &Context<'_>) -> Text {
    let cluster = json!({ "server": format!("https://{}", context.endpoint), "certificate-authority": CA });
    let own = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": cluster }],
        "contexts": [{ "name": "bootstrap", "context": { "cluster": "cluster", "user": "bootstrap" } }],
        "current-context": "bootstrap",
    });
    Text::known(yaml(&own)).and("users:\n- name: bootstrap\n  user:\n    token: \"").and_hole(TOKEN_HOLE).and("\"\n")
}

/// Where a server serves the API itself. Without an address it takes that of the default route.
fn local_endpoint(context: &Context<'_>, node: &NodePlan<'_>) -> Value {
    let mut endpoint = Map::new();
    if let Some(address) = node.address {
        endpoint.insert("advertiseAddress".into(), address.to_string().into());
    }
    endpoint.insert("bindPort".into(), api_port(context, node).into());
    endpoint.into()
}

/// What the kubelet registers its node with. An empty list of taints is not the same as none: kubeadm would put its own.
fn registration(node: &NodePlan<'_>) -> Value {
    let labels = labels(node.pool_name, node.pool).into_iter().map(|(key, value)| format!("{key}={value}"));
    let flag = |name: &str, value: String| json!({ "name": name, "value": value });
    let address = node.address.map(|address| flag("node-ip", address.to_string()));
    let labels = flag("node-labels", labels.collect::<Vec<_>>().join(","));
    json!({
        "name": node.name,
        "criSocket": containerd::SOCKET,
        "taints": taints(node.pool).iter().map(|text| taint(text)).collect::<Vec<_>>(),
        "kubeletExtraArgs": address.into_iter().chain([labels]).collect::<Vec<_>>(),
    })
}

/// How long kubeadm tries to reach the API. Its own minute begins with the kubelet's first start, and etcd's and the API
/// server's are part of it; behind that it comes by the endpoint, whose balancer takes a while to find the first server.
/// <https://github.com/kubernetes/kubeadm/issues/3294>
fn timeouts() -> Value {
    json!({ "kubernetesAPICall": "5m0s" })
}

/// `KEY=VALUE:EFFECT`, `KEY:EFFECT`.
fn taint(text: &str) -> Value {
    let (rest, effect) = text.rsplit_once(':').unwrap_or((text, ""));
    match rest.split_once('=') {
        Some((key, value)) => json!({ "key": key, "value": value, "effect": effect }),
        None => json!({ "key": rest, "effect": effect }),
    }
}

/// The cluster, as the cluster itself keeps it. Its parts may be asked for their measures by whoever the API lets, etcd and
/// kube-proxy by everybody: what they tell is no secret, and Prometheus comes from another node.
fn cluster(context: &Context<'_>) -> Value {
    let kubernetes = &context.file.spec.kubernetes;
    let mut ours = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "clusterName": context.file.metadata.name,
        "kubernetesVersion": kubernetes.version.to_string(),
        "controlPlaneEndpoint": context.endpoint.to_string(),
        "networking": {
            "podSubnet": kubernetes.pod_network.to_string(),
            "serviceSubnet": kubernetes.service_network.to_string(),
            "dnsDomain": kubernetes.cluster_domain,
        },
    });
    ours["apiServer"] = if kubernetes.encrypt_secrets { encryption::api_server() } else { json!({}) };
    ours["apiServer"]["certSANs"] = json!(certificate_names(context.file, &context.endpoint));
    let listens = json!({ "extraArgs": [{ "name": "bind-address", "value": "0.0.0.0" }] });
    ours["controllerManager"] = listens.clone();
    ours["scheduler"] = listens;
    let measures = json!([{ "name": "listen-metrics-urls", "value": "http://0.0.0.0:2381" }]);
    ours["etcd"] = json!({ "local": { "dataDir": "/var/lib/etcd", "extraArgs": measures } });
    if replaces_proxy(context.file) {
        ours["proxy"] = json!({ "disabled": true });
    }
    let further = kubernetes.server_config.iter();
    let further: Map<String, Value> = further.map(|(key, value)| (key.clone(), value.clone())).collect();
    joined(ours, &further.into())
}

/// Every kubelet's file. systemd makes the control groups, for containerd as well. The cluster vouches for it by a
/// certificate that it asks for.
fn kubelet(file: &ClusterFile) -> Value {
    let mut ours = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
        "serverTLSBootstrap": true,
    });
    if keeps_swap(file) {
        ours["failSwapOn"] = false.into();
    }
    ours
}

/// Whether a host may have swap; pods use none of it all the same.
fn keeps_swap(file: &ClusterFile) -> bool {
    let pools = file.spec.pools.values().filter_map(|pool| pool.hosts.as_ref());
    std::iter::once(&file.spec.hosts).chain(pools).any(|settings| settings.swap_off == Some(false))
}

fn proxy(context: &Context<'_>) -> Option<Value> {
    (!replaces_proxy(context.file)).then(|| {
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "metricsBindAddress": "0.0.0.0:10249",
        })
    })
}

fn replaces_proxy(file: &ClusterFile) -> bool {
    file.spec.kubernetes.cni.cilium.as_ref().is_some_and(|cilium| cilium.kube_proxy_replacement)
}

/// What kubeadm takes at the beginning and brings to no living cluster by itself, for people.
pub(super) fn kept(context: &Context<'_>) -> BTreeMap<String, String> {
    let (file, kubernetes) = (context.file, &context.file.spec.kubernetes);
    let names = &kubernetes.endpoint.alternative_names;
    let none = |text: String| if text.is_empty() { "none".to_string() } else { text };
    let mut settings = BTreeMap::new();
    settings.insert("endpoint".to_string(), context.endpoint.to_string());
    settings.insert("further names of the API".to_string(), none(names.join(", ")));
    let further = Digest::of_value(&kubernetes.server_config).short().to_string();
    let further = if kubernetes.server_config.is_empty() { String::new() } else { further };
    settings.insert("further settings of servers".to_string(), none(further));
    settings.insert("kube-proxy".to_string(), if replaces_proxy(file) { "none" } else { "its own" }.to_string());
    settings.insert("swap".to_string(), if keeps_swap(file) { "allowed" } else { "off" }.to_string());
    settings
}

/// Theirs on top of ours: maps are joined level by level, and lists as well, in which what has the same name is theirs.
fn joined(ours: Value, theirs: &Value) -> Value {
    match (ours, theirs) {
        (Value::Object(mut ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                let below = ours.shift_remove(key).unwrap_or(Value::Null);
                ours.insert(key.clone(), joined(below, value));
            }
            Value::Object(ours)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            let named = |item: &Value| item.get("name").cloned();
            let stays = |item: &Value| {
                !theirs.contains(item)
                    && named(item).is_none_or(|name| !theirs.iter().any(|it| named(it).as_ref() == Some(&name)))
            };
            let mut all: Vec<Value> = ours.into_iter().filter(stays).collect();
            all.extend(theirs.iter().cloned());
            Value::Array(all)
        }
        (_, theirs) => theirs.clone(),
    }
}

/// A map of plain values always has a YAML text.
fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}
