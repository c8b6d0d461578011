//! Deeds at providers: the life of machines, and what stands beside them.

use std::time::Duration;

use kubewright_hosts::Probe;
use kubewright_model::desired::{Body, Way};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::observed::{CloudInit, HostSeen, Seen};
use kubewright_model::plan::Action;
use kubewright_providers::Doomed;
use tokio::time::Instant;

use super::super::Saying;
use super::{BOOT, FIRST_LOOK, Fault, Hands, LONGEST_LOOK, Tell, tell_once};
use crate::retry::{DEED, retry};

/// A first boot may upgrade every package over a slow line.
const FIRST_BOOT: Duration = Duration::from_secs(30 * 60);

/// Between two words about what a provider is at.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// The machine that an action at a provider is about.
pub(super) fn machine(action: &Action) -> Option<(&ProviderName, &NodeName)> {
    match action {
        Action::CreateMachine(machine) | Action::UpdateMachine(machine) => Some((&machine.provider, &machine.name)),
        Action::StartMachine { provider, name, .. }
        | Action::RestartMachine { provider, name, .. }
        | Action::TakeSnapshot { provider, name, .. }
        | Action::DeleteSnapshots { provider, name, .. }
        | Action::TurnIntoTemplate { provider, name }
        | Action::FenceMachine { provider, name }
        | Action::DeleteMachine { provider, name, .. } => Some((provider, name)),
        _ => None,
    }
}

impl Hands<'_> {
    /// Waits for a deed, and tells every minute what the provider is at.
    pub(super) async fn watched<T>(&self, action: &Action, tell: Tell<'_>, deed: impl Future<Output = T>) -> T {
        let Some((name, provider)) =
            machine(action).and_then(|(provider, name)| Some((name, self.world.providers.get(provider)?)))
        else {
            return deed.await;
        };
        let mut deed = std::pin::pin!(deed);
        loop {
            let words = async {
                tokio::time::sleep(TOLD_AGAIN).await;
                provider.doing(name).await
            };
            tokio::select! {
                biased;
                done = &mut deed => return done,
                words = words => words.into_iter().for_each(|word| tell(Saying::Tells(word))),
            }
        }
    }

    /// Waits until nobody else holds a machine that is to be disturbed: its node goes out of service for what can begin.
    pub(super) async fn is_free(&self, node: &NodeName, tell: Tell<'_>) -> Result<(), Fault> {
        let Some(provider) = self.disturbed.get(node) else { return Ok(()) };
        let provider = self.provider(provider)?;
        patiently!(tell, provider.is_free(node, &self.desired.owner))?;
        Ok(())
    }

    /// Makes, changes, starts or deletes a machine.
    pub(super) async fn on_machine(&self, action: &Action, tell: Tell<'_>) -> Result<bool, Fault> {
        let owner = &self.desired.owner;
        match action {
            Action::CreateMachine(machine) => {
                let provider = self.provider(&machine.provider)?;
                self.is_new(&machine.name, provider.host_key(&machine.name)).await?;
                let seen = patiently!(tell, provider.create(machine, owner))?;
                self.world.doors.machine(&machine.name, &seen);
            }
            Action::UpdateMachine(machine) => {
                let provider = self.provider(&machine.provider)?;
                patiently!(tell, provider.update(machine, owner))?;
            }
            Action::StartMachine { provider, name, way, boots } => {
                let provider = self.provider(provider)?;
                if let Some(machine) = self.desired.machine(name).filter(|_| *boots) {
                    patiently!(tell, provider.update(machine, owner))?;
                }
                let seen = patiently!(tell, provider.start(name, owner))?;
                self.world.doors.machine(name, &seen);
                self.answers(name, way, &[], tell).await?;
            }
            Action::RestartMachine { provider, name, way, meanwhile, becomes } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.shut_down(name, owner))?;
                if let Some(machine) = becomes {
                    patiently!(tell, provider.update(machine, owner))?;
                }
                if let Some(change) = meanwhile {
                    self.change_host(action, change, true, tell).await?;
                }
                patiently!(tell, provider.start(name, owner))?;
                // The books take a node for Ready for a while after it has gone, so its own word counts.
                self.answers(name, way, &self.started_with(name), tell).await?;
            }
            Action::TurnIntoTemplate { provider, name } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.turn_into_template(name, owner))?;
            }
            Action::FenceMachine { provider, name } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.shut_down(name, owner))?;
            }
            Action::DeleteMachine { provider, place, name, vmid, owner } => {
                let provider = self.provider(provider)?;
                let doomed = Doomed { name, place, vmid: *vmid, owner };
                patiently!(tell, provider.delete(doomed))?;
            }
            _ => {}
        }
        Ok(true)
    }

    /// Snapshots, backup jobs and load balancers.
    pub(super) async fn beside_machines(&self, action: &Action, tell: Tell<'_>) -> Result<bool, Fault> {
        let owner = &self.desired.owner;
        match action {
            Action::TakeSnapshot { provider, name, snapshot } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.take_snapshot(name, snapshot, owner))?;
            }
            Action::DeleteSnapshots { provider, name, snapshots } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.delete_snapshots(name, snapshots, owner))?;
            }
            Action::SetBackupJob(job) => {
                let provider = self.provider(&job.provider)?;
                patiently!(tell, provider.set_backup_job(job, owner))?;
            }
            Action::DeleteBackupJob { provider } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.delete_backup_job(owner))?;
            }
            Action::SetResource(wish) => {
                let provider = self.provider(&wish.provider)?;
                patiently!(tell, provider.set_resource(wish, owner))?;
            }
            Action::DeleteResource { provider, resource } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.delete_resource(resource, owner))?;
            }
            Action::DeleteStray { provider, stray } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.delete_stray(stray, owner))?;
            }
            Action::SetLoadBalancer(wish) => {
                let provider = self.provider(&wish.provider)?;
                let seen = patiently!(tell, provider.set_load_balancer(wish, owner))?;
                self.world.doors.balancer(&wish.name, &seen);
            }
            Action::DeleteLoadBalancer { provider, name } => {
                let provider = self.provider(provider)?;
                patiently!(tell, provider.delete_load_balancer(name, owner))?;
            }
            _ => {}
        }
        Ok(true)
    }

    /// A host is made that nobody has seen before: the key of one that was there is its key no more.
    async fn is_new(&self, host: &NodeName, key: Option<String>) -> Result<(), Fault> {
        let wish = self.desired.all_hosts().find(|it| it.name == *host);
        if let (Some(hands), Some(wish)) = (&self.world.hosts, wish) {
            hands.is_new(host, &wish.way, key.as_deref()).await?;
        }
        Ok(())
    }

    /// Whether a cloud's server is without the address that it has in the private network: there is a card for it, which
    /// what is in the image brings up. An image without that has none, and now and then one comes up without.
    fn lacks_its_card(&self, host: &NodeName, seen: &HostSeen) -> bool {
        let machine = self.desired.machine(host).filter(|machine| matches!(*machine.body, Body::Server(_)));
        let (Some(address), Some(facts)) = (machine.and_then(|machine| machine.address), &seen.facts) else {
            return false;
        };
        !facts.addresses.is_empty() && !facts.addresses.iter().any(|there| there.address == address)
    }

    /// The units that run Kubernetes on a host; on one that only balances, all of ours.
    pub(super) fn started_with(&self, host: &NodeName) -> Vec<HostResource> {
        let member = self.desired.members.iter().any(|member| member.name == *host);
        let host = self.desired.hosts.iter().find(|it| it.name == *host);
        let resources = host.into_iter().flat_map(|host| &host.resources);
        let ours = |it: &&HostResource| it.kubernetes().is_some() || !member && matches!(it, HostResource::Unit(_));
        resources.filter(ours).cloned().collect()
    }

    /// Waits until a host that was started answers, cloud-init is done on it, and these units of it run.
    pub(super) async fn answers(
        &self,
        host: &NodeName,
        way: &Way,
        units: &[HostResource],
        tell: Tell<'_>,
    ) -> Result<(), Fault> {
        let hands = self.hosts()?;
        let began = Instant::now();
        let mut late = Late::Answers;
        let mut wait = FIRST_LOOK;
        let mut told = String::new();
        loop {
            let why =
                match hands.observe(Probe { host, way, resources: units, holds_data: false, updates: false }).await {
                    Seen::Present(seen) => match (seen.cloud_init.clone(), idle(units, &seen)) {
                        (Some(CloudInit::AtWork), _) => {
                            late = Late::CloudInit;
                            "cloud-init is at work there".to_string()
                        }
                        (_, Some(unit)) => format!("{unit} does not run yet"),
                        _ if self.lacks_its_card(host, &seen) => {
                            late = Late::Card;
                            "the network card of the private network is not up".to_string()
                        }
                        (Some(CloudInit::Failed(why)), None) => {
                            // What of it is ours is made true all the same.
                            tell(Saying::Tells(format!("cloud-init on {host} did not do all that it was to: {why}")));
                            return Ok(());
                        }
                        (None, None) => return Ok(()),
                    },
                    Seen::Absent => "nothing answers".to_string(),
                    Seen::Unknown(why) => why.to_string(),
                };
            if began.elapsed() + wait > late.after() {
                return Err(late.fault(host, why));
            }
            tell_once(tell, &mut told, format!("waiting for {host} to answer: {why}"));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_LOOK);
        }
    }
}

