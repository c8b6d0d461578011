//! Plans, runs, checks and documents, each on a thread of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use kubewright_engine::engine::RunReport;
use kubewright_engine::pace::Pace;
use kubewright_engine::site::{ENVIRONMENTS, Place, Site, SiteError, Voices, holder, now, run_id};
use kubewright_engine::store::StoreError;
use kubewright_engine::store::folder::kept;
use kubewright_engine::{Engine, EngineError, Loadout, Request, Stop, cleartext, hours};
use kubewright_model::checked::CheckResult;
use kubewright_model::diagnostic::{Diagnostic, Severity};
use kubewright_model::event::{Event, Record};
use kubewright_model::ids::NodeName;
use kubewright_model::plan::{Ask, Weight};
use kubewright_model::source::{Environment, MAX_BYTES};
use kubewright_report::{Language, Looked as DocumentLook, built, document};
use tokio::sync::oneshot;

use super::plans::takes;
use super::recording::Recording;
use super::story::Story;
use super::{Kept, Live, Member};
use crate::api::shapes::{Check, Outcome, PlanWish, RunWish, Wanted};

/// Results of a check that are kept, and shown.
const RESULTS: usize = 200;
/// Plans that are kept of a cluster: several people may look at one each.
const PLANS_KEPT: usize = 16;

/// Tells plans apart.
static PLANS: AtomicU64 = AtomicU64::new(1);

/// Why something was not done. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mistake {
    /// The spec cannot be used: all that is wrong with it.
    #[error("the spec cannot be used")]
    Spec(Vec<String>),
    /// Somebody else works on the cluster.
    #[error("{0}")]
    Busy(String),
    /// The dashboard waits for what runs, and ends.
    #[error("the dashboard ends: no new run is begun")]
    Ending,
    /// It cannot be carried out as it is.
    #[error("{0}")]
    Blocked(String, Vec<String>),
    /// It failed.
    #[error("{0}")]
    Failed(String),
    /// The plan is not kept any more.
    #[error("this plan is not kept any more")]
    Forgotten,
    /// The plan deletes, and its cluster's name is missing or another one.
    #[error("this plan deletes: it runs only with the cluster's name")]
    Unnamed,
}

impl Mistake {
    /// All of it, a line for each.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Spec(lines) => lines.clone(),
            Self::Blocked(_, lines) => lines.clone(),
            _ => vec![self.to_string()],
        }
    }
}

impl From<SiteError> for Mistake {
    fn from(error: SiteError) -> Self {
        match error {
            SiteError::Busy(busy) => busy.into(),
            SiteError::File { ref source, .. } => Self::Failed(format!("{error}: {source}")),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<EngineError> for Mistake {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Store(StoreError::Busy { .. }) => Self::Busy(error.told()),
            EngineError::Blocked(notes) => {
                let lines = notes.iter().map(|note| format!("{}: {}", note.subject, note.message)).collect();
                Self::Blocked(error.to_string(), lines)
            }
            EngineError::Changed { gone, new } => {
                let gone = gone.iter().map(|step| format!("not any more: {step}"));
                Self::Blocked(error.to_string(), gone.chain(new.iter().map(|step| format!("new: {step}"))).collect())
            }
            EngineError::Stopped => Self::Busy(error.told()),
            EngineError::Secrets(missing) => Self::Blocked(error.to_string(), missing.clone()),
            _ => Self::Failed(error.told()),
        }
    }
}

/// Reads a spec, with its environment.
pub(super) fn read(place: &Place) -> Result<Loadout, Mistake> {
    let read = |path: &std::path::Path| {
        let told = |why: String| Mistake::Spec(vec![format!("cannot read {}: {why}", path.display())]);
        let size = std::fs::metadata(path).map_err(|error| told(error.to_string()))?.len();
        if size > MAX_BYTES as u64 {
            return Err(told("no spec is so large".into()));
        }
        std::fs::read_to_string(path).map_err(|error| told(error.to_string()))
    };
    let text = read(&place.spec)?;
    let layer = place.environment.as_ref().map(|name| {
        let file = place.folder().join(ENVIRONMENTS).join(format!("{name}.yaml"));
        read(&file).map(|text| (name.clone(), text))
    });
    let layer = layer.transpose()?;
    let on_top = layer.as_ref().map(|(name, text)| Environment { name, text });
    let loadout = Engine::load_for(place.folder(), &text, on_top).map_err(|found| Mistake::Spec(told(&found)))?;
    Ok(loadout)
}

fn told(found: &[Diagnostic]) -> Vec<String> {
    let errors = found.iter().filter(|it| it.severity == Severity::Error);
    errors
        .map(|it| {
            let at = it.at.as_ref().map(|at| format!("line {}, column {}: ", at.line, at.column)).unwrap_or_default();
            let help = it.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{at}{} {}: {}{help}", it.code, it.path, it.message)
        })
        .collect()
}

impl Member {
    fn voices() -> Voices {
        // Nobody sits before it: what would be asked for is missing, and says so.
        Voices {
            prompt: Arc::new(|what| Err(format!("nobody can be asked for {what} here"))),
            learns: Arc::new(|_| {}),
            waits: Arc::new(|_| {}),
        }
    }

