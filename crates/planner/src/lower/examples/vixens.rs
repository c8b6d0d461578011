//! Talos with Cilium; Argo CD for the rest.

use kubewright_model::source::Environment;
use kubewright_model::spec::load_layered;

use super::{assert_facts, lowered, missing};
use crate::lower::lower;

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
            "check Secret cert-manager/gandi-credentials: Secret cert-manager/gandi-credentials there",
            "check ConfigMap synology-csi/synology-client-info: ConfigMap synology-csi/synology-client-info there",
            "check ClusterIssuer.cert-manager.io: 1 or more of ClusterIssuer.cert-manager.io Ready",
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

#[test]
fn each_environment_is_a_cluster_of_its_own() {
    let spec = include_str!("../../../../../examples/vixens/cluster.yaml");
    let environments = [
        ("test", include_str!("../../../../../examples/vixens/environments/test.yaml"), "192.168.111.170", "test"),
        (
            "staging",
            include_str!("../../../../../examples/vixens/environments/staging.yaml"),
            "192.168.111.180",
            "staging",
        ),
        ("prod", include_str!("../../../../../examples/vixens/environments/prod.yaml"), "192.168.111.190", "main"),
    ];
    let mut taken = std::collections::BTreeSet::new();
    for (name, text, endpoint, revision) in environments {
        let loaded = load_layered(spec, Some(Environment { name, text })).unwrap_or_else(|found| panic!("{found:#?}"));
        let (desired, found) = lower(&loaded.file);
        assert!(found.is_empty(), "{name}: {found:#?}");
        assert_eq!(desired.cluster.as_str(), format!("vixens-{name}"));
        assert_eq!(desired.kubernetes.endpoint.to_string(), format!("{endpoint}:6443"));
        assert_eq!(loaded.file.metadata.environment.as_deref(), Some(name));
        assert_eq!(desired.protected, name == "prod");
        let root = desired.objects.iter().flat_map(|group| &group.manifests);
        let revisions: Vec<_> = root.filter_map(|it| it.0.pointer("/spec/source/targetRevision")?.as_str()).collect();
        assert_eq!(revisions, [revision]);
        // None shares a machine or an address with another one.
        for machine in &desired.machines {
            assert!(taken.insert(machine.name.to_string()) && taken.insert(format!("{:?}", machine.address)), "{name}");
        }
        assert_eq!(desired.machines.len(), 3);
    }
}