/// What a host that was started is waited for.
#[derive(Clone, Copy)]
enum Late {
    Answers,
    CloudInit,
    Card,
}

impl Late {
    fn after(self) -> Duration {
        match self {
            Self::Answers | Self::Card => BOOT,
            Self::CloudInit => FIRST_BOOT,
        }
    }

    fn fault(self, host: &NodeName, why: String) -> Fault {
        let within = format!("within {} minutes", self.after().as_secs() / 60);
        let (cause, hint) = match self {
            Self::Answers => (
                format!("{host} was started and did not answer {within}"),
                "look at the machine's console; then run again",
            ),
            Self::Card => (
                format!("{host} did not come into its private network {within}"),
                "`ip address` on it tells its cards; Hetzner's own images bring them up, and a restart helps at times",
            ),
            Self::CloudInit => (
                format!("cloud-init on {host} was not done {within}"),
                "/var/log/cloud-init-output.log on it tells what it does; then run again",
            ),
        };
        Fault { causes: vec![cause, why], log: Vec::new(), hint: Some(hint.into()), lasts: false }
    }
}

/// The first of these units that does not run. One that was never started there is not waited for.
pub(super) fn idle<'u>(units: &'u [HostResource], seen: &HostSeen) -> Option<&'u str> {
    let names = units.iter().filter_map(|resource| match resource {
        HostResource::Unit(unit) => Some(unit.name.as_str()),
        _ => None,
    });
    let waits = |name: &&str| seen.units.get(*name).is_some_and(|unit| !unit.active && unit.reads.is_some());
    names.into_iter().find(waits)
}
