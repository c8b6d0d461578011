//! Volumes: who makes them, and the StorageClasses that claims name.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Plain;
use crate::ids::ObjectName;
use crate::net::HostPort;
use crate::spec::forms;
use crate::spec::secrets::SecretRef;
use crate::version::Version;

/// Volumes.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Storage {
    /// Folders of the nodes (local-path-provisioner). K3s brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_path: Option<Plain>,
    /// One folder of an NFS server, which nodes mount by themselves (nfs-subdir-external-provisioner).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfs: Option<Nfs>,
    /// Folders of NFS servers, by the CSI driver of the Kubernetes project (csi-driver-nfs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfs_csi: Option<NfsCsi>,
    /// A Synology NAS' volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synology: Option<Synology>,
}

/// NFS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Nfs {
    /// The server.
    #[schemars(with = "forms::Host")]
    pub server: String,
    /// The folder that it exports.
    pub path: String,
    /// The StorageClass' name.
    #[serde(default = "nfs_class")]
    pub class: ObjectName,
}

fn nfs_class() -> ObjectName {
    "nfs".into()
}

/// The CSI driver for NFS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NfsCsi {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// StorageClasses, by name.
    #[schemars(extend("minProperties" = 1))]
    #[schemars(with = "forms::ByName<ObjectName, NfsClass>")]
    pub classes: IndexMap<ObjectName, NfsClass>,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

/// A StorageClass of folders on an NFS server. Kubernetes never changes one that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NfsClass {
    /// The server.
    #[schemars(with = "forms::Host")]
    pub server: String,
    /// The folder that it exports: `/volume1/kubernetes`.
    pub share: String,
    /// The folder of a volume, in the share. Without it: the volume's own name. `${pvc.metadata.namespace}`,
    /// `${pvc.metadata.name}` and `${pv.metadata.name}` stand for what they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub sub_dir: Option<String>,
    /// Claims that name no class get this one. K3s has another one for that: its own local-path.
    #[serde(default)]
    pub default: bool,
    /// What becomes of a volume whose claim is gone.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,
    /// Options of the mount: `nfsvers=4.1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mount_options: Vec<String>,
}

/// What becomes of a volume whose claim is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ReclaimPolicy {
    /// It goes too, with what is in it.
    #[default]
    Delete,
    /// It stays, and somebody looks after it.
    Retain,
}

/// Synology's CSI driver. Which NAS: `at`, `user` and `password`, and more of them in `others`; or `clientInfoSecret`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Synology {
    /// The chart's version. Without it: the one that this kubewright knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The NAS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<HostPort>,
    /// Speak HTTPS.
    #[serde(default)]
    pub https: bool,
    /// The user, who is an administrator of the NAS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Further NAS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<SynologyNas>,
    /// A Secret of namespace `synology-csi` that somebody else makes, in the place of all of these. Its key is
    /// `client-info.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_info_secret: Option<ObjectName>,
    /// StorageClasses, by name. Without any: those of the chart, `synology-csi-iscsi-delete` for one.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectName, SynologyClass>")]
    pub classes: IndexMap<ObjectName, SynologyClass>,
    /// Who may read and write the folders that classes of protocol `smb` make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smb: Option<SmbUser>,
    /// Argo CD installs the driver; here stands only what it reads, as a ConfigMap of namespace `synology-csi`.
    #[serde(default)]
    pub by_argocd: bool,
    /// That ConfigMap's name. Its key is `client-info.yml`.
    #[serde(default = "client_info")]
    pub config_map: ObjectName,
    /// Further chart values; they win over ours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, Value>,
}

impl Synology {
    /// Every NAS that is described in full, the first one first.
    pub fn every_nas(&self) -> Vec<SynologyNas> {
        let first = || {
            let (at, user, password) = (self.at.clone()?, self.user.clone()?, self.password.clone()?);
            Some(SynologyNas { at, https: self.https, user, password })
        };
        first().into_iter().chain(self.others.iter().cloned()).collect()
    }

    /// Whether nodes speak iSCSI with it. Of the chart's own classes some do.
    pub fn speaks_iscsi(&self) -> bool {
        let iscsi = |class: &SynologyClass| class.protocol == SynologyProtocol::Iscsi;
        !self.by_argocd && (self.classes.is_empty() || self.classes.values().any(iscsi))
    }
}

fn client_info() -> ObjectName {
    "synology-client-info".into()
}

/// A NAS of Synology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SynologyNas {
    /// The NAS.
    pub at: HostPort,
    /// Speak HTTPS.
    #[serde(default)]
    pub https: bool,
    /// The user, who is an administrator of the NAS.
    pub user: String,
    /// The password.
    pub password: SecretRef,
}

/// A StorageClass of volumes on a NAS. Kubernetes never changes one that is there.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SynologyClass {
    /// How nodes reach a volume.
    #[serde(default)]
    pub protocol: SynologyProtocol,
    /// The NAS, as its `at` has it. Without it: the first one that has room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::Host>")]
    pub dsm: Option<String>,
    /// The NAS' own volume: `/volume1`. Without it: the first one that has room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The file system, of protocol `iscsi` alone. Without it: `ext4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_type: Option<FileSystem>,
    /// Claims that name no class get this one. K3s has another one for that: its own local-path.
    #[serde(default)]
    pub default: bool,
    /// What becomes of a volume whose claim is gone.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,
    /// Options of the mount: `nfsvers=4.1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mount_options: Vec<String>,
}

/// How nodes reach a volume of a NAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SynologyProtocol {
    /// A LUN, for one node at a time.
    #[default]
    Iscsi,
    /// A shared folder.
    Nfs,
    /// A shared folder, for the user of `smb`.
    Smb,
}

impl SynologyProtocol {
    /// The driver's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Iscsi => "iscsi",
            Self::Nfs => "nfs",
            Self::Smb => "smb",
        }
    }
}

/// A file system of an iSCSI volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// The usual one.
    Ext4,
    /// With checksums and snapshots of its own.
    Btrfs,
}

/// A user of the NAS who may read and write shared folders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmbUser {
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretRef,
}
