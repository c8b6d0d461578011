//! What an adapter is told once: where the API is, who we are there, and who logs into new servers.

use std::collections::BTreeMap;
use std::time::Duration;

use kubewright_model::ids::NodeName;
use kubewright_model::secret::Secret;

use crate::Login;

/// How long an answer may take. Making a load balancer with all of its targets takes seconds; whoever gives up early has
/// made a server that he does not know of.
pub const ANSWER: Duration = Duration::from_secs(60);

/// A Hetzner Cloud project.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of the API, where it is not Hetzner's own: `https://api.hetzner.cloud/v1`.
    pub address: Option<String>,
    /// The project's API token.
    pub token: Secret,
    /// Where it is said to be, in words for people: `env HCLOUD_TOKEN`.
    pub token_at: String,
    /// How long an answer may take: [`ANSWER`].
    pub deadline: Duration,
    /// Who logs into each server once it is made.
    pub logins: BTreeMap<NodeName, Login>,
    /// SSH keys that servers are made with: the public half by the key's name, or why there is none.
    pub ssh_keys: BTreeMap<String, Result<String, String>>,
    /// Certificates that we bring: each with its private key by the certificate's name, or why there is none.
    pub certificates: BTreeMap<String, Result<Uploaded, String>>,
}

/// A certificate that we bring.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// It and those that vouch for it, as PEM.
    pub certificate: String,
    /// Its private key, as PEM.
    pub private_key: Secret,
}