    pub(super) fn open<T: Send + 'static>(
        self: &Arc<Self>,
        loadout: &Loadout,
        changes: bool,
        work: impl AsyncFnOnce(&Site) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        Site::open(&self.place, &loadout.desired, changes, Self::voices(), work)
    }

    /// Does something on a thread of its own, of which there are not many at once.
    async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, Mistake> + Send + 'static,
    ) -> Result<T, Mistake> {
        let busy = |_| Mistake::Busy("others ask for the same at this moment: try again".into());
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        let member = Arc::clone(self);
        let (done, came) = oneshot::channel();
        let spawned = thread::Builder::new().spawn(move || {
            let _place = place;
            drop(done.send(work(&member)));
        });
        spawned.map_err(|error| Mistake::Failed(error.to_string()))?;
        came.await.unwrap_or_else(|_| Err(Mistake::Failed("it broke off".into())))
    }

    /// Plans, and keeps the plan until so many newer ones are kept.
    pub(crate) async fn plan_anew(self: &Arc<Self>, wish: PlanWish) -> Result<Arc<Kept>, Mistake> {
        self.beside(move |member| member.plan_now(wish)).await
    }

    fn plan_now(self: &Arc<Self>, wish: PlanWish) -> Result<Arc<Kept>, Mistake> {
        let loadout = Arc::new(read(&self.place)?);
        if !self.simulated() {
            let open = told(&cleartext::found(&loadout, self.place.folder()));
            if !open.is_empty() {
                return Err(Mistake::Spec(open));
            }
        }
        let nodes: Vec<NodeName> = wish.nodes.iter().map(|name| NodeName::new(name.as_str())).collect();
        let strange = nodes.iter().filter(|name| loadout.desired.machine(name).is_none());
        let strange: Vec<String> = strange.map(|name| format!("there is no node {name}")).collect();
        if !strange.is_empty() {
            return Err(Mistake::Blocked("nodes that are not in the spec".into(), strange));
        }
        let ask = match wish.ask {
            Wanted::Apply => Ask::Apply,
            Wanted::Destroy => Ask::Destroy,
            Wanted::Rebuild => Ask::Rebuild,
            Wanted::Replace if nodes.is_empty() => {
                return Err(Mistake::Blocked("no node is named".into(), vec!["name the nodes to replace".into()]));
            }
            Wanted::Replace => Ask::Replace(nodes),
        };
        let plan = self.open(&loadout, false, async |site| {
            let everybody = BTreeSet::new();
            Ok(site.engine.plan_patiently(&loadout.desired, &ask, &wish.only, &everybody).await?.plan)
        })?;
        kubewright_engine::engine::chosen(&loadout.desired, &plan, &wish.only)?;
        let id = format!("p{}", PLANS.fetch_add(1, Ordering::Relaxed));
        let kept = Arc::new(Kept { id, at: now(), plan, only: wish.only, loadout });
        self.learn(|known| {
            known.plans.truncate(PLANS_KEPT - 1);
            known.plans.push_front(kept.clone());
        });
        Ok(kept)
    }

    /// Carries out a plan that somebody has approved. It has begun when this returns, or nothing was touched.
    pub(crate) async fn run(self: &Arc<Self>, wish: RunWish) -> Result<String, Mistake> {
        let kept = self.plan(&wish.plan).ok_or(Mistake::Forgotten)?;
        if kept.plan.fingerprint.0.to_string() != wish.fingerprint {
            return Err(Mistake::Forgotten);
        }
        if takes(&kept.plan) && wish.name.as_deref() != Some(self.cluster.as_str()) {
            return Err(Mistake::Unnamed);
        }
        if kept.plan.is_blocked() {
            return Err(EngineError::Blocked(
                kept.plan.notes.iter().filter(|note| note.weight == Weight::Blocks).cloned().collect(),
            )
            .into());
        }
        self.in_its_hours(&kept)?;
        let recording = Arc::new(Recording::new(run_id(), Story::of(&kept.plan)));
        let stop = Stop::default();
        let (run, mut grew) = (recording.run.to_string(), recording.listen());
        let live = Live { recording: recording.clone(), stop: Some(stop.clone()), goes_on: true };
        self.learn(|known| {
            // In here: whoever closes the fleet and then asks what runs misses nothing.
            if self.ending.load(Ordering::SeqCst) {
                return Err(Mistake::Ending);
            }
            if known.live.as_ref().is_some_and(|live| live.goes_on) {
                return Err(Mistake::Busy("another run goes on".into()));
            }
            known.live = Some(live);
            Ok(())
        })?;
        let (member, runs, heard) = (Arc::clone(self), Arc::clone(self), recording.clone());
        let (done, mut ended) = oneshot::channel();
        let ends = AtTheEnd(move || {
            heard.ends();
            member.learn(|known| match heard.len() {
                // It never began.
                0 => known.live = None,
                _ => known.live.iter_mut().for_each(|live| live.goes_on = false),
            });
        });
        let spawned = thread::Builder::new().spawn(move || {
            let ends = ends;
            let came = runs.run_now(&kept, &recording, &stop);
            drop(ends);
            runs.remember();
            drop(done.send(came));
            runs.look();
        });
        spawned.map_err(|error| Mistake::Failed(error.to_string()))?;
        let came = tokio::select! {
            biased;
            begun = grew.wait_for(|(many, _)| *many > 0) => match begun {
                Ok(_) => return Ok(run),
                // Nothing is recorded any more, and why is about to be told.
                Err(_) => None,
            },
            came = &mut ended => Some(came),
        };
        let came = match came {
            Some(came) => came,
            None => ended.await,
        };
        came.unwrap_or_else(|_| Err(Mistake::Failed("the run broke off before it began".into()))).map(|()| run)
    }

    /// Refuses what disturbs while the maintenance window is closed.
    fn in_its_hours(&self, kept: &Kept) -> Result<(), Mistake> {
        if self.simulated() || !hours::disturbs(&kept.plan) {
            return Ok(());
        }
        match hours::hours(&kept.loadout.desired, now()) {
            Some(hours::Hours::Closed { opens, .. }) => Err(Mistake::Blocked(
                format!("the maintenance window is closed: it opens at {opens}"),
                vec!["the plan disturbs what works: run it then".into()],
            )),
            _ => Ok(()),
        }
    }

    fn run_now(self: &Arc<Self>, kept: &Kept, recording: &Recording, stop: &Stop) -> Result<(), Mistake> {
        let desired = &kept.loadout.desired;
        self.open(&kept.loadout, true, async |site| {
            let request = Request {
                desired,
                ask: kept.plan.ask.clone(),
                only: &kept.only,
                approved: Some(&kept.plan),
                run: recording.run.clone(),
                holder: holder("serve"),
            };
            if matches!(kept.plan.ask, Ask::Destroy | Ask::Rebuild) {
                site.announce_end();
            }
            let mut pace = Pace::new(self.pace.filter(|_| self.simulated()));
            let mut sink = |record: &Record| {
                let asked = stop.asked();
                pace.keep(record, |_| stop.asked() == asked);
                if matches!(record.event, Event::StepEnded { .. }) {
                    site.keep_up();
                }
                recording.hear(record);
                self.moves(recording, &record.event);
            };
            let report = site.engine.apply(&request, stop, &mut sink).await?;
            self.reported(&report, recording);
            Ok(())
        })
    }

    /// Takes in what the end of a run of ours tells beside its records.
    pub(super) fn reported(&self, report: &RunReport, recording: &Recording) {
        if !report.checks.is_empty() {
            self.judged(&report.checks);
        }
        if !report.unheard.is_empty() {
            let notes: Vec<String> = report.unheard.iter().map(|why| format!("could not tell {why}")).collect();
            notes.iter().for_each(|note| recording.note(note.clone()));
            self.learn(|known| known.notes.insert(recording.run.clone(), notes));
        }
    }

    /// Looks at every check once, and remembers what came of it.
    pub(crate) async fn verify(self: &Arc<Self>) -> Result<(), Mistake> {
        let results = self.beside(|member| {
            let loadout = read(&member.place)?;
            member.open(&loadout, false, async |site| Ok(site.engine.verify(&loadout.desired).await))
        });
        let results = results.await?;
        self.judged(&results);
        self.look();
        Ok(())
    }

    fn judged(&self, results: &[CheckResult]) {
        let at = now();
        let checks = self.learn(|known| {
            known.verified = None;
            known.checks = results
                .iter()
                .map(|result| {
                    let before = known.checks.iter().find(|check| check.name == result.name);
                    let mut results = before.map(|check| check.results.clone()).unwrap_or_default();
                    results.push(Outcome { at, held: result.checked.holds, saw: result.checked.saw.clone() });
                    let over = results.len().saturating_sub(RESULTS);
                    results.drain(..over);
                    Check { name: result.name.to_string(), results }
                })
                .collect();
            known.checks.clone()
        });
        // What cannot be written is shown all the same, until this program ends.
        if let Ok(text) = serde_json::to_string(&checks.iter().map(|it| (&it.name, &it.results)).collect::<Vec<_>>()) {
            let file = self.checks_file();
            let beside = file.with_extension("json.new");
            let kept = kept(&self.place.kept());
            let made = kept.and_then(|()| file.parent().map_or(Ok(()), std::fs::create_dir_all));
            let _ = made.and_then(|()| std::fs::write(&beside, text)).and_then(|()| std::fs::rename(&beside, &file));
        }
    }

    /// Reads what checks came to before this program began.
    pub(crate) fn recall(&self) {
        let text = std::fs::read_to_string(self.checks_file()).unwrap_or_default();
        let told: Vec<(String, Vec<Outcome>)> = serde_json::from_str(&text).unwrap_or_default();
        let checks = told.into_iter().map(|(name, results)| Check { name, results });
        self.learn(|known| known.checks = checks.collect());
    }
}

