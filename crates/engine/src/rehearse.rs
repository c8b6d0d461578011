//! The whole life of a cluster in a pretend data centre: built, broken, mended, upgraded and taken down.
//!
//! Each phase is one the user will live through. A phase says how long it took by the pretend clock, which chain of
//! steps took that long, and what waited for what; at the end it is counted what was left over and what was asked that
//! no right plan asks for.

pub mod etcd;
mod path;
mod private;
mod rebuild;
mod restore;

use std::collections::BTreeMap;
use std::sync::Arc;

use kubewright_model::desired::{Body, Desired};
use kubewright_model::event::{Event, Record, RunEnd};
use kubewright_model::host::HostResource;
use kubewright_model::ids::{LeaseName, NodeName, RunId};
use kubewright_model::object::ObjectKey;
use kubewright_model::observed::{Observed, ServiceSeen};
use kubewright_model::plan::{Ask, Plan};
use kubewright_model::spec::kubernetes::Datastore;
use kubewright_model::version::Version;
use serde::Serialize;

use crate::engine::{Engine, EngineError, Request, RunReport};
use crate::execute::Stop;
use crate::sim::{Breach, DataCentre, Fault, FaultKind, MemoryStore, Struck};
use crate::store::Holder;
use crate::verify::CheckResult;

pub use path::{Link, chain};
pub use private::Private;
pub use rebuild::{Played, rebuild};
pub use restore::restore;

/// Runs that a phase with mishaps may take until nothing is left to do. A phase without any takes one.
const RUNS: usize = 4;

/// What is rehearsed.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    /// The cluster.
    pub desired: &'a Desired,
    /// The same cluster one version before, which the upgrade starts from; none where there is no version before.
    pub before: Option<&'a Desired>,
    /// What chance follows.
    pub seed: u64,
    /// What goes wrong while the cluster is built, or as soon as it can.
    pub faults: &'a [Fault],
}

/// What happens while it is rehearsed, for those who watch.
#[derive(Debug)]
pub enum Scene<'a> {
    /// A phase begins with this plan.
    Begins {
        /// The phase's name.
        name: &'a str,
        /// Steps of its first plan.
        steps: usize,
    },
    /// A record of the phase's run.
    Plays(&'a Record),
    /// A phase has ended.
    Ended(&'a Phase),
    /// The cluster stands as the spec says: what is there, and what its checks came to.
    Stands(&'a Observed, &'a [CheckResult]),
}

/// Hears what happens.
pub type Audience<'a> = &'a mut dyn FnMut(Scene<'_>);

/// What a phase came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// What it shows, in one sentence.
    pub shows: String,
    /// Whether everything was as it should be.
    pub good: bool,
    /// What was not.
    pub wrong: Vec<String>,
    /// Milliseconds by the pretend clock.
    pub took: u64,
    /// Steps that changed something.
    pub steps: usize,
    /// Steps that were tried again, over all tries.
    pub retries: usize,
    /// Runs that it took.
    pub runs: usize,
    /// The chain of steps that took the longest.
    pub path: Vec<Link>,
    /// Shared things that steps waited for: how many steps, and how many milliseconds all together.
    pub waits: Vec<(LeaseName, usize, u64)>,
    /// What somebody had to see to in between, before it went on.
    pub mended: Vec<String>,
    /// Things that are worth to be known: what failed in between, for example.
    pub notes: Vec<String>,
}

/// What the rehearsal came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsal {
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// What went wrong on purpose, and whom it hit.
    pub faults: Vec<Struck>,
    /// What carries our mark and was not taken away.
    pub leftovers: Vec<String>,
    /// What was asked that no right plan asks for.
    pub breaches: Vec<Breach>,
    /// Services of type LoadBalancer when the cluster stood, and their addresses.
    pub services: BTreeMap<ObjectKey, ServiceSeen>,
    /// How often each kind of call was made.
    pub calls: BTreeMap<String, u64>,
}

impl Rehearsal {
    /// Mishaps that happened to nobody: nothing is proven about them.
    pub fn unmet(&self) -> Vec<String> {
        self.faults.iter().filter(|struck| struck.met == 0).map(|struck| struck.fault.to_string()).collect()
    }

