//! An address that the servers hand on among themselves: kube-vip, a pod on each of them, of which one holds a lease and
//! answers ARP (of the sixth version, NDP) for it.
//!
//! It lies among the manifests that a server applies by itself, and is there before the first start: who joins and whoever
//! plans come by this address. What the manifest says is what `kube-vip manifest daemonset` writes for the control plane
//! alone. <https://kube-vip.io/docs/usage/k3s/>,
//! <https://github.com/kube-vip/kube-vip/blob/v1.2.3/pkg/kubevip/config_generator.go>

use kubewright_model::host::FileWish;
use kubewright_model::recipe::RecipeStep;
use serde_json::{Value, json};

use super::Program;
use crate::context::Context;

/// Its image, of the version whose variables are written here
/// (<https://github.com/kube-vip/kube-vip/blob/v1.2.3/pkg/kubevip/config_envvar.go>).
const IMAGE: &str = "ghcr.io/kube-vip/kube-vip:v1.2.3";
const NAME: &str = "kube-vip";
const NAMESPACE: &str = "kube-system";
/// What it may do in the cluster.
const ROLE: &str = "system:kube-vip-role";

/// The file of a server; none where no virtual IP is wished.
pub(super) fn file(program: &Program, context: &Context<'_>) -> Option<FileWish> {
    let virtual_ip = context.file.spec.kubernetes.endpoint.virtual_ip.as_ref()?;
    let path = program.data("server/manifests/kubewright-kube-vip.yaml");
    let documents =
        [account(), role(), binding(), pods(context, &virtual_ip.address.first(), virtual_ip.interface.as_deref())];
    // Maps of plain values always have a YAML text.
    let texts = documents.iter().map(|document| serde_saphyr::to_string(document).unwrap_or_default());
    Some(FileWish::new(path, texts.collect::<Vec<_>>().join("---\n"), 0o600))
}

/// Waits until the API answers at the virtual IP: the pod's image may have to be pulled first.
pub(super) fn answers(program: &Program, context: &Context<'_>) -> Option<RecipeStep> {
    context.file.spec.kubernetes.endpoint.virtual_ip.as_ref()?;
    let at = ["--server".to_string(), format!("https://{}", context.endpoint)];
    Some(program.asks_api(&at, format!("the API answers at {}", context.endpoint)))
}

/// Ended by this signal, it takes the address off its interface and gives the lease back; killed, it would leave a host that
/// goes on answering for the address. The unit has stopped, so nobody starts it anew.
/// <https://github.com/kube-vip/kube-vip/blob/v1.2.3/pkg/manager/manager.go>
pub(super) const LET_GO: &str = "pkill -TERM -x kube-vip || exit 0; \
    for second in 1 2 3 4 5 6 7 8 9 10; do pgrep -x kube-vip >/dev/null || break; sleep 1; done";

fn account() -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": NAME, "namespace": NAMESPACE } })
}

/// As the generator has it, without what only Services need.
fn role() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": ROLE },
        "rules": [
            { "apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "get", "watch"] },
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "verbs": ["list", "get", "watch", "update", "create"],
            },
        ],
    })
}

fn binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "system:kube-vip-binding" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE },
        "subjects": [{ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE }],
    })
}

fn pods(context: &Context<'_>, address: &std::net::IpAddr, interface: Option<&str>) -> Value {
    let port = context.endpoint.port.to_string();
    let (alone, here) = if address.is_ipv4() { ("32", "127.0.0.1") } else { ("128", "::1") };
    let mut env: Vec<Value> = Vec::new();
    let mut set = |name: &str, value: &str| env.push(json!({ "name": name, "value": value }));
    set("address", &address.to_string());
    set("port", &port);
    set("vip_arp", "true");
    set("vip_subnet", alone);
    if let Some(interface) = interface {
        set("vip_interface", interface);
    }
    set("cp_enable", "true");
    set("cp_namespace", NAMESPACE);
    set("svc_enable", "false");
    set("vip_leaderelection", "true");
    set("vip_leasename", "plndr-cp-lock");
    // Kubernetes' own: with shorter ones the address wanders while etcd finds a new leader.
    set("vip_leaseduration", "15");
    set("vip_renewdeadline", "10");
    set("vip_retryperiod", "2");
    // It asks the server on its own host: the Service of the API may lead nowhere before there is a network for pods.
    set("KUBERNETES_SERVICE_HOST", here);
    set("KUBERNETES_SERVICE_PORT", &port);
    env.push(json!({ "name": "vip_nodename", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }));
    let servers = json!([{ "key": "node-role.kubernetes.io/control-plane", "operator": "Exists" }]);
    let labels = json!({ "app.kubernetes.io/name": NAME });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": labels },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{ "matchExpressions": servers }],
                    } } },
                    "containers": [{
                        "name": NAME,
                        "image": IMAGE,
                        "args": ["manager"],
                        "env": env,
                        "securityContext": { "capabilities": { "add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"] } },
                    }],
                    "hostNetwork": true,
                    "priorityClassName": "system-node-critical",
                    "serviceAccountName": NAME,
                    // It runs before the node is Ready, and on servers that are kept free of work.
                    "tolerations": [
                        { "effect": "NoSchedule", "operator": "Exists" },
                        { "effect": "NoExecute", "operator": "Exists" },
                    ],
                },
            },
        },
    })
}
