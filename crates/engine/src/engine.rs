//! The few methods that every front end calls.

mod access;
mod doctor;
mod enter;
mod patience;
mod proof;
mod read;
mod releases;
mod rotated;
mod saved;
mod unfinished;
mod upkeep;

use std::collections::BTreeSet;
use std::sync::Arc;

use kubewright_model::bundle::Shelf;
use kubewright_model::desired::{Body, Desired, OsUpdates, Saved};
use kubewright_model::diagnostic::Diagnostic;
use kubewright_model::event::{Event, Failure, Record, RunEnd};
use kubewright_model::ids::{ClusterName, NodeName, RunId, StepId};
use kubewright_model::observed::{Observed, Seen};
use kubewright_model::plan::{Ask, Note, Plan, Violation, Weight};
use kubewright_model::rotation::Rotation;
use kubewright_model::source::SourceMap;
use kubewright_model::spec::ClusterFile;
use kubewright_providers::existing;

use tokio::time::Instant;

pub use self::access::WayIn;
use self::patience::{Addresses, LOOK_AGAIN, PATIENCE};
pub use self::saved::snapshots;
pub(crate) use self::unfinished::is_another;
use crate::backup::shelf::Bundles;
use crate::execute::{Hands, Recorder, Sink, Stop, Tally, execute};
use crate::holes::{self, Filler};
use crate::observe::observe;
use crate::store::{Holder, Lock, Store, StoreError};
use crate::verify::{CheckResult, verify};
use crate::world::World;

/// A spec that was read, and what it means.
#[derive(Clone, Debug)]
pub struct Loadout {
    /// What the user wrote.
    pub file: ClusterFile,
    /// What it means in full.
    pub desired: Desired,
    /// What is probably not as it was meant.
    pub warnings: Vec<Diagnostic>,
    /// Where the parts of the spec stand in its text.
    pub places: SourceMap,
}

/// A plan and the look that it was made from.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What was seen.
    pub observed: Observed,
    /// What is to be done.
    pub plan: Plan,
}

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What is wished.
    pub desired: &'a Desired,
    /// What is asked.
    pub ask: Ask,
    /// Only these parts; empty for all.
    pub only: &'a [String],
    /// The plan that the user has agreed to; a run whose plan differs from it does nothing.
    pub approved: Option<&'a Plan>,
    /// The run's name.
    pub run: RunId,
    /// Who runs it, for the lock.
    pub holder: Holder,
}

/// A run that holds the lock and has its plan, and that has touched nothing so far.
pub struct Begun {
    planned: Planned,
    lock: Box<dyn Lock>,
}

impl Begun {
    /// What it will do.
    pub fn plan(&self) -> &Plan {
        &self.planned.plan
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The run's name.
    pub run: RunId,
    /// How it ended.
    pub end: RunEnd,
    /// Steps that changed something.
    pub done: usize,
    /// Steps that found everything true.
    pub already: usize,
    /// Steps that never started.
    pub left: usize,
    /// Steps that failed, and why.
    pub failed: Vec<(StepId, Failure)>,
    /// What planning again found still to be done, when all steps ended well.
    pub remaining: Vec<String>,
    /// Notes of the plan that ran.
    pub notes: Vec<Note>,
    /// What should be known now that it has ended.
    pub after: Option<Note>,
    /// What the checks of the spec came to, after a rebuild that left nothing to do.
    pub checks: Vec<CheckResult>,
    /// What the cluster was begun with, by this run or by one before that it went on with.
    pub begun_with: Option<Saved>,
    /// Those who were to hear of its end and could not be told, and why.
    pub unheard: Vec<String>,
}

/// Why the engine did nothing, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed, or another run holds the lock.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan cannot be carried out as it is; nothing was touched.
    #[error("the plan is blocked")]
    Blocked(Vec<Note>),
    /// The world is not any more as it was when the plan was agreed to; nothing was touched.
    #[error("the world has changed since the plan was made")]
    Changed {
        /// Steps of the agreed plan that are gone.
        gone: Vec<String>,
        /// Steps that are new.
        new: Vec<String>,
    },
    /// The user stopped it before it began; nothing was touched.
    #[error("stopped before anything was begun")]
    Stopped,
    /// Words that choose no part of the spec or of the plan; nothing was touched.
    #[error("nothing is called {}", .unknown.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", "))]
    Words {
        /// They, each with the word that was perhaps meant.
        unknown: Vec<(String, Option<String>)>,
        /// Nodes that there are.
        nodes: Vec<NodeName>,
    },
    /// Secrets that cannot be had; nothing was touched.
    #[error("{} secrets are not available", .0.len())]
    Secrets(Vec<String>),
    /// The plan breaks a promise: a bug of ours, and nothing was touched.
    #[error("BUG: the plan breaks a promise")]
    Bug(Vec<Violation>),
}

