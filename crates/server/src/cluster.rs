//! The clusters that are shown, and what is known of each.
//!
//! A world lives on a thread of its own with its own clock, so each look, plan and run is one thread that ends with it. What it
//! comes to is put here, and whoever listens is told that something is new.

pub(crate) mod plans;
pub(crate) mod recording;
mod sight;
pub(crate) mod story;
mod topology;
mod watching;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kubewright_engine::site::Place;
use kubewright_engine::store::folder::FolderStore;
use kubewright_engine::store::{Holder, Store as _};
use kubewright_engine::{Loadout, Stop};
use kubewright_model::event::Record;
use kubewright_model::ids::{ClusterName, RunId};
use kubewright_model::plan::Plan;
use tokio::sync::{Semaphore, watch};

use self::recording::Recording;
use self::sight::Sight;
use self::story::Story;
use crate::api::shapes::{Check, Cluster, Layer, Run, RunSummary, State, Summary, Verified};

pub use self::watching::watch_over;
pub(crate) use self::work::Mistake;

/// Runs that a cluster's page shows; its history has all.
const NEWEST: usize = 8;

/// Plans, checks and documents of a cluster that are made at once.
const TOGETHER: usize = 4;

/// The clusters that are shown, by name.
pub struct Fleet {
    members: BTreeMap<String, Arc<Member>>,
    changed: Arc<watch::Sender<u64>>,
    ending: Arc<AtomicBool>,
}

/// A cluster that is shown.
pub struct Member {
    /// By what it is known here: the cluster's name, and its environment where several have one.
    pub(crate) name: String,
    /// The cluster's own name.
    pub(crate) cluster: ClusterName,
    place: Place,
    /// Seconds of a pretend world in a second; none for as fast as it goes.
    pace: Option<f64>,
    known: Mutex<Known>,
    changed: Arc<watch::Sender<u64>>,
    /// The dashboard ends: nothing new is begun.
    ending: Arc<AtomicBool>,
    /// Threads that plan, check or write documents at once.
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Known {
    loadout: Option<Arc<Loadout>>,
    sight: Option<Arc<Sight>>,
    looking: bool,
    /// Somebody wants it looked at once more when that is over.
    again: bool,
    fault: Option<String>,
    /// The newest first.
    plans: VecDeque<Arc<Kept>>,
    live: Option<Live>,
    past: BTreeMap<RunId, RunSummary>,
    checks: Vec<Check>,
    /// What a run's end told of the checks, where that is newer than `checks`.
    verified: Option<Verified>,
    /// What is to be known of runs and is in no journal.
    notes: BTreeMap<RunId, Vec<String>>,
    /// Until then nobody looks because of a run that goes on.
    rests: Option<Instant>,
    /// When something of it was new.
    version: u64,
}

/// A plan that somebody looks at.
pub(crate) struct Kept {
    pub(crate) id: String,
    pub(crate) at: u64,
    pub(crate) plan: Plan,
    pub(crate) only: Vec<String>,
    pub(crate) loadout: Arc<Loadout>,
}

/// A run that goes on: ours, which can be stopped, or another program's.
struct Live {
    recording: Arc<Recording>,
    stop: Option<Stop>,
    goes_on: bool,
}

impl Known {
    /// The layer of the checks: as they came out the last time, however long ago the cluster was looked at.
    fn checked(&self) -> Option<Layer> {
        let last = self.checks.iter().filter_map(|check| check.results.last());
        let (held, all) = match &self.verified {
            Some(verified) => (verified.held, verified.checks),
            None => last.fold((0, 0), |(held, all), result| (held + usize::from(result.held), all + 1)),
        };
        let state = if held == all { State::Good } else { State::Bad };
        (all > 0).then(|| Layer { name: "checks", state, words: format!("{held} of {all} hold") })
    }
}

impl Fleet {
    /// The clusters of these specs. Each spec is read once, to know its name.
    ///
    /// # Errors
    ///
    /// What is wrong with the specs, or two of them that are one cluster.
    pub fn new(places: Vec<Place>, pace: Option<f64>) -> Result<Self, Vec<String>> {
        let (changed, ending) = (Arc::new(watch::Sender::new(0)), Arc::<AtomicBool>::default());
        let (mut members, mut faults) = (BTreeMap::new(), Vec::new());
        for place in places {
            let loadout = match work::read(&place) {
                Ok(loadout) => Arc::new(loadout),
                Err(mistake) => {
                    faults.extend(mistake.lines().into_iter().map(|line| format!("{}: {line}", place.spec.display())));
                    continue;
                }
            };
            let cluster = loadout.desired.cluster.clone();
            let name = match &place.environment {
                Some(environment) => format!("{cluster}.{environment}"),
                None => cluster.to_string(),
            };
            let spec = place.spec.clone();
            let known = Known { loadout: Some(loadout), ..Known::default() };
            let member = Member {
                name: name.clone(),
                cluster,
                place,
                pace,
                known: Mutex::new(known),
                changed: changed.clone(),
                ending: ending.clone(),
                places: Arc::new(Semaphore::new(TOGETHER)),
            };
            member.remember();
            if members.insert(name.clone(), Arc::new(member)).is_some() {
                faults.push(format!("{}: there is a cluster {name} already", spec.display()));
            }
        }
        if faults.is_empty() { Ok(Self { members, changed, ending }) } else { Err(faults) }
    }

