//! Looks, plans and runs, each on a thread of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use kubewright_engine::backup::{catalog, shelf_of};
use kubewright_engine::pace::Pace;
use kubewright_engine::site::{ENVIRONMENTS, Place, Site, SiteError, Voices, holder, now, run_id};
use kubewright_engine::store::{Holder, Store as _, StoreError};
use kubewright_engine::{Engine, EngineError, Loadout, Request, Stop, cleartext, hours};
use kubewright_model::checked::CheckResult;
use kubewright_model::diagnostic::{Diagnostic, Severity};
use kubewright_model::event::{Event, Record};
use kubewright_model::ids::NodeName;
use kubewright_model::plan::{Ask, Weight};
use kubewright_model::source::{Environment, MAX_BYTES};
use kubewright_report::{Language, Looked as DocumentLook, built, document};
use tokio::sync::{oneshot, watch};

use super::plans::takes;
use super::recording::Recording;
use super::sight::Looked;
use super::story::Story;
use super::{Kept, Live, Member};
use crate::api::shapes::{Check, Outcome, PlanWish, RunWish, Wanted};

/// Results of a check that are kept, and shown.
const RESULTS: usize = 200;
/// How often the journal of a run is looked at that another program writes.
const FOLLOWS: Duration = Duration::from_millis(500);
/// Where bundles of a pretend world are, in the folder that it is kept in.
const PRETEND_BUNDLES: &str = "backups";

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

    fn open<T: Send + 'static>(
        self: &Arc<Self>,
        loadout: &Loadout,
        changes: bool,
        work: impl AsyncFnOnce(&Site) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        Site::open(&self.place, &loadout.desired, changes, Self::voices(), work)
    }

    /// Looks at it, if nobody does so already.
    pub fn look(self: &Arc<Self>) {
        let taken = self.learn(|known| {
            known.again = known.looking;
            std::mem::replace(&mut known.looking, true)
        });
        if taken {
            return;
        }
        let (member, looks) = (Arc::clone(self), Arc::clone(self));
        let ends = AtTheEnd(move || {
            let again = member.learn(|known| {
                known.looking = false;
                if thread::panicking() {
                    known.fault = Some("the look broke off".into());
                }
                std::mem::take(&mut known.again)
            });
            if again && !thread::panicking() {
                member.look();
            }
        });
        // Where no thread can be had, the end comes at once.
        let _ = thread::Builder::new().spawn(move || {
            let _ends = ends;
            let looked = looks.look_now();
            looks.remember();
            looks.learn(|known| known.fault = looked.err().map(|mistake| mistake.lines().join("; ")));
        });
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

    fn look_now(self: &Arc<Self>) -> Result<(), Mistake> {
        let loadout = Arc::new(read(&self.place)?);
        self.learn(|known| known.loadout = Some(loadout.clone()));
        let checks = self.known().checks.iter().filter_map(|check| check.results.last().map(|it| it.held)).collect();
        let checks: Vec<bool> = checks;
        let sight = self.open(&loadout, false, async |site| {
            let desired = &loadout.desired;
            let planned = site.engine.plan(desired, &Ask::Apply, &[]).await?;
            let bundles = bundles(self, &loadout, site).await;
            let (observed, plan) = (&planned.observed, &planned.plan);
            Ok(Looked { desired, observed, plan, bundles, checks: &checks, now: now() }.sight())
        })?;
        self.learn(|known| known.sight = Some(Arc::new(sight)));
        Ok(())
    }

    /// Plans, and keeps the plan until the next one.
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
        let taken = self.learn(|known| match known.live.as_ref().is_some_and(|live| live.goes_on) {
            true => true,
            false => {
                known.live = Some(live);
                false
            }
        });
        if taken {
            return Err(Mistake::Busy("another run goes on".into()));
        }
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
        tokio::select! {
            biased;
            begun = grew.wait_for(|(many, _)| *many > 0) => match begun {
                Ok(_) => Ok(run),
                Err(_) => Err(Mistake::Failed("the run came to nothing".into())),
            },
            came = &mut ended => match came {
                Ok(Err(mistake)) => Err(mistake),
                Ok(Ok(())) => Ok(run),
                Err(_) => Err(Mistake::Failed("the run broke off before it began".into())),
            },
        }
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
                if matches!(record.event, Event::RunStarted { .. } | Event::StepEnded { .. }) {
                    self.learn(|_| {});
                }
            };
            let report = site.engine.apply(&request, stop, &mut sink).await?;
            if !report.checks.is_empty() {
                self.judged(&report.checks);
            }
            Ok(())
        })
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
            let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
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

    /// Watches for runs of other programs, and follows their journals. It never ends.
    pub(crate) fn follow(self: &Arc<Self>) {
        loop {
            thread::sleep(FOLLOWS);
            let ours = self.known().live.as_ref().is_some_and(|live| live.goes_on && live.stop.is_some());
            let store = self.store();
            let Some(run) = store.runs(&self.cluster).ok().and_then(|runs| runs.last().cloned()) else { continue };
            let past = self.known().past.get(&run).map(|past| past.end.is_some());
            if ours || past == Some(true) {
                continue;
            }
            let Some(holder) = store.holder(&self.cluster).ok().flatten() else {
                // It began and ended between two looks.
                if past.is_none() {
                    self.remember();
                    self.look();
                }
                continue;
            };
            let Ok(mut tail) = store.tail(&self.cluster, &run) else { continue };
            let first = tail.more().unwrap_or_default();
            // Whoever holds the lock may still plan: then the newest journal is that of a run before.
            if !first.first().is_some_and(|record| is_of(record, &holder)) {
                continue;
            }
            let recording = Arc::new(Recording::new(run, Story::default()));
            first.iter().for_each(|record| recording.hear(record));
            let live = Live { recording: recording.clone(), stop: None, goes_on: true };
            self.learn(|known| known.live = Some(live));
            while recording.summary().end.is_none() && store.holder(&self.cluster).ok().flatten().is_some() {
                thread::sleep(FOLLOWS);
                let new = tail.more().unwrap_or_default();
                new.iter().for_each(|record| recording.hear(record));
                if !new.is_empty() {
                    self.learn(|_| {});
                }
            }
            // What was written between the last look and the end of the lock.
            tail.more().unwrap_or_default().iter().for_each(|record| recording.hear(record));
            recording.ends();
            self.learn(|known| known.live.iter_mut().for_each(|live| live.goes_on = false));
            self.remember();
            self.look();
        }
    }
}

