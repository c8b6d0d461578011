//! Where the makers of what the cluster is made of explain it.

use super::Topic;

/// Addresses of pages, by what they are about.
pub(crate) static REFERENCES: &[(Topic, &str)] = &[
    (Topic::K3s, "https://docs.k3s.io/"),
    (Topic::Rke2, "https://docs.rke2.io/"),
    (Topic::Kubeadm, "https://kubernetes.io/docs/reference/setup-tools/kubeadm/"),
    (Topic::Talos, "https://docs.siderolabs.com/talos/"),
    (Topic::Lxc, "https://pve.proxmox.com/wiki/Linux_Container"),
    (Topic::Proxmox, "https://pve.proxmox.com/pve-docs/"),
    (Topic::Hetzner, "https://docs.hetzner.cloud/"),
    (Topic::HaProxy, "https://docs.haproxy.org/"),
    (Topic::MetalLb, "https://metallb.io/"),
    (Topic::Cilium, "https://docs.cilium.io/"),
    (Topic::Traefik, "https://doc.traefik.io/traefik/providers/kubernetes-ingress/"),
    (Topic::ArgoCd, "https://argo-cd.readthedocs.io/"),
    (Topic::CertManager, "https://cert-manager.io/docs/"),
    (Topic::Vault, "https://developer.hashicorp.com/vault/docs"),
    (Topic::Prometheus, "https://prometheus.io/docs/"),
    (Topic::Loki, "https://grafana.com/docs/loki/latest/"),
    (Topic::Sops, "https://getsops.io/docs/"),
];