    /// Whether everything was as it should be.
    pub fn good(&self) -> bool {
        self.phases.iter().all(|phase| phase.good) && self.leftovers.is_empty() && self.breaches.is_empty()
    }
}

/// Plays the whole life through.
///
/// # Errors
///
/// The first plan is blocked, or breaks a promise: then there is nothing to rehearse.
pub async fn rehearse(script: &Script<'_>, audience: Audience<'_>) -> Result<Rehearsal, EngineError> {
    let mut stage = Stage::new(script);
    let desired = script.desired;
    let first = stage.engine.plan(desired, &Ask::Apply, &[]).await?;
    if first.plan.is_blocked() {
        return Err(EngineError::Blocked(first.plan.notes));
    }
    script.faults.iter().cloned().for_each(|fault| stage.centre.strike(fault));
    let steps = first.plan.steps.len();
    stage.play("build", "a plan from nothing, carried out", desired, Ask::Apply, steps, audience).await;
    stage.centre.mend_what_came();
    let checks = stage.verify(desired, audience).await;
    let stands = stage.engine.status(desired).await;
    stage.services = stands.services().cloned().unwrap_or_default();
    audience(Scene::Stands(&stands, &checks));
    stage.quiet(desired, audience).await;
    stage.destroyed("take down", desired, audience).await;
    stage.crash(desired, steps, audience).await;
    if let Some(before) = script.before {
        stage.destroyed("take down again", desired, audience).await;
        stage.play("build the older version", &older(before), before, Ask::Apply, steps, audience).await;
        // A machine may stay away twice: when it is reset, and when it is upgraded.
        let again = script.faults.iter().filter(|fault| fault.kind == FaultKind::NeverBack);
        again.cloned().for_each(|fault| stage.centre.strike(fault));
        stage.play("upgrade", &newer(before, desired), desired, Ask::Apply, 0, audience).await;
    }
    for name in victims(desired) {
        stage.centre.lose(&name);
        let shows = format!("{name} is gone with its disk; what takes its place");
        stage.play(&format!("lose {name}"), &shows, desired, Ask::Apply, 0, audience).await;
    }
    stage.verify(desired, audience).await;
    stage.destroyed("destroy", desired, audience).await;
    Ok(stage.curtain())
}

fn older(before: &Desired) -> String {
    let talos = talos(before).map(|version| format!(", and Talos {version}")).unwrap_or_default();
    format!("everything with {}{talos}", before.kubernetes.version)
}

fn newer(before: &Desired, desired: &Desired) -> String {
    let of_talos = talos(before).zip(talos(desired)).filter(|(old, new)| old != new);
    let of_talos = of_talos.map(|(old, new)| format!("; Talos from {old} to {new}")).unwrap_or_default();
    format!("from {} to {}{of_talos}", before.kubernetes.version, desired.kubernetes.version)
}

/// The version of Talos, where hosts have it.
fn talos(desired: &Desired) -> Option<&Version> {
    desired.hosts.iter().flat_map(|host| &host.resources).find_map(|resource| match resource {
        HostResource::TalosImage(image) => Some(&image.version),
        _ => None,
    })
}

/// The machines that are lost: the last agent, and the last server where its neighbours can decide without it.
fn victims(desired: &Desired) -> Vec<NodeName> {
    let made = |name: &NodeName| desired.machine(name).is_some_and(|machine| *machine.body != Body::Existing);
    let agent = desired.members.iter().rev().find(|member| !member.role.is_server() && made(&member.name));
    let mut victims: Vec<NodeName> = agent.map(|member| member.name.clone()).into_iter().collect();
    if desired.kubernetes.datastore == Datastore::Etcd && desired.servers().count() >= 3 {
        let servers: Vec<_> = desired.servers().filter(|member| made(&member.name)).collect();
        victims.extend(servers.last().map(|member| member.name.clone()));
    }
    victims
}

/// The first version of the minor before this one's.
pub fn minor_before(version: &Version) -> Option<Version> {
    let (major, minor) = version.minor();
    let build = if version.build().is_empty() { String::new() } else { format!("+{}", version.build()) };
    format!("v{major}.{}.0{build}", minor.checked_sub(1)?).parse().ok()
}

