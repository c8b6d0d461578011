//! Hands on machines and load balancers.
//!
//! Start reading at [`Provider`], the seam between the engine and every provider. Its rules stand in
//! `docs/contracts/provider.md`.
//!
//! # Invariants
//!
//! - Nothing here decides: anything of the form "if that, then rather this" is the planner's.
//! - Nothing here retries; every error is classified here and nowhere else, and the engine tries again.
//! - `observe` returns all that carries the owner mark and nothing else.

mod cloud_init;
pub mod existing;
pub mod hetzner;
mod login;
pub mod proxmox;
mod trust;

pub use login::{HostKey, Login};
pub use trust::{Trust, tls};

use async_trait::async_trait;
use kubewright_model::cloud::{CloudId, DesiredResource, ResourceSeen, Stray};
use kubewright_model::desired::{DesiredBackupJob, DesiredLoadBalancer, DesiredMachine};
use kubewright_model::ids::{ClusterName, NodeName, Owner, PlaceName, Vmid};
use kubewright_model::observed::{Inventory, LoadBalancerSeen, MachineSeen, Why};

/// What a provider is able to do at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It makes and deletes machines.
    pub machines: bool,
    /// It makes and deletes load balancers.
    pub load_balancers: bool,
    /// It grows a machine's disk in place.
    pub resize: bool,
    /// It keeps the state of a machine's disks.
    pub snapshots: bool,
}

/// A machine that is to go, and everything by which it must be recognised first.
#[derive(Clone, Copy, Debug)]
pub struct Doomed<'a> {
    /// Its name.
    pub name: &'a NodeName,
    /// Where it was seen.
    pub place: &'a PlaceName,
    /// Its number, where the provider has numbers.
    pub vmid: Option<Vmid>,
    /// The mark that it must carry.
    pub owner: &'a Owner,
}

/// What is wanted of a provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Machines that are to be made or changed.
    pub machines: &'a [&'a DesiredMachine],
    /// Machines that are to be snapshotted.
    pub snapshots: &'a [&'a NodeName],
    /// The job that is to be made or changed.
    pub backup_job: Option<&'a DesiredBackupJob>,
    /// What is to be kept around machines.
    pub resources: &'a [&'a DesiredResource],
    /// Load balancers that are to be made or changed.
    pub load_balancers: &'a [&'a DesiredLoadBalancer],
}

fn no_backup_jobs() -> ProviderError {
    let message = "this provider keeps no backup jobs".into();
    ProviderError { provider: "provider", kind: ErrorKind::Invalid, message, log: Vec::new(), help: None }
}

fn no_resources() -> ProviderError {
    let message = "this provider keeps nothing around its machines".into();
    ProviderError { provider: "provider", kind: ErrorKind::Invalid, message, log: Vec::new(), help: None }
}

fn no_snapshots() -> ProviderError {
    let message = "this provider takes no snapshots of machines".into();
    ProviderError { provider: "provider", kind: ErrorKind::Invalid, message, log: Vec::new(), help: None }
}

/// Something that we are not allowed to do, or that cannot be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who lacks what, and where.
    pub message: String,
    /// What would allow it.
    pub help: String,
}

