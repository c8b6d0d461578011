//! RKE2: what is its own. The rest is in [`super::rancher`]. Facts are its documentation's (<https://docs.rke2.io>) and
//! its source's (<https://github.com/rancher/rke2>), for v1.31 to v1.36.
//!
//! Its control plane runs in containers that the kubelet starts from files, and what it packages are Helm charts. Secrets
//! in the datastore are always encrypted, and a server without a `server` to join begins a cluster: so nothing has to
//! tell it.

use kubewright_model::host::{FileWish, HostResource, UserWish};
use kubewright_model::programs::RKE2;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::kubernetes::{Cni, Profile, SUPERVISOR_PORT};
use serde_json::json;

use super::rancher::{Config, Program, Unit};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// The archive holds what the install script unpacks: the program, two units and two scripts, of which only the program
/// is not written here.
pub(super) static PROGRAM: Program = Program {
    distribution: Distribution::Rke2,
    is: &RKE2,
    releases: "https://github.com/rancher/rke2/releases/download",
    file: "rke2.linux-{arch}.tar.gz",
    member: Some("bin/rke2"),
    images,
    // It lies in an image of which RKE2 takes it at its start.
    kubectl: &["/var/lib/rancher/rke2/bin/kubectl"],
    units: [
        unit(RKE2.units[0], "Rancher Kubernetes Engine v2 (server)", "/usr/local/bin/rke2 server"),
        unit(RKE2.units[1], "Rancher Kubernetes Engine v2 (agent)", "/usr/local/bin/rke2 agent"),
    ],
    begins: None,
    configure,
    prepare,
    files,
    first: &[HEED_NETWORK_MANAGER],
    // The supervisor, with which nodes register; an agent's own ways to it and to the API server.
    listens: [&[SUPERVISOR_PORT], &[6443, 6444]],
    leftovers: &LEFTOVERS,
};

/// The kubelet and containerd are processes of their own, and must end with the unit.
const fn unit(name: &'static str, description: &'static str, command: &'static str) -> Unit {
    Unit {
        name,
        description: [description, "https://github.com/rancher/rke2#readme"],
        command,
        further: "ExecStopPost=-/bin/sh -c \"systemd-cgls /system.slice/%n | grep -Eo '[0-9]+ (containerd|kubelet)' | \
                  cut -d ' ' -f 1 | xargs -r kill\"\n",
    }
}

/// What its uninstall script takes away, beside what K3s leaves as well. The node's password is among it.
const LEFTOVERS: [&str; 8] = [
    NETWORK_MANAGER,
    "/etc/rancher/node",
    "/etc/cni",
    "/opt/cni/bin",
    "/var/log/pods",
    "/var/log/containers",
    "/var/log/calico",
    "/var/lib/calico",
];

