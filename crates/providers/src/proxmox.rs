//! Proxmox VE: containers and virtual machines of one cluster, over its API.
//!
//! A machine is ours when the tag of the cluster is on it, and it is the one that is meant when its name is right too.
//! Where it is does not matter: a machine that was moved is the same machine.

mod backups;
mod call;
mod change;
mod classify;
mod client;
mod guest;
mod ha;
mod images;
mod machines;
mod notes;
mod permissions;
mod preflight;
mod seed;
mod settings;
mod snapshots;
mod survey;
mod tasks;
mod templates;
mod wish;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kubewright_model::desired::{DesiredBackupJob, DesiredLoadBalancer, DesiredMachine};
use kubewright_model::ids::{ClusterName, NodeName, Owner};
use kubewright_model::observed::{Inventory, LoadBalancerSeen, MachineSeen};

use self::call::Guest;
use self::client::{Client, error};
use self::tasks::Tasks;
use crate::login::User;
use crate::{Capabilities, Doomed, ErrorKind, Login, Provider, ProviderError, Refusal, Wanted};

pub use permissions::Lacking;
pub use settings::{Identity, Settings};

/// One Proxmox VE cluster.
pub struct Proxmox {
    client: Arc<Client>,
    tasks: Tasks,
    pool: Option<String>,
    logins: BTreeMap<NodeName, Login>,
    /// Where machines were when they were last seen. Only where to look first: nothing is written to a guest that has not
    /// shown its mark and its name again.
    places: Mutex<BTreeMap<NodeName, Guest>>,
    images: images::Known,
}

impl Proxmox {
    /// The cluster with these settings. Nothing is asked of it yet.
    pub fn new(settings: Settings) -> Result<Self, ProviderError> {
        let client = Arc::new(Client::new(&settings)?);
        let Settings { pool, logins, .. } = settings;
        Ok(Self {
            tasks: Tasks::new(client.clone()),
            client,
            pool,
            logins,
            places: Mutex::default(),
            images: Default::default(),
        })
    }

    /// Who logs into a machine that is to be made.
    fn user(&self, machine: &DesiredMachine) -> Result<Option<User<'_>>, ProviderError> {
        let Some(login) = self.logins.get(&machine.name) else { return Ok(None) };
        let refuse = |what: &str, why: &str| error(ErrorKind::Invalid, format!("{what}: {why}"));
        let keys = login.keys.as_ref().map_err(|why| refuse("nobody could log in", why))?;
        let password_hash = login.password_hash.as_ref().map_err(|why| refuse("the console's password", why))?.as_ref();
        if let Some(hash) = password_hash {
            wish::is_hash(hash).map_err(|why| refuse("the console's password", why))?;
        }
        Ok(Some(User { name: &login.user, keys, password_hash, host_key: login.host_key.as_ref() }))
    }

    fn known(&self, name: &NodeName) -> Option<Guest> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn knows(&self, name: &NodeName, guest: &Guest) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), guest.clone());
    }

    fn forgets(&self, name: &NodeName) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn no_load_balancers() -> ProviderError {
    error(ErrorKind::Invalid, "Proxmox VE has no load balancers")
}

#[async_trait]
impl Provider for Proxmox {
    fn can(&self) -> Capabilities {
        Capabilities { machines: true, load_balancers: false, resize: true, snapshots: true }
    }

    async fn observe(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        self.inventory(owner).await
    }

    async fn preflight(&self, wanted: Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        self.refusals(wanted).await
    }

    async fn create(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.make(machine, owner).await
    }

    fn host_key(&self, name: &NodeName) -> Option<String> {
        Some(self.logins.get(name)?.host_key.as_ref()?.public.clone())
    }

    async fn is_free(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        let found = self.find(name, owner).await?;
        match found.as_ref().and_then(|ours| Some((&ours.guest, ours.config.get("lock")?))) {
            None => Ok(()),
            Some((guest, lock)) => Err(error(ErrorKind::Busy, format!("{guest} is locked ({lock})"))),
        }
    }

    async fn doing(&self, name: &NodeName) -> Vec<String> {
        self.tasks.doing(self.known(name).map(|guest| guest.vmid)).await
    }

    async fn update(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.change(machine, owner).await
    }

    async fn start(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.turn_on(name, owner).await
    }

    async fn shut_down(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        let ours = self.ours(name, owner).await?;
        self.turn_off(&ours.guest).await
    }

    async fn take_snapshot(&self, name: &NodeName, snapshot: &str, owner: &Owner) -> Result<(), ProviderError> {
        self.snapshot(name, snapshot, owner).await
    }

    async fn delete_snapshots(&self, name: &NodeName, gone: &[String], owner: &Owner) -> Result<(), ProviderError> {
        self.drop_snapshots(name, gone, owner).await
    }

    async fn set_backup_job(&self, job: &DesiredBackupJob, owner: &Owner) -> Result<(), ProviderError> {
        self.keep_backup_job(job, owner).await
    }

    async fn delete_backup_job(&self, owner: &Owner) -> Result<(), ProviderError> {
        self.drop_backup_job(owner).await
    }

    async fn turn_into_template(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.make_template(name, owner).await
    }

    async fn delete(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        self.remove(doomed).await
    }

    async fn set_load_balancer(
        &self,
        _wish: &DesiredLoadBalancer,
        _owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        Err(no_load_balancers())
    }

    async fn delete_load_balancer(&self, _name: &ClusterName, _owner: &Owner) -> Result<(), ProviderError> {
        Err(no_load_balancers())
    }
}
