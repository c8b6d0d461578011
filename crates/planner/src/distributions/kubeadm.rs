//! kubeadm: the Kubernetes project's own installer, on hosts where nothing of Kubernetes is yet.
//!
//! Its programs, containerd and what that needs are verified downloads, so every system is set up alike and an upgrade is
//! another download. kubeadm itself does the rest, by files that are written for each of its commands and taken away
//! after it: they hold what lets nodes in. That is short-lived in the cluster, and made anew where somebody joins.
//! Which server begins, and which is the first to get another version, is found out and stands nowhere.
//!
//! Facts are those of v1.31 to v1.36 (<https://github.com/kubernetes/kubernetes/tree/v1.36.0/cmd/kubeadm/app>).

mod backups;
mod certificates;
mod config;
mod containerd;
mod encryption;
mod etcd;
mod leave;
mod recipes;
mod registries;
mod renewal;
mod restore;
#[cfg(test)]
mod tests;
mod turnover;
mod units;
mod versions;

use std::collections::BTreeMap;

use kubewright_model::desired::{Halfway, Renewal};
use kubewright_model::host::{Artifact, DownloadWish, HostResource, Mode, Proof};
use kubewright_model::recipe::{Recipe, RecipeStep};
use kubewright_model::rotation::{Rotation, Round};
use kubewright_model::spec::kubernetes::Kubernetes;
use kubewright_model::spec::{ClusterFile, SecretRef};
use kubewright_model::version::Version;

use super::rancher::api_port;
use super::{Compiler, bundles};
use crate::context::Context;
use crate::context::nodes::NodePlan;

/// Where its programs are.
const PROGRAMS: &str = "/usr/local/bin";
/// Where the plug-ins for networks are.
const PLUG_INS: &str = "/opt/cni/bin";
/// What people and programs of the host itself reach the API with.
const ADMIN: &str = "/etc/kubernetes/admin.conf";

/// The compiler.
pub(super) struct Kubeadm;

pub(super) static KUBEADM: Kubeadm = Kubeadm;

impl Compiler for Kubeadm {
    fn secrets<'f>(&self, file: &'f ClusterFile) -> Vec<(String, &'f SecretRef)> {
        bundles::secrets(file)
    }

    fn kept(&self, context: &Context<'_>) -> BTreeMap<String, String> {
        config::kept(context)
    }

    fn host_resources(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<HostResource> {
        let kubernetes = &context.file.spec.kubernetes;
        let mut resources: Vec<HostResource> = packages(&kubernetes.version);
        resources.extend(MODULES.map(|module| HostResource::Module(module.into())));
        let six = kubernetes.pod_network.net().addr().is_ipv6().then_some(FORWARDS_SIX);
        let forwards = SYSCTLS.into_iter().chain(six.into_iter().flatten());
        resources.extend(forwards.map(|key| HostResource::Sysctl { key: key.into(), value: "1".into() }));
        resources.extend(registries::resources(kubernetes));
        resources.extend(containerd::resources(kubernetes));
        resources
            .extend(["kubeadm", "kubelet", "kubectl"].map(|name| HostResource::Download(program(kubernetes, name))));
        if node.is_server() {
            resources.extend(backups::resources(context));
            resources.extend(bundles::resources(context, node, || backups::packs(context)));
            resources.extend(certificates::resources(context, node));
            resources.extend(kubernetes.encrypt_secrets.then(|| HostResource::File(encryption::file())));
        }
        resources.push(HostResource::Unit(units::kubelet(kubernetes)));
        resources
    }

    /// <https://kubernetes.io/docs/reference/networking/ports-and-protocols/>; etcd's and kube-proxy's own measures beside.
    fn ports(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Vec<u16> {
        let mut ports = vec![10250, 10249, 10256];
        if node.is_server() {
            ports.extend([api_port(context, node), 2379, 2380, 2381, 10257, 10259]);
        }
        ports
    }

    fn init(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        recipes::init(context, node)
    }

    fn join(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        recipes::join(context, node)
    }

    fn halfway(&self, context: &Context<'_>) -> Option<Halfway> {
        Some(recipes::halfway(context))
    }

    fn belong(&self, context: &Context<'_>, _: &NodePlan<'_>) -> Option<Recipe> {
        Some(recipes::belong(context))
    }

    fn admit(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Option<Recipe> {
        Some(recipes::admit(context, node))
    }

    fn forget(&self, context: &Context<'_>) -> Option<Recipe> {
        Some(recipes::forget(context))
    }

    fn upgrade(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Recipe {
        recipes::upgrade(context, node)
    }

    fn leave(&self, _server: bool) -> Recipe {
        leave::leave()
    }

    fn snapshot(&self, context: &Context<'_>, _: &NodePlan<'_>) -> Recipe {
        backups::snapshot(context)
    }

    fn stand_down(&self, server: bool) -> Option<Recipe> {
        Some(restore::stand_down(server))
    }

    fn renewal(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Renewal {
        renewal::renewal(context, node)
    }

    fn turnovers(&self, context: &Context<'_>, node: &NodePlan<'_>) -> BTreeMap<Rotation, Vec<Round>> {
        turnover::turnovers(context, node)
    }

    fn restore(&self, context: &Context<'_>, node: &NodePlan<'_>) -> Option<Recipe> {
        Some(restore::restore(context, node))
    }
}

/// What kubeadm looks for before it begins, and no system has without being told. The package of Red Hat's family that
/// holds the first one provides that name.
fn packages(version: &Version) -> Vec<HostResource> {
    let names = if version.minor() < (1, 32) { ["conntrack", "iptables"].as_slice() } else { &["iptables"] };
    names.iter().map(|name| HostResource::Package((*name).into())).collect()
}

/// <https://kubernetes.io/docs/setup/production-environment/container-runtimes/>; Flannel does not start without the
/// second one.
const MODULES: [&str; 2] = ["overlay", "br_netfilter"];
const SYSCTLS: [&str; 3] =
    ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];

/// What kubeadm looks for besides where pods have addresses of the sixth version (`preflight/checks_linux.go`): the first
/// one is for interfaces that come later, which it asks for.
const FORWARDS_SIX: [&str; 2] = ["net.ipv6.conf.default.forwarding", "net.ipv6.conf.all.forwarding"];

/// A program of Kubernetes, as the project publishes it.
/// <https://kubernetes.io/releases/download/#binaries>
fn program(kubernetes: &Kubernetes, name: &str) -> DownloadWish {
    let version = &kubernetes.version;
    let url = format!("https://dl.k8s.io/release/{version}/bin/linux/{{arch}}/{name}");
    // Beside each of them lies a file that holds its digest and nothing else.
    let proof = Proof::Checksums { url: format!("{url}.sha256"), file: name.into() };
    let artifact = Artifact { name: format!("{name} {version}"), url, proof };
    DownloadWish { path: at(name), artifact, member: None, mode: Mode(0o755) }
}

/// Where one of its programs is.
fn at(program: &str) -> String {
    format!("{PROGRAMS}/{program}")
}

fn shell(script: impl Into<String>) -> RecipeStep {
    RecipeStep::Run(vec!["/bin/sh".into(), "-c".into(), script.into()])
}
