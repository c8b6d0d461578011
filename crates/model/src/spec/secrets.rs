//! Secrets, by reference only.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::ObjectKey;
use crate::spec::forms;

/// Where a secret is to be found: exactly one of these. A secret itself never stands in this file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// An environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file; what it ends in is cut off when it is a line feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub file: Option<String>,
    /// A command and its arguments; its standard output is the secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// A key of the SOPS file: `gandi.apiToken`, `users[0].password`, `registries["ghcr.io"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sops: Option<String>,
    /// Made by kubewright on first use and kept in its store, under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::SecretName>")]
    pub generate: Option<String>,
}

impl SecretRef {
    /// How many of the ways are given; exactly one is right.
    pub fn ways(&self) -> usize {
        [
            self.env.is_some(),
            self.file.is_some(),
            !self.command.is_empty(),
            self.sops.is_some(),
            self.generate.is_some(),
        ]
        .into_iter()
        .filter(|given| *given)
        .count()
    }

    /// Where the secret is, in a few words: `env PVE_TOKEN`.
    pub fn place(&self) -> String {
        match self {
            Self { env: Some(name), .. } => format!("env {name}"),
            Self { file: Some(path), .. } => format!("file {path}"),
            Self { sops: Some(key), .. } => format!("sops {key}"),
            Self { generate: Some(name), .. } => format!("generated {name}"),
            Self { command, .. } => format!("command {}", command.first().map_or("", String::as_str)),
        }
    }
}

/// Where secrets are kept, and the Secrets to make in the cluster.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secrets {
    /// The SOPS file beside this file, encrypted for age recipients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<forms::FilePath>")]
    pub sops_file: Option<String>,
    /// The age public keys that can open the SOPS file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Files in Git that look like secrets in clear text and are none, beside this file: examples, and keys of tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<forms::FilePath>")]
    pub clear_text: Vec<String>,
    /// Secrets in the cluster, by `namespace/name`: each is a map from key to where its value is.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectKey, IndexMap<String, SecretRef>>")]
    pub objects: IndexMap<ObjectKey, IndexMap<String, SecretRef>>,
    /// ConfigMaps in the cluster whose values are secret, by `namespace/name`; for software that reads only those.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "forms::ByName<ObjectKey, IndexMap<String, SecretRef>>")]
    pub config_maps: IndexMap<ObjectKey, IndexMap<String, SecretRef>>,
}
