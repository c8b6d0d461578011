//! Waiting, before a run begins, for what cannot be looked at yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubewright_model::condition::Condition;
use kubewright_model::desired::Desired;
use kubewright_model::ids::NodeName;
use kubewright_model::object::ObjectKey;
use kubewright_model::observed::{Observed, Seen, ServiceSeen, Why};
use kubewright_model::plan::{Action, Ask, Weight};
use kubewright_planner::only::concerns;
use tokio::time::Instant;

use super::{Engine, EngineError, Planned, chosen};

/// How long a run waits for what cannot be looked at yet. A server that was cut off while it started, or a host that
/// boots after a power cut, answers within two minutes; what does not answer then needs a person.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks of that wait.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// MetalLB gives an address within a second of its pools; its controller has to come up for that. Who waits longer is told
/// why by `verify`.
const ADDRESSES: Duration = Duration::from_secs(30);

/// Services of type LoadBalancer.
pub(super) type Addresses = BTreeMap<ObjectKey, ServiceSeen>;
/// Between two words about the same wait: often enough to see that it goes on, and few enough to read what stands above.
const TOLD_AGAIN: Duration = Duration::from_secs(30);

/// What has been told of a wait: for whom, and when.
type Told = Option<(Vec<String>, Instant)>;

impl Engine {
    /// Looks at the world and plans, and looks again for a while when something could not be looked at that blocks the
    /// plan, or a node that the plan leaves out; not for those that were given up, nor where it would be in vain.
    ///
    /// # Errors
    ///
    /// [`EngineError::Words`] when a word of `only` chooses nothing, at once; [`EngineError::Bug`] when the plan breaks a
    /// promise.
    pub async fn plan_patiently(
        &self,
        desired: &Desired,
        ask: &Ask,
        only: &[String],
        given_up: &BTreeSet<NodeName>,
    ) -> Result<Planned, EngineError> {
        let planned = self.plan(desired, ask, only).await?;
        chosen(desired, &planned.plan, only)?;
        self.wait(planned, desired, ask, only, given_up).await
    }

    /// The same after a run, when what was chosen may be gone.
    pub(super) async fn plan_again(
        &self,
        desired: &Desired,
        ask: &Ask,
        only: &[String],
        given_up: &BTreeSet<NodeName>,
    ) -> Result<Planned, EngineError> {
        let planned = self.plan(desired, ask, only).await?;
        self.wait(planned, desired, ask, only, given_up).await
    }

    /// Services of type LoadBalancer as they are when a run ends. Those of the spec are waited for a while: what gives
    /// addresses has only begun.
    pub(super) async fn addressed(&self, desired: &Desired, observed: Observed) -> Addresses {
        let deadline = Instant::now() + ADDRESSES;
        let mut services = observed.services().cloned().unwrap_or_default();
        let awaited = |condition: &Condition, services: &Addresses| match condition {
            Condition::Address(key) => services.get(key).is_some_and(|service| service.addresses.is_empty()),
            _ => false,
        };
        while let Some(hands) = &self.world.cluster
            && let Some(check) = desired.checks.iter().find(|check| awaited(&check.condition, &services))
            && Instant::now() + LOOK_AGAIN <= deadline
        {
            let _ = tokio::time::timeout_at(deadline, hands.changed(&check.condition, LOOK_AGAIN)).await;
            if let Seen::Present(seen) = hands.observe(desired).await {
                services = seen.services;
            }
        }
        services
    }

    /// Looks again as long as it is worth it.
    async fn wait(
        &self,
        mut planned: Planned,
        desired: &Desired,
        ask: &Ask,
        only: &[String],
        given_up: &BTreeSet<NodeName>,
    ) -> Result<Planned, EngineError> {
        let deadline = Instant::now() + PATIENCE;
        let mut told = None;
        // Who is to be left out is waited for by nobody.
        let given_up = given_up.iter().chain(&desired.without).cloned().collect();
        loop {
            let awaited = awaited(&planned, desired, only, &given_up);
            if awaited.is_empty() || Instant::now() + LOOK_AGAIN > deadline {
                return Ok(planned);
            }
            self.tell(&awaited, deadline, &mut told);
            tokio::time::sleep(LOOK_AGAIN).await;
            planned = self.plan(desired, ask, only).await?;
        }
    }

    /// Tells once what is waited for and why; after that, that it goes on, and for whom.
    fn tell(&self, awaited: &[(&str, Why)], deadline: Instant, told: &mut Told) {
        let Some(listener) = &self.listener else { return };
        let names: Vec<String> = awaited.iter().map(|(name, _)| (*name).to_string()).collect();
        let (now, left) = (Instant::now(), (deadline - Instant::now()).as_secs());
        match told {
            Some((known, when)) if *known == names && now < *when + TOLD_AGAIN => return,
            // Who was not waited for so far has a reason that nobody has heard.
            Some((known, _)) if names.iter().all(|name| known.contains(name)) => {
                listener(format!("still waiting for {}, {left} s at the most", names.join(", ")));
            }
            _ => {
                let whys = awaited.iter().map(|(name, why)| format!("\n  {}", why.of(name)));
                let whys: String = whys.collect();
                listener(format!("waiting, {left} s at the most, and Ctrl-C is safe:{whys}"));
            }
        }
        *told = Some((names, now));
    }
}

/// What is worth waiting for: what may pass by itself and keeps the plan from being carried out, as long as nothing else
/// does that somebody has to mend.
fn awaited<'p>(
    Planned { observed, plan }: &'p Planned,
    desired: &Desired,
    only: &[String],
    given_up: &BTreeSet<NodeName>,
) -> Vec<(&'p str, Why)> {
    let (lasting, mut passing): (Vec<_>, Vec<_>) = observed.unknown().into_iter().partition(|(_, why)| why.lasts);
    let mut blocking = plan.notes.iter().filter(|note| note.weight == Weight::Blocks);
    if blocking.any(|note| lasting.iter().any(|(_, why)| note.message.contains(&why.words))) {
        return Vec::new();
    }
    passing.retain(|(name, _)| !observed.hosts.contains_key(*name) || concerns(only, desired, name));
    let members: BTreeSet<&str> = desired.members.iter().map(|member| member.name.as_str()).collect();
    // What goes is not asked for anything any more.
    let goes = |name: &str| {
        let ends = matches!(plan.ask, Ask::Destroy | Ask::Rebuild);
        ends && plan.steps.iter().any(|step| match &step.action {
            Action::DeleteMachine { name: gone, .. } => gone.as_str() == name,
            _ => false,
        })
    };
    let awaits = |name: &str| members.contains(name) && !given_up.contains(name) && !goes(name);
    let left_out = passing.iter().any(|(name, _)| awaits(name));
    if plan.is_blocked() || left_out { passing } else { Vec::new() }
}
