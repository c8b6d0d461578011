//! Volumes: one folder of an NFS server, and what drivers for volumes have in common. K3s brings local-path itself.

use kubewright_model::desired::DesiredRelease;
use kubewright_model::digest::Digest;
use kubewright_model::host::{HostResource, UnitRun, UnitWish};
use kubewright_model::ids::ObjectName;
use kubewright_model::object::Manifest;
use kubewright_model::spec::HostSettings;
use kubewright_model::spec::addons::{Nfs, ReclaimPolicy, Storage, Synology};
use serde_json::{Value, json};

use super::Recommended;

/// The part of the spec.
pub(super) const PART: &str = "storage";

/// <https://github.com/kubernetes-sigs/nfs-subdir-external-provisioner>
pub(super) const NFS: Recommended = Recommended {
    name: "nfs-storage",
    repository: "https://kubernetes-sigs.github.io/nfs-subdir-external-provisioner/",
    chart: "nfs-subdir-external-provisioner",
    version: "4.0.18",
};

pub(super) fn nfs(nfs: &Nfs) -> DesiredRelease {
    let values = json!({
        "nfs": { "server": nfs.server, "path": nfs.path },
        "storageClass": { "name": nfs.class },
    });
    NFS.release("nfs-storage".into(), PART, None, values, &Default::default())
}

/// A StorageClass, as drivers have it in common.
pub(super) struct Class<'a> {
    pub(super) name: &'a ObjectName,
    pub(super) provisioner: &'static str,
    pub(super) parameters: Value,
    pub(super) default: bool,
    pub(super) reclaim_policy: ReclaimPolicy,
    pub(super) mount_options: &'a [String],
}

impl Class<'_> {
    /// Claims wait for nothing but the driver: its volumes are reached from every node. Both drivers make volumes larger.
    pub(super) fn manifest(&self) -> Manifest {
        let mut class = json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": self.name,
                "annotations": { "storageclass.kubernetes.io/is-default-class": self.default.to_string() },
            },
            "provisioner": self.provisioner,
            "parameters": self.parameters,
            "reclaimPolicy": self.reclaim_policy,
            "volumeBindingMode": "Immediate",
            "allowVolumeExpansion": true,
        });
        if !self.mount_options.is_empty() {
            class["mountOptions"] = json!(self.mount_options);
        }
        Manifest(class)
    }
}

/// StorageClasses that are objects of ours, by name.
pub(super) fn classes(storage: &Storage) -> Vec<ObjectName> {
    let nfs = storage.nfs_csi.iter().flat_map(|it| it.classes.keys());
    let synology = storage.synology.iter().filter(|it| !it.by_argocd).flat_map(|it| it.classes.keys());
    nfs.chain(synology).cloned().collect()
}

/// What the host of a node needs, so that its kubelet mounts what it is told to.
///
/// Folders of `nfs` are mounted by the kubelet with the host's own `mount.nfs`. The CSI driver for NFS mounts in its own pod,
/// whose image brings that program (`nfs-common` in its Dockerfile at v4.13.4), and so does Synology's with shared folders
/// (`nfs-utils` and `cifs-utils` in its Dockerfile at v1.2.1); for iSCSI it calls the host's `iscsiadm`, by chroot
/// (`pkg/utils/hostexec`), and that wants the host's `iscsid`.
pub(super) fn host_resources(storage: &Storage, settings: &HostSettings) -> Vec<HostResource> {
    let family = Family::of(settings);
    let mut resources = Vec::new();
    if storage.nfs.is_some() {
        resources.push(HostResource::Package(family.nfs().into()));
    }
    if storage.synology.as_ref().is_some_and(Synology::speaks_iscsi) {
        resources.push(HostResource::Package(family.iscsi().into()));
        resources.push(HostResource::Unit(UnitWish {
            name: "iscsid.service".into(),
            content: None,
            enabled: true,
            run: UnitRun::Running,
            // Nothing of ours is in its configuration.
            reads: Digest::of(""),
        }));
    }
    resources
}

/// Whose names packages have. Only `hosts.os` tells; without it, Debian's and Ubuntu's.
#[derive(Clone, Copy)]
enum Family {
    Debian,
    RedHat,
    Suse,
}

/// How names of systems begin that have Red Hat's packages.
const RED_HAT: [&str; 7] = ["rocky", "alma", "red hat", "rhel", "centos", "fedora", "oracle"];
/// The same of SUSE's.
const SUSE: [&str; 3] = ["suse", "sles", "opensuse"];

impl Family {
    fn of(settings: &HostSettings) -> Self {
        let os = settings.os.as_deref().unwrap_or_default().trim().to_lowercase();
        let begins = |names: &[&str]| names.iter().any(|name| os.starts_with(name));
        match (begins(&RED_HAT), begins(&SUSE)) {
            (true, _) => Self::RedHat,
            (_, true) => Self::Suse,
            _ => Self::Debian,
        }
    }

    /// What brings `mount.nfs`.
    fn nfs(self) -> &'static str {
        match self {
            Self::Debian => "nfs-common",
            Self::RedHat => "nfs-utils",
            Self::Suse => "nfs-client",
        }
    }

    /// What brings `iscsiadm` and `iscsid`.
    fn iscsi(self) -> &'static str {
        match self {
            Self::Debian | Self::Suse => "open-iscsi",
            Self::RedHat => "iscsi-initiator-utils",
        }
    }
}
