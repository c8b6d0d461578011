//! Looks, each on a thread of its own, and runs of other programs, whose journals are followed.
//!
//! A run changes what a look has seen. So while one goes on it is looked at again when a step has ended: not at once after each, as
//! a look costs others something, but so that looks take a small part of the time.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kubewright_engine::Loadout;
use kubewright_engine::backup::{catalog, shelf_of};
use kubewright_engine::site::{Site, now};
use kubewright_engine::store::{Holder, Store as _};
use kubewright_model::event::{Event, Record};
use kubewright_model::ids::RunId;
use kubewright_model::plan::Ask;
use tokio::sync::watch;

use super::recording::Recording;
use super::sight::Looked;
use super::story::Story;
use super::work::{AtTheEnd, Mistake, read};
use super::{Live, Member};

/// How often the journal of a run is looked at that another program writes.
const FOLLOWS: Duration = Duration::from_millis(500);
/// Where bundles of a pretend world are, in the folder that it is kept in.
const PRETEND_BUNDLES: &str = "backups";

/// How long nobody looks again because of a run that goes on, at least; and how many times as long as the last look took.
const RESTS: Duration = Duration::from_secs(2);
const SHARE: u32 = 5;

impl Member {
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
            let began = Instant::now();
            let looked = looks.look_now();
            let rests = RESTS.max(began.elapsed() * SHARE);
            looks.learn(|known| known.rests = Instant::now().checked_add(rests));
            looks.remember();
            looks.learn(|known| known.fault = looked.err().map(|mistake| mistake.lines().join("; ")));
        });
    }

    pub(super) fn look_now(self: &Arc<Self>) -> Result<(), Mistake> {
        let loadout = Arc::new(read(&self.place)?);
        self.learn(|known| known.loadout = Some(loadout.clone()));
        let sight = self.open(&loadout, false, async |site| {
            let desired = &loadout.desired;
            let planned = site.engine.plan(desired, &Ask::Apply, &[]).await?;
            let bundles = bundles(self, &loadout, site).await;
            let (observed, plan) = (&planned.observed, &planned.plan);
            Ok(Looked { desired, observed, plan, bundles, now: now() }.sight())
        })?;
        self.learn(|known| known.sight = Some(Arc::new(sight)));
        Ok(())
    }

    /// Takes in what a record of a run that goes on says of the cluster.
    pub(super) fn moves(self: &Arc<Self>, recording: &Recording, event: &Event) {
        match event {
            Event::RunStarted { .. } => self.learn(|_| {}),
            Event::StepEnded { .. } => {
                self.learn(|_| {});
                self.look_along();
            }
            Event::VerifyEnded { .. } => self.learn(|known| known.verified = recording.verified()),
            _ => {}
        }
    }

    /// Looks because something was done, where nobody looks already or has just done so: what is done last is looked at after the run.
    fn look_along(self: &Arc<Self>) {
        let rests = {
            let known = self.known();
            known.looking || known.rests.is_some_and(|rests| Instant::now() < rests)
        };
        if !rests {
            self.look();
        }
    }

    /// Watches for runs of other programs, and follows their journals. It never ends.
    pub(crate) fn follow(self: &Arc<Self>) {
        let mut tried: Option<RunId> = None;
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
                // It began and ended between two looks, or has ended since one. What cannot be read is tried once.
                if tried.as_ref() != Some(&run) {
                    tried = Some(run);
                    self.remember();
                    self.look();
                }
                continue;
            };
            let Ok(mut tail) = store.tail(&self.cluster, &run) else { continue };
            let first = tail.more().unwrap_or_default();
            // Whoever holds the lock may still plan: then the newest journal is that of a run before.
            if !first.records.first().is_some_and(|record| is_of(record, &holder)) {
                continue;
            }
            let recording = Arc::new(Recording::new(run, Story::default()));
            recording.grows(&first);
            let live = Live { recording: recording.clone(), stop: None, goes_on: true };
            let is_ours = self.learn(|known| {
                // Ours may have begun since, and then this is its journal.
                let ours = known.live.as_ref().is_some_and(|live| live.goes_on && live.stop.is_some());
                if !ours {
                    known.live = Some(live);
                }
                ours
            });
            if is_ours {
                continue;
            }
            // Who comes next has the lock since another moment, and a journal of his own.
            while recording.summary().end.is_none()
                && store.holder(&self.cluster).ok().flatten().as_ref() == Some(&holder)
            {
                thread::sleep(FOLLOWS);
                let new = tail.more().unwrap_or_default();
                recording.grows(&new);
                new.records.iter().for_each(|record| self.moves(&recording, &record.event));
            }
            // What was written between the last look and the end of the lock.
            let last = tail.more().unwrap_or_default();
            recording.grows(&last);
            last.records.iter().for_each(|record| self.moves(&recording, &record.event));
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
