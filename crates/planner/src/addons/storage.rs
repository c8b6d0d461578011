//! Volumes: NFS and Synology. K3s brings local-path itself.

use kubewright_model::desired::DesiredRelease;
use kubewright_model::spec::addons::Storage;
use serde_json::json;

use super::Recommended;
use crate::lower::SecretNames;

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
    if let Some(synology) = &storage.synology {
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
