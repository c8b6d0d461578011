//! Vault in the pretend cluster: what it keeps is locked until somebody unseals it, and again with each restart of a pod.

use std::collections::BTreeSet;

use kubewright_model::vault::{DesiredVault, VaultSeen, VaultSettings};
use serde::{Deserialize, Serialize};

use super::conditions::Answer;
use super::state::State;
use crate::cluster::ClusterError;

/// The chart that brings it.
const CHART: &str = "vault";

/// A Vault that was initialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vault {
    /// Pods that were unsealed since they were started.
    pub open: BTreeSet<String>,
    /// What is set in it.
    pub settings: VaultSettings,
}

impl State {
    /// What it keeps goes with its release.
    pub(super) fn forget_vault(&mut self) {
        if !self.cluster.releases.values().any(|release| release.chart == CHART) {
            self.cluster.vault = None;
        }
    }

    /// Each of its pods is a new one, with the volume that it had.
    pub(super) fn seal_vault(&mut self) {
        self.cluster.vault.iter_mut().for_each(|vault| vault.open.clear());
    }

    /// What a look shows, where its release is there.
    pub(super) fn vault_seen(&self, now: u64) -> Option<VaultSeen> {
        self.runs(CHART, now).ok()?;
        let Some(vault) = &self.cluster.vault else { return Some(VaultSeen::default()) };
        let pods = self.vault.iter().flat_map(|wish| &wish.pods);
        let sealed: BTreeSet<String> = pods.filter(|pod| !vault.open.contains(*pod)).cloned().collect();
        let readable = !vault.open.is_empty();
        let settings = readable.then(|| vault.settings.clone());
        Some(VaultSeen { initialized: true, sealed, has_keys: true, settings, ..VaultSeen::default() })
    }

    pub(super) fn configure_vault(&mut self, wish: &DesiredVault, now: u64) -> Result<bool, ClusterError> {
        let silent = |why: String| ClusterError::Refused { what: "Vault".into(), why, log: Vec::new() };
        self.runs(CHART, now).map_err(silent)?;
        let open = wish.pods.iter().cloned().collect();
        let made = Vault { open, settings: wish.settings() };
        let was = self.cluster.vault.replace(made.clone());
        Ok(was != Some(made))
    }

    pub(super) fn vault_open(&self, wish: &DesiredVault, now: u64) -> Answer {
        self.runs(CHART, now).map_err(|why| (why, "install it".to_string()))?;
        let Some(vault) = &self.cluster.vault else {
            return Err(("Vault is not initialised".into(), "`kubewright apply` initialises it".into()));
        };
        match wish.pods.iter().find(|pod| !vault.open.contains(*pod)) {
            Some(pod) => Err((format!("{pod} is sealed"), "`kubewright apply` unseals it".into())),
            None => Ok(format!("{} of {} servers of Vault are unsealed", wish.pods.len(), wish.pods.len())),
        }
    }
}
