//! Machines that are there already: this provider neither makes nor deletes any.
//!
//! It knows what the spec says and nothing else, for nobody else can be asked. Whether a machine answers is not seen
//! here but by the look at its host, which says at which layer it does not.

use async_trait::async_trait;
use kubewright_model::desired::{Body, Desired, DesiredLoadBalancer, DesiredMachine};
use kubewright_model::ids::{ClusterName, NodeName, Owner};
use kubewright_model::observed::{Inventory, LoadBalancerSeen, MachineSeen, Power};
use kubewright_model::setting::Settings;

use crate::{Capabilities, Doomed, ErrorKind, Provider, ProviderError};

/// Machines that are there already.
pub struct Existing {
    owner: Owner,
    machines: Vec<DesiredMachine>,
}

impl Existing {
    /// Those of a cluster's machines that are there already.
    pub fn new(desired: &Desired) -> Self {
        let machines = desired.machines.iter().filter(|machine| *machine.body == Body::Existing);
        Self { owner: desired.owner.clone(), machines: machines.cloned().collect() }
    }

    fn find(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let found = self.machines.iter().find(|machine| machine.name == *name && *owner == self.owner);
        let missing = || error(ErrorKind::NotFound, format!("no host {name} is there, and nobody makes one here"));
        Ok(there(found.ok_or_else(missing)?, owner))
    }
}

/// A machine that is there, as far as anybody can tell who has not asked its host: it is what the spec says.
pub fn there(machine: &DesiredMachine, owner: &Owner) -> MachineSeen {
    MachineSeen {
        public: None,
        owner: owner.clone(),
        place: machine.place.clone(),
        vmid: None,
        power: Power::Running,
        address: machine.address,
        settings: Settings::default(),
        protected: false,
        pending: false,
        template: None,
        ha_of_ours: false,
    }
}

fn error(kind: ErrorKind, message: String) -> ProviderError {
    ProviderError { provider: "existing", kind, message, log: Vec::new(), help: None }
}

fn no_balancers() -> ProviderError {
    error(ErrorKind::Invalid, "hosts that are there already bring no load balancer".into())
}

#[async_trait]
impl Provider for Existing {
    fn can(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn observe(&self, owner: &Owner) -> Result<Inventory, ProviderError> {
        let ours = self.machines.iter().filter(|_| *owner == self.owner);
        let machines = ours.map(|machine| (machine.name.clone(), there(machine, owner)));
        Ok(Inventory { machines: machines.collect(), ..Inventory::default() })
    }

    async fn create(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.find(&machine.name, owner)
    }

    async fn update(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        let seen = self.find(&machine.name, owner)?;
        if seen == there(machine, owner) {
            return Ok(seen);
        }
        let why = format!("{} is there already and is not made larger or moved by us", machine.name);
        Err(error(ErrorKind::Invalid, why))
    }

    /// Whether it runs is seen when its host answers.
    async fn start(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError> {
        self.find(name, owner)
    }

    async fn shut_down(&self, name: &NodeName, _owner: &Owner) -> Result<(), ProviderError> {
        Err(error(ErrorKind::Invalid, format!("{name} was there before us, and is not ours to shut down")))
    }

    async fn delete(&self, doomed: Doomed<'_>) -> Result<(), ProviderError> {
        let why = format!("{} was there before us, and it is not ours to delete", doomed.name);
        Err(error(ErrorKind::Denied, why))
    }

    async fn set_load_balancer(
        &self,
        _wish: &DesiredLoadBalancer,
        _owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError> {
        Err(no_balancers())
    }

    async fn delete_load_balancer(&self, _name: &ClusterName, _owner: &Owner) -> Result<(), ProviderError> {
        Err(no_balancers())
    }
}
