//! Synology's CSI driver. The vendor has no chart in a repository; this one installs his driver, v1.2.1.
//! <https://github.com/christian-schlichtherle/synology-csi-chart/tree/v0.11.1>,
//! <https://github.com/SynologyOpenSource/synology-csi/tree/release-v1.2.1>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::Distribution;
use kubewright_model::spec::addons::{FileSystem, Synology, SynologyClass, SynologyNas, SynologyProtocol};
use serde_json::{Map, Value, json};

use super::Recommended;
use super::storage::{Class, PART};
use crate::context::groups::group;
use crate::context::{Context, SecretNames};

/// The namespace and the release.
pub(super) const NAME: &str = "synology-csi";

/// The driver's name, which its CSIDriver has.
const DRIVER: &str = "csi.san.synology.com";

/// The Secret with every NAS, under the name that the vendor's own page gives it. The chart's has another one, which stays
/// Helm's.
const CLIENT_INFO: &str = "client-info-secret";

/// The Secret with the user of shared folders.
const SMB_USER: &str = "synology-smb-user";

/// StorageClasses that the chart makes by itself (`values.yaml`).
const OF_THE_CHART: [&str; 6] =
    ["iscsi-delete", "iscsi-retain", "nfs-delete", "nfs-retain", "smb-delete", "smb-retain"];

pub(super) const CHART: Recommended = Recommended {
    name: NAME,
    repository: "https://christian-schlichtherle.github.io/synology-csi-chart",
    chart: NAME,
    version: "0.11.1",
};

/// The Secret is ours, so that no value of the release holds a password.
pub(super) fn release(context: &Context<'_>, synology: &Synology) -> DesiredRelease {
    let secret = synology.client_info_secret.as_ref().map_or(CLIENT_INFO, |name| name.as_str());
    let mut values = json!({ "clientInfoSecret": { "create": false, "name": secret } });
    if synology.smb.is_some() {
        values["smbUserSecret"] = json!({ "create": false, "name": SMB_USER });
    }
    if !synology.classes.is_empty() {
        let none = OF_THE_CHART.map(|name| (name.to_string(), json!({ "disabled": true })));
        values["storageClasses"] = Value::Object(Map::from_iter(none));
    }
    if context.file.spec.kubernetes.distribution == Distribution::Talos {
        // Talos has no `env`, which the driver looks for programs with; its extension puts this one here.
        values["node"] = json!({ "plugin": { "extraArgs": ["--iscsiadm-path=/usr/local/sbin/iscsiadm"] } });
    }
    CHART.release(NAME.into(), PART, synology.version.as_ref(), values, &synology.values)
}

/// Every NAS and its user, the user of shared folders, and the StorageClasses.
pub(super) fn objects(synology: &Synology, secrets: &mut SecretNames) -> Vec<DesiredObjects> {
    let clients = clients(&synology.every_nas(), secrets);
    if synology.by_argocd {
        let client_info = Manifest(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": synology.config_map, "namespace": NAME },
            "data": { "client-info.yml": clients },
        }));
        return vec![group("synology", PART, vec![client_info])];
    }
    let mut seen = Vec::new();
    if synology.client_info_secret.is_none() {
        // The chart's driver reads the file of this name, and the vendor's manifests one that ends with `.yml`.
        seen.push(secret(CLIENT_INFO, json!({ "client-info.yaml": clients })));
    }
    if let Some(smb) = &synology.smb {
        let password = secrets.value("synology-smb", Some(&smb.password));
        seen.push(secret(SMB_USER, json!({ "username": smb.user, "password": password })));
    }
    let classes = synology.classes.iter().map(|(name, class)| {
        Class {
            name,
            provisioner: DRIVER,
            parameters: parameters(class),
            default: class.default,
            reclaim_policy: class.reclaim_policy,
            mount_options: &class.mount_options,
        }
        .manifest()
    });
    let groups = [group("synology", PART, seen), group("synology-classes", PART, classes.collect())];
    groups.into_iter().filter(|group| !group.manifests.is_empty()).collect()
}

fn secret(name: &str, texts: Value) -> Manifest {
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": NAME },
        "stringData": texts,
    }))
}

/// The file that the driver reads. Written by hand, because passwords are filled in only when it is applied: each as a block
/// of YAML by itself, in which no sign means anything.
fn clients(every: &[SynologyNas], secrets: &mut SecretNames) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let clients = every.iter().map(|SynologyNas { at, https, user, password }| {
        let password = secrets.value("synology", Some(password));
        format!(
            "  - host: {}\n    port: {}\n    https: {https}\n    username: {}\n    password: |-\n      {password}\n",
            quoted(&at.host),
            at.port,
            quoted(user)
        )
    });
    format!("---\nclients:\n{}", clients.collect::<String>())
}

/// The words are those of the driver's page. A shared folder of `smb` is mounted as the user of that Secret.
fn parameters(class: &SynologyClass) -> Value {
    let mut parameters = json!({ "protocol": class.protocol.word() });
    let file_system = class.fs_type.map(|it| match it {
        FileSystem::Ext4 => "ext4",
        FileSystem::Btrfs => "btrfs",
    });
    let said = [("dsm", class.dsm.as_deref()), ("location", class.location.as_deref()), ("fsType", file_system)];
    for (key, value) in said.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        parameters[key] = value.into();
    }
    if class.protocol == SynologyProtocol::Smb {
        parameters["csi.storage.k8s.io/node-stage-secret-name"] = SMB_USER.into();
        parameters["csi.storage.k8s.io/node-stage-secret-namespace"] = NAME.into();
    }
    parameters
}
