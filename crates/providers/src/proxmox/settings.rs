//! What an adapter is told once: where the API is, who we are there, whom we trust, and who logs into new machines.

use std::collections::BTreeMap;

use kubewright_model::ids::NodeName;
use kubewright_model::secret::Secret;

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

/// Which certificate the API may show.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One that an authority of this computer has signed.
    System,
    /// One that this authority has signed; PEM. Proxmox' own is `/etc/pve/pve-root-ca.pem`.
    Authority(String),
    /// Only these, by their SHA-256 fingerprints as Proxmox shows them: `AB:CD:…`. Each node has a certificate of its own.
    Fingerprints(Vec<String>),
    /// Any at all. Whoever is in between can read the token: the user's explicit word is needed.
    Anything,
}

/// The SSH key of a host, in OpenSSH's formats.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// The private half.
    pub private: Secret,
    /// The public half.
    pub public: String,
}

/// Who logs into a new machine.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user; containers know only root.
    pub user: String,
    /// Public keys in OpenSSH's format, or why there are none. That is told when a machine is to be made: what is there
    /// has its keys.
    pub keys: Result<Vec<String>, String>,
    /// The key with which the host shows who it is, for machines that are told so by an image of ours.
    pub host_key: Option<HostKey>,
    /// The hash of the user's password for the console, where there is to be one, or why there is none.
    pub password_hash: Result<Option<Secret>, String>,
}
