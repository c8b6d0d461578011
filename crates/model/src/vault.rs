//! HashiCorp Vault as it is wished and seen: whether it is initialised, who is sealed, and what is set in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::Namespace;

/// The secret that holds the keys which unseal Vault, one in a line.
pub const UNSEAL_KEYS: &str = "vault-unseal-keys";
/// The secret that is Vault's root token.
pub const ROOT_TOKEN: &str = "vault-root-token";

/// Vault on the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredVault {
    /// Where its pods are.
    pub namespace: Namespace,
    /// Its servers' pods.
    pub pods: Vec<String>,
    /// How many keys are made when it is initialised.
    pub shares: u32,
    /// How many of them unseal a server.
    pub threshold: u32,
    /// Paths of key-value engines, of their second version.
    pub key_value: Vec<String>,
    /// Policies by name.
    pub policies: BTreeMap<String, String>,
    /// Who of the cluster gets in, and with which policies, by the role's name.
    pub roles: BTreeMap<String, DesiredVaultRole>,
}

/// A role of the cluster's own way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredVaultRole {
    /// Names of service accounts.
    pub service_accounts: Vec<String>,
    /// Their namespaces.
    pub namespaces: Vec<String>,
    /// Policies.
    pub policies: Vec<String>,
    /// How long a token lives, in seconds.
    pub seconds: u64,
}

/// What is set in a Vault: what it is called, and what it says, in the same words for a wish and a sight.
pub type VaultSettings = BTreeMap<String, String>;

/// Where the cluster's API is for Vault, which runs in the cluster.
pub const KUBERNETES: &str = "https://kubernetes.default.svc";

impl DesiredVault {
    /// What is to be set.
    pub fn settings(&self) -> VaultSettings {
        let mut settings = VaultSettings::new();
        settings.extend(self.key_value.iter().map(|path| (key_value(path), "kv, version 2".to_string())));
        settings.extend(self.policies.iter().map(|(name, text)| (policy(name), text.trim().to_string())));
        if !self.roles.is_empty() {
            settings.insert(AUTH.into(), KUBERNETES.into());
        }
        settings.extend(self.roles.iter().map(|(name, wish)| (role(name), wish.words())));
        settings
    }
}

/// What the cluster's own way in is called.
pub const AUTH: &str = "auth kubernetes";

/// What a key-value engine is called.
pub fn key_value(path: &str) -> String {
    format!("engine {path}")
}

/// What a policy is called.
pub fn policy(name: &str) -> String {
    format!("policy {name}")
}

/// What a role is called.
pub fn role(name: &str) -> String {
    format!("role {name}")
}

impl DesiredVaultRole {
    /// The role in one sentence.
    pub fn words(&self) -> String {
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort();
            list.join(", ")
        };
        format!(
            "{} of {}: {}, {} s",
            sorted(&self.service_accounts),
            sorted(&self.namespaces),
            sorted(&self.policies),
            self.seconds
        )
    }
}

/// A Vault as it is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultSeen {
    /// It has keys and a root token, and what it keeps is locked with them.
    pub initialized: bool,
    /// Pods that answer and are sealed, or have not joined the others yet.
    pub sealed: BTreeSet<String>,
    /// Pods that do not answer, and why.
    pub silent: BTreeMap<String, String>,
    /// The store has the keys that unseal it.
    pub has_keys: bool,
    /// What of the wished settings is set. None: nobody could read it.
    pub settings: Option<VaultSettings>,
}
