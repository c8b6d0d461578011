//! A rebuild that was cut: what its journal tells, so that the next one goes on where it was.
//!
//! A rebuild writes down at its beginning which nodes it takes away. Those whose end it did not write down are still to be
//! taken away; in the place of all others stands what was made since.

use std::collections::BTreeSet;

use kubewright_model::desired::Desired;
use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::{ClusterName, NodeName, RunId};
use kubewright_model::observed::Observed;
use kubewright_model::plan::{Action, Ask, Plan, Stage, Step};

use super::{Engine, Request};

/// A rebuild that did not come to its end.
pub(super) struct Unfinished {
    /// Its run.
    pub(super) run: RunId,
    /// The nodes that it has still to take away.
    pub(super) left: BTreeSet<NodeName>,
}

impl Engine {
    /// The rebuild that was cut, unless the cluster was built or destroyed whole since.
    pub(super) fn unfinished(&self, cluster: &ClusterName) -> Option<Unfinished> {
        // A journal that cannot be read tells of no rebuild: the worst is that one begins anew.
        let runs = self.store.runs(cluster).unwrap_or_default();
        for run in runs.into_iter().rev() {
            let records = self.store.journal(cluster, &run).unwrap_or_default();
            let Some((ask, only, takes)) = began(&records) else { continue };
            let complete = records.iter().any(|it| matches!(it.event, Event::RunEnded { end: RunEnd::Complete, .. }));
            match ask {
                Ask::Rebuild if complete => return None,
                Ask::Rebuild => return Some(Unfinished { run, left: left(takes, &records) }),
                Ask::Destroy => return None,
                Ask::Apply if complete && only.is_empty() => return None,
                Ask::Apply | Ask::Replace(_) | Ask::ReplaceOutdated | Ask::Backup => {}
            }
        }
        None
    }

    /// The run that one goes on with, whose look has found it.
    pub(super) fn goes_on(&self, desired: &Desired, observed: &Observed) -> Option<RunId> {
        observed.unfinished.as_ref()?;
        self.unfinished(&desired.cluster).map(|rebuild| rebuild.run)
    }
}

fn began(records: &[Record]) -> Option<(&Ask, &[String], &[NodeName])> {
    records.iter().find_map(|record| match &record.event {
        Event::RunStarted { ask, only, takes, .. } => Some((ask, only.as_slice(), takes.as_slice())),
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

/// The nodes that a rebuild takes away: their machines, or Kubernetes on hosts that stay.
pub(super) fn takes(request: &Request<'_>, plan: &Plan) -> Vec<NodeName> {
    if request.ask != Ask::Rebuild {
        return Vec::new();
    }
    let taken = |step: &Step| match &step.action {
        Action::DeleteMachine { name, .. } => Some(name.clone()),
        Action::RunRecipe { host, .. } => Some(host.clone()),
        _ => None,
    };
    plan.steps.iter().filter(|step| step.stage == Stage::Removal).filter_map(taken).collect()
}
