//! What the world cannot tell us and we must keep: secrets, the cluster's identity, journals, the lock.

pub mod folder;

use std::collections::BTreeMap;

use kubewright_model::event::Record;
use kubewright_model::ids::{ClusterName, RunId};
use kubewright_model::secret::Secret;

/// What a cluster is begun with and keeps for its whole life: [`foundation`].
///
/// [`foundation`]: kubewright_model::desired::DesiredKubernetes::foundation
pub type Foundation = BTreeMap<String, String>;

/// Keeps what the world cannot tell.
pub trait Store: Send + Sync {
    /// The secret with this name; none if it was never made.
    fn secret(&self, cluster: &ClusterName, name: &str) -> Result<Option<Secret>, StoreError>;

    /// Keeps a secret under a name.
    fn keep_secret(&self, cluster: &ClusterName, name: &str, secret: &Secret) -> Result<(), StoreError>;

    /// Forgets one secret; one that is not there is forgotten already.
    fn forget_secret(&self, cluster: &ClusterName, name: &str) -> Result<(), StoreError>;

    /// The names of all secrets that are kept for a cluster, in order.
    fn secrets(&self, cluster: &ClusterName) -> Result<Vec<String>, StoreError>;

    /// What the cluster was begun with; none where nobody wrote it down.
    fn foundation(&self, cluster: &ClusterName) -> Result<Option<Foundation>, StoreError>;

    /// Writes down what a cluster is begun with.
    fn keep_foundation(&self, cluster: &ClusterName, foundation: &Foundation) -> Result<(), StoreError>;

    /// Forgets all secrets of a cluster that was destroyed, and what it was begun with.
    fn forget_secrets(&self, cluster: &ClusterName) -> Result<(), StoreError>;

    /// Takes the lock on a cluster; it is given back when the value is dropped, or when the program ends in any way.
    fn lock(&self, cluster: &ClusterName, holder: &Holder) -> Result<Box<dyn Lock>, StoreError>;

    /// Who holds the lock on a cluster; none where it is free.
    fn holder(&self, cluster: &ClusterName) -> Result<Option<Holder>, StoreError>;

    /// Opens the journal of a new run.
    fn start_journal(&self, cluster: &ClusterName, run: &RunId) -> Result<Box<dyn Journal>, StoreError>;

    /// The runs of a cluster, oldest first.
    fn runs(&self, cluster: &ClusterName) -> Result<Vec<RunId>, StoreError>;

    /// A run's journal, whole; a torn last line is left out.
    fn journal(&self, cluster: &ClusterName, run: &RunId) -> Result<Vec<Record>, StoreError>;
}

/// Who holds a lock, since when and for what.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// The user and the computer: `tom@workbench`.
    pub who: String,
    /// The process.
    pub pid: u32,
    /// Seconds since 1970.
    pub since: u64,
    /// What it does: `apply`.
    pub what: String,
}

/// A lock that is held until it is dropped.
pub trait Lock: Send {}

/// A journal that is being written.
pub trait Journal: Send {
    /// Writes a record and sees to it that it survives a crash.
    fn write(&mut self, record: &Record) -> Result<(), StoreError>;
}

/// Why keeping failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another run holds the lock.
    #[error("{} holds the lock on {cluster}", holder.who)]
    Busy {
        /// On which cluster.
        cluster: ClusterName,
        /// Who holds it.
        holder: Holder,
    },
    /// A file could not be read or written.
    #[error("{what} {path}")]
    File {
        /// What was tried: `cannot write`.
        what: &'static str,
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}, line {line}: {why}")]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

impl StoreError {
    /// The failure and its cause, in one line.
    pub fn told(&self) -> String {
        match self {
            Self::File { source, .. } => format!("{self}: {source}"),
            Self::Busy { .. } | Self::Malformed { .. } => self.to_string(),
        }
    }
}
