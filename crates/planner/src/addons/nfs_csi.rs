//! Folders of NFS servers, by the CSI driver of the Kubernetes project, and the StorageClasses for them.
//! <https://github.com/kubernetes-csi/csi-driver-nfs/tree/v4.13.4/charts/v4.13.4/csi-driver-nfs>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::spec::addons::NfsCsi;
use serde_json::json;

use super::Recommended;
use super::storage::{Class, PART};
use crate::context::groups::group;

/// Where the driver's own page installs it (`charts/README.md`). What runs there may be privileged everywhere.
const NAMESPACE: &str = "kube-system";

/// The driver's name, which its CSIDriver has.
const DRIVER: &str = "nfs.csi.k8s.io";

pub(super) const CHART: Recommended = Recommended {
    name: "csi-driver-nfs",
    repository: "https://raw.githubusercontent.com/kubernetes-csi/csi-driver-nfs/master/charts",
    chart: "csi-driver-nfs",
    version: "4.13.4",
};

/// K3s, RKE2, kubeadm and Talos have the kubelet's folder where the chart looks for it (`kubeletDir`). The kinds of snapshots
/// are not there unless `externalSnapshotter` brings them, and its sidecar would ask for them for ever.
pub(super) fn release(nfs: &NfsCsi) -> DesiredRelease {
    let values = json!({ "controller": { "enableSnapshotter": false } });
    CHART.release(NAMESPACE.into(), PART, nfs.version.as_ref(), values, &nfs.values)
}

/// The StorageClasses. They are there before the driver, so that claims find their default.
/// <https://github.com/kubernetes-csi/csi-driver-nfs/blob/v4.13.4/docs/driver-parameters.md>
pub(super) fn objects(nfs: &NfsCsi) -> DesiredObjects {
    let classes = nfs.classes.iter().map(|(name, class)| {
        let mut parameters = json!({ "server": class.server, "share": class.share });
        if let Some(folder) = &class.sub_dir {
            parameters["subDir"] = folder.as_str().into();
        }
        Class {
            name,
            provisioner: DRIVER,
            parameters,
            default: class.default,
            reclaim_policy: class.reclaim_policy,
            mount_options: &class.mount_options,
        }
        .manifest()
    });
    group("nfs-classes", PART, classes.collect())
}
