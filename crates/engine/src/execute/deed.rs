//! One step's deed: the action, by the hands that it needs.
//!
//! The only thing decided here is that what is already true is not done again, for hosts that were not there to be seen
//! when the plan was made.

/// Calls hands with retries, telling of each.
macro_rules! patiently {
    ($tell:expr, $call:expr) => {
        retry(DEED, || $call, $tell).await
    };
}

mod applications;
mod bundle;
mod machines;
mod membership;
mod reboot;
mod waiting;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use kubewright_hosts::{Holes, HostError, Hosts, Probe};
use kubewright_model::condition::Condition;
use kubewright_model::desired::{Desired, Way};
use kubewright_model::digest::Digest;
use kubewright_model::event::{Failure, Outcome};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{NodeName, ProviderName};
use kubewright_model::observed::{CORDONED, CloudInit, HostSeen, Observed, Seen};
use kubewright_model::plan::{Action, HostChange, Plan, Step};
use kubewright_model::recipe::{Effect, Recipe};
use kubewright_model::rotation::KeyPart;
use kubewright_model::units::Span;
use kubewright_planner::diff::host::differing;
use kubewright_providers::{Provider, ProviderError};
use tokio::time::Instant;

use super::Saying;
use crate::cluster::{ClusterApi, ClusterError};
use crate::holes::Filler;
use crate::retry::{DEED, retry};
use crate::world::World;

/// A machine that was just started answers within a minute or two; a slow one with its disk check within ten.
const BOOT: Duration = Duration::from_secs(10 * 60);
/// Looks at something that is waited for start this far apart and slow down to [`LONGEST_LOOK`].
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Slow enough that hundreds of waits are no load, quick enough that people do not notice the difference.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Everything that deeds are done with.
pub struct Hands<'a> {
    world: &'a World,
    desired: &'a Desired,
    filler: Filler<'a>,
    /// Nodes whose machines this plan makes: they cannot hold anything of a cluster.
    made: BTreeSet<NodeName>,
    /// Servers and members of the datastore when the plan was made, and where each was.
    servers: BTreeMap<NodeName, Option<IpAddr>>,
    /// Servers that leave a cluster which lives on, and whether each falls silent while it is in the books.
    leaving: BTreeMap<NodeName, bool>,
    /// Hosts that answered when the plan was made.
    looked_at: BTreeSet<NodeName>,
    /// Machines that this plan changes, starts again or deletes, and who makes them.
    disturbed: BTreeMap<NodeName, ProviderName>,
    /// Hosts on which cloud-init was at work then.
    booting: BTreeSet<NodeName>,
    /// The digests of texts with holes, as far as their secrets exist.
    filled: BTreeMap<Digest, Digest>,
    /// Nodes of which a step has failed in this run, or was left out for another: nobody waits for them any longer.
    given_up: RefCell<BTreeSet<NodeName>>,
    /// Nodes that take no new pods because of this plan, or of an earlier one.
    cordoned: BTreeSet<NodeName>,
    /// Nodes that are still to begin or join in this run: the time of a wait for them has not begun.
    coming: RefCell<BTreeSet<NodeName>>,
}

pub(crate) type Tell<'t> = &'t (dyn Fn(Saying) + Send + Sync);

/// Why a deed failed, on its way to becoming words.
struct Fault {
    causes: Vec<String>,
    log: Vec<String>,
    hint: Option<String>,
    /// It will be so again until somebody mends it.
    lasts: bool,
}

impl From<String> for Fault {
    fn from(cause: String) -> Self {
        Self { causes: vec![cause], log: Vec::new(), hint: None, lasts: false }
    }
}

impl From<ProviderError> for Fault {
    fn from(error: ProviderError) -> Self {
        let (causes, lasts) = (vec![error.to_string()], !error.may_pass());
        Self { causes, log: error.log, hint: error.help, lasts }
    }
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        let causes = vec![error.to_string()];
        let help = error.help().map(str::to_string);
        let (log, hint) = match error {
            HostError::Failed { log, .. } => (log, help),
            _ => Default::default(),
        };
        Self { causes, log, hint, lasts: false }
    }
}

