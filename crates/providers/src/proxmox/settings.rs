//! What an adapter is told once: where the API is, who we are there, whom we trust, and who logs into new machines.

use std::collections::BTreeMap;

use kubewright_model::ids::NodeName;
use kubewright_model::secret::Secret;

use crate::login::Login;
use crate::trust::Trust;

/// One Proxmox VE cluster, or one node without a cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API's addresses, `https://pve1:8006`: any node of the cluster answers for all of them.
    pub addresses: Vec<String>,
    /// Who we are there.
    pub identity: Identity,
    /// Where its secret is said to be, in words for people: `env PROXMOX_TOKEN_SECRET`.
    pub secret_at: String,
    /// Which certificate the API may show.
    pub trust: Trust,
    /// The pool of Proxmox that new machines are put into.
    pub pool: Option<String>,
    /// Who logs into each machine once it is made.
    pub logins: BTreeMap<NodeName, Login>,
}

/// Who we are at the API.
#[derive(Clone, Debug)]
pub enum Identity {
    /// An API token: it needs no login, and may be given fewer privileges than its user.
    Token {
        /// Its id: `kubewright@pve!main`.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// A user with a password, for which the API gives a ticket.
    Password {
        /// The user: `root@pam`.
        user: String,
        /// The password.
        password: Secret,
    },
}

impl Identity {
    /// The id, which is no secret.
    pub fn id(&self) -> &str {
        match self {
            Self::Token { id, .. } => id,
            Self::Password { user, .. } => user,
        }
    }
}
