//! A store in memory, for worlds that end with the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kubewright_model::event::Record;
use kubewright_model::ids::{ClusterName, RunId};
use kubewright_model::secret::Secret;

use crate::store::{Foundation, Holder, Journal, Lock, Store, StoreError};

#[derive(Default)]
struct Kept {
    secrets: BTreeMap<(ClusterName, String), Secret>,
    foundations: BTreeMap<ClusterName, Foundation>,
    locks: BTreeMap<ClusterName, Holder>,
    journals: BTreeMap<ClusterName, Vec<(RunId, Vec<Record>)>>,
}

/// A store in memory. Clones are handles on the same one.
#[derive(Clone, Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
}

impl MemoryStore {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of the secrets that are kept for a cluster.
    pub fn secret_names(&self, cluster: &ClusterName) -> Vec<String> {
        let kept = self.kept();
        kept.secrets.keys().filter(|(owner, _)| owner == cluster).map(|(_, name)| name.clone()).collect()
    }
}

impl Store for MemoryStore {
    fn secret(&self, cluster: &ClusterName, name: &str) -> Result<Option<Secret>, StoreError> {
        Ok(self.kept().secrets.get(&(cluster.clone(), name.to_string())).cloned())
    }

    fn keep_secret(&self, cluster: &ClusterName, name: &str, secret: &Secret) -> Result<(), StoreError> {
        self.kept().secrets.insert((cluster.clone(), name.to_string()), secret.clone());
        Ok(())
    }

    fn forget_secret(&self, cluster: &ClusterName, name: &str) -> Result<(), StoreError> {
        self.kept().secrets.remove(&(cluster.clone(), name.to_string()));
        Ok(())
    }

    fn secrets(&self, cluster: &ClusterName) -> Result<Vec<String>, StoreError> {
        Ok(self.secret_names(cluster))
    }

    fn foundation(&self, cluster: &ClusterName) -> Result<Option<Foundation>, StoreError> {
        Ok(self.kept().foundations.get(cluster).cloned())
    }

    fn keep_foundation(&self, cluster: &ClusterName, foundation: &Foundation) -> Result<(), StoreError> {
        self.kept().foundations.insert(cluster.clone(), foundation.clone());
        Ok(())
    }

    fn forget_secrets(&self, cluster: &ClusterName) -> Result<(), StoreError> {
        self.kept().foundations.remove(cluster);
        self.kept().secrets.retain(|(owner, _), _| owner != cluster);
        Ok(())
    }

    fn lock(&self, cluster: &ClusterName, holder: &Holder) -> Result<Box<dyn Lock>, StoreError> {
        let mut kept = self.kept();
        if let Some(holder) = kept.locks.get(cluster) {
            return Err(StoreError::Busy { cluster: cluster.clone(), holder: holder.clone() });
        }
        kept.locks.insert(cluster.clone(), holder.clone());
        Ok(Box::new(Held { store: self.clone(), cluster: cluster.clone() }))
    }

    fn holder(&self, cluster: &ClusterName) -> Result<Option<Holder>, StoreError> {
        Ok(self.kept().locks.get(cluster).cloned())
    }

    fn start_journal(&self, cluster: &ClusterName, run: &RunId) -> Result<Box<dyn Journal>, StoreError> {
        self.kept().journals.entry(cluster.clone()).or_default().push((run.clone(), Vec::new()));
        Ok(Box::new(Pages { store: self.clone(), cluster: cluster.clone(), run: run.clone() }))
    }

    fn runs(&self, cluster: &ClusterName) -> Result<Vec<RunId>, StoreError> {
        let kept = self.kept();
        Ok(kept.journals.get(cluster).into_iter().flatten().map(|(run, _)| run.clone()).collect())
    }

    fn journal(&self, cluster: &ClusterName, run: &RunId) -> Result<Vec<Record>, StoreError> {
        let kept = self.kept();
        let found = kept.journals.get(cluster).into_iter().flatten().find(|(name, _)| name == run);
        Ok(found.map(|(_, records)| records.clone()).unwrap_or_default())
    }
}

struct Held {
    store: MemoryStore,
    cluster: ClusterName,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.kept().locks.remove(&self.cluster);
    }
}

struct Pages {
    store: MemoryStore,
    cluster: ClusterName,
    run: RunId,
}

impl Journal for Pages {
    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        let mut kept = self.store.kept();
        let journals = kept.journals.entry(self.cluster.clone()).or_default();
        // The newest run is the one that is written.
        if let Some((_, records)) = journals.iter_mut().rev().find(|(run, _)| *run == self.run) {
            records.push(record.clone());
        }
        Ok(())
    }
}