/// Does something at the end, also where that comes by a panic: what goes on is not to be shown for ever.
pub(super) struct AtTheEnd<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for AtTheEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Member {
    /// The cluster's document as one HTML page, of what is there now.
    pub(crate) async fn document(self: &Arc<Self>, language: Language) -> Result<String, Mistake> {
        self.beside(move |member| member.document_now(language)).await
    }

    fn document_now(self: &Arc<Self>, language: Language) -> Result<String, Mistake> {
        let loadout = read(&self.place)?;
        let desired = &loadout.desired;
        self.open(&loadout, false, async |site| {
            let (observed, checks) = (site.engine.status(desired).await, site.engine.verify(desired).await);
            let runs = site.engine.history(&desired.cluster)?;
            let journals = runs.iter().map(|run| site.engine.records(&desired.cluster, run).unwrap_or_default());
            let journals: Vec<Vec<Record>> = journals.collect();
            let built = built(journals.iter().map(Vec::as_slice));
            let looked = DocumentLook { observed: Some(&observed), checks: &checks, built };
            let page = document(desired, &looked, language, &self.place.spec.display().to_string());
            let lead = loadout.file.metadata.description.clone().unwrap_or_default();
            let lead = if self.simulated() { format!("{} {lead}", language.pretended()) } else { lead };
            Ok(page.with_lead(&lead).html())
        })
    }
}