/// The Talos that an upgrade to this one may start from: the first of the minor version before. v1.11 brings etcd 3.6, to which
/// several servers go from v1.10.9 on. <https://github.com/siderolabs/talos/issues/12467>
pub fn talos_before(version: &Version) -> Option<Version> {
    if version.minor() == (1, 11) { Some(Version::known("v1.10.9")) } else { minor_before(version) }
}

/// The version before this one that an upgrade may start from: the patch before, or the first of the minor before.
pub fn version_before(version: &Version) -> Option<Version> {
    let (major, minor, patch) = version.patch();
    let build = version.build();
    let build = if build.is_empty() { String::new() } else { format!("+{build}") };
    let before = match (minor, patch) {
        (_, 1..) => format!("v{major}.{minor}.{}{build}", patch - 1),
        (1.., 0) => format!("v{major}.{}.0{build}", minor - 1),
        (0, 0) => return None,
    };
    before.parse().ok()
}

/// The data centre, the engine that works in it, and what was seen so far.
struct Stage {
    centre: DataCentre,
    engine: Engine,
    phases: Vec<Phase>,
    services: BTreeMap<ObjectKey, ServiceSeen>,
    runs: u32,
}

impl Stage {
    fn new(script: &Script<'_>) -> Self {
        let centre = DataCentre::new(script.seed);
        centre.furnish(script.desired);
        let engine = Engine::new(centre.world(script.desired), Arc::new(MemoryStore::default()));
        Self { centre, engine, phases: Vec::new(), services: BTreeMap::new(), runs: 0 }
    }

