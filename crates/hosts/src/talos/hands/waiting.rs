//! What a node of Talos is waited for: that it comes back from a restart, and that something holds on it.

use std::future::Future;
use std::time::Duration;

use kubewright_model::desired::Way;
use kubewright_model::ids::NodeName;
use tokio::time::Instant;

use super::{Met, TalosHosts, failed};
use crate::HostError;
use crate::talos::{Talos, TalosError};

/// Between two looks: soon enough that nobody notices, and no load for a node.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A node that was told to start again goes down within seconds, when its services have ended; one that works is asked to
/// drain itself first.
const GOES_DOWN: Duration = Duration::from_secs(5 * 60);
/// Firmware of servers takes minutes, and an installation pulls an image and writes it to a disk.
pub(super) const COMES_BACK: Duration = Duration::from_secs(15 * 60);

impl TalosHosts {
    /// Looks until something holds on a node of ours; the error is what was seen last, with the log that tells most.
    pub(super) async fn until<T, F>(
        &self,
        host: &NodeName,
        way: &Way,
        wait: Wait<'_>,
        look: impl Fn(Talos) -> F,
    ) -> Result<T, HostError>
    where
        F: Future<Output = Result<Result<T, String>, TalosError>>,
    {
        let deadline = Instant::now() + wait.within;
        let mut told = String::new();
        loop {
            let seen = match self.meet_ours(way).await {
                Ok(talos) => look(talos).await,
                Err(error) => Err(error),
            };
            let why = match seen {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(not_yet)) => not_yet,
                Err(error) if error.may_pass() || wait.comes_back && is_on_its_way(&error) => error.to_string(),
                Err(error) => return Err(failed(host, wait.what, error)),
            };
            if Instant::now() + LOOK_AGAIN > deadline {
                return Err(self.late(host, way, wait, why).await);
            }
            if why != told {
                (wait.tell)(format!("{} on {host}: {why}", wait.what));
                told = why;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn late(&self, host: &NodeName, way: &Way, wait: Wait<'_>, why: String) -> HostError {
        let log = match (wait.log, self.meet_ours(way).await) {
            (Some(service), Ok(talos)) => talos.log(service, LOG_LINES).await.unwrap_or_default(),
            _ => Vec::new(),
        };
        let why = format!("not within {} min: {why}", wait.within.as_secs() / 60);
        HostError::Failed { host: host.clone(), what: wait.what.into(), why, log }
    }

    /// Waits until a node that was told to start again has done so: it is away, or it is another one already.
    pub(super) async fn goes_down<F: Future<Output = bool>>(&self, way: &Way, is_another: impl Fn(Talos) -> F) {
        let deadline = Instant::now() + GOES_DOWN;
        while Instant::now() < deadline {
            let ours = self.ours().ok().flatten();
            match self.meet(way, ours.as_ref()).await {
                Ok(Met::Ours(talos)) if !is_another(talos.clone()).await => tokio::time::sleep(LOOK_AGAIN).await,
                _ => return,
            }
        }
    }

    /// Waits until a node waits for its configuration; returns whether it was found to. Where nobody knows at which address it
    /// does, it is enough that it is gone from its own.
    pub(super) async fn until_it_waits(
        &self,
        host: &NodeName,
        way: &Way,
        within: Duration,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<bool, HostError> {
        let known = way.talos.as_ref().is_some_and(|talos| talos.maintenance.is_some());
        let deadline = Instant::now() + within;
        let what = "waiting until it is in maintenance mode";
        let mut told = String::new();
        loop {
            let ours = self.ours().map_err(|error| failed(host, what, error))?;
            let (gone, why) = match self.meet(way, ours.as_ref()).await {
                Ok(Met::Waits(_)) => return Ok(true),
                Ok(Met::Ours(_)) => (false, "it still has its configuration".to_string()),
                Err(error) => (matches!(error, TalosError::Unreachable { .. }), error.to_string()),
            };
            if Instant::now() + LOOK_AGAIN > deadline {
                if gone && !known {
                    return Ok(false);
                }
                let why = format!("not within {} min: {why}", within.as_secs() / 60);
                return Err(HostError::Failed { host: host.clone(), what: what.into(), why, log: Vec::new() });
            }
            if why != told {
                tell(format!("{what} on {host}: {why}"));
                told = why;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Whether a node that comes back may still answer as what it was.
fn is_on_its_way(error: &TalosError) -> bool {
    matches!(error, TalosError::InMaintenance | TalosError::NotInMaintenance)
}

/// Lines of a log that tell the cause.
const LOG_LINES: u16 = 20;

/// What is waited for.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a> {
    /// In words: `waiting until …`.
    pub(super) what: &'a str,
    /// How long at most.
    pub(super) within: Duration,
    /// Talos' service whose log tells the cause when it fails.
    pub(super) log: Option<&'a str>,
    /// It is on its way from maintenance mode, or through a restart: it is not taken at its first word.
    pub(super) comes_back: bool,
    pub(super) tell: &'a (dyn Fn(String) + Send + Sync),
}
