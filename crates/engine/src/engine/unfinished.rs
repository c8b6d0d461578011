//! A rebuild or a restore that was cut: what its journal tells, so that the next one goes on where it was.
//!
//! A rebuild writes down at its beginning which nodes it takes away. Those whose end it did not write down are still to be
//! taken away; in the place of all others stands what was made since.

use std::borrow::Cow;
use std::collections::BTreeSet;

use kubewright_model::desired::{Desired, Saved};
use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::{ClusterName, NodeName, RunId};
use kubewright_model::observed::Observed;
use kubewright_model::plan::{Action, Ask, Plan, Stage, Step};

use super::{Engine, Request};

/// A rebuild or a restore that did not come to its end.
pub(super) struct Unfinished {
    /// What it was.
    pub(super) ask: Ask,
    /// Its run.
    pub(super) run: RunId,
    /// The nodes that it has still to take away; none where it has taken nothing away, and has built nothing.
    pub(super) left: Option<BTreeSet<NodeName>>,
    /// What it was asked to begin the cluster with.
    pub(super) asked: Option<Saved>,
    /// It has begun the cluster.
    begun: bool,
}

impl Unfinished {
    /// What it is still to begin the cluster with.
    pub(super) fn restores(self) -> Option<Saved> {
        self.asked.filter(|_| !self.begun)
    }
}

impl Engine {
    /// The rebuild or the restore that was cut, unless something else has changed the cluster since: then nobody knows any
    /// more what is old and what is new, and the next one begins anew.
    pub(super) fn unfinished(&self, cluster: &ClusterName) -> Option<Unfinished> {
        // A journal that cannot be read tells of no rebuild: the worst is that one begins anew.
        let runs = self.store.runs(cluster).unwrap_or_default();
        for run in runs.into_iter().rev() {
            let records = self.store.journal(cluster, &run).unwrap_or_default();
            let Some((ask, restores, takes)) = began(&records) else { continue };
            let did = || records.iter().any(|it| matches!(it.event, Event::StepEnded { outcome: Outcome::Done, .. }));
            match ask {
                Ask::Rebuild | Ask::Restore if is_complete(&records) => return None,
                Ask::Rebuild | Ask::Restore => {
                    let (asked, begun) = (restores.cloned(), self.has_begun(cluster, &records));
                    // What has only saved leaves nothing to go on with, but what was asked for.
                    let left = touched(&records).then(|| left(takes, &records));
                    return Some(Unfinished { ask: ask.clone(), run, left, asked, begun });
                }
                Ask::Apply | Ask::Destroy | Ask::Replace(_) | Ask::ReplaceOutdated if did() => return None,
                Ask::Apply | Ask::Destroy | Ask::Replace(_) | Ask::ReplaceOutdated => {}
                Ask::Backup
                | Ask::Reboot(_)
                | Ask::RebootNeeded(_)
                | Ask::UpdateOs(_)
                | Ask::Repair(_)
                | Ask::Rotate(_) => {}
            }
        }
        None
    }

    /// What is wished of a run: one that goes on with a rebuild begins the cluster with what that was to begin it with.
    pub(super) fn wished<'d>(&self, desired: &'d Desired, ask: &Ask) -> Cow<'d, Desired> {
        if *ask == Ask::Restore {
            return Cow::Owned(Desired { restores: self.goes_back_to(desired), ..desired.clone() });
        }
        let goes_on = *ask == Ask::Rebuild && !desired.from_scratch && desired.restores.is_none();
        match goes_on.then(|| self.left_of(desired, ask)).flatten().and_then(Unfinished::restores) {
            Some(saved) => Cow::Owned(Desired { restores: Some(saved), ..desired.clone() }),
            None => Cow::Borrowed(desired),
        }
    }

    /// What a restore puts back. One that goes on has settled on it, or has put it back already; what was saved last is that
    /// of before, for the state of now is saved first.
    fn goes_back_to(&self, desired: &Desired) -> Option<Saved> {
        let before =
            self.left_of(desired, &Ask::Restore).filter(|before| !desired.from_scratch && before.left.is_some());
        if let Some(before) = before {
            return before.restores();
        }
        let last = || self.world.secrets(&*self.store).saved(desired).ok().flatten();
        match &desired.restores {
            Some(Saved::Latest) => Some(last().map_or(Saved::Latest, |path| Saved::File(path.expose().clone()))),
            other => other.clone(),
        }
    }

    /// What one that was cut has settled on, and goes on with whatever is named. A rebuild that has begun nothing takes what is
    /// named now.
    pub(super) fn settled_before(&self, desired: &Desired, ask: &Ask) -> Option<Saved> {
        if desired.from_scratch {
            return None;
        }
        let before = self.left_of(desired, ask).filter(|before| before.left.is_some());
        before.filter(|before| *ask == Ask::Restore || before.begun).and_then(|before| before.asked)
    }

    /// What the cluster is begun with in the end, by this run or by one before that it goes on with.
    pub(super) fn begins_with(&self, desired: &Desired, ask: &Ask) -> Option<Saved> {
        let before = self.left_of(desired, ask).filter(|before| !desired.from_scratch && before.left.is_some());
        match before {
            Some(before) if before.begun || *ask == Ask::Restore => before.asked,
            Some(before) => desired.restores.clone().or(before.asked),
            None => desired.restores.clone(),
        }
    }

    /// What was begun already by one that a run goes on with: its journal tells of it too, for the one after it.
    pub(super) fn began_with(&self, desired: &Desired, ask: &Ask) -> Option<Saved> {
        let before = self.left_of(desired, ask).filter(|before| !desired.from_scratch && before.begun);
        before.and_then(|before| before.asked)
    }

    /// What is left of the last one of its kind.
    pub(super) fn left_of(&self, desired: &Desired, ask: &Ask) -> Option<Unfinished> {
        self.unfinished(&desired.cluster).filter(|before| before.ask == *ask)
    }

    /// Whether a rebuild, or one that it went on with, has begun the cluster.
    fn has_begun(&self, cluster: &ClusterName, records: &[Record]) -> bool {
        let begins = |it: &Record| match &it.event {
            Event::StepEnded { step, outcome: Outcome::Done } => step.as_str().starts_with("init/"),
            _ => false,
        };
        let before = records.iter().find_map(|it| match &it.event {
            Event::RunStarted { goes_on, .. } => goes_on.as_ref(),
            _ => None,
        });
        let earlier = || self.store.journal(cluster, before?).ok();
        records.iter().any(begins) || earlier().is_some_and(|records| self.has_begun(cluster, &records))
    }

    /// The run that one goes on with, whose look has found it.
    pub(super) fn goes_on(&self, desired: &Desired, observed: &Observed) -> Option<RunId> {
        observed.unfinished.as_ref()?;
        self.unfinished(&desired.cluster).map(|rebuild| rebuild.run)
    }
}

