//! A rotation that was cut: what its journal tells, so that the next one goes on where it was.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use kubewright_model::desired::Desired;
use kubewright_model::event::{Event, Outcome, Record, RunEnd};
use kubewright_model::ids::NodeName;
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
}

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
    records.iter().filter_map(|record| match &record.event {
        Event::StepEnded { step, outcome: Outcome::Done | Outcome::AlreadyTrue } => {
            step.as_str().strip_prefix("renew/").map(NodeName::from)
        }
        _ => None,
    })
}
