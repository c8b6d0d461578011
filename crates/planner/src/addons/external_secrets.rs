//! External Secrets Operator, and the stores that it reads from Vault.
//! <https://external-secrets.io/v0.20.4/provider/hashicorp-vault/>

use kubewright_model::desired::{DesiredObjects, DesiredRelease};
use kubewright_model::object::Manifest;
use kubewright_model::spec::AddOns;
use kubewright_model::spec::addons::ExternalSecrets;
use serde_json::json;

use super::{Recommended, vault};
use crate::context::groups::group_after;

/// Its namespace, its release, and its service account.
pub(crate) const NAME: &str = "external-secrets";

pub(super) const CHART: Recommended = Recommended {
    name: NAME,
    repository: "https://charts.external-secrets.io",
    chart: "external-secrets",
    version: "0.20.4",
};

pub(super) fn release(secrets: &ExternalSecrets) -> DesiredRelease {
    // Its kinds come with it, as the chart has it by default: the stores need them.
    let values = json!({ "installCRDs": true });
    CHART.release(NAME.into(), NAME, secrets.version.as_ref(), values, &secrets.values)
}

/// A store for the whole cluster, for each one that is named.
pub(super) fn objects(addons: &AddOns, secrets: &ExternalSecrets) -> DesiredObjects {
    let stores = secrets.stores.iter().map(|(name, store)| {
        let account = json!({ "name": NAME, "namespace": NAME });
        let kubernetes = json!({ "mountPath": "kubernetes", "role": store.role, "serviceAccountRef": account });
        Manifest(json!({
            "apiVersion": "external-secrets.io/v1",
            "kind": "ClusterSecretStore",
            "metadata": { "name": name },
            "spec": { "provider": { "vault": {
                "server": store.server.clone().unwrap_or_else(|| vault::address(addons)),
                "path": store.path,
                "version": "v2",
                "auth": { "kubernetes": kubernetes },
            } } },
        }))
    });
    group_after("secret-stores", NAME, NAME.into(), stores.collect())
}
