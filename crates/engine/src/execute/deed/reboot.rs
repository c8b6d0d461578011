//! A host is started again from within.

use std::cell::Cell;
use std::time::Duration;

use kubewright_hosts::Probe;
use kubewright_model::desired::Way;
use kubewright_model::host::HostResource;
use kubewright_model::ids::NodeName;
use kubewright_model::observed::{HostSeen, Seen};
use tokio::time::Instant;

use super::super::Saying;
use super::machines::idle;
use super::{BOOT, FIRST_LOOK, Fault, Hands, LONGEST_LOOK, Tell, tell_once};
use crate::retry::{DEED, retry};

impl Hands<'_> {
    /// Starts a host again unless it was since it was seen, and waits until it works as before. The answer to being told so
    /// may be lost with the host, so before it is told once more it is looked whether it has not gone already.
    pub(super) async fn reboot(&self, host: &NodeName, way: &Way, boot: &str, tell: Tell<'_>) -> Result<bool, Fault> {
        let hands = self.hosts()?;
        let look = || hands.observe(Probe { host, way, resources: &[], holds_data: false, updates: false });
        let anew = |seen: &HostSeen| seen.boot.as_ref().is_some_and(|it| it.id != boot);
        let changed = Cell::new(false);
        if !look().await.present().is_some_and(anew) {
            patiently!(tell, async {
                // A first try may have been heard although nobody answered.
                match changed.get() && look().await.present().is_none_or(anew) {
                    true => Ok(()),
                    false => {
                        changed.set(true);
                        hands.reboot(host, way).await
                    }
                }
            })?;
        }
        self.is_back(host, way, boot, tell).await?;
        Ok(changed.get())
    }

    /// Upgrades the packages of a host, starts it again where they want that, and sees to it that what we run there runs.
    /// What a run that was cut off has upgraded already may still want the start.
    pub(super) async fn update_host(&self, host: &NodeName, way: &Way, tell: Tell<'_>) -> Result<bool, Fault> {
        let hands = self.hosts()?;
        if self.booting.contains(host) || !self.looked_at.contains(host) {
            self.answers(host, way, &[], tell).await?;
        }
        let report = patiently!(tell, hands.upgrade(host, way))?;
        report.told.into_iter().for_each(|told| tell(Saying::Tells(told)));
        let seen = hands.observe(Probe { host, way, resources: &[], holds_data: false, updates: false }).await;
        let boot = match &seen {
            Seen::Present(seen) => seen.boot.clone().unwrap_or_default(),
            Seen::Absent => return Err(Fault::from(format!("{host} is gone after its packages were upgraded"))),
            Seen::Unknown(why) => {
                return Err(Fault::from(format!("{host} cannot be looked at after its packages were upgraded: {why}")));
            }
        };
        match &boot.wanted {
            Some(wanted) => {
                tell(Saying::Tells(format!("starting {host} again: {wanted}")));
                self.reboot(host, way, &boot.id, tell).await?;
                Ok(true)
            }
            None => {
                if report.changed && self.looked_at.contains(host) {
                    self.answers(host, way, &self.started_with(host), tell).await?;
                }
                Ok(report.changed)
            }
        }
    }

    /// Waits until a host has been started again and its Kubernetes runs. The books take a node for Ready for a while after
    /// it has gone, so its own word counts.
    async fn is_back(&self, host: &NodeName, way: &Way, boot: &str, tell: Tell<'_>) -> Result<(), Fault> {
        let hands = self.hosts()?;
        let units = self.started_with(host);
        let began = Instant::now();
        let (mut wait, mut told): (Duration, _) = (FIRST_LOOK, String::new());
        loop {
            let seen = hands.observe(Probe { host, way, resources: &units, holds_data: false, updates: false }).await;
            let Some(why) = keeps_waiting(&seen, boot, &units) else { return Ok(()) };
            if began.elapsed() + wait > BOOT {
                let within = BOOT.as_secs() / 60;
                let cause = format!("{host} was told to start again and was not back within {within} minutes");
                let hint = Some("look at the machine's console; then run again".to_string());
                return Err(Fault { causes: vec![cause, why], log: Vec::new(), hint, lasts: false });
            }
            tell_once(tell, &mut told, format!("waiting until {host} is back: {why}"));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_LOOK);
        }
    }
}

/// Why a host that was told to start again does not work as before yet.
fn keeps_waiting(seen: &Seen<HostSeen>, boot: &str, units: &[HostResource]) -> Option<String> {
    let seen = match seen {
        Seen::Present(seen) => seen,
        Seen::Absent => return Some("nothing answers".into()),
        Seen::Unknown(why) => return Some(why.to_string()),
    };
    match &seen.boot {
        None => Some("it does not tell how it was started".into()),
        Some(now) if now.id == boot => Some("it has not gone down yet".into()),
        Some(now) => {
            let waits = |what: &str| format!("{what} does not run yet");
            now.awaits.clone().or_else(|| idle(units, seen).map(waits))
        }
    }
}
