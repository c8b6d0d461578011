//! Parts of the spec that this version of the program has no compiler for, by name: it never pretends.

use kubewright_model::desired::Missing;
use kubewright_model::spec::kubernetes::{Datastore, Distribution, FlannelBackend, Kubernetes};
use kubewright_model::spec::{ClusterFile, Pool};

/// What stops a run: the cluster would not be what the file says.
fn blocks(what: impl Into<String>, effect: &str) -> Missing {
    Missing { what: what.into(), effect: effect.into(), blocks: true }
}

/// What a run goes on without: the cluster is what the file says, and something around it is not done yet.
fn lacks(what: &str, effect: &str) -> Missing {
    Missing { what: what.into(), effect: effect.into(), blocks: false }
}

/// Everything that is missing, what blocks first.
pub(super) fn missing(file: &ClusterFile) -> Vec<Missing> {
    let mut missing = of_cluster(file);
    missing.extend(of_backups(file));
    missing.sort_by_key(|missing| !missing.blocks);
    missing
}

fn of_cluster(file: &ClusterFile) -> Vec<Missing> {
    let spec = &file.spec;
    let distribution = spec.kubernetes.distribution;
    let mut missing = Vec::new();
    if spec.addons.hetzner.cloud_controller.is_some() && distribution != Distribution::K3s {
        let effect = "its nodes are told nothing of a cloud controller";
        missing.push(blocks(format!("Hetzner's cloud controller on {}", distribution.title()), effect));
    }
    missing.extend(flannel(&spec.kubernetes));
    missing.extend(of_kubeadm(file));
    if distribution == Distribution::Talos && !spec.kubernetes.registries.is_empty() {
        missing.push(blocks("`registries` on Talos", "say them as patches of Talos"));
    }
    if spec.addons.storage.local_path.is_some() && distribution != Distribution::K3s {
        let effect = "no StorageClass for folders of the nodes is made";
        missing.push(blocks(format!("local-path volumes on {}", distribution.title()), effect));
    }
    // Talos brings its own, and servers of K3s and RKE2 apply kube-vip by themselves.
    let virtual_ip = spec.kubernetes.endpoint.virtual_ip.is_some();
    if virtual_ip && distribution == Distribution::Kubeadm {
        missing.push(blocks("a virtual IP before kubeadm", "nobody would answer at it"));
    }
    let rancher = matches!(distribution, Distribution::K3s | Distribution::Rke2);
    if virtual_ip && rancher && spec.kubernetes.airgap_images {
        let effect = "servers pull it: from ghcr.io, or from a mirror of it in `registries`";
        missing.push(lacks(crate::airgap::KUBE_VIP, effect));
    }
    missing
}

/// K3s has Flannel in itself, and RKE2 brings it as it is.
fn flannel(kubernetes: &Kubernetes) -> Option<Missing> {
    let flannel = kubernetes.cni.flannel.as_ref()?;
    let title = kubernetes.distribution.title();
    match kubernetes.distribution {
        Distribution::K3s => None,
        Distribution::Rke2 if flannel.backend == FlannelBackend::Vxlan && flannel.interface.is_none() => None,
        Distribution::Rke2 => Some(blocks("settings of Flannel on RKE2", "its chart is told nothing of them")),
        Distribution::Kubeadm => None,
        Distribution::Talos if flannel.backend == FlannelBackend::Vxlan && flannel.interface.is_none() => None,
        Distribution::Talos => Some(blocks(format!("settings of Flannel on {title}"), "say them as patches of Talos")),
    }
}

/// What kubeadm could do, and is not told.
fn of_kubeadm(file: &ClusterFile) -> Vec<Missing> {
    let (spec, kubernetes) = (&file.spec, &file.spec.kubernetes);
    if kubernetes.distribution != Distribution::Kubeadm {
        return Vec::new();
    }
    let mut missing = Vec::new();
    if kubernetes.version.minor() < (1, 31) {
        missing.push(blocks("kubeadm before v1.31", "it reads another form of its files"));
    }
    let container =
        |pool: &Pool| pool.role.is_node() && pool.proxmox.as_ref().is_some_and(|machines| machines.lxc.is_some());
    if spec.pools.values().any(container) {
        missing.push(blocks("kubeadm in containers", "it looks for a kernel of its own, and does not begin"));
    }
    if !kubernetes.agent_config.is_empty() {
        missing.push(blocks("`agentConfig` on kubeadm", "its files say nothing of agents alone"));
    }
    if spec.backup.as_ref().is_some_and(|backup| backup.datastore && super::calendar(&backup.schedule).is_none()) {
        let effect = "no timer says both a day of the month and a day of the week";
        missing.push(blocks("the hours of this backup on kubeadm", effect));
    }
    missing
}

fn of_backups(file: &ClusterFile) -> Vec<Missing> {
    let Some(backup) = &file.spec.backup else { return Vec::new() };
    let mut missing = Vec::new();
    if backup.datastore && file.spec.kubernetes.datastore == Datastore::Sqlite {
        missing.push(blocks("backups of SQLite", "nothing saves the datastore: only etcd is saved"));
    }
    missing
}
