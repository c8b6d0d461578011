//! Names and identifiers, one type each, so that a pool can never be passed where a node is meant.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::spec::formats::{Format, dns_label, dns_subdomain};

/// Defines a cheap-to-clone text newtype. With `format`, it may stand in the spec and its syntax is checked there.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes the name from text that is known to be well-formed.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, format $format:literal, check $check:path, example $example:literal) => {
        text_id!($(#[$doc])* $name);

        impl Format for $name {
            const NAME: &'static str = $format;
            const EXAMPLE: &'static str = $example;

            fn check(text: &str) -> Result<(), String> {
                $check(text)
            }
        }

        crate::spec::formats::schema_for_format!($name);
    };
}

text_id!(
    /// The cluster's name: it marks everything that we own.
    ClusterName, format "cluster-name", check dns_label, example "devboard"
);
text_id!(
    /// A group of nodes that are alike.
    PoolName, format "pool-name", check dns_label, example "workers"
);
text_id!(
    /// One node: its host name, its machine's name and Kubernetes' node name are the same word.
    NodeName, format "node-name", check dns_label, example "k3s-agent-1"
);
text_id!(
    /// A Kubernetes namespace.
    Namespace, format "namespace", check dns_label, example "monitoring"
);
text_id!(
    /// The name of a Kubernetes object.
    ObjectName, format "object-name", check dns_subdomain, example "grafana"
);
text_id!(
    /// The name of a Helm release. Helm allows 53 characters.
    ReleaseName, format "release-name", check release_name, example "prometheus"
);
text_id!(
    /// A provider's place for machines: a Proxmox node, a Hetzner location.
    PlaceName
);
text_id!(
    /// A provider as the spec names it: `proxmox`, `hetzner`, `existing`, `local`, or the name of a further Proxmox cluster.
    ProviderName, format "provider-name", check dns_label, example "garage"
);
text_id!(
    /// A step of a plan. Built from the deed and its subject, so the same wish has the same id in every plan.
    StepId
);
text_id!(
    /// A shared thing of which only so many may be in use at once.
    LeaseName
);
text_id!(
    /// A value that only the executor knows: `secret/join-token`, `cluster/server`.
    HoleName
);

impl HoleName {
    /// How the hole of a secret begins.
    const SECRET: &'static str = "secret/";

    /// The hole of a secret with this name.
    pub fn of_secret(name: &str) -> Self {
        Self::new(format!("{}{name}", Self::SECRET))
    }

    /// The name of the secret whose value it is; nothing where it is no secret's.
    pub fn secret(&self) -> Option<&str> {
        self.as_str().strip_prefix(Self::SECRET)
    }
}

text_id!(
    /// One execution of a plan, as the journal names it.
    RunId
);

fn release_name(text: &str) -> Result<(), String> {
    if text.len() > 53 {
        return Err(format!("a Helm release name has at most 53 characters, this one has {}", text.len()));
    }
    dns_label(text)
}

/// A Proxmox guest's number, unique in its Proxmox cluster. 100 to 999 999 999, as Proxmox has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vmid(pub u32);

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The mark that everything we make carries: a tag at Proxmox, a label at Hetzner and in Kubernetes.
///
/// What does not carry it is never changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub ClusterName);

impl Owner {
    /// The mark as one word of lower-case letters, digits and dashes, which Proxmox' tags allow.
    pub fn tag(&self) -> String {
        format!("kubewright-{}", self.0)
    }
}