impl EngineError {
    /// The failure and its causes, in one line.
    pub fn told(&self) -> String {
        match self {
            Self::Store(error) => error.told(),
            Self::Blocked(notes) => {
                let notes: Vec<String> =
                    notes.iter().map(|note| format!("{}: {}", note.subject, note.message)).collect();
                format!("blocked: {}", notes.join("; "))
            }
            Self::Secrets(missing) => format!("secrets: {}", missing.join("; ")),
            Self::Bug(broken) => {
                let broken: Vec<String> = broken.iter().map(|it| format!("{}: {}", it.rule, it.message)).collect();
                format!("BUG: {}", broken.join("; "))
            }
            Self::Changed { .. } | Self::Stopped | Self::Words { .. } => self.to_string(),
        }
    }
}

/// Hears what is waited for before a run begins.
pub type Listener = Arc<dyn Fn(String) + Send + Sync>;

/// The engine: a world, and a store for what the world cannot tell.
#[derive(Clone)]
pub struct Engine {
    world: World,
    store: Arc<dyn Store>,
    listener: Option<Listener>,
}

impl Engine {
    /// An engine for a world.
    pub fn new(world: World, store: Arc<dyn Store>) -> Self {
        Self { world, store, listener: None }
    }

    /// The same engine, which tells what it waits for before a run begins.
    #[must_use]
    pub fn telling(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Whether the world is a pretend one.
    pub fn simulated(&self) -> bool {
        self.world.pretend.is_some()
    }

    /// Hands on a place where bundles are kept.
    ///
    /// # Errors
    ///
    /// A secret cannot be had, or what is said of the place makes no sense.
    pub fn bundles(&self, shelf: &Shelf) -> Result<Box<dyn Bundles>, String> {
        self.world.bundles(shelf)
    }

    /// Looks at the world and plans.
    ///
    /// # Errors
    ///
    /// [`EngineError::Bug`] when the plan breaks a promise.
    pub async fn plan(&self, desired: &Desired, ask: &Ask, only: &[String]) -> Result<Planned, EngineError> {
        let named = desired.restores.as_ref().zip(self.settled_before(desired, ask));
        let wished = self.wished(desired, ask);
        let (settled, unsettled) = self.settled(&wished, ask).await;
        let desired = &*settled;
        let observed = self.seen_for(desired, ask).await;
        let mut plan = plan_from(desired, &observed, ask, only)?;
        let tell = |what| self.listener.iter().for_each(|listener| listener(String::clone(&what)));
        match self.world.no_releases(&plan, &tell).await {
            Some(note) => plan.notes.insert(0, note),
            None => plan.notes.extend(self.doubts(&plan).await),
        }
        plan.notes.extend(self.lacking_images(&plan, desired).await);
        plan.notes.extend(unsettled);
        plan.notes.extend(self.restores(&plan, desired));
        plan.notes.extend(self.names_another(named, ask));
        plan.notes.extend(self.world.unopened(&plan, desired));
        plan.notes.extend(self.world.no_room_for_bundles(&plan).await);
        plan.notes.extend(self.world.refused(&plan, desired, &observed).await);
        Ok(Planned { observed, plan })
    }

    /// Looks at all that a plan needs: the world, and what releases that differ would be.
    pub async fn seen_for(&self, desired: &Desired, ask: &Ask) -> Observed {
        // Which packages wait takes time to tell, so who does not upgrade them does not ask.
        let asks = matches!(ask, Ask::UpdateOs(_)) && desired.os_updates == OsUpdates::Leave;
        let looks = asks.then(|| Desired { os_updates: OsUpdates::Look, ..desired.clone() });
        let mut observed = observe(&self.world, &*self.store, looks.as_ref().unwrap_or(desired)).await;
        if matches!(ask, Ask::Rebuild | Ask::Restore) && !desired.from_scratch {
            observed.unfinished = self.left_of(desired, ask).and_then(|before| before.left);
        }
        if let Ask::Rotate(what) = ask {
            match what {
                Rotation::Certificates | Rotation::SshKeys => observed.rotated = self.rotated(desired, *what),
                _ => observed.turned = self.turned(desired, *what),
            }
            if *what == Rotation::SshKeys {
                observed.keys = self.world.keys(desired).await;
            }
        }
        self.render(desired, ask, &mut observed).await;
        observed
    }

    /// Looks at the world.
    pub async fn status(&self, desired: &Desired) -> Observed {
        observe(&self.world, &*self.store, desired).await
    }

    /// Runs every check of the spec.
    pub async fn verify(&self, desired: &Desired) -> Vec<CheckResult> {
        verify(&self.world, desired).await
    }

    /// The runs of a cluster, oldest first.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn history(&self, cluster: &ClusterName) -> Result<Vec<RunId>, EngineError> {
        Ok(self.store.runs(cluster)?)
    }

