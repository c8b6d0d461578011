//! The world that the engine works on: every seam, real or simulated.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kubewright_hosts::Hosts;
use kubewright_model::ids::ProviderName;
use kubewright_providers::Provider;

use crate::cluster::ClusterApi;
use crate::holes::Secrets;
use crate::store::Store;

/// Every seam to the outside but the store.
#[derive(Clone)]
pub struct World {
    /// Hands on machines, by the provider's name. A provider that the spec names and that is not in here has no hands
    /// in this version of the program.
    pub providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// Hands on hosts; none when this version of the program has none.
    pub hosts: Option<Arc<dyn Hosts>>,
    /// Hands on the cluster; none when this version of the program has none.
    pub cluster: Option<Arc<dyn ClusterApi>>,
    /// It is a pretend world, and every screen says so.
    pub simulated: bool,
    /// The spec's folder: files that the spec names relatively are in it.
    pub folder: PathBuf,
}

impl World {
    /// The real world, as far as this version of the program reaches it: not at all yet.
    pub fn real(folder: impl Into<PathBuf>) -> Self {
        Self { providers: BTreeMap::new(), hosts: None, cluster: None, simulated: false, folder: folder.into() }
    }

    /// Where values of holes are.
    pub(crate) fn secrets<'a>(&'a self, store: &'a dyn Store) -> Secrets<'a> {
        Secrets { store, simulated: self.simulated, folder: &self.folder }
    }
}
