//! What of a cluster's keys and certificates can be made anew while it lives.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// The certificates that the authorities of the cluster have signed: those of servers, clients, etcd and kubelets.
    Certificates,
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Certificates => "certificates",
        })
    }
}