    /// Whether somebody holds the lock on a cluster: its newest run has not ended.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn running(&self, cluster: &ClusterName) -> Result<bool, EngineError> {
        Ok(self.store.holder(cluster)?.is_some())
    }

    /// A run's records.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn records(&self, cluster: &ClusterName, run: &RunId) -> Result<Vec<Record>, EngineError> {
        Ok(self.store.journal(cluster, run)?)
    }

    /// Looks, plans, and makes it so; then looks and plans once more.
    ///
    /// # Errors
    ///
    /// Nothing was touched, or the journal could not be written.
    pub async fn apply(&self, request: &Request<'_>, stop: &Stop, sink: Sink<'_>) -> Result<RunReport, EngineError> {
        let begun = self.begin(request, stop).await?;
        self.carry_out(begun, request, stop, sink).await
    }

    /// Takes the lock, looks and plans: for who wants to see the plan of a run before it does anything.
    ///
    /// # Errors
    ///
    /// Another run holds the lock, or the plan breaks a promise.
    pub async fn begin(&self, request: &Request<'_>, stop: &Stop) -> Result<Begun, EngineError> {
        let desired = request.desired;
        let lock = self.store.lock(&desired.cluster, &request.holder)?;
        // Who approved a plan has waited already.
        let everybody = desired.members.iter().filter(|_| request.approved.is_some());
        let given_up = everybody.map(|member| member.name.clone()).collect();
        let planned = tokio::select! {
            biased;
            planned = self.plan_patiently(desired, &request.ask, request.only, &given_up) => planned?,
            () = stop.wanted() => return Err(EngineError::Stopped),
        };
        Ok(Begun { planned, lock })
    }

    /// Makes it so, as a run that has begun has it; then looks and plans once more.
    ///
    /// # Errors
    ///
    /// Nothing was touched, or the journal could not be written.
    pub async fn carry_out(
        &self,
        begun: Begun,
        request: &Request<'_>,
        stop: &Stop,
        sink: Sink<'_>,
    ) -> Result<RunReport, EngineError> {
        let began_at = tokio::time::Instant::now();
        let wished = self.wished(request.desired, &request.ask);
        let desired = &*wished;
        let Begun { planned: Planned { observed, plan }, lock } = begun;
        self.may_run(request, &plan)?;
        let (canary, began) = (self.canary(request), self.began_with(request.desired, &request.ask));
        let restores = self.settled_on(&plan, desired).or(began);
        let journal = self.store.start_journal(&desired.cluster, &request.run)?;
        let mut recorder = Recorder::new(journal, sink);
        recorder.record(Event::RunStarted {
            run: request.run.clone(),
            cluster: desired.cluster.clone(),
            ask: request.ask.clone(),
            only: request.only.to_vec(),
            fingerprint: plan.fingerprint.clone(),
            steps: plan.steps.len(),
            simulated: self.simulated(),
            wall: request.holder.since,
            takes: unfinished::takes(request, &plan),
            restores: restores.clone(),
            goes_on: self.goes_on(desired, &observed),
        })?;
        let silent = observed.silent().cloned().collect();
        let filler = Filler::new(desired, self.world.secrets(&*self.store), &observed);
        let hands = Hands::new(&self.world, desired, filler, &plan, observed);
        let mut tally = execute(&plan, &hands, stop, &mut recorder).await?;
        let (mut remaining, addresses) = tokio::select! {
            biased;
            remaining = self.remaining(request, &tally, &silent, &plan.notes) => remaining?,
            () = stop.wanted() => {
                recorder.record(Event::StopAsked { times: stop.asked() })?;
                tally.stopped = true;
                Default::default()
            }
        };
        let after = saved::catches_up(&plan, &mut remaining);
        let (end, checks) = self.proven(request, end(&tally, &remaining), canary, stop, &mut recorder).await?;
        recorder.record(Event::RunEnded {
            end,
            done: tally.done,
            already: tally.already,
            failed: tally.failed.len(),
            left: tally.left,
            addresses,
        })?;
        if request.ask == Ask::Destroy && end == RunEnd::Complete {
            // What the secrets opened is gone.
            self.store.forget_secrets(&desired.cluster)?;
        }
        let Tally { done, already, failed, left, .. } = tally;
        let run = request.run.clone();
        let (notes, begun_with) = (plan.notes, restores);
        let unheard = Vec::new();
        let mut report =
            RunReport { run, end, done, already, left, failed, remaining, notes, after, checks, begun_with, unheard };
        // Nobody who wants the lock waits for somebody who is told.
        drop(lock);
        let at = request.holder.since + began_at.elapsed().as_secs();
        report.unheard = self.notify_of_run(request, &report, at).await;
        Ok(report)
    }

    /// Everything that must be so before anything is touched.
    fn may_run(&self, request: &Request<'_>, plan: &Plan) -> Result<(), EngineError> {
        if plan.is_blocked() {
            let blocking = plan.notes.iter().filter(|note| note.weight == Weight::Blocks);
            return Err(EngineError::Blocked(blocking.cloned().collect()));
        }
        if let Some(approved) = request.approved
            && approved.fingerprint != plan.fingerprint
        {
            return Err(difference(approved, plan));
        }
        let actions = plan.steps.iter().map(|step| &step.action);
        let missing = holes::unavailable(request.desired, self.world.secrets(&*self.store), actions);
        if missing.is_empty() { Ok(()) } else { Err(EngineError::Secrets(missing)) }
    }

    /// What is still to be done after all steps ended well, and the addresses of Services then. Hosts that were silent before are waited for no more, and
    /// what was left for a later replacement was told of before the run.
    async fn remaining(
        &self,
        request: &Request<'_>,
        tally: &Tally,
        silent: &BTreeSet<NodeName>,
        told: &[Note],
    ) -> Result<(Vec<String>, Addresses), EngineError> {
        if tally.stopped || !tally.failed.is_empty() {
            return Ok(Default::default());
        }
        let again = match request.ask {
            Ask::Apply | Ask::Replace(_) | Ask::ReplaceOutdated | Ask::Rebuild | Ask::Restore => Ask::Apply,
            Ask::Destroy => Ask::Destroy,
            // A backup changes nothing that a plan could find, neither does a host that is back, and what a repair came to
            // doctor looks for.
            Ask::Backup
            | Ask::Reboot(_)
            | Ask::RebootNeeded(_)
            | Ask::UpdateOs(_)
            | Ask::Repair(_)
            | Ask::Rotate(_) => {
                return Ok(Default::default());
            }
        };
        // What was taken is ours now, and needs not to be taken again.
        let mut desired = Desired { take: Vec::new(), ..request.desired.clone() };
        saved::leave_out(&mut desired, silent);
        let mut planned = self.plan_again(&desired, &again, request.only, silent).await?;
        let deadline = Instant::now() + PATIENCE;
        // What is only waited for comes by itself: a cluster that was off wakes.
        while planned.plan.only_waits() && Instant::now() + LOOK_AGAIN <= deadline {
            tokio::time::sleep(LOOK_AGAIN).await;
            planned = self.plan_again(&desired, &again, request.only, silent).await?;
        }
        let steps = planned.plan.steps.iter().map(|step| format!("{}: {}", step.title(), step.reason));
        let replaces = matches!(request.ask, Ask::Replace(_) | Ask::ReplaceOutdated);
        let warned = |note: &Note, told: &Note| {
            told.weight == Weight::Warns && told.subject == note.subject && told.message.ends_with(&note.message)
        };
        let left = |note: &Note| replaces && told.iter().any(|told| warned(note, told));
        let notes = planned.plan.notes.iter().filter(|note| note.weight == Weight::Blocks && !left(note));
        let left: Vec<String> = steps.chain(notes.map(|note| format!("{}: {}", note.subject, note.message))).collect();
        let addresses = match again {
            Ask::Apply if left.is_empty() => self.addressed(&desired, planned.observed).await,
            _ => Addresses::new(),
        };
        Ok((left, addresses))
    }
}