/// Why what is named is not what would be put back: one that was cut goes on with something else. And what to do then.
pub(crate) fn is_another(ask: &Ask, settled: &Saved, named: &Saved) -> Option<(String, String)> {
    let whole = |file: &str| std::fs::canonicalize(file).unwrap_or_else(|_| file.into());
    let is_same = match (settled, named) {
        (_, Saved::Latest) => true,
        (Saved::Bundle { canary, .. }, Saved::Bundle { canary: other, .. }) => canary == other,
        (Saved::File(file), Saved::File(other)) => whole(file) == whole(other),
        _ => false,
    };
    if is_same {
        return None;
    }
    let (was, goes_on) = if *ask == Ask::Restore { ("restore", "restore latest") } else { ("rebuild", "rebuild") };
    let (settled, named) = (called(settled), called(named));
    let message = format!("a {was} that was cut puts back {settled}, and {named} is another one");
    let help =
        format!("`kubewright {goes_on}` goes on with {settled}; with `--from-scratch` it begins again, with {named}");
    Some((message, help))
}

/// What was saved, as people name it.
fn called(saved: &Saved) -> &str {
    match saved {
        Saved::Latest => "what was saved last",
        Saved::File(file) => file,
        Saved::Bundle { canary, .. } => canary,
    }
}

/// Whether more was begun than to save what is there.
fn touched(records: &[Record]) -> bool {
    let touches = |it: &Record| matches!(it.event, Event::StepStarted { stage, .. } if stage != Stage::Backup);
    records.iter().any(touches)
}

fn is_complete(records: &[Record]) -> bool {
    records.iter().any(|it| matches!(it.event, Event::RunEnded { end: RunEnd::Complete, .. }))
}

fn began(records: &[Record]) -> Option<(&Ask, Option<&Saved>, &[NodeName])> {
    records.iter().find_map(|record| match &record.event {
        Event::RunStarted { ask, restores, takes, .. } => Some((ask, restores.as_ref(), takes.as_slice())),
        _ => None,
    })
}

fn left(takes: &[NodeName], records: &[Record]) -> BTreeSet<NodeName> {
    let ended: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::StepEnded { step, outcome: Outcome::Done | Outcome::AlreadyTrue } => Some(step.as_str()),
            _ => None,
        })
        .collect();
    let goes = |name: &NodeName, deed: &str| ended.contains(format!("{deed}/{name}").as_str());
    takes.iter().filter(|name| !goes(name, "leave") && !goes(name, "delete")).cloned().collect()
}

/// The nodes that a rebuild takes away: their machines, or Kubernetes on hosts that stay. Those that stand down.
pub(super) fn takes(request: &Request<'_>, plan: &Plan) -> Vec<NodeName> {
    if !matches!(request.ask, Ask::Rebuild | Ask::Restore) {
        return Vec::new();
    }
    let taken = |step: &Step| match &step.action {
        Action::DeleteMachine { name, .. } => Some(name.clone()),
        Action::RunRecipe { host, .. } => Some(host.clone()),
        _ => None,
    };
    plan.steps.iter().filter(|step| step.stage == Stage::Removal).filter_map(taken).collect()
}