impl From<ClusterError> for Fault {
    fn from(error: ClusterError) -> Self {
        let causes = vec![error.to_string()];
        let log = match error {
            ClusterError::Refused { log, .. } => log,
            ClusterError::Unreachable(_) | ClusterError::Busy(_) => Vec::new(),
        };
        Self { causes, log, hint: None, lasts: false }
    }
}

impl<'a> Hands<'a> {
    /// Hands for one run of a plan, and what was seen when it was made.
    pub(crate) fn new(
        world: &'a World,
        desired: &'a Desired,
        filler: Filler<'a>,
        plan: &Plan,
        observed: Observed,
    ) -> Self {
        let made = plan.steps.iter().filter_map(|step| match &step.action {
            Action::CreateMachine(machine) => Some(machine.name.clone()),
            _ => None,
        });
        let disturbs = |action: &Action| {
            matches!(action, Action::UpdateMachine(_) | Action::RestartMachine { .. } | Action::DeleteMachine { .. })
        };
        let disturbed = plan.steps.iter().filter(|step| disturbs(&step.action));
        let disturbed = disturbed.filter_map(|step| machines::machine(&step.action));
        let coming = plan.steps.iter().filter_map(|step| starts(&step.action).cloned());
        let at_work = |seen: &Seen<HostSeen>| seen.present().is_some_and(|it| it.cloud_init == Some(CloudInit::AtWork));
        let booting = observed.hosts.iter().filter(|(_, seen)| at_work(seen)).map(|(name, _)| name.clone()).collect();
        let books = observed.cluster.as_ref().and_then(Seen::present);
        let servers = books.into_iter().flat_map(|seen| {
            let servers = seen.nodes.iter().filter(|(_, node)| node.server).map(|(name, node)| (name, node.address));
            servers.chain(seen.members.keys().map(|name| (name, seen.nodes.get(name).and_then(|node| node.address))))
        });
        // etcd may have taken in who is in no book yet.
        let halfway = observed.hosts.iter().filter(|(_, seen)| seen.present().is_some_and(HostSeen::may_vote));
        let halfway = halfway.map(|(name, _)| (name, None));
        let looked_at = observed.hosts.iter().filter(|(_, seen)| seen.present().is_some());
        let cluster = observed.cluster.as_ref().and_then(Seen::present);
        cluster.into_iter().for_each(|seen| filler.found(seen));
        let ours = cluster.into_iter().flat_map(|seen| &seen.nodes).filter(|(_, it)| it.labels.contains_key(CORDONED));
        let cordons = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Cordon(node) => Some(node),
            _ => None,
        });
        let cordoned = ours.map(|(name, _)| name).chain(cordons).cloned();
        Self {
            world,
            desired,
            filler,
            made: made.collect(),
            disturbed: disturbed.map(|(provider, name)| (name.clone(), provider.clone())).collect(),
            booting,
            servers: halfway.chain(servers).map(|(name, address)| (name.clone(), address)).collect(),
            leaving: membership::leaving(plan, &observed),
            looked_at: looked_at.map(|(name, _)| name.clone()).collect(),
            filled: observed.filled,
            cordoned: cordoned.collect(),
            given_up: RefCell::default(),
            coming: RefCell::new(coming.collect()),
        }
    }

    /// Does a step's deed.
    pub(crate) async fn perform(&self, step: &Step, tell: Tell<'_>) -> Outcome {
        match self.act(&step.action, !step.fields.is_empty(), tell).await {
            Ok(true) => Outcome::Done,
            Ok(false) => Outcome::AlreadyTrue,
            Err(fault) => {
                self.lets_back(step, tell).await;
                let told = |lines: Vec<String>| lines.iter().map(|line| self.filler.masked(line)).collect();
                let (causes, log) = (told(fault.causes), told(fault.log));
                let hint = fault.hint.map(|hint| self.filler.masked(&hint));
                Outcome::Failed(Failure { causes, log, hint, lasts: fault.lasts })
            }
        }
    }

    /// A node that is out of service for a change which failed takes pods again, where it works: nobody is to find it
    /// cordoned for nothing. One that leaves its cluster is past that when its pods have moved.
    async fn lets_back(&self, step: &Step, tell: Tell<'_>) {
        let node = match &step.action {
            Action::Drain { node, .. } => Some(node),
            Action::ChangeHost(_)
            | Action::UpdateHost { .. }
            | Action::RestartMachine { .. }
            | Action::TakeSnapshot { .. } => step.subject.node(),
            Action::RunRecipe { recipe, .. } if recipe.effect == Effect::Upgrade => step.subject.node(),
            _ => None,
        };
        let Some((node, hands)) = node.filter(|node| self.cordoned.contains(*node)).zip(self.cluster().ok()) else {
            return;
        };
        let ready = Condition::NodesReady { nodes: vec![node.clone()], at_least: 1 };
        if !hands.check(&ready).await.is_ok_and(|checked| checked.holds) {
            return;
        }
        tell(Saying::Tells(match hands.cordon(node, false).await {
            Ok(()) => format!("{node} takes pods again"),
            Err(error) => format!("{node} stays cordoned: {error}"),
        }));
    }

    /// What a step says, as others may hear it: programs print what they were given.
    pub(super) fn told(&self, saying: Saying) -> Saying {
        match saying {
            Saying::Tells(message) => Saying::Tells(self.filler.masked(&message)),
            Saying::Retries { attempt, after, error } => {
                Saying::Retries { attempt, after, error: self.filler.masked(&error) }
            }
            Saying::Filled(hole) => Saying::Filled(hole),
        }
    }

    /// Does an action; returns whether anything changed. `seen` tells that the plan was made from a sight of it.
    async fn act(&self, action: &Action, seen: bool, tell: Tell<'_>) -> Result<bool, Fault> {
        self.others_decide(action, tell).await?;
        match action {
            Action::CreateMachine(_)
            | Action::UpdateMachine(_)
            | Action::StartMachine { .. }
            | Action::RestartMachine { .. }
            | Action::TurnIntoTemplate { .. }
            | Action::FenceMachine { .. }
            | Action::DeleteMachine { .. } => self.watched(action, tell, self.on_machine(action, tell)).await,
            Action::TakeSnapshot { .. }
            | Action::DeleteSnapshots { .. }
            | Action::SetBackupJob(_)
            | Action::DeleteBackupJob { .. }
            | Action::SetResource(_)
            | Action::DeleteResource { .. }
            | Action::DeleteStray { .. }
            | Action::SetLoadBalancer(_)
            | Action::DeleteLoadBalancer { .. } => self.watched(action, tell, self.beside_machines(action, tell)).await,
            Action::ChangeHost(change) => self.change_host(action, change, seen, tell).await,
            Action::RebootHost { host, way, boot } => self.reboot(host, way, boot, tell).await,
            Action::RotateKey { file, part } => self.rotate_key(file, part, tell).await,
            Action::RotateSecret { secret, part } => Ok(self.filler.rotates(secret, *part).map(|()| true)?),
            Action::UpdateHost { host, way } => self.update_host(host, way, tell).await,
            Action::RunRecipe { host, way, recipe } => self.run_recipe(action, host, way, recipe, tell).await,
            Action::Cordon(_)
            | Action::Drain { .. }
            | Action::Uncordon(_)
            | Action::MarkNode(_)
            | Action::SetImage(_)
            | Action::ForgetMember(_)
            | Action::ApplyObjects(_)
            | Action::TakeObjects(_)
            | Action::DeleteObjects(_)
            | Action::InstallRelease(_)
            | Action::RemoveRelease { .. }
            | Action::ConfigureVault(_) => self.on_cluster(action, tell).await,
            Action::Wait { condition, timeout } => self.wait(condition, *timeout, tell).await,
            Action::SettleApplications(wish) => self.settle(wish, tell).await,
            Action::PackBundle(bundle) => self.pack(bundle, tell).await,
            Action::PruneBundles { from, keep, newest } => self.prune(from, keep, newest, tell).await,
        }
    }

    fn provider(&self, name: &ProviderName) -> Result<&Arc<dyn Provider>, Fault> {
        let missing = || Fault::from(format!("this version has no hands for provider {name}"));
        self.world.providers.get(name).ok_or_else(missing)
    }

    fn hosts(&self) -> Result<&Arc<dyn Hosts>, Fault> {
        self.world.hosts.as_ref().ok_or_else(|| Fault::from("this version has no hands for hosts".to_string()))
    }

    fn cluster(&self) -> Result<&Arc<dyn ClusterApi>, Fault> {
        self.world.cluster.as_ref().ok_or_else(|| Fault::from("this version has no hands for clusters".to_string()))
    }

    /// A host that was not there when the plan was made is looked at first, and only what differs is done.
    async fn change_host(
        &self,
        action: &Action,
        change: &HostChange,
        seen: bool,
        tell: Tell<'_>,
    ) -> Result<bool, Fault> {
        let hands = self.hosts()?;
        if self.booting.contains(&change.host) {
            self.answers(&change.host, &change.way, &[], tell).await?;
        }
        let holes = self.filler.values(action)?;
        let mut narrowed = None;
        if !seen {
            let probe = Probe {
                host: &change.host,
                way: &change.way,
                resources: &change.make,
                holds_data: false,
                updates: false,
            };
            if let Seen::Present(host) = hands.observe(probe).await {
                if let (Some(other), Some(ours)) = (&host.owner, &change.owner)
                    && other != ours
                {
                    return Err(Fault::from(format!("{} belongs to the cluster {}", change.host, other.0)));
                }
                let make: Vec<_> = differing(&change.make, &host, &self.filled)
                    .into_iter()
                    .map(|found| found.resource.clone())
                    .collect();
                if make.is_empty() && change.unmake.is_empty() {
                    return Ok(false);
                }
                narrowed = Some(HostChange { make, ..change.clone() });
            }
        }
        let mut change = narrowed.unwrap_or_else(|| change.clone());
        settle_reads(&mut change, &holes, &self.filled);
        let report = patiently!(tell, hands.change(&change, &holes))?;
        report.told.into_iter().for_each(|told| tell(Saying::Tells(told)));
        Ok(report.changed)
    }

    async fn rotate_key(&self, file: &str, part: &KeyPart, tell: Tell<'_>) -> Result<bool, Fault> {
        let hands = self.hosts()?;
        Ok(patiently!(tell, hands.rotate_key(file, part))?.changed)
    }

    async fn run_recipe(
        &self,
        action: &Action,
        host: &NodeName,
        way: &Way,
        recipe: &Recipe,
        tell: Tell<'_>,
    ) -> Result<bool, Fault> {
        let joins = matches!(recipe.effect, Effect::JoinServer | Effect::JoinAgent);
        if joins && self.is_member_already(host, way).await? {
            return Ok(false);
        }
        if recipe.effect == Effect::JoinServer {
            self.nobody_learns(host, tell).await?;
        }
        if recipe.effect.begins() {
            if self.is_member_already(host, way).await? {
                return Err(Fault::from(format!("{host} belongs to a cluster already, so no new one is begun on it")));
            }
            self.nobody_serves(tell).await?;
            self.filler.begins(recipe.effect == Effect::Restore)?;
        }
        self.somebody_serves(action, tell).await?;
        let hands = self.hosts()?;
        let holes = self.filler.values(action)?;
        let say = |message: String| tell(Saying::Tells(message));
        let first = Cell::new(true);
        let run = async || {
            if !first.replace(false) && recipe.effect == Effect::Leave {
                self.stays_out(host, way, tell).await?;
            }
            hands.run(host, way, recipe, &holes, &say).await
        };
        let report = patiently!(tell, run())?;
        report.told.into_iter().for_each(|told| tell(Saying::Tells(told)));
        for hole in report.gave.keys() {
            tell(Saying::Filled(hole.clone()));
        }
        self.filler.give(report.gave)?;
        match recipe.effect {
            Effect::Init | Effect::Restore | Effect::JoinServer => self.filler.serves(host),
            Effect::Leave => self.filler.leaves(host),
            _ => {}
        }
        Ok(report.changed)
    }

    async fn on_cluster(&self, action: &Action, tell: Tell<'_>) -> Result<bool, Fault> {
        let hands = self.cluster()?;
        let owner = &self.desired.owner;
        let say = |message: String| tell(Saying::Tells(message));
        match action {
            Action::Cordon(node) => {
                self.is_free(node, tell).await?;
                patiently!(tell, hands.cordon(node, true))?;
            }
            Action::Uncordon(node) => patiently!(tell, hands.cordon(node, false))?,
            Action::Drain { node, timeout } => {
                self.is_free(node, tell).await?;
                let began = Instant::now();
                patiently!(tell, hands.drain(node, left(*timeout, began), &say))?;
            }
            Action::MarkNode(marks) => return Ok(patiently!(tell, hands.mark(marks))?),
            Action::SetImage(wish) => return Ok(patiently!(tell, hands.set_image(wish))?),
            Action::ForgetMember(node) => self.forget(node, tell).await?,
            Action::ApplyObjects(objects) => {
                let holes = self.filler.values(action)?;
                return Ok(patiently!(tell, hands.apply(objects, owner, &holes))?);
            }
            Action::TakeObjects(objects) => {
                let holes = self.filler.values(action)?;
                return Ok(patiently!(tell, hands.take(objects, owner, &holes))?);
            }
            Action::DeleteObjects(objects) => patiently!(tell, hands.delete(objects, owner))?,
            Action::InstallRelease(release) => {
                let holes = self.filler.values(action)?;
                return Ok(patiently!(tell, hands.install(release, owner, &holes, &say))?);
            }
            Action::ConfigureVault(wish) => {
                return Ok(patiently!(tell, hands.configure_vault(wish, &say))?);
            }
            Action::RemoveRelease { name, namespace } => patiently!(tell, hands.remove(name, namespace))?,
            _ => {}
        }
        Ok(true)
    }

    /// A step has ended, or was left out because another one failed.
    pub(super) fn over(&self, step: &Step, failed: bool) {
        if failed {
            self.given_up.borrow_mut().extend(step.subject.node().cloned());
        }
        if let Some(node) = starts(&step.action) {
            self.coming.borrow_mut().remove(node);
        }
    }
}

