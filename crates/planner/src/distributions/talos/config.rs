//! The machine configuration of a node: what of it both forms say, and the user's patches on top.
//!
//! Until v1.11 one document says everything. In v1.12 the network has got documents of its own, and in v1.14 almost
//! everything else.

use indexmap::IndexMap;
use kubewright_model::spec::kubernetes::{Cilium, Kubernetes, Talos, TalosNode};
use kubewright_model::spec::pools::Role;
use kubewright_model::talos::{MachineConfig, part};
use kubewright_model::text::in_json;
use serde_json::{Value, json};

use super::network::Addresses;
use super::{documents, image, legacy, patches};
use crate::context::Context;
use crate::context::nodes::{CONTROL_PLANE_TAINT, NodePlan, labels, taints};

/// The first version that has a document for each part (`MultidocKubernetesConfigSupported` and others in
/// `pkg/machinery/config/contract.go`).
pub(super) const DOCUMENTS: (u64, u64) = (1, 14);

/// What is known of a node and its cluster, whatever form it is written in.
pub(super) struct Facts<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) node: &'c NodePlan<'c>,
    pub(super) kubernetes: &'c Kubernetes,
    pub(super) talos: &'c Talos,
    /// The disk that Talos is installed on.
    pub(super) disk: &'c str,
    /// The addresses of the node; none where its platform gives them.
    pub(super) addresses: Option<Addresses>,
}

/// The configuration of a node; none where the file says nothing of Talos, which the rules have told.
pub(super) fn config(context: &Context<'_>, node: &NodePlan<'_>) -> Option<MachineConfig> {
    let kubernetes = &context.file.spec.kubernetes;
    let talos = kubernetes.talos.as_ref()?;
    let pool = node.pool.talos.as_ref();
    let own: Option<&TalosNode> = pool.and_then(|pool| pool.nodes.get(&node.name));
    let disk = own.and_then(|own| own.install_disk.as_deref()).or(pool.and_then(|pool| pool.install_disk.as_deref()));
    let interface = own.and_then(|own| own.interface.as_ref()).or(pool.and_then(|pool| pool.interface.as_ref()));
    let interface = interface.or(talos.interface.as_ref());
    let facts = Facts {
        context,
        node,
        kubernetes,
        talos,
        disk: disk.unwrap_or(&talos.install_disk),
        addresses: Addresses::of(context, node, interface.cloned()),
    };
    let mut documents = match talos.version.minor() < DOCUMENTS {
        true => legacy::documents(&facts),
        false => documents::documents(&facts),
    };
    let settings = if node.is_server() { &kubernetes.server_config } else { &kubernetes.agent_config };
    let settings = std::iter::once(settings).filter(|settings| !settings.is_empty());
    let of_pool = pool.into_iter().flat_map(|pool| &pool.patches);
    let of_node = own.into_iter().flat_map(|own| &own.patches);
    for patch in settings.chain(&talos.patches).chain(of_pool).chain(of_node) {
        patches::apply(&mut documents, &as_value(patch));
    }
    Some(MachineConfig::of(&documents))
}

fn as_value(patch: &IndexMap<String, Value>) -> Value {
    Value::Object(patch.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// A part of the cluster's secrets, as it stands in a configuration.
pub(super) fn secret(name: &str) -> String {
    in_json(&part(name))
}

impl Facts<'_> {
    /// Where clients reach the API.
    pub(super) fn endpoint(&self) -> String {
        format!("https://{}", self.context.endpoint)
    }

    /// The installer's image, which is what Talos runs from once it is on the disk.
    pub(super) fn installer(&self) -> String {
        image::image(self.context, self.node).map(|image| image.image).unwrap_or_default()
    }

    /// An image of Kubernetes' own, as Talos takes them (`pkg/machinery/constants`).
    pub(super) fn kubernetes_image(&self, name: &str) -> String {
        let registry = if name == "kubelet" { "ghcr.io/siderolabs" } else { "registry.k8s.io" };
        format!("{registry}/{name}:v{}", self.kubernetes.version.bare())
    }

    /// Further names in the API's certificate.
    pub(super) fn names(&self) -> Vec<String> {
        let endpoint = &self.kubernetes.endpoint;
        let virtual_ip = endpoint.virtual_ip.iter().map(|it| it.address.first().to_string());
        let mut names: Vec<String> = vec![self.context.endpoint.host.clone()];
        names.extend(endpoint.alternative_names.iter().cloned().chain(virtual_ip));
        let mut first = std::collections::BTreeSet::new();
        names.retain(|name| first.insert(name.clone()));
        names
    }

    /// Names beside the node's own in the certificate of Talos' API.
    pub(super) fn talos_names(&self) -> &[String] {
        &self.kubernetes.endpoint.alternative_names
    }

    /// The plug-in that Talos does not bring.
    pub(super) fn other_plug_in(&self) -> bool {
        let cni = &self.kubernetes.cni;
        cni.cilium.is_some() || cni.calico.is_some() || cni.canal.is_some()
    }

    /// Somebody else does kube-proxy's work.
    pub(super) fn no_kube_proxy(&self) -> bool {
        let replaces = |cilium: &Cilium| cilium.kube_proxy_replacement;
        self.kubernetes.cni.cilium.as_ref().is_some_and(replaces)
    }

    /// The network that etcd and the kubelet tell others to find them in, where the node is in several.
    pub(super) fn subnets(&self) -> Option<[String; 1]> {
        self.context.file.spec.network.cidr.as_ref().map(|cidr| [cidr.to_string()])
    }

    /// Ordinary work runs on this server as well.
    pub(super) fn works(&self) -> bool {
        self.node.pool.role == Role::Both
    }

    pub(super) fn labels(&self) -> Value {
        let mut labels = labels(self.node.pool_name, self.node.pool);
        if self.node.is_server() && !self.works() {
            labels.insert("node.kubernetes.io/exclude-from-external-load-balancers".into(), String::new());
        }
        json!(labels)
    }

    /// Taints as Talos writes them: the key, and `value:Effect` or `Effect`. That of the control plane is Talos' own matter.
    pub(super) fn taints(&self) -> serde_json::Map<String, Value> {
        let taints = taints(self.node.pool);
        let taints = taints.iter().filter(|taint| taint.as_str() != CONTROL_PLANE_TAINT);
        let pair = |taint: &String| match taint.split_once('=') {
            Some((key, rest)) => Some((key.to_string(), Value::from(rest))),
            None => taint.split_once(':').map(|(key, effect)| (key.to_string(), Value::from(format!(":{effect}")))),
        };
        taints.filter_map(pair).collect()
    }
}

/// What the API server lets in of pods, and what it writes down of requests: what Talos itself says of both.
pub(super) fn pod_security() -> Value {
    json!({
        "apiVersion": "pod-security.admission.config.k8s.io/v1alpha1",
        "kind": "PodSecurityConfiguration",
        "defaults": {
            "enforce": "baseline", "enforce-version": "latest",
            "audit": "restricted", "audit-version": "latest",
            "warn": "restricted", "warn-version": "latest",
        },
        "exemptions": { "usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"] },
    })
}

/// See [`pod_security`].
pub(super) fn audit_policy(facts: &Facts<'_>) -> Value {
    match &facts.kubernetes.audit_policy {
        Some(policy) => {
            let mut told = json!({ "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": policy.rules });
            if !policy.omit_stages.is_empty() {
                told["omitStages"] = json!(policy.omit_stages);
            }
            told
        }
        None => json!({ "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{ "level": "Metadata" }] }),
    }
}