/// A look at a world in which certainly nothing is there yet, but what the spec says exists already.
pub fn nothing(desired: &Desired) -> Observed {
    let mut observed = Observed::nothing(desired.machines.iter().map(|machine| machine.provider.clone()));
    for machine in desired.machines.iter().filter(|machine| *machine.body == Body::Existing) {
        if let Some(Seen::Present(inventory)) = observed.providers.get_mut(&machine.provider) {
            inventory.machines.insert(machine.name.clone(), existing::there(machine, &desired.owner));
        }
    }
    observed
}

/// Whether every word that was to choose a part of a plan means something.
///
/// # Errors
///
/// [`EngineError::Words`] with those that do not.
pub fn chosen(desired: &Desired, plan: &Plan, only: &[String]) -> Result<(), EngineError> {
    let unknown = kubewright_planner::only::unknown(only, desired, plan);
    let nodes = || desired.machines.iter().map(|machine| machine.name.clone()).collect();
    if unknown.is_empty() { Ok(()) } else { Err(EngineError::Words { unknown, nodes: nodes() }) }
}

/// Plans from a look, with proof.
///
/// # Errors
///
/// [`EngineError::Bug`] when the plan breaks a promise.
pub fn plan_from(desired: &Desired, observed: &Observed, ask: &Ask, only: &[String]) -> Result<Plan, EngineError> {
    let desired = &*kubewright_planner::numbers::numbered(desired, &observed.providers);
    let plan = kubewright_planner::plan::plan(desired, observed, ask);
    let broken = kubewright_planner::check::check(&plan, desired, observed);
    if !broken.is_empty() {
        return Err(EngineError::Bug(broken));
    }
    Ok(kubewright_planner::only::only(plan, only, desired))
}

fn end(tally: &Tally, remaining: &[String]) -> RunEnd {
    if !tally.failed.is_empty() {
        RunEnd::Failed
    } else if tally.stopped {
        RunEnd::Interrupted
    } else if remaining.is_empty() {
        RunEnd::Complete
    } else {
        RunEnd::NotConverged
    }
}

fn difference(approved: &Plan, now: &Plan) -> EngineError {
    let titles = |plan: &Plan, other: &Plan| {
        let differs = |step: &&kubewright_model::plan::Step| other.step(&step.id) != Some(*step);
        plan.steps.iter().filter(differs).map(kubewright_model::plan::Step::title).collect()
    };
    EngineError::Changed { gone: titles(approved, now), new: titles(now, approved) }
}
