//! What knows of Hetzner Cloud inside of the cluster: its cloud controller, and its driver for volumes.
//! <https://github.com/hetznercloud/hcloud-cloud-controller-manager/tree/v1.35.0/chart>,
//! <https://github.com/hetznercloud/csi-driver/tree/v2.22.1/chart>

use kubewright_model::cloud::OWNER_LABEL;
use kubewright_model::desired::{DesiredObjects, DesiredRelease, HETZNER_TOKEN};
use kubewright_model::object::Manifest;
use kubewright_model::spec::addons::{HetznerCsi, Plain};
use serde_json::{Value, json};

use super::Recommended;
use crate::context::groups::group;
use crate::context::{Context, SecretNames};

const REPOSITORY: &str = "https://charts.hetzner.cloud";
const NAMESPACE: &str = "kube-system";
/// Both charts look for the token in the Secret of this name.
const SECRET: &str = "hcloud";

pub(super) const CONTROLLER: Recommended = Recommended {
    name: "hcloud-cloud-controller-manager",
    repository: REPOSITORY,
    chart: "hcloud-cloud-controller-manager",
    version: "1.35.0",
};

pub(super) const CSI: Recommended =
    Recommended { name: "hcloud-csi", repository: REPOSITORY, chart: "hcloud-csi", version: "2.22.1" };

pub(super) fn releases(context: &Context<'_>) -> Vec<DesiredRelease> {
    let wished = &context.file.spec.addons.hetzner;
    let controller = wished.cloud_controller.as_ref().map(|plain| controller(context, plain));
    controller.into_iter().chain(wished.csi.as_ref().map(|it| csi(context, it))).collect()
}

/// The token, for both.
pub(super) fn objects(context: &Context<'_>, secrets: &mut SecretNames) -> Option<DesiredObjects> {
    let spec = &context.file.spec;
    let hetzner = spec.providers.hetzner.as_ref().filter(|_| !spec.addons.hetzner.is_nothing())?;
    let token = Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": SECRET, "namespace": NAMESPACE },
        "stringData": { "token": secrets.value(HETZNER_TOKEN, Some(&hetzner.token)) },
    }));
    Some(group(SECRET, "hetzner", vec![token]))
}

/// Nodes wait for it: until it has looked at their servers they take nothing but itself. What pods send to each other goes
/// the network plug-in's way, so it makes no routes; it is in the private network all the same, for nodes are known by their
/// addresses there.
/// <https://github.com/hetznercloud/hcloud-cloud-controller-manager/blob/v1.35.0/docs/guides/private-networks.md>
fn controller(context: &Context<'_>, plain: &Plain) -> DesiredRelease {
    let spec = &context.file.spec;
    let hetzner = spec.providers.hetzner.as_ref();
    let network = hetzner.and_then(|hetzner| hetzner.network.as_ref());
    let location = hetzner.map(|hetzner| hetzner.location.as_str()).unwrap_or_default();
    let mut values = json!({
        "env": {
            "HCLOUD_NETWORK_ROUTES_ENABLED": { "value": "false" },
            "HCLOUD_LOAD_BALANCERS_LOCATION": { "value": location },
            "HCLOUD_LOAD_BALANCERS_USE_PRIVATE_IP": { "value": network.is_some().to_string() },
        },
    });
    if let Some(network) = network {
        values["networking"] = json!({
            "enabled": true,
            "clusterCIDR": spec.kubernetes.pod_network,
            "network": { "value": network.name, "valueFrom": Value::Null },
        });
    }
    let release = CONTROLLER.release(NAMESPACE.into(), "hetzner", plain.version.as_ref(), values, &plain.values);
    DesiredRelease { before_ready: true, ..release }
}

/// What it makes has our mark, so that it is found when the cluster is gone.
fn csi(context: &Context<'_>, csi: &HetznerCsi) -> DesiredRelease {
    let reclaim = if csi.retain { "Retain" } else { "Delete" };
    let values = json!({
        "controller": { "volumeExtraLabels": { OWNER_LABEL: context.file.metadata.name } },
        "storageClasses": [
            { "name": csi.class, "defaultStorageClass": csi.default, "reclaimPolicy": reclaim },
        ],
    });
    CSI.release(NAMESPACE.into(), "hetzner", csi.version.as_ref(), values, &csi.values)
}
