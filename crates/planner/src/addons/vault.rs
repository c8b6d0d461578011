//! HashiCorp Vault.
//! <https://developer.hashicorp.com/vault/docs/platform/k8s/helm/configuration>

use kubewright_model::desired::DesiredRelease;
use kubewright_model::spec::addons::{Vault, VaultMode};
use serde_json::json;

use super::Recommended;

const CHART: Recommended =
    Recommended { name: "vault", repository: "https://helm.releases.hashicorp.com", chart: "vault", version: "0.31.0" };

pub(super) fn release(vault: &Vault) -> DesiredRelease {
    let values = match vault.mode {
        VaultMode::Dev => json!({
            "server": { "dev": { "enabled": true } },
            "injector": { "enabled": true },
            "ui": { "enabled": true },
        }),
        VaultMode::Standalone => json!({
            "server": { "standalone": { "enabled": true } },
            "injector": { "enabled": true },
            "ui": { "enabled": true },
        }),
        VaultMode::Ha => json!({
            "server": { "ha": { "enabled": true, "replicas": 3, "raft": { "enabled": true, "setNodeId": true } } },
            "injector": { "enabled": true },
            "ui": { "enabled": true },
        }),
        // With an address elsewhere, the chart makes the injector only.
        VaultMode::Agent => json!({
            "global": { "externalVaultAddr": vault.address.clone().unwrap_or_default() },
            "injector": { "enabled": true },
        }),
    };
    let namespace = vault.namespace.clone().unwrap_or_else(|| "vault".into());
    CHART.release(namespace, "vault", vault.version.as_ref(), values, &vault.values)
}