    fn request<'a>(&mut self, desired: &'a Desired, ask: Ask) -> Request<'a> {
        self.runs += 1;
        let holder = Holder { who: "rehearsal".into(), pid: 0, since: 0, what: "rehearse".into() };
        let run = RunId::new(format!("rehearsal-{}", self.runs));
        Request { desired, ask, only: &[], approved: None, run, holder }
    }

    /// Runs until nothing is left to do, and judges.
    async fn play(
        &mut self,
        name: &str,
        shows: &str,
        desired: &Desired,
        ask: Ask,
        steps: usize,
        audience: Audience<'_>,
    ) {
        audience(Scene::Begins { name, steps });
        let mut phase = Phase::new(name, shows);
        let from = self.centre.now();
        // With mishaps to come a run may fail.
        let runs = if self.centre.awaits_mishaps() { RUNS } else { 1 };
        for attempt in 1..=runs {
            let plan = self.engine.plan(desired, &ask, &[]).await;
            let plan = match plan {
                Ok(planned) => planned.plan,
                Err(error) => {
                    phase.wrong.push(error.told());
                    break;
                }
            };
            let mut records = Vec::new();
            let request = self.request(desired, ask.clone());
            let ended = self
                .engine
                .apply(&request, &Stop::default(), &mut |record: &Record| {
                    audience(Scene::Plays(record));
                    records.push(record.clone());
                })
                .await;
            phase.hear(&plan, &records, attempt);
            match ended {
                Ok(report) if report.end == RunEnd::Complete => break,
                Ok(report) => phase.notes.extend(why(&report)),
                Err(error) => phase.notes.push(error.told()),
            }
            if attempt == runs {
                phase.wrong.append(&mut phase.notes);
            }
            // Somebody makes room, or brings back what does not come back by itself.
            phase.mended.extend(self.centre.mend_what_came());
        }
        phase.took = self.centre.now() - from;
        self.ended(phase, audience);
    }

    /// Every check of the spec, when what came last has had its time.
    async fn verify(&mut self, desired: &Desired, audience: Audience<'_>) -> Vec<CheckResult> {
        audience(Scene::Begins { name: "verify", steps: desired.checks.len() });
        let mut phase = Phase::new("verify", "every check of the spec");
        let from = self.centre.now();
        let results = self.engine.proof(desired).await;
        phase.steps = results.len();
        phase.wrong = results
            .iter()
            .filter(|result| !result.checked.holds)
            .map(|result| format!("{}: {}", result.name, result.checked.saw))
            .collect();
        phase.took = self.centre.now() - from;
        self.ended(phase, audience);
        results
    }

    /// A second run finds nothing to do.
    async fn quiet(&mut self, desired: &Desired, audience: Audience<'_>) {
        audience(Scene::Begins { name: "plan again", steps: 0 });
        let mut phase = Phase::new("plan again", "nothing is left to do");
        let from = self.centre.now();
        match self.engine.plan(desired, &Ask::Apply, &[]).await {
            Ok(planned) => {
                phase.wrong =
                    planned.plan.steps.iter().map(|step| format!("{}: {}", step.title(), step.reason)).collect();
            }
            Err(error) => phase.wrong.push(error.told()),
        }
        phase.took = self.centre.now() - from;
        self.ended(phase, audience);
    }

    /// The program is ended in the middle of a run, as if its computer had lost power; the next run finishes the job.
    async fn crash(&mut self, desired: &Desired, steps: usize, audience: Audience<'_>) {
        self.centre.announce_life();
        let dead = (steps / 2).max(1);
        let request = self.request(desired, Ask::Apply);
        let fallen = tokio::sync::Notify::new();
        let mut ended = 0;
        audience(Scene::Begins { name: "crash", steps });
        let mut sink = |record: &Record| {
            audience(Scene::Plays(record));
            ended += usize::from(matches!(record.event, Event::StepEnded { .. }));
            if ended == dead {
                fallen.notify_one();
            }
        };
        let stop = Stop::default();
        let fell = tokio::select! {
            biased;
            () = fallen.notified() => true,
            _ = self.engine.apply(&request, &stop, &mut sink) => false,
        };
        let shows = match fell {
            true => format!("the program ends after {dead} of {steps} steps; a second run finishes the job"),
            false => "the run was over before it could be cut off".to_string(),
        };
        self.play("run after a crash", &shows, desired, Ask::Apply, steps - dead.min(steps), audience).await;
    }

    /// Everything goes, and nothing is left over.
    async fn destroyed(&mut self, name: &str, desired: &Desired, audience: Audience<'_>) {
        self.centre.announce_end();
        let open = Desired { protected: false, ..desired.clone() };
        self.play(name, "everything that is ours goes, and nothing else", &open, Ask::Destroy, 0, audience).await;
        let left = self.centre.leftovers();
        if let Some(phase) = self.phases.last_mut()
            && !left.is_empty()
        {
            phase.good = false;
            phase.wrong.extend(left.into_iter().map(|left| format!("left over: {left}")));
        }
        self.centre.announce_life();
    }

    fn ended(&mut self, mut phase: Phase, audience: Audience<'_>) {
        phase.good = phase.wrong.is_empty();
        audience(Scene::Ended(&phase));
        self.phases.push(phase);
    }

    fn curtain(self) -> Rehearsal {
        // One that was set up twice is told once.
        let mut faults: Vec<Struck> = Vec::new();
        for struck in self.centre.struck() {
            match faults.iter_mut().find(|it| it.fault == struck.fault) {
                Some(it) => it.met += struck.met,
                None => faults.push(struck),
            }
        }
        Rehearsal {
            faults,
            leftovers: self.centre.leftovers(),
            breaches: self.centre.breaches(),
            calls: self.centre.calls(),
            services: self.services,
            phases: self.phases,
        }
    }
}

impl Phase {
    fn new(name: &str, shows: &str) -> Self {
        Self {
            name: name.into(),
            shows: shows.into(),
            good: false,
            wrong: Vec::new(),
            took: 0,
            steps: 0,
            retries: 0,
            runs: 0,
            path: Vec::new(),
            waits: Vec::new(),
            mended: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a run's records.
    fn hear(&mut self, plan: &Plan, records: &[Record], attempt: usize) {
        let is = |found: fn(&Event) -> bool| records.iter().filter(|record| found(&record.event)).count();
        self.runs = attempt;
        self.steps += is(|event| matches!(event, Event::StepStarted { .. }));
        self.retries += is(|event| matches!(event, Event::StepRetries { .. }));
        self.path.extend(path::critical(plan, records));
        path::add_waits(&mut self.waits, records);
    }
}

fn why(report: &RunReport) -> Vec<String> {
    let failed = report.failed.iter().map(|(step, failure)| format!("{step}: {}", failure.causes.join(": ")));
    failed.chain(report.remaining.iter().map(|left| format!("still to be done: {left}"))).collect()
}