    /// The clusters, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Member>> {
        self.members.get(name)
    }

    /// Tells when something of any cluster is new.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Lets no run begin from now on. Those that [`Fleet::running`] names afterwards are all that there will be.
    pub fn close(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// The runs of ours that go on.
    pub fn running(&self) -> Vec<String> {
        let ours = self.all().filter_map(|member| Some((&member.name, member.ours()?)));
        ours.map(|(name, _)| name.clone()).collect()
    }

    /// Asks all runs of ours to stop.
    pub fn stop(&self) {
        self.all().filter_map(|member| member.ours()).for_each(|stop| {
            stop.ask();
        });
    }
}

impl Member {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and tells those who listen.
    fn learn<T>(&self, learn: impl FnOnce(&mut Known) -> T) -> T {
        let learnt = {
            let mut known = self.known();
            known.version += 1;
            learn(&mut known)
        };
        self.changed.send_modify(|version| *version += 1);
        learnt
    }

    fn store(&self) -> FolderStore {
        FolderStore::new(self.place.kept())
    }

    /// Whether its world is a pretend one.
    pub(crate) fn simulated(&self) -> bool {
        self.place.simulated.is_some()
    }

    /// How often something of it was new.
    pub(crate) fn version(&self) -> u64 {
        self.known().version
    }

    fn ours(&self) -> Option<Stop> {
        self.known().live.as_ref().filter(|live| live.goes_on)?.stop.clone()
    }

    /// The cluster in a few words.
    pub(crate) fn summary(&self) -> Summary {
        let known = self.known();
        let loadout = known.loadout.as_ref();
        let kubernetes = loadout.map(|loadout| &loadout.desired.kubernetes);
        let sight = known.sight.as_ref();
        Summary {
            name: self.name.clone(),
            description: loadout.and_then(|it| it.file.metadata.description.clone()).unwrap_or_default(),
            distribution: kubernetes.map(|it| it.distribution.title().to_lowercase()).unwrap_or_default(),
            version: kubernetes.map(|it| it.version.to_string()).unwrap_or_default(),
            simulated: self.simulated(),
            environment: self.place.environment.clone(),
            nodes: loadout.map_or(0, |it| it.desired.members.len()),
            nodes_ready: sight.map_or(0, |sight| sight.nodes_ready),
            layers: sight
                .map(|sight| sight.layers.iter().cloned().chain(known.checked()).collect())
                .unwrap_or_default(),
            running: known.live.as_ref().filter(|live| live.goes_on).map(|live| live.recording.run.to_string()),
            last_run: self.runs_of(&known).first().cloned(),
            drift: sight.and_then(|sight| Some(sight.drift.as_ref()?.len())),
            certificate_until: sight.and_then(|sight| sight.certificates.first()).map(|it| it.until),
            backup_at: sight.and_then(|sight| sight.backups.first()).map(|it| it.at),
            looked_at: sight.map(|sight| sight.at),
            looking: known.looking,
            fault: known.fault.clone(),
        }
    }

    /// The cluster's page.
    pub fn page(&self) -> Cluster {
        let summary = self.summary();
        let known = self.known();
        let sight = known.sight.clone();
        let mut runs = self.runs_of(&known);
        drop(known);
        runs.truncate(NEWEST);
        let Some(sight) = sight else {
            let (topology, drift) = Default::default();
            let (addons, certificates, backups, findings) = Default::default();
            return Cluster { summary, topology, addons, certificates, backups, drift, runs, findings };
        };
        let Sight { topology, addons, certificates, backups, drift, findings, .. } = (*sight).clone();
        Cluster { summary, topology, addons, certificates, backups, drift, runs, findings }
    }

