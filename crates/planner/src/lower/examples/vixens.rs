//! Talos with Cilium; Argo CD for the rest.

use super::{assert_facts, lowered, missing};

#[test]
fn vixens() {
    let example = lowered(include_str!("../../../../../examples/vixens/cluster.yaml"));
    assert_facts(
        &example,
        &[
            "kubernetes: distribution = talos",
            "kubernetes: version = v1.34.0",
            "kubernetes: endpoint = 192.168.111.160:6443",
            "spec: kubernetes.talos.version = v1.11.5",
            "spec: network.others.services.vlan = 208",
            "spec: pools.control-plane.existing.maintenanceAddresses.0 = 192.168.208.162",
            "machine obsy: host of existing at there, 192.168.111.162",
            "machine onyx: host of existing at there, 192.168.111.164",
            "machine opale: host of existing at there, 192.168.111.163",
            "member obsy: role = both",
            "member onyx: role = both",
            "member opale: role = both",
            "release kube-system/cilium: cilium 1.18.3",
            "release kube-system/cilium: kubeProxyReplacement = true",
            "release kube-system/cilium: l2announcements.enabled = true",
            "release kube-system/cilium: hubble.relay.enabled = true",
            "release kube-system/cilium: k8sServicePort = 7445",
            "object CiliumLoadBalancerIPPool dev-pool: spec.blocks.0.start = 192.168.208.70",
            "object CiliumL2AnnouncementPolicy default: spec.loadBalancerIPs = true",
            "release argocd/argocd: argo-cd 7.7.7",
            "release argocd/argocd: server.service.type = LoadBalancer",
            "release argocd/argocd: server.service.annotations.lbipam.cilium.io/ips = 192.168.208.71",
            "release argocd/argocd: configs.params.server.insecure = true",
            "object Application argocd/root-app: spec.source.targetRevision = dev",
            "object Namespace cert-manager",
            "object Secret cert-manager/gandi-credentials: stringData.api-token = ‹hole:secret/cert-manager.gandi-credentials.api-token›",
            "secret cert-manager.gandi-credentials.api-token: sops gandi.apiToken",
            "object ConfigMap synology-csi/synology-client-info: data.client-info.yml = ---\nclients:\n  - host: \"192.168.111.69\"\n    port: 5000\n    https: false\n    username: \"talos-csi\"\n    password: |-\n      ‹hole:secret/synology›\n",
            "object Namespace synology-csi: metadata.labels.pod-security.kubernetes.io/enforce = privileged",
            "secret synology: sops synology.password",
            "check nodes: 3 nodes Ready",
            "check pods in all namespaces: 32 or more pods running in all namespaces",
            "check pods in kube-system k8s-app=cilium: one pod per node running in kube-system",
            "check Argo CD applications: 12 applications Synced",
            "check Argo CD applications: applications.healthy.1 = cert-manager-webhook-gandi",
            "check Argo CD applications: applications.names.5 = mail-gateway",
            "check Argo CD applications: applications.progressing.1 = traefik",
            "check certificates: 1 or more certificates Ready",
            "check argocd: http://192.168.208.71 answers",
            "check whoami: http://whoami.dev.truxonline.com answers",
            "check traefik: http://traefik.dev.truxonline.com/dashboard/ answers",
        ],
    );
    assert_eq!(missing(&example), [""; 0]);
    // Argo CD installs the rest, and Talos takes an image and a configuration.
    assert_eq!(example.desired.releases.len(), 2);
    assert!(example.desired.hosts.iter().all(|host| host.resources.len() == 2));
}
