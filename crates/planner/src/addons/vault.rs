//! HashiCorp Vault.
//! <https://developer.hashicorp.com/vault/docs/platform/k8s/helm/configuration>

use kubewright_model::desired::DesiredRelease;
use kubewright_model::ids::{Namespace, ObjectName};
use kubewright_model::spec::AddOns;
use kubewright_model::spec::addons::{Vault, VaultMode, VaultRole};
use kubewright_model::vault::{DesiredVault, DesiredVaultRole};
use serde_json::{Value, json};

use super::Recommended;

pub(super) const CHART: Recommended =
    Recommended { name: "vault", repository: "https://helm.releases.hashicorp.com", chart: "vault", version: "0.31.0" };

/// What the chart's pods are called: its release has its name.
const SERVER: &str = "vault";

pub(super) fn release(vault: &Vault) -> DesiredRelease {
    let values = match vault.mode {
        VaultMode::Dev => json!({
            "server": { "dev": { "enabled": true } },
            "injector": { "enabled": true },
            "ui": { "enabled": true },
        }),
        VaultMode::Standalone => json!({
            "server": server(vault, json!({ "standalone": { "enabled": true } })),
            "injector": { "enabled": true },
            "ui": { "enabled": true },
        }),
        VaultMode::Ha => {
            let raft = json!({ "enabled": true, "setNodeId": true, "config": raft(vault) });
            let ha = json!({ "ha": { "enabled": true, "replicas": vault.replicas, "raft": raft } });
            json!({
                "server": server(vault, ha),
                "injector": { "enabled": true },
                "ui": { "enabled": true },
            })
        }
        // With an address elsewhere, the chart makes the injector only.
        VaultMode::Agent => json!({
            "global": { "externalVaultAddr": vault.address.clone().unwrap_or_default() },
            "injector": { "enabled": true },
        }),
    };
    CHART.release(namespace(vault), "vault", vault.version.as_ref(), values, &vault.values)
}

fn namespace(vault: &Vault) -> Namespace {
    vault.namespace.clone().unwrap_or_else(|| "vault".into())
}

/// What is said of its volumes, where something is.
fn server(vault: &Vault, mut server: Value) -> Value {
    if let Some(size) = vault.storage {
        server["dataStorage"]["size"] = size.to_string().into();
    }
    if let Some(class) = &vault.storage_class {
        server["dataStorage"]["storageClass"] = class.as_str().into();
    }
    server
}

/// The chart's own configuration, in which servers look for each other: those that are not initialised join whoever is.
/// <https://developer.hashicorp.com/vault/docs/configuration/storage/raft#retry_join-stanza>
fn raft(vault: &Vault) -> String {
    let join =
        |pod: String| format!("  retry_join {{\n    leader_api_addr = \"http://{pod}.{SERVER}-internal:8200\"\n  }}\n");
    let joins: String = pods(vault).into_iter().map(join).collect();
    format!(
        "ui = true\n\nlistener \"tcp\" {{\n  tls_disable = 1\n  address = \"[::]:8200\"\n  cluster_address = \
         \"[::]:8201\"\n}}\n\nstorage \"raft\" {{\n  path = \"/vault/data\"\n{joins}}}\n\nservice_registration \
         \"kubernetes\" {{}}\n"
    )
}

fn pods(vault: &Vault) -> Vec<String> {
    let replicas = if vault.mode == VaultMode::Ha { vault.replicas } else { 1 };
    (0..replicas).map(|number| format!("{SERVER}-{number}")).collect()
}

/// Where others of the cluster find it: by the Service of whoever leads, which the chart has for several servers.
pub(super) fn address(addons: &AddOns) -> String {
    let Some(vault) = &addons.vault else { return String::new() };
    match vault.mode {
        VaultMode::Agent => vault.address.clone().unwrap_or_default(),
        VaultMode::Ha => format!("http://{SERVER}-active.{}:8200", namespace(vault)),
        VaultMode::Dev | VaultMode::Standalone => format!("http://{SERVER}.{}:8200", namespace(vault)),
    }
}

/// What is to be true of its servers, where they are ours and keep what they are told.
pub(super) fn wish(vault: &Vault) -> Option<DesiredVault> {
    if !matches!(vault.mode, VaultMode::Standalone | VaultMode::Ha) {
        return None;
    }
    let texts = |names: &[ObjectName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let role = |role: &VaultRole| DesiredVaultRole {
        service_accounts: texts(&role.service_accounts),
        namespaces: role.namespaces.iter().map(ToString::to_string).collect(),
        policies: texts(&role.policies),
        seconds: role.ttl.duration().as_secs(),
    };
    Some(DesiredVault {
        namespace: namespace(vault),
        pods: pods(vault),
        shares: vault.keys.shares,
        threshold: vault.keys.threshold,
        key_value: texts(&vault.key_value),
        policies: vault.policies.iter().map(|(name, text)| (name.to_string(), text.clone())).collect(),
        roles: vault.roles.iter().map(|(name, it)| (name.to_string(), role(it))).collect(),
    })
}