    /// All runs, newest first.
    pub(crate) fn runs(&self) -> Vec<RunSummary> {
        self.runs_of(&self.known())
    }

    fn runs_of(&self, known: &Known) -> Vec<RunSummary> {
        let live = known.live.as_ref().filter(|live| live.recording.len() > 0);
        let name = live.map(|live| live.recording.run.clone());
        let past = known.past.iter().rev().filter(|(run, _)| Some(*run) != name.as_ref()).map(|(_, run)| run.clone());
        let mut all: Vec<RunSummary> = live.map(|live| live.recording.summary()).into_iter().chain(past).collect();
        // Names are in the order of the runs, and what was followed last may be older than what was read since.
        all.sort_by(|a, b| b.run.cmp(&a.run));
        all
    }

    /// The recording of a run: that of one that goes on, or one out of its journal.
    pub(crate) fn recording(&self, run: &str) -> Option<Arc<Recording>> {
        let live = self.known().live.as_ref().map(|live| live.recording.clone());
        if let Some(live) = live.filter(|live| live.run.as_str() == run) {
            return Some(live);
        }
        // Names of runs are those of files: only one that is known is looked for.
        let run = self.known().past.keys().find(|known| known.as_str() == run)?.clone();
        let grown = self.store().tail(&self.cluster, &run).ok()?.more().ok()?;
        let notes = self.known().notes.get(&run).cloned().unwrap_or_default();
        // Another program's may go on, and is followed from the next look at the journals on.
        let busy = self.store().holder(&self.cluster).ok().flatten();
        let goes_on = grown.records.first().is_some_and(|first| is_held(first, busy.as_ref()));
        let recording = Recording::read(run, &grown);
        notes.into_iter().for_each(|note| recording.note(note));
        if !goes_on {
            recording.ends();
        }
        Some(Arc::new(recording))
    }

    /// A run so far: one that goes on, or one out of its journal.
    pub fn told(&self, run: &str) -> Option<Run> {
        self.recording(run).map(|recording| recording.whole())
    }

    /// What its checks came to, over time.
    pub(crate) fn checks(&self) -> Vec<Check> {
        self.known().checks.clone()
    }

    /// The plan of this name, where it is still kept.
    pub(crate) fn plan(&self, id: &str) -> Option<Arc<Kept>> {
        self.known().plans.iter().find(|plan| plan.id == id).cloned()
    }

    /// Asks a run of ours to stop; how often it was asked. None where it is not ours or has ended.
    pub(crate) fn cancel(&self, run: &str) -> Option<u32> {
        let known = self.known();
        let live = known.live.as_ref().filter(|live| live.goes_on && live.recording.run.as_str() == run)?;
        if live.recording.summary().end.is_some() {
            return None;
        }
        live.stop.as_ref().map(Stop::ask)
    }

    /// Reads what journals tell of runs that are not known yet.
    fn remember(&self) {
        let store = self.store();
        let Ok(runs) = store.runs(&self.cluster) else { return };
        let busy = store.holder(&self.cluster).ok().flatten();
        let new: Vec<RunId> = {
            let known = self.known();
            runs.iter().filter(|run| known.past.get(*run).is_none_or(|run| run.end.is_none())).cloned().collect()
        };
        let told = new.into_iter().filter_map(|run| {
            let records = store.tail(&self.cluster, &run).ok()?.more().ok()?.records;
            let goes_on = records.first().is_some_and(|first| is_held(first, busy.as_ref()));
            Some((run, Story::told(&records, goes_on).summary().clone()))
        });
        let told: Vec<_> = told.filter(|(_, summary)| !summary.run.is_empty()).collect();
        if !told.is_empty() {
            self.learn(|known| known.past.extend(told));
        }
    }

    /// The file of what checks came to before this program began.
    fn checks_file(&self) -> std::path::PathBuf {
        self.place.kept().join(self.cluster.as_str()).join("checks.json")
    }
}

/// Whether a journal that begins so is that of whoever has the lock.
fn is_held(first: &Record, holder: Option<&Holder>) -> bool {
    holder.is_some_and(|holder| watching::is_of(first, holder))
}

#[cfg(test)]
mod tests;