/// Whether a journal begins with a run of whoever holds the lock.
pub(super) fn is_of(record: &Record, holder: &Holder) -> bool {
    matches!(record.event, Event::RunStarted { wall, .. } if wall == holder.since)
}

/// Does something at the end, also where that comes by a panic: what goes on is not to be shown for ever.
struct AtTheEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtTheEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The bundles of a cluster, where the spec says that they have a place.
async fn bundles(member: &Member, loadout: &Loadout, site: &Site) -> Result<(String, Vec<catalog::Listed>), String> {
    if loadout.file.spec.backup.as_ref().is_none_or(|backup| backup.to.is_none()) && !member.simulated() {
        return Err(String::new());
    }
    let folder = member.place.simulated.as_ref().map(|folder| folder.join(PRETEND_BUNDLES));
    let shelf = shelf_of(loadout, folder.as_deref()).map_err(|unsaved| unsaved.why)?;
    let bundles = site.engine.bundles(&shelf)?;
    let listed = catalog::list(&*bundles, &loadout.desired.cluster).await.map_err(|error| error.to_string())?;
    Ok((shelf.to_string(), listed))
}

/// Looks at all clusters of a fleet again and again, and follows runs of others. It never ends.
pub async fn watch_over(fleet: Arc<super::Fleet>, every: Duration, mut asked: watch::Receiver<bool>) {
    for member in fleet.all() {
        member.recall();
        let member = Arc::clone(member);
        // It reads files, and waits for them: nobody else is to wait with it.
        let _ = thread::Builder::new().spawn(move || member.follow());
    }
    while !*asked.borrow() {
        fleet.all().for_each(Member::look);
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = asked.changed() => {}
        }
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