/// Tells something unless it was the last that was told of this wait.
fn tell_once(tell: Tell<'_>, told: &mut String, message: String) {
    if *told != message {
        told.clone_from(&message);
        tell(Saying::Tells(message));
    }
}

/// The node that an action starts for the first time.
fn starts(action: &Action) -> Option<&NodeName> {
    match action {
        Action::RunRecipe { host, recipe, .. } => recipe.effect.makes_a_member().then_some(host),
        _ => None,
    }
}

/// What a unit is noted to have read, where that is a text with secrets in it: the text's digest as it is now filled.
fn settle_reads(change: &mut HostChange, holes: &Holes, filled: &BTreeMap<Digest, Digest>) {
    let texts = change.make.iter().filter_map(|resource| match resource {
        HostResource::File(file) if !file.content.is_complete() => {
            let text = file.content.fill(|name| holes.get(name).map(|value| value.expose().as_str())).ok()?;
            Some((file.content.fingerprint(), Digest::of(text)))
        }
        _ => None,
    });
    let now: BTreeMap<Digest, Digest> = texts.collect();
    for resource in &mut change.make {
        if let HostResource::Unit(unit) = resource
            && let Some(digest) = now.get(&unit.reads).or_else(|| filled.get(&unit.reads))
        {
            unit.reads = digest.clone();
        }
    }
}

/// What is left of a span that began then: trying again gives no new time.
fn left(whole: Span, began: Instant) -> Span {
    Span::from_secs(whole.duration().as_secs().saturating_sub(began.elapsed().as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trying_again_gives_no_new_time() {
        let (whole, began) = (Span::from_secs(60), Instant::now());
        assert_eq!(left(whole, began), whole);
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert_eq!(left(whole, began), Span::from_secs(15));
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert_eq!(left(whole, began), Span::from_secs(0));
    }
}