/// Hands on machines and load balancers.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it is able to do at all.
    fn can(&self) -> Capabilities;

    /// All that carries the mark, and what of others stands in the way.
    async fn observe(&self, owner: &Owner) -> Result<Inventory, ProviderError>;

    /// What we are not allowed to do that is wanted. It is asked before anything is begun, and changes nothing.
    async fn preflight(&self, _wanted: Wanted<'_>) -> Result<Vec<Refusal>, ProviderError> {
        Ok(Vec::new())
    }

    /// Makes a machine, marked in the same request, and leaves it off. One that is there and matches is returned.
    async fn create(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError>;

    /// The public key that the machine's host is given when it is made and must show from the first contact on, where the
    /// provider gives it one.
    fn host_key(&self, _name: &NodeName) -> Option<String> {
        None
    }

    /// Whether nobody else is at work on a machine: an error that it is busy while a backup, or anybody's lock, holds it.
    async fn is_free(&self, _name: &NodeName, _owner: &Owner) -> Result<(), ProviderError> {
        Ok(())
    }

    /// What the provider is at for a machine at this moment, for people who wait for it: a task, and the last line of its
    /// log. It only tells, so what cannot be asked is nothing.
    async fn doing(&self, _name: &NodeName) -> Vec<String> {
        Vec::new()
    }

    /// Changes a machine where it is.
    async fn update(&self, machine: &DesiredMachine, owner: &Owner) -> Result<MachineSeen, ProviderError>;

    /// Turns a machine on; what waited for that is in force then. One that runs is left alone.
    async fn start(&self, name: &NodeName, owner: &Owner) -> Result<MachineSeen, ProviderError>;

    /// Shuts a machine down, and waits until it is off. One that is off is left alone.
    async fn shut_down(&self, name: &NodeName, owner: &Owner) -> Result<(), ProviderError>;

    /// Keeps the state of a machine's disks under this name, which carries our mark; its memory is not kept. One of this
    /// name that is there is left as it is.
    async fn take_snapshot(&self, _name: &NodeName, _snapshot: &str, _owner: &Owner) -> Result<(), ProviderError> {
        Err(no_snapshots())
    }

    /// Deletes these snapshots of a machine. One that is gone is no error; one without our mark is.
    async fn delete_snapshots(
        &self,
        _name: &NodeName,
        _snapshots: &[String],
        _owner: &Owner,
    ) -> Result<(), ProviderError> {
        Err(no_snapshots())
    }

    /// Makes the job with the owner's mark that backs machines up, or changes it.
    async fn set_backup_job(&self, _job: &DesiredBackupJob, _owner: &Owner) -> Result<(), ProviderError> {
        Err(no_backup_jobs())
    }

    /// Deletes that job. One that is gone is no error; the backups stay.
    async fn delete_backup_job(&self, _owner: &Owner) -> Result<(), ProviderError> {
        Err(no_backup_jobs())
    }

    /// Shuts a machine down that is to become a template, and makes one of it, which never starts again. What is one
    /// already is left alone.
    async fn turn_into_template(&self, _name: &NodeName, _owner: &Owner) -> Result<(), ProviderError> {
        let message = "this provider makes no templates".into();
        Err(ProviderError { provider: "provider", kind: ErrorKind::Invalid, message, log: Vec::new(), help: None })
    }

    /// Deletes a machine or a template with its disks. One that is gone is no error.
    async fn delete(&self, doomed: Doomed<'_>) -> Result<(), ProviderError>;

    /// Makes what a cloud keeps around servers, or changes it; what of it nobody wishes stays.
    async fn set_resource(&self, _wish: &DesiredResource, _owner: &Owner) -> Result<ResourceSeen, ProviderError> {
        Err(no_resources())
    }

    /// Deletes it. What is gone is no error; what does not carry our mark is.
    async fn delete_resource(&self, _resource: &CloudId, _owner: &Owner) -> Result<(), ProviderError> {
        Err(no_resources())
    }

    /// Deletes what the cluster itself has made. What is gone is no error.
    async fn delete_stray(&self, _stray: &Stray, _owner: &Owner) -> Result<(), ProviderError> {
        Err(no_resources())
    }

    /// Makes a load balancer, or changes it.
    async fn set_load_balancer(
        &self,
        wish: &DesiredLoadBalancer,
        owner: &Owner,
    ) -> Result<LoadBalancerSeen, ProviderError>;

    /// Deletes a load balancer. One that is gone is no error.
    async fn delete_load_balancer(&self, name: &ClusterName, owner: &Owner) -> Result<(), ProviderError>;
}

/// What kind of failure it is: the only thing that retries look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may pass: a dropped connection, a 5xx.
    Transient,
    /// Nobody is there to be asked. It passes when somebody starts it or mends the address, which few wait for.
    Unanswered,
    /// Something is locked or rationed; it passes when others are done.
    Busy,
    /// It is not there.
    NotFound,
    /// Something else is there.
    Conflict,
    /// We may not.
    Denied,
    /// There is no room left.
    Quota,
    /// The request was wrong.
    Invalid,
    /// A bug of ours.
    Bug,
}

/// Why a provider failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{provider}: {message}")]
pub struct ProviderError {
    /// Which provider.
    pub provider: &'static str,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What was seen, in the provider's own words.
    pub message: String,
    /// The last lines of the task's log.
    pub log: Vec<String>,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

impl ProviderError {
    /// Whether it may pass by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, ErrorKind::Transient | ErrorKind::Unanswered | ErrorKind::Busy)
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<ProviderError> for Why {
    fn from(error: ProviderError) -> Self {
        let lasts = !error.may_pass() || error.kind == ErrorKind::Unanswered;
        // Whose words they are is said wherever they are told.
        Self { words: error.message, lasts, help: error.help }
    }
}
