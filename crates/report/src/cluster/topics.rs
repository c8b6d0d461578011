//! What a cluster has of the things that are told only where they are there.

use kubewright_model::desired::Body;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::Datastore;

use super::facts::Facts;
use crate::words::Topic;

impl Facts<'_> {
    /// Whether the cluster has what the topic is about.
    pub(super) fn has(&self, topic: Topic) -> bool {
        let desired = self.desired;
        let distribution = desired.kubernetes.distribution;
        let part = |name: &str| desired.releases.iter().any(|release| release.part == name);
        let chart = |name: &str| desired.releases.iter().any(|release| release.chart.contains(name));
        let body = |of: fn(&Body) -> bool| desired.machines.iter().any(|machine| of(&machine.body));
        match topic {
            Topic::Always => true,
            Topic::Etcd => desired.kubernetes.datastore == Datastore::Etcd,
            Topic::K3s => distribution == Distribution::K3s,
            Topic::Rke2 => distribution == Distribution::Rke2,
            Topic::Kubeadm => distribution == Distribution::Kubeadm,
            Topic::Talos => distribution == Distribution::Talos,
            Topic::Proxmox => body(Body::is_guest),
            Topic::Lxc => body(|body| matches!(body, Body::Lxc(_))),
            Topic::Vm => body(|body| matches!(body, Body::Vm(_))),
            Topic::Hetzner => desired.hetzner.is_some(),
            Topic::HaProxy => !desired.proxies.is_empty(),
            Topic::Balancer => !desired.load_balancers.is_empty(),
            Topic::MetalLb => part("metallb") || chart("metallb"),
            Topic::Cilium => chart("cilium") || self.setting_is("cni", "cilium"),
            Topic::Flannel => self.flannel(),
            Topic::Ingress => self.ingress.is_some(),
            Topic::Traefik => self.ingress.as_ref().is_some_and(|ingress| ingress.name.eq_ignore_ascii_case("traefik")),
            Topic::ArgoCd => desired.applications.is_some() || chart("argo-cd"),
            Topic::Vault => desired.vault.is_some() || chart("vault"),
            Topic::CertManager => chart("cert-manager") || self.application("cert-manager"),
            Topic::Prometheus => chart("prometheus"),
            Topic::Loki => chart("loki"),
            Topic::Csi => chart("csi") || self.application("csi") || self.application("nfs"),
            Topic::Sops => desired.sops_file.is_some(),
        }
    }

    /// Whether Flannel carries the pods: the spec's own, or the distribution's where nothing else does.
    /// <https://docs.k3s.io/networking/basic-network-options>
    fn flannel(&self) -> bool {
        let chart = |name: &str| self.desired.releases.iter().any(|release| release.chart == name);
        match self.desired.kubernetes.distribution {
            _ if chart("flannel") => true,
            _ if chart("cilium") => false,
            Distribution::K3s => !self.setting_is("flannel-backend", "none"),
            Distribution::Rke2 => self.setting_is("cni", "flannel"),
            Distribution::Talos => true,
            Distribution::Kubeadm => false,
        }
    }

    fn setting_is(&self, key: &str, value: &str) -> bool {
        self.config.get(key).is_some_and(|set| set.split(',').any(|one| one == value))
    }

    /// Whether Argo CD brings an application with this in its name.
    fn application(&self, name: &str) -> bool {
        let Some(applications) = &self.desired.applications else { return false };
        let check = &applications.check;
        let mut names = check.names.iter().chain(&check.healthy).chain(&check.progressing);
        names.any(|it| it.as_str().contains(name))
    }

    /// Whether the distribution is told to leave out a part that it brings.
    pub(super) fn disabled(&self, name: &str) -> bool {
        self.setting_is("disable", name)
    }
}
