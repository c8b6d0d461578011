//! A world whose machines are on the pretend Proxmox cluster, and what runs on them in our own pretend data centre.
//!
//! Each deed on a machine is done in both: by the real adapter, and by the simulator once that has succeeded. So the whole
//! life of a cluster goes over the adapter, with planner and executor as they are, and at every look both worlds tell what
//! they have. The simulator's clock stands still while the other world answers, which takes time of ours.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use kubewright_hosts::{DialError, Dialed, Holes, HostError, Hosts, Probe, Report};
use kubewright_model::desired::{DesiredBackupJob, DesiredLoadBalancer, DesiredMachine, Way};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{ClusterName, NodeName, Owner};
use kubewright_model::net::HostPort;
use kubewright_model::observed::{HostSeen, Inventory, LoadBalancerSeen, MachineSeen, Seen};
use kubewright_model::plan::HostChange;
use kubewright_model::recipe::Recipe;
use kubewright_providers::{Capabilities, Doomed, Provider, ProviderError, Refusal, Wanted};
use tokio::runtime::Runtime;

use crate::fake::Fake;

/// Hands on machines in both worlds. What is told is what the real adapter tells.
pub(super) struct Mirror {
    pub(super) theirs: Arc<dyn Provider>,
    pub(super) ours: Arc<dyn Provider>,
    /// Its clock is everybody's.
    pub(super) runtime: Arc<Runtime>,
}

impl Mirror {
    /// Asks the other world.
    fn ask<T: Send>(&self, call: impl Future<Output = T> + Send) -> T {
        let asked = || self.runtime.block_on(call);
        std::thread::scope(|scope| scope.spawn(asked).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[async_trait]
impl Provider for Mirror {
    fn can(&self) -> Capabilities {
        self.theirs.can()
    }

    async fn observe(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        self.ask(self.theirs.observe(owner))
    }

    async fn is_free(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.ask(self.theirs.is_free(name, owner))
    }

    async fn preflight(&self, wanted: Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        self.ask(self.theirs.preflight(wanted))
    }

    async fn create(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let made = self.ask(self.theirs.create(machine, owner))?;
        self.ours.create(machine, owner).await?;
        Ok(made)
    }

    fn host_key(&self, name: &NodeName) -> Option<String> {
        self.theirs.host_key(name)
    }

    async fn update(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let changed = self.ask(self.theirs.update(machine, owner))?;
        self.ours.update(machine, owner).await?;
        Ok(changed)
    }

    async fn start(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let started = self.ask(self.theirs.start(name, owner))?;
        self.ours.start(name, owner).await?;
        Ok(started)
    }

    async fn shut_down(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError> {
        self.ask(self.theirs.shut_down(name, owner))?;
        self.ours.shut_down(name, owner).await
    }

    async fn take_snapshot(&self, name: &NodeName, snapshot: &str, owner: &Owner) -> Result<(), ProviderError> {
        self.ask(self.theirs.take_snapshot(name, snapshot, owner))?;
        self.ours.take_snapshot(name, snapshot, owner).await
    }

    async fn delete_snapshots(&self, name: &NodeName, gone: &[String], owner: &Owner) -> Result<(), ProviderError> {
        self.ask(self.theirs.delete_snapshots(name, gone, owner))?;
        self.ours.delete_snapshots(name, gone, owner).await
    }

    async fn set_backup_job(&self, job: &DesiredBackupJob, owner: &Owner) -> Result<(), ProviderError> {
        self.ask(self.theirs.set_backup_job(job, owner))?;
        self.ours.set_backup_job(job, owner).await
    }

    async fn delete_backup_job(&self, owner: &Owner) -> Result<(), ProviderError> {
        self.ask(self.theirs.delete_backup_job(owner))?;
        self.ours.delete_backup_job(owner).await
    }

    async fn delete(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        self.ask(self.theirs.delete(doomed))?;
        self.ours.delete(doomed).await
    }

    async fn set_load_balancer(
        &self,
        wish: &DesiredLoadBalancer,
        owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        self.ask(self.theirs.set_load_balancer(wish, owner))
    }

    async fn delete_load_balancer(&self, name: &ClusterName, owner: &Owner) -> Result<(), ProviderError> {
        self.ask(self.theirs.delete_load_balancer(name, owner))
    }
}

/// Hands on our own pretend hosts. What root writes into a container's file on its hypervisor, both worlds read.
pub(super) struct Roots {
    pub(super) ours: Arc<dyn Hosts>,
    pub(super) fake: Shared,
}

/// The pretend cluster, which a test changes while a run goes on.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Fake>>);

impl Shared {
    pub(super) fn new(fake: Fake) -> Self {
        Self(Arc::new(Mutex::new(fake)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Fake> {
        self.0.lock().unwrap()
    }

    pub(super) fn tell(&self, python: &str) -> serde_json::Value {
        self.lock().tell(python)
    }
}

#[async_trait]
impl Hosts for Roots {
    async fn refresh(&self, host: &NodeName, way: &Way) -> Result<(), HostError> {
        self.ours.refresh(host, way).await
    }

    async fn upgrade(&self, host: &NodeName, way: &Way) -> Result<Report, HostError> {
        self.ours.upgrade(host, way).await
    }

    async fn observe(&self, probe: Probe<'_>) -> Seen<HostSeen> {
        self.ours.observe(probe).await
    }

    async fn change(&self, change: &HostChange, holes: &Holes) -> Result<Report, HostError> {
        let report = self.ours.change(change, holes).await?;
        for resource in &change.make {
            let HostResource::Lines { path, lines } = resource else { continue };
            let vmid = path.trim_start_matches("/etc/pve/lxc/").trim_end_matches(".conf");
            for features in lines.iter().filter_map(|line| line.strip_prefix("features: ")) {
                self.fake.tell(&format!("pve.ct({vmid}).config.update(features='{features}')"));
            }
        }
        Ok(report)
    }

    async fn run(
        &self,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        holes: &Holes,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Report, HostError> {
        self.ours.run(host, way, recipe, holes, tell).await
    }

    async fn dial(&self, host: &NodeName, way: &Way, at: &HostPort) -> Result<Dialed, DialError> {
        self.ours.dial(host, way, at).await
    }
}
