//! A rotation that was cut: what its journal tells, so that the next one goes on where it was.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use kubewright_model::desired::Desired;
use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::{NodeName, StepId};
use kubewright_model::plan::Ask;
use kubewright_model::rotation::Rotation;

use super::Engine;

/// Whoever asks later than this begins anew: what was made then is new no more.
const GOES_ON: u64 = 86_400;

impl Engine {
    /// Members that the last rotations of this kind have given something new, as far back as each of them was cut.
    pub(super) fn rotated(&self, desired: &Desired, what: Rotation) -> BTreeSet<NodeName> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut rotated = BTreeSet::new();
        // A journal that cannot be read tells of no rotation: the worst is that one begins anew.
        for run in self.store.runs(&desired.cluster).unwrap_or_default().into_iter().rev() {
            let records = self.store.journal(&desired.cluster, &run).unwrap_or_default();
            let Some((ask, wall)) = began(&records) else { continue };
            match ask {
                Ask::Rotate(other) if *other == what => {
                    let late = !self.simulated() && now.saturating_sub(wall) > GOES_ON;
                    if late || is_complete(&records) {
                        break;
                    }
                    rotated.extend(renewed(&records));
                }
                // Whoever was made anew has nothing of before.
                Ask::Rebuild | Ask::Restore | Ask::Destroy | Ask::Replace(_) | Ask::ReplaceOutdated => break,
                _ => {}
            }
        }
        rotated
    }

    /// Steps that need not be done once more of a cluster's way to another token or key, as far as the last runs came that
    /// were cut. However long that is ago, the cluster is half on its way.
    pub(super) fn turned(&self, desired: &Desired, what: Rotation) -> BTreeSet<StepId> {
        let mut turned = BTreeSet::new();
        for run in self.store.runs(&desired.cluster).unwrap_or_default().into_iter().rev() {
            let records = self.store.journal(&desired.cluster, &run).unwrap_or_default();
            match began(&records) {
                Some((Ask::Rotate(other), _)) if *other == what => {
                    let is_settled = done(&records).any(|step| step.as_str().starts_with("settle-secret/"));
                    if is_complete(&records) || is_settled {
                        break;
                    }
                    let parts = |step: &&StepId| PARTS.iter().any(|part| step.as_str().starts_with(part));
                    turned.extend(done(&records).filter(parts).cloned());
                }
                Some((Ask::Rebuild | Ask::Restore | Ask::Destroy, _)) => break,
                _ => {}
            }
        }
        turned
    }
}

/// What the steps are called that take a cluster over to something else.
const PARTS: [&str; 2] = ["turn-", "take-secret/"];

fn began(records: &[Record]) -> Option<(&Ask, u64)> {
    records.iter().find_map(|record| match &record.event {
        Event::RunStarted { ask, wall, .. } => Some((ask, *wall)),
        _ => None,
    })
}

fn is_complete(records: &[Record]) -> bool {
    records.iter().any(|it| matches!(it.event, Event::RunEnded { end: RunEnd::Complete, .. }))
}

fn renewed(records: &[Record]) -> impl Iterator<Item = NodeName> {
    done(records).filter_map(|step| step.as_str().strip_prefix("renew/").map(NodeName::from))
}

fn done(records: &[Record]) -> impl Iterator<Item = &StepId> {
    records.iter().filter_map(|record| match &record.event {
        Event::StepEnded { step, outcome: Outcome::Done | Outcome::AlreadyTrue } => Some(step),
        _ => None,
    })
}