/// Images of the network plug-in lie in an archive of their own; that with Canal is the usual one. So do those of the
/// ingress controller that is not the usual one of its time: Traefik before v1.36, and ingress-nginx from then on, which
/// a cluster that is older than that keeps. <https://docs.rke2.io/install/airgap>
fn images(context: &Context<'_>) -> Vec<&'static str> {
    let spec = &context.file.spec;
    let mut images = match &spec.kubernetes.cni {
        Cni { calico: Some(_), .. } => vec![CORE, "rke2-images-calico.linux-{arch}.tar.zst"],
        Cni { flannel: Some(_), .. } => vec![CORE, "rke2-images-flannel.linux-{arch}.tar.zst"],
        Cni { cilium: Some(_), .. } => vec![CORE],
        Cni { .. } => vec!["rke2-images.linux-{arch}.tar.zst"],
    };
    let newer = spec.kubernetes.version.minor() >= (1, 36);
    match (ingress(context), newer) {
        (Some("traefik"), false) => images.push("rke2-images-traefik.linux-{arch}.tar.zst"),
        (None, true) => images.push("rke2-images-ingress-nginx.linux-{arch}.tar.zst"),
        _ => {}
    }
    images
}

/// The ingress controller. Where the file says nothing it is RKE2's choice, which heeds what an older version has brought
/// to the cluster.
fn ingress(context: &Context<'_>) -> Option<&'static str> {
    let ingress = &context.file.spec.ingress;
    match () {
        () if ingress.none || ingress.nginx.is_some() => Some("none"),
        () => ingress.traefik.as_ref().map(|_| "traefik"),
    }
}

const CORE: &str = "rke2-images-core.linux-{arch}.tar.zst";

/// NetworkManager, where there is one, must leave the plug-ins' interfaces alone.
/// <https://docs.rke2.io/known_issues#networkmanager>
const NETWORK_MANAGER: &str = "/etc/NetworkManager/conf.d/rke2-canal.conf";
/// It reads its files when it is told to.
const HEED_NETWORK_MANAGER: &str =
    "! systemctl is-active --quiet NetworkManager.service || systemctl reload NetworkManager.service";
const UNMANAGED: &str = "[keyfile]\n\
    unmanaged-devices=interface-name:flannel*;interface-name:cali*;interface-name:tunl*;\
    interface-name:vxlan.calico;interface-name:vxlan-v6.calico;interface-name:wireguard.cali;\
    interface-name:wg-v6.cali\n";

fn prepare(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
    let mut resources = vec![HostResource::File(FileWish::new(NETWORK_MANAGER, UNMANAGED, 0o644))];
    resources.extend(canal(context).filter(|_| node.is_server()).map(HostResource::File));
    if context.file.spec.kubernetes.profile == Some(Profile::Cis) {
        let sysctls = CIS_SYSCTLS.map(|(key, value)| HostResource::Sysctl { key: key.into(), value: value.into() });
        resources.extend(sysctls);
        resources.extend(node.is_server().then(|| HostResource::User(etcd())));
    }
    resources
}

/// What it installs its charts with lies among the manifests of servers, of which each is applied as soon as it is there or
/// changes: before the first start, for the network to be right from the beginning.
/// <https://docs.rke2.io/networking/basic_network_options#canal-options>
const CANAL: &str = "/var/lib/rancher/rke2/server/manifests/kubewright-canal.yaml";

fn canal(context: &Context<'_>) -> Option<FileWish> {
    let interface = context.file.spec.kubernetes.cni.canal.as_ref()?.interface.as_ref()?;
    let values = serde_saphyr::to_string(&json!({ "flannel": { "iface": interface } })).unwrap_or_default();
    let config = json!({
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChartConfig",
        "metadata": { "name": "rke2-canal", "namespace": "kube-system" },
        "spec": { "valuesContent": values },
    });
    // A map of plain values always has a YAML text.
    Some(FileWish::new(CANAL, serde_saphyr::to_string(&config).unwrap_or_default(), 0o600))
}

/// What its `60-rke2-cis.conf` sets. It starts with no other values, and neither does its kubelet.
/// <https://docs.rke2.io/security/hardening_guide#kernel-parameters>
const CIS_SYSCTLS: [(&str, &str); 4] =
    [("vm.panic_on_oom", "0"), ("vm.overcommit_memory", "1"), ("kernel.panic", "10"), ("kernel.panic_on_oops", "1")];

/// The user that etcd runs as and that its data belong to.
/// <https://docs.rke2.io/security/hardening_guide#etcd-is-configured-properly>
fn etcd() -> UserWish {
    UserWish {
        name: "etcd".into(),
        authorized_keys: Vec::new(),
        sudo: false,
        groups: Vec::new(),
        shell: "/usr/sbin/nologin".into(),
        password_hash: None,
    }
}

/// The API server reads it where we say so, hardened or not; it stays as it is where it is there.
/// <https://docs.rke2.io/security/hardening_guide#api-server-audit-configuration>
const AUDIT_POLICY: &str = "/etc/rancher/rke2/audit-policy.yaml";

fn files(context: &Context<'_>, node: &NodePlan<'_>) -> Vec<FileWish> {
    let policy = context.file.spec.kubernetes.audit_policy.as_ref().filter(|_| node.is_server());
    let Some(policy) = policy else { return Vec::new() };
    let mut whole = json!({ "apiVersion": "audit.k8s.io/v1", "kind": "Policy" });
    if !policy.omit_stages.is_empty() {
        whole["omitStages"] = json!(policy.omit_stages);
    }
    whole["rules"] = json!(policy.rules);
    // A map of plain values always has a YAML text.
    vec![FileWish::new(AUDIT_POLICY, serde_saphyr::to_string(&whole).unwrap_or_default(), 0o600)]
}

/// <https://docs.rke2.io/reference/server_config>
fn configure(context: &Context<'_>, node: &NodePlan<'_>, config: &mut Config) {
    let spec = &context.file.spec;
    if spec.kubernetes.profile == Some(Profile::Cis) {
        config.set("profile", "cis");
    }
    if !node.is_server() {
        return;
    }
    if spec.kubernetes.audit_policy.is_some() {
        config.set("audit-policy-file", AUDIT_POLICY);
    }
    config.set("cni", plug_in(&spec.kubernetes.cni));
    if spec.kubernetes.cni.cilium.as_ref().is_some_and(|cilium| cilium.kube_proxy_replacement) {
        config.set("disable-kube-proxy", true);
    }
    if let Some(ingress) = ingress(context) {
        config.set("ingress-controller", ingress);
    }
    config.list("disable", spec.addons.metrics_server.iter().map(|_| "rke2-metrics-server".into()).collect());
}

/// The network plug-in that RKE2 brings. Cilium is a release of ours, of the version that the file names.
/// <https://docs.rke2.io/networking/basic_network_options>
fn plug_in(cni: &Cni) -> &'static str {
    match cni {
        Cni { cilium: Some(_), .. } => "none",
        Cni { calico: Some(_), .. } => "calico",
        Cni { flannel: Some(_), .. } => "flannel",
        Cni { .. } => "canal",
    }
}
