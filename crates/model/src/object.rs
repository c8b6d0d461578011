//! Kubernetes objects as we send them, and how they are named.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{Namespace, ObjectName};
use crate::net::text_format;
use crate::spec::formats::{Format, dns_label, dns_subdomain, schema_for_format};

/// A namespace and a name: `keybuzz/keybuzz-backend-services`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey {
    /// The object's namespace.
    pub namespace: Namespace,
    /// The object's name.
    pub name: ObjectName,
}

impl FromStr for ObjectKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = text.split_once('/').ok_or("the namespace is missing: write namespace/name")?;
        dns_label(namespace).map_err(|why| format!("namespace: {why}"))?;
        dns_subdomain(name).map_err(|why| format!("name: {why}"))?;
        Ok(Self { namespace: namespace.into(), name: name.into() })
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

text_format!(ObjectKey, "object-key", "keybuzz/backend-services");

/// What an object is called in the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// `v1`, `networking.k8s.io/v1`, …
    pub api_version: String,
    /// `ConfigMap`, `Ingress`, …
    pub kind: String,
    /// None for cluster-wide kinds.
    pub namespace: Option<Namespace>,
    /// The object's name.
    pub name: ObjectName,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl ObjectId {
    /// Its kind in every version, as kubectl takes it: `Certificate.cert-manager.io`, `ConfigMap`.
    pub fn kind_of_group(&self) -> String {
        kind_of_group(&self.kind, self.api_version.split_once('/').map_or("", |(group, _)| group))
    }
}

/// The same, of a kind and its group; the core has none.
pub fn kind_of_group(kind: &str, group: &str) -> String {
    if group.is_empty() { kind.to_string() } else { format!("{kind}.{group}") }
}

/// A Kubernetes object in full, as JSON. Secrets in it are holes: a string `‹hole:NAME›` stands for the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(pub Value);

impl Manifest {
    /// The object's id, or what it lacks to have one.
    ///
    /// # Errors
    ///
    /// The missing field's path.
    pub fn id(&self) -> Result<ObjectId, &'static str> {
        let text = |pointer: &str| self.0.pointer(pointer).and_then(Value::as_str);
        Ok(ObjectId {
            api_version: text("/apiVersion").ok_or("apiVersion")?.to_string(),
            kind: text("/kind").ok_or("kind")?.to_string(),
            namespace: text("/metadata/namespace").map(Namespace::from),
            name: text("/metadata/name").ok_or("metadata.name")?.into(),
        })
    }
}
