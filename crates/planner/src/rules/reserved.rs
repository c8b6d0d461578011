//! 04xx, the part about keys of the distribution's own configuration that other fields of the spec already say.

use indexmap::IndexMap;
use kubewright_model::codes;
use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::spec::Distribution;
use serde_json::Value;

use super::{Facts, at};

/// Keys of K3s' and RKE2's configuration file, and the field that says the same.
/// <https://docs.k3s.io/cli/server>, <https://docs.rke2.io/reference/server_config>
const RANCHER: &[(&str, &str)] = &[
    ("agent-token", "kubernetes.agentToken"),
    ("agent-token-file", "kubernetes.agentToken"),
    ("audit-policy-file", "kubernetes.auditPolicy"),
    ("cluster-cidr", "kubernetes.podNetwork"),
    ("cluster-dns", "kubernetes.serviceNetwork"),
    ("cluster-domain", "kubernetes.clusterDomain"),
    ("cluster-init", "kubernetes.datastore"),
    ("cluster-reset", ""),
    ("cluster-reset-restore-path", ""),
    ("cni", "kubernetes.cni"),
    ("data-dir", ""),
    ("datastore-endpoint", "kubernetes.datastore"),
    ("disable", "ingress, addons"),
    ("disable-apiserver", ""),
    ("disable-etcd", ""),
    ("disable-kube-proxy", "kubernetes.cni.cilium.kubeProxyReplacement"),
    ("etcd-s3", "backup.to"),
    ("etcd-snapshot-compress", ""),
    ("etcd-snapshot-dir", ""),
    ("etcd-snapshot-retention", "backup.keep"),
    ("etcd-snapshot-schedule-cron", "backup.schedule"),
    ("flannel-backend", "kubernetes.cni.flannel.backend"),
    ("flannel-iface", "kubernetes.cni.flannel.interface"),
    ("https-listen-port", "kubernetes.endpoint.port"),
    ("ingress-controller", "ingress"),
    ("node-ip", "pools.POOL.addresses"),
    ("node-label", "pools.POOL.labels"),
    ("node-name", "pools.POOL.name"),
    ("node-name-from-cloud-provider-metadata", ""),
    ("node-taint", "pools.POOL.taints"),
    ("private-registry", "kubernetes.registries"),
    ("profile", "kubernetes.profile"),
    ("secrets-encryption", "kubernetes.encryptSecrets"),
    ("server", "kubernetes.endpoint"),
    ("service-cidr", "kubernetes.serviceNetwork"),
    ("tls-san", "kubernetes.endpoint.alternativeNames"),
    ("token", ""),
    ("token-file", ""),
    ("with-node-id", ""),
    ("write-kubeconfig", ""),
    ("write-kubeconfig-mode", ""),
];

/// Keys of kubeadm's ClusterConfiguration.
/// <https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/>
const KUBEADM: &[(&str, &str)] = &[
    ("apiVersion", ""),
    ("clusterName", "metadata.name"),
    ("controlPlaneEndpoint", "kubernetes.endpoint"),
    ("kind", ""),
    ("kubernetesVersion", "kubernetes.version"),
    ("networking", "kubernetes.podNetwork, kubernetes.serviceNetwork, kubernetes.clusterDomain"),
];

pub(super) fn rules(facts: &Facts<'_>, found: &mut Vec<Diagnostic>) {
    let kubernetes = &facts.spec.kubernetes;
    let known = match kubernetes.distribution {
        Distribution::K3s | Distribution::Rke2 => RANCHER,
        Distribution::Kubeadm => KUBEADM,
        // Talos has patches, which may say anything.
        Distribution::Talos => return,
    };
    let mut judge = |config: &IndexMap<String, Value>, place: &str| {
        for key in config.keys() {
            let Some((_, field)) = known.iter().find(|(known, _)| known == key) else { continue };
            let message = format!("kubewright sets `{key}` itself");
            let help = if field.is_empty() { "remove it".to_string() } else { format!("remove it and use `{field}`") };
            let path = at("kubernetes").then(place).then(key);
            found.push(Diagnostic::new(codes::RESERVED_KEY, path, message).help(help));
        }
    };
    judge(&kubernetes.server_config, "serverConfig");
    judge(&kubernetes.agent_config, "agentConfig");
}
