//! Volumes: NFS and Synology. K3s brings local-path itself.

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::addons::{Storage, Synology};
use serde_json::{Value, json};

use super::Recommended;
use crate::context::SecretNames;
use crate::context::groups::group;

/// <https://github.com/kubernetes-sigs/nfs-subdir-external-provisioner>
const NFS: Recommended = Recommended {
    name: "nfs-storage",
    repository: "https://kubernetes-sigs.github.io/nfs-subdir-external-provisioner/",
    chart: "nfs-subdir-external-provisioner",
    version: "4.0.18",
};

/// <https://github.com/christian-schlichtherle/synology-csi-chart>
const SYNOLOGY_CSI: Recommended = Recommended {
    name: SYNOLOGY,
    repository: "https://christian-schlichtherle.github.io/synology-csi-chart",
    chart: "synology-csi",
    version: "0.11.1",
};

/// The namespace and the release of Synology's driver.
pub(super) const SYNOLOGY: &str = "synology-csi";

pub(super) fn releases(storage: &Storage, secrets: &mut SecretNames) -> Vec<DesiredRelease> {
    let none = Default::default();
    let mut releases = Vec::new();
    if let Some(nfs) = &storage.nfs {
        let values = json!({
            "nfs": { "server": nfs.server, "path": nfs.path },
            "storageClass": { "name": nfs.class },
        });
        releases.push(NFS.release("nfs-storage".into(), "storage", None, values, &none));
    }
    if let Some(synology) = storage.synology.as_ref().filter(|it| !it.by_argocd) {
        let values = json!({ "clientInfoSecret": {
            "create": true,
            "clients": [{
                "host": synology.at.host,
                "port": synology.at.port,
                "https": synology.https,
                "username": synology.user,
                "password": secrets.value("synology", Some(&synology.password)),
            }],
        } });
        releases.push(SYNOLOGY_CSI.release(SYNOLOGY.into(), "storage", None, values, &none));
    }
    releases
}

/// The NAS and its user, for a driver that Argo CD installs.
pub(super) fn objects(synology: &Synology, secrets: &mut SecretNames) -> Option<DesiredObjects> {
    let password = synology.by_argocd.then(|| secrets.value("synology", Some(&synology.password)))?;
    let Synology { at, https, user, .. } = synology;
    // Written by hand, because the password is filled in only when it is applied: as a block of YAML by itself, in which no
    // sign means anything.
    let quoted = |text: &str| Value::from(text).to_string();
    let clients = format!(
        "---\nclients:\n  - host: {}\n    port: {}\n    https: {https}\n    username: {}\n    password: |-\n      {password}\n",
        quoted(&at.host),
        at.port,
        quoted(user)
    );
    let client_info = Manifest(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": synology.config_map, "namespace": SYNOLOGY },
        "data": { "client-info.yml": clients },
    }));
    Some(group("synology", "storage", vec![client_info]))
}
